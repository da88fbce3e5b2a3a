"""Waiting for what has to happen: until it does, with a bound that only a fault reaches, on a busy machine too."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 240.0
"""Seconds."""


def until(condition: Callable[[], object], *, within: float = PATIENCE) -> bool:
    """Whether the condition came true in time; it is looked at twenty times a second."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return bool(condition())
        time.sleep(0.05)
    return True


async def soon(condition: Callable[[], object], *, within: float = PATIENCE) -> bool:
    """The same inside an event loop, which goes on meanwhile."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return bool(condition())
        await asyncio.sleep(0.05)
    return True


async def events_of(stream):
    """All of them, when the stream has ended."""
    async with aclosing(stream) as events:
        return [event async for event in events]
