"""Routes for several people: sharing papers, and a page without the links that somebody may not follow."""

from __future__ import annotations

import json
from typing import Annotated, Any

import chainlit.server
from chainlit.auth import get_current_user
from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from ui import core
from ui.people import rules
from ui.people.view import View

MANAGED = ("/settings", "/health")
"""Pages for administrators."""


def router() -> APIRouter:
    """To be put before Chainlit's own routes, where there are accounts."""
    made = APIRouter(include_in_schema=False)

    @made.get("/project/settings")
    async def settings(
        user: Annotated[Any, Depends(get_current_user)],
        language: Annotated[str, Query(max_length=30)] = "en-US",
        chat_profile: str | None = None,
    ) -> JSONResponse:
        reply = await chainlit.server.project_settings(user, language, chat_profile)
        said = json.loads(reply.body)
        if not rules.may_manage():
            links = said["ui"].get("header_links") or []
            said["ui"]["header_links"] = [link for link in links if link["url"] not in MANAGED]
        return JSONResponse(said)

    return made


def share(ids: list[str], *, on: bool) -> str:
    """Let all see these papers, or no more; returns a sentence for the page."""
    library = core.library()
    if not isinstance(library, View):
        raise rules.NoSuchThingError("There are no accounts, so nothing is shared.", "See docs/people.md.")
    rules.check_papers("share", ids)
    library.share(ids, on=on)
    return "Everybody sees it now." if on else "Only you see it now, unless somebody else shares it."
