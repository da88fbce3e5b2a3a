"""Our own routes beside Chainlit's: health check, PDFs and their pages, attached files, the page's texts."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
from contextlib import closing, suppress
from dataclasses import asdict
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from chainlit.auth import get_current_user
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse

from ingest import Ingest, Source, UserFacingError, remote, remove_one, tag_papers
from ingest.from_zotero import FromZotero
from ingest.locate import MAX_QUOTE
from ingest.picture import PictureError, page_picture
from ingest.typed_json import from_json
from ingest.zotero_follow import follow
from ui import core
from ui.api.app import api
from ui.api.keys import PATH
from ui.comparing import routes as compare_routes
from ui.lab import routes as lab_routes
from ui.operate import routes as operate_routes
from ui.people import who
from ui.texts import routes as texts_routes
from ui.web import (
    export_routes,
    health_routes,
    incoming,
    insight_routes,
    library_routes,
    patches,
    settings_routes,
    viewer,
    viewer_routes,
)
from ui.web.pages import frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from fastapi import FastAPI

    from ui.chats.history import UploadFolder

NAME = "scholion"

_NUMBER = re.compile(r"([1-9]\d{0,4})(\.png)?")
_ORDINAL = re.compile(r"\d{4,7}")

_CLOSED = (
    *("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"),
    *("/mcp", "/project/share/{thread_id}", "/project/thread/share"),
)
"""Routes of Chainlit's server that we do not use; sharing a chat would make it readable without a login."""


def install(app: FastAPI, *, uploads: UploadFolder) -> None:
    """Put our routes before Chainlit's, whose last one matches every address."""
    routes = app.router.routes
    before = list(routes)
    router = _router(uploads)
    router.include_router(operate_routes.router())
    for pages in (health_routes, insight_routes, compare_routes, lab_routes):
        router.include_router(pages.router(), dependencies=[Depends(_logged_in)])
    router.include_router(lab_routes.engine_router())
    for closed in (*_CLOSED, *([f"{PATH}/{{path:path}}"] if who.is_on() else [])):
        router.add_api_route(closed, _nothing_there, methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
    app.include_router(router)
    app.add_exception_handler(401, _not_logged_in)
    if not who.is_on():  # a key is no person: it would see everybody's papers
        app.mount(PATH, api(core.settings().library.expanduser().resolve()))
    ours = [route for route in routes if route not in before]
    routes[:] = [*ours, *before]


def _router(uploads: UploadFolder) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    logged_in = [Depends(_logged_in)]

    @router.get("/")
    @router.get("/thread/{chat_id}")
    async def first_page(request: Request) -> Response:
        return await patches.first_page(request)

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"name": NAME, "library": str(core.whole_library().folder)}

    @router.get("/papers/{paper_id}.pdf", dependencies=logged_in)
    def paper(paper_id: str) -> FileResponse:
        found, path = viewer_routes.stored(paper_id)
        return _inline_pdf(path, name=f"{found.id}.pdf", headers=_undated(found.id) if who.is_on() else None)

    # not `async`: drawing pictures and locating words run in a thread
    @router.get("/page/{paper_id}/{number}", dependencies=logged_in)
    def page(  # noqa: PLR0917 - the parts of the address
        paper_id: str,
        number: str,
        words: Annotated[list[str] | None, Query()] = None,
        passage: str | None = None,
        cited: int | None = None,
        place: Annotated[list[str] | None, Query()] = None,
    ) -> Response:
        found, path = viewer_routes.stored(paper_id)
        match = _NUMBER.fullmatch(number)
        if match is None or int(match[1]) > found.n_pages:
            raise HTTPException(404, "This paper has no such page.")
        if match[2]:
            return _picture(path, int(match[1]))
        quotes = tuple(quote[:MAX_QUOTE] for quote in words or () if quote.strip())
        ordinal = passage if passage and _ORDINAL.fullmatch(passage) else None
        told = [one for said in place or () if (one := viewer.place_from(said[:MAX_QUOTE]))]
        look = viewer.Look(
            paper=found,
            number=int(match[1]),
            words=quotes,
            passage=ordinal,
            cited=cited if cited and 1 <= cited <= found.n_pages else None,
            places=viewer.joined_places(told, found.n_pages),
        )
        chunk = core.library().chunk(f"{found.id}:{ordinal}") if ordinal else None
        return HTMLResponse(viewer.page(look, pdf=path, passage_text=chunk.text if chunk else None))

    router.include_router(viewer_routes.router(), dependencies=logged_in)

    @router.get("/uploads/{key:path}", dependencies=logged_in)
    def upload(key: str) -> FileResponse:
        path = uploads.path(key)
        if not _is_file_in(uploads.root, path):
            raise HTTPException(404, "There is no such file.")
        return _inline_pdf(path, name=path.name) if path.suffix == ".pdf" else FileResponse(path, filename=path.name)

    router.include_router(export_routes.router(), dependencies=logged_in)
    router.include_router(settings_routes.router(), dependencies=logged_in)

    router.add_api_route("/project/file", incoming.receive, methods=["POST"], dependencies=logged_in)

    router.include_router(library_routes.router(), dependencies=logged_in)

    @router.post(remote.PATH, dependencies=[Depends(_is_local_command)])
    async def order(order: dict[str, Any]) -> StreamingResponse:
        cancel = threading.Event()
        return StreamingResponse(
            _lines(_carry_out(order, cancel=cancel), cancel=cancel), media_type="application/x-ndjson"
        )

    router.include_router(texts_routes.router())

    return router


