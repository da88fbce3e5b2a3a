"""What the viewer needs of a document before any page is drawn: the sizes of its pages and its outline."""

from __future__ import annotations

import contextlib
import ctypes
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pypdfium2.raw as pdfium

from ingest.outline import OutlineEntry, read_outline
from ingest.picture import open_document

if TYPE_CHECKING:
    from pathlib import Path

USUAL = (595.0, 842.0)
"""Points; stands for a page whose size the file does not say."""


@dataclass(frozen=True, slots=True)
class DocumentMap:
    """The pages by their sizes, and what the file itself lists of its contents."""

    sizes: tuple[tuple[float, float], ...]
    """Width and height in points of each page as it is displayed: turned, and cut to its crop box."""
    outline: tuple[OutlineEntry, ...]


def document_map(pdf_path: Path) -> DocumentMap:
    """Read without drawing: a document of 300 pages takes some hundredths of a second.

    Raises:
        PictureError: the file cannot be opened.
    """
    with open_document(pdf_path) as document:
        sizes = tuple(_size(document, index) for index in range(len(document)))
        return DocumentMap(sizes, tuple(entry for entry in read_outline(document) if entry.page <= len(sizes)))


def _size(document: Any, index: int) -> tuple[float, float]:
    size = pdfium.FS_SIZEF()
    with contextlib.suppress(ctypes.ArgumentError):
        if pdfium.FPDF_GetPageSizeByIndexF(document.raw, index, size):
            sides = round(float(size.width), 2), round(float(size.height), 2)
            if all(math.isfinite(side) and side > 0 for side in sides):
                return sides
    return USUAL
