"""Say in one line that a model server runs on this machine. Nothing is used before the user chooses it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import chainlit as cl

from rag.servers import discover
from rag.texts import N_, _, counted
from ui import core
from ui.people import rules

if TYPE_CHECKING:
    from rag.servers import Engine

LABEL = N_("Settings:")
"""What the offer begins with: `public/custom.js` opens the settings page for it."""

COMMAND = "Settings"
"""The command of the offer, in case the page's script did not run."""

PATIENCE_SECONDS = 1.0
"""How long the first page waits for the servers to answer."""

AGAIN_SECONDS = 30.0
"""A new page looks again if the last look is older than this: servers start and stop while Scholion runs."""

_looking: asyncio.Task[tuple[Engine, ...]] | None = None
_began = 0.0


def begin() -> None:
    """Look for servers in the background; only loopback addresses are asked (docs/discovery.md)."""
    global _looking, _began
    _looking, _began = asyncio.create_task(discover()), time.monotonic()


async def starters() -> list[cl.Starter]:
    """The offer among the first questions; none if there is nothing to offer, or a drafter was chosen."""
    if _looking is None or not rules.may_manage() or not _wanted():
        return []
    before = _looking
    if _looking.done() and time.monotonic() - _began > AGAIN_SECONDS:
        begin()
    await asyncio.wait({_looking}, timeout=PATIENCE_SECONDS)
    ended = next(
        (look for look in (_looking, before) if look.done() and not look.cancelled() and not look.exception()), None
    )
    line = said(ended.result()) if ended else None
    return [cl.Starter(label=line, message="Open the settings", command=COMMAND)] if line else []


def said(engines: tuple[Engine, ...]) -> str | None:
    """The offer; None if there is nothing to offer."""
    for engine in engines:
        usable = [model for model in engine.models if model.chat and not model.relayed_to]
        if usable:
            models = usable[0].id if len(usable) == 1 else counted(len(usable), "model")
            offer = _("{server} runs here with {models}. Use it?").format(server=engine.name, models=models)
            return f"{_(LABEL)} {offer}"
    return None


def _wanted() -> bool:
    """Whether the user has neither chosen a drafter nor declined the offer."""
    kept = core.serving().kept
    return not kept.settings.drafter and not kept.choices.offer_declined
