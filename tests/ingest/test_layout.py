"""What the parts of a page become: claims about made PDFs."""

from __future__ import annotations

import pypdfium2
import pytest

from ingest import engines
from ingest.chunk import chunk_paper
from ingest.lines import UNREAD, Line, Style, mended
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

PROSE = [
    "Small language models answer questions about research papers when the",
    "passages are good, and this is a body line of ordinary length which is",
    "followed by another line of the same kind until the paragraph ends.",
]
MORE = [
    "The second paragraph says what the first one did not, in three lines of",
    "about the same length, so that the usual distance between the lines is",
    "known and the style of the running text is beyond any doubt at all.",
]


def parsed(tmp_path, *pages):
    return parse_pdf(write_pdf(tmp_path / "a.pdf", *pages))


def blocks(paper, kind):
    return [paper.text[b.start : b.end] for b in paper.blocks if b.kind == kind]


def searched(paper):
    chunks = chunk_paper(paper, max_tokens=60, count_tokens=lambda texts: [len(t.split()) for t in texts])
    return "\n".join(chunk.text for chunk in chunks)


def width(text, size=10):
    """Of text in Helvetica, in points, by pdfium itself."""
    document = pypdfium2.PdfDocument.new()
    font = pypdfium2.raw.FPDFText_LoadStandardFont(document.raw, b"Helvetica")
    text_object = pypdfium2.raw.FPDFPageObj_CreateTextObj(document.raw, font, size)
    encoded = (text + "\0").encode("utf-16-le")
    buffer = (pypdfium2.raw.FPDF_WCHAR * len(encoded)).from_buffer_copy(encoded + b"\0" * len(encoded))
    pypdfium2.raw.FPDFText_SetText(text_object, buffer)
    numbers = [pypdfium2.raw.c_float() if hasattr(pypdfium2.raw, "c_float") else __import__("ctypes").c_float()] * 4
    del numbers
    import ctypes

    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pypdfium2.raw.FPDFPageObj_GetBounds(text_object, left, bottom, right, top)
    return right.value
