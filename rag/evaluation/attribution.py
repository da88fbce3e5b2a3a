"""Attribution of an answer: ALCE citation recall and precision with our own judge, and how exact its quotes are."""

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
    """Measure the answer's citations from scratch. The verdicts and marks stored with the answer are not used.

    A sentence counts as supported if `support.judge` finds it supported by the passages it cites, taken alone.
    Sentences that claim nothing ("Yes.") are left out.

    Args:
        answer: the answer with its citations; for an abstention there is nothing to count.
        page_texts: number and stored text of each page of a paper, by the paper's id.
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
    """Whether the quote is in the paper, and whether it is on the cited page."""
    texts = dict(page_texts(citation.passage.paper.id))
    if stands_in(citation.quote, texts.get(citation.page, "")):
        return True, True
    return any(stands_in(citation.quote, text) for text in texts.values()), False
