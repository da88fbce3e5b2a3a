"""The noun: what Zotero said of a paper when it was asked last."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.annotation import Annotation  # noqa: TC001 - read when it is told as JSON
from ingest.paper import Publication  # noqa: TC001 - the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What it is, with the names of `Paper`; empty or None where Zotero does not know."""

    title: str = ""
    authors: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    year: int | None = None
    doi: str | None = None
    arxiv_id: str | None = None
    isbn: str | None = None
    publication: Publication | None = None


@dataclass(frozen=True, slots=True)
class FromZotero:
    """Empty for a paper of which Zotero knows nothing."""

    tags: tuple[str, ...] = ()
    """All tags and collections."""
    set_here: tuple[str, ...] = ()
    """Those of them that the paper did not have before."""
    notes: tuple[Annotation, ...] = ()
    item: Item = Item()
