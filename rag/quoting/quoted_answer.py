"""What can be done for a draft without a larger model: where it is of no use, the nearest sentence, word for word.

Several drafts of the same small model, from other sentences or at another temperature, did not help on QASPER; a
quoted answer in place of a draft with a veto did (docs/confidence.md). No model edits anything here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rag.answer import QUOTED_ANSWER, Confidence, Draft
from rag.costs.accounting import Usage
from rag.verify.confidence import ESCALATING, beyond
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.answer import Passage

USELESS: Final = frozenset({"empty", "echo", "no support", "repetition"})
"""Vetoes of drafts in which nothing can be made use of: they are shown as an answer in no mode."""

QUOTED_RIGHT: Final = 0.065
"""The share of such answers that were right on QASPER train: 4 of 68; of the drafts in whose place they stood, none
was."""


def holds(confidence: Confidence | None, *, wholly: bool = False) -> bool:
    """Whether a draft may stand, and the papers' own words need not be put in its place.

    With `wholly` nothing may speak against it for which a larger model would be asked; without, something of it must be
    carried by the passages.
    """
    against = ESCALATING if wholly else USELESS
    return confidence is None or not against & set(confidence.vetoes)


def quoted_answer(
    sentences: Sequence[str], *, question: str, passages: Sequence[Passage], instead_of: Draft, most: int = 1
) -> Draft | None:
    """The first sentences that say more than the question and are none, each with its marker on a line of its own.

    None where there is no such sentence.

    Args:
        sentences: of the passages, the nearest to the question first (`Retriever.sentences`).
        question: what was asked.
        passages: what the model was shown.
        instead_of: the draft in whose place they are to stand.
        most: how many sentences.
    """
    lines: list[str] = []
    for sentence in sentences:
        said = " ".join(sentence.split())
        if said.endswith("?"):  # a question is no answer
            continue
        marker = next((p.marker for p in passages if said in " ".join(p.chunk.text.split())), None)
        if marker is None or not beyond(content_words(said), content_words(question)):
            continue
        lines.append(f"{said.rstrip('.')} [{marker}].")
        if len(lines) == most:
            break
    if not lines:
        return None
    return Draft(
        text="\n".join(lines),
        model=QUOTED_ANSWER,
        usage=Usage(0, 0),
        seconds=0.0,
        first_token_seconds=None,
        finish_reason="stop",
        mean_logprob=None,
        refines=instead_of,
        cost=0.0,
    )


def one_of_each_paper(sentences: Sequence[str], passages: Sequence[Passage]) -> list[str]:
    """Of the sentences, the best first, the first one of each paper, in the order of the papers' passages."""
    best: dict[str, str] = {}
    for sentence in sentences:
        paper = next((p.paper.id for p in passages if sentence in p.chunk.text), None)
        if paper is not None:
            best.setdefault(paper, sentence)
    order = dict.fromkeys(passage.paper.id for passage in passages)
    return [best[paper] for paper in order if paper in best]


def confidence_of_quoted_answer(instead_of: Confidence) -> Confidence:
    """The confidence in a quoted answer: what such answers deserved on QASPER train, and why it stands there."""
    return Confidence(
        score=QUOTED_RIGHT,
        reason=f"Quoted word for word from your papers. Check that it answers your question. {instead_of.reason}",
        signals={"calibrated": 0.0},
    )
