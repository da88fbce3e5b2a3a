"""Markers that hold are kept, invented ones go, and each citation names words that stand on its page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import Chunk, Paper
from rag.answer import Passage
from rag.verify.citations import cite, markers_in
from rag.words import split_sentences

PAGES = {
    ("aaaa", 3): "The base models were trained for 3.5 days on 8 GPUs. Larger batches gave no gain. We used Adam.",
    ("bbbb", 7): "Retrieval with BM25 was the strongest baseline on all four data sets.",
}


def passage(marker, paper_id, page, text=None):
    text = text or PAGES[paper_id, page]
    chunk = Chunk(
        id=f"{paper_id}:0000", paper_id=paper_id, ordinal=0, text=text, start=0, end=len(text),
        first_page=page, last_page=page, section=None, n_tokens=30,
    )  # fmt: skip
    paper = Paper(id=paper_id, title="T", n_pages=9, file_name="t.pdf")
    return Passage(marker, chunk, paper, 1.0, ("dense",))


PASSAGES = [passage(1, "aaaa", 3), passage(2, "bbbb", 7)]


def run(text, passages=PASSAGES):
    return cite(text, passages, page_text=lambda paper, page: PAGES.get((paper, page), ""))


def test_the_models_own_marker_is_kept_and_resolved():
    cited = run("Training took 3.5 days on 8 GPUs [1].")
    assert cited.text == "Training took 3.5 days on 8 GPUs [1]."
    (citation,) = cited.citations
    assert (citation.marker, citation.page, citation.verified) == (1, 3, True)
    assert citation.quote == "The base models were trained for 3.5 days on 8 GPUs."


def test_the_words_of_a_paper_are_not_searched_for_other_forms_of_markers():
    source = "The models of Smith (reference 2) and of others (Source 1) were trained for 3.5 days on 8 GPUs"
    cited = cite(f"{source} [1].", [passage(1, "aaaa", 3, source)], page_text=lambda *_: source, verbatim=True)
    assert cited.text == f"{source} [1]."
    assert [citation.verified for citation in cited.citations] == [True]


def test_footnotes_that_are_the_whole_answer_are_its_sentences():
    cited = run("[1]: Training took 3.5 days on 8 GPUs.\n[2]: BM25 was the strongest baseline.")
    assert cited.text == "Training took 3.5 days on 8 GPUs [1].\nBM25 was the strongest baseline [2]."


def test_an_invented_marker_is_dropped_and_the_sentence_is_tied_to_what_carries_its_words():
    cited = run("BM25 was the strongest baseline [9].")
    assert cited.text == "BM25 was the strongest baseline [2]."
    assert [c.marker for c in cited.citations] == [2]


def test_a_sentence_that_no_passage_carries_gets_no_marker():
    cited = run("Paris is the capital of France [7]. BM25 was the strongest baseline on the data sets.")
    assert cited.text.startswith("Paris is the capital of France.")
    assert cited.sentences[0].markers == ()
    assert cited.sentences[1].markers == (2,)


def test_talk_about_the_answer_ties_a_sentence_to_nothing():
    text = "3. The answer to a question is in the passage. It took 3 days."
    cited = run("The answer to this question is: 3.", [passage(1, "aaaa", 3, text)])
    assert cited.text == "The answer to this question is: 3."
    assert cited.citations == ()


def test_a_rare_number_alone_is_enough_and_the_quote_is_a_sentence():
    text = "2. At break-even both cost the same at 9,047 questions a month."
    cited = run("The answer is 9,047.", [passage(1, "aaaa", 3, text)])
    assert cited.citations[0].quote == "At break-even both cost the same at 9,047 questions a month."


def test_a_sentence_with_abbreviations_has_one_verdict_and_one_marker_and_its_quote_is_whole():
    sentence = "The method of Dr. Lee raised accuracy by approx. 3 points on the U.S. data set"
    source = f"We looked at others first. {sentence}. Nothing else was tried."
    cited = cite(f"{sentence} [1].", [passage(1, "aaaa", 3, source)], page_text=lambda *_: source)
    assert cited.text == f"{sentence} [1]."
    assert [(s.text, s.support, s.markers) for s in cited.sentences] == [(f"{sentence}.", "supported", (1,))]
    assert [c.quote for c in cited.citations] == [f"{sentence}."]


def test_a_lists_number_belongs_to_the_sentence_behind_it():
    cited = run("12. The base models were trained for 3.5 days.")
    assert [(s.text, s.support) for s in cited.sentences] == [
        ("The base models were trained for 3.5 days.", "supported")
    ]


def test_marker_forms_that_models_write_are_understood():
    for form in ("[1, 2]", "[1][2]", "[1; 2]", "[1-2]", "[Passage 1] [2]", "【1】【2】"):
        cited = run(f"Trained for 3.5 days and BM25 was strongest {form}.")
        assert cited.sentences[0].markers == (1, 2), form
        assert cited.text.endswith("[1][2]."), form


MEASURED = (
    "The odds ratio for relapse was 2 with a 95% CI of [2, 8] in adults of the cohort. Scores are normalised to the "
    "range [0, 1] before they are averaged over the raters. Each item was rated on a scale [1-5]."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "The odds ratio for relapse was 2 with a 95% CI of [2, 8] in adults",
        "Scores are normalised to the range [0, 1] before they are averaged over the raters",
        "Each item was rated on a scale [1-5]",
    ],
)
def test_an_interval_in_square_brackets_is_no_marker(sentence):
    passages = [passage(1, "aaaa", 3, MEASURED), passage(2, "bbbb", 4, "Rats were fed with barley for six weeks.")]
    cited = cite(f"{sentence} [1].", passages, page_text=lambda *_: MEASURED)
    assert cited.text == f"{sentence} [1]."
    assert [(s.text, s.support, s.markers) for s in cited.sentences] == [(f"{sentence}.", "supported", (1,))]
    assert cited.corrections == ()
    assert markers_in(cited.text.replace("[1-5]", "")) == [1]


def test_an_interval_with_other_numbers_than_the_passages_is_unsupported():
    for wrong in ("a 95% CI of [12, 18]", "a 95% CI [1, 2]", "values in [100-400]"):
        cited = cite(
            f"The odds ratio for relapse was 2 with {wrong} in adults of the cohort [1].",
            [passage(1, "aaaa", 3, MEASURED)],
            page_text=lambda *_: MEASURED,
        )
        assert cited.sentences[0].support == "unsupported", wrong
        assert wrong in cited.text
        assert [c.was for c in cited.corrections] == [1]


def test_markers_after_of_and_in_stay_markers():
    cited = run("Training took 3.5 days in [1, 2]. The strongest baseline of [12, 18] was BM25.")
    assert cited.text == "Training took 3.5 days in [1]. The strongest baseline of was BM25 [2]."


def test_lists_keep_their_lines():
    cited = run("- trained for 3.5 days on 8 GPUs\n- BM25 was the strongest baseline")
    assert cited.text == "- trained for 3.5 days on 8 GPUs [1]\n- BM25 was the strongest baseline [2]"


def test_a_quote_that_is_not_on_the_page_is_not_verified():
    cited = run("Something odd was found [1].", [passage(1, "aaaa", 3, "Something odd was found in the barn.")])
    assert cited.citations[0].verified is False


def test_sentences_are_split_behind_their_markers():
    assert split_sentences("It is so. [1] And so, cf. Smith et al. 2020. [2][3] End") == [
        "It is so. [1]", "And so, cf. Smith et al. 2020. [2][3]", "End",
    ]  # fmt: skip


@given(st.text(max_size=300))
def test_whatever_a_model_writes_every_marker_left_is_one_that_exists(text):
    cited = run(text)
    for sentence in cited.sentences:
        assert set(sentence.markers) <= {1, 2}
    assert {c.marker for c in cited.citations} == {m for s in cited.sentences for m in s.markers}


@given(st.lists(st.sampled_from(["It took 3.5 days", "BM25 was strongest", "[1]", "[2]", "[12]", ".", "\n", "Paris"])))
def test_citing_twice_changes_nothing(parts):
    once = run(" ".join(parts)).text
    assert run(once).text == once


# -- quotes on one page ------------------------------------------------------------------------------------------------

LEFT = "Earlier work is cited there. The retriever that we describe reads the whole shelf before it"
RIGHT = "answers, and the second half of this sentence is the longer one by far. A last one follows."


def over_two_pages(first=4, before="", after=""):
    """A passage that begins on page `first` and ends on the next, and the texts of both pages."""
    text = f"{LEFT}\n{RIGHT}"
    chunk = Chunk(
        id="cccc:0000", paper_id="cccc", ordinal=0, text=text, start=0, end=len(text),
        first_page=first, last_page=first + 1, section=None, n_tokens=60,
    )  # fmt: skip
    shown = Passage(1, chunk, Paper(id="cccc", title="T", n_pages=9, file_name="t.pdf"), 1.0, ())
    return shown, {first: f"{before}{LEFT}", first + 1: f"{RIGHT}{after}"}


def cite_on(passage, pages, text):
    return cite(text, [passage], page_text=lambda _, page: pages.get(page, "")).citations[0]


def test_a_sentence_over_a_page_break_is_quoted_from_one_page_and_that_page_is_cited():
    shown, pages = over_two_pages(before="More.\n", after=" The end.")
    found = cite_on(shown, pages, "The second half of this sentence is the longer one by far.")
    assert (found.page, found.verified) == (5, True)
    assert found.quote == "answers, and the second half of this sentence is the longer one by far."
    found = cite_on(shown, pages, "The retriever that we describe reads the whole shelf.")
    assert (found.page, found.verified) == (4, True)
    assert found.quote == "The retriever that we describe reads the whole shelf before it"


def test_words_that_stand_on_both_pages_are_cited_where_the_passage_has_them():
    shown, pages = over_two_pages(before="A last one follows here now. ")
    pages[4] = "Answers, and the second half of this sentence is the longer one by far. " + pages[4]
    found = cite_on(shown, pages, "The second half of this sentence is the longer one by far.")
    assert (found.page, found.verified) == (5, True)


def test_a_page_without_text_between_two_others_is_none_that_is_cited():
    shown, pages = over_two_pages()
    chunk = Chunk(
        id="cccc:0000", paper_id="cccc", ordinal=0, text=f"{LEFT}\n\n{RIGHT}", start=0, end=1,
        first_page=4, last_page=6, section=None, n_tokens=60,
    )  # fmt: skip
    pages = {4: pages[4], 5: "", 6: RIGHT}
    shown = Passage(1, chunk, shown.paper, 1.0, ())
    assert cite_on(shown, pages, "The second half of this sentence is the longer one by far.").page == 6


def test_a_quote_has_five_words_where_the_passage_has_as_many():
    shown = passage(1, "aaaa", 3, "Internationalisation matters. It took 3.5 days on eight machines of ours.")
    assert len(cite_on(shown, {}, "Internationalisation matters on machines.").quote.split()) >= 5
    shown = passage(1, "aaaa", 3, "It took days. It is so. Internationalisation matters. We know.")
    found = cite_on(shown, {}, "Internationalisation matters.")
    assert found.quote == "It is so. Internationalisation matters. We know.", "with its neighbours"
    shown = passage(1, "aaaa", 3, "Internationalisation matters.")
    assert cite_on(shown, {}, "Internationalisation matters.").quote == "Internationalisation matters."


def test_what_is_not_verbatim_comes_with_the_words_that_differ():
    shown = passage(1, "aaaa", 3, "The base models were trained for 3.5 days on 9 GPUs.")
    found = run("The base models were trained for 3.5 days on 9 GPUs.", [shown]).citations[0]
    assert not found.verified
    assert ("struck", "9") in found.diff
    assert ("added", "8") in found.diff


# -- quotations of the model's own -------------------------------------------------------------------------------------


def quotations(text, passages=PASSAGES):
    return run(text, passages).quotations


def test_a_quotation_that_a_passage_says_is_verified_and_tied_to_it():
    said = "It is fast. The paper says “the base models were trained for 3.5 days on 8 GPUs” [1]."
    (found,) = quotations(said)
    assert (found.verified, found.marker, found.sentence, found.diff) == (True, 1, 1, ())


def test_a_quotation_with_one_word_changed_is_not_verbatim_and_shows_the_word():
    (found,) = quotations('They write "the base models were trained for four days on 8 GPUs".')
    assert (found.verified, found.marker) == (False, 1)
    assert found.diff == (
        ("same", "the base models were trained for"), ("struck", "four"), ("added", "3.5"), ("same", "days on 8 GPUs"),
    )  # fmt: skip


def test_a_quotation_of_words_that_are_nowhere_has_no_closest_place():
    (found,) = quotations("As they say, “Paris is the capital of France and always was”.")
    assert (found.verified, found.marker, found.diff) == (False, None, ())


def test_a_quotation_may_leave_something_out_but_not_be_pieced_together():
    (found,) = quotations("“The base models were trained […] on 8 GPUs”, they say.")
    assert found.verified
    (found,) = quotations("“Larger batches gave no gain … the base models were trained”, they say.")
    assert not found.verified, "that is not the order"
    (found,) = quotations("“Larger … gave … Adam … gain”, they say.")
    assert not found.verified


def test_the_end_of_a_sentence_may_stand_inside_the_quotation_marks():
    (found,) = quotations("They say “larger batches gave no gain. We used Adam.”")
    assert found.verified


def test_terms_and_titles_between_quotation_marks_are_no_quotations():
    assert quotations("It is called “strongest baseline” there.") == ()
    titled = passage(1, "aaaa", 3)
    titled = Passage(1, titled.chunk, Paper(id="aaaa", title="A Tale of Two Cities", n_pages=1, file_name=""), 1.0, ())
    assert quotations("In “A tale of two cities” they say so.", [titled]) == ()


def test_the_questions_own_words_between_quotation_marks_are_no_quotation():
    text = "The question “which of the models is the best” is not answered."
    assert len(quotations(text)) == 1
    asked = "Which of the models is the best?"
    assert cite(text, PASSAGES, page_text=lambda paper, page: "", question=asked).quotations == ()


def test_every_kind_of_quotation_marks_is_read():
    words = "larger batches gave no gain"
    for form in ("“{}”", '"{}"', "„{}“", "«{}»", "``{}''", "‘{}’", "“{}"):
        (found,) = quotations(f"They say {form.format(words)}")
        assert found.verified, form


@given(st.text(st.sampled_from("ab “”\"'‘’«».,…\n[1]"), max_size=120))
def test_whatever_stands_between_quotation_marks_belongs_to_a_sentence(text):
    cited = run(f"{text} The base models were trained.")
    for found in cited.quotations:
        assert 0 <= found.sentence < max(1, len(cited.sentences))
        assert found.verified or not any(found.text in page for page in PAGES.values())
