"""Mining speed and all mined pairs of 40 papers, and what long forms add to the word search for QASPER's questions.

    python bench/terms.py [--split train|dev]

Search within one paper, by FTS5's BM25 over its paragraphs as in the library. A question is "touched" if its query
changes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.parse import parse_pdf  # noqa: E402 the line above makes it importable
from rag.retrieval.retrieve import match_expression  # noqa: E402
from rag.retrieval.terms import RARE, Expansion, Index, meanings_of  # noqa: E402

DATA = ROOT.parent / "shared" / "data"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--split", default="train", choices=("train", "dev"))
    split = options.parse_args().split
    mine_papers()
    with gzip.open(DATA / "qasper" / f"{split}.json.gz") as file:
        search(json.load(file))


def mine_papers():
    texts = {p.stem: parse_pdf(p).text for p in sorted((DATA / "papers").glob("*.pdf"))}
    began = time.perf_counter()
    mined = {name: meanings_of(text, name) for name, text in texts.items()}
    seconds = time.perf_counter() - began
    for name, meanings in mined.items():
        for meaning in meanings:
            print(f"{name} | {meaning.short} | {meaning.long}")
    print(f"{len(texts)} papers mined in {seconds:.2f} s: {sum(map(len, mined.values()))} abbreviations\n")


def search(papers):
    mined = {name: meanings_of(text_of(paper), name) for name, paper in papers.items()}
    library = Index(meaning for meanings in mined.values() for meaning in meanings)
    hits = {"none": {}, "always": {}, f"asked form in at most {RARE}": {}}
    touched = {name: set() for name in hits}
    for name, paper in papers.items():
        paragraphs, index = [text for text in paragraphs_of(paper) if text.strip()], Index(mined[name])
        db = sqlite3.connect(":memory:")
        db.execute("CREATE VIRTUAL TABLE w USING fts5(text, tokenize='porter unicode61 remove_diacritics 2')")
        db.executemany("INSERT INTO w(rowid, text) VALUES (?, ?)", enumerate(paragraphs))

        def find(match, k, db=db):
            order = "ORDER BY bm25(w), rowid LIMIT ?"
            return [row[0] for row in db.execute(f"SELECT rowid FROM w WHERE w MATCH ? {order}", (match, k))]

        for row in paper["qas"]:
            evidence = {e for answer in row["answers"] for e in answer["answer"]["evidence"]}
            gold = {i for i, text in enumerate(paragraphs) if text in evidence}
            if not gold:
                continue
            own = index.find(row["question"])
            known = {match.asked for match in own}
            matches = own + [m for m in library.find(row["question"]) if m.asked not in known]
            rare = [m for m in matches if len(find(match_expression("", [m.asked]), RARE + 1)) <= RARE]
            for how, some in zip(hits, ([], matches, rare), strict=True):
                extra = Expansion(tuple(some)).words
                hits[how][row["question_id"]] = bool(gold & set(find(match_expression(row["question"], extra), 5)))
                if extra:
                    touched[how].add(row["question_id"])
    for how, found in hits.items():
        before, after = (sum(some[i] for i in touched[how]) for some in (hits["none"], found))
        n = max(1, len(touched[how]))
        print(f"{how}: hit@5 of all {sum(found.values()) / len(found):.4f}; ", end="")
        print(f"{len(touched[how])} touched, {before / n:.4f} → {after / n:.4f}")


def paragraphs_of(paper):
    return [paper["abstract"], *(text for section in paper["full_text"] for text in section["paragraphs"])]


def text_of(paper):
    return "\n\n".join((paper["title"], *paragraphs_of(paper)))


if __name__ == "__main__":
    main()
