"""Title, authors, year and DOI from what the file says of itself and from its first page.

Three sources, in the order in which they are believed: what a person wrote beside the file (`ingest/bibtex.py`), what
the file states of itself where its first pages show the same (document information; XMP, ISO 16684-1, with Dublin Core
and PRISM), and the first page's typography. A statement that no page shows is a typesetter's and is not believed.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from ingest.layout import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.layout import Layout, Line

_MAX_XMP = 500_000
"""Bytes; an XMP packet with page thumbnails can be larger, and what we read stands at its head."""


_MAX_AUTHORS, _MAX_PAGE = 9_000, 60_000
"""Characters of an author field and of a page that are looked at."""


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
    """The whole text of the first two pages, with the running heads and turned lines that a reader skips: DOIs and
    arXiv's stamp stand there. Where it is empty, the pages' running text serves."""


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


@dataclass(frozen=True, slots=True)
class Xmp:
    """What an XMP packet says; unknown is None or empty."""

    title: str = ""
    creators: tuple[str, ...] = ()
    doi: str | None = None
    year: int | None = None


def describe(layout: Layout, info: DocumentInfo, *, file_name: str) -> Description:
    """The best description that the file offers; where it offers no title, the file's name serves."""
    xmp = read_xmp(info.xmp)
    pages = [clean(text[:_MAX_PAGE]) for text in info.opening[:2]] or [page.text for page in layout.pages[:2]]
    opening = "\n".join([*pages, *layout.sideways])
    title = _title(layout, (xmp.title, info.title)) or PurePath(file_name).stem
    doi = _doi(opening, xmp, subject=info.subject, file_name=file_name)
    arxiv = _arxiv_id(opening, doi, file_name)
    stated = max(_stated_authors(xmp.creators), _stated_authors((info.author,)), key=len)
    printed = _printed_authors(layout, title)
    authors = _choose_authors(_shown(stated, opening), printed)
    year = _year(pages, info, xmp, doi=doi, arxiv_id=arxiv)
    return Description(title, tuple(authors), year, doi, arxiv, _abstract(layout))


def squash(text: str) -> str:
    """The text's letters and digits without case, accents or spaces: what is left when typesetting is put aside."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain.casefold() if char.isalnum())


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
    )


def _xmp_values(text: str, name: str) -> list[str]:
    """The values of a property, written as an element with or without a list, or as an attribute (ISO 16684-1, 7)."""
    if (start := text.find(f"<{name}>")) < 0 and (start := text.find(f"<{name} ")) < 0:
        attribute = re.search(rf'\b{name}="([^"]{{1,2000}})"', text)
        return [_unescaped(attribute[1])] if attribute else []
    end = text.find(f"</{name}>", start)
    body = text[text.find(">", start) + 1 : end] if end >= 0 else ""
    items = [item.partition(">")[2].partition("<")[0] for item in body.split("<rdf:li")[1:]]
    return [value for item in items or [body.partition("<")[0]] if (value := _unescaped(item))]


def _unescaped(text: str) -> str:
    """XML's entities resolved, twice: some typesetting programs write `&amp;#x2010;`."""
    return " ".join(clean(html.unescape(html.unescape(text))).split())


def _stated_authors(texts: Sequence[str]) -> list[str]:
    """The names in author fields of any form: one field per person, or all in one field."""
    texts = [_without_contacts(_unescaped(text[:_MAX_AUTHORS])) for text in texts]
    if len(texts) > 1:
        return [name for text in texts if (name := _given_first(text))]
    names = []
    for text in texts:
        parts = [part for part in re.split(r";|\s+and\s+|&", text) if part.strip()]
        if all(_is_inverted(part) for part in parts):
            names += [_given_first(part) for part in parts]
        else:
            names += _pieces(text)
    return [name for name in names if squash(name)]


def _is_inverted(text: str) -> bool:
    """Whether a text is one name written "Family, Given" and not two names."""
    family, comma, given = (piece.strip() for piece in text.partition(","))
    return bool(comma and given) and "," not in given and not (_is_name(family) and _is_name(given))


def _given_first(text: str) -> str:
    """One person's name with the given names first, without marks and degrees."""
    pieces = [piece for piece in _pieces(_MARKS.sub(" ", text)) if piece]
    return " ".join(reversed(pieces)) if len(pieces) == 2 else " ".join(pieces[:1])


