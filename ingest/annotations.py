"""Highlights and notes that somebody made in the PDF: what is marked, what is noted, and where.

They are data as the page's text is, and no more to be trusted: whoever sent the file may have written them. Those that
no viewer shows are left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ingest.annotation import MAX_TEXT, Annotation
from ingest.lines import clean
from ingest.picture import open_document
from ingest.text_layer import glyphs, joined, placer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ingest.annotation import Box, Kind
    from ingest.text_layer import Glyph

MAX_ANNOTATIONS = 5_000
"""Of one document; further ones are left out."""

MAX_SECONDS = 10.0
"""Time limit for a document; other pages wait meanwhile. A usual document takes 0.1 s."""

_MAX_BYTES = 1_000_000
"""Of one text in an annotation; a longer one is no note."""

_KINDS: dict[int, Kind] = {
    pdfium.FPDF_ANNOT_HIGHLIGHT: "highlight",
    pdfium.FPDF_ANNOT_UNDERLINE: "underline",
    pdfium.FPDF_ANNOT_STRIKEOUT: "strikeout",
    pdfium.FPDF_ANNOT_SQUIGGLY: "squiggly",
    pdfium.FPDF_ANNOT_TEXT: "note",
    pdfium.FPDF_ANNOT_FREETEXT: "text",
}
_MARKUP = {"highlight", "underline", "strikeout", "squiggly"}
_NOT_SHOWN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW


def annotations_of(pdf_path: Path) -> tuple[Annotation, ...]:
    """The highlights and notes of a PDF, in the order of its pages.

    Raises:
        PictureError: the file cannot be opened.
    """
    with open_document(pdf_path) as document:
        return read_annotations(document)


def read_annotations(document: Any) -> tuple[Annotation, ...]:
    """Those of a pypdfium2 document; a page that cannot be read has none. After MAX_SECONDS, those read so far."""
    found: list[Annotation] = []
    until = time.monotonic() + MAX_SECONDS
    for number in range(1, len(document) + 1):
        with contextlib.suppress(pypdfium2.PdfiumError), contextlib.closing(document[number - 1]) as page:
            found += _of_page(page, number, until)
        if len(found) >= MAX_ANNOTATIONS or time.monotonic() > until:
            break
    return tuple(found[:MAX_ANNOTATIONS])


def _of_page(page: Any, number: int, until: float) -> list[Annotation]:
    n_annotations = min(pdfium.FPDFPage_GetAnnotCount(page.raw), MAX_ANNOTATIONS)
    if n_annotations <= 0:
        return []
    found: list[Annotation] = []
    seen: _Seen | None = None
    place = placer(page)
    for index in range(n_annotations):
        if time.monotonic() > until:
            break
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, index)
        if not annotation:
            continue
        try:
            kind = _KINDS.get(pdfium.FPDFAnnot_GetSubtype(annotation))
            if kind is None or pdfium.FPDFAnnot_GetFlags(annotation) & _NOT_SHOWN:
                continue
            boxes = _boxes(annotation, place, lines=kind in _MARKUP)
            if kind in _MARKUP and seen is None:
                seen = _Seen(_glyphs(page))
            quote = _words_in(seen, boxes) if kind in _MARKUP and seen else ""
            note = _note(annotation)
            author = " ".join(_text(annotation, "T").split())[:200]
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
        if quote or note or kind in _MARKUP:
            found.append(Annotation(page=number, kind=kind, quote=quote, note=note, author=author, boxes=tuple(boxes)))
    return found


class _Seen:
    """The letters of a page with their middles, so that they are compared with a box all at once."""

    def __init__(self, glyphs: Sequence[Glyph | None]) -> None:
        self.glyphs = glyphs
        nowhere = (np.nan,) * 4
        boxes = np.array([glyph.box if glyph and glyph.text != "\n" else nowhere for glyph in glyphs]).reshape(-1, 4)
        self.x, self.y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2

    def inside(self, boxes: Sequence[Box]) -> Any:
        """For each letter whether its middle lies in one of the boxes."""
        found = np.zeros(len(self.glyphs), dtype=bool)
        for left, top, right, bottom in boxes:
            found |= (left <= self.x) & (self.x <= right) & (top <= self.y) & (self.y <= bottom)
        return found


def _glyphs(page: Any) -> list[Glyph | None]:
    textpage = page.get_textpage()
    try:
        return glyphs(page, textpage)
    finally:
        textpage.close()


def _note(annotation: Any) -> str:
    """What was written, in the annotation itself or in its pop-up window."""
    if note := _flat_lines(_text(annotation, "Contents")):
        return note
    window = pdfium.FPDFAnnot_GetLinkedAnnot(annotation, b"Popup")
    if not window:
        return ""
    try:
        return _flat_lines(_text(window, "Contents"))
    finally:
        pdfium.FPDFPage_CloseAnnot(window)


def _text(annotation: Any, key: str) -> str:
    name = key.encode()
    size = pdfium.FPDFAnnot_GetStringValue(annotation, name, None, 0)
    if not 2 < size <= _MAX_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFAnnot_GetStringValue(annotation, name, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", errors="ignore")


def _flat_lines(text: str) -> str:
    """Its lines without space around them and without empty ones, at most MAX_TEXT long."""
    lines = (" ".join(clean(line).split()) for line in text.replace("\r", "\n").split("\n"))
    return "\n".join(filter(None, lines))[:MAX_TEXT]


def _boxes(annotation: Any, place: Callable[[float, float], tuple[float, float]], *, lines: bool) -> list[Box]:
    """A box for each marked line; the annotation's own where none is marked."""
    found = []
    quad = pdfium.FS_QUADPOINTSF()
    for index in range(min(pdfium.FPDFAnnot_CountAttachmentPoints(annotation), 1000) if lines else 0):
        if pdfium.FPDFAnnot_GetAttachmentPoints(annotation, index, quad):
            corners = (quad.x1, quad.y1), (quad.x2, quad.y2), (quad.x3, quad.y3), (quad.x4, quad.y4)
            found.append(_around(corners, place))
    if not found:
        rect = pdfium.FS_RECTF()
        if pdfium.FPDFAnnot_GetRect(annotation, rect):
            found.append(_around(((rect.left, rect.bottom), (rect.right, rect.top)), place))
    return [box for box in found if box[2] > box[0] and box[3] > box[1]]


def _around(corners: Sequence[tuple[float, float]], place: Callable[[float, float], tuple[float, float]]) -> Box:
    points = [place(x, y) for x, y in corners]
    left, top, right, bottom = joined([(x, y, x, y) for x, y in points])
    return tuple(round(min(1.0, max(0.0, side)), 5) for side in (left, top, right, bottom))  # type: ignore[return-value]


def _words_in(seen: _Seen, boxes: Sequence[Box]) -> str:
    """The words whose letters' middles lie in the boxes; a word that a line's end breaks is made whole."""
    text: list[str] = []
    gap = False
    for glyph, inside in zip(seen.glyphs, seen.inside(boxes), strict=True):
        if glyph is None or not inside:
            gap = True
            continue
        if gap and text:
            if text[-1] == "-" and len(text) > 1 and text[-2].isalpha() and glyph.text.islower():
                text.pop()
            else:
                text.append(" ")
        text.append(glyph.text)
        gap = False
    return " ".join("".join(text).split())[:MAX_TEXT]
