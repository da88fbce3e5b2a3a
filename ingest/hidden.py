"""Text that a reader cannot see, found by looking at the rendered page; and sentences that talk to a model.

A page is drawn twice in low resolution, with its text and without. Text that changes nothing is hidden, whatever the
trick: white, transparent, invisible by render mode, covered, clipped, outside the page, on a switched-off layer. Rules
about colours would miss half of these and accuse white-on-black table heads.
"""

from __future__ import annotations

import ctypes
import dataclasses
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pypdfium2.raw as pdfium

from ingest.page_objects import IMAGE, TEXT, bounds, inactive, objects, overlap
from ingest.undrawn import MissingFonts, would_show

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pypdfium2
    from numpy.typing import NDArray

    from ingest.page_objects import Box, Matrix

    Pixels = NDArray[np.uint8]


class PlacedText(Protocol):
    """What `visible_lines` needs of a line, which is a dataclass. Boxes are in PDF points, y upwards."""

    @property
    def text(self) -> str:
        """Its text."""

    @property
    def size(self) -> float:
        """Effective font size in points."""

    @property
    def left(self) -> float:
        """Left edge."""

    @property
    def bottom(self) -> float:
        """Lower edge."""

    @property
    def right(self) -> float:
        """Right edge."""

    @property
    def top(self) -> float:
        """Upper edge."""


L = TypeVar("L", bound=PlacedText)

SCALE = 0.75
"""Pixels per point (54 dpi). At 1 a page takes 2.5 ms more and no more is found; at 0.6 it takes 0.5 ms less, and lines
of 5 points have too few rows of pixels of their own."""

MAX_PIXELS = 2_000_000
"""Larger pages (posters) are drawn smaller: a page of US letter has half a million."""

MIN_CONTRAST = 10
"""Steps of 255 that text must change one pixel of its line, in one colour: grey on white becomes visible about here."""

MIN_SIZE = 1.5
"""Points; smaller text is illegible."""

GAP = 2.5
"""A stretch of a line without ink, in font sizes, that is searched for hidden words."""

MIN_INK = 0.3
"""Of the columns that ordinary type blackens; a line with less is looked at more closely (3 in 1,000 of 40 papers'
lines), and an object with less is not seen."""

MAX_DRAWN_AGAIN = 100
"""How often parts of one page are drawn again for a closer look; about 0.3 ms each."""

_MOST_COMPARED = 1_000  # lines of one page that are compared with each other
_SCAN_COVER = 0.5  # pictures over more than this part of a page: a scan, whose text layer may be invisible
_SCAN_INK = 40  # steps of 255 between ink and paper in a scan
_DRAWN = 40  # the same for letters that are drawn a second time, as outlines
_ALIKE = 0.5  # correlation of their pixels: 0.9 is usual for a copy, 0 to 0.2 for another picture or text
_THREE_LETTERS = re.compile(r"[^\W_](?:[\W_]*[^\W_]){2}")


def visible_lines(
    page: pypdfium2.PdfPage, lines: Sequence[L], *, textpage: pypdfium2.PdfTextPage | None = None
) -> tuple[list[L], int]:
    """The lines that a reader sees, in their order, and the number of characters that were left out.

    A line of which only a part is hidden comes back with spaces in the place of the hidden words, so that offsets into
    its text stay right. A text layer over or under a scan stays, where the scan shows ink. Lines without a box stay.
    About 8 ms a page.

    Args:
        page: the page, open; it is as before afterwards.
        lines: its lines.
        textpage: its text, where that is open already.
    """
    judged = [line for line in lines if line.right > line.left and line.top > line.bottom and line.text.strip()]
    if not judged:
        return list(lines), 0
    picture = _Picture(page, judged, textpage)
    kept: list[L] = []
    hidden = 0
    ids = {id(line) for line in judged}
    for line in lines:
        text = picture.seen(line) if id(line) in ids else line.text
        if text == line.text:
            kept.append(line)
            continue
        hidden += _n_chars(line.text) - _n_chars(text)
        if text.strip():
            kept.append(dataclasses.replace(line, text=text))  # type: ignore[type-var]
    return kept, hidden


def _n_chars(text: str) -> int:
    return len("".join(text.split()))