def _shown(names: Sequence[str], text: str) -> list[str]:
    """The names whose family name the text shows as a word, or, if it is long, anywhere."""
    words, letters = set(re.findall(r"[^\W\d_]+", text.casefold())), squash(text)
    families = [name.split()[-1].casefold() for name in names]
    return [
        name
        for name, family in zip(names, families, strict=True)
        if set(re.findall(r"[^\W\d_]+", family)) <= words or (len(squash(family)) > 5 and squash(family) in letters)
    ]


def _choose_authors(stated: list[str], printed: list[str]) -> list[str]:
    """The printed list, unless it lacks somebody whom a stated list of several people names."""
    families = {squash(name.split()[-1]) for name in printed}
    if len(stated) < 2 <= len(printed) or (printed and families >= {squash(name.split()[-1]) for name in stated}):
        return printed
    return stated or printed


# ---- the title ------------------------------------------------------------------------------------------------------

_KIND_OF_ARTICLE = re.compile(
    r"(?:original|research|review|short|brief|case|mini|nano|regular|full|technical)?\s*"
    r"(?:article|paper|report|reports|communication|review|research|note|letter|corrigendum|erratum|editorial)s?",
    re.IGNORECASE,
)


def _title(layout: Layout, stated: Sequence[str]) -> str | None:
    """The stated title if it has three words and the first page shows it, or what the page prints largest."""
    shown = squash("".join(line.text for line in layout.first_page) or (layout.pages[0].text if layout.pages else ""))
    pages = squash(layout.pages[0].text) if layout.pages else ""
    for text in stated:
        title = _unescaped(text)
        sought = squash(title)
        if len(title.split()) >= 3 and len(sought) >= 8 and (sought in shown or sought in pages):
            return title
    printed = layout.title
    lines = [line.text for line in layout.title_lines]
    if printed and len(lines) > 1 and _KIND_OF_ARTICLE.fullmatch(lines[0]):
        printed = printed.removeprefix(lines[0]).strip()
    return _composed(printed).rstrip(" *†‡§¶∗") or None if printed else None


# ---- the authors ----------------------------------------------------------------------------------------------------

