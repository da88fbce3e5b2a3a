"""The PDF panel: one paper at one page, with the cited words marked."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import chainlit as cl

from ingest import UserFacingError
from ingest.errors import UnknownPaperError
from rag.render import TITLE_CHARS, cite_path
from rag.texts import _
from ui import core
from ui.web import viewer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.answer import Answer

KNOWN_BY = 40
"""Letters and digits of a quote used to recognise it in the message that shows it."""

MAX_SHOWN = 20_000
"""Characters of a clicked message that are looked at."""

_CITE = re.compile(r"/cite/([0-9a-f]{16})/([1-9]\d{0,4})/(\d{4,7})")


class CitationError(UserFacingError):
    """A citation whose target is no longer in the library."""

    status = 404


_KEPT = "quotes"


def quotes_of(answer: Answer) -> dict[str, list[str]]:
    """The verbatim quotes behind each citation's address, stored with the message."""
    quotes: dict[str, list[str]] = {}
    for citation in answer.citations:
        known = quotes.setdefault(cite_path(citation.passage.chunk, page=citation.page), [])
        if citation.quote and citation.quote not in known:
            known.append(citation.quote)
    return quotes


def remember(quotes: Any) -> None:
    """Remember the quotes of a new or stored message; later ones come last."""
    if not isinstance(quotes, dict):
        return
    kept: dict[str, list[str]] = cl.user_session.get(_KEPT) or {}
    for path, words in quotes.items():
        if isinstance(words, list):
            later = [str(quote) for quote in words]
            kept[path] = [quote for quote in kept.get(path, []) if quote not in later] + later
    cl.user_session.set(_KEPT, kept)


async def open_citation(message: Any) -> None:
    """Open the panel for a clicked marker. It receives every message posted in the page, so nothing is trusted.

    Raises:
        CitationError: the link is one of ours, but the paper or the passage is gone.
    """
    if not isinstance(message, dict) or message.get("type") != "scholion:cite":
        return
    match = _CITE.fullmatch(path := str(message.get("path")))
    if match is None:
        return
    paper_id, page, ordinal = match[1], int(match[2]), match[3]
    chunk = core.library().chunk(f"{paper_id}:{ordinal}")
    if chunk is None or chunk.paper_id != paper_id or not chunk.first_page <= page <= chunk.last_page:
        raise CitationError("The cited passage is no longer in your library.", "Ask again for a fresh answer.")
    shown = _letters(str(message.get("text") or "")[:MAX_SHOWN])
    words = _cited_in(shown, path)
    places = _places_in(shown, paper_id)
    await show(paper_id, page=page, words=words, passage=None if words else ordinal, places=places)


def _cited_in(shown: str, path: str) -> list[str]:
    """The quotes behind this address that are in the clicked message; if there are none, the passage is marked.

    Args:
        shown: the letters of the message.
        path: the address.
    """
    kept: dict[str, list[str]] = cl.user_session.get(_KEPT) or {}
    return [quote for quote in kept.get(path, []) if _letters(quote)[:KNOWN_BY] in shown]


def _places_in(shown: str, paper_id: str) -> list[viewer.Place]:
    """The places in this paper whose quotes are in the clicked message; none if there is only one."""
    places = []
    for path in cl.user_session.get(_KEPT) or {}:
        match = _CITE.fullmatch(path)
        if match and match[1] == paper_id and (words := _cited_in(shown, path)):
            places.append(viewer.Place(page=int(match[2]), ordinal=match[3], quotes=tuple(words)))
    return places if len(places) > 1 else []


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


async def show(
    paper_id: str,
    *,
    page: int = 1,
    words: Sequence[str] = (),
    passage: str | None = None,
    places: Sequence[viewer.Place] = (),
) -> None:
    """Open the panel with this paper at this page, with the words marked, or the passage with this ordinal.

    One can jump from there to the other places that the answer cites.

    Raises:
        UnknownPaperError: there is no such paper, or it has no such page.
    """
    paper = core.library().paper(paper_id)
    if paper.id != paper_id or not 1 <= page <= paper.n_pages:
        raise UnknownPaperError("This page is not in your library.")
    title = paper.title if len(paper.title) <= TITLE_CHARS else paper.title[:TITLE_CHARS].rsplit(" ", 1)[0] + " …"
    cited = page if words or passage else None
    props = {
        "address": viewer.address(paper.id, page, words=words, passage=passage, cited=cited, places=places),
        "title": _("{title}, page {page}").format(title=title, page=paper.page_name(page)),
    }
    # Chainlit searches for an element's name in every text; this one occurs in none
    element = cl.CustomElement(name="ScholionPage", props=props, display="page")
    await cl.ElementSidebar.set_elements([element], key=uuid.uuid4().hex)  # before the title, which is lost otherwise
    await cl.ElementSidebar.set_title(title)
