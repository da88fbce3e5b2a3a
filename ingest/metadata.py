"""Title, authors, year and DOI from what the file says of itself and from its first page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from ingest.layout import clean

if TYPE_CHECKING:
    from ingest.layout import Layout

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>]+")
_YEAR = re.compile(
    r"(?:©|\(c\)|copyright|published|accepted|received|revised|date)\D{0,24}((?:19|20)\d\d)\b", re.IGNORECASE
)
_ARXIV = re.compile(r"arXiv:\s*(\d\d)(\d\d)\.\d{4,5}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """The document information dictionary, often filled by a typesetting program and not by a person."""

    title: str = ""
    author: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of the paper; unknown is None or empty."""

    title: str
    authors: tuple[str, ...]
    year: int | None
    doi: str | None


def describe(layout: Layout, info: DocumentInfo, *, file_name: str) -> Description:
    """The best description that the file offers; where it offers no title, the file's name serves."""
    opening = "\n".join(page.text for page in layout.pages[:2])
    title = _title_from_info(info, layout) or layout.title or PurePath(file_name).stem
    doi = _doi(opening)
    return Description(title, _authors_from_info(info, layout), _year(opening, info, layout), doi)


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _title_from_info(info: DocumentInfo, layout: Layout) -> str | None:
    """The stated title, if it has at least three words and the first page shows it."""
    title = " ".join(clean(info.title).split())
    shown = _folded(layout.pages[0].text) if layout.pages else ""
    return title if len(title.split()) >= 3 and _folded(title) in shown else None


def _authors_from_info(info: DocumentInfo, layout: Layout) -> tuple[str, ...]:
    """The stated authors whom the first page shows too; the others are often the typist."""
    shown = _folded(layout.pages[0].text) if layout.pages else ""
    names = (" ".join(clean(name).split()) for name in re.split(r"[;,]|\band\b|&", info.author))
    return tuple(name for name in names if name and _folded(name) and _folded(name) in shown)


def _doi(text: str) -> str | None:
    found = _DOI.search(text)
    if not found:
        return None
    doi = found[0].rstrip(".,;:]}")
    return doi.rstrip(")") if doi.count(")") > doi.count("(") else doi


def _year(opening: str, info: DocumentInfo, layout: Layout) -> int | None:
    first = layout.pages[0].text if layout.pages else ""
    if arxiv := _ARXIV.search(opening):
        return 2000 + int(arxiv[1])
    if stated := _YEAR.search(first):
        return int(stated[1])
    created = re.match(r"D?:?((?:19|20)\d\d)", info.created)
    # a production date counts only where the page shows the same year
    return int(created[1]) if created and created[1] in first else None
