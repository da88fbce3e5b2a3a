"""The Library command: opens the Library in the side panel, and takes what is chosen there as the papers to ask."""

from __future__ import annotations

import uuid
from typing import Any

import chainlit as cl

from ingest import UserFacingError
from rag.texts import _, said
from ui import composer, scope

ADDRESS = "/library"
"""The page of ours that the panel shows; `ui/web/library_routes.py` answers there."""


async def show() -> None:
    """Open the Library in the side panel; no message is sent."""
    # Chainlit searches for an element's name in every text; this one occurs in none
    element = cl.CustomElement(name="ScholionPage", props={"address": ADDRESS, "title": _("Library")}, display="page")
    await cl.ElementSidebar.set_elements([element], key=uuid.uuid4().hex)  # before the title, which is lost otherwise
    await cl.ElementSidebar.set_title(_("Library"))


async def heard(message: Any) -> None:
    """Answer the Library in the panel. This receives every message posted in the page, so nothing is trusted."""
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == "scholion:library":
        await show()
    elif kind == "scholion:papers":  # they may have changed
        await composer.refresh_pickers()
        await _tell()
    elif kind == "scholion:choose":
        await _choose(message)


async def _choose(message: dict[str, Any]) -> None:
    try:
        told = scope.choose_from(message)
    except UserFacingError as error:
        await cl.context.emitter.send_toast(said(str(error)), "error")
    else:
        await composer.show_pickers()
        await cl.context.emitter.send_toast(told, "success")
    await _tell()


async def _tell() -> None:
    """Tell the Library in the panel which papers this chat asks."""
    await cl.send_window_message({"type": "scholion:scope", "said": scope.in_words(), "all": scope.asks_all()})
