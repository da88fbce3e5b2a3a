"""The page `/lab` and its requests: the engine and the weights by their hashes, passages, the check, models of the server."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from rag.prompts import QUESTION_RULE
from rag.texts import N_, _
from ui import core
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
<a class="button" href="/compare">Compare models</a>
</header>
<p class="faint">A small model runs inside this page: your question, your documents and the answer stay in the browser.
The weights are loaded once from your Scholion and kept here.</p>
<div id="lab"><p class="faint">Looking at what this browser can do …</p></div>
<noscript><p>This page needs JavaScript.</p></noscript>
"""


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

    @router.get("/lab")
    def page() -> HTMLResponse:
        return HTMLResponse(frame("Browser lab", _BODY, script="lab.js", styles=("insight.css", "lab.css")))

    @router.get("/lab/state.json")
    def state() -> dict[str, Any]:
        base, *adapters = [weights.as_row() for weights in assets.weights(core.whole_library().folder)]
        plain, taught = BUILT_IN
        models = [{"id": plain, "name": _(BUILT_IN[plain]), "files": [base]}]
        if adapters:
            models.append({"id": taught, "name": _(BUILT_IN[taught]), "files": [base, *adapters]})
        return {
            "engine": {
                **{name: assets.address(name) for name in assets.TYPES},
                "version": assets.lock()["version"],
                "licences": "/lab/licences.txt",
            },
            "models": models,
            "rule": QUESTION_RULE,
            "most_tokens": MOST_TOKENS,
        }

    @router.get("/lab/weights/{digest}")
    def file(digest: str) -> FileResponse:
        for weights in assets.weights(core.whole_library().folder):
            if weights.sha256 == digest:
                headers = {**AS_IT_IS, "etag": f'"{digest}"'}
                return FileResponse(weights.path, media_type="application/octet-stream", headers=headers)
        raise HTTPException(404, GONE)

    @router.get("/lab/offline.js")
    def offline() -> FileResponse:
        headers = {"service-worker-allowed": "/lab"}
        return FileResponse(assets.OFFLINE, media_type="text/javascript", headers=headers)

    @router.get("/lab/servers.json")
    async def servers() -> dict[str, Any]:
        if not rules.may_manage():
            return {"models": [], "small": None, "larger": None}
        now = core.serving().kept.settings
        return {"models": await offered(), "small": now.drafter or list(BUILT_IN)[-1], "larger": now.expert}

    @router.post("/lab/passages")
    def passages(asked: _Asked) -> dict[str, Any]:
        return {"documents": documents_for(asked.question, whole=asked.whole)}

    @router.post("/lab/check")
    def check(answered: _Answered) -> dict[str, Any]:
        return {"sentences": checked(answered.answer, answered.documents, question=answered.question)}

    @router.post("/lab/server")
    async def server(asked: _ForServer) -> dict[str, Any]:
        return await rounds().each(
            asked.models,
            asked.prompt,
            paper_ids=tuple(asked.papers),
            max_tokens=asked.tokens,
            agreed=frozenset(asked.agreed),
        )

    return router


def engine_router() -> APIRouter:
    """The engine's files, which are the same for everybody and need no login."""
    router = APIRouter()

    @router.get("/lab/engine/{digest}/{name}")
    async def engine(digest: str, name: str) -> Response:
        if name not in assets.TYPES or not assets.lock()["files"][name]["sha256"].startswith(digest):
            raise HTTPException(404, _(GONE))
        content = await asyncio.to_thread(assets.engine_file, name)
        headers = {**AS_IT_IS, "cache-control": FOR_EVER}
        return Response(content, media_type=assets.TYPES[name], headers=headers)

    @router.get("/lab/licences.txt")
    def licences() -> PlainTextResponse:
        return PlainTextResponse(assets.licences())

    return router
