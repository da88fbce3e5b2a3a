"""What each line is, and the text that a person would read: running heads out, words whole, paragraphs, headings."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.headings import CAPTION, find_headings, is_references
from ingest.lines import Line, Style, clean, join, mended, vocabulary_of
from ingest.paper import PAGE_BREAK, Block, Heading, Page
from ingest.references import find_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.headings import Head
    from ingest.references import References

__all__ = ["PARAGRAPH_BREAK", "Layout", "Line", "Style", "clean", "is_references", "lay_out"]

PARAGRAPH_BREAK = "\n\n"

_PAGE_NUMBER = re.compile(r"\W*(?:page\s*)?(?:\d{1,5}|[ivxlc]{1,6})\s*(?:(?:of|/)\s*\d{1,5})?\W*", re.IGNORECASE)
_LINE_NUMBER = re.compile(r"(\d{1,4})(?: \| |\s+|$)")
_SENTENCE_END = (".", "!", "?", ":")
_FOOTNOTE = re.compile(r"[\d⁰¹²³⁴-⁹*†‡§¶#ᵃ-ᵛ]{1,3}\s*\S")
_EQUATION = re.compile(r"[=≈≤≥∑∫∏√±∂∇∈⟨∥]")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a document says once its lines are understood."""

    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    title: str | None
    """The largest lines of the first page, or None."""
    title_lines: tuple[Line, ...]
    first_page: tuple[Line, ...]
    blocks: tuple[Block, ...] = ()
    references: tuple[str, ...] = ()
    sideways: tuple[str, ...] = ()
    """Lines that run in another direction than their page, such as arXiv's stamp; they are not in the text."""
    n_columns: int = 1


def lay_out(pages: Sequence[Sequence[Line]]) -> Layout:
    """Pages of running text with their headings, blocks and references, from lines in the order of reading."""
    sideways = tuple(line.text for lines in pages for line in lines if line.turned)
    whole = iter(mended(line for lines in pages for line in lines))
    pages = [[next(whole) for _ in lines] for lines in pages]
    upright = [_without_line_numbers([line for line in lines if not line.turned]) for lines in pages]
    running = _running_lines(upright)
    kept = [[line for line in lines if line not in running] for lines in upright]
    flat = [line for lines in kept for line in lines]
    body = _body_style(flat)
    vocabulary = vocabulary_of(flat)
    title_lines = _title_lines(kept[0] if kept else [], body.size)
    title = {i for i, line in enumerate(kept[0] if kept else []) if line in title_lines}
    heads = find_headings(flat, body, title=title)
    references = find_references(flat, heads)
    inside = references.lines
    heads = [head for head in heads if head.first not in inside]
    pieces = _floats_out(_pieces(flat, body, title, heads, references), body)
    return _assembled(
        kept,
        pieces,
        vocabulary,
        title=join([line.text for line in title_lines], vocabulary) or None,
        title_lines=tuple(title_lines),
        sideways=sideways,
        n_columns=_n_columns(kept, body),
    )


def _without_line_numbers(lines: list[Line]) -> list[Line]:
    """The lines of a page without the numbers that manuscripts print beside each of them."""
    numbers = [(i, int(m[1])) for i, line in enumerate(lines) if (m := _LINE_NUMBER.match(line.text))]
    steps = Counter(b[1] - a[1] for a, b in pairwise(numbers))
    if not steps or len(numbers) < 8:
        return lines
    step, times = steps.most_common(1)[0]
    alone = [i for i, _ in numbers if _LINE_NUMBER.match(lines[i].text + " ").end() > len(lines[i].text)]  # type: ignore[union-attr]
    if step not in (1, 5) or times < 0.8 * (len(numbers) - 1):
        return lines
    if len(alone) > 0.8 * len(numbers):
        edges = Counter(round(lines[i].x_end / 4) for i in alone)
        if edges.most_common(1)[0][1] < 0.6 * len(alone):
            return lines
        drop = set(alone)
        return [line for i, line in enumerate(lines) if i not in drop]
    if len(numbers) < 0.6 * len(lines):
        return lines
    out = list(lines)
    for i, _ in numbers:
        cut = _LINE_NUMBER.match(lines[i].text).end()  # type: ignore[union-attr]
        spans = tuple((max(0, start - cut), style) for start, style in lines[i].spans)
        spans = tuple(s for s, after in zip(spans, [*spans[1:], (10**9, None)], strict=True) if after[0] > 0)
        out[i] = replace(lines[i], text=lines[i].text[cut:], spans=spans)
    return [line for line in out if line.text]