_ACCENTS = dict(
    zip("´`¨ˆ˜ˇ˘¸˚¯˙˝˛", "\u0301\u0300\u0308\u0302\u0303\u030c\u0306\u0327\u030a\u0304\u0307\u030b\u0328", strict=True)
)
_LOOSE_ACCENT = re.compile(f"(?<!\\d)([^\\W\\d_]?)([{''.join(_ACCENTS)}])(\\s?)([^\\W\\d_]?)")
_MARK = r"\d¹²³⁰⁴-⁹⁺*∗⁎†‡§¶‖#♯✉⋆☆★ªºʰ-ʸˡˢˣᴬ-ᵡᶛ-ᶿⁱⁿ"
_MARKS = re.compile(rf"[{_MARK}]+(?:\s*,\s*[{_MARK}]+)*")
_BETWEEN = re.compile(
    r"[,;•·∙|/:\x1f\t、，；()\[\]{}]|(?<!\S)(?:and|und|et|with|by|for|on behalf of)(?!\S)|&", re.IGNORECASE
)
_CONTACTS = re.compile(
    r"https?://\S+|\{[^}]{1,200}\}\s?@\s?\S{1,99}|\S{1,64}\s?@\s?\S{1,99}|\borcid(?:\.org)?\S*|"
    r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]|\bet al\b\.?",
    re.IGNORECASE,
)
_DEGREE = re.compile(
    r"(?<=[\s,;\d*†‡])(?:(?:Ph\.?\s?D|M\.?\s?D|D\.?\s?Sc|M\.?\s?Sc|B\.?\s?Sc|M\.?P\.?H|M\.?B\.?B\.?S|D\.?D\.?S|B\.?D\.?S|"
    r"M\.?D\.?S|D\.?V\.?M|Pharm\.?\s?D|Dr\.?\s?P\.?H|F\.?R\.?C\.?[SP]|Ed\.?D|Psy\.?D|Dipl\.?-?\s?Ing)\.?\s*)+"
    rf"(?=[,;•·∙|&()\x1f{_MARK}]|and\b|$)"
)
_HONORIFIC = re.compile(r"^(?:(?:Prof|Professor|Dr|Mr|Mrs|Ms|Sir)\b\.?\s*)+", re.IGNORECASE)
_NOT_A_PERSON = re.compile(
    r"(?:senior |student |life |graduate student )?(?:member|fellow)|ieee|acm|equal contribution", re.IGNORECASE
)
_PARTICLES = frozenset(
    "van von der den de da di do du dos das del della dello degli la le los las el al bin ibn ben ter ten te zu zum "
    "zur af av e y i 't ’t ‘t".split()
)
_BROKEN = re.compile(rf"(?: (?:{'|'.join(sorted(_PARTICLES))}))+$")
"""Particles at a line's end, whose family name stands on the next."""
_COLLECTIVE = re.compile(
    r"\b(?:consortium|collaboration|investigators|initiative|(?:study|working) group|network)\b", re.IGNORECASE
)
_PLACE = re.compile(
    r"universi|institut|departament|department|\bdept|école|\bschool|college|facult|fakult|hospital|clinic|klinik|"
    r"laborator|\blabs?\b|\bcent(?:re|er|ro)\b|academy|academia|ministr|division|\bunit\b|\binc\b|\bltd|gmbh|\bcorp|"
    r"company|council|foundation|\bprogram|research|scien[ct]|technolog|engineering|medicin|medical|national|agency|"
    r"associat|society|campus|avenue|\broad\b|p\.?\s?o\.? box|consulting|organi[sz]ation|bibliot|\blibrary\b|"
    r"hochschule|observator|museum|大学|学院|研究|公司|医院|대학|@|\d{4}|"
    r"\b(?:eth|epfl|kth|mit|cnrs|inria|csic|google|microsoft|facebook|meta ai|deepmind|openai|nvidia|amazon|ibm)\b|"
    r",\s*(?:usa|u\.s\.a|uk|united (?:states|kingdom)|india|china|germany|france|italy|spain|japan|korea|canada|"
    r"australia|brazil|iran|pakistan|malaysia|indonesia|egypt|turkey|netherlands|belgium|sweden|norway|finland|denmark|"
    r"austria|switzerland|poland|portugal|greece|russia|mexico|israel|saudi arabia|singapore|taiwan|thailand)\.?$",
    re.IGNORECASE,
)
_END = re.compile(
    r"\W*(?:a\s?b\s?s\s?t\s?r\s?a\s?c\s?t|summary|(?:\d\.?\s*|i\.\s*)?introduction|background|key\s?words|index terms|"
    r"received|submitted|accepted|published|correspond|edited by|reviewed by|academic\s?editor|copyright|©|"
    r"article (?:info|hist)|a r t i c l e|doi\b|how to cite|citation|highlights|open access|statement of need)",
    re.IGNORECASE,
)
_MAX_ROWS, _MAX_ROW = 60, 1000
"""Rows under the title, and characters in each, that are looked at: a hostile page must not cost time."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What stands at one height of the page."""

    text: str
    size: float
    bold: bool


def _printed_authors(layout: Layout, title: str) -> list[str]:
    """The names between the title and the abstract or the affiliations, in the order printed."""
    names = _names_in(_rows(_below_title(layout.first_page, title, layout.title_lines)))
    if names:
        return names
    # behind a cover sheet the paper itself begins on the second page
    text = layout.pages[1].text[:4000] if len(layout.pages) > 1 else ""
    after = _after(squash(title), text)
    return _names_in([_Row(_composed(line), 0.0, bold=False) for line in after.split("\n")])


def _after(sought: str, text: str) -> str:
    """What follows the first place at which the text says what is sought, spaces and accents put aside."""
    squashed, ends = "", []
    for end, char in enumerate(text, start=1):
        plain = squash(char)
        squashed += plain
        ends += [end] * len(plain)
    at = squashed.find(sought) if sought else -1
    return text[ends[at + len(sought) - 1] :].lstrip(" .*\n") if at >= 0 else ""


def _below_title(lines: Sequence[Line], title: str, title_lines: Sequence[Line]) -> list[Line]:
    """The lines under the title, without those that stand beside its column."""
    whole = squash(title)
    shown = [line for line in lines if len(key := squash(line.text)) >= 4 and key in whole] or list(title_lines)
    first = max(shown, key=lambda line: (round(line.size), line.y), default=None)
    if first is None:
        return []
    block = [first]
    for line in sorted(shown, key=lambda line: -line.y):
        if 0 < block[-1].y - line.y < 2.6 * first.size:
            block.append(line)
    left, bottom = min(line.x for line in block), min(line.y for line in block)
    flush = len(block) > 1 and all(abs(line.x - left) < 2 for line in block)
    return [line for line in lines if line.y < bottom - 0.3 * first.size and (not flush or line.x > left - 20)]


