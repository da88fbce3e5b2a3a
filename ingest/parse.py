"""parse_pdf(path) → ParsedPaper; the only file that knows a PDF library."""

from __future__ import annotations

import hashlib
import logging
import math
from typing import TYPE_CHECKING, Any

from ingest.errors import EncryptedPdfError, NoTextError, UnreadablePdfError
from ingest.layout import Line, lay_out
from ingest.metadata import DocumentInfo, describe
from ingest.paper import Paper, ParsedPaper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pypdf import PageObject, PdfReader

MIN_LETTERS = 40
"""A paper with fewer letters than this in all has no usable text layer."""

_BOLD = ("bold", "-bd", "cmbx", "-medi", "black", "heavy", "semibold", "sfbx")


def paper_id(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def parse_pdf(path: Path, *, file_name: str | None = None) -> ParsedPaper:
    """The paper's text in reading order, its headings and what is known of it.

    Args:
        path: the PDF.
        file_name: the name under which the user knows it, for messages; `path.name` by default.

    Raises:
        UnreadablePdfError: not a PDF or damaged; EncryptedPdfError and NoTextError are kinds of it.
    """
    name = file_name or path.name
    check_is_pdf(path, file_name=name)
    # pypdf reports every oddity of a file, and some are whole font dictionaries
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = _open(path, name)
    pages, info = _read_pages(reader, name), _info(reader)
    parts = lay_out(pages)
    if sum(char.isalpha() for page in parts.pages for char in page.text) < MIN_LETTERS:
        raise NoTextError(
            f"{name} has no text that can be read: its pages are probably scanned pictures.",
            "Run it through an OCR program such as ocrmypdf and add the result.",
        )
    known = describe(parts, info, file_name=name)
    paper = Paper(
        id=paper_id(path),
        title=known.title,
        authors=known.authors,
        year=known.year,
        doi=known.doi,
        n_pages=len(pages),
        file_name=name,
    )
    return ParsedPaper(paper, parts.pages, parts.headings)


def check_is_pdf(path: Path, *, file_name: str | None = None) -> None:
    """Raise UnreadablePdfError unless the file begins as a PDF does (`%PDF-` within the first 1,024 bytes)."""
    name = file_name or path.name
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise UnreadablePdfError(f"{name} is empty (0 bytes).", "Download or export it again.")
    if b"%PDF-" not in head:
        raise UnreadablePdfError(
            f"{name} is not a PDF, whatever its name says.", "Export the article as a PDF and add that."
        )


def _open(path: Path, name: str) -> PdfReader:
    from pypdf import PdfReader

    try:
        reader = PdfReader(path, strict=False)
        locked = reader.is_encrypted and not reader.decrypt("")
    except Exception as error:  # a damaged PDF makes pypdf raise nearly anything
        raise _damaged(name) from error
    if locked:
        raise EncryptedPdfError(
            f"{name} is encrypted and needs a password.", "Save a copy without the password and add that."
        )
    return reader


def _damaged(name: str) -> UnreadablePdfError:
    return UnreadablePdfError(
        f"{name} is damaged or cut off and cannot be read.", "Download it again, or print it to a new PDF and add that."
    )


def _read_pages(reader: PdfReader, name: str) -> list[list[Line]]:
    try:
        pages = list(reader.pages)
    except Exception as error:
        raise _damaged(name) from error
    if not pages:
        raise _damaged(name)
    lines, failed = [], 0
    for number, page in enumerate(pages, start=1):
        try:
            lines.append(_page_lines(page, number))
        except Exception:  # noqa: BLE001 one bad page must not cost the others
            lines.append([])
            failed += 1
    if failed == len(pages):
        raise _damaged(name)
    return lines


def _info(reader: PdfReader) -> DocumentInfo:
    try:
        info: Mapping[str, Any] = reader.metadata or {}
        return DocumentInfo(
            title=str(info.get("/Title") or ""),
            author=str(info.get("/Author") or ""),
            created=str(info.get("/CreationDate") or ""),
        )
    except Exception:  # noqa: BLE001 the document information is a convenience
        return DocumentInfo()


def _page_lines(page: PageObject, number: int) -> list[Line]:
    """The page's lines in the content stream's order, which is nearly always the reading order."""
    lines = _collect(page, number, orientation=0)
    if sum(len(line.text) for line in lines) < MIN_LETTERS:
        # a page that was set or scanned sideways: take the direction that has most text
        turned = max((_collect(page, number, orientation=angle) for angle in (90, 180, 270)), key=_n_chars)
        if _n_chars(turned) > _n_chars(lines):
            return turned
    return lines


def _on_page(tm: list[float], cm: list[float]) -> tuple[float, float, float]:
    """Where a text matrix lands on the page: x and y in points, and the vertical scale (PDF 32000-1, 9.4.4)."""
    x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
    y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
    up = (tm[2] * cm[0] + tm[3] * cm[2], tm[2] * cm[1] + tm[3] * cm[3])
    return x, y, math.hypot(*up)


def _n_chars(lines: list[Line]) -> int:
    return sum(len(line.text) for line in lines)


def _collect(page: PageObject, number: int, *, orientation: int) -> list[Line]:
    box = page.mediabox
    height, bottom = float(box.height) or 792.0, float(box.bottom)
    lines: list[Line] = []
    fragments: list[tuple[str, float, float, float, bool]] = []

    def end_line() -> None:
        seen = [f for f in fragments if f[0].strip()]
        if seen:
            weights: dict[tuple[float, bool], int] = {}
            for text, _, _, size, bold in seen:
                weights[round(size, 1), bold] = weights.get((round(size, 1), bold), 0) + len(text.strip())
            (size, bold), _ = max(weights.items(), key=lambda item: item[1])
            lines.append(
                Line(
                    page=number,
                    text="".join(f[0] for f in fragments).strip(),
                    x=min(f[1] for f in seen),
                    y=seen[0][2] - bottom,
                    size=size,
                    bold=bold,
                    page_height=height,
                )
            )
        fragments.clear()

    def visit(text: str, cm: list[float], tm: list[float], font: dict[str, Any] | None, font_size: float) -> None:
        if not text:
            return
        x, y, scale = _on_page(tm, cm)
        size = abs(font_size) * scale
        face = str((font or {}).get("/BaseFont", "")).lower()
        bold = any(word in face for word in _BOLD)
        first, *rest = text.split("\n")
        fragments.append((first, x, y, size, bold))
        for part in rest:
            end_line()
            fragments.append((part, x, y, size, bold))

    page.extract_text(orientations=(orientation,), visitor_text=visit)
    end_line()
    return lines
