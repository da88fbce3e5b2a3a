"""Papers that the user removed and may still get back: they are deleted when the time is up, and never by a crash."""

from __future__ import annotations

import logging
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest import remove_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ingest import Library

log = logging.getLogger(__name__)

UNDO_SECONDS = 10.0
ENDING_SECONDS = 1.0
"""How long the end of the process waits for a removal that has begun; the next start would complete it."""


class Removals:
    """Waiting removals, in memory alone: whatever ends this process before their time, the papers are kept."""

    def __init__(self, library: Callable[[], Library], *, seconds: float = UNDO_SECONDS, of_one: bool = False) -> None:
        """Nothing waits yet.

        Args:
            library: where papers are removed.
            seconds: how long a removal waits.
            of_one: whether it is one person's: what others add is none of their business.
        """
        self._library = library
        self._of_one = of_one
        self._seconds = seconds
        self._lock = threading.Lock()
        self._at_work = threading.Lock()
        self._waiting: dict[str, list[str]] = {}
        self._asked: dict[str, str] = {}
        """When: ISO 8601, UTC, as in the ledger."""
        self._timers: dict[str, threading.Timer] = {}

    def put_off(self, paper_ids: Sequence[str]) -> str:
        """Remove these papers when the time is up; returns the key with which `undo` takes it back."""
        key = str(uuid.uuid4())
        timer = threading.Timer(self._seconds, self.carry_out, [key])
        timer.daemon = True
        with self._lock:
            self._waiting[key] = list(paper_ids)
            self._asked[key] = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._timers[key] = timer
        timer.start()
        return key

    def waiting(self) -> set[str]:
        """The ids of the papers that wait to be removed."""
        with self._lock:
            return {paper_id for ids in self._waiting.values() for paper_id in ids}

    def undo(self, key: str) -> int:
        """Keep the papers; returns how many, 0 if it is too late."""
        return len(self._take(key))

    def keep(self, paper_ids: Iterable[str | None]) -> None:
        """These papers were just added again: they are not removed."""
        kept = set(paper_ids)
        with self._lock:
            for key, ids in self._waiting.items():
                self._waiting[key] = [paper_id for paper_id in ids if paper_id not in kept]

    def carry_out(self, key: str) -> None:
        """Remove the papers of this key now."""
        with self._at_work:
            asked = self._asked.get(key, "")
            for paper_id in self._take(key):
                self._remove(paper_id, asked)

    def _remove(self, paper_id: str, asked: str) -> None:
        try:
            library = self._library()
            if not (self._of_one or library.is_alone):
                entry = library.ledger.get(paper_id)
                if entry and entry.changed_at > asked:
                    return  # it was added again, by another of several processes
            row = remove_one(library, paper_id)
        except Exception:
            log.exception("A paper could not be removed")
        else:
            if row["error"]:
                log.warning("A paper could not be removed: %s", row["error"])

    def forget(self) -> None:
        """Keep all papers that wait, and let a removal that has begun end; for the end of the process."""
        with self._lock:
            keys = list(self._waiting)
        for key in keys:
            self._take(key)
        if self._at_work.acquire(timeout=ENDING_SECONDS):
            self._at_work.release()

    def _take(self, key: str) -> list[str]:
        with self._lock:
            timer = self._timers.pop(key, None)
            ids = self._waiting.pop(key, [])
            self._asked.pop(key, None)
        if timer:
            timer.cancel()
        return ids
