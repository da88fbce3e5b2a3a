"""The noun: what one entry of a bibliography, or an item of Zotero, says of a paper; and how it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - read when an entry is told as JSON

from ingest.paper import Publication  # noqa: TC001 - the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one bibliography entry says about a paper; unknown is None or empty."""

    key: str
    title: str = ""
    authors: tuple[str, ...] = ()
    """Given names first: "Sven A. van der Burg"."""
    year: int | None = None
    doi: str | None = None
    arxiv_id: str | None = None
    isbn: str | None = None
    abstract: str | None = None
    families: tuple[str, ...] = ()
    """The authors' family names, one each: "van der Burg", "García Márquez"; the whole name of a group."""
    files: tuple[str, ...] = ()
    """Paths of the attached files as the program wrote them, often from another machine."""
    source: Path | None = None
    """The file that it was read from."""
    publication: Publication | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What a person had written of a file when it was added. Empty for a file of which nobody has written anything."""

    entry: Entry | None = None
    place: str = ""
    """Where the file lay; empty once it has been read. Its title or DOI may then find an entry there."""
