"""Which papers mention a word: compounds split or joined, and names without the general noun after them."""

from __future__ import annotations

import re
import time

import pytest

from fake_embedder import HashEmbedder
from ingest import Chunk, Page, Paper, ParsedPaper
from rag.answer import Scope
from rag.catalogue.catalogue import Catalogue
from rag.catalogue.mentions import _pattern, find_mentions, without_general

TEXTS = (
    "Statistics were computed with GraphPad Prism 6. Five ISSR markers were amplified from the leaves.",
    "All tests were run in Graph pad prism version 5. ISSR primers gave clear bands.",
    "The seeds were extracted in a Soxhlet extractor with a follow-up wash.",
    "The powder went into a Soxhlet apparatus. The plants were left to grow for a month; a followup is planned.",
)


@pytest.fixture
def papers(library):
    embedder = HashEmbedder()
    pdf = library.folder / "made.pdf"
    pdf.write_bytes(b"%PDF-1.7")
    for n, text in enumerate(TEXTS, start=1):
        paper = Paper(id=f"{n:016x}", title=f"Work {n}", n_pages=1, file_name=f"{n}.pdf")
        chunk = Chunk(
            id=f"{paper.id}:0000", paper_id=paper.id, ordinal=0, text=text, start=0, end=len(text), first_page=1,
            last_page=1, section=None, n_tokens=30,
        )  # fmt: skip
        parsed = ParsedPaper(paper, (Page(1, text),))
        library.add(parsed, [chunk], embedder.embed_documents([text]), embedder=embedder.name, pdf=pdf)
    return library.papers()


@pytest.mark.parametrize(
    ("words", "exact", "found"),
    [
        ("GraphPad Prism", True, [1]),
        ("GraphPad Prism", False, [1, 2]),
        ("graph-pad prism", False, [1, 2]),
        ("follow-up", True, [3]),
        ("follow-up", False, [3, 4]),
        ("Soxhlet", False, [3, 4]),
        ("plant", False, []),
    ],
)
def test_parts_of_a_compound_may_be_joined_or_not(library, papers, words, exact, found) -> None:
    assert [int(m.paper.id, 16) for m in find_mentions(library, words, papers, exact=exact)] == found


def test_a_name_is_found_without_the_general_noun_after_it(library, papers) -> None:
    catalogue = Catalogue(library)
    scope = Scope(tuple(papers), whole=True)
    reply = catalogue.answer("Which papers used a Soxhlet apparatus?", scope=scope)
    assert reply.text.startswith("2 of your 4 papers mention “Soxhlet” (with or without “apparatus”):")
    assert "2 of your 4" in catalogue.answer("Which papers mention ISSR markers?", scope=scope).text
    assert "1 of your 4" in catalogue.answer("Which papers mention “ISSR markers”?", scope=scope).text


@pytest.mark.parametrize(
    "question",
    [
        "Are there papers here that talk about a Soxhlet apparatus? Which ones?",
        "Are there any papers that mention Soxhlet? If so, which?",
        "Which papers mention Soxhlet, and which ones?",
        "Which of my papers talk about Soxhlet?",
    ],
)
def test_a_question_whether_papers_talk_about_it_is_one_for_the_list(library, papers, question) -> None:
    reply = Catalogue(library).answer(question, scope=Scope(tuple(papers), whole=True))
    assert reply.text.startswith("2 of your 4 papers mention “Soxhlet”")


def test_a_topic_that_nobody_names_word_for_word_is_a_question(library, papers) -> None:
    scope = Scope(tuple(papers), whole=True)
    assert Catalogue(library).answer("Which papers talk about growing under water?", scope=scope) is None


def test_a_minus_and_a_hyphen_between_numbers_are_not_left_out() -> None:
    assert re.search(_pattern("-80", exact=False).pattern, "kept at -80 degrees")
    assert not re.search(_pattern("-80", exact=False).pattern, "kept at 80 degrees")
    assert not re.search(_pattern("5-10", exact=False).pattern, "510 mg")


def test_many_hyphens_take_no_time() -> None:
    began = time.monotonic()
    assert not re.search(_pattern(f"a{'-' * 4_000}c", exact=False).pattern, "a - b " * 1_000)
    assert not re.search(_pattern("a" + "-b" * 300, exact=False).pattern, "ab" * 3_000)
    assert time.monotonic() - began < 5


def test_only_a_name_stands_alone() -> None:
    assert without_general("T cells") is None
    assert without_general("Soxhlet apparatus") == "Soxhlet"
    assert without_general("the Jaccard index") == "the Jaccard"
    assert without_general("statistical methods") is None
    assert without_general("Pantheon+ data") == "Pantheon+"
    assert without_general("HIV data") is None
    assert without_general("Soxhlet") is None


def test_a_name_of_two_words_may_be_said_to_appear_and_a_topic_is_left_to_the_papers(library, papers) -> None:
    catalogue = Catalogue(library)
    scope = Scope(tuple(papers), whole=True)
    reply = catalogue.answer("In which papers does GraphPad Prism appear?", scope=scope)
    assert reply.text.startswith("2 of your 4 papers mention “GraphPad Prism”:")
    assert catalogue.answer("In which of my papers do clear bands appear?", scope=scope) is None
    assert catalogue.answer("In which studies does ISSR amplification occur?", scope=scope) is None
