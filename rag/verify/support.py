"""Tie each sentence of an answer to a passage, and judge how well the passages support it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING, Final

from ingest.sentences import sentence_spans
from rag.answer import PARTIALLY_SUPPORTED
from rag.verify.claims import (
    COMMON,
    Statement,
    Token,
    forms_of,
    is_named,
    is_opposite,
    moved,
    negates,
    pairs_of,
    read,
    turned,
)
from rag.verify.numbers import Number, same_number
from rag.verify.ties import foreign_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.answer import Passage, Support

SUPPORTED_AT: Final = 0.6
"""A sentence is supported if a window has at least this share of its weighted words."""

PARTLY_AT = 0.05  # not Final: `bench/support.py` moves it
PAIRS: Final = 1.3
LACKING: Final = 0.07
LACKED: Final = 5
"""A sentence is partially supported only if its tie to a window reaches PARTLY_AT:

    tie = overlap + PAIRS·pair_share − LACKING·min(missing, LACKED)

overlap: share of its weighted words in the window; pair_share: share of its pairs of adjacent words that are adjacent
in some passage; missing: weight of its words that are not in the window, in units of a word that is in no passage.
Fitted on QASPER train to separate answers from sentences of other papers, then rounded (`docs/log.md`).
"""

COPIED_AT: Final = 0.6
COPIED_TOKENS: Final = 4
"""A sentence is an edited copy if at least this share of its tokens, and at least this many, are in common runs."""

NEIGHBOURS: Final = 3
"""Words next to a common run that are compared as well."""

COUNTABLE: Final = 12
"""An integer up to this may have been counted from a list, so the passage need not contain it."""

HALF: Final = 50
"""In percent."""

NEARLY: Final = 0.15
"""Keep the model's marker if its passage scores within NEARLY of the best."""

ADDS: Final = 0.2
"""Keep a further marker if its passage adds this share of the sentence's weighted words."""

RIVALS: Final = 3
"""Passages examined closely, at most."""

TELLING: Final = 3
"""Minimum characters of an item that is specific enough to search for: "DNA", or "#12" for the number 12."""

WINDOW: Final = 3
"""Sentences per window, at most."""

LONGER: Final = 0.02
"""Penalty per sentence of a window: of two windows with the same words, the shorter one wins."""

COMMON_WEIGHT: Final = 0.3
"""The weight of a word in `claims.COMMON`, relative to another word as rare."""

ABOUT_ANSWERING: Final = frozenset(
    "answer questi passag text paper papers follow based yes hello thanks thank sorry know".split()
)
"""Stems with which a model talks about its own task; they tie a sentence to no passage."""

_ABSTAINS = re.compile(
    r"^(?:(?:this|that|it) is not in (?:your|the|these) |(?:i|the (?:given |provided )?(?:passages?|papers?|texts?|"
    r"context|sources?|documents?))\b[^.]{0,30}?(?:\bcannot|\bnot|\bno|n['’]t)\b[^.]{0,20}?\b(?:know|say|mention|state|"
    r"specify|provide|contain|give|answer|find|information))",
    re.IGNORECASE,
)
"""Phrases with which a model says that the passages have no answer."""

_PREDICATE: Final = re.compile(r"(?<=\S) is .*")

_ORDER: Final[dict[Support, int]] = {"supported": 0, PARTIALLY_SUPPORTED: 1, "unsupported": 2}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a sentence."""

    support: Support | None
    """None if the sentence claims nothing that could be checked."""
    marker: int | None = None
    """Marker of the closest passage; None if none is close."""
    window: tuple[int, int] | None = None
    """Offsets of the closest one to three sentences in that passage's text, as [start, end)."""
    score: float = 0.0
    """Share in [0, 1] of the sentence's words found in the window, weighted by rarity."""
    tie: float = 0.0
    """How closely its words and word pairs tie it to the window; compared with PARTLY_AT."""
    reasons: tuple[str, ...] = ()
    """What speaks against it, one short clause each; empty if nothing does."""
    markers: tuple[int, ...] = ()
    """The markers that the sentence should have."""
    corrections: tuple[tuple[int | None, int | None], ...] = ()
    """Replaced markers of the model, as (from, to); `to` is None if the marker was dropped."""


