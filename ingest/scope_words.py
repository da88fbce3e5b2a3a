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
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ingest.bm25 import K1, B, rarity
from ingest.schema import RANK, TOKENIZE, UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.connection import Connection

ROOM = 10_000
"""Chunks that are kept, and soon more."""


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
        self._places: dict[str, range] = {}
        """Of the chunks of each paper."""
        self._chunks: list[tuple[int, str]] = []
        """Row and id of each."""
        self._sizes = np.zeros(0)
        """Words of each."""

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
            places = [place for name in set(paper_ids) if (place := self._places[name])]
            if not places:
                return []
            first, last = min(place[0] for place in places), max(place[-1] for place in places)
            scores = self._scores(words, range(first, last + 1), mean_size)
            hits = [
                (float(scores[n - first]), *self._chunks[n]) for place in places for n in place if scores[n - first]
            ]
        best = sorted(hits, key=lambda hit: (-hit[0], hit[1]))[:k]
        return [(name, score) for score, _, name in sorted(best, key=lambda hit: (-hit[0], hit[2]))]

    def _scores(self, words: Sequence[tuple[str, float]], among: range, mean_size: float) -> np.ndarray:
        """The scores of these chunks, 0 where there is none of the words."""
        total, sizes = len(self._chunks), self._sizes[among.start : among.stop]
        length_here = K1 * (1 - B + B * sizes / (self._sizes.mean() or 1.0))
        length = K1 * (1 - B + B * sizes / mean_size)
        scores = np.zeros(len(among))
        found = "SELECT rowid, -rank FROM here WHERE here MATCH ? AND rowid BETWEEN ? AND ?"
        for word, idf in words:
            hits = self._db.execute(found, (word, among.start, among.stop - 1)).fetchall()
            if not hits:
                continue
            n = self._db.execute("SELECT count(*) FROM here WHERE here MATCH ?", (word,)).fetchone()[0]
            at = np.array([row for row, _ in hits]) - among.start
            share = np.array([score for _, score in hits]) / (rarity(n, total) * (K1 + 1))
            times = np.rint(length_here[at] * share / (1 - share))  # the weights of the columns are whole numbers
            scores[at] += idf * (times * (K1 + 1)) / (times + length[at])
        return scores

    def _take_in(self, paper_ids: Sequence[str]) -> None:
        version = self._version()
        if version is None or version != self._known or len(self._chunks) > ROOM:
            self._db.close()
            self._begin()
        self._known = None  # if what follows fails, it begins anew
        missing = set(paper_ids).difference(self._places)
        if missing:
            self._add(missing)
        self._known = version

    def _add(self, missing: set[str]) -> None:
        query = (
            "SELECT row, id, paper_id, text, section FROM chunks "  # noqa: S608 constant text
            f"WHERE paper_id IN (SELECT value FROM json_each(?)) AND paper_id NOT IN {UNFINISHED} ORDER BY paper_id"
        )
        rows = self._library().execute(query, (json.dumps(sorted(missing)),)).fetchall()
        first = len(self._chunks)
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO here(rowid, text, section) VALUES (?, ?, ?)",
            [(n, row[3], row[4]) for n, row in enumerate(rows, start=first)],
        )
        self._db.execute("COMMIT")
        self._chunks += [(row[0], row[1]) for row in rows]
        owners = Counter(row[2] for row in rows)
        at = first
        for name in sorted(missing):
            n = owners[name]
            self._places[name] = range(at, at + n)
            at += n
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
