"""Where the words of a quote stand on a page of the PDF: the rectangles to mark.

The page's characters come from pdfium, whoever parsed the paper. Both sides are compared in a copy without spaces,
dashes and accents, so that a line break, a broken word or a ligature makes no difference. What is not found like
that is pieced together from runs that agree: good enough to show a place, never to say that a quote is verbatim.
"""

from __future__ import annotations

import ctypes
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pypdfium2.raw as pdfium

from ingest.picture import PictureError, open_page
from ingest.verbatim import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

RUN = 12
"""Characters without spaces: the shortest run that counts as the same words."""

LONG_RUN = 2 * RUN
"""A run that counts wherever it stands; a shorter one only where the others lead one to expect it."""

ENOUGH = 0.6
"""The share of a quote's characters that must be on the page, unless it begins or ends on another page."""

MAX_QUOTE, MAX_PAGE = 4_000, 100_000
"""Characters that are compared, at most."""

_FAR = 60  # characters by which a short run may be out of place
_GRID = 100_000  # pdfium converts to whole pixels: so many on each side

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right, top in points; the origin is the lower left corner of the page as it is displayed."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a quote stands on a page."""

    width: float
    """Of the page as it is displayed, in points."""
    height: float
    rectangles: tuple[Rectangle, ...]
    """One for each line of the quote, in its order."""
    exact: bool
    """Whether the whole quote stands there in one piece, but for spaces, dashes, accents and case."""
    share: float
    """The part of the quote's characters that was found, 0 to 1."""


class _Copy(NamedTuple):
    """The copy in which is compared."""

    text: str
    at: list[int]
    """For each of its characters, the index of the one that it comes from."""


class _Run(NamedTuple):
    """Characters that agree."""

    quote: int
    page: int
    length: int


def locate(pdf_path: Path, page_number: int, quote: str) -> Marks | None:
    """The places of the quote's words on the page; None where they cannot be found or the page cannot be read.

    Args:
        pdf_path: the PDF.
        page_number: 1-based.
        quote: as it stands in the stored text, or nearly so; at most MAX_QUOTE characters are looked for.
    """
    try:
        with open_page(pdf_path, page_number) as page:
            return _locate(page, quote[:MAX_QUOTE])
    except PictureError:
        return None


def _locate(page: Any, quote: str) -> Marks | None:
    textpage = page.get_textpage()
    try:
        chars = characters(textpage)
        ranges, exact, share = find(chars, quote)
        found = lines_of(page, textpage, chars, ranges)
    finally:
        textpage.close()
    if not found:
        return None
    width, height = page.get_size()
    rectangles = tuple(
        (left * width, (1 - bottom) * height, right * width, (1 - top) * height) for left, top, right, bottom in found
    )
    return Marks(width, height, rectangles, exact, share)


def characters(textpage: Any) -> list[str]:
    """One entry for each of pdfium's characters of a page, at most MAX_PAGE; see `_characters`."""
    n_chars = min(pdfium.FPDFText_CountChars(textpage.raw), MAX_PAGE)
    return _characters(pdfium.FPDFText_GetUnicode(textpage.raw, i) for i in range(n_chars))


def lines_of(page: Any, textpage: Any, chars: Sequence[str], ranges: Iterable[tuple[int, int]]) -> list[Rectangle]:
    """Left, top, right, bottom of each line of the half-open ranges: fractions of the displayed page, from its top."""
    boxes = [
        box
        for start, end in ranges
        for i in range(start, end)
        if not chars[i].isspace() and (box := _box(page, textpage, i))
    ]
    width, height = page.get_size()
    return _lines(boxes, width / height) if boxes else []


def _characters(codes: Iterable[int]) -> list[str]:
    """One character for each code; a file may say what is no character at all.

    Of one beyond the first plane pdfium gives two halves: the first stands for both, the second for nothing.
    """
    chars = [chr(code) if 0 < code < 0x110000 else "\N{REPLACEMENT CHARACTER}" for code in codes]
    for i, (high, low) in enumerate(pairwise(chars)):
        if "\ud800" <= high < "\udc00" <= low < "\ue000":
            chars[i : i + 2] = (high + low).encode("utf-16-le", "surrogatepass").decode("utf-16-le"), ""
    return chars


