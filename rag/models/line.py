"""The line before a model that writes a few answers at once: first come, first served, and one knows one's place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Line:
    """Lets `at_once` answers be written at the same time; the others wait in the order in which they came."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._there: list[Turn] = []
        """All who write or wait, in order; the first `at_once` write."""

    def join(self) -> Turn:
        """Stand at the end; use the turn as a context manager, which leaves the line however it ends."""
        turn = Turn(self)
        self._there.append(turn)
        return turn

    def ahead_of(self, turn: Turn) -> int:
        """How many answers have to end before this one begins; 0 if it may begin."""
        return max(0, self._there.index(turn) + 1 - self._at_once)

    def leave(self, turn: Turn) -> None:
        """Let the next one in."""
        self._there.remove(turn)
        for other in self._there:
            other.moved.set()


class Turn:
    """One answer's place in a line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.moved = asyncio.Event()
        """Set when somebody has left the line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.leave(self)

    async def waiting(self) -> AsyncIterator[int]:
        """Wait until it may begin; yields the number of answers before it, at first and whenever it has changed."""
        said = 0
        while True:
            self.moved.clear()  # before looking: who is told may take a while, and somebody may leave meanwhile
            ahead = self._line.ahead_of(self)
            if not ahead:
                return
            if ahead != said:
                said = ahead
                yield ahead
            await self.moved.wait()
