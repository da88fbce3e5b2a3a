"""Find DOIs, arXiv ids and ISBNs in running text and in addresses, and normalise them."""

from __future__ import annotations

import re
from urllib.parse import unquote

# ---- DOI ------------------------------------------------------------------------------------------------------------

_SICI = r"<[^<>\s\"]{0,60}:[^<>\s\"]{0,60}>"
"""The angle brackets of a SICI (ANSI/NISO Z39.56) enclose place and title code, separated by a colon, unlike HTML tags.
"""
_DOI = re.compile(rf"(?<![\d.])10\.\d{{4,9}}/(?:[^\s\"<>“”|]|{_SICI})+")
HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u00ad", "-"))
"""For `str.translate`: maps the characters that typesetters use for a hyphen to the hyphen of an identifier."""
_ENTITIES = re.compile(r"&(?:amp;)?(lt|gt|amp|#60|#62);")
_ENTITY = {"lt": "<", "#60": "<", "gt": ">", "#62": ">", "amp": "&"}
_JOINTS = (
    (re.compile(r"(10\.\d{4,9}/)\s+(?=\S)"), r"\1"),
    # a full stop may end a sentence: "1 Department" in the next line is an affiliation
    (re.compile(r"(10\.\d{4,9}/\S{0,99}[-_/.])\n(?=[\da-z])(?!(?<=\.\n)\d{1,2}(?:[ \t]|[A-Z][a-z]))"), r"\1"),
    # a SICI is long and often ends on a later line
    (re.compile(r"(10\.\d{4,9}/\S{0,99})\n(?=<[^<>\s]{0,60}:)"), r"\1"),
    (re.compile(r"(10\.\d{4,9}/\S{0,99}<[^<>\s]{0,60})\n(?=[^<>\s]{0,60}>)"), r"\1"),
    (re.compile(r"(10\.\d{4,9}/\S{0,140}>[\d.]{0,9})\n(?=[\d.]{0,9}[A-Z]{2};2)"), r"\1"),
    (re.compile(r"(10\.\d{4,9}/\S{0,140}>\d\.\d\.[A-Z]{2};)\n(?=2-)"), r"\1"),
)
_ENCODED = re.compile(r"%(?:2[0-9A-F]|3[A-F]|5[B-E]|7[B-D])", re.IGNORECASE)
_RESOLVER = re.compile(r"(?:doi\.org|/doi(?:/(?:abs|full|pdf|epdf|book))?)/$", re.IGNORECASE)


def find_dois(text: str) -> list[str]:
    """All DOIs in a text, in order, without the punctuation that a sentence adds (DOI Handbook, 2.2).

    In an address, `%3C` means `<` and `%25` means `%`; elsewhere a percent sign is literal unless it encodes a
    character.
    """
    joined = _ENTITIES.sub(lambda found: _ENTITY[found[1]], text.translate(HYPHENS))
    for joint, whole in _JOINTS:
        joined = joint.sub(whole, joined)
    found = []
    for match in _DOI.finditer(joined.replace("%2F", "/").replace("%2f", "/") if "10." in joined else ""):
        doi = match[0]
        if _RESOLVER.search(match.string, max(0, match.start() - 20), match.start()):
            doi = _decoded(re.split(r"[?#]", doi, maxsplit=1)[0])
        elif _ENCODED.search(doi.replace("%25", "")):
            doi = _decoded(doi)
        doi = doi.rstrip(".,;:]}'’")
        while doi.endswith(")") and doi.count(")") > doi.count("("):
            doi = doi[:-1].rstrip(".,;:]}'’")
        found.append(doi)
    return found


def _decoded(doi: str) -> str:
    plain = unquote(doi, errors="replace")
    return doi if re.search(r"\s|\N{REPLACEMENT CHARACTER}", plain) else plain