def _running_lines(pages: list[list[Line]]) -> set[Line]:
    """Heads, feet and page numbers: in the outer tenth of the page, and alike on several pages."""
    edge = [line for lines in pages for line in lines if line.height > 0.91 or line.height < 0.09]
    where: dict[str, set[int]] = defaultdict(set)
    places: dict[tuple[str, int], set[int]] = defaultdict(set)
    for line in edge:
        where[_shape(line)].add(line.page)
        places[_shape(line), round(line.y / 3)].add(line.page)
    needed = max(2, min(3, math.ceil(len(pages) * 0.4)))
    return {
        line
        for line in edge
        if len(where[_shape(line)]) >= needed
        or len(places[_shape(line), round(line.y / 3)]) >= 2
        or _PAGE_NUMBER.fullmatch(line.text)
    }


def _shape(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text.lower())


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
        return Style("", 10.0, bold=False, italic=False)
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


def _title_lines(first_page: list[Line], body: float) -> list[Line]:
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
        )

    return max(groups, key=score) if groups else []


@dataclass(slots=True)
class _Piece:
    """A block before it is text: what it is made of."""

    kind: str
    page: int
    texts: list[str]
    lines: list[Line]
    level: int = 0
    opens_entry: bool = False

    @property
    def last(self) -> Line:
        return self.lines[-1]

    @property
    def left(self) -> float:
        return min(line.x for line in self.lines)

    def add(self, line: Line, text: str) -> None:
        self.lines.append(line)
        self.texts.append(text)


def _pieces(
    lines: Sequence[Line], body: Style, title: set[int], heads: Sequence[Head], references: References
) -> list[_Piece]:
    """The document's blocks in the order of reading; none crosses a page."""
    heading_of = {i: head for head in heads for i in range(head.first, head.last + 1)}
    leading = _leadings(lines)
    pieces: list[_Piece] = []
    for i, line in enumerate(lines):
        piece = pieces[-1] if pieces and pieces[-1].page == line.page else None
        if head := heading_of.get(i):
            cut = head.length if i == head.last else len(line.text)
            if piece and piece.kind == "heading" and i > head.first:
                piece.add(line, line.text[:cut].rstrip())
            else:
                pieces.append(_Piece("heading", line.page, [line.text[:cut].rstrip()], [line], head.level))
            if rest := line.text[cut:].strip():
                pieces.append(_Piece("body", line.page, [rest], [line]))
            continue
        kind, text = _kind(line, body, piece, leading[line.page]), line.text
        if i in title:
            kind = "title"
        elif i in references.lines:
            kind = "reference"
        if kind in ("body", "reference"):
            text = text.replace(" | ", " ")  # a line that is spaced out
        if piece and kind == piece.kind and not _breaks(piece, line, leading[line.page], starts=i in references.starts):
            piece.add(line, text)
        else:
            pieces.append(_Piece(kind, line.page, [text], [line], opens_entry=i in references.starts))
    return pieces


