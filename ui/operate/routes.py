"""`/readyz` and `/metrics`, for programs on this machine."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from ui import core
from ui.operate import exposition, metrics
from ui.operate.settings import settings
from ui.people.guard import is_here

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def router() -> APIRouter:
    """Both routes."""
    made = APIRouter(include_in_schema=False)

    @made.get("/readyz")
    def readyz() -> JSONResponse:
        why = core.not_ready()
        return JSONResponse({"ready": why is None, "why": why}, 200 if why is None else 503)

    @made.get("/metrics")
    def measured(request: Request) -> Response:
        by_name_of_here = request.url.hostname in LOOPBACK  # a proxy passes on the name that browsers use
        if not (settings().metrics and is_here(request.scope) and by_name_of_here):
            raise HTTPException(404)
        library = core.whole_library()
        adding = library.ledger.entries("queued", "parsing", "embedding")
        metrics.ready.set(to=core.not_ready() is None)
        metrics.papers.set(to=len(library.added_at()))
        metrics.chunks.set(to=library.n_chunks())
        metrics.files.set("adding", to=len(adding))
        metrics.files.set("failed", to=len(library.ledger.entries("failed")))
        return Response(metrics.text(), media_type=exposition.CONTENT_TYPE)

    return made
