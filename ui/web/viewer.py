"""The viewer: a paper as one scrolling document, opened at a page with the cited words marked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ingest.document_map import USUAL, DocumentMap, document_map
from ingest.locate import locate
from ingest.picture import PictureError
from rag.texts import _
from ui.web import pages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ingest import Paper
    from ingest.locate import Marks

MAX_QUOTES = 5
"""Maximum number of quotes marked for one place."""

MAX_PLACES = 40
"""Maximum number of cited places of one answer that can be jumped to."""

MAX_ADDRESS = 8_000
"""Characters of an address; the quotes of further places are left out, and their passages are marked instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place that an answer cites."""

    page: int
    """From 1."""
    ordinal: str
    """Of the passage."""
    quotes: tuple[str, ...] = ()
    """Verbatim; empty if only the passage is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A view: a page, the words to mark, and the other places that the same answer cites."""

    paper: Paper
    number: int
    """From 1."""
    words: tuple[str, ...] = ()
    """Verbatim quotes."""
    passage: str | None = None
    """Ordinal of the passage to mark if there is no quote."""
    cited: int | None = None
    """The page with the cited words; None if nothing is cited."""
    places: tuple[Place, ...] = ()
    """The cited places of the answer in this paper; empty if they are not known."""


def address(
    paper_id: str,
    number: int,
    *,
    words: Sequence[str] = (),
    passage: str | None = None,
    cited: int | None = None,
    places: Sequence[Place] = (),
) -> str:
    """The address of the document at this page, with these words marked."""
    query = [("words", quote) for quote in words[:MAX_QUOTES]]
    query += [("passage", passage)] if passage else []
    query += [("cited", str(cited))] if cited else []
    known = len(urlencode(query))
    for place in places[:MAX_PLACES]:
        named = [("place", ":".join((str(place.page), place.ordinal, quote))) for quote in place.quotes[:MAX_QUOTES]]
        length = len(urlencode(named))
        if not named or known + length > MAX_ADDRESS:
            named, length = [("place", f"{place.page}:{place.ordinal}")], 30
        query += named
        known += length
    return f"/page/{paper_id}/{number}" + (f"?{urlencode(query)}" if query else "")


def place_from(said: str) -> Place | None:
    """The place that a part of an address names as `page:ordinal` or `page:ordinal:quote`; None if it names none."""
    page, _, rest = said.partition(":")
    ordinal, _, quote = rest.partition(":")
    if not (page.isascii() and page.isdecimal() and 1 <= len(page) <= 5 and int(page)):
        return None
    if not (ordinal.isascii() and ordinal.isdecimal() and 4 <= len(ordinal) <= 7):
        return None
    return Place(page=int(page), ordinal=ordinal, quotes=(quote,) if quote.strip() else ())


def joined_places(found: Sequence[Place], n_pages: int) -> tuple[Place, ...]:
    """One place for each passage on a page, in the document's order."""
    quotes: dict[tuple[int, str], list[str]] = {}
    for place in found:
        if place.page <= n_pages:
            quotes.setdefault((place.page, place.ordinal), []).extend(place.quotes)
    return tuple(
        Place(page=page, ordinal=ordinal, quotes=tuple(dict.fromkeys(words))[:MAX_QUOTES])
        for (page, ordinal), words in sorted(quotes.items())[:MAX_PLACES]
    )


def page(look: Look, *, pdf: Path, passage_text: str | None) -> str:
    """Render the web page.

    Args:
        look: the view.
        pdf: the PDF.
        passage_text: the text of the passage, if it is cited without a known quote.
    """
    quotes = look.words[:MAX_QUOTES] or ((passage_text,) if passage_text else ())
    marked = look.cited or look.number
    # only these are looked for at once: those of other pages when they come into view
    marks = [locate(pdf, marked, quote) for quote in quotes] if look.cited is not None else []
    found = [one for one in marks if one is not None]
    told = _said(marks) if look.number == look.cited else ""
    rectangles = [rectangle for one in found for rectangle in fractions(one)]
    return _html(look, _known(pdf), rectangles, said=told, whole=is_whole(marks))


def is_whole(found: Sequence[Marks | None]) -> bool:
    """Whether all words were found on their page; else a quote may go on on the page before or after."""
    return bool(found) and all(one is not None and one.share > 0.98 for one in found)


def fractions(marks: Marks) -> list[list[float]]:
    """Left, top, right, bottom of each rectangle as fractions of the displayed page, from its upper left corner."""
    return [
        [
            round(left / marks.width, 5),
            round(1 - top / marks.height, 5),
            round(right / marks.width, 5),
            round(1 - bottom / marks.height, 5),
        ]
        for left, bottom, right, top in marks.rectangles
    ]


def _known(pdf: Path) -> DocumentMap | None:
    try:
        stat = pdf.stat()
        return _map(pdf, stat.st_mtime_ns, stat.st_size)
    except (PictureError, OSError):
        return None


