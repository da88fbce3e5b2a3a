"""What can be done for a draft without a larger model: where it is of no use, the nearest sentence, word for word.

Several drafts of the same small model, from other sentences or at another temperature, did not help on QASPER; a
quotation in place of a draft with a gate did (docs/confidence.md). No model edits anything here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rag.accounting import Usage
from rag.answer import QUOTATION, Confidence, Draft
from rag.confidence import ESCALATING, beyond
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.answer import Passage

QUOTED_RIGHT: Final = 0.065
"""The share of such quotations that were right on QASPER train: 4 of 68; of the drafts in whose place they stood, none
was."""


def best_of(
    first: Draft, confidence: Confidence, *, question: str, sentences: Sequence[str], passages: Sequence[Passage]
) -> Draft | None:
    """The quotation that should stand in the draft's place, with its marker; None where the draft stands.

    It does where it has no gate, where the model says that the passages have no answer, and where no sentence says more
    than the question and is none itself.

    Args:
        first: what the model wrote.
        confidence: in that.
        question: what was asked.
        sentences: of the passages, the nearest to the question first (`Retriever.sentences`).
        passages: what the model was shown.
    """
    if not ESCALATING & set(confidence.gates):
        return None
    for sentence in sentences:
        said = " ".join(sentence.split())
        if said.endswith("?"):  # a question is no answer
            continue
        marker = next((p.marker for p in passages if said in " ".join(p.chunk.text.split())), None)
        if marker is None or not beyond(content_words(said), content_words(question)):
            continue
        return Draft(
            text=f"{said.rstrip('.')} [{marker}].",
            model=QUOTATION,
            usage=Usage(0, 0),
            seconds=0.0,
            first_token_seconds=None,
            finish_reason="stop",
            mean_logprob=None,
            refines=first,
            cost=0.0,
        )
    return None


def confidence_of_quotation(instead_of: Confidence) -> Confidence:
    """The confidence in a quotation: what such quotations deserved on QASPER train, and why it stands there."""
    return Confidence(
        score=QUOTED_RIGHT,
        reason=f"The nearest sentence of your papers, word for word. {instead_of.reason}",
        signals={},
    )
