"""Content words, stop words and sentences of a text."""

from __future__ import annotations

import re

from ingest.sentences import sentence_spans

STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any are as at be been before being below between both but by can
    could
    did do does doing done down during each either few for from further had has have having he her here hers him his
    how i if in into is it its itself just may me might more most must my neither no nor not now of off on once only
    or other
    our ours out over own s same shall she should so some such t than that the their theirs them then there these they
    this those through to too under until up us very was we were what when where which while who whom whose why will
    with within without would you your yours
    """.split()
)
"""English function words; our own list, similar to the usual ones."""

_WORD = re.compile(r"\w+(?:[-.,]\w+)*")


def words_of(text: str) -> list[str]:
    """All words, case-folded; decimal numbers and hyphenated words are one word each."""
    return [word.casefold() for word in _WORD.findall(text)]


def query_words(question: str) -> list[str]:
    """The words to search for, without duplicates, in order; all words if they are all stop words."""
    words = list(dict.fromkeys(words_of(question)))
    return [word for word in words if word not in STOP_WORDS] or words


def split_sentences(text: str) -> list[str]:
    """The sentences of an answer, each with the markers after it."""
    return [text[start:end] for start, end in sentence_spans(text)]


def content_words(text: str) -> set[str]:
    """Content words, cut to a rough stem of six letters so that "adapting" matches "adaptation"."""
    kept = (word for word in words_of(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()))
    return {word if word[0].isdigit() else word[:6] for word in kept}


def counted(number: int, noun: str) -> str:
    """`1 page`, `2 pages`, `1,000 pages`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
