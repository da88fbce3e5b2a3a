"""The page `/insight`: what this user's answers took and cost, as JSON for its pictures and as a CSV file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from chainlit.auth import get_current_user
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse, Response

from ingest.trouble import in_words
from rag.insight.summary import answer_row, by_month, summed_up
from rag.privacy.audit import AuditError, AuditLog
from rag.texts import N_, said
from ui import core
from ui.chats import where
from ui.chats.insight import as_csv
from ui.people import rules
from ui.web.in_sentences import InSentences
from ui.web.pages import frame

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

DAMAGED = N_("The file with your chats is damaged. Restart Scholion, which moves what can be read to a new file.")

_BODY = """
<header class="row top">
<h1>Insight</h1>
<a class="button alone" href="/">Chat</a>
<a class="button" href="/health">Health</a>
<a class="button" href="/compare">Compare models</a>
<a class="button" href="/insight/figures.csv" download="scholion-figures.csv">Download as CSV</a>
</header>
<p class="faint">What your answers took and cost, computed on this machine from your stored chats.
Figures that nothing measured are called “not measured” and count in no sum.</p>
<p class="said" id="said" role="status">Reading your chats …</p>
<div id="insight"></div>
"""


def router() -> APIRouter:
    """The page, its data and the file to download."""
    router = APIRouter(route_class=InSentences)

    @router.get("/insight")
    def page() -> HTMLResponse:
        return HTMLResponse(frame("Insight", _BODY, script="insight.js", styles=("insight.css",)))

    # not `async`: the query takes a tenth of a second for a thousand chats
    @router.get("/insight/figures.json")
    def figures(user: Annotated[Any, Depends(get_current_user)]) -> dict[str, Any]:
        told = _read(lambda: summed_up(where.answers(user.identifier)))
        if not rules.may_manage():  # it is of everybody
            return told | {"left": None, "left_fault": None}
        try:
            left, fault = by_month(AuditLog(core.library().folder).entries()), None
        except AuditError as error:
            left, fault = None, said(str(error))
        return told | {"left": left, "left_fault": fault}

    @router.get("/insight/chat.json")
    def chat(id: str, user: Annotated[Any, Depends(get_current_user)]) -> list[dict[str, Any]]:  # noqa: A002 - its name in the address
        return _read(lambda: [answer_row(answer) for answer in where.answers(user.identifier, chat=id)])

    @router.get("/insight/figures.csv")
    def table(user: Annotated[Any, Depends(get_current_user)]) -> Response:
        text = _read(lambda: as_csv(where.answers(user.identifier)))
        return Response("\ufeff" + text, media_type="text/csv", headers={"content-disposition": "attachment"})

    return router


def _read(work: Callable[[], T]) -> T:
    try:
        return work()
    except sqlite3.Error as error:
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        known = None if damaged else in_words(error)
        raise HTTPException(503, str(known or DAMAGED)) from error
