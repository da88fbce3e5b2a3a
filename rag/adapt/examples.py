"""Training examples for an adapter, from questions with answers, a glossary or papers, as the prompts in serving."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.sentences import sentence_spans
from rag.adapt.lora import Example
from rag.adapt.sentences import NOT_SAID, as_sentence
from rag.evaluation.metrics import UNANSWERABLE, answer_f1
from rag.prompts import sentence_messages
from rag.quoting.no_answer import may_answer
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from ingest import Paper
    from rag.evaluation.cases import Case
    from rag.message import Message
    from rag.retrieval.glossary import GlossaryEntry
    from rag.retrieval.terms import Meaning

    Tell = Callable[[str, int, int], None]
    Asks = Callable[[str, Sequence[str] | None], Awaitable[Sequence[Message]]]

CARRIES = 0.5
"""The share of an answer's words that must be in the prompt. Otherwise the model would learn to invent."""

_DEFINED = re.compile(r"(?P<term>(?:An? |The )?[A-Za-z][\w-]*(?: [\w-]+){0,3}) (?:is|are) (?:an?|the) ")
"""A sentence that starts like this may answer "What is …?"."""


@dataclass(frozen=True, slots=True)
class Taught:
    """An example and how it is scored."""

    example: Example
    group: str
    """Examples of one group (a paper) are either all learned from or all held out."""
    question: str
    golds: tuple[str, ...] = ()
    """Right answers; empty if the example is for training only."""


async def of_questions(cases: Sequence[Case], asks: Asks, *, tell: Tell = lambda *_: None) -> tuple[list[Taught], int]:
    """One example per question: the prompt as the drafter gets it, and the first answer as a sentence.

    Args:
        cases: questions with answers.
        asks: builds the drafter's prompt for a question, over these papers or all of them.
        tell: called with the current step, the number done and the total.

    Returns:
        The examples, and how many are only used for scoring because the passages found do not contain the answer.
    """
    taught, left_out = [], 0
    for n, case in enumerate(cases, start=1):
        tell("finding passages", n, len(cases))
        golds = tuple(reference.text for reference in case.references)
        if not golds:
            continue
        messages = await asks(case.question, case.paper_ids)
        answer = golds[0]
        if not carried(answer, str(messages[-1]["content"])):
            left_out += 1
            answer = ""
        said = as_sentence(case.question, answer) if answer else ""
        taught.append(Taught(Example(tuple(messages), said), case.group, case.question, golds))
    return taught, left_out


def carried(answer: str, prompt: str) -> bool:
    """Whether the answer is in the prompt: always for yes, no and "not said", else judged by its words."""
    if answer == UNANSWERABLE or answer.lower().rstrip(".") in {"yes", "no"}:
        return True
    words = content_words(answer) or set(answer.lower().split())
    return len(words & (content_words(prompt) | set(prompt.lower().split()))) >= CARRIES * len(words)


def of_glossary(entries: Iterable[GlossaryEntry]) -> list[Taught]:
    """Examples from the team's glossary: two questions per term. The definition is both the context and the answer."""
    taught = []
    for entry in entries:
        name = entry.preferred or entry.term
        if not entry.definition:
            continue
        read = [f"{name}: {entry.definition}"]
        said = f"{name[:1].upper()}{name[1:]}: {entry.definition.rstrip('.')}."
        questions = f"What is {entry.term}?", f"What does {entry.term} mean?"
        taught += [_made(asked, read, said, group=entry.term, golds=(entry.definition,)) for asked in questions]
    return taught


def of_abbreviations(meanings: Iterable[Meaning], texts: Mapping[str, Sequence[str]]) -> list[Taught]:
    """Examples from the papers' abbreviations. The context is the first sentence that gives the long form."""
    taught = []
    for meaning in meanings:
        paper_id = meaning.papers[0][0] if meaning.papers else ""
        if sentence := _first_with(meaning.short, meaning.long, texts.get(paper_id, ())):
            said = f"{meaning.short} stands for {meaning.long}."
            question = f"What does {meaning.short} stand for?"
            taught.append(_made(question, [sentence], said, group=paper_id, golds=(meaning.long,)))
    return taught


def _first_with(short: str, long: str, texts: Iterable[str]) -> str | None:
    for text in texts:
        if short in text and long.casefold() in text.casefold():
            for start, end in sentence_spans(text):
                sentence = " ".join(text[start:end].split())
                if short in sentence and long.casefold() in sentence.casefold():
                    return sentence
    return None


def of_texts(texts: Mapping[str, Sequence[str]], *, most: int) -> list[Taught]:
    """Plain texts of the papers, sampled evenly across the papers."""
    each = max(1, most // max(1, len(texts)))
    found = []
    for paper_id, its in texts.items():
        step = max(1, len(its) // each)
        found += [Taught(Example((), text), paper_id, "") for text in its[::step][:each]]
    return found


def of_paper(paper: Paper, texts: Iterable[str]) -> list[Taught]:
    """Rule-made questions from sentences of a paper that define something; the sentence is the answer."""
    taught = []
    for text in texts:
        spans = sentence_spans(text)
        for i, (start, end) in enumerate(spans):
            sentence = " ".join(text[start:end].split())
            found = _DEFINED.match(sentence)
            if not found or not may_answer(sentence, "", title=paper.title) or not 6 <= len(sentence.split()) <= 40:
                continue
            term = re.sub(r"^(?:An?|The) ", lambda m: m[0].lower(), found["term"])
            if term.split()[0].lower() in {"this", "it", "there", "that", "these", "we", "which", "here", "one"}:
                continue
            around = [" ".join(text[a:b].split()) for a, b in spans[max(0, i - 1) : i + 2]]
            plural = re.search(r" are (?:an?|the) $", found[0])
            question = f"What {'are' if plural else 'is'} {term}?"
            taught.append(_made(question, around, sentence, group=paper.id, golds=(sentence,)))
    return taught


def _made(question: str, read: Sequence[str], said: str, *, group: str, golds: tuple[str, ...]) -> Taught:
    return Taught(Example(tuple(sentence_messages(question, read)), said), group, question, golds)


def short_answer(text: str) -> str:
    """A draft reduced for scoring: just yes or no if it starts with one, and UNANSWERABLE for "not said"."""
    plain = " ".join(text.split())
    if plain.startswith(NOT_SAID.rstrip(".")):
        return UNANSWERABLE
    begins = re.match(r"(yes|no)\b(?!\s+\w+\s+(?:is|are|was|were)\b)", plain, re.IGNORECASE)
    return begins[1].capitalize() if begins else plain


def right(text: str, golds: Sequence[str]) -> float:
    """Token F1 of a draft against its closest right answer, in [0, 1]."""
    return answer_f1(short_answer(text), golds) or 0.0
