"""Conflicts between passages about the same quantity or claim. They are shown, never averaged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal

from ingest.sentences import sentence_spans
from rag.answer import Conflict
from rag.verify.claims import (
    COMMON,
    STEM,
    Statement,
    Token,
    forms_of,
    is_opposite,
    negates,
    read,
)
from rag.verify.numbers import UNITS, Number, same_number, to_places
from rag.verify.support import COMMON_WEIGHT, weights_of
from rag.words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rag.answer import Passage

SHOWN: Final = 2
"""Conflicts shown per answer, at most; clearest first."""

ALIKE: Final = 0.5
"""Two sentences of different papers must share this much of their words, weighted by rarity."""

COPIED: Final = 0.55
"""The share of tokens that must be in common runs for a "not" to negate the other sentence's claim."""

TELLING: Final = 3
"""Minimum number of shared stems that are not in COMMON or _FRAME; shared names count as one more."""

RELEVANT: Final = 0.3
"""The share of what both sentences say that must occur in the question or its answer."""

REACH: Final = 4
"""Tokens before and after a number that say what it counts."""

SAME_PLACE: Final = 0.5
SAME_COUNTED: Final = 0.33
"""Two numbers count the same thing if this share of their surrounding stems is the same. SAME_COUNTED applies if the
word after both numbers is the same, or if a word is missing and they have the same unit."""

NUMBERS: Final = 5
"""A sentence with more numbers is a table row, a list or a formula."""

SHORTEST: Final = 5
LONGEST: Final = 70
"""In tokens. Anything shorter or longer is what is left of a table, a list or a formula."""

ROUNDED: Final = Decimal("0.05")
"""A rounded number agrees with another if they differ by at most this share of the larger."""

_OWN = re.compile(
    r"\b(?:we|our|ours|us|i(?!\.)|my|(?:this|present|current) (?:paper|work|study|article)|proposed)\b"
    r"|^(?:this|that|these|those|it|its|they|their|such|here)\b",
    re.IGNORECASE,
)
"""Words for the authors' own work or for something mentioned before. If two texts both use them, they may well be about
different things."""

_FRAME: Final = frozenset(
    word[:STEM]
    for word in """
    patients subjects participants individuals volunteers people users women men male female age aged mean median
    average sd enrolled recruited included excluded inclusion exclusion criteria met eligible qualified completed follow
    followup baseline survival population cohort trial total years months weeks days hours minutes random randomly
    randomized randomised group groups control arm placebo sample samples size interval confidence incubated stored
    washed background methods objective design setting conclusion conclusions findings interpretation measurements
    epochs epoch batch minibatch dropout hidden layers layer dimension dimensions dimensional optimizer adam sgd decay
    initialized iterations sets split percent
    """.split()
)
"""Stems with which every study describes its setup: "Median follow-up was 2.5 years" in two papers is no conflict."""

_RANGE = re.compile(
    r"\d[\d.,]*\s?%?\s*(?:[-–—−±×:/^]|\+/-|to|or|by|x)\s*\d[\d.,]*|\bbetween \d[\d.,]*\s?%? and \d[\d.,]*"
)
_BOUND = re.compile(
    r"(\b(?:than|over|under|above|below|least|most|up to|within|until|exceed(?:s|ed|ing)?|minimum|maximum)|[<>≤≥])"
    r"\s*(?:of\s+)?(\d[\d.,]*)"
)
_FORMULA = re.compile(r"\\[a-zA-Z]+|[=∑∈]\s*[\w(]+\s*[+*/=∈]|\d[a-z]\b(?<!\d[kgsmhld])")
_DIGITS = re.compile(r"\d[\d.,]*")
_LABELS: Final = frozenset(
    "table tables figure figures fig section sec equation eq appendix chapter algorithm theorem lemma version".split()
)
_MAY_LABEL: Final = frozenset(
    """
    task subtask step stage phase type layer fold level group class case rule experiment study line column row model
    system example grade chromosome day week month year page part volume no module
    """.split()
)
"""A number after one of these is a label, not a quantity; after a word of _MAY_LABEL only if it counts nothing."""

