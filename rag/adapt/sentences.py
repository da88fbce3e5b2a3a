"""Turn a question and its short answer into a full sentence, by rules for plain English."""

from __future__ import annotations

import re
from typing import Final

from rag.evaluation.metrics import UNANSWERABLE

NOT_SAID: Final = "The passages do not say."
"""What the model learns to write if nothing in its context answers the question."""

WHOLE: Final = 8
"""An answer with at least this many words counts as a sentence."""

_PAST: Final = {
    "use": "used", "make": "made", "find": "found", "get": "got", "take": "took", "give": "gave", "choose": "chose",
    "build": "built", "run": "ran", "have": "had", "do": "did", "see": "saw", "draw": "drew", "show": "showed",
    "write": "wrote", "begin": "began", "keep": "kept", "hold": "held", "mean": "meant", "lead": "led", "come": "came",
    "feed": "fed", "set": "set", "split": "split", "put": "put", "rely": "relied", "plan": "planned",
}  # fmt: skip
_SUBJECT: Final = r"(?P<subject>they|we|it|the (?:authors?|paper|article|study|model|system|researchers))"
_BE: Final = r"(?P<be>is|are|was|were)"
_DOES = re.compile(
    rf"(?:what|which)(?P<noun>(?: [\w-]+){{0,4}}?) (?P<aux>do|does|did) {_SUBJECT} (?P<verb>[a-z]+)(?P<rest>[^?]*)\?",
    re.IGNORECASE,
)
_HOW_MANY_DO = re.compile(
    rf"how (?:many|much) (?P<noun>[\w\s-]+?) (?P<aux>do|does|did) {_SUBJECT} (?P<verb>[a-z]+)(?P<rest>[^?]*)\?",
    re.IGNORECASE,
)
_HOW_MANY_ARE = re.compile(rf"how (?:many|much) (?P<noun>[\w\s-]+?) {_BE} (?P<rest>[^?]+)\?", re.IGNORECASE)
_WHAT_IS = re.compile(
    rf"(?:what|which|who) {_BE} (?P<rest>(?:the|their|its|an?|this|these|those) [^?]+)\?", re.IGNORECASE
)
_STRANDED = re.compile(r"\b(?:in|on|of|for|from|with|by|to|at|against|as)\W*$", re.IGNORECASE)


def as_sentence(question: str, answer: str) -> str:
    """The answer as a full sentence if a rule applies, else the answer with a capital and a full stop.

    "How many examples did they use?" with "512" becomes "They used 512 examples."; yes and no stay as they are.
    """
    said = " ".join(answer.split())
    if said == UNANSWERABLE:
        return NOT_SAID
    asked = " ".join(question.split())
    if said.lower().rstrip(".") in {"yes", "no"} or len(said.split()) >= WHOLE:
        return _finished(said)
    return _finished(_turned(asked, said.rstrip(".")) or said)


def _turned(question: str, answer: str) -> str | None:
    """The question as a statement that contains the answer; None if no rule applies."""
    if (found := _HOW_MANY_DO.fullmatch(question)) and answer[:1].isdigit():
        if found["noun"].lower() in answer.lower():
            return f"{_says(found)} {answer}{found['rest']}"
        return f"{_says(found)} {answer} {found['noun']}{found['rest']}"
    if (found := _HOW_MANY_ARE.fullmatch(question)) and answer[:1].isdigit():
        noun = "" if found["noun"].lower() in answer.lower() else f" {found['noun']}"
        return f"{answer}{noun} {found['be'].lower()} {found['rest']}"
    if (found := _DOES.fullmatch(question)) and not _STRANDED.search(found["rest"]):
        return f"{_says(found)} {answer}{found['rest']}"
    if (found := _WHAT_IS.fullmatch(question)) and not _STRANDED.search(found["rest"]):
        return f"{found['rest']} {found['be'].lower()} {answer}"
    return None


def _says(found: re.Match[str]) -> str:
    """Subject and verb: "they used"."""
    verb, aux = found["verb"].lower(), found["aux"].lower()
    return f"{found['subject']} {verb if aux == 'do' else _past(verb) if aux == 'did' else _third(verb)}"


def _past(verb: str) -> str:
    if verb in _PAST:
        return _PAST[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    return f"{verb[:-1]}ied" if re.search(r"[^aeiou]y$", verb) else f"{verb}ed"


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if re.search(r"(?:s|x|ch|sh|o)$", verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", verb) else f"{verb}s"


def _finished(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
