"""Title, authors, year, DOI, arXiv id and ISBN from what the file says of itself and from its first page.

Three sources, in the order in which they are believed: what a person wrote beside the file (`ingest/bibtex.py`), what
the file states of itself where its first pages show the same (document information; XMP, ISO 16684-1, with Dublin Core
and PRISM), and the first page's typography. A statement that no page shows is a typesetter's and is not believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from ingest.authors import PLACE, chosen, composed, is_prose, printed_authors, shown_in, stated_authors
from ingest.identifiers import (
    HYPHENS,
    arxiv_id_in_doi,
    arxiv_id_in_name,
    find_dois,
    find_isbns,
    isbn_in_doi,
    isbn_in_field,
    printed_arxiv_id,
    stamped_arxiv_id,
    year_in_doi,
    year_of_arxiv_id,
)
from ingest.imprint import is_short_for, printed_publication
from ingest.known_headings import is_notice, is_periodical
from ingest.lines import clean, squash, unescaped
from ingest.paper import Publication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.layout import Layout

_MAX_XMP = 500_000
"""Bytes; an XMP packet with page thumbnails can be larger, and what we read stands at its head."""


_MAX_PAGE = 60_000
"""Characters of a page that are looked at."""

_MAX_STATED = 300
_FEWEST = 3
"""Letters of a journal's name, at least; a packet may say "???"."""
"""Characters of a journal's name; a longer one is none."""

FRONT_PAGES = 8
"""Pages on which a book says what it is: half title, title, copyright."""


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What the file states of itself, often filled by a typesetting program and not by a person."""

    title: str = ""
    author: str = ""
    created: str = ""
    subject: str = ""
    xmp: bytes = b""
    """The document's XMP packet as it stands in the file (the catalogue's `/Metadata` stream), or empty."""
    opening: tuple[str, ...] = ()
    """The whole text of the first pages, with the running heads and turned lines that a reader skips: DOIs and
    arXiv's stamp stand on the first two, a book's ISBN on one of the first eight. Where it is empty, the pages' running
    text serves."""


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of the paper; unknown is None or empty."""

    title: str
    authors: tuple[str, ...]
    """Given names first, as the page prints them."""
    year: int | None
    doi: str | None
    """Without a resolver's address: `10.21105/jose.00090`."""
    arxiv_id: str | None = None
    """Without a version: `1706.03762` or `math.GT/0309136`."""
    abstract: str | None = None
    isbn: str | None = None
    """Of the book that it is or stands in: 13 digits."""
    families: tuple[str, ...] = ()
    """Each author's family name, where a bibliography says it; empty where nobody does (`ingest/names.py`)."""
    retracted: bool = False
    """Whether the file says that the paper has been retracted."""
    publication: Publication | None = None
    """What its bibliography, its XMP packet or its first page says of where it was published."""


@dataclass(frozen=True, slots=True)
class Xmp:
    """What an XMP packet says; unknown is None or empty."""

    title: str = ""
    creators: tuple[str, ...] = ()
    doi: str | None = None
    year: int | None = None
    isbn: str | None = None
    publication: Publication | None = None


def describe(layout: Layout, info: DocumentInfo, *, file_name: str) -> Description:
    """The best description that the file offers; where it offers no title, the file's name serves."""
    xmp = read_xmp(info.xmp)
    front = [clean(text[:_MAX_PAGE]) for text in info.opening] or [page.text for page in layout.pages[:FRONT_PAGES]]
    pages = front[:2]
    opening = "\n".join([*pages, *layout.sideways])
    title = _title(layout, (xmp.title, info.title), opening) or PurePath(file_name).stem
    doi = _doi(opening, xmp, subject=info.subject, file_name=file_name)
    arxiv = _arxiv_id(opening, pages[0] if pages else "", doi, file_name)
    stated = max(stated_authors(xmp.creators), stated_authors((info.author,)), key=len)
    printed = printed_authors(layout, title)
    authors = chosen(shown_in(stated, opening), printed)
    year = _year(pages, info, xmp, doi=doi, arxiv_id=arxiv)
    retracted = layout.retracted or any(
        is_notice(text, pages[0] if pages else "") for text in (title, xmp.title, info.title)
    )
    isbn = _isbn(front, xmp, doi)
    return Description(
        title,
        tuple(authors),
        year,
        doi,
        arxiv,
        _abstract(layout),
        isbn,
        retracted=retracted,
        publication=_publication(xmp.publication, printed_publication(front, title, year, authors)),
    )


