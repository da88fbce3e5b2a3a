"""A line of a page: its text, position and typography; and lines joined to running text."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable

# The Symbol font's codes where they come without a mapping (Word), at U+F000 + code
_SYMBOL = dict(
    zip(
        [*range(0xF041, 0xF05B), *range(0xF061, 0xF07B)],
        "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖαβχδεφγηιϕκλμνοπθρστυϖωξψζ",
        strict=True,
    )
) | {
    0xF0B0: "°",
    0xF0B1: "±",
    0xF0B4: "×",
    0xF0A3: "≤",
    0xF0B3: "≥",
    0xF0B7: "•",
    0xF0A7: "•",
    0xF0A2: "′",
    0xF0AE: "→",
}
_GLYPHS = str.maketrans(
    {code: chr(code - 0xF000) for code in range(0xF020, 0xF041)}
    | _SYMBOL
    | {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
    | dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f", " ")
    | dict.fromkeys("\u200b\ufeff", "")
    # letters of formulas, 𝜇 or 𝐵, which no font of a model's and no search word has: 17.5 𝜇M is 17.5 μM
    | {code: normalize("NFKC", chr(code)) for code in range(0x1D400, 0x1D800)}
    | {"\u00ad": "-", "\t": " "}
)
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_PRIVATE = re.compile(r"[\ufffd\ue000-\uf8ff]")
_HYPHEN_END = re.compile(r"([^\W\d_]{2,})[-\u2010\u2011]$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010\u2011][^\W\d_]+)*")


UNREAD = "\ufffd"
"""Replaces a glyph whose character the file does not give."""


class Style(NamedTuple):
    """The typography of characters."""

    face: str
    size: float
    """Effective size in points."""
    bold: bool
    italic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a page as drawn in the PDF."""

    page: int
    text: str
    x: float
    """Left edge in points, as `x_end` and `y` with the page turned so that the line stands upright."""
    x_end: float
    """Right edge in points."""
    y: float
    """Baseline in points above the page's lower edge."""
    style: Style
    """That of most of its characters."""
    spans: tuple[tuple[int, Style], ...]
    """Where in `text` each style begins."""
    page_height: float
    box: tuple[float, float, float, float]
    """Left, bottom, right, top in the page's own coordinates, whatever way it is turned."""
    turned: bool = False
    """Whether it runs in another direction than most of the page."""

    @property
    def size(self) -> float:
        """Effective font size in points."""
        return self.style.size

    @property
    def bold(self) -> bool:
        """Whether most of it is bold."""
        return self.style.bold

    @property
    def left(self) -> float:
        """Left edge in the page's own coordinates."""
        return self.box[0]

    @property
    def bottom(self) -> float:
        """Lower edge in the page's own coordinates."""
        return self.box[1]

    @property
    def right(self) -> float:
        """Right edge in the page's own coordinates."""
        return self.box[2]

    @property
    def top(self) -> float:
        """Upper edge in the page's own coordinates."""
        return self.box[3]

    @property
    def height(self) -> float:
        """Where on the page: 0 at the bottom, 1 at the top."""
        return self.y / self.page_height


def clean(text: str) -> str:
    """The text with plain letters for ligatures and for those of formulas, and without control characters.

    Lone surrogates are left out too; nothing else is changed.
    """
    return _NOT_TEXT.sub("", text.translate(_GLYPHS))


def vocabulary_of(lines: Iterable[Line]) -> Counter[str]:
    """How often each word occurs in the lines; hyphenated ones also count as a whole."""
    return Counter(word.lower() for line in lines for word in _WORD.findall(line.text))


_TH_REST = "e|is|ese|ey|us|en|ere|at|rough|ose|eir|erefore|ree"
# A bracket or an operator is no such mark: formulas in TeX have {e}, and code has x=is. Hindawi's is a plus sign.
_LOST_TH = re.compile(rf"(?<![\w.,;]) ?([^\w\s.,;:'\"“”‘’()\[\]{{}}$<>/|=\\^~&@%-])(?=({_TH_REST})\b)")


def mended(lines: Iterable[Line]) -> list[Line]:
    """The lines with single spaces, and with ligatures that the file names wrongly put right: "*e" for "The"."""
    lines = [replace(line, text=" ".join(line.text.split())) if "  " in line.text else line for line in lines]
    found = Counter(pair for line in lines for pair in _LOST_TH.findall(line.text))
    marks = {
        mark
        for mark in {mark for mark, _ in found}
        if sum(times for (other, _), times in found.items() if other == mark) >= 5
        and (mark != "+" or len([1 for other, _ in found if other == mark]) >= 3)
    }
    known = vocabulary_of(lines) if marks or any(UNREAD in line.text for line in lines) else Counter()
    return [_mended(line, marks, known) for line in lines]


def _mended(line: Line, marks: set[str], known: Counter[str]) -> Line:
    text = line.text
    if marks:
        text = _LOST_TH.sub(lambda m: m[0].replace(m[1], "Th") if m[1] in marks else m[0], text)
        for mark in marks:  # *ymus, where the document has "thymus" too
            if mark in text:
                word = rf"(?<!\w){re.escape(mark)}([a-z]{{2,}})"
                text = re.sub(word, lambda m: f"Th{m[1]}" if known[f"th{m[1]}"] else m[0], text)
    if UNREAD in text:
        text = re.sub(rf"[^\W\d_]*{UNREAD}[^\W\d_]*", lambda m: _ligature(m[0], known), text)
    return line if text == line.text else replace(line, text=text)


def _ligature(word: str, known: Counter[str]) -> str:
    """The word with the ligature that makes it one of the document's words; where none does, without the glyph."""
    tries = [word.replace(UNREAD, ligature) for ligature in ("fi", "fl", "ff", "ffi", "ffl", "Th")]
    return max([word.replace(UNREAD, ""), *tries], key=lambda w: known[w.lower()])


def words_of(lines: Iterable[Line]) -> list[str]:
    """The words of at least two letters, in lower case."""
    return [word for line in lines for word in _FIRST_WORD.findall(line.text.lower()) if len(word) > 1]


def unread_share(lines: Iterable[Line]) -> float:
    """Share of characters without meaning."""
    text = "".join(line.text for line in lines)
    return len(_PRIVATE.findall(text)) / max(1, len(text))


def join(lines: Iterable[str], vocabulary: Counter[str]) -> str:
    """The lines as running text.

    A word broken at a line's end is joined unless this document writes it with the hyphen more often:
    right for 98.5 % of 609 decidable cases, against 97.2 % for always joining.
    """
    text = ""
    for line in lines:
        broken, rest = _HYPHEN_END.search(text[-40:]), _FIRST_WORD.match(line)
        if broken and rest and line[0].islower():
            joined, hyphenated = (f"{broken[1]}{sep}{rest[0]}".lower() for sep in ("", "-"))
            text = text + line if vocabulary[hyphenated] > vocabulary[joined] else text[:-1] + line
        elif text.endswith(("-", "\u2010", "–", "/")) and line[:1].isalnum() and not text.endswith(" –"):
            text += line
        else:
            text = f"{text} {line}" if text else line
    return text


def squash(text: str) -> str:
    """The text's letters and digits without case, accents or spaces: what is left when typesetting is put aside."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain.casefold() if char.isalnum())


def unescaped(text: str) -> str:
    """XML's entities resolved, twice: some typesetting programs write `&amp;#x2010;`, and some `#_#x2010;`."""
    text = re.sub(r"#_(?=#x?[0-9A-Fa-f]{1,6};)", "&", text)
    return " ".join(clean(html.unescape(html.unescape(text))).split())
