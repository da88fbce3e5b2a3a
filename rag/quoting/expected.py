"""Expected answer type: what the words of a question ask for, a number, a share, a length of time, a year or a name.

This is the classical answer typing of factoid question answering, by rule. A question that says nothing about it
expects nothing.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Expected = Literal["number", "share", "duration", "year", "name"]

_ENDS = r"(?=\W*$|,| (?:for|in|at|on|of|by|with|before|after|until|from|under|to|as|and|or|when|if)\b)"
_PERIOD = (
    r"(?:study|trial|training|treatment|therapy|exposure|incubation|inference|generation|recovery|stay|survival|life"
    r"|lifetime|half-life|follow-?ups?|experiments?|periods?|intervals?|sessions?|phases?|stages?|durations?|delays?"
    r"|waits?|interviews?|surgery|operations?|observations?|program(?:me)?s?|courses?|visits?|process|runs?|pauses?"
    r"|breaks?|seasons?)"
)
_DONE = r"(?:(?!used\b)\w+ed|kept|held|run|left|grown|taken|given|shown|fed|stay|last|take)"
_DIFFER = r"(?:differ|depend|vary|matter|overlap|rely|trust|agree|disagree|affect|influence|help)"
_ASKS: Final[tuple[tuple[Expected, re.Pattern[str]], ...]] = (
    (
        "duration",
        re.compile(
            r"\bhow much time\b|\bfor how long\b"
            r"|\bhow long (?:do|does|did|has|have|had|ago|until|before|after)\b"
            r"|\bhow long (?:can|could|may|might|must|should|will|would)\b(?!.*\bbe\W*$)"
            rf"|\bhow long (?:is|are|was|were)\b(?: \S+)*? (?:{_PERIOD}|{_DONE}){_ENDS}"
        ),
    ),
    ("share", re.compile(r"\b(?:what|which) (?:percent\w*|share|proportion|portion|fraction)\b|\bwhat % ")),
    (
        "year",
        re.compile(
            r"^\W*(?:when (?:was|were|did|had)|(?:(?:in|on|from|since|by) )?(?:what|which) (?:year|date|month))\b"
        ),
    ),
    (
        "number",
        re.compile(
            rf"\bhow (?:many|much(?! (?:do|does|did|can|could|will|would|should|may|might)\b.*\b{_DIFFER}\b))\b"
            r"|\bhow (?:large|big|high|low|old|fast|deep|heavy|tall|wide|small)(?=\W*$| (?:a|an|of|is|are|was|were|do"
            r"|does|did|can|could|may|might|must|should|will|would|has|have|had|the|this|that|these|those|its|their)\b"
            r"| (?:\w+ )?(?:data ?sets?|corpus|corpora|vocabular(?:y|ies)|samples?)\b)"
            r"|\b(?:what|which) (?!(?:is|are|was|were) )(?:\w+ )?"
            r"(?:number|amount|dose|dosage|concentration|temperature|speed|price)\b"
        ),
    ),
    (
        "name",
        re.compile(
            r"^\W*whom?\b(?: \w+)? (?:wrote|authored|proposed|introduced|invented|developed|designed|founded|funded"
            r"|coined|discovered|described|published|named)\b"
        ),
    ),
)
"""What is not sure is left out: "When a model fails, …", "How large language models …", "Who took part?" (nurses)."""
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|billions?|dozens?|pair|couple|half|third|quarter|"
    r"none|no|zero|twice|double|few|several|many|all|both|little)\b",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"%|‰|\bper ?cent|\bfractions?\b|\bhalf|\bthirds?\b|\bquarters?\b|\bmajority\b|\b[01]?[.,·]\d|\d\s*/\s*\d"
    r"|\b(?:out )?of (?:the )?\d|\b(?:one|two|three|four|nine) (?:in|of|out of) \w|\ball\b|\bnone\b|\bmost\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\d\s?(?:(?-i:d)|mos?|mths?)\b|\d\s?[′″]|(?:\d|\b)(?:[mµnμ]?s|secs?|mins?|h|hrs?|wks?|yrs?|fortnights?|(?:milli|micro|nano)?seconds?|minutes?|hours?|days?|nights?|weeks?|months?|"
    r"years?|decades?|centur(?:y|ies)|semesters?|terms?|overnight|lifetime)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\d|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|spring|summer|"
    r"autumn|fall|winter|century|after|before|during|while|once|until|when|if|as soon as|always|never|today|"
    r"recently|dawn|dusk|sunrise|sunset|noon|midnight|night|(?:day|week|month|year)s? (?:one|two|three|four|five|six|"
    r"seven|eight|nine|ten|eleven|twelve)|(?:first|second|third|fourth|last) (?:day|week|month|year|decade))\b",
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
