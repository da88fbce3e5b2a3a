"""Ask for a client within what its key reaches, all papers or those with its tag, and stop when the client leaves."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from ingest.errors import TagError
from ingest.tags import clean
from ingest.terminal import well_formed
from rag.answer import Answered, TextDelta
from ui import core
from ui.api.errors import ApiError
from ui.operate.metrics import watched
from ui.people.store import Hold, People, Person
from ui.people.view import View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
    from typing import Any

    from starlette.requests import Request

    from ingest import Library
    from rag import Assistant
    from rag.answer import Answer, Mode
    from ui.api.keys import ApiKey

T = TypeVar("T")

LEFT_SECONDS = 0.25
"""How often it is looked whether a client that waits for a whole answer is still there."""

MOST_KEPT = 16
"""Assistants over a tag's papers that are kept, with what their search has learned."""

_NOBODY = Person(id="", name="", admin=False)


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
        UserFacingError: the question cannot be asked, its papers or tag are not there for this key, or the model fails.
    """
    with core.answering() as whole_assistant:
        assistant = await asyncio.to_thread(assistant_for, key, whole_assistant)
        asked = assistant.ask(
            well_formed(wish.question),
            mode=wish.mode,
            paper_ids=wish.papers,
            tag=key.tag if wish.tag is None else wish.tag,
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


class _Tagged(People):
    """Stands in for the accounts of a view: the papers with the tag are shared, and nothing else is there.

    It only answers what a view asks to read; it has no file, so whatever would change something fails.
    """

    def __init__(self, whole: Library, tag: str) -> None:  # it has no database
        self._whole, self._tag = whole, tag
        try:
            self._folded = clean(tag).casefold()
        except TagError:  # no tag at all, which no paper has
            self._folded = ""

    def held(self, paper: str) -> Mapping[str, Hold]:
        """The paper as shared, if it has the tag."""
        return _shared(paper) if self._folded in map(str.casefold, self._whole.tags_of(paper)) else {}

    def holds(self) -> Mapping[str, Mapping[str, Hold]]:
        """The papers with the tag, as shared."""
        return {paper: _shared(paper) for paper in self._ids()}

    def seen_among(self, person: Person, papers: Iterable[str]) -> list[str]:  # noqa: ARG002 - as of `People`
        """Those of the papers that have the tag."""
        ids = self._ids()
        return [paper for paper in papers if paper in ids]

    def _ids(self) -> set[str]:
        try:
            return {paper.id for paper in self._whole.tagged(self._tag)}
        except TagError:  # no paper has it
            return set()


def library_for(key: ApiKey) -> Library:
    """The library as the key reaches it."""
    return core.library() if key.tag is None else _view(core.library(), key.tag)


def assistant_for(key: ApiKey, whole: Assistant) -> Assistant:
    """This assistant over what the key reaches."""
    return whole if key.tag is None else _over(whole, core.library(), key.tag)


def _view(whole: Library, tag: str) -> View:
    return View(whole, _NOBODY, _Tagged(whole, tag))


@lru_cache(maxsize=MOST_KEPT)
def _over(whole: Assistant, papers: Library, tag: str) -> Assistant:
    return whole.over(_view(papers, tag))


def _shared(paper: str) -> dict[str, Hold]:
    """As somebody shares it who is told nowhere: its facts, tags, date and file's name are the library's."""
    return {"*": Hold(paper, "*", shared=True, file="", added_at="", facts={}, tags=(), local=False)}
