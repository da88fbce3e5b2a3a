"""What the Library page shows of each paper, in words; a filter that forgives accents and hyphens; an order."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ingest.notes import notes, pages
from rag.texts import N_, _, counted, said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ingest import Listed, Paper
    from ingest.paper import QualityReport

SORTS = ("added", "title", "authors", "year")
FIRST_YEAR = 1600
"""A year before it is doubtful."""

_FACTS = {
    "title": N_("title"),
    "authors": N_("authors"),
    "year": N_("year"),
    "doi": "DOI",
    "arxiv_id": N_("arXiv id"),
    "isbn": "ISBN",
    "abstract": N_("abstract"),
    "retracted": N_("retraction"),
}
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_TERM = re.compile(r'(tag:)?"([^"]*)"|(\S+)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One paper as the page shows it."""

    id: str
    title: str
    """Without a mark; `retracted` says that."""
    authors: tuple[str, ...]
    year: int | None
    doi: str | None
    arxiv_id: str | None
    isbn: str | None
    retracted: bool
    pages: int
    file: str
    tags: tuple[str, ...]
    added: str
    """ISO 8601, UTC."""
    local_only: bool | None
    """Whether its text stays on this machine; None if the privacy policy cannot be read."""
    sample: bool
    corrected: str
    """"You corrected the title and year.", or empty."""
    notes: tuple[str, ...]
    """What is to be checked or was read in another way, one sentence each."""


def rows(
    listed: Iterable[Listed], *, local_only: Collection[str] | None, samples: Collection[str], hidden: Collection[str]
) -> list[Row]:
    """The rows of these papers without those in `hidden`."""
    shown = [one for one in listed if one.paper.id not in hidden]
    twins = _twins([one.paper for one in shown])
    return [
        Row(
            id=one.paper.id,
            title=one.paper.title,
            authors=one.paper.authors,
            year=one.paper.year,
            doi=one.paper.doi,
            arxiv_id=one.paper.arxiv_id,
            isbn=one.paper.isbn,
            retracted=one.paper.retracted,
            pages=one.paper.n_pages,
            file=one.paper.file_name,
            tags=one.tags,
            added=one.added_at,
            local_only=None if local_only is None else one.paper.id in local_only,
            sample=one.paper.id in samples,
            corrected=_corrected(one.corrected),
            notes=(*_doubts(one.paper, twins.get(one.paper.id)), *_quality(one.report)),
        )
        for one in shown
    ]


def _corrected(names: Sequence[str]) -> str:
    words = [_(word) for name, word in _FACTS.items() if name in names]
    if not words:
        return ""
    rest = ", ".join(words[:-1])
    listed = _("{first} and {last}").format(first=rest, last=words[-1]) if rest else words[-1]
    return _("You corrected the {facts}.").format(facts=listed)


def _doubts(paper: Paper, twin: str | None) -> list[str]:
    """What is unlikely or unknown in a paper's description."""
    said = []
    if paper.retracted:
        said.append("This paper is retracted.")
    if twin:
        said.append(f"This is likely the same paper as {twin}.")
    stem = paper.file_name.rsplit(".", 1)[0]
    if _letters(paper.title) == _letters(stem) or len(re.findall(r"[^\W\d_]{2,}", paper.title)) < 2:
        said.append("The title is doubtful. Correct it if it is wrong.")
    if paper.year is None:
        said.append("The year is unknown.")
    elif not FIRST_YEAR <= paper.year <= datetime.now(UTC).year + 1:
        said.append("The year is doubtful. Correct it if it is wrong.")
    if not paper.authors:
        said.append("The authors are unknown.")
    return said


def _quality(report: QualityReport | None) -> list[str]:
    """What ingest said of a paper's text."""
    if report is None:
        return []
    said = list(notes(report))
    told = {*report.ocr_pages, *report.unreadable_pages}
    if empty := [number for number in report.pages_without_text if number not in told]:
        said.append(f"{pages(empty)} {'has' if len(empty) == 1 else 'have'} no text.")
    if report.flagged_sentences:
        n = report.flagged_sentences
        said.append(f"{counted(n, 'sentence')} {'addresses' if n == 1 else 'address'} a language model.")
    return said


