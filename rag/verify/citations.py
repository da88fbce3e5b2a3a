"""Parse the markers, drop invented ones, and tie each sentence to the passage that supports it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from ingest.paper import PAGE_BREAK
from ingest.sentences import sentence_spans
from ingest.verbatim import stands_in
from rag.answer import Citation, Correction, Sentence
from rag.markers import MOST, is_interval, may_be_interval, normalised, round_ones, without_notes
from rag.verify.quotations import check, closest, quoted
from rag.verify.support import judge
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest import Chunk
    from rag.answer import Passage, Quotation

    PageText = Callable[[str, int], str]

MIN_QUOTE, MIN_QUOTE_WORDS = 20, 5
"""Characters and words; anything shorter is a list number or part of a formula, quoted only if there is no more."""

_MARKER = re.compile(r"\s*[\[【]\s*(?:passage\s*)?(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*[\]】]", re.IGNORECASE)
_LEADING_MARK = re.compile(r"^(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Cited:
    """An answer's text with its verified markers, its sentences and its citations."""

    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    corrections: tuple[Correction, ...] = ()
    quotations: tuple[Quotation, ...] = ()


def markers_in(text: str) -> list[int]:
    """The markers in a text, in order; [2, 5] is two and [2-4] is three, but a "95% CI of [2, 4]" has none."""
    return [marker for match in _MARKER.finditer(text) for marker in _meant(match)]


def without_markers(text: str) -> str:
    """The text without its markers."""
    return _without(text, _meant)


def cite(
    text: str, passages: Sequence[Passage], *, page_text: PageText, question: str = "", verbatim: bool = False
) -> Cited:
    """The answer with its markers checked.

    Each sentence is judged against the passages (`support.judge`), which keeps, corrects or drops its markers; a
    sentence without a marker gets that of the passage that supports it. Quotations by the model are searched for in the
    passages (`quotations.check`).

    Args:
        text: what the model wrote.
        passages: what it was shown; markers of other passages were invented and are dropped.
        page_text: the stored text of (paper id, page), against which quotes are verified.
        question: what was asked; its quoted words are not quotations of a paper.
        verbatim: the text is the papers' own words, with our markers: no other form is read as a marker.
    """
    known = {passage.marker: passage for passage in passages}
    meant = _meant_beside(passages)
    if not verbatim:
        text = round_ones(without_notes(normalised(text)), set(known))
    lines: list[str] = []
    sentences: list[Sentence] = []
    citations: dict[int, Citation] = {}
    corrections: list[Correction] = []
    quotations: list[Quotation] = []
    for line in text.split("\n"):
        marked = []
        begun: list[tuple[int, int]] = []  # where each sentence of the line begins, and which one it is
        for start, end in sentence_spans(line):
            raw = line[start:end]
            plain = _without(raw, meant)
            if not content_words(plain):
                marked.append(plain)
                continue
            said = _LEADING_MARK.sub("", plain)
            claimed = list(dict.fromkeys(n for match in _MARKER.finditer(raw) for n in meant(match)))
            judged = judge(said, passages, hints=[marker for marker in claimed if marker in known])
            for marker in judged.markers:
                if marker not in citations:
                    window = judged.window if marker == judged.marker else None
                    citations[marker] = citation_in(plain, known[marker], window, page_text)
            at, target = len(sentences), next(iter(judged.markers), None)
            invented = [(marker, target) for marker in claimed if marker not in known]
            changed = [(was, to) for was, to in judged.corrections if was is not None or not invented]
            corrections += [Correction(at, was, to) for was, to in (*invented, *changed)]
            begun.append((start, at))
            sentences.append(Sentence(said, judged.support, judged.markers, judged.reasons))
            marked.append(_with_markers(plain, judged.markers))
        lines.append(" ".join(part for part in marked if part))
        for place, words in quoted(line):
            at = max((n for start, n in begun if start <= place), default=max(0, len(sentences) - len(begun)))
            hints = sentences[at].markers if at < len(sentences) else ()
            said = _without(words, meant)
            if not stands_in(said, question) and (found := check(said, passages, sentence=at, markers=hints)):
                quotations.append(found)
    ordered = tuple(citations[marker] for marker in sorted(citations))
    return Cited("\n".join(lines).strip(), tuple(sentences), ordered, tuple(corrections), tuple(quotations))


def _meant(match: re.Match[str]) -> list[int]:
    """The markers of a bracket; none if it is an interval or too long a range."""
    if is_interval(match[0], match.string[: match.start()]):
        return []
    found: list[int] = []
    for part in re.split(r"[,;]", match[1]):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        if ends[-1] - ends[0] > MOST:
            return []
        found += range(ends[0], ends[-1] + 1) if len(ends) == 2 else ends
    return found


