"""A web page for one page of a paper: its picture with the cited words marked, and links to other pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ingest.locate import locate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ingest import Paper
    from ingest.locate import Marks

MAX_QUOTES = 5
"""Maximum number of quotes marked on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A view: a page, and the words to mark."""

    paper: Paper
    number: int
    """From 1."""
    words: tuple[str, ...] = ()
    """Verbatim quotes."""
    passage: str | None = None
    """Ordinal of the passage to mark if there is no quote."""
    cited: int | None = None
    """The page with the cited words; None if nothing is cited."""

    def at(self, number: int) -> str:
        """The address of this view at another page."""
        return address(self.paper.id, number, words=self.words, passage=self.passage, cited=self.cited)


def address(
    paper_id: str,
    number: int,
    *,
    words: Sequence[str] = (),
    passage: str | None = None,
    cited: int | None = None,
) -> str:
    """The address of the page with these words marked."""
    query = [("words", quote) for quote in words[:MAX_QUOTES]]
    query += [("passage", passage)] if passage else []
    query += [("cited", str(cited))] if cited else []
    return f"/page/{paper_id}/{number}" + (f"?{urlencode(query)}" if query else "")


def page(look: Look, *, pdf: Path, passage_text: str | None) -> str:
    """Render the web page.

    Args:
        look: the view.
        pdf: the PDF.
        passage_text: the text of the passage, if it is cited without a known quote.
    """
    quotes = look.words[:MAX_QUOTES] or ((passage_text,) if passage_text else ())
    # also mark on the pages before and after, because a sentence may continue across the page break
    near = look.cited is not None and abs(look.cited - look.number) <= 1
    marks = [locate(pdf, look.number, quote) for quote in quotes] if near else []
    found = [one for one in marks if one is not None]
    said = _said(marks) if look.number == look.cited else ""
    return _html(look, found, said=said)


def _said(marks: Sequence[Marks | None]) -> str:
    """A note about the marks; empty if all words are marked."""
    found = [one for one in marks if one is not None]
    if not found:
        return "The cited text could not be highlighted on this page."
    if len(found) < len(marks):
        return "Some of the cited text could not be highlighted on this page."
    if any(one.share < 0.9 for one in found):
        return "Only part of the cited text could be highlighted on this page."
    return ""


def _html(look: Look, found: Sequence[Marks], *, said: str) -> str:
    paper, n = look.paper, look.number
    called, label = escape(paper.page_name(n)), escape(paper.page_label(n) or "")
    name = escape(paper.title.strip() or paper.file_name)
    file = escape(paper.file_name if paper.file_name.lower().endswith(".pdf") else f"{paper.id}.pdf")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}, page {called}</title>
<link rel="icon" href="/public/favicon.svg">
<link rel="stylesheet" href="/public/viewer.css">
<script src="/public/viewer.js" defer></script>
</head>
<body>
<header>
<nav aria-label="Pages">
{_step(look, n - 1, "previous", "Previous page", "‹")}
<span id="number">{f"p. {label} · " if label else ""}{n} / {paper.n_pages}</span>
{_step(look, n + 1, "next", "Next page", "›")}
</nav>
<div class="zoom">
<button id="smaller" type="button" aria-label="Smaller">−</button>
<button id="fit" type="button" title="Fit the page to the window's width">Fit width</button>
<button id="larger" type="button" aria-label="Larger">+</button>
</div>
<div class="file">
<a id="alone" href="{escape(look.at(n))}" target="_blank" rel="noopener">New tab</a>
<a href="/papers/{paper.id}.pdf#page={n}" target="_blank" rel="noopener">Open the PDF</a>
<a href="/papers/{paper.id}.pdf" download="{file}">Download</a>
</div>
</header>
<p id="said" role="status"{"" if said else " hidden"}>{said}</p>
<main>
<figure>
<img id="picture" src="/page/{paper.id}/{n}.png" alt="Page {called} of {name}">
{"".join(map(_overlay, found))}</figure>
</main>
</body>
</html>
"""


def _step(look: Look, number: int, name: str, label: str, sign: str) -> str:
    if not 1 <= number <= look.paper.n_pages:
        return f'<span class="step" aria-hidden="true">{sign}</span>'
    address = escape(look.at(number))
    return (
        f'<a class="step" id="{name}" rel="{name[:4]}" aria-label="{label}" title="{label}" href="{address}">{sign}</a>'
    )


def _overlay(marks: Marks) -> str:
    """The marks as an SVG over the picture, in points from the page's upper left corner."""
    rectangles = "".join(
        f'<rect class="mark" x="{left:.2f}" y="{marks.height - top:.2f}" width="{right - left:.2f}" '
        f'height="{top - bottom:.2f}" rx="1.5"/>'
        for left, bottom, right, top in marks.rectangles
    )
    size = f"{marks.width:.2f} {marks.height:.2f}"
    return f'<svg viewBox="0 0 {size}" preserveAspectRatio="none" aria-hidden="true">{rectangles}</svg>\n'
