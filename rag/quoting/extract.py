"""Extract: the reader's answer in the papers' own words. No model writes anything here.

For each passage the reader predicts where the answer is, what kind it is and which sentence contains it
(`rag.reading.readings`). This module merges the readings of all passages into one short verbatim answer with its
sentences: "30.01 % [2]" and the sentence from passage 2.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rag.answer import QUOTED_ANSWER, Confidence, Draft, Sentence
from rag.costs.accounting import Usage
from rag.markers import is_interval
from rag.quoting.expected import expected, fits
from rag.quoting.no_answer import is_beside_the_point, is_caption, may_answer
from rag.retrieval.definitions import definition_in, term_asked
from rag.verify.citations import Cited, citation_in
from rag.verify.claims import read
from rag.verify.numbers import same_number
from rag.verify.ties import own_number
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag.answer import Passage
    from rag.quoting.expected import Expected
    from rag.reading.calibration import ReaderCalibration
    from rag.reading.readings import Kind, Reading
    from rag.verify.citations import PageText

LIST_DROP: Final = 3.0
"""A further list item may score at most this much below the best one."""

MOST_SENTENCES: Final = 3
"""Sentences quoted for one answer, at most."""

PLAIN: Final = 1.5
"""The strength from which a definition answers "What is …?" although the reader finds no answer in its passage."""

UNRELATED: Final = -3.0
"""The relevance of a passage below which its definition is of another thing."""

MISFIT: Final = -2.0
"""Added to the score of words that are not of the type the question asks for, and of those in a caption."""

CONDITION: Final = 2.0
"""Added to the score of words whose sentence has the numbers with units of the question: "two hours", "5 %"."""

ALONE: Final = 5.0
"""The lead over the runner-up when there is none."""

EMBEDDED_SENTENCES: Final = 4
"""How many sentences the embedded 135M model reads; see `prompts.sentence_messages`."""

NEAR: Final = 60
"""Characters within which an open bracket is closed rather than left out."""

_ASKS_FIGURE = re.compile(
    r"\b(?:figs?|figures?|tables?|schemes?|charts?|graphs?|captions?|shown|plots?|diagrams?)\b", re.IGNORECASE
)
_CELLS = re.compile(r" \| (?![^()]*\))")
"""What stands between the cells of a table; "p(y | x)" has none."""
_MARK = re.compile(r"\s*\[\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\](?=[\s.,;:)]|$)")


@dataclass(frozen=True, slots=True)
class Item:
    """Words of a passage and the sentence they are in."""

    passage: Passage
    words: tuple[int, int]
    """Their offsets in the passage's text, as [start, end)."""
    sentence: tuple[int, int]

    @property
    def text(self) -> str:
        """The words on one line, without the paper's own reference marks: [12] would look like one of our markers."""
        start, end = self.words
        flat = " ".join(self.passage.chunk.text[start:end].split())
        return _unmarked(flat, "").strip() or flat.strip("[]")


@dataclass(frozen=True, slots=True)
class Extract:
    """The reader's answer."""

    kind: Kind
    items: tuple[Item, ...]
    """In text order, all from the best passage; for yes and no the sentence that says so."""
    features: dict[str, float]
    """Features that separate right extracts from wrong ones; see `ReaderCalibration`."""
    defines: bool = False
    """Whether it is a plain definition of the term that was asked for; then the papers do answer."""

    @property
    def said(self) -> str:
        """The answer, without markers."""
        if self.kind in {"yes", "no"}:
            return self.kind.capitalize()
        return ", ".join(dict.fromkeys(item.text for item in self.items))

    @property
    def streamed(self) -> str:
        """The answer and its sentences, streamed before everything is checked.

        A "…" stands for each of the paper's own reference marks.
        """
        sentences = dict.fromkeys(
            (item.passage.marker, _unmarked(" ".join(item.passage.chunk.text[slice(*item.sentence)].split()), " …"))
            for item in self.items
        )
        return "\n\n".join((f"{self.said} {_chips(self.markers)}", *(f"“{words}” [{m}]" for m, words in sentences)))

    @property
    def markers(self) -> tuple[int, ...]:
        """Markers of the cited passages, without duplicates."""
        return tuple(dict.fromkeys(item.passage.marker for item in self.items))


def _unmarked(text: str, instead: str) -> str:
    """The text without the paper's reference marks; "95% CI [12, 18]" is none."""
    return _MARK.sub(lambda mark: mark[0] if is_interval(mark[0], text[: mark.start()]) else instead, text)


