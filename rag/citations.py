"""Read the markers back, drop what was invented, tie each sentence to the passage that carries its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answer import Citation, Passage, Sentence
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ATTACH_AT = 0.5
"""A sentence without a marker is tied to a passage that has at least this share of its content words."""

ABOUT_ANSWERING = frozenset(
    word[:6] for word in ("answer", "question", "passage", "text", "paper", "following", "based")
)
"""Words with which a model speaks of its own task; they tie a sentence to no passage."""

MIN_QUOTE = 20
"""Characters; less is a list's number or a remain of a formula, and no quote."""

_MARKER = re.compile(r"\s*[\[【]\s*(?:passage\s*)?(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*[\]】]", re.IGNORECASE)
_SENTENCE = re.compile(
    r"(?<!\bet al\.)(?<!\be\.g\.)"
    r"(?<!\bi\.e\.)(?<!\bFig\.)(?<!\bEq\.)(?<!\bvs\.)(?<!\bcf\.)(?<=[.!?])((?:\s*\[\d+\])*)\s+(?=\S)|\n+"
)
_LEADING_MARK = re.compile(r"^(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Cited:
    """An answer's text with the markers that hold, its sentences and its citations."""

    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]


def split_sentences(text: str) -> list[str]:
    """The sentences of an answer, each with the markers that follow it."""
    parts, at = [], 0
    for match in _SENTENCE.finditer(text):
        parts.append(text[at : match.end(1) if match[1] else match.start()])
        at = match.end()
    return [part.strip() for part in (*parts, text[at:]) if part.strip()]


def markers_in(text: str) -> list[int]:
    """The markers that stand in a text, in order; [2, 5] is two and [2-4] is three."""
    return _markers(text)


def without_markers(text: str) -> str:
    """The text without its markers."""
    return _MARKER.sub("", text).strip()


def cite(text: str, passages: Sequence[Passage], *, page_text: Callable[[str, int], str]) -> Cited:
    """The answer with its markers checked.

    Args:
        text: what the model wrote.
        passages: what it was shown; a marker that names none of them was invented and is dropped.
        page_text: the stored text of (paper id, page), against which quotes are verified.

    A sentence without a marker of its own is tied to the passage that has most of its content words, if it has
    at least `ATTACH_AT` of them.
    """
    known = {passage.marker: passage for passage in passages}
    lines, sentences, citations = [], [], {}
    for line in text.split("\n"):
        marked = []
        for raw in split_sentences(line):
            plain = _MARKER.sub("", raw).strip()
            if not content_words(plain):
                marked.append(plain)
                continue
            own = [marker for marker in dict.fromkeys(_markers(raw)) if marker in known]
            markers = own or [p.marker for p in [_closest(plain, passages)] if p]
            for marker in markers:
                if marker not in citations:
                    citations[marker] = _citation(plain, known[marker], page_text)
            sentences.append(Sentence(_LEADING_MARK.sub("", plain), None, tuple(markers)))
            marked.append(_with_markers(plain, markers))
        lines.append(" ".join(part for part in marked if part))
    ordered = tuple(citations[marker] for marker in sorted(citations))
    return Cited("\n".join(lines).strip(), tuple(sentences), ordered)


def _markers(text: str) -> list[int]:
    found: list[int] = []
    for match in _MARKER.finditer(text):
        for part in re.split(r"[,;]", match[1]):
            ends = [int(number) for number in re.findall(r"\d+", part)]
            found += range(ends[0], ends[-1] + 1) if len(ends) == 2 else ends
    return found


def _with_markers(sentence: str, markers: Sequence[int]) -> str:
    """The sentence with its markers before its full stop: "It is so [1]."."""
    if not markers or not sentence:
        return sentence
    shown = "".join(f"[{marker}]" for marker in markers)
    if sentence[-1] in ".!?":
        return f"{sentence[:-1].rstrip()} {shown}{sentence[-1]}"
    return f"{sentence} {shown}"


def _closest(sentence: str, passages: Sequence[Passage]) -> Passage | None:
    """The passage that has most of the sentence's words, if it has enough of them to be meant."""
    words = content_words(sentence) - ABOUT_ANSWERING
    best, best_share = None, 0.0
    for passage in passages:
        shared = words & content_words(passage.chunk.text)
        enough = len(shared) >= 2 or any(len(word) >= 3 and word[0].isdigit() for word in shared)
        share = len(shared) / len(words) if enough else 0.0
        if share > best_share:
            best, best_share = passage, share
    return best if best_share >= ATTACH_AT else None


def _citation(sentence: str, passage: Passage, page_text: Callable[[str, int], str]) -> Citation:
    """The passage's sentence that shares most words with the answer's, and the page on which it stands."""
    words = content_words(sentence)
    parts = split_sentences(passage.chunk.text)
    candidates = [part for part in parts if len(part) >= MIN_QUOTE] or [passage.chunk.text]
    quote = max(candidates, key=lambda c: len(words & content_words(c)) / (1 + len(content_words(c))) ** 0.5)
    for page in range(passage.chunk.first_page, passage.chunk.last_page + 1):
        if quote in page_text(passage.paper.id, page):
            return Citation(marker=passage.marker, passage=passage, page=page, quote=quote, verified=True)
    return Citation(marker=passage.marker, passage=passage, page=passage.chunk.first_page, quote=quote, verified=False)
