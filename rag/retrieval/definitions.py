"""Questions for a definition, "What is allodynia?", and the words of a sentence that define a term.

These are the lexico-syntactic patterns of definition extraction (Hearst 1992; Navigli and Velardi 2010), by rule.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ingest.sentences import sentence_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

FEWEST: Final = 3
"""Words of a definition, at least."""

LONGEST_TERM: Final = 5
"""Words; a longer phrase is described rather than defined."""

_ASKS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"what (?:is|are) (?:meant by|the (?:meaning|definition) of)(?: the term)? (?P<term>.+)",
        r"what (?:does|do|did) .+? mean by (?:the term )?(?P<term>.+)",
        r"what does (?:the term )?(?P<term>.+?) (?:mean|stand for|refer to)(?: (?!by\b).+)?",
        r"(?:please )?(?:define|give (?:me )?(?:a|the) definition of)(?: the term)? (?P<term>.+)",
        r"how (?:is|are) (?P<term>.+?) defined(?: .+)?",
        (
            r"what (?:is|are) (?:an? )?(?!(?:the|this|these|those|that|their|its|his|her|our|your|my|it|meant|known"
            r"|used|new|there|being|done)\b)(?P<term>.+)"
        ),
    )
)
SHORTEST_PLURAL: Final = 5
"""Letters of a word whose plural is looked for too; "MS" and "gas" are no plurals."""

_BESIDE: Final = re.compile(r"(?: (?:when|in the|in a|in an|in this|according to|as used|here)\b.*)$", re.IGNORECASE)
_QUOTED: Final = re.compile(r"[“\"‘'«](?P<term>[^”\"’'»]+)[”\"’'»]")
_OF: Final = re.compile(r"\b(?:of|in|for|on|by|from|with|to|between|used|and|or)\b", re.IGNORECASE)
_NO_TERM: Final = re.compile(
    r"(?:the|this|these|those|that|their|its|his|her|our|your|my|it|he|she|they|we|you|one)\b"
    r"|.*\b(?:authors?|papers?|study|studies|articles?|figures?|tables?|sections?|equations?|results?|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
"""What is meant by it can only be said of this place."""
_NOT_SO: Final = re.compile(
    r"(?:not|also|often|usually|now|still|very|more|less|most|then|thus|being|used|found|shown|given|applied|increas\w+"
    r"|decreas\w+|important|necessary|needed|available|present|present(?:ed)?|based|performed|carried|measured|affected"
    r"|(?:an?|the|one of the) (?:\w+ )?(?:matter|problem|limitation|concern|challenge|topic|question|rest|same|cause"
    r"|reason)s?)\b",
    re.IGNORECASE,
)
"""What a term is said to be, but not what it is."""


def term_asked(question: str) -> str | None:
    """The term whose definition is asked for; None for another question."""
    text = " ".join(question.split()).rstrip("?.! ")
    match = next((found for pattern in _ASKS if (found := pattern.fullmatch(text))), None)
    if match is None:
        return None
    quoted = _QUOTED.search(match["term"])
    term = quoted["term"] if quoted else _BESIDE.sub("", match["term"])
    term = re.sub(r"^(?:an?|the) ", "", term.strip(" ,“”\"‘’'"), flags=re.IGNORECASE)
    if not 0 < len(term.split()) <= LONGEST_TERM or (not quoted and (_OF.search(term) or _NO_TERM.match(term))):
        return None
    return term if len(term) > 1 else None


def definition_in(text: str, term: str) -> tuple[float, tuple[int, int], tuple[int, int]] | None:
    """The best definition of a term in a text: its strength, the words that define, and their sentence; or None.

    Strength runs from 1, "pain (allodynia)", to 3, "allodynia is defined as pain".
    """
    return max(_definitions(text, term), default=None)


@lru_cache(maxsize=64)
def _patterns(term: str) -> tuple[tuple[float, re.Pattern[str]], ...]:
    words = [re.escape(word) for word in term.split()]
    if len(words[-1]) >= SHORTEST_PLURAL and not words[-1].isupper():
        words[-1] = re.sub(r"(?:ies|y|s)$", "", words[-1]) + r"(?:s|es|y|ies)?"
    joined = r"[\s-]+".join(words)
    t = rf"(?:(?:the|an?)\s+)?(?:term\s+)?[“\"‘'«]?(?<![\w-]){joined}(?![\w-])[”\"’'»]?(?:\s*\([^()]*\))*"
    be, mostly = r"(?:is|are|was|were|can\s+be|may\s+be)", r"(?:usually\s+|generally\s+|commonly\s+)?"
    called = r"(?:called|termed|known\s+as|referred\s+to\s+as)"
    start = r"^(?:[^,;:]{0,40},\s+|(?:in general|generally|thus|hence|here),?\s+|\W*)"
    return tuple(
        (strength, re.compile(pattern, re.IGNORECASE | re.DOTALL))
        for strength, pattern in (
            (3.0, rf"{t},?\s+{be}\s+{mostly}defined\s+(?:as|by)\s+(?P<said>.+)"),
            (3.0, rf"{t}\s+(?:refers?\s+to|means?|denotes?|stands?\s+for)\s+(?P<said>.+)"),
            (2.5, rf"{start}{t}(?:\s+[a-z]+)?,?\s+(?:is|are)\s+(?P<said>(?:an?|the|any|one\s+of)\s+.+)"),
            (2.0, rf"\b{t}\s*:\s+(?P<said>(?:we|the|an?)\s.+)"),
            (1.8, rf"\b{t},\s+(?:i\.e\.,?|that\s+is,?|which\s+(?:is|are)|defined\s+as)\s+(?P<said>[^,;]{{12,}})"),
            (1.5, rf"(?P<said>[^.;]{{12,200}}?),?\s+(?:is|are|also)?\s*{called}\s+{t}"),
            (1.2, rf"{start}{t},?\s+are\s+(?P<said>[a-z].+)"),
            (1.0, rf"(?:^|,\s+(?:and\s+)?|;\s+|\band\s+)(?P<said>(?!viz|e\.g|i\.e)[^,;()]{{12,160}}?)\s*\(\s*{t}\s*\)"),
        )
    )  # fmt: skip


def _definitions(text: str, term: str) -> Iterator[tuple[float, tuple[int, int], tuple[int, int]]]:
    last = term.rsplit(maxsplit=1)[-1].casefold()[:4]
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        if last not in sentence.casefold() or sentence.rstrip().endswith("?"):
            continue
        for strength, pattern in _patterns(term):
            match = pattern.search(sentence)
            if not match or _NOT_SO.match(match["said"]) or len(match["said"].split()) < FEWEST:
                continue
            low, high = match.span("said")
            said = sentence[low:high].rstrip(" .;,")
            yield strength, (start + low, start + low + len(said)), (start, end)
            break