@dataclass(frozen=True, slots=True)
class _Window:
    """One to three adjacent sentences of a passage."""

    start: int
    end: int
    length: int
    tokens: tuple[Token, ...]
    norms: tuple[str, ...]
    items: frozenset[str]
    numbers: tuple[Number, ...]
    forms: frozenset[str]
    initials: str
    pairs: frozenset[tuple[str, str]] = frozenset()
    """Pairs of adjacent stems; filled only for the union of all passages."""


@dataclass(frozen=True, slots=True)
class _Match:
    """The best window of one passage."""

    passage: Passage
    window: _Window
    score: float


def abstains(sentence: str) -> bool:
    """Whether the model says in this sentence that the passages have no answer."""
    return bool(_ABSTAINS.match(sentence))


def judge(sentence: str, passages: Sequence[Passage], *, hints: Sequence[int] = ()) -> Judgement:
    """Judge how well the passages support the sentence.

    Args:
        sentence: one sentence of an answer, without markers.
        passages: what the model was shown.
        hints: the markers that the model gave the sentence.
    """
    claim = read(sentence)
    items = _items(claim) - ABOUT_ANSWERING
    announces = sentence.rstrip().endswith(":") and len(items) <= TELLING
    silent = announces or abstains(sentence) or not any(len(item) >= TELLING for item in items)
    if silent or not passages:
        return Judgement(None, markers=tuple(hints))
    weights = weights_of(tuple(passage.chunk.text for passage in passages))
    weight = {item: weights.get(item, weights[""]) * (COMMON_WEIGHT if item in COMMON else 1.0) for item in items}
    matches = sorted((_best(passage, items, weight) for passage in passages), key=_rank, reverse=True)
    everything = _union(tuple(passage.chunk.text for passage in passages))
    ours = pairs_of(claim.tokens)
    pairs = len(ours & everything.pairs) / len(ours) if ours else 0.0
    rare = sum(weight.values()) / weights[""]
    rivals = [match for match in matches[:RIVALS] if match.score >= matches[0].score - NEARLY]
    ties = {match.passage.marker: _tie(match.score, pairs=pairs, rare=rare) for match in rivals}
    verdicts = [(match, *_verdict(claim, match, items, everything, tie=ties[match.passage.marker])) for match in rivals]
    best, support, reasons = min(verdicts, key=lambda verdict: _ORDER[verdict[1]])
    if best.score == 0:
        return Judgement("unsupported", reasons=reasons, corrections=tuple((hint, None) for hint in hints))
    markers, corrections = _markers(support, best, {match.passage.marker: match for match in matches}, weight, hints)
    return Judgement(
        support=support,
        marker=best.passage.marker,
        window=(best.window.start, best.window.end),
        score=best.score,
        tie=ties[best.passage.marker],
        reasons=reasons,
        markers=markers,
        corrections=corrections,
    )


def _markers(
    support: Support, best: _Match, matches: dict[int, _Match], weight: dict[str, float], hints: Sequence[int]
) -> tuple[tuple[int, ...], tuple[tuple[int | None, int | None], ...]]:
    """The markers to keep, and the corrections. The model's own markers stay if their passages are about as good."""
    own = best.passage.marker
    if support == "unsupported":
        return (), tuple((hint, None) for hint in hints)
    kept = []
    for hint in hints:
        match = matches[hint]
        added = match.window.items & weight.keys() - best.window.items
        adds = sum(weight[item] for item in added) / sum(weight.values())
        if match.score >= best.score - NEARLY or adds >= ADDS:
            kept.append(hint)
    lost = [hint for hint in hints if hint not in kept]
    if kept:
        return tuple(kept), tuple((hint, None) for hint in lost)
    return (own,), tuple((hint, own) for hint in lost) if lost else ((None, own),)


