"""Chunk size, overlap and what to add to the embedded text, measured on QASPER's train split.

    python bench/chunking.py [--papers 60] [--split train] [--product]

Search within one paper, as by a reader of that paper. A question counts as served if the first `BUDGET` tokens of the
ranked chunks cover at least half of the characters of one of its evidence paragraphs, which is fair to all chunk sizes.
MRR uses the first chunk that overlaps an evidence paragraph by at least half of the shorter of the two.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
logging.disable(logging.CRITICAL)

from bench.ingest_speed import split  # noqa: E402
from ingest import (  # noqa: E402
    Chunk,
    Heading,
    IngestSettings,
    Page,
    Paper,
    ParsedPaper,
    embedder_from,
    open_library,
)
from ingest.chunk import chunk_paper  # noqa: E402
from ingest.layout import PARAGRAPH_BREAK  # noqa: E402
from rag.retrieval.retrieve import Retriever  # noqa: E402
from rag.words import content_words  # noqa: E402

DENSE_WEIGHT = 0.45
"""Weight in the plain convex combination of both searches, which ignores lengths."""

BUDGET = 640
"""In tokens: four chunks of 160."""


@dataclass
class Document:
    parsed: ParsedPaper
    questions: list[tuple[str, list[tuple[int, int]]]]
    """Questions, each with the ranges of its evidence paragraphs in the paper's text."""


def documents(path: Path, n: int) -> list[Document]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        data = json.load(file)
    ids = sorted(data)
    random.Random(7).shuffle(ids)
    found = []
    for paper_id in ids:
        row, text, headings, spans = data[paper_id], "", [], {}
        for section in row["full_text"]:
            title = " ".join((section["section_name"] or "").split())
            if title:
                headings.append(Heading(len(text), len(text) + len(title), title, 1))
                text += title + PARAGRAPH_BREAK
            for paragraph in section["paragraphs"]:
                clean = " ".join(paragraph.split())
                if clean:
                    spans[clean] = (len(text), len(text) + len(clean))
                    text += clean + PARAGRAPH_BREAK
        questions = []
        for qa in row["qas"]:
            evidence = {" ".join(e.split()) for a in qa["answers"] for e in a["answer"]["evidence"]}
            ranges = [spans[e] for e in evidence if e in spans]
            if ranges:
                questions.append((qa["question"], ranges))
        if questions:
            paper = Paper(id=paper_id.replace(".", ""), title=row["title"], n_pages=1, file_name="x.pdf")
            found.append(Document(ParsedPaper(paper, (Page(1, text),), tuple(headings)), questions))
        if len(found) == n:
            break
    return found


def with_overlap(chunks: list[Chunk], text: str, share: float) -> list[tuple[int, int]]:
    """The chunks' ranges, each extended to the left by a share of the chunk before, at a word boundary."""
    ranges = []
    for before, chunk in zip([None, *chunks], chunks, strict=False):
        start = chunk.start
        if share and before and before.section == chunk.section:
            start = text.rfind(" ", before.start, int(before.end - share * (before.end - before.start))) + 1
        ranges.append((start or chunk.start, chunk.end))
    return ranges


def bm25(query: set[str], texts: list[set[str]], lengths: list[int]) -> np.ndarray:
    """A plain lexical score: IDF of the shared words, with BM25's length normalisation (k1 1.2, b 0.75, tf 1)."""
    n, mean = len(texts), sum(lengths) / max(1, len(lengths))
    df = {word: sum(word in text for text in texts) for word in query}
    idf = {word: np.log(1 + (n - d + 0.5) / (d + 0.5)) for word, d in df.items()}
    return np.array(
        [
            sum(idf[w] * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / mean)) for w in query & text)
            for text, length in zip(texts, lengths, strict=True)
        ]
    )


def scaled(x: np.ndarray) -> np.ndarray:
    return (x - x.min()) / (np.ptp(x) or 1)


def evaluate(docs: list[Document], embedder, *, size: int, overlap: float, prefix: str) -> dict[str, float]:
    served = {"dense": [], "lexical": [], "fused": []}
    ranks = {"dense": [], "lexical": [], "fused": []}
    n_chunks, seconds = 0, 0.0
    for doc in docs:
        text = doc.parsed.text
        chunks = chunk_paper(doc.parsed, max_tokens=size, count_tokens=embedder.count_tokens)
        ranges = with_overlap(chunks, text, overlap)
        shown = [text[a:b] for a, b in ranges]
        headers = [header(prefix, doc.parsed.paper.title, chunk.section or "") for chunk in chunks]
        began = time.monotonic()
        vectors = embedder.embed_documents([h + s for h, s in zip(headers, shown, strict=True)])
        queries = embedder.embed_documents([question for question, _ in doc.questions])
        seconds += time.monotonic() - began
        n_chunks += len(chunks)
        tokens = embedder.count_tokens(shown)
        words = [content_words(h + s) for h, s in zip(headers, shown, strict=True)]
        for (question, evidence), query in zip(doc.questions, queries, strict=True):
            dense, lexical = vectors @ query, bm25(content_words(question), words, tokens)
            fused = DENSE_WEIGHT * scaled(dense) + (1 - DENSE_WEIGHT) * scaled(lexical)
            for name, scores in (("dense", dense), ("lexical", lexical), ("fused", fused)):
                order = np.argsort(-scores, kind="stable")
                served[name].append(is_served(order, ranges, tokens, evidence))
                ranks[name].append(reciprocal(order, ranges, evidence))
    return {
        "chunks": n_chunks,
        **{f"{name} served": float(np.mean(values)) for name, values in served.items()},
        **{f"{name} MRR": float(np.mean(values)) for name, values in ranks.items()},
        "chunks/s": n_chunks / seconds,
    }


