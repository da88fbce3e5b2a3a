"""Composer: chooses what is shown as the answer, the draft or a quotation from the papers."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from rag.answer import with_notice
from rag.quoting.extract import EMBEDDED_SENTENCES, cited, confidence_in, extract, quoted_draft
from rag.quoting.no_answer import is_apparatus
from rag.quoting.quoted_answer import confidence_of_quoted_answer, one_of_each_paper, quoted_answer
from rag.quoting.roles import telling_sentences
from rag.retrieval.topics import says, topic_of_papers
from rag.verify.attempts import Attempt, answered
from rag.verify.citations import cite, markers_in
from rag.verify.confidence import ASKS_YES_OR_NO
from rag.words import content_words, split_sentences

if TYPE_CHECKING:
    from ingest.embed import Vectors
    from rag.answer import Answer, Passage
    from rag.quoting.extract import Extract
    from rag.reading.calibration import ReaderCalibration
    from rag.reading.reader import Reader
    from rag.retrieval.questions import Plan
    from rag.retrieval.retrieve import Found, Retriever
    from rag.verify.citations import PageText

OF_A_SUMMARY: Final = 3
"""Sentences quoted instead of a summary."""

INSTEAD: Final = "The draft was not supported, so here is the closest text from your papers."

SEVERAL: Final = 5
"""Papers among which a word of a question for yes or no is missed: one paper may use another word for it."""

MANY: Final = 40
"""Sentences searched for the best one of each paper."""


_SAYS: Final = re.compile(r"\W*(yes|no)\s*(?:[.,;:!]|$)", re.IGNORECASE)
_TELL = "say|tell|explain|describe|know|show|state|report|mention|specify|give|list|name|summari[sz]e|compare"
_ASKS_MORE: Final = re.compile(
    rf"^\W*\w+ you (?:please )?(?:{_TELL})\b|\bor\b"
    rf"|\b(?:{_TELL})\w* (?:\w+ ){{0,2}}(?:what|which|who|whom|whose|when|where|why|how)\b",
    re.IGNORECASE,
)


def asks_yes_or_no(question: str) -> bool:
    """Whether yes or no would answer the question; "Can you explain how ...?" begins so and asks for something else."""
    return bool(ASKS_YES_OR_NO.match(question)) and not _ASKS_MORE.search(question)


def says_yes_or_no(text: str) -> Literal["yes", "no"] | None:
    """The yes or no that a draft begins with, as a word on its own; None for "No information is given"."""
    said = _SAYS.match(text)
    return None if said is None else "yes" if said[1].casefold() == "yes" else "no"


@dataclass(frozen=True, slots=True)
class Read:
    """What the reader found in the passages of a question."""

    extracted: Extract | None = None
    """The answer in the papers' words; None if there is no reader or no sentence qualifies."""
    quotes_first: bool = False
    on_yes_or_no: Extract | None = None
    """The sentence to show if a taught drafter says yes or no; None unless the question asks for that."""
    sentences: tuple[str, ...] = ()
    """Sentences that sum up or compare papers, shown instead of what a very small model writes."""
    told: str | None = None
    """These with their markers, as they are shown before they are checked."""
    nothing: bool = False
    """Whether the papers do not answer the question; then no model is asked."""

    @property
    def first(self) -> str | None:
        """What is shown at once, before any model writes and anything is checked."""
        if self.on_yes_or_no or self.answer is None:
            return self.told
        return self.answer.streamed

    @property
    def answer(self) -> Extract | None:
        """What is shown as the answer whatever the drafter writes, unless that is a yes or no that was asked for."""
        return self.extracted if self.quotes_first else None


def told_of(taken: Plan, found: Found, *, search: float = 0.0) -> tuple[str, ...]:
    """The sentences that answer a summary or a comparison; empty for other questions, or where no reader has read.

    What is compared may be named ("Which of the two trained for longer?"); then of each paper the sentence answers
    that has the reader's best words. Otherwise papers are told by their aims and results.
    """
    passages, question = found.passages, taken.text
    if taken.kind == "summary" or (taken.kind == "comparison" and not taken.topical):
        return tuple(telling_sentences(passages, n=OF_A_SUMMARY, question=question))
    if taken.kind == "papers":
        return tuple(sentence for passage in passages if (sentence := _saying(passage, topic_of_papers(question))))
    if taken.kind != "comparison" or len(found.readings) != len(passages):
        return ()
    kept = []
    for name in dict.fromkeys((*taken.asked, *(paper.id for paper in taken.scope.papers))):  # as the question has them
        pairs = [(p, r) for p, r in zip(passages, found.readings, strict=True) if p.paper.id == name]
        asked = taken.asked.get(name, question)
        if best := extract(asked, [p for p, _ in pairs], [r for _, r in pairs], search=search):
            kept += [item.passage.chunk.text[slice(*item.sentence)] for item in best.items[:1]]
    return tuple(kept)


def _saying(passage: Passage, topic: set[str]) -> str | None:
    """The sentence of a passage with the most words of a topic; None if the passage is not on it."""
    if not says(passage.chunk.text, topic):
        return None
    words = {s: topic & content_words(s) for s in split_sentences(passage.chunk.text) if not is_apparatus(s)}
    counts = Counter(word for found in words.values() for word in found)  # a word that few sentences have tells more
    return max(words, key=lambda sentence: sum(1 / counts[word] for word in words[sentence]), default=None)


