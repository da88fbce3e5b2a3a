"""What the viewer asks for while one scrolls: words of a page, marks, hits of a search, small pictures, notes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from ingest.annotations import annotations_of
from ingest.captions import captions
from ingest.errors import UnknownPaperError
from ingest.found_in_text import MAX_WORDS, marks_of_hits, search
from ingest.locate import MAX_QUOTE, locate
from ingest.picture import PictureError, page_picture
from ingest.text_layer import text_layer
from ui import core
from ui.web import viewer
from ui.web.in_sentences import InSentences

if TYPE_CHECKING:
    from pathlib import Path

    from ingest import Paper
    from ingest.annotation import Annotation

SMALL_DPI = 18
"""For the strip of small pages: a page of A4 is 150 pixels wide."""

_NUMBER = re.compile(r"[1-9]\d{0,4}")
_ORDINAL = re.compile(r"\d{4,7}")


def router() -> APIRouter:
    """Everything below `/viewer/<paper>/`; read only."""
    routes = APIRouter(prefix="/viewer/{paper_id}", route_class=InSentences)

    # not `async`: pdfium works in a thread
    @routes.get("/text/{number}")
    def text(paper_id: str, number: str) -> dict[str, Any]:
        _, path, n = _page(paper_id, number)
        words = _or_refused(text_layer, path, n)
        return {
            "words": [
                [word.text, *(round(side, 5) for side in word.box), word.turn, int(word.ends_line)] for word in words
            ]
        }

    @routes.get("/marks/{number}")
    def marks(
        paper_id: str,
        number: str,
        words: Annotated[list[str] | None, Query(max_length=viewer.MAX_PLACES)] = None,
        passage: Annotated[list[str] | None, Query(max_length=viewer.MAX_PLACES)] = None,
    ) -> dict[str, Any]:
        paper, path, n = _page(paper_id, number)
        ids = [f"{paper.id}:{ordinal}" for ordinal in passage or () if _ORDINAL.fullmatch(ordinal)]
        passages = core.library().chunks(ids)
        sought = [*(words or ()), *(passages[name].text for name in ids if name in passages)]
        found = [locate(path, n, quote[:MAX_QUOTE]) for quote in sought]
        return {"marks": [viewer.fractions(one) if one else [] for one in found], "whole": viewer.is_whole(found)}

    @routes.get("/search")
    def search_document(paper_id: str, q: str) -> dict[str, Any]:
        paper, _ = stored(paper_id)
        hits, more = search(core.library().pages(paper.id), q[:MAX_WORDS])
        return {"hits": [[hit.page, hit.before, hit.words, hit.after] for hit in hits], "more": more}

    @routes.get("/found/{number}")
    def found(paper_id: str, number: str, q: str) -> dict[str, Any]:
        paper, path, n = _page(paper_id, number)
        stored = next((page.text for page in core.library().pages(paper.id) if page.number == n), "")
        return {"hits": _or_refused(marks_of_hits, path, n, q[:MAX_WORDS], stored)}

    @routes.get("/small/{number}")
    def small(paper_id: str, number: str) -> Response:
        _, path, n = _page(paper_id, number)
        return Response(_or_refused(page_picture, path, n, dpi=SMALL_DPI), media_type="image/png")

    @routes.get("/figures")
    def figures(paper_id: str) -> dict[str, Any]:
        paper, _ = stored(paper_id)
        return {"figures": [[one.name, one.text, one.page] for one in captions(core.library().pages(paper.id))]}

    @routes.get("/notes")
    def notes(paper_id: str) -> dict[str, Any]:
        paper, path = stored(paper_id)
        found = core.library().annotations(paper.id)
        if found is None:  # added by an older Scholion
            found = core.library().keep_annotations(paper.id, _or_refused(annotations_of, path))
        return {"notes": [_told(note) for note in found if note.page <= paper.n_pages]}

    return routes


def _told(note: Annotation) -> dict[str, Any]:
    return {
        "page": note.page,
        "kind": note.kind,
        "quote": note.quote,
        "note": note.note,
        "author": note.author,
        "boxes": note.boxes,
    }


def _or_refused(work: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return work(*arguments, **options)
    except PictureError as error:
        raise HTTPException(error.status, str(error)) from error


def stored(paper_id: str) -> tuple[Paper, Path]:
    """The paper with exactly this id, and the library's copy of its PDF; 404 if there is none."""
    try:
        found = core.library().paper(paper_id)
    except UnknownPaperError as error:
        raise HTTPException(404, str(error)) from error
    path = core.library().pdf_path(found.id)
    if found.id != paper_id or not path.is_file():
        raise HTTPException(404, "There is no such paper.")
    return found, path


def _page(paper_id: str, number: str) -> tuple[Paper, Path, int]:
    paper, path = stored(paper_id)
    if _NUMBER.fullmatch(number) is None or int(number) > paper.n_pages:
        raise HTTPException(404, "This paper has no such page.")
    return paper, path, int(number)