def plain(docs: list[Document], embedder) -> dict[str, float]:
    """The plain baseline: 1,000 characters with an overlap of 200, split by separators, dense search only."""
    served, ranks, n = [], [], 0
    for doc in docs:
        text, at, ranges = doc.parsed.text, 0, []
        for chunk in split(text):
            start = text.find(chunk, max(0, at - 400))
            ranges.append((start, start + len(chunk)))
            at = start + len(chunk)
        shown = [text[a:b] for a, b in ranges]
        vectors, tokens, n = embedder.embed_documents(shown), embedder.count_tokens(shown), n + len(shown)
        for (_, evidence), query in zip(
            doc.questions, embedder.embed_documents([q for q, _ in doc.questions]), strict=True
        ):
            order = np.argsort(-(vectors @ query), kind="stable")
            served.append(is_served(order, ranges, tokens, evidence))
            ranks.append(reciprocal(order, ranges, evidence))
    return {"chunks": n, "served": float(np.mean(served)), "MRR": float(np.mean(ranks))}


def product(docs: list[Document], embedder) -> dict[str, float]:
    """The product's own chunks and search within the paper, in a library of these papers."""
    served, ranks = [], []
    with tempfile.TemporaryDirectory() as folder, open_library(IngestSettings(library=Path(folder))) as library:
        library.own()
        for doc in docs:
            paper = doc.parsed.paper
            chunks = chunk_paper(doc.parsed, max_tokens=160, count_tokens=embedder.count_tokens)
            vectors = embedder.embed_documents([chunk.text for chunk in chunks])
            pdf = library.kept_path(paper.id)
            pdf.touch()
            library.add(doc.parsed, chunks, vectors, embedder=embedder.name, pdf=pdf)
        retriever = Retriever(library, embedder)
        for doc in docs:
            for question, evidence in doc.questions:
                found = retriever.search(question, retriever.embed(question), k=50, paper_ids=[doc.parsed.paper.id])
                ranges = [(p.chunk.start, p.chunk.end) for p in found.passages]
                order = range(len(ranges))
                served.append(is_served(order, ranges, [p.chunk.n_tokens for p in found.passages], evidence))
                ranks.append(reciprocal(order, ranges, evidence))
        n = library.n_chunks()
    return {"chunks": n, "served": float(np.mean(served)), "MRR": float(np.mean(ranks))}


def header(prefix: str, title: str, section: str) -> str:
    """What is prepended to a chunk's text for embedding."""
    parts = {"none": [], "title": [title], "section": [section], "title, section": [title, section]}[prefix]
    return "".join(f"{part}. " for part in parts if part)


def is_served(order, ranges, tokens, evidence) -> bool:
    covered, used = [], 0
    for i in order:
        if used + tokens[i] > BUDGET:
            break
        used += tokens[i]
        covered.append(ranges[i])
    for a, b in evidence:
        marks = np.zeros(b - a, dtype=bool)
        for start, end in covered:
            marks[max(0, start - a) : max(0, end - a)] = True
        if marks.mean() >= 0.5:
            return True
    return False


def reciprocal(order, ranges, evidence) -> float:
    for rank, i in enumerate(order, 1):
        start, end = ranges[i]
        for a, b in evidence:
            if min(b, end) - max(a, start) >= 0.5 * min(b - a, end - start):
                return 1 / rank
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--papers", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 96, 128, 160, 200, 240])
    parser.add_argument("--split", choices=("train", "dev"), default="train")
    parser.add_argument(
        "--product", action="store_true", help="only the plain recipe beside the product, on this split"
    )
    options = parser.parse_args()
    path = next((ROOT.parent / "shared" / "data" / "qasper").glob(f"*{options.split}*"), None)
    if path is None:
        print("QASPER is not here: nothing measured")
        return
    docs = documents(path, options.papers)
    n = sum(len(doc.questions) for doc in docs)
    print(f"{len(docs)} papers of QASPER {options.split}, {n} questions with evidence, budget {BUDGET} word pieces\n")
    if options.product:
        for name, measured in (("plain recipe", plain), ("product", product)):
            print(f"{name}: {measured(docs, embedder_from(None))}", flush=True)
        return
    names = ["dense served", "lexical served", "fused served", "dense MRR", "lexical MRR", "fused MRR", "chunks"]
    print("| size | overlap | added before embedding | " + " | ".join(names) + " |\n|" + "---|" * (3 + len(names)))
    embedder = embedder_from(None)
    trials = [(size, 0.0, "none") for size in options.sizes]
    trials += [(160, 0.2, "none")]
    trials += [(160, 0.0, prefix) for prefix in ("title", "section", "title, section")]
    for size, overlap, prefix in trials:
        row = evaluate(docs, embedder, size=size, overlap=overlap, prefix=prefix)
        cells = [f"{row[name]:.3f}" if name != "chunks" else str(row[name]) for name in names]
        print(f"| {size} | {overlap:.0%} | {prefix} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
