"""Word search within a few papers of a large library: BM25 as in FTS5, at a cost that does not grow with the library.

FTS5's `bm25` walks through all chunks that have a word of the query, whatever rows are asked for. So the chunks of the
scope are taken into an FTS5 table in memory, whose score of one word tells how often it occurs in each of them. From
that, the score is computed anew with the frequencies of the whole library. A chat asks the same papers again, so they
are kept until the library changes or the table is full.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING

import numpy as np

from ingest.bm25 import K1, B, rarity
from ingest.schema import RANK, TOKENIZE, UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.connection import Connection

ROOM = 20_000
"""Chunks that are kept; 1,000 take about a megabyte."""


class ScopeWords:
    """The words of some papers' chunks. Safe for several threads.

    Args:
        connection: this thread's connection to the library.
        version: a number that is another one after each change; None within a transaction.
    """

    def __init__(self, connection: Callable[[], Connection], version: Callable[[], int | None]) -> None:
        self._library, self._version = connection, version
        self._guard = threading.Lock()
        self._known: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f"CREATE VIRTUAL TABLE here USING fts5(text, section, content='', tokenize='{TOKENIZE}')")
        self._db.execute(f"INSERT INTO here(here, rank) VALUES ('rank', '{RANK}')")  # noqa: S608 constant text
        self._papers: set[str] = set()
        self._chunks: list[tuple[int, str, str]] = []  # row, id, paper
        self._sizes = np.zeros(0)

    def search(
        self, words: Sequence[tuple[str, float]], k: int, *, paper_ids: Sequence[str], mean_size: float
    ) -> list[tuple[str, float]]:
        """The k best chunks of these papers as (id, score), higher is better.

        Args:
            words: quoted words and phrases, joined by OR, each with its inverse document frequency in the library.
            k: maximum number of chunks.
            paper_ids: the papers.
            mean_size: words of a chunk of the library on average.
        """
        with self._guard:
            self._take_in(paper_ids)
            scores, found = self._scores(words, mean_size)
            inside = set(paper_ids)
            hits = [
                (float(scores[n]), *self._chunks[n][:2])
                for n in np.flatnonzero(found)
                if self._chunks[n][2] in inside
            ]  # fmt: skip
        best = sorted(hits, key=lambda hit: (-hit[0], hit[1]))[:k]
        return [(name, score) for score, _, name in sorted(best, key=lambda hit: (-hit[0], hit[2]))]

    def _scores(self, words: Sequence[tuple[str, float]], mean_size: float) -> tuple[np.ndarray, np.ndarray]:
        total = len(self._chunks)
        scores, found = np.zeros(total), np.zeros(total, dtype=bool)
        if not total:
            return scores, found
        length_here = K1 * (1 - B + B * self._sizes / (self._sizes.mean() or 1.0))
        length = K1 * (1 - B + B * self._sizes / mean_size)
        for word, idf in words:
            hits = self._db.execute("SELECT rowid, -rank FROM here WHERE here MATCH ?", (word,)).fetchall()
            if not hits:
                continue
            at = np.array([row for row, _ in hits])
            share = np.array([score for _, score in hits]) / (rarity(len(hits), total) * (K1 + 1))
            times = np.rint(length_here[at] * share / (1 - share))  # the weights of the columns are whole numbers
            scores[at] += idf * (times * (K1 + 1)) / (times + length[at])
            found[at] = True
        return scores, found

    def _take_in(self, paper_ids: Sequence[str]) -> None:
        version = self._version()
        if version is None or version != self._known or len(self._chunks) > ROOM:
            self._db.close()
            self._begin()
            self._known = version
        missing = set(paper_ids) - self._papers
        if not missing:
            return
        query = (
            "SELECT row, id, paper_id, text, section FROM chunks "  # noqa: S608 constant text
            f"WHERE paper_id IN (SELECT value FROM json_each(?)) AND paper_id NOT IN {UNFINISHED}"
        )
        rows = self._library().execute(query, (json.dumps(sorted(missing)),)).fetchall()
        first = len(self._chunks)
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO here(rowid, text, section) VALUES (?, ?, ?)",
            [(n, row[3], row[4]) for n, row in enumerate(rows, start=first)],
        )
        self._db.execute("COMMIT")
        self._papers |= missing
        self._chunks += [(row[0], row[1], row[2]) for row in rows]
        sizes = self._db.execute("SELECT sz FROM here_docsize WHERE id >= ? ORDER BY id", (first,))
        self._sizes = np.concatenate([self._sizes, [float(sum(varints(blob))) for (blob,) in sizes]])


def varints(blob: bytes) -> list[int]:
    """The numbers that SQLite has written one after the other, each of up to eight bytes."""
    numbers, number = [], 0
    for byte in blob:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    return numbers