def _publication(stated: Publication | None, printed: Publication | None) -> Publication | None:
    """What the XMP packet states; what it does not, the first page may print."""
    if stated is None or printed is None:
        return stated or printed
    if not is_short_for(printed.container or "", stated.container or "") or stated.volume or stated.pages:
        return stated
    return replace(stated, volume=printed.volume, issue=stated.issue or printed.issue, pages=printed.pages)


# ---- what the file states -------------------------------------------------------------------------------------------


def read_xmp(packet: bytes) -> Xmp:
    """What an XMP packet says of title, creators, DOI and date. Damaged packets give what can be read."""
    head = packet[:_MAX_XMP]
    utf16 = head.count(b"\0") > len(head) // 4
    text = head.decode("utf-16" if utf16 else "utf-8", errors="replace").lstrip("\ufeff")
    titles = _xmp_values(text, "dc:title")
    identifiers = [value for name in ("prism:doi", "dc:identifier", "pdfx:doi") for value in _xmp_values(text, name)]
    dates = [value for name in ("prism:publicationDate", "prism:coverDate") for value in _xmp_values(text, name)]
    return Xmp(
        title=titles[0] if titles else "",
        creators=tuple(name for name in _xmp_values(text, "dc:creator") if name),
        doi=next((doi for value in identifiers for doi in find_dois(value)), None),
        year=next((int(found[0]) for date in dates if (found := _A_YEAR.search(date))), None),
        isbn=next((isbn for value in _xmp_values(text, "prism:isbn") if (isbn := isbn_in_field(value))), None),
        publication=_stated_publication(text),
    )


_PRISM_KINDS = {"journal": "article-journal", "book": "chapter", "proceedings": "paper-conference"}


def _stated_publication(text: str) -> Publication | None:
    """What PRISM says of journal, volume, issue and pages; None without a journal, for the rest is nothing then."""

    def one(name: str) -> str | None:
        value = " ".join(next(iter(_xmp_values(text, f"prism:{name}")), "").split())
        return value if 0 < len(value) <= _MAX_STATED else None

    if (container := one("publicationName")) is None or sum(map(str.isalpha, container)) < _FEWEST:
        return None
    first, last = one("startingPage"), one("endingPage")
    return Publication(
        kind=_PRISM_KINDS.get((one("aggregationType") or "journal").casefold()),
        container=container,
        volume=one("volume"),
        issue=one("number"),
        pages=one("pageRange") or (f"{first}-{last}" if first and last and first != last else first),
    )


def _xmp_values(text: str, name: str) -> list[str]:
    """The values of a property, written as an element with or without a list, or as an attribute (ISO 16684-1, 7)."""
    if (start := text.find(f"<{name}>")) < 0 and (start := text.find(f"<{name} ")) < 0:
        attribute = re.search(rf'\b{name}="([^"]{{1,2000}})"', text)
        return [unescaped(attribute[1])] if attribute else []
    end = text.find(f"</{name}>", start)
    body = text[text.find(">", start) + 1 : end] if end >= 0 else ""
    items = [item.partition(">")[2].partition("<")[0] for item in body.split("<rdf:li")[1:]]
    return [value for item in items or [body.partition("<")[0]] if (value := unescaped(item))]


# ---- the title ------------------------------------------------------------------------------------------------------

_KIND_OF_ARTICLE = re.compile(
    r"(?:original|research|review|short|brief|case|mini|nano|regular|full|technical)?\s*"
    r"(?:article|paper|report|reports|communication|review|research|note|letter|corrigendum|erratum|editorial)s?",
    re.IGNORECASE,
)


def _title(layout: Layout, stated: Sequence[str], opening: str) -> str | None:
    """The stated title if it has three words and the first page shows it, or what the page prints largest."""
    shown = squash("".join(line.text for line in layout.first_page) or (layout.pages[0].text if layout.pages else ""))
    pages = squash(layout.pages[0].text) if layout.pages else ""
    for text in stated:
        title = unescaped(text)
        sought = squash(title)
        if len(title.split()) >= 3 and len(sought) >= 8 and (sought in shown or sought in pages):
            if is_periodical(title, opening) and squash(layout.title or "") != sought:
                continue
            return title
    printed = layout.title
    lines = [line.text for line in layout.title_lines]
    if printed and len(lines) > 1 and _KIND_OF_ARTICLE.fullmatch(lines[0]):
        printed = printed.removeprefix(lines[0]).strip()
    return composed(printed).rstrip(" *†‡§¶∗") or None if printed else None


# ---- DOI, arXiv id, ISBN, year --------------------------------------------------------------------------------------

