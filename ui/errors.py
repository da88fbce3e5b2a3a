"""Show every error: Chainlit only logs what a handler raises, so each handler is wrapped."""

from __future__ import annotations

import functools
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import chainlit as cl

from ingest.trouble import in_words
from rag.health import faults
from rag.inert import inert
from rag.texts import _, said
from ui import core
from ui.operate import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("scholion")

P = ParamSpec("P")
T = TypeVar("T")


def sentence(error: Exception) -> str:
    """The message for the user; an unexpected error gets a number, found in the health report and in the log."""
    metrics.errors.add(type(error).__name__)
    if known := in_words(error):
        return said(str(known))
    number = secrets.token_hex(3)
    log.error("Error %s", number, exc_info=error)
    with suppress(Exception):  # settings that cannot be read are reported elsewhere
        faults.note(core.settings().library.expanduser().resolve(), error, number=number)
    return _("Something went wrong in Scholion. Health, at the top of the page, lists it as error {number}.").format(
        number=number
    )


def visible(handler: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T | None]]:
    """Wrap a handler so that its errors appear as messages in the chat; Stop passes through."""

    async def as_message(text: str) -> None:
        await cl.ErrorMessage(content=inert(text)).send()

    return _shown(handler, as_message)


def visible_briefly(handler: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T | None]]:
    """Wrap a handler so that its errors appear as a toast for a few seconds; for clicks."""

    async def as_toast(text: str) -> None:
        await cl.context.emitter.send_toast(text, "error")

    return _shown(handler, as_toast)


def _shown(
    handler: Callable[P, Awaitable[T]], show: Callable[[str], Awaitable[None]]
) -> Callable[P, Awaitable[T | None]]:
    @functools.wraps(handler)
    async def shown(*args: P.args, **named: P.kwargs) -> T | None:
        try:
            return await handler(*args, **named)
        except Exception as error:  # noqa: BLE001 - the last place where it can be shown
            await show(sentence(error))
            return None

    return shown
