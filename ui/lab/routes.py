"""The page `/lab` and its requests: engine and weights by their hashes, passages, the check, models of the server."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from rag.prompts import QUESTION_RULE
from rag.texts import N_, _
from ui import core
from ui.api.asking import unless_left
from ui.comparing.rounds import BUILT_IN, MOST_TOKENS, offered, rounds
from ui.lab import assets
from ui.lab.check import checked
from ui.lab.passages import documents_for
from ui.people import rules
from ui.web.in_sentences import InSentences
from ui.web.pages import frame

FOR_EVER: Final = "public, max-age=31536000, immutable"
AS_IT_IS: Final = {"content-encoding": "identity"}
"""Nothing is compressed on its way: the bytes must be those of the hash, and ranges those of the file."""

GONE = N_("There is no such file. Reload the page.")

_BODY = """
<header class="row top">
<h1>Browser lab</h1>
<a class="button alone" href="/">Chat</a>
<a class="button managed" href="/compare">Compare models</a>
</header>
<p class="faint">A small model runs inside this page and makes no request while it answers. Your Scholion gets the
question, the documents and the answer only if the check is ticked or a model on the server is chosen, and the question
if you fill in documents from your library. The model is loaded from your Scholion once and kept in this browser.</p>
<div id="lab"><p class="faint">Looking at what this browser can do …</p></div>
<noscript><p>This page needs JavaScript.</p></noscript>
"""


_MANAGED = re.compile(r"<a class=\"button managed\".*\n")
"""A link to a page for administrators."""


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Asked(_Sent):
    question: Annotated[str, Field(min_length=1, max_length=4000)]
    whole: bool = False


class _Answered(_Sent):
    question: Annotated[str, Field(max_length=4000)]
    answer: Annotated[str, Field(max_length=20_000)]
    documents: Annotated[list[Annotated[str, Field(max_length=100_000)]], Field(max_length=50)]


class _ForServer(_Sent):
    models: Annotated[list[str], Field(min_length=1, max_length=2)]
    prompt: Annotated[str, Field(min_length=1, max_length=100_000)]
    papers: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=50)] = []
    tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)] = MOST_TOKENS
    agreed: Annotated[list[str], Field(max_length=2)] = []


def router() -> APIRouter:
    """The routes; whoever includes them requires a login."""
    router = APIRouter(route_class=InSentences)
    router.get("/lab")(_page)
    router.get("/lab/state.json")(_state)
    router.get("/lab/weights/{digest}")(_weights)
    router.get("/lab/offline.js")(_offline)
    router.get("/lab/servers.json")(_servers)
    router.post("/lab/passages")(_passages)
    router.post("/lab/check")(_check)
    router.post("/lab/server")(_server)
    return router


def engine_router() -> APIRouter:
    """The engine's files, which are the same for everybody and need no login."""
    router = APIRouter()
    router.get("/lab/engine/{digest}/{name}")(_engine)
    router.get("/lab/licences.txt")(_licences)
    return router


def _page() -> HTMLResponse:
    body = _BODY if rules.may_manage() else _MANAGED.sub("", _BODY)
    return HTMLResponse(frame("Browser lab", body, script="lab.js", styles=("insight.css", "lab.css")))


def _state() -> dict[str, Any]:
    base, *adapters = [weights.as_row() for weights in assets.weights(core.whole_library().folder)]
    plain, taught = BUILT_IN
    models = [{"id": plain, "name": _(BUILT_IN[plain]), "files": [base]}]
    if adapters:
        models.append({"id": taught, "name": _(BUILT_IN[taught]), "files": [base, *adapters]})
    engine = {name: assets.address(name) for name in assets.TYPES}
    return {
        "engine": engine | {"version": assets.lock()["version"], "licences": "/lab/licences.txt"},
        "models": models,
        "rule": QUESTION_RULE,
        "most_tokens": MOST_TOKENS,
    }


def _weights(digest: str) -> FileResponse:
    for weights in assets.weights(core.whole_library().folder):
        if weights.sha256 == digest:
            headers = {**AS_IT_IS, "etag": f'"{digest}"'}
            return FileResponse(weights.path, media_type="application/octet-stream", headers=headers)
    raise HTTPException(404, GONE)


def _offline() -> FileResponse:
    return FileResponse(assets.OFFLINE, media_type="text/javascript", headers={"service-worker-allowed": "/lab"})


async def _servers() -> dict[str, Any]:
    return {"models": await offered() if rules.may_manage() else []}


def _passages(asked: _Asked) -> dict[str, Any]:
    return {"documents": documents_for(asked.question, whole=asked.whole)}


def _check(answered: _Answered) -> dict[str, Any]:
    return {"sentences": checked(answered.answer, answered.documents, question=answered.question)}


async def _server(asked: _ForServer, request: Request) -> dict[str, Any]:
    answers = rounds().each(
        asked.models,
        asked.prompt,
        paper_ids=tuple(asked.papers),
        max_tokens=asked.tokens,
        agreed=frozenset(asked.agreed),
    )
    return await unless_left(answers, request) or {"sides": []}


async def _engine(digest: str, name: str) -> Response:
    if name not in assets.TYPES or assets.address(name) != f"/lab/engine/{digest}/{name}":
        raise HTTPException(404, _(GONE))
    content = await asyncio.to_thread(assets.engine_file, name)
    return Response(content, media_type=assets.TYPES[name], headers={**AS_IT_IS, "cache-control": FOR_EVER})


def _licences() -> PlainTextResponse:
    return PlainTextResponse(assets.licences())