_A_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_REPOSITORIES = ("10.5281/", "10.6084/", "10.17605/", "10.5061/", "10.7910/", "10.48550/")
"""Zenodo, figshare, OSF, Dryad, Dataverse, arXiv: what a paper deposits or cites is seldom the paper."""
_REFERENCES = re.compile(
    r"\n[\W\d]{0,9}(?:[IVX]{1,5}\W{1,3})?(?:references|bibliography|literature cited)\W{0,9}\n", re.IGNORECASE
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|spring|summer|autumn|fall|winter)[a-z]{0,6}\.?,?\s+"
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?[\s./-]+)?(?:\d{{1,2}}[./-]|{_MONTH})?(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?"
_DATED = rf"(?:\s+online|\s+on)?\s*(?:date)?\s*[:,]?\s*{_DAY}((?:19|20)\d\d)(?!\d)"
_PUBLISHED = (
    re.compile(rf"\bpublished{_DATED}", re.IGNORECASE),
    re.compile(r"(?:©|\(c\)|copyright)[^\d\n]{0,60}((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
    re.compile(r"(?<!\d)((?:19|20)\d\d)\s*[;,)]\s*\d+\s*[(:,]"),  # 2016; 10(2): or (2015) 16:413
    re.compile(r"\bvol(?:ume)?\b\.?\s*\d+[^\n]{0,60}?(?<!\d)((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
)
_HISTORY = tuple(
    re.compile(rf"\b{word}{_DATED}", re.IGNORECASE) for word in ("accepted", "revised", "received", "dated?:")
)
_VOLUME = r"(?<![\d.,/-])\d{1,4}(?:\s?[:.]\s?\d{1,3}|\s?\(\d{1,3}(?:[-–/]\d{1,3})?\))?"
_PAGE = r"(?:pp?\.?\s?|Art(?:icle)?\.?\s?(?:No\.?\s?|ID\s?)?|e)?[A-Z]{0,2}\d{1,8}(?:\s?[-–—]\s?[A-Z]{0,2}\d{1,8})?"
_MONTH_OR_NONE = rf"(?:(?i:{_MONTH}))?"
_ISSUE = (
    re.compile(rf"{_VOLUME},?\s?\(((?:19|20)\d\d)\),?\s?{_PAGE}(?![\d.]\d)"),  # 14 (2019) 101-109
    re.compile(
        rf"{_VOLUME}\s?[,:]\s?{_PAGE}\s?\((?:\d{{1,2}}\s)?{_MONTH_OR_NONE}((?:19|20)\d\d)\)"
    ),  # 521, 436-444 (2015)
    re.compile(rf"{_VOLUME}\s?,\s?{_PAGE},\s?((?:19|20)\d\d)\s?\W?$"),  # Biogeosciences, 14, 101-109, 2019
)
_NUMBERED = re.compile(r"\W*\d{1,3}\W{1,2}\s*[A-Z]")
_MAX_CITATION = 400
"""Characters; a longer line is a paragraph."""
_HEAD_LINES = 30
"""Lines of the first page among which a preprint's number stands."""


def _doi(opening: str, xmp: Xmp, *, subject: str, file_name: str) -> str | None:
    """The paper's own DOI: stated, in the file's name, or the first that is printed before the references."""
    before = _REFERENCES.split(opening, maxsplit=1)[0]
    printed = find_dois(before)[:99]
    if xmp.doi and (not printed or squash(xmp.doi) in squash(opening)):
        return xmp.doi
    if named := [doi for doi in printed if squash(doi) in squash(PurePath(file_name).stem)]:
        return named[0]
    labelled = [
        doi
        for doi in printed
        if re.search(rf"doi[\s:./org]{{0,12}}{re.escape(doi)}", before.translate(HYPHENS), re.IGNORECASE)
    ]
    own = [doi for doi in (*labelled, *printed, *find_dois(subject)) if not doi.startswith(_REPOSITORIES)]
    return own[0] if own else xmp.doi


def _arxiv_id(opening: str, first: str, doi: str | None, file_name: str) -> str | None:
    """From arXiv's stamp, its DOI or its file name; an id that the text merely mentions is somebody else's."""
    if stamp := stamped_arxiv_id(opening):
        return stamp
    for text in (doi or "", *(found for found in find_dois(opening) if found.lower().startswith("10.48550/"))):
        if found := arxiv_id_in_doi(text):
            return found
    head = "\n".join(_REFERENCES.split(first, maxsplit=1)[0].split("\n")[:_HEAD_LINES])
    return printed_arxiv_id(head) or arxiv_id_in_name(PurePath(file_name).stem)


def _isbn(front: Sequence[str], xmp: Xmp, doi: str | None) -> str | None:
    """Stated, printed on one of the first pages, or in the DOI of a book and its chapters."""
    printed = find_isbns(_REFERENCES.split("\n".join(front), maxsplit=1)[0])
    return xmp.isbn or (printed[0] if printed else None) or (isbn_in_doi(doi) if doi else None)


def _year(pages: Sequence[str], info: DocumentInfo, xmp: Xmp, *, doi: str | None, arxiv_id: str | None) -> int | None:
    """The year of publication: stated, printed, in the DOI, or of production where the page shows the same."""
    if arxiv_id:
        return year_of_arxiv_id(arxiv_id)
    if xmp.year:
        return xmp.year
    first = pages[0] if pages else ""
    year = _first_year(_PUBLISHED, first) or _year_of_issue(first) or _first_year(_HISTORY, first)
    if year or (year := year_in_doi(doi or "")):
        return year
    created = re.match(r"D?:?((?:19|20)\d\d)", info.created)
    return int(created[1]) if created and created[1] in first else None


def _first_year(patterns: Sequence[re.Pattern[str]], text: str) -> int | None:
    return next((int(found[1]) for pattern in patterns if (found := pattern.search(text))), None)


def _year_of_issue(first: str) -> int | None:
    """The year in a line that says where it was printed: "J. Peat 14 (2019) 101-109"; not in a numbered reference."""
    for line in _REFERENCES.split(first, maxsplit=1)[0].split("\n"):
        if _NUMBERED.match(line) or len(line) > _MAX_CITATION:
            continue
        for pattern in _ISSUE:
            if (found := pattern.search(line)) and not is_prose(line[: found.start()]):
                return int(found[1])
    return None


# ---- the abstract ---------------------------------------------------------------------------------------------------

_ABSTRACT = re.compile(
    r"(?m)^\W{0,9}(?:(?i:summary|zusammenfassung|résumé|resumen)(?:[.:—–-]|\s*$)|"
    r"(?i:abstract\b(?!\s+[a-z])|a b s t r a c t\b))[\s.:—–-]*|"
    r"\b(?:Abstract|ABSTRACT|A B S T R A C T)\b[\s.:—–-]*(?=[\"“(]?[A-Z])"
)
_LABELS = frozenset(
    "background objective objectives aim aims purpose methods method materialsandmethods materialandmethods result "
    "results conclusion conclusions findings interpretation design setting patients context abstract summary".split()
)
_FIRST_LABEL = re.compile(r"\b(?:Background|Objectives?|Objective\(s\)|Aims?|Purpose|Introduction|Context)\s*:")
_AFTER_ABSTRACT = re.compile(
    r"(?m)^\W{0,9}(?i:key\s?words?|index terms|ccs concepts|categories and subject|(?:1\.?|i\.)?\s*introduction)\b|"
    r"(?<=[.\s])(?:Keywords|KEYWORDS|Key words|Index Terms)\s*[:—–]|\bArticle history:"
)
_FRONT_MATTER = re.compile(
    r"received|accepted|copyright|©|properly\s?cited|correspond|academic\s?editor|creative\s?commons|@|\bdoi\b",
    re.IGNORECASE,
)


def _abstract(layout: Layout) -> str | None:
    """The abstract from the running text, labelled or not; None where the first pages hold nothing of the kind."""
    text = "\n\n".join(page.text for page in layout.pages[:2])[:12_000]
    label = _ABSTRACT.search(text)
    start = label.end() if label else 0
    after = _AFTER_ABSTRACT.search(text, start)
    ends = [after.start()] if after else []
    if label:
        # an abstract's own "Background" comes first in it
        ends += [
            h.start
            for h in layout.headings
            if start + 80 < h.start and (squash(h.title) not in _LABELS or squash(h.title) == "background")
        ]
    elif not ends:
        return None
    body = text[start : min(ends, default=len(text))]
    if not label:
        paragraphs = body.split("\n\n")
        front = [n for n, paragraph in enumerate(paragraphs) if _is_front_matter(paragraph)]
        body = "\n\n".join(paragraphs[max(front, default=-1) + 1 :])
    elif body.startswith("Article") and (first := _FIRST_LABEL.search(body[:300])):
        body = body[first.start() :]  # a box of article type and history stands beside the abstract
    abstract = " ".join(body.split())
    return abstract if 20 <= len(abstract.split()) <= 800 else None


def _is_front_matter(paragraph: str) -> bool:
    return bool(_FRONT_MATTER.search(paragraph) or (PLACE.search(paragraph) and not is_prose(paragraph)))
