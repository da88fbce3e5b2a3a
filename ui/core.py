"""This process's library and assistant, and when the models are loaded."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from ingest import Ingest, IngestSettings, Library, UserFacingError
from ui import ending
from ui.serving import Serving
from ui.web.removals import Removals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from functools import _CacheInfo

    from rag import Assistant

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 20.0
"""How long loading the models waits for a first page to open."""

_page_open = asyncio.Event()
_stopping = threading.Event()
_tasks: set[asyncio.Task[None]] = set()


class Once(Generic[T]):
    """Made on first use, and once even if the pages ask from several threads; `functools.cache` may make two."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._made = cache(make)
        self._making = threading.RLock()
        self.cache_info: Callable[[], _CacheInfo] = self._made.cache_info
        self.cache_clear: Callable[[], None] = self._made.cache_clear

    def __call__(self) -> T:
        """The one of this process."""
        with self._making:
            return self._made()


@cache
def settings() -> IngestSettings:
    """The library's settings, read once."""
    return IngestSettings()


@Once
def library() -> Library:
    """The library, opened on first use."""
    return Library(settings())


def assistant() -> Assistant:
    """The assistant for that library as the settings are now; loads no model. Use `answering` for an answer."""
    return serving().current


@Once
def serving() -> Serving:
    """What answers, opened on first use."""
    return Serving.open(library())


@contextmanager
def answering() -> Iterator[Assistant]:
    """The assistant for one answer: its models stay until the answer has ended, whatever is chosen meanwhile."""
    current = assistant()
    with serving().using(current) if serving.cache_info().currsize else nullcontext():
        yield current


@Once
def removals() -> Removals:
    """Papers that were removed in the Library and may still be brought back."""
    return Removals(library)


@cache
def order_key() -> str:
    """The key with which Scholion's own commands ask the app to add or remove papers; new at every start."""
    return secrets.token_urlsafe(32)


def begin() -> None:
    """Load the models in the background once the first page is shown, because loading would slow the page down."""
    ending.watch(cut_off=_kill_models)
    task = asyncio.create_task(_warm_up())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def page_is_open() -> None:
    """Note that a page has been shown."""
    _page_open.set()


async def end() -> None:
    """Stop the answers and the models and close the library, each with its own timeout."""
    _stopping.set()
    for task in _tasks:
        task.cancel()
    await ending.answers_ended()
    if serving.cache_info().currsize:
        try:
            async with asyncio.timeout(ending.BOUNDS["models"]):
                await serving().close()
        except TimeoutError:  # a model hangs or is still loading
            _kill_models()
    if library.cache_info().currsize:
        try:
            async with asyncio.timeout(ending.BOUNDS["library"]):
                await asyncio.to_thread(library().close)
        except TimeoutError:  # a paper is being added; the next start resumes it
            log.warning("The library was left open")


def _kill_models() -> None:
    if serving.cache_info().currsize:
        serving().kill()


async def _warm_up() -> None:
    try:
        await asyncio.wait_for(_page_open.wait(), PATIENCE_SECONDS)
    except TimeoutError:
        log.info("No page was opened yet; loading the models now")
    try:
        with answering() as loading:
            await loading.warm_up()
        await asyncio.to_thread(_resume)
    except UserFacingError as error:
        log.warning("The models could not be loaded: %s", error)
    except Exception:
        log.exception("The models could not be loaded")


def _resume() -> None:
    """Resume papers left half-added by a crash."""
    for report in Ingest(library=library(), embedder=assistant().embedder, cancel=_stopping).resume():
        log.warning("Carried on with %s: %s", report.file, report.error or report.status)
