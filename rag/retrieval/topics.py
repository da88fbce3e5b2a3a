"""Papers told by what they are about: "the holy basil genome paper", and the topic of "Which papers report …?"."""

from __future__ import annotations

import math
import re

from rag.retrieval.forms import IN_SHORT, NAMED, POLITE, SHORT
from rag.words import content_words

_PAPER = r"(?:paper|article|publication|preprint|manuscript|review)"
_ONE_NOUN = rf"(?:{_PAPER}|study|survey|report|thesis|trial|tutorial|lesson|course|module|workshop|work)"
_BRIEF = r"(?: an?| the)?(?: short| brief| quick| concise)?"
_SUM_UP = (
    rf"{IN_SHORT}{POLITE}(?:(?:briefly |shortly )?(?:summari[sz]e|sum up|outline|tell me about)|tl;?dr(?: of)?:?"
    rf"|(?:give|write|make|provide)(?: me)?{_BRIEF} (?:summary|overview|synopsis|gist) of"
    r"|what (?:is|was) the (?:gist|summary|main (?:idea|point|message)|key (?:idea|point|message)) of)"
)
_FINDINGS = (
    r"what (?:are|is|were|was) the (?:(?:main|key) )?(?:findings?|results?|contributions?|conclusions?) (?:of|in|from)"
)
_ON = "(?:on|about|describing|of|that|which|with|by|from)"
_WORDS = r"(?:[\w’'-]+ ){1,5}"
_SUMMARY_OF_DESCRIBED = re.compile(
    rf"{_SUM_UP} the (?:{_PAPER} (?:(?:by|from) .+? )?{_ON} (?P<a>.+)"
    rf"|{_ONE_NOUN} (?:(?:by|from) .+? )?(?:on|about) (?P<b>.+)|(?P<c>{_WORDS}){_ONE_NOUN})"
    rf"|{_FINDINGS} the (?:{_PAPER} (?:on|about) (?P<d>.+)|(?P<e>{_WORDS}){_PAPER})"
    rf"|{IN_SHORT}what (?:is|was) the (?:{_ONE_NOUN} {_ON} (?P<f>.+?)|(?P<g>{_WORDS}){_ONE_NOUN})"
    rf" (?:all )?about(?:,? {SHORT})?"
    rf"|what (?:does|did) the (?:(?:{_PAPER}|study) (?:on|about) (?P<h>.+?)|(?P<i>{_WORDS})(?:{_PAPER}|study))"
    r" (?:find|show|conclude|argue|claim|propose)"
)
"""A summary of one paper that is told by what it is about."""
_NAMED_AND_DESCRIBED = re.compile(
    rf"{_SUM_UP} {NAMED} (?:on|about|of) .+|what (?:is|was) {NAMED} (?:on|of) .+ about"
    rf"|{_SUM_UP} the (?P<words>{_WORDS})(?:{_ONE_NOUN}|guide|guidebook) (?:by|from) {NAMED}"
)
_BESIDE = re.compile(
    r"(?:,? and what (?:(?:do|does|did) (?:they|it|the authors) (?:find|show|conclude|report)"
    r"|(?:are|were|is|was) (?:its|the|their) (?:main |key )?(?:findings?|results?|conclusions?))| for me| please)+$"
)
"""What a summary has anyway, and politeness."""
_PART = re.compile(
    r"\b(?:of|in|the|this|that|these|and|or|for|to|with|between|from|by|at|used|results?|findings?|limitations?|methods?"
    r"|conclusions?|authors?|figures?|tables?|data|evidence|most|least|\d+|\w+est|first|second|third|fourth|last|newest"
    r"|whole|same|other|recent|original|previous|next)\b"
)
"""What stands before "paper" and describes none: "the results of the study", "the most recent paper"."""
_NO_PAPER = re.compile(r"\b(?:interview|discussion|topic|style|user)$")
"""What stands before "guide" where that is a part of a study."""
LONGEST_REPLY = 8
"""Words that carry meaning; a longer reply asks something new. Half of it where nothing says that a paper is meant."""
_ASKS = re.compile(
    r"(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|has|have|will|would|should"
    r"|summari[sz]e|compare|list|show|find|explain|describe|tell|give|define|write|make"
    r"|all|none|any|never|no|yes|thanks|thank|ok|okay|i|you|we|forget|cancel|skip|stop|hello|hi|sorry|please|main|key)\b"
)
IN_A_PAPER = re.compile(
    r"(?:(?:ablation|user|pilot|case|human|clinical|animal|control(?:led)?|randomi[sz]ed|simulation|evaluation|field|main"
    r"|present|current|own|previous|earlier|follow-up|online|double-blind) ?)+"
)
"""Studies and trials that papers report: "the results of the ablation study"."""


def tells_of_named(text: str) -> bool:
    """Whether a summary is asked of one paper that is named and described: "the paper by Lee and others on X"."""
    match = _NAMED_AND_DESCRIBED.fullmatch(_BESIDE.sub("", text))
    words = (match["words"] or "").strip() if match else ""
    return bool(match) and not (_PART.search(words) or IN_A_PAPER.fullmatch(words) or _NO_PAPER.search(words))


def described_topic(text: str) -> str | None:
    """What the paper is about of which a summary is asked; None if none is described.

    Args:
        text: the question, folded.
    """
    match = _SUMMARY_OF_DESCRIBED.fullmatch(_BESIDE.sub("", text))
    group, topic = (
        next(((k, said.strip()) for k, said in match.groupdict().items() if said), ("", "")) if match else ("", "")
    )
    if not content_words(topic) or (
        group in {"c", "e", "g", "i"} and (_PART.search(topic) or IN_A_PAPER.fullmatch(topic))
    ):
        return None
    return topic


def reply_topic(text: str) -> str | None:
    """The paper that a reply like "the holy basil genome one" describes; None for a question or an order.

    Args:
        text: the reply, folded.
    """
    text = re.sub(rf"^{POLITE}(?:i mean )?(?:the |that )?", "", text)
    match = re.fullmatch(rf"(?:(?:{_ONE_NOUN}|one) {_ON} )?(.+?)(?: (?:one|{_ONE_NOUN}))?", text)
    topic = match[1] if match else ""
    n, told = len(content_words(topic)), topic != text
    if _ASKS.match(text) or _PART.fullmatch(topic) or not n:
        return None
    return topic if n <= (LONGEST_REPLY if told else LONGEST_REPLY // 2) else None


def topic_of_papers(question: str) -> set[str]:
    """Stems of the words that papers are asked for: "anxiol", "effect" of "Which papers report anxiolytic effects?"."""
    return content_words(question) - content_words(
        "paper papers article articles study studies publication publications preprint preprints library collection "
        "mention mentions use uses used using discuss report reports address deal deals talk talks "
        "cover covers propose proposes evaluate investigate examine describe consider contain apply introduce "
        "measure work works show find found argue claim recommend say says test tested rely focus list give many please"
    )


def says(text: str, topic: set[str]) -> bool:
    """Whether a text has the words of a topic, or two thirds of them where they are three or more."""
    return bool(topic) and len(topic & content_words(text)) >= math.ceil(2 / 3 * len(topic))
