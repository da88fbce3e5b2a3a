"""PDFs attached to a PDF: a portfolio is a cover page with papers attached, and people want the papers."""

from __future__ import annotations

import logging
import re
from ctypes import c_ulong
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import pypdfium2
import pypdfium2.raw

from ingest.errors import PortfolioError, UserFacingError
from ingest.files import write_atomically
from ingest.picture import open_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

MOST = 500
"""How many attachments are looked at."""

COVER_LETTERS = 1200
"""A cover page has fewer letters than this; with more, the file is a paper with attachments.

A Chinese or Japanese character or a Korean syllable counts as three letters.
"""

COVER_PAGES = 2

NAME_BYTES = 180
"""Longer names are cut: file systems allow 255 bytes, and the name is longer while the file is being written."""

_UNSAFE = re.compile(r"[^\w .()+,-]+")
_UNREADABLE = (pypdfium2.PdfiumError, UnicodeDecodeError)


def refuse_cover(document: Any, text: str, name: str) -> None:
    """Raise PortfolioError if a file is only the cover of its attached PDFs.

    Args:
        document: the pypdfium2 document.
        text: the text of all its pages.
        name: the file name that the user knows.
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


def attached_names(path: Path, *, max_mb: int) -> tuple[str, ...]:
    """The names of the PDFs attached to a file; empty if the file cannot be opened.

    Args:
        path: the file.
        max_mb: for larger attachments only the name decides whether they are PDFs.
    """
    try:
        with open_document(path) as document:
            return tuple(name for name, _ in _attached(document, max_mb))
    except UserFacingError:
        return ()


def save_attached(path: Path, folder: Path, *, max_mb: int) -> tuple[list[Path], list[UserFacingError]]:
    """Write the PDFs attached to a file into a folder under their own names, overwriting nothing.

    Args:
        path: the file.
        folder: an existing folder.
        max_mb: the largest attachment to write, in MB.

    Returns:
        The paths written, and a message about each attachment that was not.

    Raises:
        UserFacingError: the file cannot be opened, or no PDF is attached to it.
    """
    saved: list[Path] = []
    refused: list[UserFacingError] = []
    with open_document(path) as document:
        for name, data in _attached(document, max_mb):
            if data is None:
                error = f"The attached {name} was not added: it has more than {max_mb} MB."
                refused.append(UserFacingError(error, "Raise SCHOLION_MAX_FILE_MB if it really is an article."))
                continue
            place = _free(folder / name)
            write_atomically(place, data)
            saved.append(place)
    if not saved and not refused:
        raise UserFacingError(f"No PDF is attached to {path.name}.", "Add the file itself.")
    return saved, refused


def _free(place: Path) -> Path:
    """This path, or the first free one with a number after its name."""
    numbered = (place.with_name(f"{place.stem} ({number}).pdf") for number in count(2))
    return next(path for path in chain([place], numbered) if not path.exists())


def _attached(document: Any, max_mb: int | None = None) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of each attached PDF; no content if it is larger than `max_mb` MB.

    Unreadable attachments are skipped; one with an unreadable name gets a new name.
    """
    for index in range(min(MOST, document.count_attachments())):
        name = f"attached {index + 1}.pdf"
        try:
            attachment = document.get_attachment(index)
            name, named_pdf = _name(attachment, otherwise=name)
            if max_mb is not None and _size(attachment) > max_mb * 1_000_000:
                if named_pdf:
                    yield name, None
                continue
            data = bytes(attachment.get_data())
        except _UNREADABLE as error:
            _log.warning("attachment %d cannot be read: %s", index + 1, error)
            continue
        if b"%PDF-" in data[:1024]:
            yield name, data


def _name(attachment: Any, *, otherwise: str) -> tuple[str, bool]:
    """The file name for an attachment, and whether its own name is that of a PDF."""
    try:
        stated = attachment.get_name().replace("\\", "/").rpartition("/")[2]
    except _UNREADABLE:  # lone surrogates are not text
        return otherwise, False
    safe = _UNSAFE.sub("_", stated.removesuffix(".pdf")).encode()[:NAME_BYTES].decode("utf-8", "ignore").strip(" .")
    return (f"{safe}.pdf" if safe else otherwise), stated.lower().endswith(".pdf")


def _size(attachment: Any) -> int:
    """Its unpacked size in bytes. PDFium unpacks it to find out, up to its own limit, and keeps nothing."""
    size = c_ulong()
    pypdfium2.raw.FPDFAttachment_GetFile(attachment, None, 0, size)
    return size.value
