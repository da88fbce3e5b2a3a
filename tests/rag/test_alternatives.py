"""A quotation stands in for a draft that is of no use, and for no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest import Chunk, Paper
from rag.alternatives import QUOTATION, best_of, confidence_of_quotation
from rag.answer import Confidence, Draft, Passage
from rag.citations import cite

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


def weighed(*gates: str) -> Confidence:
    return Confidence(0.01, "The draft only repeats the question.", {}, gates)


def test_a_draft_with_a_gate_gives_way_to_the_nearest_sentence_that_says_more_than_the_question():
    found = best_of(FIRST, weighed("echo"), question=QUESTION, sentences=SENTENCES, passages=PASSAGES)
    assert found.text == "It reaches 87.5 % on tweets [2]."
    assert (found.model, found.refines, found.cost) == (QUOTATION, FIRST, 0.0)


def test_the_quotation_is_supported_and_cited_by_the_same_check_as_every_draft():
    found = best_of(FIRST, weighed("no support"), question=QUESTION, sentences=SENTENCES, passages=PASSAGES)
    cited = cite(found.text, PASSAGES, page_text=lambda *_: TEXTS[1])
    assert [(s.support, s.markers) for s in cited.sentences] == [("supported", (2,))]
    assert cited.corrections == ()
    assert cited.citations[0].verified


def test_a_question_that_the_paper_asks_is_not_quoted():
    text = "Which licence do the weights have, and which the code? It is Apache-2.0."
    asking = replace(PASSAGES[0], chunk=replace(PASSAGES[0].chunk, text=text))
    sentences = ["Which licence do the weights have, and which the code?", "It is Apache-2.0."]
    found = best_of(FIRST, weighed("echo"), question=QUESTION, sentences=sentences, passages=[asking])
    assert found.text == "It is Apache-2.0 [1]."


@pytest.mark.parametrize("gates", [(), ("abstains",), ("nothing found",)])
def test_a_draft_without_a_gate_stands_and_so_does_an_abstention(gates):
    assert best_of(FIRST, weighed(*gates), question=QUESTION, sentences=SENTENCES, passages=PASSAGES) is None


def test_what_no_passage_has_is_not_quoted():
    invented = ["Penguins breed in Antarctica."]
    assert best_of(FIRST, weighed("echo"), question=QUESTION, sentences=invented, passages=PASSAGES) is None
    assert best_of(FIRST, weighed("echo"), question=QUESTION, sentences=[], passages=PASSAGES) is None


def test_the_reason_tells_what_stands_there_and_what_was_wrong_with_the_draft():
    found = confidence_of_quotation(weighed("echo"))
    assert found.reason == "The nearest sentence of your papers, word for word. The draft only repeats the question."
    assert found.gates == ()
