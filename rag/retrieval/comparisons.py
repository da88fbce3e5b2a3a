"""What a comparison asks of each paper by itself: search and reader understand a question better without the other."""

from __future__ import annotations

import re

from rag.retrieval.forms import NAMED, NOUN, POLITE
from rag.words import content_words

_KIND = rf"(?:{NOUN}|courses?|lessons?|works?|experiments?|trials?|methods?|models?|packages?|teams?)"
_OF_PAPER = re.compile(rf"(?:the )?{NAMED}(?:(?: [\w-]+){{0,3}}? {_KIND})?")
_COLON = re.compile(rf"{POLITE}(?:compare|contrast) [^:]*{NAMED}[^:]*: (?P<asked>.+)")
_EACH_OF = re.compile(r"\b(?:each|either|every|both)\b(?: of (?:them|these|the(?: two)?))?")
_COMPARE = rf"{POLITE}(?:compare|contrast)"
_ON = r"(?:on|in|regarding|concerning|by|with (?:respect|regard) to|in terms of)"
_TWO = rf".*{NAMED}.*{NAMED}"
_OF = r"(?:of|in|from|by|between|across|for|used by|used in)"
_DIFFERENCE = r"(?:what(?: is|'s| are)|explain|describe) the (?:main |key )?(?:differences?|similarit(?:y|ies))"
_REST = r"(?: [\w-]+){0,5}"
_AND = r"(?:and|with|to|versus|vs\.?|against)(?: (?:those|that|the ones?))?(?: (?:in|of|from|by))?"
_IN_WHAT = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_COMPARE} (?P<topic>(?!{NAMED}).+?) {_OF} (?:the )?{NAMED}{_REST}?,? {_AND} (?:the )?{NAMED}{_REST}",
        rf"{_COMPARE} {NAMED}.*{NAMED} {_ON} (?P<topic>.+)",
        rf"(?:how|in what way) (?:do|does|did) {_TWO} (?:differ|compare|disagree|agree) {_ON} (?P<topic>.+)",
        rf"{_DIFFERENCE} (?:between|of) {_TWO} {_ON} (?P<topic>.+)",
        rf"(?:is|are|was|were) (?P<topic>(?:the |there )?[^{NAMED}]+?) (?:in|of) {NAMED}.*\b(?:than|as) .*{NAMED}.*",
    )
)
_SINGULAR = {"do": "does", "are": "is", "were": "was", "have": "has"}
_SECOND_PAPER = re.compile(
    rf"(?<={NAMED})(?P<said>(?: [\w-]+){{0,6}}?),? (?:(?:as )?compared (?:with|to)|in comparison (?:with|to)"
    r"|relative to|versus|vs\.?|than|(?:and|or|while|whereas|but),? (?:(?:for|in|by|of|at|from) )?"
    rf"(?:which|what|how|whom?|when|where|those|that|the one|in|of|from)?)(?=\W).*{NAMED}.*"
)
_BOTH = re.compile(
    rf"{NAMED},? (?:and|or) (?:the )?{NAMED}(?= (?!differ|agree|disagree|compare|contradict|relate|have in common)\w)"
)
"""Two names that share what is asked: "What doses did Smith and Lee give to children?"."""
"""The other paper and what is said of it: ", and which one does Lee's course teach"."""


def asked_of_each(text: str) -> str | None:
    """What a comparison asks of each paper, in small letters and without their names; None if that is not clear.

    "How heavy were the rats in Kaur's study compared with those in Ahmed's?" asks each "how heavy were the rats in this
    paper", and "Compare the doses in Smith 2019 and Lee 2020" asks "what is the doses".

    Args:
        text: the question, folded, with `NAMED` for each paper that it names.
    """
    if match := _COLON.fullmatch(text):
        return _EACH_OF.sub("this", match["asked"])
    for pattern in _IN_WHAT:
        if match := pattern.fullmatch(text):
            return f"what is {match['topic']}"
    if text.count(NAMED) == 2 and not re.search(r"\b(?:which of|both|same|either|more|less|than)\b", text):
        joint = _BOTH.sub("this paper", text)
        if joint != text:
            return re.sub(r"\b(do|are|were|have) this paper", lambda m: f"{_SINGULAR[m[1]]} this paper", joint)
    first = _SECOND_PAPER.sub(r"\g<said>", text)
    if first.count(NAMED) != 1 or len(content_words(first.replace(NAMED, ""))) < 2:
        return None
    return _OF_PAPER.sub("this paper", first)