def doi_in_field(text: str) -> str | None:
    """The DOI in a field of a bibliography, or an address there, as it stands: some end in signs that a sentence would.

    LaTeX's ways of writing `_`, `%`, `<` and the like are undone.
    """
    plain = re.sub(r"\{?\$?\{?\\text(less|greater)(?:\{\}|\b)\s?\}?\$?\}?", lambda m: "<>"[m[1] == "greater"], text)
    plain = re.sub(r"\{?\$([<>])\$\}?", r"\1", plain)
    plain = re.sub(r"\{?\\([_%&#$<>~])(?:\{\})?\}?", r"\1", plain)
    plain = _ENTITIES.sub(lambda found: _ENTITY[found[1]], plain)
    found = re.search(r"10\.\d{4,9}(?:/|%2F)\S+", plain, re.IGNORECASE)
    if not found:
        return None
    doi = found[0]
    if _RESOLVER.search(plain, max(0, found.start() - 20), found.start()):
        doi = re.split(r"[?#]", doi, maxsplit=1)[0]
    elif not _ENCODED.search(doi.replace("%25", "")):
        return doi
    return _decoded(doi)


def typed_doi(text: str) -> str | None:
    """The DOI that a person typed or pasted, without the address before it; None if it is none."""
    begin = r"(?:doi:?\s*)?((?:https?://)?(?:dx\.|www\.)?doi\.org/)?"
    found = re.fullmatch(rf"{begin}(10\.[^\s/]+/\S+)", text.strip(), re.IGNORECASE)
    if found is None:
        return None
    return _decoded(re.split(r"[?#]", found[2], maxsplit=1)[0]) if found[1] else found[2]


def year_in_doi(doi: str) -> int | None:
    """The year in a DOI, between dots or slashes or as a SICI's date; None if there is none."""
    found = re.search(r"(?<=[./])((?:19|20)\d\d)(?=[./])|\(((?:19|20)\d\d)(?:\d\d){0,2}\)", doi)
    return int(found[1] or found[2]) if found else None


# ---- arXiv ----------------------------------------------------------------------------------------------------------

_ARCHIVE = (
    r"(?:acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg|comp-gas|cond-mat|cs|dg-ga|"
    r"funct-an|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math-ph|math|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol|physics|plasm-ph|"
    r"q-alg|q-bio|quant-ph|solv-int|stat|supr-con)"
)
_NEW = r"(?<!\d)\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}(?!\d)"
_OLD = rf"(?<![\w-]){_ARCHIVE}(?:\.[A-Za-z]{{2}})?/\d{{2}}(?:0[1-9]|1[0-2])\d{{3}}(?!\d)"
ARXIV_ID = rf"(?:{_NEW}|{_OLD})"
"""A pattern for an arXiv id without its version: `1706.03762`, `hep-th/9901001`, `math.GT/0309136`. Any case."""
_VERSION = r"(?:\s?v\d{1,2})?"
_MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_STAMP = re.compile(
    rf"arXiv:\s*({ARXIV_ID}){_VERSION}\s*(?:\[[a-zA-Z.-]+\]|\d{{1,2}}\s+{_MONTHS}[a-z]*\s+\d{{4}})", re.IGNORECASE
)
_ALONE = re.compile(rf"(?m)^\W*(?:(?:arXiv|e-?print|preprint)\W*)*({_OLD}){_VERSION}\W*$", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?:arxiv[-_.: ]?)?(?:(\d{{2}}(?:0[1-9]|1[0-2])\.\d{{4,5}})|({_ARCHIVE})(?:[._]([A-Za-z]{{2}}))?[-_./]?(\d{{7}}))"
    r"(?:[-_ ]?v\d{1,2})?",
    re.IGNORECASE,
)


def stamped_arxiv_id(text: str) -> str | None:
    """The id in arXiv's stamp, followed by a class or, before 2007, a day; None elsewhere."""
    found = _STAMP.search(text)
    return normal_arxiv_id(found[1]) if found else None


def printed_arxiv_id(text: str) -> str | None:
    """An old-style id on a line of its own, as on the first page of a preprint; None elsewhere."""
    found = _ALONE.search(text)
    return normal_arxiv_id(found[1]) if found else None


