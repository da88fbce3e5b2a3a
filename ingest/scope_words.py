"""Word search within a few papers of a large library: BM25 as in FTS5, at a cost that does not grow with the library.

FTS5's `bm25` walks through all chunks that have a word of the query, whatever rows are asked for. So the chunks of a
scope are taken into an FTS5 table of their own in memory, whose score of one word tells how often it occurs in each of
them. From that, the score is computed anew with the frequencies of the whole library. A chat asks the same papers
again, so the tables are kept until the library changes or there are too many.
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

ROOM = 10_000
"""Chunks that are kept at most, if those of one scope are not more."""


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
        self._tables: dict[frozenset[str], _Table] = {}
        """By papers, those asked for last at the end."""

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
            table = self._table(frozenset(paper_ids))
            scores = table.scores(words, mean_size)
        found = np.flatnonzero(scores)
        best = found[np.argsort(-scores[found], kind="stable")][:k]
        return sorted(((table.names[n], float(scores[n])) for n in best), key=lambda hit: (-hit[1], hit[0]))

    def _table(self, papers: frozenset[str]) -> _Table:
        version = self._version()
        if version is None or version != self._known:
            self._keep(-1)
        self._known = version
        table = self._tables.pop(papers, None) or _Table(self._library(), papers)
        self._keep(ROOM - len(table.names))
        self._tables[papers] = table
        return table

    def forget(self) -> None:
        """Read everything again; the connections were closed."""
        with self._guard:
            self._keep(-1)

    def _keep(self, room: int) -> None:
        """Close the oldest tables until the others have no more chunks than that."""
        while self._tables and sum(len(table.names) for table in self._tables.values()) > room:
            self._tables.pop(next(iter(self._tables))).close()


class _Table:
    """The words of one scope."""

    def __init__(self, library: Connection, papers: frozenset[str]) -> None:
        query = (
            "SELECT text, section, id FROM chunks "  # noqa: S608 constant text
            f"WHERE paper_id IN (SELECT value FROM json_each(?)) AND paper_id NOT IN {UNFINISHED} ORDER BY row"
        )
        rows = library.execute(query, (json.dumps(sorted(papers)),)).fetchall()
        self.names = [row[2] for row in rows]
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f"CREATE VIRTUAL TABLE here USING fts5(text, section, content='', tokenize='{TOKENIZE}')")
        self._db.execute(f"INSERT INTO here(here, rank) VALUES ('rank', '{RANK}')")  # noqa: S608 constant text
        self._db.execute("BEGIN")
        insert = "INSERT INTO here(rowid, text, section) VALUES (?, ?, ?)"
        self._db.executemany(insert, ((n, *row[:2]) for n, row in enumerate(rows)))
        self._db.execute("COMMIT")
        sizes = self._db.execute("SELECT sz FROM here_docsize ORDER BY id").fetchall()
        self._sizes = np.array([sum(varints(blob)) for (blob,) in sizes], dtype=float)

    def scores(self, words: Sequence[tuple[str, float]], mean_size: float) -> np.ndarray:
        """The score of each chunk, 0 where there is none of the words."""
        scores = np.zeros(len(self.names))
        if not self.names:
            return scores
        length_here = K1 * (1 - B + B * self._sizes / (self._sizes.mean() or 1.0))
        length = K1 * (1 - B + B * self._sizes / mean_size)
        for word, idf in words:
            hits = self._db.execute("SELECT rowid, -rank FROM here WHERE here MATCH ?", (word,)).fetchall()
            if not hits:
                continue
            at = np.array([row for row, _ in hits])
            share = np.array([score for _, score in hits]) / (rarity(len(hits), len(self.names)) * (K1 + 1))
            times = np.rint(length_here[at] * share / (1 - share))  # the weights of the columns are whole numbers
            scores[at] += idf * (times * (K1 + 1)) / (times + length[at])
        return scores

    def close(self) -> None:
        """Give the memory back."""
        self._db.close()


def varints(blob: bytes) -> list[int]:
    """The numbers that SQLite has written one after the other, each of up to eight bytes."""
    numbers, number = [], 0
    for byte in blob:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    return numbers