_KINDS: Final = tuple(
    frozenset(words.split())
    for words in (
        "train training test testing dev development valid validation heldout",
        "first second third fourth fifth last",
        "precision recall accuracy f1 bleu rouge auc perplexity",
        "male female men women boys girls",
        "mean average median maximum minimum max min std deviation",
        "english german french spanish chinese arabic russian italian japanese hindi",
    )
)
"""Words that take the same place in a sentence and name different things."""

_TURNING: Final = frozenset(
    """
    increase increases increased increasing decrease decreases decreased decreasing reduce reduces reduced reducing
    rise rises rising drop drops dropped higher greater lower highest lowest more less fewer most least better worse
    superior inferior best worst outperform outperforms outperformed underperform underperforms underperformed exceed
    exceeds improve improves improved improving worsen worsens worsened degrade degrades degraded degrading hurt hurts
    harm harms larger bigger smaller largest smallest longer shorter faster slower stronger weaker easier harder
    gain gains loss losses enable enables enabled allow allows allowed prevent prevents prevented agree agrees agreed
    disagree disagrees disagreed accept accepts accepted reject rejects rejected
    """.split()
)
"""Opposites that reverse a claim. Those that only name kinds, such as long and short texts, do not."""


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A number and its context."""

    number: Number
    around: frozenset[str]
    """Stems of the content words near it."""
    bound: str | None
    """The word that makes it a bound, or "range" if it is one end of a range; None if it is the value itself."""


@dataclass(frozen=True, slots=True)
class Said:
    """A parsed sentence of a passage."""

    text: str
    """A verbatim slice of the passage."""
    statement: Statement
    norms: tuple[str, ...]
    words: frozenset[str]
    """Case-folded."""
    names: tuple[Token, ...]
    labels: frozenset[str]
    """Years, and numbers that are labels."""
    quantities: tuple[_Quantity, ...]
    own: bool
    """Whether it is about the authors' own work or something mentioned before."""


def conflicts(question: str, answer: Sequence[str], *, passages: Sequence[Passage]) -> tuple[Conflict, ...]:
    """Conflicts between the passages on the topic of the question and its answer; clearest first, at most SHOWN.

    Two sentences conflict if they say the same in nearly the same words and names, but differ in a number with the same
    unit in the same place, or one denies what the other says. Nothing is reported if the wording leaves room for
    different subjects or conditions, or if both sentences are from one paper: near-duplicates there mostly describe two
    parts of the work.

    Args:
        question: as it was searched for.
        answer: its sentences, without markers.
        passages: what the answer was written from.
    """
    weights = weights_of(tuple(passage.chunk.text for passage in passages))
    asked = frozenset().union(*(read(text).stems for text in (question, *answer)))
    said = [(passage, part) for passage in passages for part in sentences(passage.chunk.text)]
    found: dict[tuple[int, int], tuple[float, Conflict]] = {}
    for (p, a), (q, b) in combinations(said, 2):
        if p.paper.id == q.paper.id or len(a.statement.stems & b.statement.stems) < TELLING:
            continue
        if a.own and b.own and not _versions(p, q):  # each is about its own experiment
            continue
        differ = disagreement(a, b, weights=weights)
        if differ is None or not _relevant(a, b, asked=asked, weights=weights):
            continue
        (kind, alike), markers = differ, (p.marker, q.marker)
        if alike > found.get(markers, (0.0,))[0]:
            found[markers] = alike, Conflict(kind, _about(a, b), markers, (a.text, b.text))
    return tuple(conflict for _, conflict in sorted(found.values(), key=lambda pair: -pair[0])[:SHOWN])


def disagreement(a: Said, b: Said, *, weights: dict[str, float]) -> tuple[Literal["number", "negation"], float] | None:
    """How two sentences disagree, and how similar they are otherwise, from `ALIKE` to 1; None if they do not disagree.

    `weights` is the rarity of each stem; the key "" is for stems not listed.
    """
    alike = _alike(a, b, weights=weights)
    if alike is None:
        return None
    if _other_number(a, b):
        return "number", alike
    return ("negation", alike) if _denies(a, b) else None