def find(chars: Sequence[str], quote: str) -> tuple[list[tuple[int, int]], bool, float]:
    """The half-open ranges of the characters that are the quote's, whether exactly, and the share of it found."""
    page, wanted = _copy(chars, folded=False), _copy(quote, folded=False)
    if not wanted.text:
        return [], False, 0.0
    if (at := page.text.find(wanted.text)) >= 0:
        return [_source(page, at, len(wanted.text))], True, 1.0
    page, wanted = _copy(chars, folded=True), _copy(quote, folded=True)
    if (at := page.text.find(wanted.text)) >= 0:
        return [_source(page, at, len(wanted.text))], True, 1.0
    runs = _in_place(_runs(wanted.text, page.text))
    share = sum(run.length for run in runs) / len(wanted.text)
    if share < ENOUGH and not _broken_by_the_page(runs, len(wanted.text), len(page.text)):
        return [], False, share
    return [_source(page, at, length) for at, length in _joined(runs)], False, share


@cache
def _same(char: str, *, folded: bool) -> str:
    """What stands for a character in the copy: nothing for spaces, dashes, accents, control and cell marks."""
    letters = unicodedata.normalize("NFKD", plain(char))
    if letters > "\uffff":  # the stored text may lack it
        return ""
    if folded:
        letters = letters.casefold()
    return "".join(c for c in letters if unicodedata.category(c) not in _IGNORED and c not in _MARKS)


_IGNORED = {"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Pd", "Zs", "Zl", "Zp"}
_MARKS = "|\N{REPLACEMENT CHARACTER}"


def _copy(chars: Iterable[str], *, folded: bool) -> _Copy:
    text, at = [], []
    for index, char in enumerate(chars):
        same = _same(char, folded=folded)
        text.append(same)
        at += [index] * len(same)
    return _Copy("".join(text), at)


def _source(page: _Copy, at: int, length: int) -> tuple[int, int]:
    return page.at[at], page.at[at + length - 1] + 1


def _runs(quote: str, page: str) -> list[_Run]:
    """The longest runs of the quote that stand on the page, in the quote's order, without overlap."""
    places: dict[str, list[int]] = {}
    for at in range(len(page) - RUN + 1):
        places.setdefault(page[at : at + RUN], []).append(at)
    runs: list[_Run] = []
    at = after = 0
    while at <= len(quote) - RUN:
        found = [
            _Run(at, place, _agreement(quote, at, page, place)) for place in places.get(quote[at : at + RUN], [])[:50]
        ]
        if not found:
            at += 1
            continue
        best = max(found, key=lambda run: (run.length, -abs(run.page - after)))
        runs.append(best)
        at, after = at + best.length, best.page + best.length
    return runs


def _agreement(quote: str, at: int, page: str, place: int) -> int:
    """How many characters agree from there on; at least RUN do."""
    length, longest = RUN, min(len(quote) - at, len(page) - place)
    while length < longest and quote[at + length] == page[place + length]:
        length += 1
    return length


def _in_place(runs: list[_Run]) -> list[_Run]:
    """The runs without short ones that stand somewhere else: "of the proposed" is on every page."""
    if not runs:
        return []
    longest = max(runs, key=lambda run: run.length)
    shift = longest.page - longest.quote
    return [run for run in runs if run.length >= LONG_RUN or abs(run.page - run.quote - shift) <= _FAR]


def _broken_by_the_page(runs: list[_Run], quote: int, page: int) -> bool:
    """Whether the quote's beginning stands in the page's second half, or its end in the first."""
    if not runs:
        return False
    first, last = runs[0], runs[-1]
    begins = first.quote == 0 and first.length >= LONG_RUN and first.page > page / 2
    ends = last.quote + last.length == quote and last.length >= LONG_RUN and last.page < page / 2
    return begins or ends


