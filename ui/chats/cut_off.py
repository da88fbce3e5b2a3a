"""What of a stored chat was cut off when its process ended, by `kill -9` or a power loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import chainlit as cl

from ingest import UserFacingError
from ui import core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

_at_work: Counter[str] = Counter()
"""The chats that something is being done for in this process, whether or not a page of them is open."""


@asynccontextmanager
async def at_work(chat: str) -> AsyncIterator[None]:
    """Wrap what is done for a chat; other processes of the app know of it too."""
    _at_work[chat] += 1
    claimed = False
    try:
        claimed = await _claimed(chat)
        yield
    finally:
        _at_work[chat] -= 1
        if not _at_work[chat]:
            del _at_work[chat]
        if claimed:
            await _give_back(chat)


def working(handler: Callable[[cl.Message], Awaitable[None]]) -> Callable[[cl.Message], Awaitable[None]]:
    """A handler of messages that is at work for their chat."""

    @wraps(handler)
    async def handle(message: cl.Message) -> None:
        async with at_work(cl.context.session.thread_id):
            await handler(message)

    return handle


async def last_cut_off(steps: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The last message of the user, if what it began has no end and goes on nowhere.

    Args:
        steps: of a stored chat, in order.
    """
    at = max((n for n, step in enumerate(steps) if step.get("type") == "user_message"), default=None)
    if at is None or await _goes_on(str(steps[at].get("threadId"))):
        return None
    last, later = steps[at], steps[at + 1 :]
    replies = [step for step in later if step.get("type") == "assistant_message"]
    if any({"answer", "stopped"} & (step.get("metadata") or {}).keys() for step in replies):
        return None  # complete, and only what comes after it is missing
    run = next((step for step in later if step.get("type") == "run" and step.get("parentId") == last.get("id")), None)
    if run is not None:
        return None if run.get("end") else last
    return None if replies else last


async def _goes_on(chat: str) -> bool:
    return chat in _at_work or not await _is_free(chat)


async def _is_free(chat: str) -> bool:
    """Whether no other process of the app works for the chat."""
    if core.whole_library().is_alone:
        return True
    if free := await _claimed(chat):
        await _give_back(chat)
    return free


async def _claimed(chat: str) -> bool:
    library = core.whole_library()
    with suppress(UserFacingError):  # Postgres is away
        return not library.is_alone and await asyncio.to_thread(library.claim, f"chat {chat}")
    return False


async def _give_back(chat: str) -> None:
    with suppress(UserFacingError):  # and the claim with it
        await asyncio.to_thread(core.whole_library().give_back, f"chat {chat}")
