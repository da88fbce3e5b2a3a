"""108 questions as a new user asks them, about 40 real papers at once: twelve kinds, nine of each.

    python bench/first_user.py [--set a b c] [--kind value …] [--library FOLDER]

`first_user.jsonl` was written by people who had not seen the product: three sets on ten papers each, with the right
answer and words that it must have. An answer counts as right by these words, in the answer or its quoted sentences; an
absent topic by a refusal. The words are too strict for some answers and too lenient for others, so read them: each is
printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_rows import DATA  # noqa: E402

from ingest import Ingest, IngestSettings, Source, open_library  # noqa: E402
from rag import Assistant, RagSettings  # noqa: E402

QUESTIONS = Path(__file__).with_suffix(".jsonl")


def has_words(text: str, keywords: list[list[str]]) -> bool:
    """Whether the text has one of each group of words."""
    return all(any(word in text for word in group) for group in keywords)


async def ask(rows: list[dict], folder: Path) -> None:
    right, asked = defaultdict(int), defaultdict(int)
    with open_library(IngestSettings(library=folder)) as library:
        assistant = Assistant.open(RagSettings(), library=library)
        if not library.papers():
            files = sorted((DATA / "papers").glob("*.pdf"))
            list(Ingest(library=library, embedder=assistant.embedder).run(Source(file, file.name) for file in files))
        for row in rows:
            answer = await assistant.answer(row["question"])
            quotes = [citation.quote for citation in answer.citations]
            told = " ".join((answer.text, *quotes, answer.notice or ""))
            good = answer.abstained if row["kind"] == "absent" else has_words(told, row["keywords"])
            right[row["kind"]] += good
            asked[row["kind"]] += 1
            print(f"\n{'right' if good else 'wrong'}  {row['id']}  {row['question']}\n  wanted: {row['answer']}")
            print(
                f"  said:   {' '.join(answer.text.split())[:300]}",
                *(f"  quoted: {q[:200]}" for q in quotes[:2]),
                sep="\n",
            )
        await assistant.close()
    print()
    for kind, n in asked.items():
        print(f"{kind:12} {right[kind]} of {n}")
    print(f"right by their words: {sum(right.values())} of {sum(asked.values())}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", nargs="+", default=["a", "b", "c"], choices=["a", "b", "c"])
    parser.add_argument("--kind", nargs="+", help="only these kinds")
    parser.add_argument("--library", type=Path, help="keep the library of the 40 papers here")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("The papers are not here: nothing asked")
        return
    every = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    rows = [r for r in every if r["id"][0] in options.set and (not options.kind or r["kind"] in options.kind)]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ask(rows, options.library or Path(folder)))


if __name__ == "__main__":
    main()