def _rows(lines: Sequence[Line]) -> list[_Row]:
    """The lines from top to bottom, pieces at one height joined; a tab stands for a gap between columns."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -line.y):
        height = max(line.size, *(other.size for other in rows[-1])) if rows else 0.0
        if rows and rows[-1][0].y - line.y < 0.6 * height:
            rows[-1].append(line)
        else:
            rows.append([line])
    built = []
    for row in rows[:_MAX_ROWS]:
        row.sort(key=lambda line: line.x)
        text, end = row[0].text, row[0].x_end
        for line in row[1:]:
            text += ("\t" if line.x - end > 2 * line.size else " ") + line.text
            end = line.x_end
        widest = max(row, key=lambda line: len(line.text))
        built.append(_Row(_composed(text[:_MAX_ROW]), widest.size, widest.bold))
    return built


def _names_in(rows: Sequence[_Row]) -> list[str]:
    blocks: list[list[_Row]] = []
    previous: _Row | None = None
    marked_first = False
    for number, row in enumerate(rows):
        if _END.match(row.text) or (not blocks and number > 6):
            break
        names = _is_row_of_names(row.text, continues=bool(blocks) and previous is blocks[-1][-1])
        if not blocks:
            if names or (names := bool(_leading_names(row.text))):
                blocks.append([row])
                marked_first = bool(_MARKS.match(row.text))
        elif (
            names
            and previous is blocks[-1][-1]
            and _is_set_as(row, blocks[-1][0])
            and (marked_first or not _MARKS.match(row.text))
        ):
            blocks[-1].append(row)
        elif names and previous and _opens_a_block(row, blocks[0][0], previous):
            blocks.append([row])
        previous = row
    found = [name for block in blocks for name in _names_of_block(block)]
    return list(dict.fromkeys(_without_letter_marks(found, rows)))


def _is_set_as(row: _Row, other: _Row) -> bool:
    return row.bold == other.bold and abs(row.size - other.size) < 0.6


def _opens_a_block(row: _Row, first: _Row, previous: _Row) -> bool:
    """Whether a row under an affiliation is set as the first names are, and the affiliation is not."""
    return _is_set_as(row, first) and ("@" in previous.text or not _is_set_as(row, previous))


def _names_of_block(rows: Sequence[_Row]) -> list[str]:
    pieces = [[piece for piece in _pieces(row.text) if piece] for row in rows]
    alone = len(rows) > 1 and all(len(row) == 1 and _is_name(row[0]) for row in pieces)
    text = ("\x1f" if alone else " ").join(row.text for row in rows)
    names = [name for name in _pieces(text) if _is_name(name)] if not _PLACE.search(text) else _leading_names(text)
    return [_in_title_case(name) for name in names]


def _leading_names(text: str) -> list[str]:
    """The names at the head of a line that goes on with an affiliation."""
    pieces = [piece for piece in _pieces(text) if piece]
    count = next((n for n, piece in enumerate(pieces) if not _is_name(piece) or _PLACE.search(piece)), len(pieces))
    return pieces[:count] if re.search(r"[,\d(]", text) else []


def _is_row_of_names(text: str, *, continues: bool) -> bool:
    if _PLACE.search(text) or _is_prose(text):
        return False
    pieces = [piece for piece in _pieces(text) if piece and not _NOT_A_PERSON.fullmatch(piece)]
    names = [piece for piece in pieces if _is_name(piece)]
    parts = [_BROKEN.sub("", piece) for piece in pieces if piece not in names]
    # a name that is broken at a line's end leaves one word on either side
    allowed = 2 if names else int(continues)
    return bool(names or continues) and len(parts) <= allowed and all(_is_name(f"A. {part}") for part in parts)


def _is_prose(text: str) -> bool:
    small = [word for word in re.findall(r"[^\W\d_]{3,}", text) if word.islower() and word not in _PARTICLES]
    return len([word for word in small if word != "and"]) >= 3


def _without_contacts(text: str) -> str:
    return _CONTACTS.sub(" ", text)


def _pieces(text: str) -> list[str]:
    """The text between commas, marks and "and", without e-mail addresses, degrees and titles."""
    plain = _DEGREE.sub(" ", _without_contacts(_composed(text)))
    plain = re.sub(r",\s*(?=(?:Jr|Sr|I{2,3})\b)", " ", plain)
    pieces = _BETWEEN.split(_MARKS.sub("\x1f", plain))
    plain_pieces = (re.sub(r"(?:^|\s)[a-h]$", "", " ".join(piece.split()).strip(" -–—~_")) for piece in pieces)
    return [_HONORIFIC.sub("", piece) for piece in plain_pieces]


def _composed(text: str) -> str:
    """The text with accents that stand beside their letter put onto it, as old TeX fonts draw them."""

    def put(found: re.Match[str]) -> str:
        before, accent, space, after = found[1], _ACCENTS[found[2]], found[3], found[4]
        on_before, on_after = (
            unicodedata.normalize("NFC", letter.replace("ı", "i") + accent) if letter else ""
            for letter in (before, after)
        )
        # the letter after is the usual one; it is not where the accent ends a word or fits the one before better
        ends = before == "ı" or (space and before.lower() in "aeiou") or len(on_after) != 1
        if before and ends and len(on_before) == 1:
            return f"{on_before}{space}{after}"
        return f"{before}{on_after}" if len(on_after) == 1 else f"{before}{space}{after}"

    return unicodedata.normalize("NFC", _LOOSE_ACCENT.sub(put, text))


def _is_name(piece: str) -> bool:
    """Whether a text is built as a person's or a consortium's name is."""
    words = piece.split()
    if _COLLECTIVE.search(piece):
        return 2 <= len(words) <= 12
    if len(words) == 1 and re.fullmatch(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af·]{2,6}", piece):
        return True
    if not 2 <= len(words) <= 7 or _PLACE.search(piece) or _NOT_A_PERSON.fullmatch(piece):
        return False
    if any(
        not re.fullmatch(r"[^\W\d_][^\W\d_.'’`´‘-]*(?:[-.'’‐‑][^\W\d_]*)*[.'’]?|d['’][^\W\d_]+|['’‘]t", word)
        for word in words
    ):
        return False
    strong = [word for word in words if word not in _PARTICLES and not word.startswith(("d'", "d’"))]
    return (
        bool(strong)
        and all(not word[0].islower() or re.match(r"(?:al|el|d|ul)[-‐‑'’]", word) for word in strong)
        and any(sum(char.isalpha() for char in word) >= 2 for word in strong)
        and words[-1] not in _PARTICLES
    )


def _without_letter_marks(names: list[str], rows: Sequence[_Row]) -> list[str]:
    """The names without the letters that refer to affiliations, where the affiliations begin with such letters."""
    letters = {
        found[1] for row in rows if (found := re.match(r"([a-h])\s?(?=[A-Z])", row.text)) and _PLACE.search(row.text)
    }
    marked = [name for name in names if name[-1] in letters]
    if "a" not in letters or len(marked) < len(names):
        return [re.sub(r"\s[a-h]$", "", name) for name in names]
    return [name[:-1].rstrip() for name in names]


def _in_title_case(name: str) -> str:
    """A name set in capitals throughout as one writes it in a sentence."""
    if sum(char.isalpha() for char in name) < 6 or not name.isupper():
        return name

    def cased(word: re.Match[str]) -> str:
        small = word[0].lower()
        return small if small in _PARTICLES else word[0].capitalize() if len(small) > 2 else word[0]

    return re.sub(r"[^\W\d_]+", cased, name)


# ---- DOI, arXiv id, year --------------------------------------------------------------------------------------------

_DOI = re.compile(r"(?<![\d.])10\.\d{4,9}/[^\s\"<>“”|]+")
_A_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u00ad", "-"))
_REPOSITORIES = ("10.5281/", "10.6084/", "10.17605/", "10.5061/", "10.7910/", "10.48550/")
"""Zenodo, figshare, OSF, Dryad, Dataverse, arXiv: what a paper deposits or cites is seldom the paper."""
_REFERENCES = re.compile(r"\n\W{0,9}(?:references|bibliography|literature cited)\W{0,9}\n", re.IGNORECASE)
_NEW_ARXIV = r"(\d{4}\.\d{4,5})(?:v\d+)?"
_OLD_ARXIV = r"([a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?"
_STAMP = re.compile(rf"arXiv:\s*(?:{_NEW_ARXIV}|{_OLD_ARXIV})\s*\[[a-zA-Z.-]+\]")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|spring|summer|autumn|fall|winter)[a-z]{0,6}\.?,?\s+"
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?[\s./-]+)?(?:\d{{1,2}}[./-]|{_MONTH})?(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?"
_DATED = rf"(?:\s+online|\s+on)?\s*(?:date)?\s*[:,]?\s*{_DAY}((?:19|20)\d\d)(?!\d)"
_PUBLISHED = (
    re.compile(rf"\bpublished{_DATED}", re.IGNORECASE),
    re.compile(r"(?:©|\(c\)|copyright)[^\d\n]{0,60}((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
    re.compile(r"(?<!\d)((?:19|20)\d\d)\s*[;,)]\s*\d+\s*[(:,]"),  # 2016; 10(2): or (2015) 16:413
    re.compile(r"\bvol(?:ume)?\b\.?\s*\d+[^\n]{0,60}?(?<!\d)((?:19|20)\d\d)(?!\d)", re.IGNORECASE),
    *(re.compile(rf"\b{word}{_DATED}", re.IGNORECASE) for word in ("accepted", "revised", "received", "dated?:")),
)


def find_dois(text: str) -> list[str]:
    """All DOIs in a text in order, without what a sentence adds to them (doi.org's handbook, 2.2)."""
    joined = re.sub(r"(10\.\d{4,9}/)\s+(?=\S)", r"\1", text.translate(_HYPHENS))
    joined = re.sub(r"(10\.\d{4,9}/\S{0,99}[-_/.])\n(?=[\da-z])", r"\1", joined)
    found = []
    for match in _DOI.finditer(joined):
        doi = match[0].rstrip(".,;:]}'’")
        while doi.endswith(")") and doi.count(")") > doi.count("("):
            doi = doi[:-1].rstrip(".,;:]}'’")
        found.append(doi)
    return found


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
        if re.search(rf"doi[\s:./org]{{0,12}}{re.escape(doi)}", before.translate(_HYPHENS), re.IGNORECASE)
    ]
    own = [doi for doi in (*labelled, *printed, *find_dois(subject)) if not doi.startswith(_REPOSITORIES)]
    return own[0] if own else xmp.doi


