// The prompt of the lab, word for word as `rag.prompts.sentence_messages` makes it for a very small model.

/** On one line, with special tokens defused. */
const asData = (text) => text.split(/\s+/u).filter(Boolean).join(' ').replaceAll('<|', '‹|').replaceAll('|>', '|›');

const MOST = 50; // documents that the check takes

/** The documents of the field: what is between empty lines. Those beyond the most are part of the last. */
export const documentsIn = (text) => {
  const all = text.split(/\n\s*\n/u).map((part) => part.trim()).filter(Boolean);
  return all.length > MOST ? [...all.slice(0, MOST - 1), all.slice(MOST - 1).join('\n')] : all;
};

/** What the model is asked. Without documents, the question alone. */
export const promptOf = (question, documents, rule) => (documents.length
  ? `${documents.map(asData).join(' ')}\n\n${rule}\nQuestion: ${asData(question)}`
  : question.trim());