def _twins(papers: Sequence[Paper]) -> dict[str, str]:
    """For each paper that is likely there twice, the other: as `Library.like`, for all at once."""
    by_doi, by_title = defaultdict(list), defaultdict(list)
    for paper in papers:
        if paper.doi:
            by_doi[paper.doi.lower()].append(paper)
        if len(paper.title.split()) >= 3:
            by_title[paper.title.lower()].append(paper)
    found: dict[str, str] = {}
    for alike in (*by_doi.values(), *by_title.values()):
        for paper in alike if len(alike) > 1 else ():
            other = next((other for other in alike if other is not paper and _same(paper, other)), None)
            if other:
                found.setdefault(paper.id, f"“{other.title}” ({other.file_name})")
    return found


def _same(one: Paper, other: Paper) -> bool:
    if one.doi and other.doi:
        return one.doi.lower() == other.doi.lower()
    names = [{name.split()[-1].lower() for name in paper.authors if name.split()} for paper in (one, other)]
    return not all(names) or bool(names[0] & names[1])


# ---- the filter -----------------------------------------------------------------------------------------------------


def filtered(all_rows: Iterable[Row], query: str) -> list[Row]:
    """The rows that have every word of the query in title, authors, year, file name, DOI or tags.

    Accents, case and the kind of hyphen do not matter. `tag:x` asks for a tag that begins with x; quotation marks hold
    words together.
    """
    tags, words = _terms(query)
    return [row for row in all_rows if _matches(row, tags, words)]


def _terms(query: str) -> tuple[list[str], list[str]]:
    tags: list[str] = []
    words: list[str] = []
    for match in _TERM.finditer(query):
        name, quoted, plain = match.groups()
        text = quoted if quoted is not None else plain
        if plain is not None and plain.casefold().startswith("tag:"):
            name, text = "tag:", plain[4:]
        if term := fold(text).strip():
            (tags if name else words).append(term)
    return tags, words


def _matches(row: Row, tags: Sequence[str], words: Sequence[str]) -> bool:
    if tags and not all(any(fold(tag).startswith(term) for tag in row.tags) for term in tags):
        return False
    if not words:
        return True
    said = (row.title, *row.authors, str(row.year or ""), row.file, row.doi or "", row.arxiv_id or "", *row.tags)
    text = _searched(said)
    return all(word in text or word.replace("-", " ") in text or word.replace("-", "") in text for word in words)


@lru_cache(maxsize=20_000)
def _searched(said: tuple[str, ...]) -> str:
    """The text of a row three times: with its hyphens, with spaces for them, and without."""
    text = fold(" · ".join(said))
    return f"{text} · {text.replace('-', ' ')} · {text.replace('-', '')}" if "-" in text else text


@lru_cache(maxsize=50_000)
def fold(text: str) -> str:
    """The text in lower case without accents and soft hyphens, with every dash as "-" and every space as one."""
    decomposed = unicodedata.normalize("NFKD", text.replace("\u00ad", "")).casefold().translate(_LETTERS)
    plain = "".join(
        "-" if unicodedata.category(char) == "Pd" or char == "\u2212" else char
        for char in decomposed
        if not unicodedata.combining(char)
    )
    return " ".join(plain.split())


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text)))


# ---- order and form -------------------------------------------------------------------------------------------------


def in_order(some: Iterable[Row], sort: str, *, down: bool) -> list[Row]:
    """Sorted by title, authors, year or when they were added; what is unknown comes last in both directions."""

    def key(row: Row) -> Any:
        if sort == "title":
            return re.sub(r"^(?:the|an?) ", "", fold(row.title))
        if sort == "authors":
            return fold(row.authors[0].split()[-1] if row.authors[0].split() else "")
        return row.year if sort == "year" else row.added

    known: list[Row] = []
    unknown: list[Row] = []
    for row in some:
        missing = (sort == "year" and row.year is None) or (sort == "authors" and not row.authors)
        (unknown if missing else known).append(row)
    return sorted(known, key=key, reverse=down) + unknown


def as_json(row: Row) -> dict[str, Any]:
    """The row for the page."""
    told = {name: getattr(row, name) for name in Row.__slots__}
    return told | {"notes": [said(note) for note in row.notes]}
