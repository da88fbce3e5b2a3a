"""What an answer's citations come to is counted anew: an answer cannot praise itself."""

from __future__ import annotations

from dataclasses import replace

from ingest import Chunk, Paper
from rag.answer import Answer, Citation, Passage, Quotation, Sentence
from rag.costs.accounting import Trace
from rag.evaluation.attribution import attribution

PAGES = {
    3: "The base models were trained for 3.5 days on 8 GPUs. Adam was used.",
    4: "BM25 was the strongest baseline.",
}


def passage(marker, page):
    text = PAGES[page]
    chunk = Chunk(
        id=f"aaaa:000{marker}", paper_id="aaaa", ordinal=marker, text=text, start=0, end=len(text),
        first_page=page, last_page=page, section=None, n_tokens=20,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id="aaaa", title="T", n_pages=9, file_name="t.pdf"), 1.0, ())


ONE, TWO = passage(1, 3), passage(2, 4)
QUOTE = "The base models were trained for 3.5 days on 8 GPUs."
GOOD = Answer(
    question="How long?",
    text="Training took 3.5 days on 8 GPUs [1]. Yes. BM25 was the strongest baseline [2].",
    passages=(ONE, TWO),
    trace=Trace().finish(),
    sentences=(
        Sentence("The base models were trained for 3.5 days on 8 GPUs.", "supported", (1,)),
        Sentence("Yes.", None, ()),
        Sentence("BM25 was the strongest baseline.", "supported", (2,)),
    ),
    citations=(
        Citation(marker=1, passage=ONE, page=3, quote=QUOTE, verified=True),
        Citation(marker=2, passage=TWO, page=4, quote="BM25 was the strongest baseline.", verified=True),
    ),
)


def counted(answer):
    return attribution(answer, page_texts=lambda _: PAGES.items())


def test_a_good_answer_has_everything():
    found = counted(GOOD)
    assert (found.n_markers, found.n_valid) == (2, 2)
    assert (found.n_judged, found.n_supported, found.n_weak) == (2, 2, 0), "nothing is claimed by Yes."
    assert (found.citation_recall, found.citation_precision) == (1.0, 1.0)
    assert (found.n_exact, found.n_right_page) == (2, 2)


def test_a_verdict_of_the_answers_own_does_not_carry_a_sentence():
    wrong = replace(GOOD.sentences[0], markers=(2,))
    found = counted(replace(GOOD, sentences=(wrong, *GOOD.sentences[1:])))
    assert found.n_supported == 2
    assert (found.citation_recall, found.citation_precision) == (0.5, 0.5)


def test_a_quote_on_another_page_is_exact_and_its_page_is_wrong_whatever_the_citation_says():
    moved = replace(GOOD.citations[0], page=4, verified=True)
    found = counted(replace(GOOD, citations=(moved, GOOD.citations[1])))
    assert (found.n_exact, found.n_right_page) == (2, 1)
    changed = replace(GOOD.citations[0], quote=QUOTE.replace("8 GPUs", "9 GPUs"), verified=True)
    found = counted(replace(GOOD, citations=(changed, GOOD.citations[1])))
    assert (found.n_exact, found.n_right_page) == (1, 1)


def test_a_marker_that_names_no_passage_is_counted_as_such_and_carries_nothing():
    odd = Sentence("BM25 was the strongest baseline.", "supported", (7,))
    found = counted(replace(GOOD, text="BM25 was the strongest baseline [7].", sentences=(odd,), citations=()))
    assert (found.n_markers, found.n_valid, found.citation_recall) == (1, 0, 0.0)


def test_an_abstention_has_nothing_to_count():
    found = counted(replace(GOOD, text="Not here [1].", abstained=True, sentences=(), citations=()))
    assert (found.n_markers, found.n_judged, found.citation_recall, found.citation_precision) == (0, 0, None, None)


def test_quotations_of_the_models_own_are_counted():
    some = (Quotation(0, "a b c d", 1, verified=True), Quotation(0, "e f g h", None, verified=False))
    found = counted(replace(GOOD, quotations=some))
    assert (found.n_quotations, found.n_verbatim) == (2, 1)