def extract(
    question: str,
    passages: Sequence[Passage],
    readings: Sequence[Reading],
    *,
    kind: Kind | None = None,
    search: float = 0.0,
) -> Extract | None:
    """Extract the answer from the passages; None if no sentence of them may be an answer.

    Args:
        question: what was asked.
        passages: best first.
        readings: one per passage.
        kind: what the answer is, if that is known; None: what most readings say.
        search: the weight of the search's log odds of a passage beside what the reader says of it and of its words.
    """
    places = [
        place
        for i, reading in enumerate(readings)
        for place in _places(question, i, passages[i], reading, search=search)
    ]
    if not places:
        return None
    if told := _defined(question, passages, readings):
        strength, item = told
        features = _features("span", [item], places, passages, readings, question=question)
        return Extract("span", (item,), features, defines=strength >= PLAIN and features["relevance"] > UNRELATED)
    kind = kind or _kind(readings)
    best = max(places, key=lambda place: place.score)
    if kind in {"yes", "no"}:
        for passage, sentence in best_sentences(question, passages, readings, n=1):
            item = Item(passage, sentence, sentence)
            return Extract(kind, (item,), _features(kind, (item,), places, passages, readings, question=question))
    chosen = [best]
    if kind == "list":
        chosen = [p for p in places if p.i == best.i and p.score > best.score - LIST_DROP]
    items = [Item(passages[p.i], (p.start, p.end), p.sentence) for p in sorted(chosen, key=lambda p: p.start)]
    features = _features(kind, items, places, passages, readings, question=question)
    return Extract(kind, tuple(_of_what_was_asked(items, question)), features)


def _defined(question: str, passages: Sequence[Passage], readings: Sequence[Reading]) -> tuple[float, Item] | None:
    """The words that define the term asked for, with the strength of the definition; None for another question."""
    if (term := term_asked(question)) is None:
        return None
    best: tuple[float, float, Item] | None = None
    for passage, reading in zip(passages, readings, strict=True):
        found = definition_in(passage.chunk.text, term)
        if found is None or is_beside_the_point(passage, question):
            continue
        strength, words, sentence = found
        score = 2 * strength + reading.relevance
        if may_answer(passage.chunk.text[slice(*sentence)], question) and (best is None or score > best[0]):
            best = score, strength, Item(passage, words, sentence)
    return best[1:] if best else None


def _features(
    kind: Kind,
    items: Sequence[Item],
    places: Sequence[_Place],
    passages: Sequence[Passage],
    readings: Sequence[Reading],
    *,
    question: str,
) -> dict[str, float]:
    """Features of the extract: its first item's passage by itself, and compared with the other passages."""
    first = items[0]
    i = next(i for i, passage in enumerate(passages) if passage is first.passage)
    own = readings[i]
    scores = sorted((span.score for span in own.spans), reverse=True)
    best = sorted((max(p.score for p in places if p.i == j) for j in {p.i for p in places}), reverse=True)
    odds = [_odds(passage) for passage in passages]
    carrying = [s.probability for s in own.sentences if s.start < first.words[1] and first.words[0] < s.end]
    asked, wanted = content_words(question), expected(question)
    sentence = content_words(first.passage.chunk.text[slice(*first.sentence)])
    words = kind.split() if kind in {"yes", "no"} else [word for item in items for word in item.text.split()]
    return {
        "best": max(reading.relevance for reading in readings),
        "total": best[0],
        "found": max(odds),
        "relevance": own.relevance,
        "span": scores[0] if scores else 0.0,
        "inner": scores[0] - scores[1] if len(scores) > 1 else ALONE,
        "margin": best[0] - best[1] if len(best) > 1 else ALONE,
        "sentence": max(carrying, default=0.0),
        "search": odds[i],
        "covered": _covered(question, passages),
        "asked": len(asked & sentence) / len(asked) if asked else 1.0,
        "typed": float(wanted is not None),
        "fits": float(wanted is not None and fits(wanted, " ".join(words))),
        "kind": own.kind_probability,
        "yes_no": float(kind in {"yes", "no"}),
        "words": math.log1p(len(words)),
    }


def _covered(question: str, passages: Sequence[Passage]) -> float:
    """The share of the question's content words that the passages or their papers' titles have; 1 if it has none."""
    asked = content_words(question)
    there: set[str] = set()
    for passage in passages:
        there |= content_words(passage.chunk.text) | content_words(passage.paper.title)
    return len(asked & there) / len(asked) if asked else 1.0


