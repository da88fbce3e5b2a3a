"""Blocks: lines grouped into paragraphs, captions, tables, footnotes, equations, headings and references."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.known_headings import CAPTION
from ingest.lines import join
from ingest.sentences import is_unfinished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.headings import Head
    from ingest.lines import Line, Style
    from ingest.paper import Kind
    from ingest.reference_list import References

_SENTENCE_END = (".", "!", "?", ":")
_FOOTNOTE = re.compile(r"[\d⁰¹²³⁴-⁹*†‡§¶#ᵃ-ᵛ]{1,3}\s*\S")
_EQUATION = re.compile(r"[=≈≤≥∑∫∏√±∂∇∈⟨∥]")


_HEADED = 240
"""Characters of a table after which its column headings are said again."""


@dataclass(slots=True)
class Piece:
    """A block before it is text: what it is made of."""

    kind: Kind
    page: int
    texts: list[str]
    lines: list[Line]
    level: int = 0
    opens_entry: bool = False
    head: str = ""
    """Of a table that goes on overleaf: its column headings, which stand on the page before."""

    @property
    def last(self) -> Line:
        """The line that it ends with so far."""
        return self.lines[-1]

    @property
    def left(self) -> float:
        """Where its leftmost line begins, in points."""
        return min(line.x for line in self.lines)

    def add(self, line: Line, text: str) -> None:
        """Go on with a line, of which `text` is what counts."""
        self.lines.append(line)
        self.texts.append(text)

    def as_text(self, vocabulary: Counter[str]) -> str:
        """A table as its rows, its column headings again before each few of them; anything else as running text."""
        return "\n".join(_headed(_rows(self), self.head)) if self.kind == "table" else join(self.texts, vocabulary)


def find_pieces(
    lines: Sequence[Line], body: Style, title: set[int], heads: Sequence[Head], references: References
) -> list[Piece]:
    """The document's blocks in the order of reading; none crosses a page, and no figure cuts a paragraph."""
    heading_of = {i: head for head in heads for i in range(head.first, head.last + 1)}
    leading = _leadings(lines)
    pieces: list[Piece] = []
    for i, line in enumerate(lines):
        piece = pieces[-1] if pieces and pieces[-1].page == line.page else None
        if head := heading_of.get(i):
            cut = head.length if i == head.last else len(line.text)
            if piece and piece.kind == "heading" and i > head.first:
                piece.add(line, line.text[:cut].rstrip())
            else:
                pieces.append(Piece("heading", line.page, [line.text[:cut].rstrip()], [line], head.level))
            if rest := line.text[cut:].strip():
                pieces.append(Piece("body", line.page, [rest], [line]))
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
            pieces.append(Piece(kind, line.page, [text], [line], opens_entry=i in references.starts))
    pieces = _floats_out(pieces, body)
    _carry_heads(pieces)
    return pieces


def _carry_heads(pieces: list[Piece]) -> None:
    """Give the tables that go on overleaf the column headings that stand on the page before."""
    ends: dict[int, Piece] = {}
    for piece in pieces:
        first = piece.page not in ends
        before = ends.get(piece.page - 1)
        if first and before and piece.kind == before.kind == "table":
            rows, above = _rows(piece), _rows(before)
            if _n_cells(rows[0]) == _n_cells(above[-1]) and not _column_heads(rows):
                piece.head = before.head or _column_heads(above)
        if piece.kind != "footnote" or first:
            ends[piece.page] = piece


def _floats_out(pieces: list[Piece], body: Style) -> list[Piece]:
    """The blocks with each paragraph in one: what stands in its midst (a figure, a footnote) comes before it.

    So it is within a page. A paragraph that goes on overleaf becomes the last block of its page and the first of the
    next one.
    """
    out: list[Piece] = []
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


def _floats(piece: Piece, body: Style) -> bool:
    """Whether a block can stand in the midst of a paragraph that it has no part in."""
    return piece.kind in ("caption", "table", "footnote") or (
        piece.kind == "body" and piece.last.size < 0.92 * body.size
    )


def _goes_on(piece: Piece, following: Piece) -> bool:
    """Whether the second of two paragraphs is the rest of the first."""
    return (
        piece.kind == following.kind == "body"
        and following.page - piece.page in (0, 1)
        # "O." at a line's end is no end of a sentence if a small letter follows
        and (following.texts[0][:1].islower() or not (_ended(piece) or _may_begin(following.texts[0])))
        and abs(piece.last.size - following.last.size) < 0.4
        and len(piece.texts[-1]) > 20
    )


