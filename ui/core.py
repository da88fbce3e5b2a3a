"""This process's library and assistant, and when the models are loaded."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ingest import Ingest, IngestSettings, Library, UserFacingError
from rag.texts import _
from ui import ending
from ui.operate import among_others
from ui.operate.settings import settings as settings_of_process
from ui.serving import Serving
from ui.web.removals import Removals

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Coroutine, Iterable, Iterator
    from functools import _CacheInfo
    from pathlib import Path

    from ingest import Embedder, IngestReport
    from rag import Assistant

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_SECONDS = 20.0
"""How long loading the models waits for a first page to open."""

_page_open = asyncio.Event()
_loaded = threading.Event()
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


class Shares(Protocol):
    """What several people have of one library; `ui.people.shares` where there are accounts."""

    def library(self, whole: Library) -> Library:
        """The library as who asks sees it."""

    def assistant(self, whole: Assistant) -> Assistant:
        """The assistant over what who asks sees."""

    def removals(self) -> Removals:
        """What who asks has removed and may still bring back."""

    def person(self) -> str:
        """The id of who asks."""

    def bring(self, path: Path, name: str) -> bool:
        """Who asks adds this file under this name; True if it is new to them."""

    def settle(self, path: Path) -> None:
        """This file was tried, and nothing may have come of it."""

    def came(self, paper_ids: Iterable[str]) -> None:
        """A command has added these papers."""

    def went(self, paper_ids: Iterable[str]) -> None:
        """A command has removed these papers."""

    def forget_removals(self) -> None:
        """Keep all papers that wait to be removed."""


_shares: Shares | None = None


def share(shares: Shares | None) -> None:
    """From now on there are several people; None: there is one again."""
    global _shares  # noqa: PLW0603 - one library per process
    _shares = shares


def person() -> str:
    """The id of who asks; empty where there are no accounts."""
    return _shares.person() if _shares else ""


def bring(path: Path, name: str) -> bool:
    """Note that who asks adds this file; True if it is new to them, although it may be there."""
    return _shares.bring(path, name) if _shares else False


def settle(path: Path) -> None:
    """Note that this file was tried, to be called after `bring` when it was not added."""
    if _shares:
        _shares.settle(path)


def told(report: IngestReport, *, new: bool) -> IngestReport:
    """The report for who added the file: what is new to them was added, whoever had it before."""
    return replace(report, status="added") if new and report.status == "skipped" else report


def came(paper_ids: Iterable[str]) -> None:
    """A command has added these papers."""
    if _shares:
        _shares.came(paper_ids)
    else:
        removals().keep(paper_ids)


def went(paper_ids: Iterable[str]) -> None:
    """A command has removed these papers."""
    if _shares:
        _shares.went(paper_ids)


@cache
def settings() -> IngestSettings:
    """The library's settings, read once."""
    return IngestSettings()


@Once
def whole_library() -> Library:
    """The library with everybody's papers, opened on first use: for what the app does by itself."""
    return Library(settings())


def library() -> Library:
    """The library as who asks sees it: all of it, where there are no accounts."""
    return _shares.library(whole_library()) if _shares else whole_library()


def assistant() -> Assistant:
    """The assistant for that library as the settings are now; loads no model. Use `answering` for an answer."""
    current = serving().current
    return _shares.assistant(current) if _shares else current


def embedder() -> Embedder:
    """What papers are embedded with, whoever adds them."""
    return (serving().current if _shares else assistant()).embedder


@Once
def serving() -> Serving:
    """What answers, opened on first use."""
    return Serving.open(whole_library())


@contextmanager
def answering() -> Iterator[Assistant]:
    """The assistant for one answer: its models stay until the answer has ended, whatever is chosen meanwhile."""
    if ending.has_begun():
        raise UserFacingError(_("Scholion is being stopped, so no new answer begins."), _("Ask again in a minute."))
    current = assistant()
    with ending.underway(), serving().using(current) if serving.cache_info().currsize else nullcontext():
        yield current


@Once
def _all_removals() -> Removals:
    return Removals(whole_library)


def removals() -> Removals:
    """Papers that were removed in the Library and may still be brought back."""
    return _shares.removals() if _shares else _all_removals()


def forget_removals() -> None:
    """Keep all papers that wait to be removed; for the end of the process."""
    (_shares.forget_removals if _shares else removals().forget)()


@cache
def order_key() -> str:
    """The key with which Scholion's own commands ask the app to add or remove papers; new at every start."""
    return secrets.token_urlsafe(32)


def begin() -> None:
    """Load the models in the background once the first page is shown, because loading would slow the page down."""
    ending.watch(cut_off=_kill_models, finish_seconds=settings_of_process().finish_seconds)
    works: list[Coroutine[Any, Any, None]] = [_warm_up()]
    if settings().several:
        whole_library().let_others_in()
        works += among_others.watches(whole_library(), _resume, went, lambda: serving().follow())
    for work in works:
        task = asyncio.create_task(work)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


def not_ready() -> str | None:
    """Why no question should come to this process now: `stopping` or `loading`; None if there is no reason."""
    if _stopping.is_set() or ending.has_begun():
        return "stopping"
    return None if _loaded.is_set() else "loading"


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
    if whole_library.cache_info().currsize:
        try:
            async with asyncio.timeout(ending.BOUNDS["library"]):
                await asyncio.to_thread(whole_library().close)
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
        loading = serving().current
        with serving().using(loading):
            await loading.warm_up()
        _loaded.set()
        await asyncio.to_thread(_resume)
    except UserFacingError as error:
        log.warning("The models could not be loaded: %s", error)
    except Exception:
        log.exception("The models could not be loaded")


def _resume(but: Container[str] = ()) -> None:
    """Resume papers left half-added by a crash, not those of these ids."""
    for report in Ingest(library=whole_library(), embedder=embedder(), cancel=_stopping).resume(but=but):
        log.warning("Carried on with %s: %s", report.file, report.error or report.status)
