"""What a library keeps in memory of its catalogue: all papers, and how many chunks each has, read once per change.

A row of `papers` is long (abstract, references, labels), so reading 7,000 of them takes 0.1 s: too long for each
question. The database says whether anybody, in this process or another, has changed it since.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.overview import PAPER, as_paper
from ingest.schema import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ingest.connection import Connection
    from ingest.paper import Paper

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
        return [self.papers[n] for n in sorted(self.place[name] for name in set(ids) if name in self.place)]


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
            self._counts: tuple[int | None, Mapping[str, int]] = (None, {})

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

    def n_chunks(self, ids: Sequence[str]) -> int | None:
        """How many chunks these papers have; None if they are few and have to be counted anyway."""
        with self._guard:
            version = self._version()
            if version is None or self._counts[0] != version:
                if len(ids) <= FEW:
                    return None
                rows = self._db().execute(
                    f"SELECT paper_id, count(*) FROM chunks WHERE paper_id NOT IN {UNFINISHED} GROUP BY paper_id"  # noqa: S608 constant text
                )
                self._counts = (version, dict(rows.fetchall()))
            return sum(self._counts[1].get(name, 0) for name in set(ids))

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