def arxiv_id_in_doi(doi: str) -> str | None:
    """The id in arXiv's own DOIs, `10.48550/arXiv.1706.03762`."""
    found = re.fullmatch(rf"10\.48550/arxiv\.({ARXIV_ID}){_VERSION}", doi, re.IGNORECASE)
    return normal_arxiv_id(found[1]) if found else None


def arxiv_id_in_name(stem: str) -> str | None:
    """The id in the name of a file downloaded from arXiv, without the suffix: `1706.03762v7`."""
    found = _NAMED.fullmatch(stem)
    if not found:
        return None
    subject = f".{found[3]}" if found[3] else ""
    return normal_arxiv_id(found[1] or f"{found[2]}{subject}/{found[4]}")


def typed_arxiv_id(text: str) -> str | None:
    """The id that a person typed or pasted, without the address or "arXiv:" before it and the version; None if none."""
    found = re.fullmatch(
        rf"(?:(?:https?://)?(?:www\.)?arxiv\.org/(?:abs|pdf)/|arxiv:\s*)?({ARXIV_ID}){_VERSION}(?:\.pdf)?",
        text.strip(),
        re.IGNORECASE,
    )
    return normal_arxiv_id(found[1]) if found else None


def normal_arxiv_id(text: str) -> str:
    """The id in arXiv's spelling: `math.GT/0309136`."""
    archive, slash, number = text.partition("/")
    if not slash:
        return text
    archive, dot, subject = archive.lower().partition(".")
    return f"{archive}{dot}{subject.upper()}/{number}"


def year_of_arxiv_id(arxiv_id: str) -> int:
    """The year of submission; arXiv began in 1991."""
    two = int(arxiv_id.rpartition("/")[2][:2])
    return 1900 + two if two >= 91 else 2000 + two


# ---- ISBN -----------------------------------------------------------------------------------------------------------

_LABELLED = re.compile(
    r"\bISBN(?:[-\s]?1[03])?[^\d\n]{0,24}((?:97[89][-\s]?)?\d(?:[-\s]?\d){8}[-\s]?[\dX])(?!\d)", re.IGNORECASE
)
_ANY_ISBN = re.compile(r"(?<![\d-])(97[89](?:[-\s]?\d){10}|\d(?:[-\s]?\d){8}[-\s]?[\dX])(?!-?\d)", re.IGNORECASE)
_ISBN_LABEL = re.compile(r"\bISBN(?:[-\s]?1[03](?!\d))?[-:\s]*", re.IGNORECASE)


def find_isbns(text: str) -> list[str]:
    """All ISBNs that are labelled as such and have a correct check digit, as 13 digits, in order, each once."""
    found = (isbn13(match[1]) for match in _LABELLED.finditer(text.translate(HYPHENS)))
    return list(dict.fromkeys(isbn for isbn in found if isbn))


def isbn_in_field(text: str) -> str | None:
    """The first ISBN in an ISBN field; Zotero writes several with a space between them."""
    plain = _ISBN_LABEL.sub(" ", text.translate(HYPHENS))
    found = (isbn13(match[1]) for match in _ANY_ISBN.finditer(plain))
    return next(filter(None, found), None)


def isbn_in_doi(doi: str) -> str | None:
    """The book's ISBN in the DOI of a book or chapter, as Springer and others form it."""
    found = re.match(r"10\.\d{4,9}/(97[89]-?\d(?:-?\d){8}-?\d)(?![\d-])", doi)
    return isbn13(found[1]) if found else None


def isbn13(text: str) -> str | None:
    """An ISBN of 10 or 13 digits as 13 digits (ISO 2108); None if its check digit is wrong."""
    digits = re.sub(r"[-\s]", "", text).upper()
    if re.fullmatch(r"\d{9}[\dX]", digits):
        values = [10 if digit == "X" else int(digit) for digit in digits]
        if sum(weight * value for weight, value in zip(range(10, 0, -1), values, strict=True)) % 11:
            return None
        body = "978" + digits[:9]
        return body + str(-_weighed(body) % 10)
    if re.fullmatch(r"97[89]\d{10}", digits) and _weighed(digits) % 10 == 0:
        return digits
    return None


def _weighed(digits: str) -> int:
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
