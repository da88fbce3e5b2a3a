"""Ask the assistant for a client, and stop as soon as the client has left."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ingest import UserFacingError
from ingest.terminal import well_formed
from rag.answer import Answered, TextDelta
from ui import core
from ui.api.errors import ApiError
from ui.operate.metrics import watched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from typing import Any

    from starlette.requests import Request

    from rag.answer import Answer, Mode
    from ui.api.keys import ApiKey

T = TypeVar("T")

LEFT_SECONDS = 0.25
"""How often it is looked whether a client that waits for a whole answer is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One question of a client."""

    question: str
    mode: Mode = "draft"
    history: tuple[tuple[str, str], ...] = ()
    papers: tuple[str, ...] | None = None
    tag: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None


async def events(wish: Wish, key: ApiKey) -> AsyncGenerator[str | Answer, None]:
    """Pieces of the draft as they are written, then the checked answer.

    Nobody can be asked for consent here: what may leave the machine is what was allowed before.

    Raises:
        ApiError: papers or a tag beyond the key.
        UserFacingError: the question cannot be asked, or the model fails.
    """
    tag, papers = await asyncio.to_thread(_reached, wish, key)
    with core.answering() as assistant:
        asked = assistant.ask(
            well_formed(wish.question),
            mode=wish.mode,
            paper_ids=papers,
            tag=tag,
            history=[(well_formed(q), well_formed(a)) for q, a in wish.history],
            max_tokens=wish.max_tokens,
            temperature=wish.temperature,
        )
        async with aclosing(watched(asked)) as found:
            async for event in found:
                if isinstance(event, TextDelta):
                    yield event.text
                elif isinstance(event, Answered):
                    yield event.answer


async def whole(wish: Wish, key: ApiKey, request: Request) -> Answer:
    """The checked answer; what is still being written is stopped if the client leaves."""
    answer = await unless_left(_last(wish, key), request)
    if answer is None:
        raise ApiError(499, "The client has left.")
    return answer


async def unless_left(work: Coroutine[Any, Any, T], request: Request) -> T | None:
    """What `work` returns. If the client leaves, the work is stopped, and None comes back."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LEFT_SECONDS)
            if not task.done() and await request.is_disconnected():
                return None
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _last(wish: Wish, key: ApiKey) -> Answer:
    async with aclosing(events(wish, key)) as found:
        async for event in found:
            if not isinstance(event, str):
                return event
    raise AssertionError("a question ends with Answered")


def _reached(wish: Wish, key: ApiKey) -> tuple[str | None, list[str] | None]:
    """The tag and the papers to ask, within what the key reaches."""
    papers = list(wish.papers) if wish.papers is not None else None
    if key.tag is None or wish.tag in {None, key.tag}:
        return key.tag if key.tag is not None else wish.tag, papers
    both = _tagged(key.tag) & _tagged(str(wish.tag))
    return None, sorted(both if papers is None else both.intersection(papers))


def sees(key: ApiKey, paper_id: str) -> bool:
    """Whether the key reaches this paper."""
    return key.tag is None or paper_id in _tagged(key.tag)


def _tagged(tag: str) -> set[str]:
    try:
        return {paper.id for paper in core.library().tagged(tag)}
    except UserFacingError:  # no paper has it
        return set()
