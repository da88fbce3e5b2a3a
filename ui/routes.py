"""Our own addresses beside Chainlit's: is it us, the PDFs, the attached files, and the words on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from chainlit.auth import get_current_user
from chainlit.config import config
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import FileResponse, JSONResponse

from ingest.errors import UnknownPaperError
from ui import core

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ui.history import UploadFolder

NAME = "scholion"

_WORDS: dict[str, Any] = {
    "chat.input.placeholder": "Ask your papers, or drop a PDF here",
    "chat.messages.status.using": "Reading",
    "chat.messages.status.used": "Read",
    "chat.watermark": "Everything stays on this machine. Check an answer by its sources.",
    "threadHistory.sidebar.empty": "No chats yet",
    "threadHistory.thread.untitled": "Untitled chat",
    "navigation.newChat.dialog.description": "This chat stays in the list on the left.",
}


def install(app: FastAPI, *, uploads: UploadFolder) -> None:
    """Put the routes in front of Chainlit's, whose last one answers every address."""
    routes = app.router.routes
    before = list(routes)
    app.include_router(_router(uploads))
    ours = [route for route in routes if route not in before]
    routes[:] = [*ours, *before]


def _router(uploads: UploadFolder) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    logged_in = [Depends(_logged_in)]

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"name": NAME, "library": str(core.library().folder)}

    @router.get("/papers/{paper_id}.pdf", dependencies=logged_in)
    def paper(paper_id: str) -> FileResponse:
        try:
            found = core.library().paper(paper_id)
        except UnknownPaperError as error:
            raise HTTPException(404, str(error)) from error
        path = core.library().pdf_path(found.id)
        if found.id != paper_id or not path.is_file():
            raise HTTPException(404, "There is no such paper.")
        return _inline_pdf(path, name=f"{found.id}.pdf")

    @router.get("/uploads/{key:path}", dependencies=logged_in)
    def upload(key: str) -> FileResponse:
        path = uploads.path(key)
        if not path.is_file():
            raise HTTPException(404, "There is no such file.")
        return _inline_pdf(path, name=path.name) if path.suffix == ".pdf" else FileResponse(path, filename=path.name)

    @router.get("/project/translations")
    def words() -> JSONResponse:
        return JSONResponse({"translation": _reworded(config.load_translation("en-US"))})

    return router


async def _logged_in(user: Annotated[Any, Depends(get_current_user)]) -> None:
    if user is None:
        raise HTTPException(401, "Open the page first.")


def _inline_pdf(path: Any, *, name: str) -> FileResponse:
    return FileResponse(path, media_type="application/pdf", filename=name, content_disposition_type="inline")


def _reworded(translation: dict[str, Any]) -> dict[str, Any]:
    for key, text in _WORDS.items():
        *groups, last = key.split(".")
        at = translation
        for group in groups:
            at = at.setdefault(group, {})
        at[last] = text
    return translation
