"""Who wrote a paper, when and where it appeared, asked of one that is described and not named.

"Who wrote the review on bacteria under water, and in which journal did it come out?" The paper is found by a search,
and the reply gives its title. What was invented or proposed, and by whom, is a question about what papers say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rag.catalogue.grammar import core
from rag.retrieval.forms import NAMED, fold
from rag.words import content_words

if TYPE_CHECKING:
    from rag.catalogue.grammar import Field

_PAPER: Final = (
    r"(?:paper|article|study|publication|preprint|manuscript|review|report|survey|thesis|trial|tutorial|lesson|course"
    r"|module|workshop|work|book|chapter)"
)
_OUT: Final = r"(?:published|written|printed|released|appear|come out|published in|appear in|come out in)"
_WHEN: Final = r"(?:when|in (?:which|what) year)"
_WHERE: Final = r"(?:where|in (?:which|what) (?:journal|proceedings|magazine|book|conference))"
_PARTS: Final = re.compile(rf",? and (?=(?:who|by whom|{_WHEN}|{_WHERE})\b)|, (?=(?:who|by whom|{_WHEN}|{_WHERE})\b)")
_FOLLOWS: Final[tuple[tuple[re.Pattern[str], Field], ...]] = (
    (
        re.compile(r"who(?: (?:wrote|published) (?:it|this)| (?:are|were) (?:the|its) (?:co-?)?authors)?|by whom"),
        "authors",
    ),
    (re.compile(rf"{_WHEN}(?: (?:was|is|did) (?:it|this) {_OUT})?"), "year"),
    (re.compile(rf"{_WHERE}(?: (?:was|is|did) (?:it|this) {_OUT})?"), "venue"),
)
"""Further parts of a question, and what each asks for."""
_TOPIC: Final = (
    rf"(?P<topic>{_PAPER}\b.*|(?:(?!(?:in|of|by|reported|for|used)\b)[\w’'-]+ ){{1,6}}{_PAPER}(?: (?:on|about) .+)?)"
)
_FIRST: Final[tuple[tuple[re.Pattern[str], Field], ...]] = (
    (re.compile(rf"who (?:wrote|published|authored) (?:the|this|that) {_TOPIC}"), "authors"),
    (re.compile(rf"who (?:are|were|is|was) the (?:co-?)?authors? of the {_TOPIC}"), "authors"),
    (
        re.compile(r"who (?:are|were|is|was) the (?:co-?)?authors? of the (?P<topic>(?:[\w’'-]+ ){3,9}[\w’'-]+)"),
        "authors",
    ),
    (re.compile(rf"{_WHEN} (?:was|were|did) the {_TOPIC} {_OUT}"), "year"),
    (re.compile(rf"{_WHERE} (?:was|were|did) the {_TOPIC} {_OUT}"), "venue"),
)
_JOINED: Final = re.compile(
    r"(?:in )?(?:which|what) (?P<one>year|journal|magazine|conference) and (?:in )?(?:(?:which|what) )?"
    r"(?P<other>year|journal|magazine|conference) (?P<rest>(?:was|were|did) .+?)(?: in)?"
)
"""Two facts in one question: "In which journal and year did it come out?"."""
_DONE: Final = re.compile(
    r"who (?!(?:develop|invent|propos|introduc|coin|discover|found|creat|design|defin|describ|first)\w*)"
    r"(?:\w+ed|tested|studied|measured|taught|made|grew|ran|wrote) (?P<topic>.+)"
)
"""Of a question that goes on with when or where it was published."""
_OTHERS: Final = re.compile(
    r"\b(?:first|original|used|cited|software|questionnaires?|materials?|code|data|earlier|previous|seminal|classic"
    r"|based|relies|ipcc|cdc|unesco|government|nice)\b|^who "
)
"""Words of a work that a paper mentions."""
_ON: Final = re.compile(r"(?<=course|lesson|review|report) (?:on|about) (?!which\b|what\b|whose\b)")
_MORE: Final = re.compile(r",|\band (?:how|what|why|which|did|does|do|is|are|was|were)\b")
_OF_NAMED: Final = re.compile(
    rf"(?P<first>{_WHEN}|{_WHERE})(?: did| has| have) (?P<topic>{NAMED}) (?:publish(?:ed)?)"
    r" (?:their|his|her|its|the|this) .+"
)


@dataclass(frozen=True, slots=True)
class Described:
    """What is asked about which paper."""

    topic: str
    """What the paper is about, folded; `NAMED` if the paper is named after all."""
    fields: tuple[Field, ...]


def asks_of_described(question: str) -> bool:
    """Whether a question may be one, by its first words: looking for names of papers takes longer."""
    return bool(re.match(r"(?:who|when|where|by whom|in (?:what|which))\b", core(fold(question).strip())))


def described(marked: str) -> Described | None:
    """What a question asks about a paper that it describes; None if it asks something else.

    Args:
        marked: the question, folded, with `NAMED` for each paper that it names by author.
    """
    first, *rest = _PARTS.split(core(marked))
    fields: list[Field] = []
    if not rest and (both := _JOINED.fullmatch(first)) and both["one"] != both["other"]:
        fields.append("year" if both["other"] == "year" else "venue")
        first = f"in which {both['one']} {both['rest']}"
    if rest and first in {"when", "where", "who"}:  # "When and where did …"
        fields.append({"when": "year", "where": "venue", "who": "authors"}[first])  # type: ignore[arg-type]
        first, *rest = rest
    for part in rest:
        field = next((field for pattern, field in _FOLLOWS if pattern.fullmatch(part.strip())), None)
        pair = [f for word, f in (("when", "year"), ("where", "venue")) if word in part.split()]
        if field is None and not (pair and re.fullmatch(rf"(?:when|where)(?: (?:was|is|did) it {_OUT})?", part)):
            return None
        fields.append(field or pair[0])  # type: ignore[arg-type]
    if match := _OF_NAMED.fullmatch(first):
        own: Field = "year" if re.match(_WHEN, match["first"]) else "venue"
        return Described(NAMED, tuple(dict.fromkeys((own, *fields))))
    told = bool(re.search(_OUT, " ".join(rest)) or {"year", "venue"} & set(fields))
    patterns = (*_FIRST, (_DONE, "authors")) if told else _FIRST
    for pattern, field in patterns:
        match = pattern.fullmatch(first)
        topic = match["topic"] if match else ""
        if not topic or NAMED in topic or _MORE.search(topic) or _OTHERS.search(_ON.split(topic)[0]):
            continue
        published = first.startswith("who published") or re.search(_OUT, " ".join(rest))
        if pattern is _DONE and not published:  # "Who tested the drug, and when?" asks about the drug
            continue
        if content_words(re.sub(rf"\b{_PAPER}s?\b", "", topic)):
            return Described(topic.removeprefix("the "), tuple(dict.fromkeys((field, *fields))))
    return None
