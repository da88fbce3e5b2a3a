"""True sentences are supported; a changed number, name or negation is not; the model's markers are hints."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import Chunk, Paper
from rag.answer import PARTIALLY_SUPPORTED, Correction, Passage
from rag.verify.citations import cite
from rag.verify.support import judge
from rag.words import split_sentences

TEXTS = [
    text.replace("\n", " ")
    for text in """\
The base models were trained for 3.5 days on 8 GPUs. Larger batches gave no gain. We used Adam with a learning
rate of 0.001 and 4,000 warm-up steps. Accuracy rose from 71.2% to 84.6% on the German part.

Retrieval with BM25 was the strongest baseline on all four data sets. BERT outperforms the BiLSTM on SQuAD.
The annotators did not agree on 12 of the 300 questions [7].

A convolutional neural network reads the characters. Dropout never helped in our experiments, and longer
training led to lower scores. The corpus holds 20 GB of text from Wikipedia.""".split("\n\n")
]


def passage(marker, text):
    chunk = Chunk(
        id=f"{marker:016x}:0000", paper_id=f"{marker:016x}", ordinal=0, text=text, start=0, end=len(text),
        first_page=1, last_page=1, section=None, n_tokens=30,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id=chunk.paper_id, title="T", n_pages=9, file_name="t.pdf"), 1.0, ("dense",))


PASSAGES = [passage(marker, text) for marker, text in enumerate(TEXTS, start=1)]
SENTENCES = [(marker, sentence) for marker, text in enumerate(TEXTS, start=1) for sentence in split_sentences(text)]


@pytest.mark.parametrize(("marker", "sentence"), SENTENCES)
def test_a_verbatim_sentence_is_supported_where_it_stands(marker, sentence):
    judged = judge(sentence, PASSAGES)
    assert (judged.support, judged.marker, judged.reasons) == ("supported", marker, ())
    assert TEXTS[marker - 1][slice(*judged.window)] == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Training took 3.5 days on eight GPUs.",
        "The learning rate was .001 with 4000 warm-up steps.",
        "Accuracy rose to 84.6 percent on the German part.",
        "A CNN reads the characters.",
        "On all 4 data sets BM25 was the strongest baseline.",
        "The corpus holds 20GB of Wikipedia text.",
    ],
)
def test_the_same_in_other_words_and_figures_is_supported(sentence):
    assert judge(sentence, PASSAGES).support == "supported"


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("The base models were trained for 3.5 days on 16 GPUs.", "number 16 is 8 in the passage"),
        ("The base models were trained for 3.5 weeks on 8 GPUs.", "number 3.5 (week) is 3.5 (day) in the passage"),
        ("The corpus holds 20 MB of text from Wikipedia.", "number 20 (mb) is 20 (gb) in the passage"),
        ("Accuracy rose from 84.6% to 71.2% on the German part.", "is used for something else"),
        ("Accuracy rose from 71.2% to 84.6% on the French part.", "name French is German in the passage"),
        ("RoBERTa outperforms the BiLSTM on SQuAD.", "name RoBERTa is BERT in the passage"),
        ("BiLSTM outperforms the BERT on SQuAD.", "name BiLSTM is BERT in the passage"),
        ("The annotators did agree on 12 of the 300 questions.", "one of the two is negated"),
        ("Retrieval with BM25 was not the strongest baseline on all four data sets.", "one of the two is negated"),
        ("BERT underperforms the BiLSTM on SQuAD.", 'the passage says "outperforms", not "underperforms"'),
        ("Longer training led to higher scores.", 'the passage says "lower", not "higher"'),
        ("Retrieval with BM25 was the weakest baseline on all nine data sets.", "number nine is four in the passage"),
        ("Dropout helped in the experiments.", "the passage negates this"),
        ("Adam was not used.", "this negates what the passage says"),
        ("BM25 was the weakest baseline.", 'the passage says "strongest", not "weakest"'),
        ("Retrieval with BM25 was the strongest baseline on all 300 data sets.", "number 300 is four in the passage"),
        ("Paris is the capital of France.", "the passages do not mention this"),
    ],
)
def test_a_changed_sentence_is_unsupported_and_says_why(sentence, reason):
    judged = judge(sentence, PASSAGES)
    assert judged.support == "unsupported"
    assert any(reason in found for found in judged.reasons), judged.reasons
    assert judged.markers == ()


def test_a_sentence_of_which_only_a_part_is_there_is_partially_supported():
    judged = judge("Dropout never helped, so the authors removed the regularisation from later checkpoints.", PASSAGES)
    assert (judged.support, judged.marker) == (PARTIALLY_SUPPORTED, 3)


def test_a_no_that_answers_the_question_negates_nothing():
    assert judge("No, BM25 was the strongest baseline.", PASSAGES).support == "supported"
    assert judge("No, dropout helped in the experiments.", PASSAGES).support == "unsupported"


def test_each_number_and_name_has_one_reason():
    judged = judge("RoBERTa was trained for 3.5 days on 16 GPUs, as the base models were trained.", PASSAGES)
    subjects = [reason.split()[1] for reason in judged.reasons if reason.startswith(("number", "name"))]
    assert "RoBERTa" in subjects
    assert "16" in subjects
    assert len(subjects) == len(set(subjects))


def test_words_that_stand_beside_each_other_tie_more_than_the_same_words_apart():
    beside = judge("Longer training is what everybody in Paris wants today.", PASSAGES)
    apart = judge("Training is what everybody longer in Paris wants today.", PASSAGES)
    assert beside.score == apart.score
    assert beside.tie > apart.tie


@pytest.mark.parametrize(
    "sentence",
    [
        "Yes.",
        "No.",
        "Here is a list:",
        "3.",
        "The answer is:",
        "I don't know.",
        "",
        "This is not in your papers.",
        "The passages do not mention the learning rate.",
    ],
)
def test_what_claims_nothing_is_not_judged(sentence):
    assert judge(sentence, PASSAGES).support is None


def test_without_passages_nothing_is_judged():
    assert judge("BERT outperforms the BiLSTM on SQuAD.", []).support is None


@given(st.sampled_from(SENTENCES), st.integers(0, 10**6))
def test_a_changed_number_is_never_supported(sentence, new):
    found = re.search(r"\d[\d,.]*\d|\d", sentence[1].split(" [")[0])
    if found and found[0].replace(",", "") != str(new):
        changed = sentence[1][: found.start()] + str(new) + sentence[1][found.end() :]
        assert judge(changed, PASSAGES).support != "supported"


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_is_judged_the_window_lies_in_the_passage_and_the_score_is_a_share(sentence, text):
    judged = judge(sentence, [passage(1, text)], hints=[1])
    assert 0 <= judged.score <= 1 + 1e-9
    assert set(judged.markers) <= {1}
    if judged.window:
        assert 0 <= judged.window[0] <= judged.window[1] <= len(text)


@given(st.lists(st.sampled_from([s for _, s in SENTENCES]), min_size=1, max_size=8, unique=True))
def test_every_sentence_of_a_passage_is_supported_or_says_nothing(parts):
    text = " ".join(parts)
    assert {judge(part, [passage(1, text)]).support for part in parts} <= {"supported", None}


def test_the_models_marker_is_kept_where_its_passage_says_the_same():
    twice = [*PASSAGES, passage(4, TEXTS[1])]
    assert judge("BERT outperforms the BiLSTM on SQuAD.", twice, hints=[4]).markers == (4,)


def test_a_marker_is_corrected_where_another_passage_carries_the_sentence():
    judged = judge("BERT outperforms the BiLSTM on SQuAD.", PASSAGES, hints=[1])
    assert (judged.markers, judged.corrections) == ((2,), ((1, 2),))


def test_a_further_marker_that_adds_nothing_is_dropped_and_one_that_adds_stays():
    judged = judge("BERT outperforms the BiLSTM on SQuAD.", PASSAGES, hints=[2, 1])
    assert (judged.markers, judged.corrections) == ((2,), ((1, None),))
    both = judge("It was trained for 3.5 days, and BM25 was the strongest baseline.", PASSAGES, hints=[1, 2])
    assert both.markers == (1, 2)


def test_an_answer_keeps_the_support_of_each_sentence_and_what_was_corrected():
    text = "BERT outperforms the BiLSTM on SQuAD [1]. The base models were trained on 16 GPUs [1]. Yes."
    cited = cite(text, PASSAGES, page_text=lambda _paper, _page: "")
    assert [s.support for s in cited.sentences] == ["supported", "unsupported", None]
    assert cited.corrections == (Correction(0, 1, 2), Correction(1, 1, None))
    assert cited.text == "BERT outperforms the BiLSTM on SQuAD [2]. The base models were trained on 16 GPUs. Yes."


def test_an_invented_marker_counts_as_a_correction():
    cited = cite("BERT outperforms the BiLSTM on SQuAD [9].", PASSAGES, page_text=lambda _paper, _page: "")
    assert cited.corrections == (Correction(0, 9, 2),)
