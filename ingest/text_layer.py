"""The words of a page with their places, in pdfium's order: laid over its picture, they can be selected."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pypdfium2.raw as pdfium

from ingest.lines import clean
from ingest.locate import characters
from ingest.picture import open_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the page as it is displayed, from its upper left corner."""

_GRID = 100_000  # pdfium converts to whole pixels: so many on each side
_BREAKS = "\r\n"
_HYPHENS = "\x02\ufffe"  # what pdfium says for a hyphen that breaks a word at a line's end
_TALLEST = 2.5  # a font may claim any height: at most so many times what is drawn


class Glyph(NamedTuple):
    """A character that stands on the page."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands on the page."""

    text: str
    box: Box
    turn: int
    """Degrees clockwise in which it runs: 0, 90 or 270."""
    ends_line: bool


def text_layer(pdf_path: Path, number: int) -> tuple[Word, ...]:
    """The words of the page with this 1-based number; none where it is a picture.

    Raises:
        PictureError: the page cannot be read.
    """
    with open_page(pdf_path, number) as page:
        width, height = page.get_size()
        textpage = page.get_textpage()
        try:
            return tuple(_words(glyphs(page, textpage), width / height if height else 1.0))
        finally:
            textpage.close()


def glyphs(page: Any, textpage: Any) -> list[Glyph | None]:
    r"""The characters that are seen, in pdfium's order; None for a space and "\n" without a size for a line's end."""
    place = placer(page)
    found: list[Glyph | None] = []
    for index, char in enumerate(characters(textpage)):
        if char in _BREAKS:
            found.append(_END)
        elif char.isspace():
            found.append(None)
        elif char in _HYPHENS:
            found += [Glyph("-", box) if (box := _box(textpage, index, place)) else None, _END]
        elif (text := clean(char)) and (box := _box(textpage, index, place)):
            found.append(Glyph(text, box))
    return found


_END = Glyph("\n", (0.0, 0.0, 0.0, 0.0))


def placer(page: Any) -> Callable[[float, float], tuple[float, float]]:
    """What turns a place of the page's own coordinates into one of the page as it is displayed, turned and cropped."""
    (x0, y0), (x1, y1), (x2, y2) = (_displayed(page, x, y) for x, y in ((0, 0), (1000, 0), (0, 1000)))
    a, b, c, d = (x1 - x0) / 1000, (y1 - y0) / 1000, (x2 - x0) / 1000, (y2 - y0) / 1000
    return lambda x, y: (x0 + a * x + c * y, y0 + b * x + d * y)


def _displayed(page: Any, x: float, y: float) -> tuple[float, float]:
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page.raw, 0, 0, _GRID, _GRID, 0, x, y, across, down)
    return across.value / _GRID, down.value / _GRID


def _box(textpage: Any, index: int, place: Callable[[float, float], tuple[float, float]]) -> Box | None:
    """As high as the font's lines, where the font is to be believed; None where pdfium made the character up."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    if not pdfium.FPDFText_GetCharBox(textpage.raw, index, left, right, bottom, top):
        return None
    sides = left.value, bottom.value, right.value, top.value
    if sides[2] <= sides[0] and sides[3] <= sides[1]:
        return None
    loose = pdfium.FS_RECTF()
    if pdfium.FPDFText_GetLooseCharBox(textpage.raw, index, loose):
        tight = max(sides[2] - sides[0], sides[3] - sides[1])
        if 0 < max(loose.top - loose.bottom, loose.right - loose.left) <= _TALLEST * max(tight, 4.0):
            sides = loose.left, loose.bottom, loose.right, loose.top
    (ax, ay), (bx, by) = place(sides[0], sides[1]), place(sides[2], sides[3])
    box = min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)
    return box if box[2] > 0 and box[3] > 0 and box[0] < 1 and box[1] < 1 else None


def joined(boxes: Sequence[Box]) -> Box:
    """The smallest box around all."""
    return (
        min(box[0] for box in boxes), min(box[1] for box in boxes),
        max(box[2] for box in boxes), max(box[3] for box in boxes),
    )  # fmt: skip


def _words(found: Sequence[Glyph | None], aspect: float) -> Iterator[Word]:
    """The words; `aspect` is the page's width by its height."""
    word: list[Glyph] = []
    turn = 0
    for at, glyph in enumerate(found):
        if glyph is not None and glyph is not _END:
            word.append(glyph)
        if not word:
            continue
        following = found[at + 1] if at + 1 < len(found) else _END
        if glyph is None or glyph is _END or following is None or following is _END:
            turn = _turn(word, aspect) if len(word) > 1 else turn
            after = next((other for other in found[at + 1 :] if other is not None), _END)
            text = "".join(each.text for each in word)
            yield Word(text, joined([each.box for each in word]), turn, glyph is _END or after is _END)
            word = []


def _turn(word: Sequence[Glyph], aspect: float) -> int:
    first, last = word[0].box, word[-1].box
    across = (last[0] + last[2] - first[0] - first[2]) * aspect
    down = last[1] + last[3] - first[1] - first[3]
    if abs(across) >= abs(down):
        return 0
    return 90 if down > 0 else 270
