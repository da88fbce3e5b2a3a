"""Markers that hold are kept, invented ones go, and each citation names words that stand on its page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest import Chunk, Paper
from rag.answer import Passage
from rag.citations import cite, split_sentences

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


def test_marker_forms_that_models_write_are_understood():
    for form in ("[1, 2]", "[1][2]", "[1; 2]", "[1-2]", "[Passage 1] [2]", "【1】【2】"):
        cited = run(f"Trained for 3.5 days and BM25 was strongest {form}.")
        assert cited.sentences[0].markers == (1, 2), form
        assert cited.text.endswith("[1][2]."), form


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
