"""How well an answer's citations carry it: ALCE's recall and precision by our own judge, its quotes and their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.verbatim import stands_in
from rag.answer import PARTIALLY_SUPPORTED
from rag.evaluation.cases import Attribution
from rag.evaluation.metrics import citation_recall_and_precision
from rag.verify.citations import markers_in
from rag.verify.support import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rag.answer import Answer, Citation

    PageTexts = Callable[[str], Iterable[tuple[int, str]]]


def attribution(answer: Answer, *, page_texts: PageTexts) -> Attribution:
    """What the answer's citations come to, counted anew: neither a verdict nor a mark of the answer's own is used.

    Args:
        answer: with its citations; for an abstention there is nothing to count.
        page_texts: the number and stored text of each page of a paper, by the paper's id.

    A sentence is carried where `support.judge` finds it supported by the passages that it cites, and by these alone.
    Sentences that claim nothing ("Yes.") are left out.
    """
    shown = {passage.marker: passage for passage in answer.passages}
    judged = [sentence for sentence in answer.sentences if sentence.support is not None]
    cited = [[marker for marker in sentence.markers if marker in shown] for sentence in judged]

    def entails(sentence: int, markers: Sequence[int]) -> bool:
        return judge(judged[sentence].text, [shown[marker] for marker in markers]).support == "supported"

    found = citation_recall_and_precision(cited, entails)
    markers = [] if answer.abstained else markers_in(answer.text)
    places = [_place(citation, page_texts) for citation in answer.citations]
    return Attribution(
        n_markers=len(markers),
        n_valid=sum(marker in shown for marker in markers),
        n_judged=len(judged),
        n_supported=sum(sentence.support == "supported" for sentence in judged),
        n_weak=sum(sentence.support == PARTIALLY_SUPPORTED for sentence in judged),
        citation_recall=found[0] if found else None,
        citation_precision=found[1] if found else None,
        n_exact=sum(exact for exact, _ in places),
        n_right_page=sum(right for _, right in places),
        n_quotations=len(answer.quotations),
        n_verbatim=sum(quotation.verified for quotation in answer.quotations),
    )


def _place(citation: Citation, page_texts: PageTexts) -> tuple[bool, bool]:
    """Whether the quote stands in the paper, and whether on the cited page."""
    texts = dict(page_texts(citation.passage.paper.id))
    if stands_in(citation.quote, texts.get(citation.page, "")):
        return True, True
    return any(stands_in(citation.quote, text) for text in texts.values()), False