def _joined(runs: list[_Run]) -> list[tuple[int, int]]:
    """Start and length on the page; runs that a few strange characters separate are one."""
    pieces: list[tuple[int, int]] = []
    end = 0
    for run in runs:
        if pieces:
            start, length = pieces[-1]
            gap = run.page - start - length
            if 0 <= gap <= 2 * (run.quote - end) + RUN:
                pieces[-1] = start, run.page + run.length - start
                end = run.quote + run.length
                continue
        pieces.append((run.page, run.length))
        end = run.quote + run.length
    return pieces


# ---- boxes and lines, as fractions of the displayed page, from its upper left corner ---------------------------------


def _box(page: Any, textpage: Any, index: int) -> Rectangle | None:
    """Left, top, right, bottom of a character; None where pdfium made it up or it has no size."""
    sides = [ctypes.c_double() for _ in range(4)]
    if not pdfium.FPDFText_GetCharBox(textpage.raw, index, *sides):
        return None
    left, right, bottom, top = (side.value for side in sides)
    if right <= left and top <= bottom:
        return None
    (x0, y0), (x1, y1) = _displayed(page, left, bottom), _displayed(page, right, top)
    box = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return box if box[2] > 0 and box[3] > 0 and box[0] < 1 and box[1] < 1 else None


def _displayed(page: Any, x: float, y: float) -> tuple[float, float]:
    """A place as the page is displayed: turned, and cut to its crop box."""
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page.raw, 0, 0, _GRID, _GRID, 0, x, y, across, down)
    return across.value / _GRID, down.value / _GRID


def _lines(boxes: Sequence[Rectangle], aspect: float) -> list[Rectangle]:
    """One rectangle for each line; `aspect` is the page's width by its height."""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(boxes)]
    small = [(x, y) for x, y in steps if abs(x) * aspect + abs(y) < 0.05]  # those to the next line are larger
    upright = sum(abs(x) * aspect for x, _ in small) >= sum(abs(y) for _, y in small)
    backwards = sum(x if upright else y for x, y in small) < 0
    lines: list[Rectangle] = []
    for box in boxes:
        placed = _forwards(box, upright=upright, backwards=backwards)
        if lines and _continues(lines[-1], placed, aspect if upright else 1 / aspect):
            last = lines[-1]
            joined = min(last[0], placed[0]), min(last[1], placed[1]), max(last[2], placed[2]), max(last[3], placed[3])
            lines[-1] = joined
        else:
            lines.append(placed)
    return [_forwards(_padded(line), upright=upright, backwards=backwards) for line in lines]


def _forwards(box: Rectangle, *, upright: bool, backwards: bool) -> Rectangle:
    """The box where it would be if the text ran to the right; and back again."""
    left, top, right, bottom = box
    if upright:
        return (1 - right, top, 1 - left, bottom) if backwards else box
    return (top, left, bottom, right) if not backwards else (1 - bottom, 1 - right, 1 - top, 1 - left)


def _continues(line: Rectangle, box: Rectangle, aspect: float) -> bool:
    """Whether the character stands behind what the line has; an index may stand a little above or below it."""
    height = max(line[3] - line[1], box[3] - box[1])
    apart = max(box[1] - line[3], line[1] - box[3])
    ahead = (box[0] - line[2]) * aspect
    ligature = box[2] >= line[2]  # its letters share one box
    furthest = 8 if apart < -0.2 * height else 3
    return apart < 0.3 * height and (ligature or ahead > -0.8 * height) and ahead < furthest * height


def _padded(line: Rectangle) -> Rectangle:
    """A little air above and below, so that a line without tall letters is marked as high as its neighbours."""
    left, top, right, bottom = line
    air = 0.12 * (bottom - top)
    return max(0.0, left), max(0.0, top - air), min(1.0, right), min(1.0, bottom + air)