def _floats_out(pieces: list[_Piece], body: Style) -> list[_Piece]:
    """The blocks with each paragraph in one: what stands in its midst (a figure, a footnote) comes before it.

    So it is within a page. A paragraph that goes on overleaf becomes the last block of its page and the first of the
    next one.
    """
    out: list[_Piece] = []
    for piece in pieces:
        at = len(out)
        while at and out[at - 1].page == piece.page and _floats(out[at - 1], body):
            at -= 1
        opener = out[at - 1] if at else None
        if piece.kind != "body" or _floats(piece, body) or opener is None or not _goes_on(opener, piece):
            out.append(piece)
        elif opener.page == piece.page:
            del out[at - 1]
            out.append(replace(piece, texts=[*opener.texts, *piece.texts], lines=[*opener.lines, *piece.lines]))
        else:
            out.insert(at, piece)
    for i, piece in enumerate(out):  # the other half of a paragraph that goes on overleaf
        at = i
        while at + 1 < len(out) and out[at + 1].page == piece.page and _floats(out[at + 1], body):
            at += 1
        if at > i and at + 1 < len(out) and out[at + 1].page == piece.page + 1 and _goes_on(piece, out[at + 1]):
            out[i : at + 1] = [*out[i + 1 : at + 1], piece]
    return out


def _floats(piece: _Piece, body: Style) -> bool:
    """Whether a block can stand in the midst of a paragraph that it has no part in."""
    return piece.kind in ("caption", "table", "footnote") or (
        piece.kind == "body" and piece.last.size < 0.92 * body.size
    )


def _goes_on(piece: _Piece, following: _Piece) -> bool:
    """Whether the second of two paragraphs is the rest of the first."""
    return (
        piece.kind == following.kind == "body"
        and following.page - piece.page in (0, 1)
        and not piece.last.text.endswith(_SENTENCE_END)
        and not _may_begin(following.texts[0])
        and abs(piece.last.size - following.last.size) < 0.4
        and len(piece.texts[-1]) > 20
    )


def _kind(line: Line, body: Style, piece: _Piece | None, leading: float) -> str:  # noqa: PLR0911 - one kind a line
    """What a line is that is no title, heading or reference."""
    drop = piece.last.y - line.y if piece else 0.0
    near = piece is not None and 0 < drop < 1.5 * max(leading, piece.last.size)
    same = piece is not None and abs(piece.last.size - line.size) < 0.4
    if CAPTION.match(line.text) and _opens_caption(line, body, piece, leading):
        return "caption"
    inside = piece is not None and piece.kind == "body" and near and same
    if " | " in line.text and not (inside and line.text.count(" | ") == 1 and not _ended(piece)):
        return "table"
    if piece and piece.kind == "caption" and near and same and not _ended(piece):
        return "caption"
    if piece and _in_table(line, body, piece, leading):
        return "table"
    if piece and piece.kind == "caption" and near and same:
        return "caption"
    small_below = line.size < 0.92 * body.size and line.height < 0.35
    if small_below and (_FOOTNOTE.match(line.text) or (piece and piece.kind == "footnote" and same)):
        return "footnote"
    letters = sum(map(str.isalpha, line.text)) if len(line.text) < 120 and _EQUATION.search(line.text) else 999
    if letters < 0.5 * len(line.text.replace(" ", "")) and not (piece and inside and line.x < piece.left + line.size):
        return "equation"
    return "body"


def _ended(piece: _Piece | None) -> bool:
    return piece is not None and piece.last.text.endswith(_SENTENCE_END)


def _in_table(line: Line, body: Style, piece: _Piece, leading: float) -> bool:
    """Whether a line without several cells belongs to the table before it, or begins one under its caption."""
    small = line.size < 0.95 * body.size
    if piece.kind == "caption":
        return small and piece.texts[0].lower().startswith("table") and len(line.text) < 60
    if piece.kind != "table":
        return False
    near = 0 <= piece.last.y - line.y < 1.8 * leading and line.size <= body.size
    figures = sum(map(str.isdigit, line.text)) > 0.2 * len(line.text)
    return (near and len(line.text) < 40) or (
        small and abs(piece.last.size - line.size) < 0.6 and (figures or len(line.text) < 40)
    )


