"""A page of a PDF as a picture, and the one lock for all use of pdfium in this process."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.errors import UserFacingError
from ingest.ocr import draw, png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DPI = 144
"""Two pixels per point: sharp at the width of a panel on a high-density screen."""

MAX_PIXELS = 6_000_000
"""Larger pages (posters) are drawn at a lower resolution: A4 at 144 dpi has 2 million."""

MAX_SIDE = 8000
"""Pixels; for pages a hundred times as long as wide."""

MAX_SECONDS = 10.0
"""Time limit for drawing one page; a usual page takes 0.05 s."""

_lock = threading.Lock()


class PictureError(UserFacingError):
    """The page cannot be drawn."""

    status = 422


@contextmanager
def open_document(pdf_path: Path) -> Iterator[Any]:
    """The pypdfium2 document. Others wait: pdfium is not thread-safe.

    Raises:
        PictureError: the file cannot be opened.
    """
    with _lock:
        try:
            document = pypdfium2.PdfDocument(pdf_path)
        except (pypdfium2.PdfiumError, OSError) as error:
            raise PictureError("The PDF cannot be opened here.", "Open it in another program.") from error
        try:
            yield document
        finally:
            document.close()


@contextmanager
def open_page(pdf_path: Path, number: int) -> Iterator[Any]:
    """The pypdfium2 page with this 1-based number.

    Raises:
        PictureError: the file cannot be opened or has no such page.
    """
    with open_document(pdf_path) as document:
        if not 1 <= number <= len(document):
            raise PictureError(f"The PDF has no page {number}.")
        try:
            page = document[number - 1]
            try:
                yield page
            finally:
                page.close()
        except pypdfium2.PdfiumError as error:
            raise PictureError("This page cannot be read.", "Open the PDF in another program.") from error


def page_picture(pdf_path: Path, number: int, *, dpi: int = DPI) -> bytes:
    """The page as displayed, as a PNG file: grey if it has no colour, at most MAX_PIXELS in size.

    Raises:
        PictureError: the page cannot be drawn, or not within MAX_SECONDS.
    """
    with open_page(pdf_path, number) as page:
        points = page.get_size()
        if not all(math.isfinite(side) and side > 0 for side in points):
            raise PictureError("This page has no size.", "Open the PDF in another program.")
        area, longest = points[0] * points[1], max(points)
        scale = min(dpi / 72, (MAX_PIXELS / area) ** 0.5, MAX_SIDE / longest)
        width, height = (max(1, round(side * scale)) for side in points)
        bitmap = pypdfium2.PdfBitmap.new_native(width, height, pdfium.FPDFBitmap_BGRx)
        try:
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
            _draw(bitmap, page)
            pixels = bitmap.to_numpy()[..., 2::-1].copy()
        finally:
            bitmap.close()
    if (pixels == pixels[..., :1]).all():
        return png(pixels[..., 0].copy())
    return png(pixels)


def _draw(bitmap: Any, page: Any) -> None:
    """Draw until the deadline."""
    deadline = time.monotonic() + MAX_SECONDS
    status = draw(bitmap, page, lambda: time.monotonic() > deadline)
    if status == pdfium.FPDF_RENDER_TOBECONTINUED:
        raise PictureError(f"This page takes more than {MAX_SECONDS:.0f} seconds to display.", "Open the PDF instead.")
    if status != pdfium.FPDF_RENDER_DONE:
        raise PictureError("This page cannot be displayed.", "Open the PDF in another program.")
