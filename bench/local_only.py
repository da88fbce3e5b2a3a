"""How reliably the text of a `local only` paper is recognised, and how often another paper's is mistaken for it.

    python bench/local_only.py [FOLDER]        PDFs; ../shared/data/papers by default

*chunks* and *sentences*: the share recognised of all chunks, and of all sentences of twelve words or more. *cut*: the
same chunks as a model quotes them, without the first and last three words of each sentence. *false*: the share of
(`local only` paper, chunk of another paper) pairs in which the chunk would be refused. `n` is the length of the word
runs; Scholion uses `rag.privacy.runs.RUN_WORDS`.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.chunk import chunk_paper  # noqa: E402
from ingest.parse import parse_pdf  # noqa: E402
from ingest.sentences import sentence_spans  # noqa: E402
from rag.privacy.runs import word_runs  # noqa: E402


def share(found: list[bool]) -> str:
    return f"{sum(found) / len(found):.4f} of {len(found):,}"


def words_in(texts):
    return [len(text.split()) for text in texts]


def without_ends(text: str) -> str:
    sentences = (text[start:end].split() for start, end in sentence_spans(text))
    return " … ".join(" ".join(words[3:-3]) for words in sentences)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "papers"
    parsed = [parse_pdf(path) for path in sorted(folder.glob("*.pdf"))]
    chunks = {
        paper.paper.id: [chunk.text for chunk in chunk_paper(paper, max_tokens=160, count_tokens=words_in)]
        for paper in parsed
    }
    texts = [(name, text) for name, of_paper in chunks.items() for text in of_paper]
    sentences = [(name, text[start:end]) for name, text in texts for start, end in sentence_spans(text)]
    sentences = [(name, text) for name, text in sentences if len(text.split()) > 11]
    print(f"{len(parsed)} papers, {len(texts):,} chunks")
    for n in (6, 8, 10, 12, 15):
        runs = {paper.paper.id: word_runs(" ".join(page.text for page in paper.pages), n=n) for paper in parsed}
        of_texts = [(name, word_runs(text, n=n)) for name, text in texts]
        print(
            f"n {n:>2}",
            f"chunks {share([bool(found & runs[name]) for name, found in of_texts])}",
            f"sentences {share([bool(word_runs(text, n=n) & runs[name]) for name, text in sentences])}",
            f"cut {share([bool(word_runs(without_ends(text), n=n) & runs[name]) for name, text in texts])}",
            f"false {share([bool(found & runs[kept]) for kept in runs for name, found in of_texts if name != kept])}",
            sep="  ",
        )


if __name__ == "__main__":
    main()
