"""PDFs attached to a PDF: a portfolio is a cover page with papers attached, and the papers are what people want."""

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
"""Attachments that are looked at."""

COVER_LETTERS = 1200
"""A cover page has fewer letters than this; with more, the file is a paper with something attached. A Chinese or a
Japanese sign, or a Korean syllable, says as much as three letters."""

COVER_PAGES = 2

NAME_BYTES = 180
"""A longer name is cut: file systems take 255 bytes, and while it is written a file's name is longer than after."""

_UNSAFE = re.compile(r"[^\w .()+,-]+")
_UNREADABLE = (pypdfium2.PdfiumError, UnicodeDecodeError)


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


def attached_names(path: Path, *, max_mb: int) -> tuple[str, ...]:
    """The names of the PDFs attached to a file; none where it cannot be opened.

    Args:
        path: the file.
        max_mb: a larger attachment counts as a PDF by its name alone.
    """
    try:
        with open_document(path) as document:
            return tuple(name for name, _ in _attached(document, max_mb))
    except UserFacingError:
        return ()


def save_attached(path: Path, folder: Path, *, max_mb: int) -> tuple[list[Path], list[UserFacingError]]:
    """Write the PDFs attached to a file into a folder, under their own names; none takes the place of another.

    Args:
        path: the file.
        folder: where they go; it exists.
        max_mb: the size of the largest attachment that is written, in MB.

    Returns:
        The paths of those that were written, and what to say of each that was not.

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
    """This path, or the first with a number after its name where no file is yet."""
    numbered = (place.with_name(f"{place.stem} ({number}).pdf") for number in count(2))
    return next(path for path in chain([place], numbered) if not path.exists())


def _attached(document: Any, max_mb: int | None = None) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of each attached file that is a PDF; without the content where it has more than `max_mb` MB.

    One that cannot be read is passed over, and one whose name cannot be read gets a name.
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
    """The name that an attachment gets as a file, and whether the one that it has is that of a PDF."""
    try:
        stated = attachment.get_name().replace("\\", "/").rpartition("/")[2]
    except _UNREADABLE:  # half a pair of surrogates is no text
        return otherwise, False
    safe = _UNSAFE.sub("_", stated.removesuffix(".pdf")).encode()[:NAME_BYTES].decode("utf-8", "ignore").strip(" .")
    return (f"{safe}.pdf" if safe else otherwise), stated.lower().endswith(".pdf")


def _size(attachment: Any) -> int:
    """Its size in bytes when it is unpacked. PDFium unpacks it for that, but up to its own limit, and keeps nothing."""
    size = c_ulong()
    pypdfium2.raw.FPDFAttachment_GetFile(attachment, None, 0, size)
    return size.value
