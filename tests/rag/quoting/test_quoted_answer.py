"""A quotation stands in for a draft that is of no use, and for no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest import Chunk, Paper
from rag.answer import Confidence, Draft, Passage
from rag.quoting.quoted_answer import (
    QUOTED_ANSWER,
    confidence_of_quoted_answer,
    holds,
    one_of_each_paper,
    quoted_answer,
)
from rag.verify.citations import cite

QUESTION = "Which accuracy does the model reach?"
SENTENCES = [
    "Which accuracy does the model reach?",
    "It reaches 87.5 %\non tweets.",
    "Annotators agreed in most cases.",
]
TEXTS = [
    "Annotators agreed in most cases. We thank them.",
    "Which accuracy does the model reach? It reaches 87.5 % on tweets.",
]


def passage(marker: int) -> Passage:
    text = TEXTS[marker - 1]
    chunk = Chunk(
        id=f"p:{marker:04d}", paper_id="p", ordinal=marker, text=text, start=0, end=len(text), first_page=1,
        last_page=1, section=None, n_tokens=50,
    )  # fmt: skip
    return Passage(marker, chunk, Paper(id="p", title="A paper", n_pages=1, file_name="a.pdf"), 0.8, ("dense",))


PASSAGES = (passage(1), passage(2))
FIRST = Draft(
    text="Question: which accuracy does the model reach?", model="small", usage=None, seconds=1.0,
    first_token_seconds=0.1, finish_reason="stop", mean_logprob=-0.1,
)  # fmt: skip


def weighed(*vetoes: str) -> Confidence:
    return Confidence(0.01, "The draft only repeats the question.", {}, vetoes)


def test_a_draft_with_a_gate_gives_way_to_the_nearest_sentence_that_says_more_than_the_question():
    found = quoted_answer(SENTENCES, question=QUESTION, passages=PASSAGES, instead_of=FIRST)
    assert found.text == "It reaches 87.5 % on tweets [2]."
    assert (found.model, found.refines, found.cost) == (QUOTED_ANSWER, FIRST, 0.0)


def test_the_quotation_is_supported_and_cited_by_the_same_check_as_every_draft():
    found = quoted_answer(SENTENCES, question=QUESTION, passages=PASSAGES, instead_of=FIRST)
    cited = cite(found.text, PASSAGES, page_text=lambda *_: TEXTS[1])
    assert [(s.support, s.markers) for s in cited.sentences] == [("supported", (2,))]
    assert cited.corrections == ()
    assert cited.citations[0].verified


def test_several_sentences_stand_on_lines_of_their_own():
    found = quoted_answer(SENTENCES, question=QUESTION, passages=PASSAGES, instead_of=FIRST, most=3)
    assert found.text.split("\n") == ["It reaches 87.5 % on tweets [2].", "Annotators agreed in most cases [1]."]


def test_a_sentence_that_two_papers_have_is_cited_from_both_and_from_neither_twice():
    same = replace(PASSAGES[0], marker=2, paper=replace(PASSAGES[0].paper, id="q"))
    sentence = "Annotators agreed in most cases."
    found = quoted_answer([sentence] * 3, question=QUESTION, passages=(PASSAGES[0], same), instead_of=None, most=3)
    assert [line.rpartition(" ")[2] for line in found.text.splitlines()] == ["[1].", "[2]."]


def test_of_each_paper_the_best_sentence_is_taken_in_the_order_of_the_passages():
    other = replace(PASSAGES[1], paper=replace(PASSAGES[1].paper, id="q"))
    sentences = ["It reaches 87.5 % on tweets.", "We thank them.", "Annotators agreed in most cases."]
    assert one_of_each_paper(sentences, (PASSAGES[0], other)) == ["We thank them.", "It reaches 87.5 % on tweets."]


def test_a_question_that_the_paper_asks_is_not_quoted():
    text = "Which licence do the weights have, and which the code? It is Apache-2.0."
    asking = replace(PASSAGES[0], chunk=replace(PASSAGES[0].chunk, text=text))
    sentences = ["Which licence do the weights have, and which the code?", "It is Apache-2.0."]
    found = quoted_answer(sentences, question=QUESTION, passages=[asking], instead_of=FIRST)
    assert found.text == "It is Apache-2.0 [1]."


@pytest.mark.parametrize("vetoes", [(), ("abstains",), ("nothing found",)])
def test_a_draft_without_a_veto_stands_and_so_does_an_abstention(vetoes):
    assert holds(weighed(*vetoes), wholly=True)
    assert not holds(weighed("no support", *vetoes))
    assert holds(weighed("number", *vetoes))
    assert not holds(weighed("number", *vetoes), wholly=True)


def test_what_no_passage_has_is_not_quoted():
    invented = ["Penguins breed in Antarctica."]
    assert quoted_answer(invented, question=QUESTION, passages=PASSAGES, instead_of=FIRST) is None
    assert quoted_answer([], question=QUESTION, passages=PASSAGES, instead_of=FIRST) is None


def test_the_reason_tells_what_stands_there_and_what_was_wrong_with_the_draft():
    found = confidence_of_quoted_answer(weighed("echo"))
    assert found.reason.startswith("Quoted word for word from your papers. Check")
    assert found.reason.endswith("The draft only repeats the question.")
    assert found.signals["calibrated"] == 0.0  # so that no figure is shown
    assert found.vetoes == ()
