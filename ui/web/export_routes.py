"""Routes that download a chat of the user: JSON, Markdown, a report to print, and the papers it cites."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Annotated, Any

from chainlit.auth import get_current_user
from chainlit.data import get_data_layer
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response

from ingest import UserFacingError
from ingest.bibliography import write_bibtex
from ingest.csl import csl_items
from ingest.references import References, find_style
from ui import core
from ui.exports import report
from ui.exports.chat import as_json, read_chat
from ui.exports.table import as_csv
from ui.people.own_choices import chosen_style
from ui.web.in_sentences import InSentences
from ui.web.names import is_made

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.references import Style
    from ui.exports.turns import Chat

KINDS = {
    "json": "application/json",
    "md": "text/markdown",
    "html": "text/html",
    "bib": "application/x-bibtex",
    "csl.json": "application/vnd.citationstyles.csl+json",
    "txt": "text/plain",
}
"""Endings of an address, and what is served under it; `txt` are the references alone."""

DEFAULT = "apa"
"""Where the user chose no style."""


def router() -> APIRouter:
    """The routes; whoever includes them asks for a login."""
    made = APIRouter(include_in_schema=False, route_class=InSentences)

    @made.get("/export/chat/{file}")
    async def chat(
        file: str, user: Annotated[Any, Depends(get_current_user)], style: str = "", *, show: bool = False
    ) -> Response:
        chat_id, _, kind = file.partition(".")
        if kind not in KINDS:
            raise HTTPException(404, f"A chat is exported as {', '.join(KINDS)}.")
        thread = await _own_chat(chat_id, user)
        try:
            name, content = await asyncio.to_thread(_made, thread, kind, style)
        except UserFacingError as error:
            raise HTTPException(error.status, str(error)) from error
        how = "inline" if show and kind == "html" else "attachment"
        headers = {"content-disposition": f'{how}; filename="{name}.{kind}"'}
        return Response(content, media_type=f"{KINDS[kind]}; charset=utf-8", headers=headers)

    @made.get("/export/table/{chat_id}/{file}")
    async def table(chat_id: str, file: str, user: Annotated[Any, Depends(get_current_user)]) -> Response:
        thread = await _own_chat(chat_id, user)
        name = file.removesuffix(".csv")
        kept = next((step.get("metadata") or {} for step in thread["steps"] if step["id"] == name), {})
        rows = kept.get("table")
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise HTTPException(404, "There is no such table.")
        headers = {"content-disposition": 'attachment; filename="comparison.csv"'}
        return Response(as_csv(rows), media_type="text/csv; charset=utf-8", headers=headers)

    return made


async def _own_chat(chat_id: str, user: Any) -> dict[str, Any]:
    """The stored chat, if it is the user's; 404 for all others, so that nobody learns which there are."""
    layer = get_data_layer()
    thread: Any = None
    if is_made(chat_id) and user is not None and layer is not None:
        author = await layer.get_thread_author(chat_id)
        thread = await layer.get_thread(chat_id) if author and author == user.identifier else None
    if not thread:
        raise HTTPException(404, "There is no such chat of yours.")
    return dict(thread)


def _made(thread: dict[str, Any], kind: str, style: str) -> tuple[str, str]:
    """The file's name without its ending, and its content."""
    library = core.library()
    chat = read_chat(thread, library)
    papers = list(chat.papers.values())
    match kind:
        case "json":
            content = as_json(chat, library)
        case "bib":
            content = write_bibtex(papers)
        case "csl.json":
            content = json.dumps(csl_items(papers), ensure_ascii=False, indent=1)
        case "md":
            content = report.as_markdown(chat, _references(chat, style, library.folder))
        case "html":
            content = report.as_html(chat, _references(chat, style, library.folder))
        case _:
            references = _references(chat, style, library.folder)
            content = "".join(f"{text}\n" for _, text in references.entries()) if references else ""
    return _file_name(chat.name), content


def _references(chat: Chat, style: str, folder: Path) -> References | None:
    if not chat.papers:
        return None
    wanted: Style = find_style(style, folder) if style else chosen_style(folder) or find_style(DEFAULT, folder)
    return References(list(chat.papers.values()), wanted)


def _file_name(name: str) -> str:
    """Letters and digits of the chat's name, for any file system and any header."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (words[:60].rstrip("-") or "chat") if words else "chat"
