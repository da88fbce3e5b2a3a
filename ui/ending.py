"""How this process ends on Ctrl+C or SIGTERM: answers so far are kept, and it exits within five seconds.

The signal stops every answer as the Stop button does, so its text is kept and no request waits for it. uvicorn then
waits for open connections, `ui.core` stops the models, and Chainlit closes the chat history. Each step has a timeout in
`BOUNDS`; a thread ends the process if all of them together take too long.

With SCHOLION_FINISH_SECONDS, SIGTERM first waits that long for the answers to end by themselves, while no new ones
begin. Ctrl+C, or a second SIGTERM, waits no longer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

BOUNDS = {  # seconds
    "uvicorn notices the signal, and closes its sockets": 0.2,
    "open connections": 0.8,  # in the meantime the answers end
    "answers": 0.5,  # those that have not ended yet
    "models": 0.8,
    "library": 0.5,
    "chat history": 1.5,
}
LAST_SECONDS = 4.5
"""The process exits after this time, whatever it is waiting for."""

LOOK_SECONDS: Final = 0.1
"""How often it is looked whether the answers have ended."""

_writing: set[asyncio.Task[Any]] = set()
_begun, _at_once = threading.Event(), threading.Event()
_underway: set[object] = set()
"""One for each answer of the chat, the commands and the API."""


def install() -> None:
    """Limit how long uvicorn waits for open connections; call it before Chainlit starts uvicorn."""
    if not isinstance(uvicorn.Config, partial):
        uvicorn.Config = partial(uvicorn.Config, timeout_graceful_shutdown=BOUNDS["open connections"])  # type: ignore[misc, assignment, arg-type]


def watch(*, cut_off: Callable[[], None], finish_seconds: float = 0.0) -> None:
    """Make termination signals also stop the answers; call it once uvicorn has installed its handlers.

    Args:
        cut_off: kills the child processes when the time is up; a frozen one would outlive us.
        finish_seconds: how long the answers may take to end after SIGTERM before they are stopped.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def end(number: int, frame: Any, before: Any = before) -> None:
            if number == signal.SIGTERM and finish_seconds and _underway and not _begun.is_set():
                _begun.set()
                threading.Thread(target=_when_finished, args=(finish_seconds, _at_once), daemon=True).start()
                return
            _begun.set()
            _at_once.set()
            _end_at_last(cut_off)
            loop.call_soon_threadsafe(_stop)
            if callable(before):
                before(number, frame)

        signal.signal(number, end)


def has_begun() -> bool:
    """Whether the process is ending, so that nothing new should begin."""
    return _begun.is_set()


@contextmanager
def underway() -> Iterator[None]:
    """Wrap an answer that may end by itself before the process does."""
    this = object()
    _underway.add(this)
    try:
        yield
    finally:
        _underway.discard(this)


def _when_finished(seconds: float, at_once: threading.Event) -> None:
    """Send the signal again once no answer is left, or the time is up."""
    until = time.monotonic() + seconds
    while _underway and time.monotonic() < until and not at_once.is_set():
        at_once.wait(LOOK_SECONDS)
    if not at_once.is_set():
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def kept() -> Iterator[None]:
    """Wrap the writing of an answer in this task, so that it is stopped when the process ends."""
    task = asyncio.current_task()
    assert task
    _writing.add(task)
    try:
        yield
    finally:
        _writing.discard(task)


async def answers_ended() -> None:
    """Stop all answers, and give them time to store what they have."""
    if stopped := _stop():
        await asyncio.wait(stopped, timeout=BOUNDS["answers"])


def _stop() -> set[asyncio.Task[Any]]:
    """Cancel the open pages' tasks and all answers; some belong to pages that are closed."""
    from chainlit.session import (
        ws_sessions_id,  # Chainlit reads its variables on import, so import it after ours are set
    )

    tasks = {session.current_task for session in ws_sessions_id.values() if session.current_task} | _writing
    running = {task for task in tasks if not task.done()}
    for task in running - _stopped:
        task.cancel()
    _stopped.update(running)
    return running


_stopped: set[asyncio.Task[Any]] = set()
"""Cancel each task only once: a second time would interrupt its saving."""


def _end_at_last(cut_off: Callable[[], None]) -> None:
    timer = threading.Timer(LAST_SECONDS, _end_now, (cut_off,))
    timer.daemon = True
    timer.start()


def _end_now(cut_off: Callable[[], None]) -> None:
    try:
        log.warning("Something did not end within %s seconds and is cut off", LAST_SECONDS)
        cut_off()
    finally:
        os._exit(0)  # the files are consistent at any moment
