"""Mine abbreviations and their long forms from running text (Schwartz and Hearst 2003)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SHORT = 10
"""Characters of a short form. With `MAX_SHORT_WORDS` and a minimum of 2, these are the paper's limits."""

MAX_SHORT_WORDS = 2

MAX_UNMATCHED = 1
"""Content words of a long form without a letter in the short form, at most; "transmission electron microscopy (TEM)"
has none."""

MAX_STARTS = 8
"""Words tried as the start of a long form. With `MAX_WINDOW` characters, this bounds the cost of hostile text."""

MAX_WINDOW = 250

LINKING = frozenset("a an and as at based by de for from in into la of on or per the to using via with".split())
"""Words of a long form that need no letter: "Internet *of* Things"."""

_BRACKETED = re.compile(r"\(([^()|\n]{2,160})\)")
_LEAD_IN = re.compile(r"^(?:(?:or|i\.\s?e\.|e\.\s?g\.|also|called|known as|abbreviated(?: as)?|abbr\.|here(?:in)?after|"
                      r"henceforth|short for|for short|hence|the|an?),?\s+)+", re.IGNORECASE)  # fmt: skip
_WALL = re.compile(r"[;:|\n•?!±=<>]|[.]\s+(?=[A-Z\[(])|\s[(]|[)](?=\s)|[\])](?=[.,]?\s)|,?\s(?:i\.e\.|e\.g\.)")
_WORD_BEFORE = re.compile(r"[^\s()\[\],;:]+(?=\s?$)")
_NOT_A_NAME = re.compile(
    r"(?:figs?|figures?|tables?|tab|eqs?|equations?|sec|sect|sections?|app|appendix|ref|refs|chap|chapter|vol|no|nos|pp|p|n|"
    r"step|supp|suppl|movie|data|line|page|panel|left|right|top|bottom|see|cf|et al)\b\.?",
    re.IGNORECASE,
)
_CITATION = re.compile(r"\b(?:1[89]|20)\d\d[a-z]?\b|\bet al\b|BIBREF|[=<>≤≥±%@/\\]|https?:|\bdoi\b")
_ROMAN = re.compile(r"[ivxlc]+|[IVX]{1,4}")


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """A short form at its definition, with its long form."""

    short: str
    """As in the text, without a plural s."""
    long: str
    """On one line, spelled as in the text."""
    start: int
    """Offset of `short` in the text."""


def mine(text: str) -> list[Abbreviation]:
    """The abbreviations a text defines, in order: "long form (SF)" and "SF (long form)".

    A. S. Schwartz, M. A. Hearst, "A simple algorithm for identifying abbreviation definitions in biomedical text",
    Pacific Symposium on Biocomputing 2003, with our own guards for scientific papers.
    """
    return [found for match in _BRACKETED.finditer(text) for found in _read(text, match)]


def _read(text: str, match: re.Match[str]) -> Iterator[Abbreviation]:
    inner, start = match[1], match.start(1)
    if lead := _LEAD_IN.match(inner):
        inner, start = inner[lead.end() :], start + lead.end()
    head = re.split(r"[,;]\s", inner, maxsplit=1)[0].rstrip()
    if is_short_form(head):
        short = _singular(head)
        if long := best_long_form(short, _before(text, match.start(), short)):
            yield Abbreviation(short, long, start)
    elif before := _WORD_BEFORE.search(text, max(0, match.start() - 30), match.start()):
        short = _singular(before[0])
        if is_short_form(short) and not _CITATION.search(head):
            long = best_long_form(short, head)
            if long and long == " ".join(head.split()):  # the whole bracket; otherwise it is a remark
                yield Abbreviation(short, long, before.start())


def is_short_form(text: str) -> bool:
    """Whether this can be an abbreviation: within the paper's limits, and not a number, citation or figure label.

    It needs two capitals, or a capital after the first letter, or a capital and a digit. That excludes names and words
    in brackets ("(Tulsi)", "(left)").
    """
    if not (2 <= len(text) <= MAX_SHORT and text[0].isalnum() and len(text.split()) <= MAX_SHORT_WORDS):
        return False
    if _CITATION.search(text) or _NOT_A_NAME.match(text) or _ROMAN.fullmatch(text):
        return False
    first, _, second = text.partition(" ")
    if second and (first.endswith(".") or not any(map(str.isupper, first))):  # "O. sanctum"
        return False
    capitals = sum(map(str.isupper, text))
    digits = any(map(str.isdigit, text))
    return sum(map(str.isalpha, text)) >= 2 and (capitals >= 2 or (capitals == 1 and (digits or not text[0].isupper())))