def _of_what_was_asked(items: Sequence[Item], question: str) -> Sequence[Item]:
    """The items; the number of the thing asked about for those of others in a list with "respectively" or a table."""
    meant = [_own(item, question) or item for item in items]
    same = len({(item.passage.marker, item.words) for item in meant}) == 1
    return meant[:1] if same else items


def _own(item: Item, question: str) -> Item | None:
    """The number of the thing asked about, if the item is the number of another thing in the same list."""
    asked, numbers, text = read(question), read(item.text).numbers, item.passage.chunk.text
    others = [own_number(asked, text, number, sentence=item.sentence) for number in numbers]
    owned = {(own or number).value: own or number for own, number in zip(others, numbers, strict=True)}
    if not any(others) or len(owned) != 1:
        return None
    (own,) = owned.values()
    shown = r"\s".join(map(re.escape, own.shown.split()))
    whole = re.compile(rf"(?<![\d.,]){shown}(?!\d|[.,]\d)")  # not the 5 in 0.5 or 15
    found = whole.search(text, *item.sentence)
    return Item(item.passage, found.span(), item.sentence) if found else None


@dataclass(frozen=True, slots=True)
class _Place:
    i: int
    start: int
    end: int
    score: float
    sentence: tuple[int, int]


def _odds(passage: Passage) -> float:
    """The search's log odds."""
    found = min(max(passage.score, 1e-6), 1 - 1e-6)
    return math.log(found / (1 - found))


def _places(question: str, i: int, passage: Passage, reading: Reading, *, search: float) -> Iterator[_Place]:
    """Spans that may be an answer, each with its sentence. Scores are comparable across passages."""
    text, kind = passage.chunk.text, expected(question)
    if is_beside_the_point(passage, question):
        return
    for span in reading.spans:
        own = [(s.start, s.end) for s in reading.sentences if s.start < span.end and span.start < s.end]
        sentence = (own[0][0], own[-1][1]) if own else (span.start, span.end)
        if may_answer(text[sentence[0] : sentence[1]], question, title=passage.paper.title):
            start, end = whole_brackets(text, span.start, span.end, high=sentence[1], kind=kind)
            fit = 0.0 if fits(kind, text[start:end]) else MISFIT
            apart = is_caption(text[slice(*sentence)]) or bool(_CELLS.search(text, start, end))
            fit += MISFIT * (apart and not _ASKS_FIGURE.search(question))
            fit += CONDITION * _meets(question, text[slice(*sentence)])
            score = reading.relevance + search * _odds(passage) + span.score + fit
            yield _Place(i, start, end, score, sentence)


def _meets(question: str, sentence: str) -> float:
    """The share of the question's numbers with units that a sentence has; mostly 0."""
    asked = [number for number in read(question).numbers if number.unit]
    there = read(sentence).numbers if asked else ()
    met = (any(one.unit == other.unit and same_number(one, other) for other in there) for one in asked)
    return sum(met) / max(1, len(asked))


def whole_brackets(text: str, start: int, end: int, *, high: int, kind: Expected | None) -> tuple[int, int]:
    """The words without half a bracket: closed if its end is near, else without the part that it cuts off.

    Args:
        text: the passage.
        start: of the words.
        end: of the words.
        high: the end of their sentence.
        kind: what the question asks for. Of two parts, the one that fits it is kept, of two that fit the shorter one;
            if it asks for nothing, the longer one.
    """
    opened: list[int] = []
    closed = None
    for i in range(start, end):
        if text[i] in "([":
            opened.append(i)
        elif text[i] in ")]" and not (text[i] == ")" and not opened and _ITEM.search(text, max(0, i - 5), i)):
            if opened:
                opened.pop()
            elif closed is None:
                closed = i
    if closed is not None:
        parts = [_trimmed(text, start, closed), _trimmed(text, closed + 1, end)]
        length = 1 if kind is None else -1
        kept = [(bool(fits(kind, text[a:b])), length * (b - a), (a, b)) for a, b in parts if b > a]
        return whole_brackets(text, *max(kept)[2], high=high, kind=kind) if kept else (start, end)
    if opened:
        shut = re.compile(r"[)\]]").search(text, end, min(high, end + NEAR))
        if shut and len(opened) == 1:
            return start, shut.end()
        low, cut = _trimmed(text, start, opened[0])
        return (low, cut) if cut > low else _trimmed(text, opened[0] + 1, end)
    return start, end


