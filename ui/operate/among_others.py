"""One of several app processes: what one that has ended left undone is carried on with, and choices are followed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ingest import UserFacingError
from ingest.pipeline import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from ingest import Library

log = logging.getLogger(__name__)

SECONDS = 3.0
"""How long what an ended process left may lie, about."""


async def watch(
    library: Library, resume: Callable[[Container[str]], None], follow: Callable[[], Awaitable[None]]
) -> None:
    """Look every few seconds; runs until it is cancelled.

    Args:
        library: the one that the processes share.
        resume: carries on with files on their way, but for those of the ids that it is given.
        follow: answers with what was chosen in another process.
    """
    tried: set[str] = set()
    said = ""
    while True:
        await asyncio.sleep(SECONDS)
        try:
            await asyncio.to_thread(_take_over, library, resume, tried)
            await follow()
            said = ""
        except UserFacingError as error:  # Postgres or Chroma is away, say
            if said != (said := str(error)):
                log.warning("%s", error)
        except Exception:
            log.exception("What other processes left could not be seen to")


def _take_over(library: Library, resume: Callable[[Container[str]], None], tried: set[str]) -> None:
    """Each file is tried once: what stays on its way then, stays so for a reason that trying again does not change."""
    library.take_over()
    waiting = {entry.paper_id for entry in library.ledger.entries(*UNFINISHED)}
    tried &= waiting
    free = {one for one in waiting - tried if library.claim(one)}
    for one in free:
        library.give_back(one)
    if free:
        resume(waiting - free)
        tried |= {entry.paper_id for entry in library.ledger.entries(*UNFINISHED)} & free
