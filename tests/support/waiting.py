"""Wait until something happens, with a timeout that only a fault reaches, even on a busy machine."""

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
    """Whether the condition became true in time; checked twenty times a second."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return bool(condition())
        time.sleep(0.05)
    return True


async def soon(condition: Callable[[], object], *, within: float = PATIENCE) -> bool:
    """The same inside a running event loop."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return bool(condition())
        await asyncio.sleep(0.05)
    return True


async def events_of(stream):
    """All events, once the stream has ended."""
    async with aclosing(stream) as events:
        return [event async for event in events]