_ITEM = re.compile(r"(?<![\w(])(?:\d{1,2}|[a-z]|[ivx]{1,4})$")
"""What stands before the bracket of an item: "1)", "a)", "iv)"."""
_EDGES = re.compile(r"[\s,;:]*(?:(?:and|or|which|that|i\.e\.|e\.g\.),? )?")


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    lead = _EDGES.match(text, start, end)
    start = lead.end() if lead else start
    while end > start and text[end - 1] in " ,;:\n":
        end -= 1
    return start, end


def _carrying(
    question: str, passages: Sequence[Passage], readings: Sequence[Reading]
) -> Iterator[tuple[float, Passage, tuple[int, int]]]:
    """Sentences that may be an answer; score = log odds that it contains the answer + its passage's relevance."""
    for passage, reading in zip(passages, readings, strict=True):
        if is_beside_the_point(passage, question):
            continue
        for s in reading.sentences:
            if may_answer(passage.chunk.text[s.start : s.end], question, title=passage.paper.title):
                odds = math.log(max(s.probability, 1e-6) / max(1 - s.probability, 1e-6))
                yield odds + reading.relevance, passage, (s.start, s.end)


def best_sentences(
    question: str, passages: Sequence[Passage], readings: Sequence[Reading], *, n: int
) -> list[tuple[Passage, tuple[int, int]]]:
    """The n sentences most likely to contain the answer, best first."""
    found = sorted(_carrying(question, passages, readings), key=lambda row: -row[0])
    return [(passage, place) for _, passage, place in found[:n]]


def _kind(readings: Sequence[Reading]) -> Kind:
    """The kind with the most votes; each reading's vote weighs kind_probability · exp(relevance)."""
    votes: dict[Kind, float] = {}
    for reading in readings:
        if reading.kind != "none":
            weight = reading.kind_probability * math.exp(min(20.0, reading.relevance))
            votes[reading.kind] = votes.get(reading.kind, 0.0) + weight
    return max(votes, key=votes.__getitem__) if votes else "span"


# -- the extract as an answer ------------------------------------------------------------------------------------------


def quoted_draft(found: Extract, *, instead_of: Draft | None, seconds: float) -> Draft:
    """The extract as a draft; no model wrote it."""
    return Draft(
        text=f"{found.said} {_chips(found.markers)}",
        model=QUOTED_ANSWER,
        usage=Usage(0, 0),
        seconds=seconds,
        first_token_seconds=None,
        finish_reason="stop",
        mean_logprob=None,
        refines=instead_of,
        cost=0.0,
    )


def _chips(markers: Sequence[int]) -> str:
    return "".join(f"[{marker}]" for marker in markers)


def cited(found: Extract, *, page_text: PageText) -> Cited:
    """The extract with its sentences as quotes, each verified on its page.

    "Yes" and "No" are inferred from a sentence and appear nowhere, so their support is not judged.
    """
    quotes = []
    for item in found.items:
        start, end = item.sentence
        sentence = item.passage.chunk.text[start:end]
        quote = citation_in(sentence, item.passage, item.sentence, page_text)
        if quote not in quotes:
            quotes.append(quote)
    said = [Sentence(item.text, "supported", (item.passage.marker,)) for item in found.items]
    if found.kind in {"yes", "no"}:
        said = [Sentence(found.said, None, found.markers)]
    return Cited(quoted_draft(found, instead_of=None, seconds=0.0).text, tuple(said), tuple(quotes[:MOST_SENTENCES]))


def confidence_in(found: Extract, calibration: ReaderCalibration) -> Confidence:
    """The probability that the extract answers the question, and a reason in words that matches it."""
    probability = calibration.weights.probability(found.features)
    n = len({item.sentence for item in found.items})
    told = "Quoted word for word from your papers." if n == 1 else f"Quoted from {n} sentences in your papers."
    if found.kind in {"yes", "no"}:
        told = f"A small model concluded {found.kind}; the sentence is the closest one in your papers."
    sure = probability >= calibration.check
    if not sure:
        told += " Check that it answers your question."
    return Confidence(score=probability, reason=told, signals={**found.features, "sure": float(sure)})


def is_sure(confidence: Confidence) -> bool:
    """Whether the extract is sure enough that no model needs to be asked."""
    return confidence.signals.get("sure") == 1.0