def _nothing_there() -> None:
    raise HTTPException(404, "There is nothing here.")


_OPENING = """<p id="said">Opening the page …</p>
<noscript><p>Open Scholion in this browser first, then follow the link again.</p></noscript>
"""


async def _not_logged_in(request: Request, error: Any) -> Response:
    """A link to a page that was followed in a browser that has not opened Scholion yet opens it first."""
    followed = request.headers.get("sec-fetch-mode") == "navigate" and not request.url.path.endswith(".png")
    if followed and request.url.path.startswith("/page/") and not who.is_on():
        return HTMLResponse(frame("Scholion", _OPENING, script="open-first.js"), 401)
    return JSONResponse({"detail": error.detail}, 401, headers=error.headers)


async def _logged_in(user: Annotated[Any, Depends(get_current_user)]) -> None:
    if user is None:
        raise HTTPException(401, "Open the page first.")


def _is_local_command(request: Request) -> None:
    """Accept only commands that can read the library's folder; only they know the key."""
    said = request.headers.get("authorization", "")
    if not secrets.compare_digest(said.encode(), f"Bearer {core.order_key()}".encode()):
        raise HTTPException(401, "This address is for Scholion's own commands.")


def _is_file_in(folder: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder) and path.is_file()
    except OSError:  # the name is too long for the file system
        return False


async def _lines(rows: Generator[dict[str, Any], None, None], *, cancel: threading.Event) -> AsyncIterator[str]:
    """Each row as a line of JSON, and an empty line from time to time while there is none.

    If the client disconnects, the work stops and releases the library immediately.
    """
    following: asyncio.Future[Any] | None = None
    try:
        while True:
            following = asyncio.ensure_future(asyncio.to_thread(next, rows, None))
            while not (await asyncio.wait([following], timeout=remote.QUIET))[0]:
                yield "\n"
            row = following.result()
            if row is None:
                return
            yield json.dumps(row) + "\n"
    finally:
        cancel.set()
        with anyio.CancelScope(shield=True):
            with suppress(Exception):
                await (following or asyncio.sleep(0))
            await asyncio.to_thread(rows.close)


def _carry_out(order: dict[str, Any], *, cancel: threading.Event) -> Generator[dict[str, Any], None, None]:
    """Carry out `python -m ingest add`, `zotero`, `remove`, `set`, `tag` or `untag` while the app owns the library."""
    if order.get("do") == "add":
        sources = [Source(Path(path), Path(path).name) for path in order["paths"]]
        work = Ingest(library=core.whole_library(), embedder=core.embedder(), cancel=cancel)
        with closing(work.run(sources)) as reports:
            for report in reports:
                core.came([report.paper_id] if report.paper_id else [])
                yield asdict(report)
    elif order.get("do") == "remove":
        for paper_id in order["ids"]:
            row = remove_one(core.whole_library(), paper_id)
            core.went([] if row["error"] else [row["paper_id"]])
            yield row
    elif order.get("do") == "describe":
        yield _describe(order["id"], order["facts"])
    elif order.get("do") == "follow":
        yield from follow(core.whole_library(), from_json(order["said"], dict[str, FromZotero]))
    elif order.get("do") in {"tag", "untag"}:
        yield tag_papers(core.whole_library(), order["ids"], order["tag"], take=order["do"] == "untag")


def _describe(paper_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    known = {"title", "authors", "families", "year", "doi", "arxiv_id", "isbn", "retracted", "publication"}
    try:
        facts = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
        paper = core.whole_library().describe(paper_id, **{name: facts[name] for name in known & facts.keys()})
    except UserFacingError as error:
        return {"error": str(error)}
    return {"paper_id": paper.id, "title": paper.title}


def _picture(path: Path, number: int) -> Response:
    """The page as a picture; cacheable forever, because a paper's id is a hash of its bytes."""
    try:
        content = page_picture(path, number)
    except PictureError as error:
        raise HTTPException(error.status, str(error)) from error
    return Response(content, media_type="image/png", headers={"cache-control": "private, max-age=31536000, immutable"})


def _inline_pdf(path: Any, *, name: str, headers: dict[str, str] | None = None) -> FileResponse:
    return FileResponse(
        path, media_type="application/pdf", filename=name, content_disposition_type="inline", headers=headers
    )


def _undated(paper_id: str) -> dict[str, str]:
    """Headers that do not tell when a PDF came, as the file's date would: perhaps long ago, from somebody else."""
    return {"etag": f'"{paper_id}"', "last-modified": formatdate(0, usegmt=True)}