@lru_cache(maxsize=32)
def _map(pdf: Path, _changed: int, _size: int) -> DocumentMap:
    return document_map(pdf)


def _said(marks: Sequence[Marks | None]) -> str:
    """A note about the marks; empty if all words are marked."""
    found = [one for one in marks if one is not None]
    if not found:
        return _("The cited text could not be highlighted on this page.")
    if len(found) < len(marks):
        return _("Some of the cited text could not be highlighted on this page.")
    if any(one.share < 0.9 for one in found):
        return _("Only part of the cited text could be highlighted on this page.")
    return ""


def _data(
    look: Look, known: DocumentMap | None, rectangles: Sequence[Sequence[float]], *, whole: bool
) -> dict[str, Any]:
    """What the page's script needs of the document."""
    paper = look.paper
    sizes = list(known.sizes if known else ())[: paper.n_pages]
    sizes += [sizes[-1] if sizes else USUAL] * (paper.n_pages - len(sizes))
    return {
        "paper": paper.id,
        "page": look.number,
        "cite": paper.short_cite,
        "sizes": sizes,
        "labels": [paper.page_label(number) or "" for number in range(1, paper.n_pages + 1)],
        "outline": [[entry.title, entry.page, entry.depth] for entry in known.outline] if known else [],
        "cited": look.cited,
        "words": look.words,
        "passage": look.passage,
        "marks": rectangles,
        "whole": whole,
        "places": [
            {"page": place.page, "ordinal": place.ordinal, "quotes": place.quotes} for place in look.places
        ],
    }  # fmt: skip


def _html(
    look: Look, known: DocumentMap | None, rectangles: Sequence[Sequence[float]], *, said: str, whole: bool
) -> str:
    paper, n = look.paper, look.number
    file = escape(paper.file_name if paper.file_name.lower().endswith(".pdf") else f"{paper.id}.pdf")
    data = json.dumps(_data(look, known, rectangles, whole=whole)).replace("<", "\\u003c")
    body = f"""<h1 class="unseen" translate="no">{escape(paper.title.strip() or paper.file_name)}</h1>
<header id="bar">
<button id="strip" type="button" aria-expanded="false" aria-controls="side"
 aria-label="Pages, contents and notes" title="Pages, contents and notes">☰</button>
<nav aria-label="Pages">
<button id="previous" type="button" aria-label="Previous page" title="Previous page">‹</button>
<span id="label"></span>
<input id="go" type="text" inputmode="numeric" aria-label="Page" value="{n}" autocomplete="off">
<span id="of">/ {paper.n_pages}</span>
<button id="next" type="button" aria-label="Next page" title="Next page">›</button>
</nav>
<div class="zoom" role="group" aria-label="Zoom">
<button id="smaller" type="button" aria-label="Smaller">−</button>
<button id="fit" type="button" title="Fit the page to the window's width">Width</button>
<button id="whole" type="button" title="Show the whole page">Page</button>
<button id="larger" type="button" aria-label="Larger">+</button>
</div>
<div id="cited" role="group" aria-label="Cited places" hidden>
<button id="cited-before" type="button" aria-label="Previous cited place" title="Previous cited place">‹</button>
<span id="cited-at"></span>
<button id="cited-after" type="button" aria-label="Next cited place" title="Next cited place">›</button>
</div>
<form id="search" role="search">
<input id="sought" type="search" placeholder="Search" aria-label="Search in this document" maxlength="200"
 autocomplete="off" spellcheck="false">
<span id="hit" role="status"></span>
<button id="hit-before" type="button" aria-label="Previous hit" title="Previous hit" hidden>‹</button>
<button id="hit-after" type="button" aria-label="Next hit" title="Next hit" hidden>›</button>
</form>
<details id="more"><summary aria-label="More" title="More">⋯</summary><div>
<a id="alone" href="{escape(f"/page/{paper.id}/{n}")}" target="_blank" rel="noopener">Open in a new tab</a>
<a id="pdf" href="/papers/{paper.id}.pdf#page={n}" target="_blank" rel="noopener">Open the PDF</a>
<a href="/papers/{paper.id}.pdf" download="{file}">Download</a>
</div></details>
</header>
<p id="said" role="status"{"" if said else " hidden"}>{escape(said)}</p>
<div id="body">
<aside id="side" aria-label="Pages, contents and notes" hidden>
<div id="tabs" role="tablist"></div>
<div id="lists"></div>
</aside>
<div id="pane" tabindex="0" aria-label="Document"><div id="sheets"></div></div>
</div>
<div id="pick" role="toolbar" aria-label="Selected text" hidden>
<button id="copy" type="button">Copy</button>
<button id="copy-cited" type="button"
 title="Copy in quotation marks with author, year and page (C)">Copy with citation</button>
</div>
<p id="done" role="status"></p>
<script id="document" type="application/json">{data}</script>"""
    title = _("{title}, page {page}").format(title=paper.title.strip() or paper.file_name, page=paper.page_name(n))
    return pages.frame(title, body, script="viewer.js", styles=("viewer.css",))
