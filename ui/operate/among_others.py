"""One of several app processes: what one that has ended left undone is carried on with, and choices are followed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from ingest import UserFacingError
from ingest.pipeline import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Coroutine, Iterable

    from ingest import Library

log = logging.getLogger(__name__)

SECONDS = 3.0
"""How long what an ended process left may lie, about."""

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds until a file that stays on its way is tried again; twice as long each time."""


def watches(
    library: Library,
    resume: Callable[[Container[str]], None],
    went: Callable[[Iterable[str]], None],
    follow: Callable[[], Awaitable[None]],
) -> list[Coroutine[Any, Any, None]]:
    """What looks every few seconds until it is cancelled; by themselves, as each may take long.

    Args:
        library: the one that the processes share.
        resume: carries on with files on their way, but for those of the ids that it is given.
        went: is told which papers were removed.
        follow: answers with what was chosen in another process.
    """
    later: dict[str, tuple[float, float]] = {}
    return [
        _again(lambda: asyncio.to_thread(lambda: went(library.take_over()))),
        _again(lambda: asyncio.to_thread(carry_on, library, resume, later)),
        _again(follow),
    ]


async def _again(work: Callable[[], Awaitable[None]]) -> None:
    said = ""
    while True:
        await asyncio.sleep(SECONDS)
        try:
            await work()
            said = ""
        except UserFacingError as error:  # Postgres or Chroma is away, say
            if said != (said := str(error)):
                log.warning("%s", error)
        except Exception as error:
            if said != (said := repr(error)):
                log.exception("What other processes did could not be seen to")


def carry_on(library: Library, resume: Callable[[Container[str]], None], later: dict[str, tuple[float, float]]) -> None:
    """Carry on with files that nobody works on; with one that stays on its way, after a longer and longer pause.

    Args:
        library: the one that the processes share.
        resume: see `watches`.
        later: for each file that was tried, when to try again, and the pause after that; it is changed here.
    """
    waiting = {entry.paper_id for entry in library.ledger.entries(*UNFINISHED)}
    for known in later.keys() - waiting:
        del later[known]
    now = time.monotonic()
    free = {one for one in waiting if later.get(one, (now, 0.0))[0] <= now and library.claim(one)}
    for one in free:
        library.give_back(one)
    if not free:
        return
    resume(waiting - free)
    for entry in library.ledger.entries(*UNFINISHED):
        if entry.paper_id in free:
            pause = later.get(entry.paper_id, (0.0, FIRST_PAUSE))[1]
            later[entry.paper_id] = (time.monotonic() + pause, min(2 * pause, LONGEST_PAUSE))
