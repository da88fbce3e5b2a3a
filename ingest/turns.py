"""Turns: so many threads at once and no more, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns:
    """At most `n` threads are at work; the others wait in line.

    More searches at once than processor cores make each of them slower and none of them sooner. `threading.Semaphore`
    is not fair: a thread that comes back at once overtakes those that wait.
    """

    def __init__(self, n: int) -> None:
        self._free = n
        self._line: deque[threading.Lock] = deque()
        self._guard = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn and hold it in the block."""
        with self._guard:
            if waits := self._free == 0:
                mine = threading.Lock()
                mine.acquire()
                self._line.append(mine)
            else:
                self._free -= 1
        if waits:
            mine.acquire()  # released by whoever hands the turn on
        try:
            yield
        finally:
            with self._guard:
                if self._line:
                    self._line.popleft().release()
                else:
                    self._free += 1
