"""What each line is, and the text that a person would read: running heads out, words whole, paragraphs, headings."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

from ingest.paper import PAGE_BREAK, Heading, Page

PARAGRAPH_BREAK = "\n\n"

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
    | dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f", " ")
    | dict.fromkeys("\u200b\ufeff", "")
    | {"\u00ad": "-", "\t": " "}
)
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_HYPHEN_END = re.compile(r"([^\W\d_]{2,})[-\u2010]$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_PAGE_NUMBER = re.compile(r"\W*(?:page\s*)?(?:\d{1,5}|[ivxlc]{1,6})\s*(?:(?:of|/)\s*\d{1,5})?\W*", re.IGNORECASE)

_NUMBER = r"(?:(?:\d{1,2}(?:\.\d{1,2}){0,3}|[IVX]{1,5}|[A-H](?:\.\d{1,2}){0,2})\.?)"
_NUMBERED = re.compile(rf"({_NUMBER})\s+([^\W\d_].*)", re.DOTALL)
_KNOWN = re.compile(
    rf"(?:{_NUMBER}\s+)?(?:abstract|summary|introduction|background|related works?|"
    r"(?:materials?|patients?|subjects?) and methods|methods?(?: and materials)?|methodology|experiments?|"
    r"results?(?: and discussions?)?|(?:general )?discussions?|conclusions?|limitations|acknowledge?ments?|"
    r"references(?: and notes)?|bibliography|literature cited|works cited|appendix.{0,60}|"
    r"data availability.{0,20}|author contributions|competing interests|conflicts? of interest|funding|keywords)\W*",
    re.IGNORECASE,
)
_REFERENCES = re.compile(
    rf"(?:{_NUMBER}\s+)?(?:r\s*e\s*f\s*e\s*r\s*e\s*n\s*c\s*e\s*s(?: and notes| cited)?|bibliography|"
    r"literature(?: cited)?|works cited|literaturverzeichnis)\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a page as the PDF draws it."""

    page: int
    text: str
    x: float
    """Left edge in points."""
    y: float
    """Baseline in points above the page's lower edge."""
    size: float
    """Effective font size in points."""
    bold: bool
    page_height: float

    @property
    def height(self) -> float:
        """Where on the page: 0 at the bottom, 1 at the top."""
        return self.y / self.page_height


@dataclass(frozen=True, slots=True)
class Layout:
    """What a document says once its lines are understood."""

    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    title: str | None
    """The largest lines of the first page, or None."""
    title_lines: tuple[Line, ...]
    first_page: tuple[Line, ...]


def clean(text: str) -> str:
    """The text without ligature glyphs, control characters and lone surrogates; nothing else is changed."""
    return _NOT_TEXT.sub("", text.translate(_LIGATURES))


def is_references(heading: str) -> bool:
    """Whether a heading opens the list of references."""
    return bool(_REFERENCES.fullmatch(heading.strip()))


def lay_out(pages: list[list[Line]]) -> Layout:
    """Pages of running text and the headings in them, from lines in reading order."""
    pages = [[_cleaned(line) for line in lines] for lines in pages]
    running = _running_lines(pages)
    kept = [[line for line in lines if line not in running and line.text.strip()] for lines in pages]
    body = _body_size(kept)
    vocabulary = Counter(word.lower() for lines in kept for line in lines for word in _WORD.findall(line.text))
    title_lines = _title_lines(kept[0] if kept else [], body)
    title = _join([line.text for line in title_lines], vocabulary) or None

    built, headings, offset = [], [], 0
    for number, lines in enumerate(kept, start=1):
        text, found = _page_text(lines, body, vocabulary, title_lines)
        headings += [Heading(h.start + offset, h.end + offset, h.title, h.level) for h in found]
        built.append(Page(number, text))
        offset += len(text) + len(PAGE_BREAK)
    return Layout(tuple(built), tuple(headings), title, tuple(title_lines), tuple(kept[0]) if kept else ())


def _cleaned(line: Line) -> Line:
    return Line(
        page=line.page,
        text=" ".join(clean(line.text).split()),
        x=line.x,
        y=line.y,
        size=line.size,
        bold=line.bold,
        page_height=line.page_height,
    )


def _running_lines(pages: list[list[Line]]) -> set[Line]:
    """Heads, feet and page numbers: in the outer tenth of the page, and alike on several pages."""
    edge = [line for lines in pages for line in lines if line.height > 0.91 or line.height < 0.09]
    where: dict[str, set[int]] = defaultdict(set)
    for line in edge:
        where[_shape(line)].add(line.page)
    needed = max(2, min(3, math.ceil(len(pages) * 0.4)))
    return {line for line in edge if len(where[_shape(line)]) >= needed or _PAGE_NUMBER.fullmatch(line.text)}


def _shape(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text.lower())


def _body_size(pages: list[list[Line]]) -> float:
    """The font size in which most characters are set, in points."""
    weights: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            weights[round(line.size * 2) / 2] += len(line.text)
    return weights.most_common(1)[0][0] if weights else 10.0


