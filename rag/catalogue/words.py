"""The catalogue's replies in plain text: titles in “…”, lists numbered so that "the second one" can be read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.bibliography import write_bibtex
from rag.retrieval.naming import title_of, unquoted_title
from rag.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest import Library, Paper
    from rag.catalogue.grammar import Field

FENCE = "```"
"""Alone on a line, it ends a BibTeX block, which begins with it and "bibtex"."""

_LABELS: dict[Field, str] = {
    "authors": "Authors", "year": "Year", "venue": "Journal", "doi": "DOI", "title": "Title", "pages": "Pages",
    "references": "References", "file": "File", "added": "Added", "abstract": "Abstract", "cited": "Cites",
    "bibtex": "BibTeX",
}  # fmt: skip


def flat(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def quoted(paper: Paper) -> str:
    """The title in quotation marks."""
    return f"“{unquoted_title(paper)}”"


def entry(paper: Paper) -> str:
    """A paper in a list: title, first author and year, as far as known."""
    first = flat(paper.authors[0]) if paper.authors else None
    others = " et al." if len(paper.authors) > 1 else ""
    known = ", ".join(filter(None, (f"{first}{others}" if first else None, str(paper.year) if paper.year else None)))
    return f"{quoted(paper)} ({known})" if known else quoted(paper)


def numbered(lines: Iterable[str]) -> str:
    """The lines as a numbered list."""
    return "\n".join(f"{n}. {line}" for n, line in enumerate(lines, start=1))


def joined(parts: Sequence[str], last: str = "and") -> str:
    """`A, B and C`."""
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def facts(library: Library, paper: Paper, fields: Sequence[Field], *, place: int | None = None) -> str:
    """What the records say about one paper, one sentence per field."""
    if len(fields) > 3:
        lines = [f"- {_LABELS[field]}: {_value(library, paper, field)}" for field in fields]
        return "\n".join((f"{quoted(paper)}:", *lines))
    blocks = [
        fact(library, paper, field, place=place, name=quoted(paper) if n == 0 else "it")
        for n, field in enumerate(fields)
    ]
    return " ".join(block[0].upper() + block[1:] if block[:3] == "it " else block for block in blocks)


def fact(  # noqa: C901, PLR0911, PLR0912 - one field a line
    library: Library, paper: Paper, field: Field, *, place: int | None, name: str
) -> str:
    """One fact about one paper as a sentence, which says so if the fact is not known."""
    match field:
        case "authors" if paper.authors and place is not None:
            which = "first" if place == 0 else "last"
            if len(paper.authors) == 1:
                return f"The only author of {name} is {flat(paper.authors[0])}."
            return f"The {which} author of {name} is {flat(paper.authors[place])}."
        case "authors" if paper.authors:
            return f"{name} was written by {joined([flat(author) for author in paper.authors])}."
        case "year" if paper.year:
            return f"{name} is from {paper.year}."
        case "venue":
            where = (
                f" Its DOI is {paper.doi}."
                if paper.doi
                else f" It is arXiv:{paper.arxiv_id}."
                if paper.arxiv_id
                else ""
            )
            if told := published(paper):
                return f"{name} appeared in {told}.{where}"
            return f"The library has no journal for {_for(name)}.{where}"
        case "doi" if paper.doi:
            return f"The DOI of {name} is {paper.doi}."
        case "doi" if paper.arxiv_id:
            return f"The library has no DOI for {_for(name)}; it is arXiv:{paper.arxiv_id}."
        case "title":
            return f"The title is {quoted(paper)}."
        case "pages":
            return f"{name} has {counted(paper.n_pages, 'page')}."
        case "references" if references := library.references(paper.id):
            n = len(references)
            return f"The reference list of {_for(name)} has {n} entr{'y' if n == 1 else 'ies'}."
        case "cited" if references := library.references(paper.id):
            listed = "\n".join(f"- {flat(reference)}" for reference in references)
            n = len(references)
            return f"The reference list of {_for(name)} has {n} entr{'y' if n == 1 else 'ies'}:\n{listed}"
        case "references" | "cited":
            return f"The library has no reference list for {_for(name)}."
        case "abstract" if paper.abstract:
            return f"The abstract of {quoted(paper)}:\n{flat(paper.abstract)}"
        case "file":
            return f"The file of {name} is {flat(paper.file_name)}."
        case "added" if added := library.added_at().get(paper.id):
            return f"{name} was added on {added[:10]}."
        case "bibtex":
            return bibtex([paper])
        case _:
            what = {"authors": "authors", "year": "year", "doi": "DOI", "abstract": "abstract", "added": "date"}[field]
            return f"The library has no {what} for {_for(name)}."


def published(paper: Paper) -> str | None:
    """The journal, proceedings or book with volume, issue and pages, as far as they are known; None without one."""
    stated = paper.publication
    if stated is None or not stated.container:
        return None
    issue = f"({flat(stated.issue)})" if stated.issue else ""
    volume = f" {flat(stated.volume)}{issue}" if stated.volume else ""
    pages = f"{':' if volume else ', '}{flat(paper.pages_in_print)}" if paper.pages_in_print else ""
    return f"{flat(stated.container)}{volume}{pages}"


def bibtex(papers: Sequence[Paper]) -> str:
    """The papers as a BibTeX block."""
    text = "\n".join(line for line in write_bibtex(papers).splitlines() if line.strip() != FENCE)
    return f"\n{FENCE}bibtex\n{text}\n{FENCE}"


def side_by_side(papers: Sequence[Paper]) -> tuple[tuple[str, ...], ...]:
    """The records of the compared papers: one row of cells per fact, the titles first."""
    return (
        ("", *map(title_of, papers)),
        ("Authors", *(flat(", ".join(paper.authors)) or "unknown" for paper in papers)),
        ("Year", *(str(paper.year) if paper.year else "unknown" for paper in papers)),
        ("Pages", *(str(paper.n_pages) for paper in papers)),
    )


def _for(name: str) -> str:
    return "this paper" if name == "it" else name


def _value(  # noqa: PLR0911 - one field a line
    library: Library, paper: Paper, field: Field
) -> str:
    match field:
        case "authors":
            return flat(", ".join(paper.authors)) or "unknown"
        case "year":
            return str(paper.year) if paper.year else "unknown"
        case "venue":
            return published(paper) or "unknown"
        case "doi":
            return paper.doi or (f"arXiv:{paper.arxiv_id}" if paper.arxiv_id else "unknown")
        case "pages":
            return str(paper.n_pages)
        case "references":
            return str(len(library.references(paper.id))) if library.references(paper.id) else "unknown"
        case "file":
            return flat(paper.file_name)
        case "added":
            return library.added_at().get(paper.id, "unknown")[:10]
        case _:
            return fact(library, paper, field, place=None, name="it")