def best_long_form(short: str, text: str) -> str | None:
    """The shortest end of `text` that can be the long form of `short`, or None.

    It contains all letters and digits of the short form in order, and the first one starts a word. An end in which
    every content word gives its first letter is preferred to a shorter one with the letters elsewhere.
    """
    spelled = [c.casefold() for c in short if c.isalnum()]
    folded = text.casefold()
    if len(folded) != len(text) or not spelled:  # "İ" folds to two characters and would shift all offsets
        return None
    words = reversed(list(re.finditer(r"[^\W_]+", folded)))
    starts = [word.start() for word in words if word[0][0] == spelled[0] and word[0] not in LINKING][:MAX_STARTS]
    alignments = [found for start in starts if (found := _align(spelled, folded, start))]
    forms = [_LongForm.read(spelled, text, alignment) for alignment in alignments]
    fitting = [form for form in forms if form.is_plausible(short)]
    return next((form.text for form in sorted(fitting, key=lambda form: not form.is_perfect)), None)


def _align(spelled: list[str], folded: str, start: int) -> tuple[int, ...] | None:
    """Offsets of the letters from `start`, in order, with as many as possible at word starts."""
    ends: list[tuple[int, int, tuple[int, ...]]] = [(start, 0, (start,))]
    for letter in spelled[1:]:
        longer, at, best, index = [], start, None, 0
        while (at := folded.find(letter, at + 1)) >= 0:
            while index < len(ends) and ends[index][0] < at:
                if best is None or ends[index][1] > best[1]:
                    best = ends[index]
                index += 1
            if best:
                longer.append((at, best[1] + (not folded[at - 1].isalnum()), (*best[2], at)))
        ends = longer
    return max(ends, key=lambda end: end[1])[2] if ends else None


@dataclass(frozen=True, slots=True)
class _LongForm:
    """A candidate long form and its evidence."""

    text: str
    letters: int
    """Letters of the short form."""
    words: int
    """Content words, not counting numbers."""
    unmatched: int
    """Content words without a letter of the short form, and numbers without a digit of it."""
    initials: int
    """Letters at the start of a content word."""

    @classmethod
    def read(cls, spelled: list[str], text: str, at: tuple[int, ...]) -> _LongForm:
        begin = at[0]
        while begin and not (text[begin - 1].isspace() or text[begin - 1] in "()±=$"):
            begin -= 1  # "1-aminocyclopropane" is one word, including its number
        words = unmatched = initials = 0
        for word in re.finditer(r"\S+", text[begin:]):
            inside = [i for i in at if word.start() <= i - begin < word.end()]
            content = any(map(str.isalpha, word[0])) and word[0].casefold() not in LINKING
            last_number = word.end() == len(text) - begin and word[0].isdecimal()
            words += content
            unmatched += not inside and word[0].casefold() not in LINKING and not last_number
            initials += content and sum(i == 0 or not text[i - 1].isalnum() for i in inside)
        return cls(
            text=" ".join(text[begin:].split()).strip("-–\"'“”‘’,.*+ "),
            letters=len(spelled),
            words=words,
            unmatched=unmatched,
            initials=initials,
        )

    @property
    def is_perfect(self) -> bool:
        """Each content word gives its first letter, as in "latent semantic analysis (LSA)"."""
        return self.unmatched == 0 and self.initials == self.letters

    def is_plausible(self, short: str) -> bool:
        """With enough words, the short form takes their first letters; with fewer, those of at least half of them."""
        words = self.text.split()
        enough = self.words >= self.letters
        missing = self.letters - self.initials
        return (
            (missing <= (self.letters > 2) if enough and self.unmatched else 2 * self.initials >= self.words)
            and (missing == 0 or not enough or self.letters > 2)
            and self.unmatched <= MAX_UNMATCHED
            and len(self.text) > len(short) + 1
            and 0 < len(words) <= _most_words(short)
            and short.casefold() not in (word.strip("-,.").casefold() for word in words)
            and not (len(short) > 3 and self.text.casefold().startswith(short.casefold()))  # "MATCH (matching exactly)"
            and not _CITATION.search(self.text)
            and sum(c.isalpha() or c.isspace() or c == "-" for c in self.text) >= 0.8 * len(self.text)
        )


def _before(text: str, end: int, short: str) -> str:
    """The words before a bracket in which to search for the long form: the paper's min(|A| + 5, 2·|A|) words."""
    begin = max(0, end - MAX_WINDOW)
    for wall in _WALL.finditer(text, begin, end):
        begin = wall.end()
    window = text[begin:end].rstrip()
    words = list(re.finditer(r"\S+", window))[-_most_words(short) :]
    return window[words[0].start() :] if words else ""


def _most_words(short: str) -> int:
    size = sum(c.isalnum() for c in short)
    return min(size + 5, size * 2)


def _singular(short: str) -> str:
    """Without a plural s: "CNNs" → "CNN". A trailing hyphen is what is left of a lost Greek letter."""
    short = short.rstrip("-–")
    return short[:-1] if re.fullmatch(r".+[A-Z0-9]s", short) else short
