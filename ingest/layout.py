"""Classify the lines and build the text as a person reads it: no running heads, whole words, paragraphs, headings."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ingest.blocks import Piece, find_pieces
from ingest.headings import Head, Named, find_headings
from ingest.known_headings import is_periodical, is_references, is_retraction_stamp
from ingest.lines import Line, Style, clean, join, mended, vocabulary_of
from ingest.margins import running_lines, without_line_numbers
from ingest.outline import named_lines
from ingest.paper import PAGE_BREAK, Block, Heading, Page
from ingest.reference_list import NO_REFERENCES, find_references
from ingest.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.outline import OutlineEntry

__all__ = ["PARAGRAPH_BREAK", "Layout", "Line", "Style", "clean", "is_references", "lay_out", "plain_layout"]

PARAGRAPH_BREAK = "\n\n"

_PLAIN = Style("", 10.0, bold=False, italic=False)


@dataclass(frozen=True, slots=True)
class Layout:
    """A document's content once its lines are classified."""

    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    title: str | None
    """The largest lines of the first page, or None."""
    title_lines: tuple[Line, ...]
    first_page: tuple[Line, ...]
    blocks: tuple[Block, ...] = ()
    references: tuple[str, ...] = ()
    sideways: tuple[str, ...] = ()
    """Lines in another direction than their page, such as arXiv's stamp; they are not part of the text."""
    n_columns: int = 1
    retracted: bool = False
    """Whether a stamp says so."""


def lay_out(
    pages: Sequence[Sequence[Line]], outline: Sequence[OutlineEntry] = (), *, steps: Steps | None = None
) -> Layout:
    """Pages of running text with their headings, blocks and references, from lines in the order of reading.

    Args:
        pages: the lines of each page.
        outline: what the file itself says of its sections.
        steps: counts what fails of it; without one it is contained all the same.
    """
    steps, n_pages = steps or Steps(), len(pages)
    sideways = tuple(line.text for lines in pages for line in lines if line.turned)
    every = [line for lines in pages for line in lines]
    whole = iter(steps.attempt_all("ligatures", n_pages, lambda: every, mended, every))
    # what a glyph without a letter leaves may be nothing, and from here on every line has text
    pages = [[line for _ in lines if (line := next(whole)).text.strip()] for lines in pages]
    upright = [[line for line in page if not line.turned] for page in pages]
    upright = steps.attempt_all("line numbers", n_pages, partial(list, upright), without_line_numbers, upright)
    stamps = steps.attempt_all("stamps", n_pages, set[Line], _stamps, pages)
    running = steps.attempt_all("running heads", n_pages, set[Line], running_lines, upright) | stamps
    kept = [[line for line in lines if line not in running] for lines in upright]
    flat = [line for lines in kept for line in lines]
    body = steps.attempt_all("type size", n_pages, lambda: _PLAIN, _body_style, flat)
    vocabulary = steps.attempt_all("hyphens", n_pages, Counter[str], vocabulary_of, flat)
    opening = "\n".join(line.text for lines in upright[:2] for line in lines)
    title_lines = steps.attempt("title", list[Line], _title_lines, kept[0] if kept else [], body.size, opening)
    title = {i for i, line in enumerate(kept[0] if kept else []) if line in title_lines}
    named = steps.attempt_all("outline", n_pages, list[Named], named_lines, flat, outline)
    heads = steps.attempt_all("headings", n_pages, list[Head], find_headings, flat, body, title=title, outline=named)
    references = steps.attempt_all("references", n_pages, lambda: NO_REFERENCES, find_references, flat, heads)
    inside = references.lines
    heads = [head for head in heads if head.first not in inside]
    pieces = steps.attempt_all(
        "paragraphs", n_pages, lambda: _plain_pieces(kept), find_pieces, flat, body, title, heads, references
    )
    return _assembled(
        kept,
        pieces,
        vocabulary,
        steps,
        title=join([line.text for line in title_lines], vocabulary) or None,
        title_lines=tuple(title_lines),
        sideways=sideways,
        n_columns=steps.attempt_all("columns", n_pages, lambda: 1, _n_columns, kept, body),
        retracted=bool(stamps),
    )


def plain_layout(pages: Sequence[Sequence[Line]]) -> Layout:
    """The lines in their original order, if they cannot be laid out."""
    texts = ["\n".join(line.text for line in lines) for lines in pages]
    return Layout(
        pages=tuple(Page(number, text) for number, text in enumerate(texts, start=1)),
        headings=(),
        title=None,
        title_lines=(),
        first_page=tuple(pages[0]) if pages else (),
    )


def _plain_pieces(pages: Sequence[Sequence[Line]]) -> list[Piece]:
    """Each page as a single block."""
    return [Piece("body", lines[0].page, [line.text for line in lines], list(lines)) for lines in pages if lines]


_STAMP = 16
"""Points: a stamp of one word is as large at least, however it is turned; a label in a diagram is smaller."""