def _verdict(
    claim: Statement, match: _Match, items: frozenset[str], everything: _Window, *, tie: float
) -> tuple[Support, tuple[str, ...]]:
    """The verdict against one window, with the reasons against."""
    window, norms = match.window, tuple(token.norm for token in claim.tokens)
    if norms == window.norms:
        return "supported", ()
    sentence = _closest_sentence(match, items)
    found = [_differences(claim, part, norms) for part in dict.fromkeys((window, sentence))]
    copied = any(differences is not None for differences in found)
    against, gaps = [reason for differences in found for reason in differences or ()], list[str]()
    for number in claim.numbers:
        if _states(window, number):
            continue
        if _states(everything, number):
            gaps.append(f"number {number.shown} is in another part of the passages")
        elif not copied and number.value <= COUNTABLE and number.unit is None and number.whole:
            gaps.append(f"number {number.shown} is not in the passages")
        else:
            against.append(f"number {number.shown} is not in the passages")
    if not copied and len(items & sentence.items) >= SUPPORTED_AT * len(items):
        against += turned(claim.tokens, sentence.tokens)
    names = [token for token in claim.tokens if token.name]
    missing = [token for token in names if not is_named(token, everything.forms, initials=everything.initials)]
    gaps += [
        f"name {t.shown} is in another part of the passages"
        for t in names
        if t not in missing and not is_named(t, window.forms, initials=window.initials)
    ]
    (against if copied or (2 * len(missing) > len(names) and match.score < SUPPORTED_AT) else gaps).extend(
        f"name {token.shown} is not in the passages" for token in missing
    )
    if belongs := foreign_number(claim, match.passage.chunk.text):
        against.append(belongs)
    if tie < PARTLY_AT and match.score < SUPPORTED_AT:
        against.append("the passages do not mention this")
    elif match.score < SUPPORTED_AT:
        gaps.append("the passages mention only part of this")
    return ("unsupported" if against else PARTIALLY_SUPPORTED if gaps else "supported"), _told_once((*against, *gaps))


def _states(window: _Window, number: Number) -> bool:
    """Whether a window has the number, or the word "half" for 50 %."""
    share = {"%": number.value, None: number.value * 100}.get(number.unit)
    if share == HALF and "half" in window.forms:
        return True
    return any(same_number(number, other) for other in window.numbers)


def _told_once(reasons: Sequence[str]) -> tuple[str, ...]:
    """The first reason for each number and name, and every other reason once."""
    kept: dict[str, str] = {}
    for reason in reasons:
        kept.setdefault(_PREDICATE.sub("", reason) if reason.startswith(("number ", "name ")) else reason, reason)
    return tuple(kept.values())


def _tie(score: float, *, pairs: float, rare: float) -> float:
    """How closely a sentence is tied to a window; see PARTLY_AT. `rare`: its weight ÷ that of an unseen word."""
    return score + PAIRS * pairs - LACKING * min((1 - score) * rare, LACKED)


def _closest_sentence(match: _Match, items: frozenset[str]) -> _Window:
    """The sentence of the window that shares most with the claim."""
    inside = (
        window
        for window in _windows(match.passage.chunk.text)
        if window.length == 1 and match.window.start <= window.start < match.window.end
    )
    return max(inside, key=lambda window: len(items & window.items), default=match.window)


def _differences(claim: Statement, window: _Window, norms: tuple[str, ...]) -> list[str] | None:
    """How an edited copy differs from its source; None if the sentence is not a copy."""
    codes = SequenceMatcher(None, norms, window.norms, autojunk=False).get_opcodes()
    same = sum(i2 - i1 for tag, i1, i2, _, _ in codes if tag == "equal" and i2 - i1 > 1)
    if same < max(COPIED_TOKENS, COPIED_AT * len(norms)):
        return None
    reasons, negations, opposites = [], 0, []
    inside = [k for k, code in enumerate(codes) if code[0] == "equal"]
    for k, (tag, i1, i2, j1, j2) in enumerate(codes):
        if tag == "equal":
            continue
        ours, theirs = claim.tokens[i1:i2], window.tokens[j1:j2]
        near = len(ours) + NEIGHBOURS  # words further away belong to another clause
        if k < inside[0]:
            theirs = theirs[-near:]
        elif k > inside[-1]:
            theirs = theirs[:near]
        elif len(theirs) > 2 * near:
            theirs = theirs[:NEIGHBOURS] + theirs[-NEIGHBOURS:]
        negations += sum(map(negates, (*ours, *theirs)))
        opposites += [(a.shown, b.shown) for a in ours for b in theirs if is_opposite(a.norm, b.norm)]
        reasons += _replaced(ours, theirs)
    reasons += moved(claim.tokens, window.tokens, codes)
    if negations % 2 and not opposites:
        reasons.append("the passage says the opposite: only one of the two is negated")
    if opposites and not negations % 2:
        reasons.append(f'the passage says "{opposites[0][1]}", not "{opposites[0][0]}"')
    return reasons


