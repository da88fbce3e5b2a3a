"""All papers at once with what a list shows of them, by one query, and a paper read from its row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.paper import LostStep, Paper, Publication, QualityReport

if TYPE_CHECKING:
    from ingest.connection import Connection

PAPER = (
    "id, title, authors, year, doi, arxiv_id, abstract, n_pages, file_name, isbn, families, page_labels, retracted, "
    "publication"
)
"""The columns of a `Paper`, in this order."""

LISTS = ("authors", "families", "page_labels")
"""Those that hold a list as JSON; null, in a library of an older version, is an empty one."""

_QUERY = (
    f"SELECT {PAPER}, added_at, report, corrected, "  # noqa: S608 constant columns
    "(SELECT json_group_array(tag) FROM tags WHERE paper_id = papers.id) "
    "FROM papers WHERE finished_at IS NOT NULL ORDER BY added_at, id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A paper as a list shows it."""

    paper: Paper
    added_at: str
    """ISO 8601, UTC."""
    tags: tuple[str, ...]
    """By name."""
    report: QualityReport | None
    """None for papers of older versions."""
    corrected: tuple[str, ...]
    """The facts that a person corrected, by the names of `Paper`'s fields."""


def overview(db: Connection) -> list[Listed]:
    """All finished papers in the order of adding."""
    return [_listed(row) for row in db.execute(_QUERY)]


def as_paper(row: tuple[Any, ...]) -> Paper:
    """A paper from the columns `PAPER`."""
    values = dict(zip(PAPER.split(", "), row, strict=True))
    values |= {name: tuple(json.loads(values[name] or "[]")) for name in LISTS}
    stated = json.loads(values["publication"]) if values["publication"] else None
    values["publication"] = Publication(**stated) if stated else None
    return Paper(**values | {"retracted": bool(values["retracted"])})  # null, in a library of an older version, is no


def _listed(row: tuple[Any, ...]) -> Listed:
    *columns, added_at, report, corrected, tags = row
    return Listed(
        paper=as_paper(tuple(columns)),
        added_at=added_at,
        tags=tuple(sorted(json.loads(tags), key=str.casefold)),
        report=_report(json.loads(report)) if report else None,
        corrected=tuple(json.loads(corrected or "[]")),
    )


def _report(values: dict[str, Any]) -> QualityReport:
    """A stored report; one of an older version lacks fields, one of a newer has more."""
    plain: dict[str, Any] = dict.fromkeys(QualityReport.__dataclass_fields__, 0)
    plain |= {"pages_without_text": (), "ocr_pages": (), "ocr_error": "", "unreadable_pages": (), "lost": ()}
    known = plain | {name: value for name, value in values.items() if name in plain}
    for name in ("pages_without_text", "ocr_pages", "unreadable_pages"):
        known[name] = tuple(known[name])
    known["lost"] = tuple(LostStep(**step) for step in known["lost"])
    return QualityReport(**known)
