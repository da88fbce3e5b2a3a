"""Which words of a text carry meaning."""

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
"""English function words; a list of our own, in the manner of the usual ones."""

_WORD = re.compile(r"\w+(?:[-.,]\w+)*")


def words_of(text: str) -> list[str]:
    """All words, case-folded; numbers with decimals and words with hyphens are one word."""
    return [word.casefold() for word in _WORD.findall(text)]


def query_words(question: str) -> list[str]:
    """The words to search for, each once, in order; all of them where every one is a stop word."""
    words = list(dict.fromkeys(words_of(question)))
    return [word for word in words if word not in STOP_WORDS] or words


def split_sentences(text: str) -> list[str]:
    """The sentences of an answer, each with the markers that follow it."""
    return [text[start:end] for start, end in sentence_spans(text)]


def content_words(text: str) -> set[str]:
    """The words that carry meaning, cut to a rough stem of six letters so that "adapting" meets "adaptation"."""
    kept = (word for word in words_of(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()))
    return {word if word[0].isdigit() else word[:6] for word in kept}


def counted(number: int, noun: str) -> str:
    """`1 page`, `2 pages`, `1,000 pages`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
