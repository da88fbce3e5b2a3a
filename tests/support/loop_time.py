"""How long each callback blocks an event loop, in wall-clock and in CPU time, which other processes do not inflate."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """One callback; nothing else in the loop ran during it."""

    processor: float
    """CPU milliseconds of the loop's own thread."""
    clock: float
    """Wall-clock milliseconds, including time in which other threads and programs ran."""
    what: str


@asynccontextmanager
async def held() -> AsyncIterator[list[Hold]]:
    """The callbacks of this thread's loop that run inside the block, each added once it has ended.

    Garbage from before is excluded: how long a collection takes depends on everything the test run holds.
    """
    holds: list[Hold] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        before, used, began = _named(handle), time.thread_time(), time.perf_counter()
        run(handle)
        used, began = time.thread_time() - used, time.perf_counter() - began
        holds.append(Hold(1000 * used, 1000 * began, f"from {before} to {_named(handle)}"))

    gc.collect()
    gc.freeze()
    asyncio.Handle._run = timed
    try:
        yield holds
        await asyncio.sleep(0)  # let the callback that ran the last of it end
    finally:
        asyncio.Handle._run = run
        gc.unfreeze()


def _named(handle: asyncio.Handle) -> str:
    """The callback's name; for a task, the places where it waits, innermost last."""
    task = getattr(handle._callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return repr(handle._callback)
    where, at = [], task.get_coro()
    while at is not None:
        frame = getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None) or getattr(at, "gi_frame", None)
        where += [f"{frame.f_code.co_qualname}:{frame.f_lineno}"] if frame else []
        at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
    return " > ".join(where) or repr(task)
