"""The right passage, found by meaning and by words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_embedder import HashEmbedder
from fake_reader import WordReader
from ingest import IngestSettings, ingest_pdf, open_library
from ingest.errors import LibraryMismatchError
from places import SAMPLES
from rag.reading.readings import Reading
from rag.retrieval.retrieve import RELEVANT, Retriever, _varied, floor, match_expression
from rag.words import words_of


@pytest.fixture(scope="module")
def samples(tmp_path_factory, embedder):
    with open_library(IngestSettings(library=tmp_path_factory.mktemp("samples"))) as library:
        for path in sorted(SAMPLES.glob("*.pdf")):
            assert ingest_pdf(path, library=library, embedder=embedder).status == "added"
        yield library


@pytest.fixture(scope="module")
def search(samples, embedder):
    retriever = Retriever(samples, embedder)
    return lambda question, k=5, **scope: retriever.search(question, retriever.embed(question), k=k, **scope)


def test_passages_are_numbered_ranked_and_within_k(search):
    found = search("How much memory does the key-value cache take?", k=4)
    assert [p.marker for p in found.passages] == [1, 2, 3, 4]
    scores = [p.score for p in found.passages]
    assert scores == sorted(scores, reverse=True)
    assert found.on_topic
    assert any("lexical" in p.sources and "dense" in p.sources for p in found.passages)


def test_scope_restricts_both_searches(samples, search):
    paper = samples.papers()[2]
    found = search("licence memory rank escalation cost", k=10, paper_ids=[paper.id])
    assert found.passages
    assert {p.paper.id for p in found.passages} == {paper.id}
    assert search("licence", paper_ids=[]).passages == ()
    assert search("licence", paper_ids=[], within=samples.chunk_ids()).passages == ()


def test_far_off_questions_are_recognised(search):
    for question in ("What is the boiling point of ethanol?", "Who won the football match yesterday?"):
        assert not search(question).on_topic, question


def test_a_short_question_is_on_topic_if_the_reader_finds_it_in_a_passage(samples, embedder, monkeypatch):
    monkeypatch.setattr("rag.retrieval.retrieve.floor", lambda n: 1.1)
    vector = embedder.embed_query("key-value cache")
    for relevance, told in ((RELEVANT - 0.1, False), (RELEVANT, True)):
        reader = WordReader()
        reading = Reading(relevance, (), 0.1, "span", 0.9, ())
        reader.read = lambda _, texts, reading=reading: [reading] * len(texts)
        retriever = Retriever(samples, embedder, reader=reader)
        assert retriever.search("key-value cache", vector, k=3, read=True).on_topic is told
        assert not retriever.search("key-value cache", vector, k=3).on_topic


def test_a_library_of_another_embedder_is_refused_in_words(samples):
    other = Retriever(samples, HashEmbedder())
    with pytest.raises(LibraryMismatchError, match="was built with all-MiniLM"):
        other.search("x", other.embed("x"), k=3)


@pytest.mark.parametrize(
    "question", ['"', "AND OR NOT", "a*b (c", "NEAR(x y)", "what is it?", "ß…—", "x" * 3000, "col:umn"]
)
def test_no_question_breaks_the_word_search(samples, search, question):
    assert [passage.marker for passage in search(question).passages] == [1, 2, 3, 4, 5]
    found = samples.search_words(match_expression(question) or '"memory"', 5)
    assert {name for name, _ in found} <= set(samples.chunk_ids())


def test_the_word_query_is_quoted_and_has_no_stop_words():
    assert match_expression("What is the rank of LoRA's matrix?") == '"rank" OR "lora" OR "matrix"'
    assert match_expression("?!") == ""


@pytest.mark.parametrize("enough", [3000, 20], ids=["all words", "rarer words"])
def test_no_chunk_has_more_than_the_best_possible_score_of_its_question(samples, monkeypatch, enough):
    monkeypatch.setattr("ingest.word_index.ENOUGH", enough)
    rows = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text().splitlines()]
    one = [samples.papers()[0].id]
    for question in [row["question"] for row in rows] + ["memory memory", "licence"]:
        match = match_expression(question)
        for scope in (None, one):
            highest = samples.highest_score(match, paper_ids=scope)
            found = samples.search_words(match, 5, paper_ids=scope)
            assert all(0 < score < highest for _, score in found), question
    assert samples.highest_score("") == 0


def test_a_word_of_the_heading_is_found_in_the_section_below_it(samples):
    with_heading = [chunk for chunk in samples.chunks(samples.chunk_ids()).values() if chunk.section]
    chunk = next(c for c in with_heading if words_of(c.section)[-1] not in words_of(c.text))
    found = dict(samples.search_words(f'"{words_of(chunk.section)[-1]}"', 100))
    assert chunk.id in found


@given(st.integers(1, 200_000), st.integers(2, 50))
def test_the_floor_rises_with_the_library_and_stays_a_cosine(n, times):
    assert 0 < floor(n) < floor(n * times) < 1


def test_of_two_passages_that_say_the_same_one_is_shown_and_no_paper_takes_all_places():
    unit = np.eye(6, dtype=np.float32)
    vectors = unit[[0, 0, 1, 2, 3, 4, 5]]
    papers = ["a", "b", "a", "a", "a", "b", "c"]
    assert _varied(papers, vectors, k=5, per_paper=None) == [0, 2, 3, 5, 6], "1 repeats 0, 4 is the fourth of a"
    assert _varied(papers, vectors, k=7, per_paper=None) == list(range(7)), "nothing is left out where there is room"
    assert _varied(papers, vectors, k=5, per_paper=5) == [0, 2, 3, 4, 5]


def test_search_of_the_whole_library_shows_several_papers_and_of_one_paper_only_that(samples, search):
    question = "How much memory does a model need?"
    of_all = [p.paper.id for p in search(question, k=6).passages]
    assert max(of_all.count(paper) for paper in of_all) <= 3
    assert len(search(question, k=6, paper_ids=[samples.papers()[0].id]).passages) == 6


def test_the_right_page_is_among_the_first_five_passages_for_the_sample_questions(samples, search):
    rows = [json.loads(line) for line in (SAMPLES / "questions.jsonl").read_text().splitlines()]
    stems = {paper.id: Path(paper.file_name).stem for paper in samples.papers()}
    found = [
        any(
            stems[p.paper.id] == row["paper"] and p.chunk.first_page <= row["page"] <= p.chunk.last_page
            for p in search(row["question"]).passages
        )
        for row in rows
    ]
    assert len(rows) == 12
    assert sum(found) >= 11