_NOT_A_TITLE = re.compile(
    r"\b(?:journal|proceedings|transactions|volume|vol\.|research article|open access|original (?:article|paper)|"
    r"doi|issn|copyright|university)\b",
    re.IGNORECASE,
)


def _title_lines(first_page: list[Line], body: float) -> list[Line]:
    """The most title-like group of neighbouring lines of one large size in the upper part of the first page."""
    groups: list[list[Line]] = []
    for line in first_page:
        if line.height < 0.45 or line.size < body * 1.1 or sum(char.isalpha() for char in line.text) < 4:
            continue
        last = groups[-1][-1] if groups else None
        if last and abs(last.size - line.size) < 0.6 and abs(last.y - line.y) < line.size * 2.6:
            groups[-1].append(line)
        else:
            groups.append([line])

    def score(group: list[Line]) -> float:
        text = " ".join(line.text for line in group)
        words = len(text.split())
        return (
            group[0].size
            * (1.0 if words >= 4 else 0.72 if words == 3 else 0.5)
            * (0.7 if _NOT_A_TITLE.search(text) else 1.0)
        )

    return max(groups, key=score) if groups else []


def _page_text(
    lines: list[Line], body: float, vocabulary: Counter[str], title_lines: list[Line]
) -> tuple[str, list[Heading]]:
    """The page's paragraphs, and its headings as offsets into that text."""
    blocks: list[tuple[str, Line | None]] = []  # text, and the line it came from where it is a heading
    paragraph: list[Line] = []
    leading = _leading(lines)

    def end_paragraph() -> None:
        if paragraph:
            blocks.append((_join([line.text for line in paragraph], vocabulary), None))
            paragraph.clear()

    for line in lines:
        if line not in title_lines and _is_heading(line, body):
            end_paragraph()
            previous = blocks[-1] if blocks else None
            if previous and previous[1] and _continues(previous[1], line):
                blocks[-1] = (_join([previous[0], line.text], vocabulary), line)
            else:
                blocks.append((line.text, line))
            continue
        if paragraph and _starts_paragraph(paragraph, line, leading):
            end_paragraph()
        paragraph.append(line)
    end_paragraph()

    headings, at = [], 0
    for text, heading in blocks:
        if heading:
            headings.append(Heading(at, at + len(text), text, _level(text)))
        at += len(text) + len(PARAGRAPH_BREAK)
    return PARAGRAPH_BREAK.join(text for text, _ in blocks), headings


def _leading(lines: list[Line]) -> float:
    """The usual distance between two baselines, in points."""
    gaps = Counter(round(a.y - b.y, 0) for a, b in pairwise(lines) if 0 < a.y - b.y < 40)
    return gaps.most_common(1)[0][0] if gaps else 12.0


def _starts_paragraph(paragraph: list[Line], line: Line, leading: float) -> bool:
    last = paragraph[-1]
    gap = last.y - line.y
    if gap < -line.size or gap > 3 * leading:  # a new column, or across a figure: the sentence decides
        return last.text.endswith((".", "!", "?", ":"))
    if gap > 1.35 * leading or abs(line.size - last.size) > 1.2:
        return True
    left = min(other.x for other in paragraph)
    return line.x > left + 0.8 * line.size and last.text.endswith((".", "!", "?", ":"))


def _is_heading(line: Line, body: float) -> bool:
    text = line.text
    if not 3 <= len(text) <= 110 or text.endswith((",", ";")):
        return False
    stands_out = line.size >= body * 1.08 or line.bold
    if _KNOWN.fullmatch(text) and (stands_out or text.isupper()):
        return True
    numbered = _NUMBERED.fullmatch(text)
    return bool(stands_out and numbered and numbered[2][:1].isupper() and len(text.split()) <= 14)


def _continues(heading: Line, line: Line) -> bool:
    """Whether a heading line is the second line of the one before it."""
    return (
        not _NUMBERED.fullmatch(line.text)
        and not _KNOWN.fullmatch(line.text)
        and abs(heading.size - line.size) < 0.3
        and 0 < heading.y - line.y < 1.6 * line.size
    )


def _level(heading: str) -> int:
    numbered = re.match(r"(?:\d{1,2}|[A-H])((?:\.\d{1,2})*)\.?\s", heading)
    return 1 + numbered[1].count(".") if numbered else 1


def _join(lines: list[str], vocabulary: Counter[str]) -> str:
    """The lines as running text.

    A word broken at a line's end is joined unless this document writes it with the hyphen more often:
    right for 98.5 % of 609 decidable cases, against 97.2 % for always joining.
    """
    text = ""
    for line in lines:
        broken, rest = _HYPHEN_END.search(text), _FIRST_WORD.match(line)
        if broken and rest and line[0].islower():
            joined, hyphenated = (f"{broken[1]}{sep}{rest[0]}".lower() for sep in ("", "-"))
            text = text + line if vocabulary[hyphenated] > vocabulary[joined] else text[:-1] + line
        else:
            text = f"{text} {line}" if text else line
    return text
