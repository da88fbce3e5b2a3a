"""Composer: what is shown as the answer, the draft or the papers' own words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rag.answer import with_notice
from rag.quoting.extract import EMBEDDED_SENTENCES, cited, confidence_in, extract, quoted_draft
from rag.quoting.quoted_answer import confidence_of_quoted_answer, one_of_each_paper, quoted_answer
from rag.retrieval.plans import leading_sentences
from rag.verify.attempts import Attempt, answered
from rag.verify.citations import cite

if TYPE_CHECKING:
    from ingest.embed import Vectors
    from rag.answer import Answer
    from rag.quoting.extract import Extract
    from rag.reading.reader import Reader
    from rag.retrieval.questions import Plan
    from rag.retrieval.retrieve import Found, Retriever
    from rag.verify.citations import PageText

OF_A_SUMMARY: Final = 3
"""Sentences that are quoted in the place of a summary."""

INSTEAD: Final = "The draft was not supported, so here is the closest text from your papers."

MANY: Final = 40
"""Sentences among which the best of each paper is looked for."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the reader has made of the passages of a question."""

    extracted: Extract | None = None
    """The answer in the papers' words; None: no reader has read them, or none of their sentences will do."""
    quotes_first: bool = False
    nothing: bool = False
    """Whether the papers do not answer the question, so that no model need be asked."""

    @property
    def first(self) -> Extract | None:
        """What is shown at once, before any model has written anything."""
        return self.extracted if self.quotes_first else None


class Composer:
    """Chooses between a draft and quoted answers; the retriever finds sentences where the reader has not."""

    def __init__(self, retriever: Retriever, reader: Reader | None, *, quotes_first: bool) -> None:
        self._retriever = retriever
        self._reader = reader
        self._quotes_first = quotes_first

    def read(self, taken: Plan, found: Found) -> Read:
        """What the reader's findings come to: for a question for a fact only."""
        if taken.kind != "fact" or not found.readings or not self._reader:
            return Read()
        extracted = extract(taken.text, found.passages[: len(found.readings)], found.readings)
        known = self._reader.calibration
        low = extracted is None or known.there.probability(extracted.features) < known.floor
        return Read(extracted, quotes_first=self._quotes_first, nothing=self._quotes_first and low)

    def quote_instead(
        self, answer: Answer, first: Attempt, read: Read, *, vector: Vectors, page_text: PageText
    ) -> tuple[Attempt, Answer]:
        """What the papers say, word for word, in the place of a draft; as it was where no sentence of them will do.

        Args:
            answer: with the draft.
            first: the draft, judged.
            read: what the reader has made of its passages.
            vector: the question's embedding.
            page_text: verifies quotes.
        """
        extracted, instead_of = read.extracted, first.draft
        if extracted and self._reader and set(extracted.markers) <= {passage.marker for passage in answer.passages}:
            draft = quoted_draft(extracted, instead_of=instead_of, seconds=0.0)
            second = Attempt(draft, cited(extracted, page_text=page_text))
            sure = confidence_in(extracted, self._reader.calibration)
        else:
            assert answer.confidence
            question = answer.searched or answer.question
            sentences = self._sentences(answer, question, vector)
            most = 1 if answer.kind == "fact" else len(sentences)
            found = quoted_answer(
                sentences, question=question, passages=answer.passages, instead_of=instead_of, most=most
            )
            if found is None:
                return first, answer
            second = Attempt(found, cite(found.text, answer.passages, page_text=page_text, question=question))
            sure = confidence_of_quoted_answer(answer.confidence)
        answer = replace(answer, drafts=(*answer.drafts, second.draft), shown=len(answer.drafts), confidence=sure)
        told = None if read.quotes_first else INSTEAD
        return second, with_notice(answered(answer, second), told)

    def _sentences(self, answer: Answer, question: str, vector: Vectors) -> list[str]:
        """What may be quoted: for a fact one sentence, else what tells a paper in short or one of each paper."""
        if answer.kind == "summary":
            return leading_sentences(answer.passages, n=OF_A_SUMMARY)
        n = EMBEDDED_SENTENCES if answer.kind == "fact" else MANY
        nearest = self._retriever.sentences(question, vector, answer.passages, n=n)
        return nearest if answer.kind == "fact" else one_of_each_paper(nearest, answer.passages)
