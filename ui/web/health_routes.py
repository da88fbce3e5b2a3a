"""The page `/health`: the health report, the bundle to send, and a connection to a larger model if the user asks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from rag.health.doctor import bundle, examine
from rag.health.report import is_well, row
from rag.texts import said
from ui.web.in_sentences import InSentences
from ui.web.pages import frame

_BODY = """
<header class="row top">
<h1>Health</h1>
<a class="button alone" href="/">Chat</a>
<a class="button" href="/insight">Insight</a>
<button id="again">Check again</button>
</header>
<p class="faint">What is there, what is missing, and how to get it. Everything is checked on this machine.</p>
<p class="said" id="said" role="status">Checking …</p>
<div id="report"></div>
<section class="card" id="send">
<h2>Send a bundle with a question</h2>
<p>The bundle has the results above without their sentences, the versions, the settings without paths and keys, and the
types and places of the last errors. It has no text or titles of papers, no file names, questions, chats or user
names. Scholion sends it nowhere: you get a file, read it, and decide.</p>
<a class="button" href="/health/bundle.zip" download="scholion-bundle.zip">Download the bundle</a>
</section>
"""


def router() -> APIRouter:
    """The page, the report as JSON, and the bundle."""
    router = APIRouter(route_class=InSentences)

    @router.get("/health")
    def page() -> HTMLResponse:
        return HTMLResponse(frame("Health", _BODY, script="health.js", styles=("health.css",)))

    # not `async`: the checks read files and start the parser, which takes seconds
    @router.get("/health/report.json")
    def told() -> dict[str, Any]:
        return _report(reach=False)

    @router.post("/health/reach")
    def reach(order: dict[str, Any]) -> dict[str, Any]:
        return _report(reach=order.get("agreed") is True)

    @router.get("/health/bundle.zip")
    def file() -> Response:
        return Response(
            bundle(examine(running=True)), media_type="application/zip", headers={"content-disposition": "attachment"}
        )

    return router


def _report(*, reach: bool) -> dict[str, Any]:
    lines = examine(reach=reach, running=True)
    return {"well": is_well(lines), "checks": [_translated(row(line)) for line in lines]}


def _translated(told: dict[str, Any]) -> dict[str, Any]:
    return told | {name: said(told[name]) for name in ("group", "about", "said", "todo")}