def _versions(p: Passage, q: Passage) -> bool:
    """Whether two papers are versions of one work. Only then does "we" mean the same people and experiment."""
    one, other = (" ".join(passage.paper.title.casefold().split()) for passage in (p, q))
    return one == other != ""


def _alike(a: Said, b: Said, *, weights: dict[str, float]) -> float | None:
    """The weighted share of common words; None if the sentences are about different things or identical."""
    one, other = a.statement.stems, b.statement.stems
    shared = one & other
    share = weight(shared, weights) / weight(one | other, weights)
    if share < ALIKE or a.norms == b.norms:
        return None
    names = [token for token in a.names if _named(token, b)]
    if len(shared - COMMON - _FRAME) + bool(names) < TELLING:
        return None
    if len(names) < len(a.names) or not all(_named(token, a) for token in b.names) or a.labels != b.labels:
        return None
    left, right = a.words - b.words, b.words - a.words
    if any(left & kind and right & kind for kind in _KINDS):
        return None
    return share


def _relevant(a: Said, b: Said, *, asked: frozenset[str], weights: dict[str, float]) -> bool:
    shared = (a.statement.stems & b.statement.stems) - COMMON
    return weight(shared & asked, weights) >= RELEVANT * weight(shared, weights)


def weight(stems: Iterable[str], weights: dict[str, float]) -> float:
    """The total weight of the stems."""
    return sum(weights.get(stem, weights[""]) * (COMMON_WEIGHT if stem in COMMON else 1.0) for stem in stems)


def _other_number(a: Said, b: Said) -> bool:
    """Whether some number in the same place differs between the two."""
    if (
        not a.quantities
        or not b.quantities
        or sum(map(negates, a.statement.tokens)) != sum(map(negates, b.statement.tokens))
    ):
        return False
    if any(is_opposite(x, y) for x in a.words - b.words for y in b.words - a.words):
        return False
    agreeing, ours, theirs = 0, list(a.quantities), list(b.quantities)
    for mine in a.quantities:
        same = [
            other
            for other in theirs
            if mine.number.value == other.number.value or (_same_place(mine, other) and _agree(mine, other))
        ]
        if same:
            agreeing += 1
            ours.remove(mine)
            theirs.remove(max(same, key=lambda other: len(mine.around & other.around)))
    differing = sum(any(_same_place(mine, other) for other in theirs) for mine in ours)
    return differing > 0 and max(len(ours), len(theirs)) <= 1 + agreeing


def _same_place(a: _Quantity, b: _Quantity) -> bool:
    if a.number.unit != b.number.unit or not a.around or not b.around:
        return False
    share = len(a.around & b.around) / len(a.around | b.around)
    counted = a.number.noun == b.number.noun if a.number.noun and b.number.noun else a.number.unit is not None
    return share >= (SAME_PLACE if not counted else SAME_COUNTED)


def _agree(a: _Quantity, b: _Quantity) -> bool:
    """Whether both numbers can be right: they are equal, one is rounded, or one is a bound or the end of a range."""
    one, other = a.number, b.number
    if a.bound != b.bound or a.bound == "range" or same_number(one, other) or same_number(other, one):
        return True
    apart, most = abs(one.value - other.value), max(abs(one.value), abs(other.value))
    rounded = one.about or other.about or any(_places(n.value) <= -2 for n in (one, other))
    if rounded and apart <= ROUNDED * most:
        return True
    coarse, fine = sorted((one.value, other.value), key=_places)
    return _places(coarse) >= 0 and to_places(fine, _places(coarse)) == coarse


