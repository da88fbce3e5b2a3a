"""Expected answer type: what the words of a question ask for, a number, a share, a length of time, a year or a name.

This is the classical answer typing of factoid question answering, by rule. A question that says nothing about it
expects nothing.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Expected = Literal["number", "share", "duration", "year", "name"]

_ASKS: Final[tuple[tuple[Expected, re.Pattern[str]], ...]] = (
    (
        "duration",
        re.compile(
            r"\bhow (?:long|much time)\b(?! (?:is|are|was|were) (?:the |each |a |an )?(?:\w+ )?"
            r"(?:texts?|documents?|sequences?|sentences?|inputs?|papers?|answers?|articles?|contexts?|reads?|prompts?))"
        ),
    ),
    ("share", re.compile(r"\b(?:what|which) (?:percent\w*|share|proportion|portion|fraction)\b|\bwhat % ")),
    ("year", re.compile(r"^\W*(?:when|(?:(?:in|on|from|since|by) )?(?:what|which) (?:year|date|month))\b")),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|large|big|high|low|old|fast|deep|heavy|tall|wide|small)\b"
            r"|\b(?:what|which) (?:\w+ )?(?:number|amount|dose|dosage|concentration|temperature|speed|price)\b"
        ),
    ),
    ("name", re.compile(r"^\W*(?:who|whom)\b")),
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|billions?|dozens?|half|third|quarter|"
    r"none|no|zero|twice|double|few|several|many|all|both|little)\b",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"%|‰|\bper ?cent|\bfractions?\b|\bhalf|\bthirds?\b|\bquarters?\b|\bmajority\b|\b[01]?\.\d|\d\s*/\s*\d"
    r"|\b(?:out )?of (?:the )?\d|\b(?:one|two|three|four|nine) (?:in|of|out of) \w|\ball\b|\bnone\b|\bmost\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?:\d|\b)(?:[mµnμ]?s|secs?|mins?|h|hrs?|(?:milli|micro|nano)?seconds?|minutes?|hours?|days?|nights?|weeks?|months?|"
    r"years?|decades?|centur(?:y|ies)|semesters?|terms?|overnight|lifetime)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\d|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|spring|summer|"
    r"autumn|fall|winter|century|after|before|during|while|once|until|when|if|as soon as|always|never|today|"
    r"recently)\b",
    re.IGNORECASE,
)
_PER = re.compile(r"\b(?:a|an|per|each|every) (?:second|minute|hour|day|week|month|year)\b", re.IGNORECASE)


def expected(question: str) -> Expected | None:
    """What the question asks for; None if its words do not say."""
    plain = " ".join(question.split()).casefold()
    return next((kind for kind, pattern in _ASKS if pattern.search(plain)), None)


def fits(kind: Expected | None, answer: str) -> bool:
    """Whether words may be an answer of the kind; everything is, where nothing is expected."""
    match kind:
        case "number":
            return bool(_NUMBER.search(answer))
        case "share":
            return bool(_SHARE.search(answer))
        case "duration":  # "360 questions a day" tells a rate
            return bool(_TIME.search(_PER.sub("", answer)))
        case "year":
            return bool(_DATE.search(answer))
        case "name":
            return any(char.isupper() for char in answer)
    return True
