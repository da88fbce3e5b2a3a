"""The one library and the one assistant of this process, and when the models are loaded."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from functools import cache

from ingest import Ingest, IngestSettings, Library, UserFacingError
from rag import Assistant, RagSettings
from ui import ending

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""How long the models wait for a first page to open before they are loaded anyway."""

_page_open = asyncio.Event()
_stopping = threading.Event()
_tasks: set[asyncio.Task[None]] = set()


@cache
def settings() -> IngestSettings:
    """The library's settings, read once."""
    return IngestSettings()


@cache
def library() -> Library:
    """The library, opened at the first call."""
    return Library(settings())


@cache
def assistant() -> Assistant:
    """The assistant over that library; loads no model."""
    return Assistant.open(RagSettings(), library=library())


@cache
def order_key() -> str:
    """What Scholion's own commands must show when they want the app to add or remove papers; new at every start."""
    return secrets.token_urlsafe(32)


def begin() -> None:
    """Load the models in the background, once the first page stands: loading would slow its coming down."""
    ending.watch(cut_off=_kill_models)
    task = asyncio.create_task(_warm_up())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def page_is_open() -> None:
    """Say that a page has been painted."""
    _page_open.set()


async def end() -> None:
    """Stop the answers and the models and close the library, each within its bound."""
    _stopping.set()
    for task in _tasks:
        task.cancel()
    await ending.answers_ended()
    if assistant.cache_info().currsize:
        try:
            async with asyncio.timeout(ending.BOUNDS["models"]):
                await assistant().close()
        except TimeoutError:  # one hangs, or is just being loaded
            _kill_models()
    if library.cache_info().currsize:
        try:
            async with asyncio.timeout(ending.BOUNDS["library"]):
                await asyncio.to_thread(library().close)
        except TimeoutError:  # a paper is being added; the next start carries on with it
            log.warning("The library was left open")


def _kill_models() -> None:
    if assistant.cache_info().currsize:
        assistant().kill()


async def _warm_up() -> None:
    try:
        await asyncio.wait_for(_page_open.wait(), PATIENCE_SECONDS)
    except TimeoutError:
        log.info("No page was opened yet; loading the models now")
    try:
        await assistant().warm_up()
        await asyncio.to_thread(_resume)
    except UserFacingError as error:
        log.warning("The models could not be loaded: %s", error)
    except Exception:
        log.exception("The models could not be loaded")


def _resume() -> None:
    """Carry on with the papers that a crash left half way."""
    for report in Ingest(library=library(), embedder=assistant().embedder, cancel=_stopping).resume():
        log.warning("Carried on with %s: %s", report.file, report.error or report.status)
