"""A library of many made papers, filled through its own tables in seconds."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest.paper import PAGE_BREAK

if TYPE_CHECKING:
    from ingest import Embedder, Library

PAGES, PAGE_CHARS, CHUNK_CHARS = 10, 4_000, 700
TOPIC = "zymurgy"
"""Only the first `ABOUT` papers speak of it."""
ABOUT = 10


def sentence(paper: int, n: int) -> str:
    """A sentence that stands in one paper only."""
    return f"The {TOPIC} of barrel {paper} was kept at {n} degrees for {paper + n} days before it was measured."


def fill(library: Library, embedder: Embedder, *, papers: int = 200) -> list[str]:
    """Add the papers, each with ten pages of an article's length and one passage a page; returns their ids."""
    dice = random.Random(7)
    words = ["".join(dice.choices("abcdefghilmnoprstu", k=dice.randint(3, 10))) for _ in range(4_000)]
    library.own()
    library._claim_for(embedder.name)
    ids, names, texts, rows = [], [], [], []
    now = datetime.now(UTC).isoformat()
    for paper in range(papers):
        paper_id = f"{paper:016x}"
        ids.append(paper_id)
        pages = [_page(dice, words, paper, n) for n in range(PAGES)]
        begins = [sum(map(len, pages[:n])) + n * len(PAGE_BREAK) for n in range(PAGES)]
        for n, page in enumerate(pages):
            names.append(f"{paper_id}:{n:04}")
            texts.append(page[:CHUNK_CHARS])
            rows.append((names[-1], paper_id, n, texts[-1], begins[n], begins[n] + len(texts[-1]), n + 1, n + 1))
        with library._db as db:
            db.execute(
                "INSERT INTO papers (id, title, authors, n_pages, file_name, refs, added_at, finished_at)"
                " VALUES (?, ?, '[]', ?, ?, ?, ?, ?)",
                (paper_id, f"Paper {paper}", PAGES, f"{paper}.pdf", json.dumps([]), now, now),
            )
            db.executemany(
                "INSERT INTO pages VALUES (?, ?, ?)", [(paper_id, n, page) for n, page in enumerate(pages, start=1)]
            )
    vectors = embedder.embed_documents(texts)
    with library._db as db:
        db.executemany(
            'INSERT INTO chunks (id, paper_id, ordinal, text, start, "end", first_page, last_page, n_tokens, vector)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 120, ?)",
            [(*row, vector.tobytes()) for row, vector in zip(rows, vectors, strict=True)],
        )
    library.vectors.add(names, vectors)
    return ids


def _page(dice: random.Random, words: list[str], paper: int, n: int) -> str:
    said, size = [], 0
    if paper < ABOUT:
        said = [sentence(paper, n)]
    while size < PAGE_CHARS:
        long = dice.choices(words, k=3)
        short = "".join(word[0] for word in long).upper()
        plain = dice.choices(words, k=16)
        plain[5:5] = [*long, f"({short})"] if dice.random() < 0.2 else []
        said.append(f"The {' '.join(plain)}.")
        size += len(said[-1]) + 1
    return " ".join(said)