def _kind(line: Line, body: Style, piece: Piece | None, leading: float) -> Kind:  # noqa: PLR0911 - one kind a line
    """What a line is that is no title, heading or reference."""
    drop = piece.last.y - line.y if piece else 0.0
    near = piece is not None and 0 < drop < 1.5 * max(leading, piece.last.size)
    same = piece is not None and abs(piece.last.size - line.size) < 0.4
    if CAPTION.match(line.text) and _opens_caption(line, body, piece, leading):
        return "caption"
    inside = piece is not None and piece.kind == "body" and near and same
    if " | " in line.text and not (piece and inside and not _ended(piece) and _is_stretched(line, piece)):
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


def _is_stretched(line: Line, piece: Piece) -> bool:
    """Whether a line with wide gaps can be the next one of a paragraph: it has one gap, or fills the column."""
    if line.text.count(" | ") == 1:
        return True
    right = max(above.x_end for above in piece.lines)
    return abs(line.x - piece.left) < 0.5 * line.size and abs(line.x_end - right) < 0.5 * line.size


def _ended(piece: Piece | None) -> bool:
    return piece is not None and _ends(piece.last.text)


def _ends(text: str) -> bool:
    return text.endswith(_SENTENCE_END) and not is_unfinished(text)


def _in_table(line: Line, body: Style, piece: Piece, leading: float) -> bool:
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


def _opens_caption(line: Line, body: Style, piece: Piece | None, leading: float) -> bool:
    """Whether a line that begins like a caption is one, and not a sentence about the figure."""
    match = CAPTION.match(line.text)
    after = line.text[match.end() :] if match else ""
    marked = after[:1] in ".:|" or not after or (len(line.spans) > 1 and line.spans[0][1].bold) or line.bold
    apart = (
        piece is None
        or piece.kind != "body"
        or abs(piece.last.size - line.size) > 0.4
        or _ends(piece.last.text)
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


def _breaks(piece: Piece, line: Line, leading: float, *, starts: bool) -> bool:
    """Whether a line of the same kind begins a new block."""
    if piece.kind in ("title", "table", "equation"):
        return False
    if piece.kind == "reference":
        return starts
    if piece.kind == "caption" and CAPTION.match(line.text) and _ends(piece.last.text):
        return True
    last = piece.last
    gap = last.y - line.y
    if gap < -line.size or gap > 3 * leading:  # a new column, or across a figure: the sentence decides
        return (_ended(piece) and _may_begin(line.text)) or abs(line.size - last.size) > 0.4
    if gap > 1.35 * leading or abs(line.size - last.size) > 1.2:
        return True
    return line.x > piece.left + 0.8 * line.size and _ends(last.text)


def _may_begin(text: str) -> bool:
    """Whether a paragraph can begin with this text."""
    return not (text[:1].islower() or text[:1].isdigit() or text[:1] in "([")


def _rows(piece: Piece) -> list[str]:
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


def _n_cells(row: str) -> int:
    return row.count(" | ") + 1


def _column_heads(rows: Sequence[str]) -> str:
    """The first row if it names the columns: cells without figures over rows of as many cells with some, else empty."""
    if len(rows) < 3 or any(sum(map(str.isdigit, cell)) > 0.4 * len(cell) for cell in rows[0].split(" | ")):
        return ""
    alike = [row for row in rows[1:] if _n_cells(row) == _n_cells(rows[0])]
    figures = [row for row in alike if any(char.isdigit() for char in row.partition(" | ")[2])]
    good = _n_cells(rows[0]) > 1 and len(alike) > 0.6 * (len(rows) - 1) and len(figures) > 0.6 * len(alike)
    return rows[0] if good else ""


def _headed(rows: list[str], head: str) -> list[str]:
    """The rows of a long table with its column headings before each run of them, so that a passage has both."""
    head = head or _column_heads(rows)
    if not head:
        return rows
    out: list[str] = []
    length = 0
    for row in rows:
        if row == head:
            length = len(head)
        elif not out or length + len(row) > _HEADED:
            out.append(head)
            length = len(head)
        out.append(row)
        length += len(row)
    return out
