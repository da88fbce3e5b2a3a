"""Read the markers back, drop what was invented, tie each sentence to the passage that carries its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answer import Citation, Correction, Sentence
from rag.support import judge
from rag.words import content_words, sentence_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rag.answer import Passage

MIN_QUOTE = 20
"""Characters; less is a list's number or a remain of a formula, and no quote."""

_MARKER = re.compile(r"\s*[\[【]\s*(?:passage\s*)?(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*[\]】]", re.IGNORECASE)
_LEADING_MARK = re.compile(r"^(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Cited:
    """An answer's text with the markers that hold, its sentences and its citations."""

    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    corrections: tuple[Correction, ...] = ()


def split_sentences(text: str) -> list[str]:
    """The sentences of an answer, each with the markers that follow it."""
    return [text[start:end] for start, end in sentence_spans(text)]


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

    Each sentence is judged against the passages (`support.judge`); its own markers are kept, corrected or dropped
    there, and a sentence without one gets that of the passage that carries it.
    """
    known = {passage.marker: passage for passage in passages}
    lines: list[str] = []
    sentences: list[Sentence] = []
    citations: dict[int, Citation] = {}
    corrections: list[Correction] = []
    for line in text.split("\n"):
        marked = []
        for raw in split_sentences(line):
            plain = _MARKER.sub("", raw).strip()
            if not content_words(plain):
                marked.append(plain)
                continue
            said = _LEADING_MARK.sub("", plain)
            claimed = list(dict.fromkeys(_markers(raw)))
            judged = judge(said, passages, hints=[marker for marker in claimed if marker in known])
            for marker in judged.markers:
                if marker not in citations:
                    window = judged.window if marker == judged.marker else None
                    citations[marker] = _citation(plain, known[marker], window, page_text)
            at, target = len(sentences), next(iter(judged.markers), None)
            invented = [(marker, target) for marker in claimed if marker not in known]
            changed = [(was, to) for was, to in judged.corrections if was is not None or not invented]
            corrections += [Correction(at, was, to) for was, to in (*invented, *changed)]
            sentences.append(Sentence(said, judged.support, judged.markers, judged.reasons))
            marked.append(_with_markers(plain, judged.markers))
        lines.append(" ".join(part for part in marked if part))
    ordered = tuple(citations[marker] for marker in sorted(citations))
    return Cited("\n".join(lines).strip(), tuple(sentences), ordered, tuple(corrections))


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


def _citation(
    sentence: str, passage: Passage, window: tuple[int, int] | None, page_text: Callable[[str, int], str]
) -> Citation:
    """The passage's sentence that shares most words with the answer's, and the page on which it stands."""
    words = content_words(sentence)
    within = passage.chunk.text[slice(*window)] if window else passage.chunk.text
    candidates = [part for part in split_sentences(within) if len(part) >= MIN_QUOTE] or [passage.chunk.text]
    quote = max(candidates, key=lambda c: len(words & content_words(c)) / (1 + len(content_words(c))) ** 0.5)
    for page in range(passage.chunk.first_page, passage.chunk.last_page + 1):
        if quote in page_text(passage.paper.id, page):
            return Citation(marker=passage.marker, passage=passage, page=page, quote=quote, verified=True)
    return Citation(marker=passage.marker, passage=passage, page=passage.chunk.first_page, quote=quote, verified=False)
