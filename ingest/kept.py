"""What a library keeps in memory of its catalogue: all papers, and where their chunks are, read once per change.

A row of `papers` is long (abstract, references, labels), so reading 7,000 of them takes 0.1 s: too long for each
question. The database says whether anybody, in this process or another, has changed it since.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ingest.overview import PAPER, as_paper
from ingest.schema import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ingest.connection import Connection
    from ingest.paper import Paper

SCOPES = 16
"""Scopes that are kept: several people ask, each in their own papers. One takes a byte a paper, and 8 for each of its
papers."""

FEW = 50
"""Up to this many papers are read by their ids if those in memory are out of date."""


@dataclass(frozen=True, slots=True)
class Known:
    """The finished papers, in the order in which they were added."""

    version: int | None
    """Of the database; None for what is read within a transaction, which may still be undone."""
    papers: tuple[Paper, ...] = ()
    added_at: Mapping[str, str] = field(default_factory=dict)
    """By id, in the same order."""
    place: Mapping[str, int] = field(default_factory=dict)
    """By id, the place in that order."""

    def among(self, ids: Iterable[str]) -> list[Paper]:
        """Those of these ids, in order."""
        places = {place for place in map(self.place.get, ids) if place is not None}
        return list(map(self.papers.__getitem__, sorted(places)))


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Where the chunks of finished papers are in their table: runs of rows, each of one paper."""

    version: int | None
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """The first row of each run, in order."""
    last: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    place: Mapping[str, int] = field(default_factory=dict)
    """By paper, its first run."""
    more: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By paper, its other runs; nearly always empty."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """Some papers, by the runs of their chunks."""

    chunks: _Chunks
    wanted: np.ndarray
    """Which runs are theirs."""
    n: int
    """Chunks in them."""


class Kept:
    """The papers of one library as they are now. Safe for several threads.

    Args:
        connection: this thread's connection.
        version: a number that is another one after each change; None within a transaction.
    """

    def __init__(self, connection: Callable[[], Connection], version: Callable[[], int | None]) -> None:
        self._db, self._version = connection, version
        self._guard = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Read everything again; the connections were closed."""
        with self._guard:
            self._known = Known(None)
            self._chunks = _Chunks(None)
            self._scopes: dict[tuple[str, ...], _Scope] = {}
            """Those asked for last, the newest at the end."""

    def papers(self) -> Known:
        """All finished papers."""
        with self._guard:
            version = self._version()
            if version is None or self._known.version != version:
                self._known = self._read(version)
            return self._known

    def among(self, ids: Iterable[str]) -> list[Paper] | None:
        """The papers among these ids; None if they are few and have to be read anyway."""
        wanted = set(ids)
        with self._guard:
            if len(wanted) <= FEW and (self._known.version is None or self._known.version != self._version()):
                return None
            return self.papers().among(wanted)

    def n_chunks(self, ids: Sequence[str]) -> int:
        """How many chunks these papers have."""
        with self._guard:
            version = self._version()
            if len(ids) > FEW or (version is not None and self._chunks.version == version):
                return self._scope_of(ids).n
        query = "SELECT count(*) FROM chunks WHERE paper_id IN (SELECT value FROM json_each(?))"
        return int(self._db().execute(query, (json.dumps(list(ids)),)).fetchone()[0])

    def within(self, ids: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Which of these rows of chunks belong to the papers."""
        with self._guard:
            scope = self._scope_of(ids)
        chunks = scope.chunks
        if not len(chunks.first):
            return np.zeros(len(rows), dtype=bool)
        at = np.searchsorted(chunks.first, rows, side="right") - 1
        inside: np.ndarray = scope.wanted[at] & (at >= 0) & (rows <= chunks.last[at])
        return inside

    def _scope_of(self, ids: Sequence[str]) -> _Scope:
        """The last ones are kept: a search asks for its scope several times, and a chat asks the same papers again."""
        chunks, names = self._read_chunks(self._version()), tuple(ids)
        scope = self._scopes.pop(names, None)
        if scope is None or scope.chunks is not chunks:
            wanted = np.zeros(len(chunks.first), dtype=bool)
            wanted[[place for place in map(chunks.place.get, names) if place is not None]] = True
            if chunks.more:
                wanted[[place for name in names for place in chunks.more.get(name, ())]] = True
            scope = _Scope(chunks, wanted, int((chunks.last - chunks.first + 1)[wanted].sum()))
        self._scopes[names] = scope
        if len(self._scopes) > SCOPES:
            del self._scopes[next(iter(self._scopes))]
        return scope

    def _read_chunks(self, version: int | None) -> _Chunks:
        if version is None or self._chunks.version != version:
            query = (
                "SELECT paper_id, min(row), max(row), count(*) FROM chunks "  # noqa: S608 constant text
                f"WHERE paper_id NOT IN {UNFINISHED} GROUP BY paper_id"
            )
            found = self._db().execute(query).fetchall()
            runs: list[tuple[int, int, str]] = []
            for name, first, last, n in found:
                if last - first + 1 == n:  # nearly always: a paper's chunks are stored at once
                    runs.append((first, last, name))
                else:
                    rows = self._db().execute("SELECT row FROM chunks WHERE paper_id = ?", (name,))
                    runs += [(row, row, name) for (row,) in rows]
            runs.sort()
            at: dict[str, int] = {}
            more: dict[str, list[int]] = {}
            for place, (_, _, name) in enumerate(runs):
                if at.setdefault(name, place) != place:
                    more.setdefault(name, []).append(place)
            ends = np.array([run[:2] for run in runs], dtype=np.int64).reshape(-1, 2)
            self._chunks = _Chunks(version, ends[:, 0], ends[:, 1], at, more)
            self._scopes.clear()
        return self._chunks

    def _read(self, version: int | None) -> Known:
        rows = self._db().execute(
            f"SELECT {PAPER}, added_at FROM papers WHERE finished_at IS NOT NULL ORDER BY added_at, id"  # noqa: S608 constant columns
        )
        found = [(as_paper(row[:-1]), row[-1]) for row in rows]
        return Known(
            version,
            tuple(paper for paper, _ in found),
            {paper.id: added for paper, added in found},
            {paper.id: n for n, (paper, _) in enumerate(found)},
        )
