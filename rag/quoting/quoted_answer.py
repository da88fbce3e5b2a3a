"""Quoted answers: if a draft is useless and there is no larger model, show the nearest sentence verbatim.

More drafts from the same small model (other sentences, another temperature) did not help on QASPER; quoting a sentence
instead of a vetoed draft did (docs/confidence.md). No model edits anything here.
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
"""Vetoes of drafts that contain nothing usable. Such a draft is not shown as an answer in any mode."""

QUOTED_RIGHT: Final = 0.065
"""The share of quoted answers that were right on QASPER train: 4 of 68. None of the drafts they replaced was right."""


def holds(confidence: Confidence | None, *, wholly: bool = False) -> bool:
    """Whether a draft may be shown, so no quotation is needed.

    With `wholly`, no veto may call for a larger model; without it, the draft only has to be usable.
    """
    against = ESCALATING if wholly else USELESS
    return confidence is None or not against & set(confidence.vetoes)


def quoted_answer(
    sentences: Sequence[str], *, question: str, passages: Sequence[Passage], instead_of: Draft | None, most: int = 1
) -> Draft | None:
    """The first sentences that add to the question and are not questions, one per line with its marker.

    None if there is no such sentence.

    Args:
        sentences: sentences of the passages, nearest to the question first (`Retriever.sentences`).
        question: what was asked.
        passages: what the model was shown.
        instead_of: the draft to replace.
        most: maximum number of sentences.
    """
    lines: list[str] = []
    used: set[tuple[int, str]] = set()
    for sentence in sentences:
        said = " ".join(sentence.split())
        if said.endswith("?"):  # a question is not an answer
            continue
        having = (p.marker for p in passages if said in " ".join(p.chunk.text.split()))
        marker = next((one for one in having if (one, said) not in used), None)  # two versions of a paper have the same
        if marker is None or not beyond(content_words(said), content_words(question)):
            continue
        used.add((marker, said))
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
    """The best sentence of each paper, in the order of the papers' passages. Sentences come best first."""
    best: dict[str, str] = {}
    for sentence in sentences:
        paper = next((p.paper.id for p in passages if sentence in p.chunk.text), None)
        if paper is not None:
            best.setdefault(paper, sentence)
    order = dict.fromkeys(passage.paper.id for passage in passages)
    return [best[paper] for paper in order if paper in best]


def confidence_of_quoted_answer(instead_of: Confidence | None, *, n: int = 1) -> Confidence:
    """Confidence in a quoted answer: the accuracy of such answers on QASPER train, and why it replaces the draft.

    Args:
        instead_of: of the draft; None if the quotation does not replace it because of its faults.
        n: how many sentences are quoted.
    """
    told = "Quoted word for word from your papers." if n == 1 else f"Quoted from {n} sentences in your papers."
    more = f" Check that it answers your question. {instead_of.reason}" if instead_of else ""
    return Confidence(score=QUOTED_RIGHT, reason=told + more, signals={"calibrated": 0.0})
