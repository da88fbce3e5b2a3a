"""Sentences that answer nothing: titles, headings, questions, aims, keyword lists, addresses and references."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rag.words import content_words, words_of

if TYPE_CHECKING:
    from rag.answer import Passage

MIN_WORDS: Final = 4
"""Minimum words of a sentence; anything shorter is a heading, a label or part of a formula."""

_AIM = re.compile(
    r"\b(?:aims?|purpose|objectives?|goals?) (?:of|was|is|were|are)\b|\bwas (?:conducted|undertaken|designed) to\b"
    r"|\b(?:we|study|paper|work|article) aim(?:s|ed)? (?:to|at)\b",
    re.IGNORECASE,
)
_ASKS_AIM = re.compile(r"\b(?:aims?|purposes?|objectives?|goals?|why|motivat\w*)\b", re.IGNORECASE)
_KEYWORDS = re.compile(r"(?<!\w)(?:key ?words?(?: and phrases)?|index terms)\b\s*[:.—–-]", re.IGNORECASE)
_ASKS_KEYWORDS = re.compile(r"\bkey ?words?\b", re.IGNORECASE)
_ADDRESS = re.compile(
    r"^[^.;]{0,60}\b(?:department|institute|faculty|college|school|laboratory|division) of\b.*\b(?:universit\w+|"
    r"institut\w+|hospital|college|academy)\b|\S@\S+\.\w",
    re.IGNORECASE,
)
_NAMES = re.compile(
    r"(?:[A-ZÀ-Ý][\w.’'-]*\s(?:[A-ZÀ-Ý][\w.’'-]*\s)?[A-ZÀ-Ý][a-zß-ÿ][\w’'-]+(?: ?[¹²³⁴⁵⁶⁷⁸⁹*†‡,]*[¹²³⁴⁵⁶⁷⁸⁹*†‡]"
    r"(?:\s*[|,;&]|\s+and\b)|, [¹²³⁴⁵⁶⁷⁸⁹]+\s).{0,80}?){2}"
)
"""Two people with the marks of their addresses; a unit or a star of significance has no two names before it."""
_ASKS_ADDRESS = re.compile(
    r"\b(?:who|whom|whose|where|authors?|affiliat\w+|universit\w+|institut\w+|hospitals?|e-?mail|contact)\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\b(?:19|20)\d\d[;,]\s?\d+\s?(?:\(\d+\))?[:,]\s?\w?\d+[-–]\w?\d+|\bdoi:\s?10\.|\barXiv:\d|\bIn Proceedings of\b"
    r"|\bcite (?:this|the) (?:article|paper|work|version) as\b|^\W*citation: ?[A-ZÀ-Ý]\w+,? [A-ZÀ-Ý]",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\(\d{4}\) \d+:\s?\d+ https?://")
"""A running head with volume and page."""
_LEGEND = re.compile(
    r"(?:(?:^|[;,]\s)(?:and )?[A-Z][A-Za-z]{0,7} ?= ?[A-Za-z][^;,=]{2,60}){3}"
    r"|(?:(?:^|[;,.]\s)(?:[A-Z]{2,8}|[A-Z]\. [a-z]+) ?: ?[A-Z][^;,:=]{2,60}){3}"
)
"""Abbreviations and what they stand for."""
_ASKS_LEGEND = re.compile(r"\b(?:stands? for|abbreviat\w+|acronyms?|means?|legends?|captions?)\b", re.IGNORECASE)
_CAPTION: Final = re.compile(
    r"\W*(?:Fig(?:ures?|s?\.)|Tables?|Schemes?|FIG(?:S?\.|URES?)|TABLES?) ?\d+[a-z]?\b"
    r"(?! (?:and|to|shows?|lists?|gives?|summari[sz]es?|presents?|reports?|compares?|depicts?|illustrates?"
    r"|demonstrates?|contains?|describes?|indicates?|provides?|displays?|reveals?|details?)\b)"
)
_ASKS_REFERENCE = re.compile(r"\b(?:references?|cite[sd]?|citations?|doi|published|arxiv|journal)\b", re.IGNORECASE)
_KINDS_OF_ARTICLE: Final = content_words(
    "research original review article paper report communication open access brief short letter"
)
"""Words that stand above a title."""
_BACK_MATTER: Final = re.compile(
    r"\W*(?:[\divxlc]+\W+)?(?:acknowledg\w*(?: and .*)?|financial support"
    r"|(?:sources? of )?funding(?: (?:statement|sources?|information|acknowledg\w*|and .*))?"
    r"|(?:declarations? of )?(?:conflicts? of|competing|financial) interests?(?: statements?)?"
    r"|(?:financial )?disclosures?(?: statements?)?|authors?['’]?s? (?:contributions?|information|details|biograph\w*)"
    r"|ethic(?:s|al) (?:statement|approval)|consent for publication)\W*",
    re.IGNORECASE,
)
_ASKS_BACK_MATTER: Final = re.compile(
    r"\b(?:acknowledg\w+|thank\w*|fund\w*|grants?|sponsor\w*|paid|conflicts?"
    r"|interests?|disclos\w+|contribut\w+|authors?|who|whom|whose|wrote|ethic\w*|consent\w*|approv\w+|committee)\b",
    re.IGNORECASE,
)
_LICENCE: Final = re.compile(
    r"\bretain copyright\b|\bopen[- ]access article (?:distributed|published|under)\b"
    r"|\b(?:distributed|released|licensed|published) under (?:the |a )?(?:terms of )?(?:the |a )?creative commons\b",
    re.IGNORECASE,
)
_ASKS_LICENCE: Final = re.compile(
    r"\b(?:licen[cs]\w*|copyright\w*|creative commons|open access|reus\w+|redistribut\w+|cc by|terms"
    r"|shar\w+|publish\w+)\b",
    re.IGNORECASE,
)
_NO_ANSWER: Final = (
    (_AIM, _ASKS_AIM),
    (_KEYWORDS, _ASKS_KEYWORDS),
    (_ADDRESS, _ASKS_ADDRESS),
    (_NAMES, _ASKS_ADDRESS),
    (_REFERENCE, _ASKS_REFERENCE),
    (_HEADER, _ASKS_REFERENCE),
    (_LEGEND, _ASKS_LEGEND),
    (_LICENCE, _ASKS_LICENCE),
)
"""Patterns of sentences that do not answer a question, each with the pattern of questions that they do answer."""


def is_beside_the_point(passage: Passage, question: str) -> bool:
    """Whether a passage is of a section that thanks or declares, and the question does not ask for that.

    Sections of references stay: what follows them, such as an appendix, may have been read as part of them.
    """
    section = passage.chunk.own_section(passage.paper)
    return bool(section and _BACK_MATTER.fullmatch(section) and not _ASKS_BACK_MATTER.search(question))


def may_answer(sentence: str, question: str, *, title: str = "") -> bool:
    """Whether a sentence may be an answer.

    Titles, headings, questions, aims, keyword lists, addresses, references, running heads, legends and licences do not
    qualify unless asked for.
    """
    flat = " ".join(sentence.split())
    if len(words_of(flat)) < MIN_WORDS or flat.endswith("?"):
        return False
    said, of_title = content_words(flat), content_words(title)
    if title and (said <= of_title or (said - _KINDS_OF_ARTICLE and said - _KINDS_OF_ARTICLE <= of_title)):
        return False
    return not any(pattern.search(flat) and not asks.search(question) for pattern, asks in _NO_ANSWER)


def is_caption(sentence: str) -> bool:
    """Whether a sentence is the caption of a figure or a table: "Table 3: …", not "Table 3 shows …"."""
    return bool(_CAPTION.match(" ".join(sentence.split())))


def is_apparatus(sentence: str) -> bool:
    """Whether a sentence is a keyword list, an address or a reference."""
    return any(pattern.search(sentence) for pattern in (_KEYWORDS, _ADDRESS, _NAMES, _REFERENCE))
