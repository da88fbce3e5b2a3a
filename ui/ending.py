"""How this process ends on Ctrl+C or SIGTERM: what is being written is kept, and five seconds later it is over.

At the signal every answer is stopped as the Stop button stops it, so its text is kept and no request waits for it.
uvicorn then waits for open connections, `ui.core` stops the models, Chainlit closes the chat history. Each of these
steps has a bound, `BOUNDS`; a thread ends the process if all of them together take too long.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

BOUNDS = {  # seconds
    "uvicorn notices the signal, and closes its sockets": 0.2,
    "open connections": 0.8,  # meanwhile the answers end
    "answers": 0.5,  # those that have not ended by then
    "models": 0.8,
    "library": 0.5,
    "chat history": 1.5,
}
LAST_SECONDS = 4.5
"""After these the process ends, whatever it waits for."""

_writing: set[asyncio.Task[Any]] = set()


def install() -> None:
    """Have uvicorn wait for open connections no longer than it may; before Chainlit starts it."""
    if not isinstance(uvicorn.Config, partial):
        uvicorn.Config = partial(uvicorn.Config, timeout_graceful_shutdown=BOUNDS["open connections"])  # type: ignore[misc, assignment, arg-type]


def watch(*, cut_off: Callable[[], None]) -> None:
    """From now on a signal to end also stops the answers; called once uvicorn has its own handlers in place.

    Args:
        cut_off: ends the child processes at once, where the time is over; one that is frozen would outlive us.
    """
    if threading.current_thread() is not threading.main_thread():  # Python takes signals in the main thread only
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def end(number: int, frame: Any, before: Any = before) -> None:
            _end_at_last(cut_off)
            loop.call_soon_threadsafe(_stop)
            if callable(before):
                before(number, frame)

        signal.signal(number, end)


@contextmanager
def kept() -> Iterator[None]:
    """Around an answer that is being written in this task: it is stopped when the process ends."""
    task = asyncio.current_task()
    assert task
    _writing.add(task)
    try:
        yield
    finally:
        _writing.discard(task)


async def answers_ended() -> None:
    """Stop all answers, and give them time to keep what they have."""
    if stopped := _stop():
        await asyncio.wait(stopped, timeout=BOUNDS["answers"])


def _stop() -> set[asyncio.Task[Any]]:
    """Cancel what is being done for the open pages, and all answers; some belong to a page that is closed."""
    from chainlit.session import (
        ws_sessions_id,  # Chainlit reads its variables when it is imported: not before ours are set
    )

    tasks = {session.current_task for session in ws_sessions_id.values() if session.current_task} | _writing
    running = {task for task in tasks if not task.done()}
    for task in running - _stopped:
        task.cancel()
    _stopped.update(running)
    return running


_stopped: set[asyncio.Task[Any]] = set()
"""Cancelled once is enough: a second time would interrupt the keeping."""


def _end_at_last(cut_off: Callable[[], None]) -> None:
    timer = threading.Timer(LAST_SECONDS, _end_now, (cut_off,))
    timer.daemon = True
    timer.start()


def _end_now(cut_off: Callable[[], None]) -> None:
    try:
        log.warning("Something did not end within %s seconds and is cut off", LAST_SECONDS)
        cut_off()
    finally:
        os._exit(0)  # the files are whole at any moment
