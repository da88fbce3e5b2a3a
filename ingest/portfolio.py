"""PDFs attached to a PDF: a portfolio is a cover page with papers attached, and the papers are what people want."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pypdfium2

from ingest.errors import PortfolioError, UserFacingError
from ingest.files import write_atomically
from ingest.picture import open_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 500
"""Attachments that are looked at."""

COVER_LETTERS = 1200
"""A cover page has fewer letters than this; with more, the file is a paper with something attached. A Chinese or a
Japanese sign, or a Korean syllable, says as much as three letters."""

COVER_PAGES = 2

_UNSAFE = re.compile(r"[^\w .()+,-]+")


def refuse_cover(document: Any, text: str, name: str) -> None:
    """Raise PortfolioError where a file is no more than the cover of the PDFs that are attached to it.

    Args:
        document: the pypdfium2 document.
        text: all that its pages say.
        name: the name under which the user knows the file.
    """
    if len(document) > COVER_PAGES or _n_letters(text) >= COVER_LETTERS:
        return
    names = [called for called, _ in _attached(document)]
    if names:
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise PortfolioError(
            f"{name} is a cover page with {len(names)} {'PDF' if len(names) == 1 else 'PDFs'} attached: {listed}.",
            "Add what is attached instead: with the button in the chat, or by `python -m ingest add --attached FILE`.",
        )


def _n_letters(text: str) -> int:
    return sum(3 if "\u3040" <= char <= "\ud7ff" else 1 for char in text if char.isalpha())


def attached_names(path: Path) -> tuple[str, ...]:
    """The names of the PDFs attached to a file; none where it cannot be opened."""
    try:
        with open_document(path) as document:
            return tuple(name for name, _ in _attached(document))
    except UserFacingError:
        return ()


def save_attached(path: Path, folder: Path) -> list[Path]:
    """Write the PDFs attached to a file into a folder, under their own names, and return their paths.

    Raises:
        UserFacingError: the file cannot be opened, or no PDF is attached to it.
    """
    saved: list[Path] = []
    with open_document(path) as document:
        for name, data in _attached(document):
            place = folder / name
            if place.exists():
                place = folder / f"{place.stem} ({len(saved) + 1}).pdf"
            write_atomically(place, data)
            saved.append(place)
    if not saved:
        raise UserFacingError(f"No PDF is attached to {path.name}.", "Add the file itself.")
    return saved


def _attached(document: Any) -> Iterator[tuple[str, bytes]]:
    """Name and content of each attached file that is a PDF."""
    for index in range(min(MOST, document.count_attachments())):
        attachment = document.get_attachment(index)
        try:
            data = bytes(attachment.get_data())
        except pypdfium2.PdfiumError:
            continue
        if b"%PDF-" in data[:1024]:
            stated = attachment.get_name().replace("\\", "/").rpartition("/")[2].removesuffix(".pdf")
            safe = _UNSAFE.sub("_", stated).strip(" .")[:120] or f"attached {index + 1}"
            yield f"{safe}.pdf", data