def _arxiv_id(opening: str, doi: str | None, file_name: str) -> str | None:
    """From arXiv's stamp, its DOI or its file name; an id that the text merely mentions is somebody else's."""
    if stamp := _STAMP.search(opening):
        return stamp[1] or stamp[2]
    for text in (doi or "", *(found for found in find_dois(opening) if found.lower().startswith("10.48550/"))):
        if found := re.fullmatch(rf"10\.48550/arxiv\.{_NEW_ARXIV}", text, re.IGNORECASE):
            return found[1]
    named = re.fullmatch(rf"(?:arxiv[-_.:]?)?{_NEW_ARXIV}", PurePath(file_name).stem, re.IGNORECASE)
    return named[1] if named and 1 <= int(named[1][2:4]) <= 12 else None


def _year(pages: Sequence[str], info: DocumentInfo, xmp: Xmp, *, doi: str | None, arxiv_id: str | None) -> int | None:
    """The year of publication: stated, printed, in the DOI, or of production where the page shows the same."""
    if arxiv_id and arxiv_id[:4].isdigit():
        return 2000 + int(arxiv_id[:2])
    if xmp.year:
        return xmp.year
    first = pages[0] if pages else ""
    for pattern in _PUBLISHED:
        if found := pattern.search(first):
            return int(found[1])
    if doi and (named := re.search(r"(?<=[./])((?:19|20)\d\d)(?=[./])", doi)):
        return int(named[1])
    created = re.match(r"D?:?((?:19|20)\d\d)", info.created)
    return int(created[1]) if created and created[1] in first else None


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
        ends += [h.start for h in layout.headings if start + 80 < h.start and squash(h.title) not in _LABELS]
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
    return bool(_FRONT_MATTER.search(paragraph) or (_PLACE.search(paragraph) and not _is_prose(paragraph)))
