"""How fast the Library page's list and filter are with many papers: p50 and p95 in milliseconds.

    python bench/library_panel.py [--papers 1000] [--rounds 40]

The papers are rows in a temporary library: no PDF is read, nothing is embedded, no model is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import IngestSettings, Library, open_library  # noqa: E402
from ingest.paper import QualityReport  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

QUERIES = ("", "an", "anti-diabetic", "miller 2014", "tag:thesis", "no such paper at all")
MOST_MS = 300
"""What the list may take with 1,000 papers."""


def fill(library: Library, *, papers: int) -> None:
    """Write the rows of small papers, a third of them with a tag, each with a report."""
    dice = random.Random(7)
    words = ["".join(dice.choices("abcdefghilmnoprstu", k=dice.randint(3, 10))) for _ in range(4_000)]
    names = ["Ada Miller", "Zoë van der Burg", "Łukasz Nowak", "J. Stone", *(word.title() for word in words[:400])]
    report = QualityReport(
        n_pages=9, n_words=4_000, n_columns=2, n_headings=8, n_references=30, second_engine_pages=0,
        garbled_share=0.0, ocr_pages=(2, 3),
    )  # fmt: skip
    library.own()
    now = datetime.now(UTC)
    with library._db as db:  # noqa: SLF001
        for number in range(papers):
            title = " ".join([*dice.choices(words, k=8), dice.choice(["anti\u2011diabetic", "antiviral"])])
            when = (now - timedelta(minutes=papers - number)).isoformat()
            authors = json.dumps(dice.sample(names, k=dice.randint(1, 6)))
            db.execute(
                "INSERT INTO papers (id, title, authors, year, doi, n_pages, file_name, report, refs, added_at, "
                "finished_at) VALUES (?, ?, ?, ?, ?, 9, ?, ?, '[]', ?, ?)",
                (f"{number:016x}", title, authors, dice.randint(1980, 2026), f"10.1/{number}", f"{number}.pdf",
                 json.dumps(asdict(report)), when, when),
            )  # fmt: skip
            if number % 3 == 0:
                db.execute("INSERT INTO tags VALUES (?, ?)", (f"{number:016x}", dice.choice(["thesis", "to read"])))


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """p50 and p95 of so many rounds, in milliseconds; the first is not counted."""
    work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))


def main() -> int:
    """Print the figures; 1 if the list is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHAINLIT_APP_ROOT"] = folder  # Chainlit writes its files there
        with open_library(IngestSettings(library=Path(folder) / "library")) as library:
            fill(library, papers=options.papers)
            return _measure(library, options.rounds)


def _measure(library: Library, rounds: int) -> int:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from ui import core
    from ui.web import library_routes, paper_list

    core.library = lambda: library  # type: ignore[assignment]
    app = FastAPI()
    app.include_router(library_routes.router())
    client = TestClient(app)
    slowest = 0.0
    for query in QUERIES:
        reply = client.get("/library/papers", params={"q": query})
        p50, p95 = timed(lambda query=query: client.get("/library/papers", params={"q": query}), rounds)
        slowest = max(slowest, p95)
        print(
            f"route   {query or '(all)':24} {len(reply.json()['papers']):5} found  p50 {p50:6.1f} ms  p95 {p95:6.1f} ms"
        )
    rows = paper_list.rows(library.overview(), local_only=(), samples=(), hidden=())
    for query in QUERIES[1:]:
        p50, p95 = timed(lambda query=query: paper_list.filtered(rows, query), rounds)
        print(
            f"filter  {query:24} {len(paper_list.filtered(rows, query)):5} found  p50 {p50:6.1f} ms  p95 {p95:6.1f} ms"
        )
    return int(slowest > MOST_MS)


if __name__ == "__main__":
    sys.exit(main())