def _stamps(pages: Sequence[Sequence[Line]]) -> set[Line]:
    """The lines that say that the paper was retracted."""
    lines = [line for page in pages for line in page]
    return {line for line in lines if is_retraction_stamp(line.text, large=line.size >= _STAMP)}


def _body_style(lines: Sequence[Line]) -> Style:
    """The style of the running text, its size rounded to half a point.

    Long lines count more, for a review's tables can hold more characters than its text, and so can its references.
    """
    listed = [i for i, line in enumerate(lines) if is_references(line.text) and i > 0.2 * len(lines)]
    text = lines[: listed[0]] if listed else lines
    sizes: Counter[float] = Counter()
    for line in text:
        sizes[round(line.size * 2) / 2] += len(line.text) ** 2
    if not sizes:
        return _PLAIN
    size = sizes.most_common(1)[0][0]
    faces: Counter[tuple[str, bool, bool]] = Counter()
    for line in text:
        if abs(line.size - size) < 0.3:
            faces[line.style.face, line.style.bold, line.style.italic] += len(line.text)
    face, bold, italic = faces.most_common(1)[0][0]
    return Style(face, size, bold, italic)


_NOT_A_TITLE = re.compile(
    r"\b(?:journal|proceedings|transactions|volume|vol\.|research article|open access|original (?:article|paper)|"
    r"doi|issn|copyright|university)\b",
    re.IGNORECASE,
)


def _title_lines(first_page: list[Line], body: float, shown: str) -> list[Line]:
    """The most title-like group of neighbouring lines of one large size in the upper part of the first page."""
    groups: list[list[Line]] = []
    for line in first_page:
        if line.height < 0.45 or line.size < body * 1.1 or sum(char.isalpha() for char in line.text) < 4:
            continue
        last = groups[-1][-1] if groups else None
        if last and abs(last.size - line.size) < 0.6 and abs(last.y - line.y) < line.size * 2.6:
            groups[-1].append(line)
        else:
            groups.append([line])

    def score(group: list[Line]) -> float:
        text = " ".join(line.text for line in group)
        words = len(text.split())
        return (
            group[0].size
            * (1.0 if words >= 4 else 0.72 if words == 3 else 0.5)
            * (0.7 if _NOT_A_TITLE.search(text) else 1.0)
            * (0.3 if is_periodical(text, shown) else 1.0)
        )

    return max(groups, key=score) if groups else []


def _assembled(
    kept: Sequence[Sequence[Line]],
    pieces: Sequence[Piece],
    vocabulary: Counter[str],
    steps: Steps,
    *,
    title: str | None,
    title_lines: tuple[Line, ...],
    sideways: tuple[str, ...],
    n_columns: int,
    retracted: bool,
) -> Layout:
    by_page: dict[int, list[Piece]] = defaultdict(list)
    for piece in pieces:
        by_page[piece.page].append(piece)
    pages: list[Page] = []
    headings: list[Heading] = []
    blocks: list[Block] = []
    references: list[str] = []
    offset = 0
    for number in range(1, len(kept) + 1):
        at, texts = offset, []
        for piece in by_page[number]:
            step = "tables" if piece.kind == "table" else "words over two lines"
            text = steps.attempt(step, partial("\n".join, piece.texts), piece.as_text, vocabulary)
            end = at + len(text)
            blocks.append(Block(at, end, piece.kind))
            if piece.kind == "heading":
                headings.append(Heading(at, end, text, piece.level))
            elif piece.kind == "reference":
                if piece.opens_entry or not references:
                    references.append(text)
                else:  # over a column's or a page's end
                    references[-1] = join([references[-1], text], vocabulary)
            texts.append(text)
            at = end + len(PARAGRAPH_BREAK)
        page = Page(number, PARAGRAPH_BREAK.join(texts))
        pages.append(page)
        offset += len(page.text) + len(PAGE_BREAK)
    return Layout(
        pages=tuple(pages),
        headings=tuple(headings),
        title=title,
        title_lines=title_lines,
        first_page=tuple(kept[0]) if kept else (),
        blocks=tuple(blocks),
        references=tuple(references),
        sideways=sideways,
        n_columns=n_columns,
        retracted=retracted,
    )


def _n_columns(pages: Sequence[Sequence[Line]], body: Style) -> int:
    """Number of columns of most pages, judged by where lines of body text begin."""
    votes: Counter[int] = Counter()
    for lines in pages:
        text = [line for line in lines if abs(line.size - body.size) < 0.6 and len(line.text) > 20]
        if len(text) < 10:
            continue
        span = max(line.x_end for line in lines) - min(line.x for line in lines)
        begin = Counter(round(line.x / 5) * 5 for line in text)
        columns: list[int] = []
        for x in sorted(x for x, times in begin.items() if times >= 0.12 * len(text)):
            if not columns or x - columns[-1] > 0.2 * span:
                columns.append(x)
        votes[len(columns) or 1] += 1
    return votes.most_common(1)[0][0] if votes else 1