class _Picture:
    """One page as pixels with and without its text."""

    def __init__(
        self, page: pypdfium2.PdfPage, lines: Sequence[PlacedText], textpage: pypdfium2.PdfTextPage | None
    ) -> None:
        self._page = page
        self._textpage = textpage
        self._to_pixels: Matrix = (1, 0, 0, 1, 0, 0)
        width, height = page.get_size()
        self._scale = min(SCALE, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        everything = list(objects(page.raw))
        pictures = [(handle, bounds(handle, matrix)) for kind, handle, matrix in everything if kind == IMAGE]
        self._texts = [(handle, matrix) for kind, handle, matrix in everything if kind == TEXT]
        self._text_boxes: list[tuple[Any, Box]] | None = None
        self._pictures = [box for _, box in pictures]
        left, bottom, right, top = page.get_bbox()
        covered = sum(overlap(box, (left, bottom, right, top)) for box in self._pictures)
        self._is_scan = covered > _SCAN_COVER * (right - left) * (top - bottom)
        self._others = [handle for kind, handle, _ in everything if kind != TEXT]
        self._order = everything
        self._boxes: list[Box] | None = None
        self._fonts = MissingFonts(page)
        # Pictures cost most of the drawing, and one that no text touches decides nothing.
        far = [handle for handle, box in pictures if not any(overlap(box, _box(line)) for line in lines)]
        with inactive(far):
            self._whole = self._drawn()
            with inactive([handle for handle, _ in self._texts]):
                self._without = self._drawn()
        self._changed = _differ(self._whole, self._without)
        self._alone: Pixels | None = None
        self._crowded = _crowded(lines)
        self._left_to_draw = MAX_DRAWN_AGAIN if self._scale == SCALE else 0

    def seen(self, line: PlacedText) -> str:
        """The line's text with spaces in the place of what a reader does not see; empty where all is hidden."""
        text = self._inked(line)
        return line.text if text != line.text and self._lacks_only_glyphs(line, text) else text

    def _inked(self, line: PlacedText) -> str:
        """The part of the line's text that leaves ink."""
        left, top, right, bottom = self._pixels(_box(line))
        height, width = self._changed.shape
        rows = slice(max(0, top), max(0, min(height, bottom)))
        columns = slice(max(0, left), max(0, min(width, right)))
        if line.size < MIN_SIZE or rows.start >= rows.stop or columns.start >= columns.stop:
            return ""
        if self._is_scan and self._on_scan(line, rows, columns):
            return line.text
        upright = right - left >= bottom - top
        wordy = _THREE_LETTERS.search(line.text) is not None
        core_rows, core_columns = rows, columns
        if wordy and upright:  # the middle of the line: letters leave ink there, and the neighbours' do not reach it
            core_rows = _middle(rows, top, bottom)
        elif wordy:
            core_columns = _middle(columns, left, right)
        ink = self._changed[core_rows, core_columns].any(axis=0 if upright else 1)
        if not ink.any():
            return line.text if self._drawn_twice(core_rows, core_columns) else ""
        if not wordy or not upright or self._turned:
            return line.text
        text = self._without_gaps(line, ink, rows=rows, start=columns.start)
        usual = self._usual_ink(line, _n_chars(text))
        too_much = usual > 1.4 * (right - left)  # more letters than the line has room for
        if too_much or id(line) in self._crowded or ink.sum() < MIN_INK * usual:
            return self._without_unseen_objects(line, text)
        return text

    def _lacks_only_glyphs(self, line: PlacedText, text: str) -> bool:
        """Whether what left no ink is set in fonts that this machine lacks, and would be seen on one that has them."""
        lacking: Counter[str] = Counter()
        if line.size < MIN_SIZE:
            return False
        if self._boxes is None:  # once for the page: some have a thousand objects and hundreds of hidden lines
            self._boxes = [bounds(handle, matrix) for _, handle, matrix in self._order]
        place = _box(line)
        for index, ((kind, handle, _), drawn) in enumerate(zip(self._order, self._boxes, strict=True)):
            if kind != TEXT:
                continue
            if drawn[0] > place[2] or drawn[2] < place[0] or drawn[1] > place[3]:
                continue
            # glyphs that are not there have no height
            flat = drawn[3] - drawn[1] < 0.1 * line.size
            box = (drawn[0], drawn[1], drawn[2], drawn[1] + 0.7 * line.size) if flat else drawn
            if overlap(box, place) <= 0.5 * overlap(box, box):
                continue
            letters = self._letters(handle)
            if not self._fonts.lacks_glyphs(handle, letters):
                continue
            left, top, right, bottom = self._pixels(box)
            behind = self._whole[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
            later = (i for i in range(index + 1, len(self._order)) if self._order[i][0] != TEXT)
            covered = any(overlap(self._boxes[i], box) > 0.5 * overlap(box, box) for i in later)
            if not covered and would_show(handle, box, behind=behind, contrast=MIN_CONTRAST):
                lacking.update(letters)
        return bool(lacking) and not Counter("".join(line.text.split())) - Counter("".join(text.split())) - lacking

    def _usual_ink(self, line: PlacedText, n_letters: int) -> float:
        """How many columns so many letters of ordinary type blacken: half their size each."""
        return float(max(1.0, 0.5 * line.size * self._scale * n_letters))

    def _without_unseen_objects(self, line: PlacedText, text: str) -> str:
        """The text without that of the objects that can be taken away, one by one and together, and leave no gap.

        For hidden text that lies over, under or between visible lines, whose ink is taken for its own.
        """
        if self._text_boxes is None:
            self._text_boxes = [(handle, bounds(handle, matrix)) for handle, matrix in self._texts]
        inside = [handle for handle, box in self._text_boxes if overlap(box, _box(line)) > 0.5 * overlap(box, box)]
        if not inside or len(inside) + 3 > self._left_to_draw:
            return text
        self._left_to_draw -= len(inside) + 3
        before = self._drawn(around=line)

        def leaves_gap(handles: Sequence[Any]) -> bool:
            with inactive(handles):
                columns = _differ(before, self._drawn(around=line)).any(axis=0).sum()
            return bool(columns >= MIN_INK * self._usual_ink(line, sum(len(self._letters(h)) for h in handles)))

        unseen = [handle for handle in inside if not leaves_gap([handle])]
        if not unseen or leaves_gap(unseen):  # a gap only together: drawn twice
            return text
        with inactive([handle for handle, _ in self._texts if handle not in unseen]), inactive(self._others):
            if _alike(before, self._drawn(around=line)):
                return text
        shown = "".join(self._letters(handle) for handle in inside if handle not in unseen)
        letters = [self._letters(handle) for handle in unseen]
        for piece in ("".join(letters), *letters):
            if len(piece) > 3 and piece not in shown:
                pattern = r"\s*".join(re.escape(letter) for letter in piece)
                text = re.sub(pattern, lambda found: " " * len(found[0]), text, count=1)
        mine = "".join(text.split())
        return "" if mine and mine in "".join(letters) and mine not in shown else text

    def _letters(self, handle: Any) -> str:
        """The object's text without spaces."""
        if self._textpage is None:
            self._textpage = self._page.get_textpage()
        size = pdfium.FPDFTextObj_GetText(handle, self._textpage, None, 0)  # bytes of UTF-16, with the final zero
        buffer = (ctypes.c_ushort * (size // 2 + 1))()
        pdfium.FPDFTextObj_GetText(handle, self._textpage, buffer, size)
        return "".join(bytes(buffer)[: max(0, size - 2)].decode("utf-16-le", errors="replace").split())

    def _drawn_twice(self, rows: slice, columns: slice) -> bool:
        """Whether text that changes nothing is seen all the same: outlines or a picture of it show the same letters."""
        if self._alone is None:
            with inactive(self._others):
                self._alone = self._drawn()
        return _alike(self._whole[rows, columns], self._alone[rows, columns])

    def _on_scan(self, line: PlacedText, rows: slice, columns: slice) -> bool:
        """Whether the line stands on a picture of text: it may then be invisible itself."""
        x, y = (line.left + line.right) / 2, (line.bottom + line.top) / 2
        if not any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in self._pictures):
            return False
        return _contrast(self._without[rows, columns]) >= _SCAN_INK

    def _without_gaps(self, line: PlacedText, ink: Any, *, rows: slice, start: int) -> str:
        """The line's text with spaces in the place of the words that stand where it left no ink."""
        text, scale, origin = line.text, self._to_pixels[0], self._to_pixels[4]
        for first, last in _gaps(ink, at_least=max(4, round(GAP * line.size * scale))):
            columns = slice(start + first, start + last)
            if self._changed[rows, columns].any():
                continue  # superscripts, rules of a fraction
            margin = 0.4 * line.size  # the letters at both sides of the gap are not in it
            x0 = (columns.start - origin) / scale + margin if first else line.left
            x1 = (columns.stop - origin) / scale - margin if last < len(ink) else line.right
            if self._textpage is None:
                self._textpage = self._page.get_textpage()
            middle, half = (line.bottom + line.top) / 2, (line.top - line.bottom) / 8
            words = [
                word
                for word in self._textpage.get_text_bounded(x0, middle - half, x1, middle + half).split()
                if sum(char.isalnum() for char in word) > 1
            ]
            if words and not self._drawn_twice(rows, columns):
                for word in words:
                    text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", " " * len(word), text, count=1)
        return text

    def _pixels(self, box: Box) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in pixels, rounded outwards; right and bottom are exclusive."""
        a, b, c, d, e, f = self._to_pixels
        corners = [(a * x + c * y + e, b * x + d * y + f) for x in (box[0], box[2]) for y in (box[1], box[3])]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))

    def _drawn(self, *, around: PlacedText | None = None) -> Pixels:
        """The page, or the part around a line, as height × width × 4 (blue, green, red, nothing)."""
        crop = [0.0, 0.0, 0.0, 0.0]
        if around:
            left, bottom, right, top = self._page.get_bbox()
            crop = [around.left - left, around.bottom - bottom, right - around.right, top - around.top]
            crop = [max(0.0, cut) for cut in crop]
            for side, extent in ((0, self._page.get_width()), (1, self._page.get_height())):
                # a line that is thinner than a pixel, or reaches off the page: three pixels are drawn at least
                room = extent - 3 / self._scale
                crop[side] = max(0.0, min(crop[side], room))
                crop[side + 2] = max(0.0, min(crop[side + 2], room - crop[side]))
        bitmap = self._page.render(
            scale=self._scale,
            crop=tuple(crop),
            may_draw_forms=False,
            prefer_bgrx=True,
            maybe_alpha=False,
        )
        try:
            if around:
                part: Pixels = bitmap.to_numpy().copy()
                return part
            convert = bitmap.get_posconv(self._page).to_bitmap
            (e, f), (ax, ay), (cx, cy) = convert(0, 0), convert(10_000, 0), convert(0, 10_000)
            self._to_pixels = ((ax - e) / 1e4, (ay - f) / 1e4, (cx - e) / 1e4, (cy - f) / 1e4, e, f)
            pixels: Pixels = bitmap.to_numpy().copy()
        finally:
            bitmap.close()
        return pixels

    @property
    def _turned(self) -> bool:
        return abs(self._to_pixels[1]) > 1e-6 or self._to_pixels[0] <= 0


def _differ(one: Pixels, other: Pixels) -> NDArray[np.bool_]:
    """Pixels that differ by MIN_CONTRAST in at least one colour."""
    change = np.maximum(one, other) - np.minimum(one, other) >= MIN_CONTRAST
    # Four bytes a pixel, so that "any colour differs" is one comparison of a whole number.
    differs: NDArray[np.bool_] = np.ascontiguousarray(change).view(np.uint32)[:, :, 0] != 0
    return differs


def _alike(whole: Pixels, alone: Pixels) -> bool:
    """Whether the drawing shows the same letters as these letters drawn alone."""
    if min(_contrast(whole), _contrast(alone)) < _DRAWN:
        return False
    likeness = np.corrcoef(whole[:, :, :3].ravel().astype(float), alone[:, :, :3].ravel().astype(float))[0, 1]
    return bool(likeness > _ALIKE)


def _contrast(pixels: Pixels) -> int:
    """The steps of 255 between its lightest and darkest pixels, in the colour where that is most."""
    most = pixels[:, :, :3].max(axis=(0, 1)).astype(int) - pixels[:, :, :3].min(axis=(0, 1))
    return int(most.max())


def _middle(span: slice, first: int, last: int) -> slice:
    """The middle half of first..last, as far as it lies in the span; at least one pixel."""
    quarter = (last - first) / 4
    start = max(span.start, math.floor(first + quarter))
    stop = min(span.stop, math.ceil(last - quarter))
    return slice(start, stop) if stop > start else span


def _gaps(ink: NDArray[np.bool_], *, at_least: int) -> list[tuple[int, int]]:
    """Half-open ranges of at least this many places without ink."""
    if bytes(at_least) not in ink.tobytes():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([True], ink, [True])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= at_least]


def _box(line: PlacedText) -> Box:
    return line.left, line.bottom, line.right, line.top


def _crowded(lines: Sequence[PlacedText]) -> set[int]:
    """The ids of lines whose middle lies for a sixth or more in the middle of another line."""
    if len(lines) > _MOST_COMPARED:
        return set()
    boxes = np.array([_box(line) for line in lines])
    quarter = (boxes[:, 3] - boxes[:, 1]) / 4
    boxes[:, 1] += quarter
    boxes[:, 3] -= quarter
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    own = np.diagonal(common).copy()
    np.fill_diagonal(common, 0)
    return {id(line) for line, crowded in zip(lines, (common.max(axis=1) > own / 6).tolist(), strict=True) if crowded}
