"""Papers, search and questions in our own form."""

from __future__ import annotations

import re
import shutil
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, UploadFile
from fastapi.responses import PlainTextResponse

from ingest import Ingest, Source
from ingest.bibliography import write_bibtex
from ingest.errors import UnknownPaperError
from ingest.files import paper_id as id_of
from rag.errors import QuestionError
from ui import core
from ui.api.access import key_for
from ui.api.asking import Wish, assistant_for, library_for, whole
from ui.api.errors import ApiError
from ui.api.keys import ApiKey
from ui.api.requests import AskRequest  # noqa: TC001 - FastAPI reads the annotations
from ui.api.text import facts, linked_text, plain_text
from ui.web import names, viewer
from ui.web.incoming import copy_upload

if TYPE_CHECKING:
    from ingest import Paper
    from ingest.overview import Listed

MAX_FOUND = 50
_ID = re.compile(r"[0-9a-f]{16}")

MayAsk = Annotated[ApiKey, Depends(key_for("ask"))]
MayAdd = Annotated[ApiKey, Depends(key_for("add"))]


def router() -> APIRouter:
    """The routes; every one needs a key."""
    routes = APIRouter()
    routes.get("/papers")(_papers)
    routes.get("/papers.bib", response_class=PlainTextResponse)(_bibtex)
    routes.get("/papers/{paper_id}")(_paper)
    routes.get("/papers/{paper_id}/pages/{number}")(_page)
    routes.post("/papers")(_add)
    routes.delete("/papers/{paper_id}")(_remove)
    routes.get("/search")(_search)
    routes.post("/ask")(_ask)
    return routes


def _papers(key: MayAsk, tag: str | None = None) -> dict[str, Any]:
    """Every paper that the key reaches."""
    return {"papers": [_row(one.paper, tags=one.tags, added=one.added_at) for one in _listed(key, tag)]}


def _bibtex(key: MayAsk) -> str:
    """BibTeX of every paper that the key reaches."""
    return write_bibtex([one.paper for one in _listed(key)])


def _paper(paper_id: str, key: MayAsk) -> dict[str, Any]:
    """One paper."""
    found = _exact(paper_id, key)
    return _row(found, tags=core.library().tags_of(found.id))


def _page(paper_id: str, number: int, key: MayAsk) -> dict[str, Any]:
    """The text of a page, from 1."""
    found = _exact(paper_id, key)
    text = next((one.text for one in core.library().pages(found.id) if one.number == number), None)
    if text is None:
        raise ApiError(404, "This paper has no such page.")
    return {"paper": found.id, "page": number, "label": found.page_label(number), "text": text}


def _add(file: UploadFile, key: MayAdd) -> dict[str, Any]:
    """Add a PDF. Answers when it can be asked about, or says why it cannot be."""
    name = Path(file.filename or "paper.pdf").name[-120:]
    folder = core.library().folder / names.INCOMING / str(uuid.uuid4())
    try:
        folder.parent.mkdir(exist_ok=True)
        place = folder / "paper.pdf"
        copy_upload(file, place)
        _refuse_others(id_of(place), key)
        work = Ingest(library=core.library(), embedder=core.assistant().embedder, cancel=threading.Event())
        report = next(iter(work.run([Source(place, name)])))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if report.paper_id is None or report.error:
        raise ApiError(422, report.error or "The file could not be added.")
    if key.tag is not None:
        if report.status == "skipped":  # it may have come from elsewhere meanwhile
            _refuse_others(report.paper_id, key)
        core.library().tag([report.paper_id], key.tag)
    core.removals().keep([report.paper_id])
    return {"status": report.status, **_row(core.library().paper(report.paper_id))}


def _refuse_others(paper: str, key: ApiKey) -> None:
    """Refuse a paper that is there without the key's tag: by adding it, the key would come to read and remove it."""
    if core.library().papers([paper]) and not library_for(key).papers([paper]):
        raise ApiError(
            409,
            f"This PDF is in the library without the tag {key.tag}, which is all that this key reaches. "
            "Tag it in the Library, or use a key without a tag.",
            code="not_reached",
        )


def _remove(paper_id: str, key: MayAdd) -> dict[str, Any]:
    """Remove a paper for good."""
    found = _exact(paper_id, key)
    core.library().remove(found.id)
    return {"id": found.id, "removed": True}


def _search(
    request: Request,
    key: MayAsk,
    q: Annotated[str, Query(max_length=4000)],
    k: Annotated[int, Query(ge=1, le=MAX_FOUND)] = 10,
    tag: str | None = None,
) -> dict[str, Any]:
    """The passages that answer best, with pages and links."""
    if not q.strip():
        raise QuestionError("The question is empty.", "Say what to look for in q.")
    asked = [one.paper.id for one in _listed(key, tag)]
    retriever = assistant_for(key, core.assistant()).search.retriever
    limited = None if key.tag is None and tag is None else asked
    found = retriever.search(q, retriever.embed(q), k=k, paper_ids=limited, read=True)
    base = f"{request.url.scheme}://{request.url.netloc}"
    return {
        "passages": [
            {
                "paper": one.paper.id,
                "title": one.paper.title,
                "page": one.chunk.first_page,
                "section": one.chunk.section,
                "text": one.chunk.text,
                "score": one.score,
                "url": base
                + viewer.address(
                    one.paper.id,
                    one.chunk.first_page,
                    passage=f"{one.chunk.ordinal:04d}",
                    cited=one.chunk.first_page,
                ),
            }
            for one in found.passages
        ]
    }


async def _ask(asked: AskRequest, request: Request, key: MayAsk) -> dict[str, Any]:
    """Answer a question; the same answer as in the chat."""
    wish = Wish(
        question=asked.question,
        mode=asked.mode,
        papers=tuple(asked.papers) if asked.papers is not None else None,
        tag=asked.tag,
        history=tuple(asked.history),
    )
    base = f"{request.url.scheme}://{request.url.netloc}"
    answer = await whole(wish, key, request)
    text, _ = linked_text(plain_text(answer), answer, base=base)
    return {"markdown": text, **facts(answer, base=base)}


def _listed(key: ApiKey, tag: str | None = None) -> list[Listed]:
    """The papers that the key reaches, with this tag; not those that somebody has just removed. Case makes no tag."""
    gone = core.removals().waiting()
    return [
        one
        for one in library_for(key).overview()
        if one.paper.id not in gone and (tag is None or tag.casefold() in map(str.casefold, one.tags))
    ]


def _exact(paper_id: str, key: ApiKey) -> Paper:
    try:
        found = library_for(key).paper(paper_id) if _ID.fullmatch(paper_id) else None
    except UnknownPaperError:
        found = None
    gone = paper_id in core.removals().waiting()
    if found is None or found.id != paper_id or gone:
        raise ApiError(404, "There is no such paper.")
    return found


def _row(paper: Paper, **more: Any) -> dict[str, Any]:
    return {
        "id": paper.id,
        "title": paper.title,
        "authors": list(paper.authors),
        "year": paper.year,
        "doi": paper.doi,
        "pages": paper.n_pages,
        "file_name": paper.file_name,
        **more,
    }
