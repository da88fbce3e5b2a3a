"""Bibliographies that people keep beside their papers: BibTeX and CSL-JSON.

The grammar is BibTeX's own (btxdoc and "Tame the BeaST", section 2), read tolerantly: what Zotero, JabRef, Mendeley and
BibDesk export is taken, a broken entry costs itself and a warning, and nothing here raises over a file's content.
CSL-JSON is citationstyles.org's schema 1.0.2.
"""

from __future__ import annotations

import html
import json
import logging
import re
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ingest.attachments import attached_files
from ingest.entry import Entry
from ingest.identifiers import ARXIV_ID, doi_in_field, isbn_in_field, normal_arxiv_id
from ingest.latex import from_latex
from ingest.names import family_of
from ingest.paper import Publication
from ingest.terminal import all_well_formed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ingest.metadata import Description

_log = logging.getLogger(__name__)

MAX_BYTES = 64_000_000
"""A larger file beside a paper is not a bibliography."""


# ---- reading --------------------------------------------------------------------------------------------------------


def read_bibtex(path: Path) -> list[Entry]:
    """The entries of a `.bib` file; unreadable parts are left out and logged as a warning.

    Raises:
        OSError: the file cannot be opened.
    """
    entries, problems = parse_bibtex(_text_of(path), source=path)
    for problem in problems:
        _log.warning("%s: %s", path.name, problem)
    return entries


def read_csl(path: Path) -> list[Entry]:
    """The entries of a CSL-JSON file as Zotero exports it; a JSON file of another kind has none.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        items = all_well_formed(json.loads(_text_of(path)))
    except (ValueError, RecursionError) as error:
        _log.warning("%s: not JSON: %s", path.name, error)
        return []
    if isinstance(items, dict):
        items = items.get("items")
    if not isinstance(items, list):
        return []
    return [entry for item in items if isinstance(item, dict) and (entry := _csl_entry(item, path))]


def parse_bibtex(text: str, *, source: Path | None = None) -> tuple[list[Entry], list[str]]:
    """The entries of a BibTeX text, and one sentence for each unreadable one."""
    macros: dict[str, str] = {month: month for month in "jan feb mar apr may jun jul aug sep oct nov dec".split()}
    entries, problems = [], []
    for line, kind, body in _blocks(text):
        try:
            match kind:
                case "comment" | "preamble":
                    pass
                case "string":
                    macros.update(dict(_fields(body, macros)))
                case _:
                    key, _, rest = body.partition(",")
                    if "=" in key:  # an entry without a key
                        key, rest = "", body
                    fields: dict[str, str] = {}
                    for name, value in _fields(rest, macros):
                        fields.setdefault(name, value)
                    entries.append(_bibtex_entry(key.strip(), kind, fields, source))
        except ValueError as error:
            problems.append(f"line {line}: @{kind} was left out: {error}")
    return entries, problems


_OPENING = re.compile(r"@[ \t]*([A-Za-z]+)\s*([{(])")
_NEXT = re.compile(r"\n[ \t]*@[ \t]*[A-Za-z]+\s*[{(]")
_ARXIV = re.compile(rf"arxiv(?:\.org/(?:abs|pdf)/|[:./ ])\s*({ARXIV_ID})", re.IGNORECASE)
_BARE = re.compile(r"[^\s{}(),\"#=]+")


def _text_of(path: Path) -> str:
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, kind and body of each `@kind{body}`; a body without an end extends to the next entry."""
    starts = [found.start() for found in _NEXT.finditer(text)]
    at, line, counted = 0, 1, 0
    while opening := _OPENING.search(text, at):
        line, counted = line + text.count("\n", counted, opening.start()), opening.start()
        begin = text.rfind("\n", 0, opening.start()) + 1
        if text[begin : opening.start()].lstrip().startswith("%"):  # biber and people comment out lines like this
            at = opening.end()
            continue
        following = bisect_left(starts, opening.end())
        limit = starts[following] if following < len(starts) else len(text)
        end = _balanced_end(text, opening.end(), limit, "{}" if opening[2] == "{" else "()")
        yield line, opening[1].lower(), text[opening.end() : end]
        at = max(end, opening.end())


def _balanced_end(text: str, at: int, limit: int, delimiters: str) -> int:
    """Position of the block's closing delimiter, or `limit` if there is none."""
    depth = 0
    for found in re.compile("[{}()]").finditer(text, at, limit):
        if found[0] == delimiters[1] and depth == 0:
            return found.start()
        if found[0] in f"{{{delimiters[0]}":
            depth += 1
        elif found[0] in f"}}{delimiters[1]}":
            depth -= 1
    return limit


