"""Typing errors in a question: words that neither English nor the library has, read as words of the passages found.

Only small letters are mended, since names, formulas and abbreviations may be new, and only towards a word that stands
in the passages that the search found anyway. So a rare word is not replaced by a common one of another subject.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final

from ingest import UserFacingError
from ingest.embed import embedded_model
from rag.words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SHORTEST: Final = 4
"""Letters of a word that is mended; a shorter one has too many neighbours."""

LONG: Final = 6
"""Letters from which on a wrong, added or dropped letter is an error."""

MOST: Final = 0.5
"""A question with a larger share of unknown words is in another language."""

_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|\S")
_ASKING: Final = frozenset(
    "compare compared summarise summarize explain describe many much paper papers study studies".split()
)
_FIRST: Final = frozenset("what which when where whose does".split())
"""Words that a question begins with."""
_ANY: Final = frozenset({"which", "what"})
"""Those that stand before any word."""
_AUXILIARY: Final = frozenset("is are was were do does did has have had can could will would should".split())
_POLITE: Final = frozenset(
    "please really anybody somebody anyone someone anything something ever article articles library mention mentions "
    "tell know think there thanks".split()
)
"""Words about the question, not about the papers."""
_SMALL: Final = frozenset("many much each which with have does were from there".split())
"""Small words that are often mistyped and are one letter away from no other word of a question."""
_OF_SCIENCE: Final = re.compile(
    r"(?:in|ine|ol|ose|ase|ate|ite|ide|one|ane|ene|yne|an|ic|oma|emia|aemia|itis|osis|pathy|phagia|phasia|um|us|tion"
    r"|sis)s?$"
)
"""Endings of compounds, diseases and processes, where one letter makes another one: inulin and insulin."""


@cache
def english_words() -> frozenset[str]:
    """The whole words among the embedding model's word pieces, about 20,000; empty if it is not installed."""
    try:
        with (embedded_model() / "tokenizer.json").open(encoding="utf-8") as file:
            return frozenset(word for word in json.load(file)["model"]["vocab"] if word.isalpha())
    except (UserFacingError, OSError, KeyError, ValueError):
        return frozenset()


def doubtful(question: str, *, stands: Callable[[str], bool]) -> list[str]:
    """The words of a question that may be typing errors, as written; empty if they are too many for that.

    Args:
        question: in the user's words.
        stands: whether the library has a word.
    """
    words = _WORD.findall(question)
    plain = [
        word
        for i, word in enumerate(words)
        if word.isalpha() and len(word) >= SHORTEST and (word.islower() or (i == 0 and word[1:].islower()))
    ]
    known = STOP_WORDS | _ASKING | english_words()
    if not english_words():
        return []
    found = [word for word in plain if known.isdisjoint(_forms(word.casefold())) and not stands(word.casefold())]
    return found if len(found) <= MOST * len([word for word in words if word[0].isalpha()]) else []


def unknown_words(question: str, *, stands: Callable[[str], bool]) -> list[str]:
    """The words of a question that stand in no paper, in none of their forms; small words and short ones aside.

    Args:
        question: in the user's words.
        stands: whether the library has a word.
    """
    words = dict.fromkeys(word.casefold() for word in _WORD.findall(question) if word.isalpha())
    asked = [word for word in words if len(word) >= SHORTEST and word not in STOP_WORDS | _ASKING | _POLITE]
    return [word for word in asked if not any(stands(form) for form in _spellings(word))]


def _spellings(word: str) -> set[str]:
    """Its forms, and those of the other English spelling: "randomised", "tumour"."""
    forms = _forms(word)
    for a, b in (("is", "iz"), ("iz", "is"), ("our", "or"), ("ae", "e")):
        forms |= {form.replace(a, b) for form in forms if a in form}
    return forms


def _forms(word: str) -> set[str]:
    """The word and what it may be a form of: "rinsing", "rins", "rinse"."""
    stems = {word.removesuffix(end) for end in ("s", "es", "ed", "ing", "ly") if word.endswith(end)}
    return {word} | {form for stem in stems for form in (stem, f"{stem}e", stem[:-1]) if len(form) >= SHORTEST - 1}


def mended(question: str, wrong: Iterable[str], texts: Iterable[str]) -> tuple[str, dict[str, str]] | None:
    """The question with its doubtful words read as words of the texts, and how each is read; None if none is near."""
    there = Counter(word for text in texts for word in re.findall(r"[a-z]+", text.casefold()) if len(word) > 2)
    for word in STOP_WORDS - _SMALL:  # "whey" is not "when"
        there.pop(word, None)
    there.update(_SMALL | _ASKING)
    words = question.split()
    told: dict[str, str] = {}
    for word in dict.fromkeys(wrong):
        asks = words[1:2] and words[1].casefold() in _AUXILIARY
        begins = _nearest(word.casefold(), Counter(_FIRST if asks else _ANY)) if words[0] == word else None
        if instead := begins or _nearest(word.casefold(), there):
            told[word] = instead.capitalize() if word[0].isupper() else instead
    return (reworded(question, told), told) if told else None


def reworded(text: str, words: Mapping[str, str]) -> str:
    """The text with each of these words replaced; small letters stay small."""
    for word, instead in words.items():
        text = re.sub(rf"\b{re.escape(word)}\b", instead, text)
        text = re.sub(rf"\b{re.escape(word.casefold())}\b", instead.casefold(), text)
    return text


def _nearest(word: str, there: Counter[str]) -> str | None:
    """The commonest word that is one error away and has the same first letter."""
    near = [
        (-count, other)
        for other, count in there.items()
        if other[0] == word[0]
        and len(other) >= SHORTEST
        and abs(len(other) - len(word)) < 2
        and edits(word, other, 1) == 1
        and (other in _SMALL | _FIRST or _is_same_word(word, other))
    ]
    return min(near)[1] if near else None


def _is_same_word(word: str, other: str) -> bool:
    """Whether one is the other with an error, not a word of its own.

    Swapped and doubled letters are errors in every word. Any other error counts in words of six letters or more that do
    not end as compounds and diseases do.
    """
    if sorted(word) == sorted(other) or _single(word) == _single(other):
        return True
    compounds = (_OF_SCIENCE.search(word) or word.endswith("al")) and _OF_SCIENCE.search(other)
    return min(len(word), len(other)) >= LONG and not compounds


def _single(word: str) -> str:
    return re.sub(r"(.)\1", r"\1", word)


def edits(a: str, b: str, most: int) -> int:
    """How many letters are changed, added, dropped or swapped with their neighbour; `most` + 1 if more than that.

    The optimal string alignment distance (Damerau 1964; Boytsov 2011).
    """
    before, row = list[int](), list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, before, row = before, row, [i]
        for j, y in enumerate(b, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
