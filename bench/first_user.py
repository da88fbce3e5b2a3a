"""256 questions as a new user asks them, about 40 or 48 real papers at once, of twelve kinds.

    python bench/first_user.py [--set a b c d e f g] [--kind value …] [--libraries FOLDER]

`first_user.jsonl` was written by people who had not seen the product: sets of 36, three of each kind, each on ten
or twelve papers, with the right answer and words that it must have; and set e, 40 comparisons, summaries, methods and
effects to develop on. An answer counts as right by these words, in the answer or its quoted sentences; an absent topic
by a refusal. The words are too strict for some answers and too lenient for others, so read them: each is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_rows import DATA  # noqa: E402

from ingest import Ingest, IngestSettings, Source, open_library  # noqa: E402
from rag import Assistant, RagSettings  # noqa: E402

QUESTIONS = Path(__file__).with_suffix(".jsonl")
FOLDERS = dict.fromkeys("dfg", ("papers", "papers2"))
"""The folders of papers that a set is asked of, if not the first alone."""


def has_words(text: str, keywords: list[list[str]]) -> bool:
    """Whether the text has one of each group of words."""
    return all(any(word in text for word in group) for group in keywords)


async def ask(rows: list[dict], folder: Path, papers: Sequence[str] = ("papers",)) -> None:
    """Ask the questions of a library of these papers, which is made if the folder has none, and print the answers."""
    right, asked = defaultdict(int), defaultdict(int)
    with open_library(IngestSettings(library=folder)) as library:
        assistant = Assistant.open(RagSettings(), library=library)
        if not library.papers():
            files = [file for name in papers for file in sorted((DATA / name).glob("*.pdf"))]
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
    parser.add_argument("--set", nargs="+", default=["a", "b", "c", "d"], choices=["a", "b", "c", "d", "e", "f", "g"])
    parser.add_argument("--kind", nargs="+", help="only these kinds")
    parser.add_argument("--libraries", type=Path, help="keep the libraries of the papers here")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("The papers are not here: nothing asked")
        return
    every = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    rows = [r for r in every if r["id"][0] in options.set and (not options.kind or r["kind"] in options.kind)]
    with tempfile.TemporaryDirectory() as folder:
        for papers in (("papers",), ("papers", "papers2")):
            its = [row for row in rows if FOLDERS.get(row["id"][0], ("papers",)) == papers]
            if its:
                print(f"\nasked of {' and '.join(papers)}")
                asyncio.run(ask(its, (options.libraries or Path(folder)) / "-".join(papers), papers))


if __name__ == "__main__":
    main()
