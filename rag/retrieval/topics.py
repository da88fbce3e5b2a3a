"""Papers told by what they are about: "the holy basil genome paper", and the topic of "Which papers report …?"."""

from __future__ import annotations

import math
import re

from rag.retrieval.forms import NAMED, POLITE
from rag.words import content_words

_ONE_NOUN = (
    r"(?:paper|article|study|publication|preprint|manuscript|review|survey|report|thesis|trial|tutorial|lesson|course"
    r"|module|workshop|work)"
)
_TELL_OF = (
    rf"{POLITE}(?:(?:briefly |shortly )?(?:summari[sz]e|sum up|outline|tell me about)"
    r"|(?:give|write|make|provide)(?: me)?(?: an?| the)?(?: short| brief| quick| concise)?"
    r" (?:summary|overview|synopsis) of"
    r"|what (?:is|are|was|were) the (?:gist|summary|main (?:idea|point|message|findings?|results?|contributions?"
    r"|conclusions?)|key (?:idea|point|message|findings?|results?|contributions?)|findings|results|conclusions?)"
    r" (?:of|in|from))"
)
_ON = "(?:on|about|of|that|which|describing|reporting|where|with|by|from)"
_SUMMARY_OF_DESCRIBED = re.compile(
    rf"{_TELL_OF} the (?:{_ONE_NOUN} (?:(?:by|from) .+? )?{_ON} (?P<a>.+)|(?P<b>.+?) {_ONE_NOUN})"
    rf"|what (?:is|was) the (?:{_ONE_NOUN} {_ON} (?P<c>.+?)|(?P<d>.+?) {_ONE_NOUN}) (?:all )?about"
    rf"|what (?:does|did) the (?:{_ONE_NOUN} {_ON} (?P<e>.+?)|(?P<f>.+?) {_ONE_NOUN})"
    r" (?:find|show|conclude|argue|claim|propose)"
)
"""A summary of one paper that is told by what it is about."""
_NAMED_AND_DESCRIBED = re.compile(
    rf"{_TELL_OF} {NAMED} {_ON} .+|what (?:is|was) {NAMED} {_ON} .+ about"
    rf"|what (?:does|did) {NAMED} {_ON} .+ (?:find|show|conclude|argue|claim|propose)"
)
LONGEST_REPLY = 8
"""Words; a longer reply asks something new."""
_ASKS = re.compile(
    r"(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|has|have|will|would|should"
    r"|summari[sz]e|compare|list|show|find|explain|describe|tell|give|define|all|none|never|no|yes|thanks|thank|ok|okay)\b"
)
_NO_TOPIC = frozenset({"first", "second", "third", "last", "latest", "newest", "oldest", "whole", "same", "other"})
_STRICT = re.compile(r"\b(?:paper|article|publication|preprint|manuscript|review)\b")
_IN_A_PAPER = re.compile(
    r"(?:(?:ablation|user|pilot|case|human|clinical|animal|control(?:led)?|randomi[sz]ed|simulation|evaluation|field|main"
    r"|present|current|own|previous|earlier|follow-up|online|double-blind) ?)+"
)
"""Studies and trials that papers report: "the results of the ablation study"."""


def tells_of_named(text: str) -> bool:
    """Whether a summary is asked of one paper that is named and described: "the paper by Lee and others on X"."""
    return bool(_NAMED_AND_DESCRIBED.fullmatch(text))


def described_topic(text: str) -> str | None:
    """What the paper is about of which a summary is asked; None if none is described.

    Args:
        text: the question, folded.
    """
    match = _SUMMARY_OF_DESCRIBED.fullmatch(text)
    topic = next((said for said in match.groupdict().values() if said), "") if match else ""
    if topic in _NO_TOPIC or not content_words(topic):
        return None
    return topic if _STRICT.search(text) or not _IN_A_PAPER.fullmatch(topic) else None


def reply_topic(text: str) -> str | None:
    """The paper that a reply like "the holy basil genome one" describes; None for a question or an order.

    Args:
        text: the reply, folded.
    """
    match = re.fullmatch(
        rf"(?:i mean )?(?:the |that )?(?:(?:{_ONE_NOUN}|one) {_ON} )?(.+?)(?: (?:one|{_ONE_NOUN}))?", text
    )
    topic = match[1] if match else ""
    if _ASKS.match(text) or len(topic.split()) > LONGEST_REPLY:
        return None
    return topic if content_words(topic) and topic not in _NO_TOPIC else None


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
