"""Which number belongs to which thing: in lists with "respectively" and in table rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Final

from ingest.sentences import sentence_spans
from rag.verify.claims import COMMON, Statement, read
from rag.verify.numbers import Number, same_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ITEM_WORDS: Final = 6
"""Maximum words of a list item."""

ROWS: Final = 40
"""Table rows examined, at most."""

_UNIT = (
    r"(?:\s?(?:%|‰|°\s?C)|[-–]fold\b|\s?(?:[µμmknc]?[gmlLsMA]|[kM]?Hz|h|kb|bp|[kMGT]i?B|days?|weeks?|months?|years?|hours?|"
    r"min|points?|times|mg/\w{1,3}|[µμ]g/\w{1,3}|copies/\w{1,3}|pfu)\b)?"
)
_NUMBER = (
    r"(?:[<>≤≥~≈±]\s?)?(?<![\w.])(?<!\d[-–])[-−]?"
    r"(?:\d{1,3}(?:[ \u2009\u202f\u00a0]\d{3})+(?!\d)|\d+(?:[.,·]\d+)*)(?:\s?[-–±]\s?\d+(?:[.,]\d+)*)?"
    rf"{_UNIT}(?!\w|[-–]\w)(?:\s?\([^()]{{0,60}}\))?"
)
_AND = r"\s*(?:[,;]\s*(?:and|or)\b|[,;/&]|\b(?:and|or|versus|vs\.?)(?=\s))\s*"
_NUMBERS = re.compile(rf"{_NUMBER}(?:{_AND}{_NUMBER})+")
_ONE = re.compile(_NUMBER)
_JOINT = re.compile(r"\s*,?\s*(?:\b(?:and|or|versus)\b|\bvs\.?(?=\s)|&)\s*")
_EDGE = re.compile(
    r"[;:()\[\]“”\"]|\b(?:was|were|is|are|be|been|had|has|have|show(?:s|ed|n)?|reach(?:ed|es)?|g[ai]ve[sn]?|giving|gets?|"
    r"got|in|of|with|for|at|by|to|from|on|after|before|as|than|compared|between|among|during|using|while|whereas|when|"
    r"which|that|who|where|respectively|including|include[sd]?|both|the|a|an|we|it|they|achiev\w+|obtain\w+|contain\w+|"
    r"consist\w+|exhibit\w+|report\w+|detected|observed|found|find|used?|set|via|into|through|respective|only|about|"
    r"approximately|over|surprisingly|however|moreover|finally)\b",
    re.IGNORECASE,
)
_STOP = re.compile(rf",|(?<!\b[a-z])\.\s|{_EDGE.pattern}", re.IGNORECASE)
"""The end of an item; the full stop of "S. mitis" is none."""
_RESPECTIVELY = re.compile(r"\brespectively\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tied:
    """Things, each with its own numbers, and where they are in the text."""

    names: tuple[str, ...]
    telling: tuple[frozenset[str], ...]
    """For each thing, the words that no other one has."""
    numbers: tuple[tuple[Number, ...], ...]
    start: int
    """Offsets of the sentence, or of the first to the last row, as [start, end)."""
    end: int
    places: tuple[tuple[int, int], ...] = ()
    """Offsets of the names; only for a list with "respectively"."""
    values: tuple[tuple[int, int], ...] = ()
    """Offsets of the numbers; only for a list with "respectively"."""


def foreign_number(claim: Statement, text: str) -> str | None:
    """What speaks against a claim that gives one thing the number of another; None if nothing does.

    Args:
        claim: a sentence of an answer.
        text: the passage it is tied to.
    """
    for tied, number in product(ties(text), claim.numbers):
        said = _words(claim, without=number)
        named = {k for k, words in enumerate(tied.telling) if words & said}
        if not named or len(named) == len(tied.names):
            continue
        if any(number in read(tied.names[k]).numbers for k in named):  # part of the name
            continue
        owners = {k for k, own in enumerate(tied.numbers) if any(same_number(number, other) for other in own)}
        if not owners or owners & named:
            continue
        if not _elsewhere(number, text, tied, frozenset().union(*(tied.telling[k] for k in named))):
            return f"number {number.shown} belongs to “{tied.names[min(owners)]}” in the passage"
    return None


def own_number(
    question: Statement, text: str, number: Number, *, sentence: tuple[int, int] | None = None
) -> Number | None:
    """The number of the thing asked about, if `number` belongs to another one; None if it is its own or unknown.

    A number beside the list belongs to another thing too if it has the unit of the list: "28 mm for A, followed by 24
    and 23 mm for B and C respectively". `sentence` says where it stands.
    """
    asked = _words(question)
    for tied in ties(text):
        named = [k for k, words in enumerate(tied.telling) if words & asked]
        owners = [k for k, own in enumerate(tied.numbers) if any(same_number(number, other) for other in own)]
        if len(named) != 1 or named[0] in owners or len(tied.numbers[named[0]]) != 1:
            continue
        units = {own.unit for numbers in tied.numbers for own in numbers} - {None}
        beside = sentence is not None and tied.values and tied.start < sentence[1] and sentence[0] < tied.end
        if beside:  # the thing may have another number in the same sentence
            low, high = tied.places[named[0]]
            beside = not tied.telling[named[0]] & _words(read(text[tied.start : low] + " " + text[high : tied.end]))
        if owners or (beside and units == {number.unit}):
            return tied.numbers[named[0]][0]
    return None


@lru_cache(maxsize=512)
def ties(text: str) -> tuple[Tied, ...]:
    """All lists with "respectively" and all tables of a text."""
    return (*_respectively(text), *_tables(text))


def _words(statement: Statement, *, without: Number | None = None) -> frozenset[str]:
    """Names, content words and numbers that tell things apart, like "week 3"; optionally without one number."""
    forms = (token.norm for token in statement.tokens if token.number is None)
    numbers = (f"#{number.value:f}" for number in statement.numbers if number != without)
    return frozenset((*forms, *numbers)) | statement.stems


def _telling(names: Sequence[str], rest: str = "") -> tuple[frozenset[str], ...]:
    """For each name, the words that no other name has; those that the rest lacks too, if there are any."""
    words = [frozenset(w for w in _words(read(name)) if w not in COMMON) for name in names]
    own = [ours - frozenset().union(*(o for j, o in enumerate(words) if j != k)) for k, ours in enumerate(words)]
    beside = _words(read(rest))
    return tuple(ours - beside or ours for ours in own)


def _elsewhere(number: Number, text: str, tied: Tied, words: frozenset[str]) -> bool:
    """Whether the number also occurs outside the list or table, in a sentence with one of these words."""
    for start, end in sentence_spans(text):
        if tied.start < end and start < tied.end:
            continue
        statement = read(text[start:end])
        if words & _words(statement) and any(same_number(number, other) for other in statement.numbers):
            return True
    return False


# -- lists with "respectively" -----------------------------------------------------------------------------------------


def _respectively(text: str) -> Iterator[Tied]:
    for start, end in sentence_spans(text):
        for mark in _RESPECTIVELY.finditer(text, start, end):
            if found := _list_before(text, start, end, mark.start()):
                yield found


def _list_before(text: str, start: int, end: int, mark: int) -> Tied | None:
    """The last list of numbers before "respectively", with the nearest list of as many things, or else of doses."""
    runs = [run for run in _NUMBERS.finditer(text, start, end) if run.start() < mark]
    for run in reversed(runs[-3:]):
        values = _each(run)
        if len(values) < 2:
            continue
        named = [
            places
            for low, high in ((start, run.start()), (run.end(), end))
            for places in _listed(text, low, high, len(values))
        ]
        named = [p for p in named if all(re.search(r"[^\W\d_]", text[a:b]) for a, b in p)]
        if doses := not named:
            every = map(_each, _NUMBERS.finditer(text, start, end))
            named = [p for p in every if p != values and len(p) == len(values)]
        if not named:
            continue
        places = min(named, key=lambda p: min(abs(run.start() - p[-1][1]), abs(p[0][0] - run.end())))
        names = [" ".join(text[a:b].split()) for a, b in places]
        numbers = [read(text[a:b]).numbers[:1] for a, b in values]
        rest = " ".join(
            text[a:b] for a, b in zip([start, *(b for _, b in places)], [*(a for a, _ in places), end], strict=True)
        )
        telling = _telling(names, rest)
        if doses:  # "mg" after the last of them is a unit of all
            telling = tuple(frozenset(word for word in words if word[0] == "#") for words in telling)
        if all(numbers) and all(telling):
            return Tied(tuple(names), telling, tuple(numbers), start, end, tuple(places), tuple(values))
    return None


def _each(run: re.Match[str]) -> list[tuple[int, int]]:
    """The places of the numbers of a list."""
    return [one.span() for one in _ONE.finditer(run.string, *run.span())]


def _listed(text: str, low: int, high: int, n: int) -> Iterator[list[tuple[int, int]]]:
    """Every "A, B and C" with n items between two offsets, each item as [start, end)."""
    for joint in _JOINT.finditer(text, low, high):
        last = _right_item(text, joint.end(), high)
        before, at = [], joint.start()
        for k in range(n - 1):
            item = _left_item(text, low, at, first=k == n - 2)
            if item is None:
                break
            before.append(item)
            at = text.rfind(",", low, item[0])
            if at < 0 and k < n - 2:
                break
        if last and len(before) == n - 1:
            yield [*reversed(before), last]


def _right_item(text: str, at: int, high: int) -> tuple[int, int] | None:
    stop = _STOP.search(text, at, high)
    return _trimmed(text, at, stop.start() if stop else high, keep_first=True)


def _left_item(text: str, low: int, at: int, *, first: bool) -> tuple[int, int] | None:
    """The item that ends at `at`: it starts after a comma, or the first one after the last edge word."""
    comma = text.rfind(",", low, at)
    start = max(low, comma + 1)
    if first:
        for edge in _EDGE.finditer(text, start, at):
            start = edge.end()
    elif comma < 0:
        return None
    return _trimmed(text, start, at, keep_first=False)


def _trimmed(text: str, start: int, end: int, *, keep_first: bool) -> tuple[int, int] | None:
    """The span without outer spaces, cut to the ITEM_WORDS words nearest the conjunction."""
    words = list(re.finditer(r"\S+", text[start:end]))
    words = words[:ITEM_WORDS] if keep_first else words[-ITEM_WORDS:]
    return (start + words[0].start(), start + words[-1].end()) if words else None


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(text: str) -> Iterator[Tied]:
    """Adjacent lines of cells: the first cell names the thing, and the numbers in the others belong to it."""
    rows: list[tuple[str, tuple[Number, ...]]] = []
    first = at = 0
    for line in (*text.split("\n"), ""):
        label, *cells = line.split(" | ")
        if cells and len(rows) < ROWS:
            first = first if rows else at
            rows.append((label.strip(), read(" ; ".join(cells)).numbers))
        else:
            named = [(label, numbers) for label, numbers in rows if re.search(r"[^\W\d_]", label)]
            names = [label for label, _ in named]
            if len(named) > 1:
                yield Tied(tuple(names), _telling(names), tuple(numbers for _, numbers in named), first, at)
            rows = []
        at += len(line) + 1