def _fields(body: str, macros: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The fields as name and value, with macros expanded and pieces joined by `#`; LaTeX in them is kept."""
    at = 0
    while named := re.compile(r"(?:[\s,]|%[^\n]*\n)*([^\s{}(),\"#=%]+)\s*=\s*").match(body, at):
        value, at = _value(body, named.end(), macros)
        while joined := re.compile(r"\s*#\s*").match(body, at):
            more, at = _value(body, joined.end(), macros)
            value += more
        yield named[1].lower(), value
    if rest := body[at:].strip(" \t\r\n,"):
        raise ValueError(f"unexpected {rest[:20]!r}")


def _value(body: str, at: int, macros: Mapping[str, str]) -> tuple[str, int]:
    """One piece of a value, and where the text continues."""
    opened = body[at : at + 1]
    if opened in ("{", '"'):
        depth = 0
        for found in re.compile(r'[{}"]').finditer(body, at + 1):
            if depth == 0 and found[0] == ("}" if opened == "{" else '"'):
                return body[at + 1 : found.start()], found.end()
            depth += {"{": 1, "}": -1}.get(found[0], 0)
        raise ValueError(f"{opened} is never closed")
    bare = _BARE.match(body, at)
    if not bare:
        raise ValueError("a field has no value")
    return macros.get(bare[0].lower(), bare[0]), bare.end()


def _bibtex_entry(key: str, kind: str, fields: Mapping[str, str], source: Path | None) -> Entry:
    elsewhere = " ".join(fields.get(name, "") for name in ("journal", "note", "number", "url", "doi"))
    arxiv = _ARXIV.search(elsewhere)
    if "arxiv" in fields.get("archiveprefix", fields.get("eprinttype", "")).lower():
        arxiv = re.search(ARXIV_ID, fields.get("eprint", ""), re.IGNORECASE) or arxiv
    elif fields.get("arxivid"):
        arxiv = re.search(ARXIV_ID, fields["arxivid"], re.IGNORECASE)
    elif fields.get("eprint") and not fields.get("eprinttype"):
        arxiv = re.fullmatch(rf"({ARXIV_ID})(?:v\d+)?", fields["eprint"].strip(), re.IGNORECASE) or arxiv
    doi = doi_in_field(fields.get("doi", "")) or doi_in_field(
        "".join(re.findall(r"\S*doi\.org/\S+", fields.get("url", "")))
    )
    abstract = from_latex(fields.get("abstract", ""))
    people = list(_names(fields.get("author", "") or fields.get("editor", "")))
    return Entry(
        key=key,
        title=from_latex(fields.get("title", "")),
        authors=tuple(name for name, _ in people),
        families=tuple(family for _, family in people),
        year=_year(fields.get("year", "") or fields.get("date", "")),
        doi=doi,
        arxiv_id=normal_arxiv_id(arxiv[arxiv.lastindex or 0]) if arxiv else None,
        isbn=isbn_in_field(fields.get("isbn", "")),
        abstract=abstract or None,
        files=tuple(attached_files(fields)),
        source=source,
        publication=_bibtex_publication(kind, fields),
    )


_KINDS = {
    "article": "article-journal",
    "inproceedings": "paper-conference",
    "conference": "paper-conference",
    "incollection": "chapter",
    "inbook": "chapter",
    "book": "book",
    "phdthesis": "thesis",
    "mastersthesis": "thesis",
    "thesis": "thesis",
    "techreport": "report",
    "report": "report",
}


def _bibtex_publication(kind: str, fields: Mapping[str, str]) -> Publication | None:
    """Journal or proceedings, volume, issue, pages; BibTeX's and biblatex's names of the fields. None without any."""

    def one(*names: str) -> str | None:
        return next((text for name in names if (text := from_latex(fields.get(name, "")).strip())), None)

    container = one("journal", "journaltitle", "booktitle")
    if container and _ARXIV.search(container):  # "arXiv preprint arXiv:1706.03762" is no journal
        container, kind = None, "misc"
    pages = re.sub(r"\s*[-–—]+\s*", "-", one("pages", "eid") or "") or None
    return _said(
        Publication(
            kind=_KINDS.get(kind),
            container=container,
            volume=one("volume"),
            issue=one("number", "issue") if container else None,  # of a preprint or a report it is its own number
            pages=pages,
            publisher=one("publisher", "school", "institution"),
        )
    )


def _said(publication: Publication) -> Publication | None:
    return publication if publication != Publication() else None


def _csl_entry(item: Mapping[str, Any], source: Path) -> Entry | None:
    def text(name: str) -> str:
        value = item.get(name)
        plain = (
            re.sub(r"</?(?:i|b|u|em|strong|sub|sup|span|p|jats:\w+)\b[^>]*>", "", value)
            if isinstance(value, str)
            else ""
        )
        return " ".join(html.unescape(plain).split())

    if not text("title") or not (item.get("type") or item.get("id")):
        return None
    people = item.get("author")
    named = [pair for person in (people if isinstance(people, list) else []) if (pair := _csl_name(person))[0]]
    arxiv = _ARXIV.search(" ".join(text(name) for name in ("number", "note", "URL", "DOI", "container-title")))
    return Entry(
        key=str(item.get("citation-key") or item.get("id") or ""),
        title=text("title"),
        authors=tuple(name for name, _ in named),
        families=tuple(family for _, family in named),
        year=_csl_year(item.get("issued")),
        doi=doi_in_field(text("DOI")),
        arxiv_id=normal_arxiv_id(arxiv[1]) if arxiv else None,
        isbn=isbn_in_field(text("ISBN")),
        abstract=text("abstract") or None,
        source=source,
        publication=_csl_publication(item, text),
    )


def _csl_publication(item: Mapping[str, Any], text: Callable[[str], str]) -> Publication | None:
    def one(name: str) -> str | None:
        value = item.get(name)
        return (str(value) if isinstance(value, int) and not isinstance(value, bool) else text(name)) or None

    kind = str(item.get("type") or "")
    return _said(
        Publication(
            kind=kind if kind in _KINDS.values() else None,
            container=one("container-title"),
            volume=one("volume"),
            issue=one("issue"),
            pages=one("page"),
            publisher=one("publisher"),
        )
    )


def _csl_name(person: object) -> tuple[str, str]:
    """A person's name, given names first, and the family name with its particles; empty if there is none."""
    if not isinstance(person, dict):
        return "", ""

    def joined(*parts: str) -> str:
        return " ".join(" ".join(value for part in parts if isinstance(value := person.get(part), str)).split())

    family = joined("dropping-particle", "non-dropping-particle", "family")
    name = joined("given", "dropping-particle", "non-dropping-particle", "family", "suffix", "literal")
    return name, family or name


def _csl_year(issued: object) -> int | None:
    if not isinstance(issued, dict):
        return None
    match issued.get("date-parts"):
        case [[year, *_], *_]:
            return _year(str(year))
    return _year(str(issued.get("raw") or issued.get("literal") or ""))


def _year(text: str) -> int | None:
    found = re.search(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)", text)
    return int(found[0]) if found else None


# ---- names ----------------------------------------------------------------------------------------------------------


def _names(field: str) -> Iterator[tuple[str, str]]:
    """The people of an author field, given names first, each with the family name ("Tame the BeaST", 11).

    "others" is nobody.
    """
    for part in _split_outside_braces(field, re.compile(r"\s+and\s+", re.IGNORECASE)):
        if part.strip() == "others":
            continue
        pieces = [from_latex(piece) for piece in _split_outside_braces(part.strip(), re.compile(r","))]
        match [piece for piece in pieces if piece]:
            case [whole]:
                yield whole, _last(part.strip())
            case [family, given]:
                yield f"{given} {family}", family
            case [family, suffix, *given]:
                yield " ".join([*given, family, suffix]), family


def _last(name: str) -> str:
    """The family name of a name with given names first; text in braces counts as one word."""
    words = [from_latex(word) for word in _split_outside_braces(name, re.compile(r"[\s~]+"))]
    words = [word for word in words if word]
    if words and " " in words[-1]:
        start = len(words) - 1
        while start > 0 and words[start - 1].islower():
            start -= 1
        return " ".join(words[start:])
    return family_of(from_latex(name))


def _split_outside_braces(text: str, separator: re.Pattern[str]) -> list[str]:
    parts, depth, start, at = [], 0, 0, 0
    while at < len(text):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth <= 0 and (found := separator.match(text, at)):
            parts.append(text[start:at])
            start = at = found.end()
        else:
            at += 1
    return [*parts, text[start:]]


def apply(entry: Entry, description: Description) -> Description:
    """The description with everything the entry says in place of guesses."""
    return replace(
        description,
        title=entry.title or description.title,
        authors=entry.authors or description.authors,
        families=entry.families if entry.authors else description.families,
        year=entry.year or description.year,
        doi=entry.doi or description.doi,
        arxiv_id=entry.arxiv_id or description.arxiv_id,
        isbn=entry.isbn or description.isbn,
        abstract=entry.abstract or description.abstract,
        publication=entry.publication or description.publication,
    )
