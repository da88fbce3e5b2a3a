"""What a sentence states: its words, numbers with units, names and negations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from rag.markers import MOST, is_interval
from rag.verify.numbers import (
    MONEY,
    NUMBER,
    SCALES,
    UNITS,
    Number,
    bound_before,
    counted,
    evened,
    unit_beside,
    written,
)
from rag.words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

STEM: Final = 6
"""Letters kept as a rough stem, as in `words.content_words`: "adapting" matches "adaptation"."""

SCOPE: Final = 4
DENIED: Final = 1
"""A negation affects the next SCOPE words, and at most DENIED content words."""

_TOKEN = re.compile(
    rf"{NUMBER}"
    r"|(?P<word>[^\W_]+(?:[-‐‑'’.&][^\W_]+)*)"
)
_REFERENCE = re.compile(r"(?<![$∈:])\[[1-9]\d*(?:\s*[,–-]\s*\d+)*\]")
_LEAD = re.compile(r"\s*(?:yes|no)[,;:]\s+(?=\S)", re.IGNORECASE)
"""A leading "Yes, …" or "No, …" answers the question and is not part of the statement: "No, …" negates nothing."""

_DEGREES = frozenset({"celsius", "fahrenheit"})
_PERCENT = re.compile(r"\s?per\s?cent\b|\s?%", re.IGNORECASE)
_LISTED = re.compile(r"\s*\(?\d{1,2}[.)]\s+")
_PART = re.compile(r"[-‐‑.&'’]")
_APPROXIMATELY = frozenset("about around approximately roughly nearly almost circa over under ~ ≈".split())
NEGATORS: Final = frozenset(
    """
    not no never without neither nor none cannot nothing nobody fail fails failed failing lack lacks lacked lacking
    unable hardly rarely seldom
    nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder
    не без няма нямаше нито
    """.split()
)
"""In English, German and Bulgarian. Bulgarian "никога" and "никой" are none: "не" or "няма" stands beside them."""

_OPPOSITES = (
    ("increase increases increased increasing rise rises rising grow grows growing",
     "decrease decreases decreased decreasing reduce reduces reduced reducing drop drops dropped decline fall"),
    ("higher greater", "lower"), ("highest", "lowest"), ("high", "low"), ("more", "less fewer"),
    ("most", "least fewest"), ("better superior", "worse inferior"), ("best", "worst"), ("good", "bad poor"),
    ("outperform outperforms outperformed outperforming exceed exceeds exceeded surpass surpasses surpassed",
     "underperform underperforms underperformed underperforming"),
    ("improve improves improved improving improvement improvements",
     "worsen worsens worsened degrade degrades degraded degrading degradation deteriorate hurt hurts harm harms"),
    ("larger bigger", "smaller"), ("largest biggest", "smallest"), ("large big", "small"), ("longer", "shorter"),
    ("long", "short"), ("faster", "slower"), ("fast", "slow"), ("stronger", "weaker"), ("strong", "weak"),
    ("strongest", "weakest"),
    ("longest", "shortest"), ("fastest", "slowest"), ("easiest", "hardest"),
    ("easier simpler", "harder"), ("easy easily", "hard difficult"), ("simple", "complex"),
    ("positive positively", "negative negatively"), ("above", "below"), ("before", "after"),
    ("maximum maximize maximizes maximise maximises maximal max", "minimum minimize minimizes minimise minimal min"),
    ("many much", "few little"), ("similar same", "different dissimilar"), ("gain gains", "loss losses"),
    ("include includes included including", "exclude excludes excluded excluding"),
    ("deeper", "shallower"), ("deep", "shallow"), ("earlier", "later"), ("early", "late"), ("true", "false"),
    ("correct correctly right", "incorrect incorrectly wrong"), ("accept accepts accepted", "reject rejects rejected"),
    ("agree agrees agreed", "disagree disagrees disagreed"), ("present", "absent"),
    ("enable enables enabled allow allows allowed", "disable prevent prevents prevented"),
    ("common", "rare"), ("first", "last"), ("explicit explicitly", "implicit implicitly"),
)  # fmt: skip
_OPPOSED = frozenset(
    pair for left, right in _OPPOSITES for a, b in product(left.split(), right.split()) for pair in ((a, b), (b, a))
)
_OPPOSING_PREFIX = ("un", "in", "im", "ir", "non", "dis", "mis")

COMMON: Final = frozenset(
    word[:STEM]
    for word in """
    use using used based model method approach result results show shows shown paper propose proposed work study studies
    data dataset task performance different new two three first second one well given table figure section
    following example include including provide present describe described perform obtain obtained consider compare
    compared number set large small high higher low lower better best improve several various similar order case find
    found make take give see report reported train training trained test testing evaluate evaluation experiment
    experimental system information learn learning process type kind form part way general specific particular
    authors question answer passage text furthermore moreover therefore thus additionally addition
    apply applied achieve introduce analysis analyze feature features
    """.split()
)
"""Stems that occur in papers of all kinds and say little about a sentence's topic."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or number in a sentence."""

    shown: str
    norm: str
    """Case-folded, without hyphens and without a plural s after capitals; for a number its plainest form."""
    name: bool
    """Whether capitals or digits make it a name."""
    first: bool
    """Whether it is the first word, so that its capital means nothing."""
    stems: tuple[str, ...]
    """Stems of its content words; a hyphenated word has several."""
    number: Number | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed sentence."""

    tokens: tuple[Token, ...]
    stems: frozenset[str]
    numbers: tuple[Number, ...]
    forms: frozenset[str]
    """All forms of its words: whole, and split at hyphens."""
    initials: str
    """The first letters of all words, used to match an acronym with its long form."""


@lru_cache(maxsize=2048)
def read(text: str) -> Statement:
    """Parse a sentence, ignoring references like [12] and a leading "No, …"."""
    text = evened(_REFERENCE.sub(lambda mark: mark[0] if _is_measured(mark) else " ", text))
    lead = _LEAD.match(text)
    found = list(_TOKEN.finditer(text, lead.end() if lead else 0))
    words = [match["word"] or "" for match in found]
    tokens = []
    for i, match in enumerate(found):
        number = _number(match, words[i - 1] if i else "", found[i + 1 : i + 4])
        if number:
            tokens.append(Token(match[0], number.form, False, i == 0, (), number))
        else:
            first = i == 0 or (i == 1 and bool(_LISTED.fullmatch(text, 0, match.start())))
            tokens.append(_word(words[i], first=first))
    return Statement(
        tokens=tuple(tokens),
        stems=frozenset(stem for token in tokens for stem in token.stems),
        numbers=tuple(token.number for token in tokens if token.number),
        forms=frozenset(form for token in tokens for form in forms_of(token.shown))
        | {a.norm + b.norm for a, b in pairwise(tokens) if a.name or b.name},
        initials="".join(token.norm[0] for token in tokens),
    )


def _is_measured(bracket: re.Match[str]) -> bool:
    """Whether a bracket is an interval, or too long a range to be one of references."""
    ends = [int(number) for number in re.findall(r"\d+", bracket[0])]
    return is_interval(bracket[0], bracket.string[: bracket.start()], certain=False) or ends[-1] - ends[0] > MOST


def _number(match: re.Match[str], before: str, following: Sequence[re.Match[str]]) -> Number | None:
    """A token as a number; None if it is a word.

    Args:
        match: of `_TOKEN`.
        before: the word before it; empty if that is a number.
        following: the next tokens.
    """
    text, end = match.string, match.end()
    behind = [(token["word"] or "").casefold() for token in following]
    if match["word"]:
        count = counted(match["word"].casefold(), behind[0] if behind else "")
        if count is None:
            return None
        value, unit = Decimal(count), "%" if _PERCENT.match(text, end) else None
    else:
        value, unit = _measured(match)
    apart = text[end : following[0].start()] if following else ","
    if behind and behind[0] in SCALES and not apart.strip("- ‑") and (unit is None or unit in MONEY):
        value, end = value * 10 ** SCALES[behind.pop(0)], following[0].end()
    unit = unit or (UNITS.get(behind[0]) if behind else None)
    noun = next((word[:STEM] for word in behind[:2] if word and word not in STOP_WORDS), None)
    about = before.casefold() in _APPROXIMATELY or text[: match.start()].endswith(("~", "≈", "∼"))
    return Number(value.normalize(), unit, noun, about, text[match.start() : end], bound_before(text, match.start()))


def _measured(match: re.Match[str]) -> tuple[Decimal, str | None]:
    """The value of digits, and the unit or currency that touches them."""
    text, suffix = match.string, match["suffix"] or ""
    value, end = written(match, text), match.start("suffix") if suffix else match.end()
    if match["percent"]:
        return value, "%"
    if suffix in {"k", "K", "M", "B", "bn"}:
        value, end = value * 10 ** SCALES[suffix.casefold()], match.end()
    unit = unit_beside(text, match.start(), end)
    if suffix in {"m", "mn"} and unit in MONEY:
        value *= 10 ** SCALES[suffix]
    return value, unit or UNITS.get(suffix.casefold())


@lru_cache(maxsize=16384)
def _word(word: str, *, first: bool) -> Token:
    letters = word.removesuffix("'s").removesuffix("’s")
    inner = any(c.isupper() for c in letters[1:]) or any(c.isdigit() for c in letters)
    parts = [part.casefold() for part in _PART.split(letters) if part]
    kept = [] if letters.endswith(("n't", "n’t")) else parts
    stems = tuple(part[:STEM] for part in kept if part not in STOP_WORDS and len(part) > 1)
    capital = letters[0].isupper() and not first and len(letters) > 1 and letters.casefold() not in _DEGREES
    return Token(word, name_form(word), inner or capital, first, stems)


@lru_cache(maxsize=16384)
def name_form(word: str) -> str:
    """The form in which names are compared: "Bi-LSTMs" → "bilstm"."""
    letters = word.removesuffix("'s").removesuffix("’s")
    if len(letters) > 2 and letters[-1] == "s" and letters[-2].isupper():
        letters = letters[:-1]
    return _PART.sub("", letters).casefold()


@lru_cache(maxsize=16384)
def forms_of(word: str) -> frozenset[str]:
    """The whole word and its parts: "BERT-based" → bertbased, bert, based."""
    return frozenset(name_form(part) for part in (word, *_PART.split(word)) if part)


def is_opposite(a: str, b: str) -> bool:
    """Whether two case-folded words are opposites, like higher and lower, or supervised and unsupervised."""
    if (a, b) in _OPPOSED:
        return True
    long, short = (a, b) if len(a) > len(b) else (b, a)
    return len(short) > 3 and long.endswith(short) and long.removesuffix(short) in _OPPOSING_PREFIX


def negates(token: Token) -> bool:
    """Whether the word negates a statement."""
    return token.norm in NEGATORS or token.shown.endswith(("n't", "n’t"))


def is_named(token: Token, forms: Collection[str], *, initials: str) -> bool:
    """Whether a name occurs among the forms of other words, whole, by its parts, or as initials of its long form."""
    if token.norm in forms or (len(token.norm) > 2 and token.norm in initials):
        return True
    parts = forms_of(token.shown) - {token.norm}
    return len(parts) > 1 and all(part in forms for part in parts)


def pairs_of(tokens: Sequence[Token]) -> frozenset[tuple[str, str]]:
    """Pairs of adjacent stems, skipping words without a stem."""
    return frozenset(pairwise(stem for token in tokens for stem in token.stems))


def turned(ours: Sequence[Token], theirs: Sequence[Token]) -> list[str]:
    """What a paraphrase negates or reverses and its source does not, or the other way round."""
    here, there = denied(ours), denied(theirs)
    if there & {stem for token in ours for stem in token.stems} and not any(map(negates, ours)):
        return ["the passage negates this"]
    if here & {stem for token in theirs for stem in token.stems} and not any(map(negates, theirs)):
        return ["this negates what the passage says"]
    said, read_ = {token.norm for token in ours}, {token.norm for token in theirs}
    opposites = [(a, b) for a in said - read_ for b in read_ - said if is_opposite(a, b)]
    return [f'the passage says "{b}", not "{a}"' for a, b in opposites[:1] if not any(map(negates, (*ours, *theirs)))]


def denied(tokens: Sequence[Token]) -> set[str]:
    """Stems of the content words directly after a negation."""
    found: set[str] = set()
    for i, token in enumerate(tokens):
        if negates(token):
            found.update([stem for later in tokens[i + 1 : i + 1 + SCOPE] for stem in later.stems][:DENIED])
    return found


def moved(ours: Sequence[Token], theirs: Sequence[Token], codes: Sequence[tuple[str, int, int, int, int]]) -> list[str]:
    """Numbers of ours that changed places: the word before them differs from the one in theirs.

    `codes` are the `SequenceMatcher` opcodes that turn ours into theirs.
    """
    changed = [code for code in codes if code[0] != "equal"]
    before: dict[str, set[str]] = {}
    for _, _, _, j1, j2 in changed:
        for j in range(j1, j2):
            before.setdefault(theirs[j].norm, set()).add(theirs[j - 1].norm if j else "")
    return [
        f"number {ours[i].shown} is used for something else"
        for _, i1, i2, _, _ in changed
        for i in range(i1, i2)
        if ours[i].number and ours[i].norm in before and (ours[i - 1].norm if i else "") not in before[ours[i].norm]
    ]