def _places(value: Decimal) -> int:
    """Decimal places; negative for trailing zeros of an integer."""
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _denies(a: Said, b: Said) -> bool:
    """Whether one sentence is the other with a negation or an opposite added."""
    codes = SequenceMatcher(None, a.norms, b.norms, autojunk=False).get_opcodes()
    same = sum(i2 - i1 for tag, i1, i2, _, _ in codes if tag == "equal" and i2 - i1 > 1)
    if same < COPIED * max(len(a.norms), len(b.norms)) or {q.number.value for q in a.quantities} != {
        q.number.value for q in b.quantities
    }:
        return False
    negations, opposites = 0, 0
    for tag, i1, i2, j1, j2 in codes:
        if tag != "equal":
            ours, theirs = a.statement.tokens[i1:i2], b.statement.tokens[j1:j2]
            negations += sum(map(negates, (*ours, *theirs)))
            turned = [(x.norm, y.norm) for x in ours for y in theirs if is_opposite(x.norm, y.norm)]
            if any(x not in _TURNING for x, _ in turned):
                return False
            opposites += len(turned)
    return negations + opposites == 1


def _about(a: Said, b: Said) -> str:
    """What both are about: their common content words as spelled in the first, at most eight."""
    shared = a.statement.stems & b.statement.stems
    tokens = a.statement.tokens
    kept = [
        token.shown
        for before, token in zip((None, *tokens), tokens, strict=False)
        if shared & {*token.stems} and not (before and before.number and token.norm in UNITS)
    ]
    telling = [word for word in kept if word[:STEM].casefold() not in COMMON]
    return " ".join(list(dict.fromkeys(telling or kept))[:8])


def _named(token: Token, other: Said) -> bool:
    forms = other.statement.forms
    return (
        token.norm in forms
        or (len(token.norm) > 2 and token.norm in other.statement.initials)
        or (len(parts := forms_of(token.shown) - {token.norm}) > 1 and parts <= forms)
    )


@lru_cache(maxsize=512)
def sentences(text: str) -> tuple[Said, ...]:
    """The sentences of a passage that can be contradicted."""
    parts = (_said(text[start:end]) for start, end in sentence_spans(text))
    return tuple(part for part in parts if part is not None)


def _said(text: str) -> Said | None:
    statement = read(text)
    tokens = statement.tokens
    words = sum(token.number is None for token in tokens)
    if words < SHORTEST or len(tokens) > LONGEST or len(statement.numbers) > NUMBERS:
        return None
    if text.rstrip().endswith("?") or _FORMULA.search(text):
        return None
    bounds = {match[2].rstrip(".,"): match[1] for match in _BOUND.finditer(text)}
    bounds |= dict.fromkeys((d.rstrip(".,") for m in _RANGE.finditer(text) for d in _DIGITS.findall(m[0])), "range")
    labels, quantities = set[str](), []
    for i, token in enumerate(tokens):
        if token.number is None:
            continue
        if _is_label(tokens, i):
            labels.add(token.norm)
            continue
        near = (*tokens[max(0, i - REACH) : i], *tokens[i + 1 : i + 1 + REACH])
        around = frozenset(stem for other in near for stem in other.stems)
        digits = _DIGITS.search(token.shown)
        quantities.append(_Quantity(token.number, around - COMMON or around, bounds.get(digits[0]) if digits else None))
    return Said(
        text=text,
        statement=statement,
        norms=tuple(token.norm for token in tokens),
        words=frozenset(token.norm for token in tokens if token.norm not in STOP_WORDS),
        names=tuple(
            token for token in tokens if token.name and token.norm not in STOP_WORDS and not _is_heading(token)
        ),
        labels=frozenset(labels),
        quantities=tuple(quantities),
        own=bool(_OWN.search(text)),
    )


def _is_heading(token: Token) -> bool:
    """Whether a word is capitalised because it is a heading within the text, like "RESULTS" in an abstract."""
    return token.shown.isalpha() and bool(token.stems) and {*token.stems} <= COMMON | _FRAME


def _is_label(tokens: Sequence[Token], i: int) -> bool:
    """Whether a number is a label, as in "Table 2" and "SemEval 2016", or a year."""
    number = tokens[i].number
    if number is None or number.unit is not None:
        return False
    before = tokens[i - 1] if i else None
    if before and (before.norm in _LABELS or (before.name and not before.number)):
        return True
    if before and before.norm in _MAY_LABEL and (number.noun is None or before.shown[0].isupper()):
        return True
    return number.whole and 1900 <= number.value <= 2100 and len(number.shown) == 4
