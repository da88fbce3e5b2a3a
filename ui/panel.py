"""A look at the PDF: the side panel with one paper at one page."""

from __future__ import annotations

import re
import uuid
from typing import Any

import chainlit as cl

from ingest import UserFacingError
from ingest.errors import UnknownPaperError
from rag.render import TITLE_CHARS
from ui import core

_CITE = re.compile(r"/cite/([0-9a-f]{16})/([1-9]\d{0,4})/(\d{4,7})")


class CitationError(UserFacingError):
    """A citation that points at nothing that is in the library now."""

    status = 404


async def open_citation(message: Any) -> None:
    """Open the panel for a click on a marker. Gets every message posted in the page, so it takes nothing on trust.

    Raises:
        CitationError: the link is one of ours, but the paper or the passage is gone.
    """
    if not isinstance(message, dict) or message.get("type") != "scholion:cite":
        return
    match = _CITE.fullmatch(str(message.get("path")))
    if match is None:
        return
    paper_id, page, ordinal = match[1], int(match[2]), match[3]
    chunk = core.library().chunk(f"{paper_id}:{ordinal}")
    if chunk is None or chunk.paper_id != paper_id or not chunk.first_page <= page <= chunk.last_page:
        raise CitationError("The cited passage is no longer in your library.", "Ask again for a fresh answer.")
    await show(paper_id, page=page)


async def show(paper_id: str, *, page: int = 1) -> None:
    """Open the panel with this paper at this page.

    Raises:
        UnknownPaperError: there is no such paper, or it has no such page.
    """
    paper = core.library().paper(paper_id)
    if paper.id != paper_id or not 1 <= page <= paper.n_pages:
        raise UnknownPaperError("This page is not in your library.")
    name = f"{paper.id}.pdf"  # not the title: Chainlit would look for an element's name in every text
    element = cl.Pdf(name=name, url=f"/papers/{paper.id}.pdf", page=page, display="page")
    title = paper.title if len(paper.title) <= TITLE_CHARS else paper.title[:TITLE_CHARS].rsplit(" ", 1)[0] + " …"
    await cl.ElementSidebar.set_elements([element], key=uuid.uuid4().hex)  # first: the other order loses the title
    await cl.ElementSidebar.set_title(f"{title}, page {page}")