def _meant_beside(passages: Sequence[Passage]) -> Callable[[re.Match[str]], list[int]]:
    """As `_meant`, but numbers that are no markers of the passages may be an interval there."""
    known = {passage.marker for passage in passages}
    texts = ["".join(passage.chunk.text.split()) for passage in passages]

    def meant(match: re.Match[str]) -> list[int]:
        found, before = _meant(match), match.string[: match.start()]
        if known.issuperset(found):
            return found
        bracket = "".join(match[0].split())
        stands = may_be_interval(match[0], before) and any(bracket in text for text in texts)
        return [] if stands or is_interval(match[0], before, certain=False) else found

    return meant


def _without(text: str, meant: Callable[[re.Match[str]], list[int]]) -> str:
    return _MARKER.sub(lambda match: "" if meant(match) else match[0], text).strip()


def _with_markers(sentence: str, markers: Sequence[int]) -> str:
    """The sentence with its markers before its full stop: "It is so [1]."."""
    if not markers or not sentence:
        return sentence
    shown = "".join(f"[{marker}]" for marker in markers)
    if sentence[-1] in ".!?":
        return f"{sentence[:-1].rstrip()} {shown}{sentence[-1]}"
    return f"{sentence} {shown}"


def citation_in(sentence: str, passage: Passage, window: tuple[int, int] | None, page_text: PageText) -> Citation:
    """The passage's sentence that shares most words with the answer's, and its page.

    If a sentence continues on the next page, only the part on one page is taken, so that the quote can be looked up.
    """
    text, words = passage.chunk.text, content_words(sentence)
    first, last = window or (0, len(text))
    pages = _pages(passage.chunk, page_text)
    parts = [
        (page, max(start, begin), min(end, stop))
        for start, end in _unlisted(text)
        for page, begin, stop in pages
        if max(start, begin) < min(end, stop)
    ]
    near = [part for part in parts if first <= part[1] and part[2] <= last] or parts
    long = [part for part in near if _is_quotable(text[part[1] : part[2]])]

    def fit(part: tuple[int, int, int]) -> float:
        said = content_words(text[part[1] : part[2]])
        return len(words & said) / sqrt(1 + len(said))

    page, start, end = _grown(max(long or near, key=fit), parts, text) if parts else (pages[0][0], 0, len(text))
    quote = text[start:end].strip()
    there = page_text(passage.paper.id, page)
    verified = stands_in(quote, there)
    diff = () if verified else closest(quote, [(page, there)])[1]
    return Citation(marker=passage.marker, passage=passage, page=page, quote=quote, verified=verified, diff=diff)


def _unlisted(text: str) -> list[tuple[int, int]]:
    """The sentences without a leading list number or bullet."""
    spans = sentence_spans(text)
    marks = [_LEADING_MARK.match(text[start:end]) for start, end in spans]
    return [(start + (mark.end() if mark else 0), end) for (start, end), mark in zip(spans, marks, strict=True)]


def _is_quotable(words: str) -> bool:
    return len(words.strip()) >= MIN_QUOTE and len(words.split()) >= MIN_QUOTE_WORDS


def _grown(part: tuple[int, int, int], parts: Sequence[tuple[int, int, int]], text: str) -> tuple[int, int, int]:
    """The part of a page, extended by the sentences after it, then those before, until it is long enough to quote."""
    page, start, end = part
    same = [other for other in parts if other[0] == page]
    behind = [other[2] for other in same if other[1] > start]
    before = [other[1] for other in reversed(same) if other[1] < start]
    while not _is_quotable(text[start:end]) and (behind or before):
        if behind:
            end = behind.pop(0)
        else:
            start = before.pop(0)
    return page, start, end


def _pages(chunk: Chunk, page_text: PageText) -> list[tuple[int, int, int]]:
    """Each page of a chunk, with the [start, end) of the chunk's text that is on it.

    A page ends where the chunk has a page break and the page's text has nothing more. If there is no such place, the
    stored page is not the one the chunk was cut from, and the rest is assigned to it.
    """
    parts: list[tuple[int, int, int]] = []
    at = 0
    for page in range(chunk.first_page, chunk.last_page):
        there = page_text(chunk.paper_id, page)
        end = len(chunk.text)
        while (end := chunk.text.rfind(PAGE_BREAK, at, end)) >= 0:
            if there.endswith(chunk.text[at:end]):
                break
        if end < 0:
            return [*parts, (page, at, len(chunk.text))]
        parts.append((page, at, end))
        at = end + len(PAGE_BREAK)
    return [*parts, (chunk.last_page, at, len(chunk.text))]
