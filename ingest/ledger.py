"""The ledger: the outcome of every file given to the library, so that a crash loses nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.connection import Connection

State = Literal["queued", "parsing", "embedding", "finished", "failed", "removing"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    paper_id TEXT PRIMARY KEY, file TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, changed_at TEXT NOT NULL)
    WITHOUT ROWID;
"""

_ENTRIES = "SELECT paper_id, file, state, reason, changed_at FROM ledger"  # in the order of `Entry`


@dataclass(frozen=True, slots=True)
class Entry:
    """The state of one file."""

    paper_id: str
    """Derived from the file's bytes, as for a paper."""
    file: str
    """The user's name for it."""
    state: State
    reason: str | None
    """Why it failed, in one sentence; else None."""
    changed_at: str
    """ISO 8601, UTC."""


class Ledger:
    """A table with one row per file, by content."""

    def __init__(self, connection: Callable[[], Connection]) -> None:
        self._db = connection

    def set(self, paper_id: str, state: State, *, file: str | None = None, reason: str | None = None) -> None:
        """Record a new state; `file` is needed the first time."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._db() as db:
            db.execute(
                "INSERT INTO ledger VALUES (?, ?, ?, ?, ?) ON CONFLICT (paper_id) DO UPDATE SET "
                "state = excluded.state, reason = excluded.reason, changed_at = excluded.changed_at, "
                "file = coalesce(?, ledger.file)",
                (paper_id, file or f"{paper_id}.pdf", state, reason, now, file),
            )

    def advance(self, paper_id: str, state: State) -> None:
        """Record a new state, unless another run has finished the paper meanwhile."""
        if not self.is_finished(paper_id):
            self.set(paper_id, state)

    def is_finished(self, paper_id: str) -> bool:
        """Whether the file has become a paper."""
        row = self._db().execute("SELECT 1 FROM ledger WHERE paper_id = ? AND state = 'finished'", (paper_id,))
        return row.fetchone() is not None

    def forget(self, paper_id: str) -> None:
        """Remove the row."""
        with self._db() as db:
            db.execute("DELETE FROM ledger WHERE paper_id = ?", (paper_id,))

    def get(self, paper_id: str) -> Entry | None:
        """The row of one file, or None."""
        row = self._db().execute(f"{_ENTRIES} WHERE paper_id = ?", (paper_id,)).fetchone()
        return Entry(*row) if row else None

    def entries(self, *states: State) -> list[Entry]:
        """All rows, or those in one of these states; the most recently changed last."""
        if not states:
            return [Entry(*row) for row in self._db().execute(f"{_ENTRIES} ORDER BY changed_at")]
        rows = self._db().execute(
            f"{_ENTRIES} WHERE state IN (SELECT value FROM json_each(?)) ORDER BY changed_at",  # noqa: S608 constant
            (json.dumps(states),),
        )
        return [Entry(*row) for row in rows]