class Composer:
    """Chooses between a draft and quoted answers. If the reader found nothing, the retriever picks the sentences."""

    def __init__(
        self,
        retriever: Retriever,
        reader: Reader | None,
        *,
        quotes_first: bool,
        taught: bool,
        floor: float | None = None,
    ) -> None:
        """Args: as `Assistant`; `taught`: the drafter was trained to answer from the reader's sentences.

        `floor`: the probability below which the passages do not answer; None for the reader's own.
        """
        self._floor = floor
        self._retriever = retriever
        self._reader = reader
        self._quotes_first = quotes_first
        self._taught = taught
        self._search = reader.calibration.search if reader else 0.0

    def read(self, taken: Plan, found: Found) -> Read:
        """Turn the reader's findings into an answer to a question of fact; choose sentences for other kinds."""
        if self._quotes_first and taken.pages is None and (sentences := told_of(taken, found, search=self._search)):
            question, most = taken.text, len(sentences)
            told = quoted_answer(sentences, question=question, passages=found.passages, instead_of=None, most=most)
            quoted = set(markers_in(told.text)) if told else set()
            papers = {passage.paper.id for passage in found.passages if passage.marker in quoted}
            if told and (taken.kind != "comparison" or len(papers) == len(taken.scope.papers)):
                return Read(sentences=sentences, told=told.text)
            return Read()
        if self._quotes_first and taken.kind == "papers" and topic_of_papers(taken.text):
            return Read(nothing=True)
        if taken.kind != "fact" or not found.readings or not self._reader:
            return Read()
        return self._of_fact(taken, found, self._reader.calibration)

    def _of_fact(self, taken: Plan, found: Found, known: ReaderCalibration) -> Read:
        passages = found.passages[: len(found.readings)]
        extracted = extract(taken.text, passages, found.readings, search=known.search)
        low = extracted is None or self._is_low(taken, known.there.probability(extracted.features), known)
        nothing = self._quotes_first and low and not (extracted and extracted.defines)
        says = self._taught and self._quotes_first and extracted is not None and asks_yes_or_no(taken.text)
        sentence = extract(taken.text, passages, found.readings, kind="yes", search=known.search) if says else None
        return Read(extracted, quotes_first=self._quotes_first, on_yes_or_no=sentence, nothing=nothing)

    def _is_low(self, taken: Plan, there: float, known: ReaderCalibration) -> bool:
        """Whether the passages are too unlikely to answer; a yes or no needs less, if the library knows every word."""
        asks = asks_yes_or_no(taken.text)
        own = known.floor_yes_no if asks else known.floor
        if there < (own if self._floor is None else self._floor):
            return True
        several = len(taken.scope.papers) >= SEVERAL
        return (
            self._floor is None and asks and several and there < known.floor and self._retriever.lacks_word(taken.text)
        )

    def quote_instead(
        self, answer: Answer, first: Attempt, read: Read, *, vector: Vectors, page_text: PageText
    ) -> tuple[Attempt, Answer]:
        """Quote the papers verbatim instead of showing a draft. If no sentence qualifies, the draft stays.

        Args:
            answer: the answer with the draft.
            first: the draft, judged.
            read: what the reader found in its passages.
            vector: the question's embedding.
            page_text: used to verify quotes.
        """
        extracted, instead_of = read.extracted, first.draft
        if read.on_yes_or_no and (said := says_yes_or_no(instead_of.text)):
            extracted = replace(read.on_yes_or_no, kind=said)
        if extracted and self._reader and set(extracted.markers) <= {passage.marker for passage in answer.passages}:
            draft = quoted_draft(extracted, instead_of=instead_of, seconds=0.0)
            second = Attempt(draft, cited(extracted, page_text=page_text))
            sure = confidence_in(extracted, self._reader.calibration)
        else:
            assert answer.confidence
            question = answer.searched or answer.question
            sentences = read.sentences or self._sentences(answer, question, vector)
            most = 1 if answer.kind == "fact" else len(sentences)
            found = quoted_answer(
                sentences, question=question, passages=answer.passages, instead_of=instead_of, most=most
            )
            if found is None:
                return first, answer
            checked = cite(found.text, answer.passages, page_text=page_text, question=question, verbatim=True)
            second = Attempt(found, checked)
            sure = confidence_of_quoted_answer(
                None if read.sentences else answer.confidence, n=found.text.count("\n") + 1
            )
        answer = replace(answer, drafts=(*answer.drafts, second.draft), shown=len(answer.drafts), confidence=sure)
        told = None if read.quotes_first or read.sentences else INSTEAD
        return second, with_notice(answered(answer, second), told)

    def _sentences(self, answer: Answer, question: str, vector: Vectors) -> list[str]:
        """Candidates: the nearest sentences for a fact, telling ones for a summary, else one per paper."""
        if answer.kind == "summary":
            return telling_sentences(answer.passages, n=OF_A_SUMMARY, question=question)
        n = EMBEDDED_SENTENCES if answer.kind == "fact" else MANY
        nearest = self._retriever.sentences(question, vector, answer.passages, n=n)
        return nearest if answer.kind == "fact" else one_of_each_paper(nearest, answer.passages)
