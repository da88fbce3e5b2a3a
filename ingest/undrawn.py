"""Text that cannot be drawn here, because neither the file nor this machine has its font: judged by rule, not by ink.

Text that no reader could see on any machine stays hidden: invisible, transparent, in the colour of its background,
clipped away, covered, or on a layer that can be switched off.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.page_objects import Box

MOST_DRAWN = 60
"""Objects of one page that are drawn by themselves to see whether the machine has their font; about 0.1 ms each."""

DRAWN_COLUMNS = 0.4
"""Share of an object's pixel columns: with less ink, it has glyphs that the machine lacks."""

_FILLED = (0, 2, 4, 6)  # text render modes, PDF 32000-1, 9.3.6
_DPI_SCALE = 1.0


class MissingFonts:
    """The fonts of one page that are neither in the file nor on this machine, each checked on demand."""

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        self._page = page
        self._missing: dict[int, bool] = {}
        self._left = MOST_DRAWN

    def lacks_glyphs(self, handle: Any, letters: str) -> bool:
        """Whether a text object lacks all or some glyphs for want of its font; colour and position do not matter."""
        font = pdfium.FPDFTextObj_GetFont(handle)
        key = ctypes.cast(font, ctypes.c_void_p).value or 0
        if self._missing.get(key) or pdfium.FPDFFont_GetIsEmbedded(font) != 0:
            return self._missing.get(key, False)
        if letters.isascii() and key in self._missing:
            return False
        if self._left and pdfium.FPDFTextObj_GetTextRenderMode(handle) in _FILLED and _colour(handle)[3]:
            self._left -= 1
            self._missing[key] = self._share_of_columns(handle) < (0.01 if letters.isascii() else DRAWN_COLUMNS)
        return self._missing.get(key, False)

    def _share_of_columns(self, handle: Any) -> float:
        """Number of pixel columns with ink if the object is drawn alone, without its clip."""
        raw = pdfium.FPDFTextObj_GetRenderedBitmap(self._page.pdf.raw, self._page.raw, handle, _DPI_SCALE)
        if not raw:  # missing glyphs have no height
            return 0.0
        opaque = pypdfium2.PdfBitmap.from_raw(raw).to_numpy()[
            :, :, 3
        ]  # frees the bitmap with its pixels, and only once
        return float((opaque > 0).any(axis=0).mean()) if opaque.size else 0.0


def would_show(handle: Any, box: Box, *, behind: NDArray[np.uint8], contrast: int) -> bool:
    """Whether a reader who has the font would see a text object that nothing covers.

    Args:
        handle: the object.
        box: where it stands, in the coordinates of its own clip path.
        behind: the pixels there, height × width × 4 (blue, green, red, nothing).
        contrast: the steps of 255 that its colour must differ from the most common one behind it.
    """
    red, green, blue, alpha = _colour(handle)
    if pdfium.FPDFTextObj_GetTextRenderMode(handle) not in _FILLED or not alpha or not behind.size:
        return False
    if _is_on_a_layer(handle) or not _in_clip(handle, box):
        return False
    colours, times = np.unique(behind.reshape(-1, 4)[:, :3], axis=0, return_counts=True)
    paper = colours[times.argmax()].astype(int)
    return int(np.abs(paper - (blue, green, red)).max()) * alpha // 255 >= contrast


def _colour(handle: Any) -> tuple[int, int, int, int]:
    """Red, green, blue and opacity, 0 to 255; transparent if unknown."""
    values = [ctypes.c_uint() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetFillColor(handle, *values):
        return 0, 0, 0, 0
    red, green, blue, alpha = (value.value for value in values)
    return red, green, blue, alpha


def _is_on_a_layer(handle: Any) -> bool:
    for index in range(pdfium.FPDFPageObj_CountMarks(handle)):
        mark, name, length = pdfium.FPDFPageObj_GetMark(handle, index), (ctypes.c_ushort * 16)(), ctypes.c_ulong()
        if pdfium.FPDFPageObjMark_GetName(mark, name, 32, length) and bytes(name[:2]) == b"OC":
            return True
    return False


def _in_clip(handle: Any, box: Box) -> bool:
    """Whether the middle of the box is inside the bounds of each path that clips the object."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    clip = pdfium.FPDFPageObj_GetClipPath(handle)
    for path in range(max(0, pdfium.FPDFClipPath_CountPaths(clip)) if clip else 0):
        points = []
        for index in range(pdfium.FPDFClipPath_CountPathSegments(clip, path)):
            a, b = ctypes.c_float(), ctypes.c_float()
            if pdfium.FPDFPathSegment_GetPoint(pdfium.FPDFClipPath_GetPathSegment(clip, path, index), a, b):
                points.append((a.value, b.value))
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        if points and not (min(xs) <= x <= max(xs) and min(ys) <= y <= max(ys)):
            return False
    return True