def _replaced(ours: Sequence[Token], theirs: Sequence[Token]) -> list[str]:
    """Numbers and names for which the passage has different ones."""
    numbers = [token.number for token in theirs if token.number]
    names = [token for token in theirs if token.name]
    reasons = []
    for token in ours:
        if token.number and numbers and not any(same_number(token.number, other) for other in numbers):
            said, there = token.number, numbers[0]
            mine, other = _told(said, beside=there), _told(there, beside=said)
            reasons.append(f"number {mine} is {other} in the passage")
        if token.name and names and not any(forms_of(token.shown) & forms_of(other.shown) for other in names):
            reasons.append(f"name {token.shown} is {names[0].shown} in the passage")
    return reasons


def _told(number: Number, *, beside: Number) -> str:
    """A number as it is written; with its sign of comparison, and its unit, if that is all that differs."""
    if number.value != beside.value:
        return number.shown
    opposed = number.bound and beside.bound and number.bound != beside.bound
    unit = f" ({number.unit})" if number.unit and number.unit != beside.unit else ""
    return f"{f'{number.bound} ' if opposed else ''}{number.shown}{unit}"


def _items(statement: Statement) -> frozenset[str]:
    return statement.stems | {f"#{number.value:f}" for number in statement.numbers}


def _rank(match: _Match) -> float:
    return match.score - LONGER * match.window.length


def _best(passage: Passage, items: frozenset[str], weight: dict[str, float]) -> _Match:
    total = sum(weight.values())
    shares = (
        _Match(passage, window, sum(weight[item] for item in items & window.items) / total)
        for window in _windows(passage.chunk.text)
    )
    return max(shares, key=_rank)


@lru_cache(maxsize=16)
def weights_of(texts: tuple[str, ...]) -> dict[str, float]:
    """Rarity of each item: log(1 + sentences / sentences with it); the key "" is for items in no sentence."""
    sentences = [window for text in texts for window in _windows(text) if window.length == 1]
    counts = Counter(item for window in sentences for item in window.items)
    n = len(sentences)
    return {item: log(1 + n / count) for item, count in counts.items()} | {"": log(1 + n / 0.5)}


@lru_cache(maxsize=512)
def _windows(text: str) -> tuple[_Window, ...]:
    spans = sentence_spans(text) or [(0, len(text))]
    read_ones = [(start, end, read(text[start:end])) for start, end in spans]
    return tuple(
        _window(read_ones[i : i + length])
        for length in range(1, WINDOW + 1)
        for i in range(max(0, len(read_ones) - length + 1))
    )


def _window(sentences: Sequence[tuple[int, int, Statement]]) -> _Window:
    parts = [part for _, _, part in sentences]
    tokens = tuple(token for part in parts for token in part.tokens)
    return _Window(
        start=sentences[0][0],
        end=sentences[-1][1],
        length=len(parts),
        tokens=tokens,
        norms=tuple(token.norm for token in tokens),
        items=frozenset().union(*map(_items, parts)),
        numbers=tuple(number for part in parts for number in part.numbers),
        forms=frozenset().union(*(part.forms for part in parts)),
        initials=" ".join(part.initials for part in parts),
    )


@lru_cache(maxsize=16)
def _union(texts: tuple[str, ...]) -> _Window:
    """All sentences of all passages as one window."""
    ones = [window for text in texts for window in _windows(text) if window.length == 1]
    return _Window(
        start=0,
        end=0,
        length=0,
        tokens=(),
        norms=(),
        items=frozenset().union(*(window.items for window in ones)),
        numbers=tuple(number for window in ones for number in window.numbers),
        forms=frozenset().union(*(window.forms for window in ones)),
        initials=" ".join(window.initials for window in ones),
        pairs=frozenset().union(*(pairs_of(window.tokens) for window in ones)),
    )