def _opens_caption(line: Line, body: Style, piece: _Piece | None, leading: float) -> bool:
    """Whether a line that begins like a caption is one, and not a sentence about the figure."""
    match = CAPTION.match(line.text)
    after = line.text[match.end() :] if match else ""
    marked = after[:1] in ".:|" or not after or (len(line.spans) > 1 and line.spans[0][1].bold) or line.bold
    apart = (
        piece is None
        or piece.kind != "body"
        or abs(piece.last.size - line.size) > 0.4
        or piece.last.text.endswith(_SENTENCE_END)
        or not 0 < piece.last.y - line.y < 1.35 * leading
    )
    return apart and (marked or abs(line.size - body.size) > 0.4)


def _leadings(lines: Sequence[Line]) -> dict[int, float]:
    """The usual distance between two baselines of each page, in points."""
    gaps: dict[int, Counter[float]] = defaultdict(Counter)
    for a, b in pairwise(lines):
        gaps[b.page][-1.0] += 0
        if a.page == b.page and 0 < a.y - b.y < 40:
            gaps[b.page][round(a.y - b.y, 0)] += 1
    common = {page: max(counts.items(), key=lambda item: item[1]) for page, counts in gaps.items()}
    leadings = {page: gap if times else 12.0 for page, (gap, times) in common.items()}
    return defaultdict(lambda: 12.0, leadings)


def _breaks(piece: _Piece, line: Line, leading: float, *, starts: bool) -> bool:
    """Whether a line of the same kind begins a new block."""
    if piece.kind in ("title", "table", "equation"):
        return False
    if piece.kind == "reference":
        return starts
    if piece.kind == "caption" and CAPTION.match(line.text) and piece.last.text.endswith(_SENTENCE_END):
        return True
    last = piece.last
    gap = last.y - line.y
    if gap < -line.size or gap > 3 * leading:  # a new column, or across a figure: the sentence decides
        return (_ended(piece) and _may_begin(line.text)) or abs(line.size - last.size) > 0.4
    if gap > 1.35 * leading or abs(line.size - last.size) > 1.2:
        return True
    return line.x > piece.left + 0.8 * line.size and last.text.endswith(_SENTENCE_END)


def _may_begin(text: str) -> bool:
    """Whether a paragraph can begin with this text."""
    return not (text[:1].islower() or text[:1].isdigit() or text[:1] in "([")


def _rows(piece: _Piece) -> list[str]:
    """A table's rows: cells drawn column by column are put side by side, where that makes rows of one length."""
    rows: list[list[tuple[float, str]]] = []
    last: Line | None = None
    for line, text in sorted(zip(piece.lines, piece.texts, strict=True), key=lambda item: -item[0].y):
        if last is None or last.y - line.y > 0.4 * line.size:
            rows.append([])
            last = line
        rows[-1].append((line.x, text))
    lengths = Counter(len(row) for row in rows)
    usual, times = max(lengths.items(), key=lambda item: item[1])
    if usual < 2 or times < 0.6 * len(rows):
        return piece.texts
    return [" | ".join(text for _, text in sorted(row)) for row in rows]


def _assembled(
    kept: Sequence[Sequence[Line]],
    pieces: Sequence[_Piece],
    vocabulary: Counter[str],
    *,
    title: str | None,
    title_lines: tuple[Line, ...],
    sideways: tuple[str, ...],
    n_columns: int,
) -> Layout:
    by_page: dict[int, list[_Piece]] = defaultdict(list)
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
            text = "\n".join(_rows(piece)) if piece.kind == "table" else join(piece.texts, vocabulary)
            end = at + len(text)
            blocks.append(Block(at, end, piece.kind))  # type: ignore[arg-type]
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
    )


def _n_columns(pages: Sequence[Sequence[Line]], body: Style) -> int:
    """How many columns most pages have, told from the widths of full lines of body text."""
    votes: Counter[int] = Counter()
    for lines in pages:
        text = [line for line in lines if abs(line.size - body.size) < 0.6 and len(line.text) > 20]
        if len(text) < 10:
            continue
        span = max(line.x_end for line in lines) - min(line.x for line in lines)
        width = sorted(line.x_end - line.x for line in text)[int(0.8 * len(text))]
        votes[max(1, min(4, round(span / max(1.0, width * 1.05))))] += 1
    return votes.most_common(1)[0][0] if votes else 1
