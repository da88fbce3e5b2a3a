"""How well the text of a `local only` paper is recognised in what would be sent, and how often another paper's is taken for it.

    python bench/local_only.py [FOLDER]        PDFs; ../shared/data/papers by default

*chunks* and *sentences*: the share that is recognised of all chunks, and of all sentences of ten words or more, of each
paper. *cut*: the same chunks as a model quotes them, without the first and last three words of each sentence. *false*:
the share of (paper kept here, chunk of another paper) pairs in which the chunk would be refused. `n` is the number of
words in a row by which text is recognised; Scholion's is `rag.privacy.RUN_WORDS`.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.chunk import chunk_paper  # noqa: E402
from ingest.parse import parse_pdf  # noqa: E402
from rag import privacy  # noqa: E402
from rag.words import sentence_spans  # noqa: E402


def share(found: list[bool]) -> str:
    return f"{sum(found) / len(found):.4f} of {len(found):,}"


def without_ends(text: str) -> str:
    sentences = (text[start:end].split() for start, end in sentence_spans(text))
    return " … ".join(" ".join(words[3:-3]) for words in sentences)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "papers"
    parsed = [parse_pdf(path) for path in sorted(folder.glob("*.pdf"))]
    chunks = {
        paper.paper.id: [
            c.text for c in chunk_paper(paper, max_tokens=160, count_tokens=lambda ts: [len(t.split()) for t in ts])
        ]
        for paper in parsed
    }
    print(f"{len(parsed)} papers, {sum(map(len, chunks.values())):,} chunks")
    for n in (6, 8, 10, 12, 15):
        privacy.RUN_WORDS = n
        runs = {p.paper.id: privacy._runs(" ".join(page.text for page in p.pages)) for p in parsed}
        of_chunk = {name: [privacy._runs(text) for text in texts] for name, texts in chunks.items()}
        whole = [bool(r & runs[name]) for name, all_runs in of_chunk.items() for r in all_runs]
        sentences = [
            bool(privacy._runs(text[start:end]) & runs[name])
            for name, texts in chunks.items() for text in texts for start, end in sentence_spans(text)
            if len(privacy._WORD.findall(text[start:end])) >= 10
        ]  # fmt: skip
        cut = [bool(privacy._runs(without_ends(text)) & runs[name]) for name, texts in chunks.items() for text in texts]
        false = [
            bool(r & runs[kept])
            for kept in runs
            for name, all_runs in of_chunk.items()
            if name != kept
            for r in all_runs
        ]
        print(f"n {n:>2}  chunks {share(whole)}  sentences {share(sentences)}  cut {share(cut)}  false {share(false)}")


if __name__ == "__main__":
    main()
