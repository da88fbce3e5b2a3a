"""Questions for a page: by its printed number first, then by its place in the file; and that page alone is read."""

from __future__ import annotations

import pytest

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import ingest_pdf
from ingest.paper import Paper
from pdfs import Text, column, write_pdf
from rag import Answered, Assistant, RagSettings
from rag.answer import Scope
from rag.retrieval.pages import asked_page
from rag.retrieval.plans import gather
from rag.retrieval.questions import plan
from rag.retrieval.retrieve import Retriever

OFFPRINT = Paper(
    id="1" * 16,
    title="Carbon balance of restored fens",
    authors=("Marta Kowal", "Jan Lindqvist"),
    year=2021,
    n_pages=3,
    file_name="offprint.pdf",
    page_labels=("1123", "1124", "1125"),
)
BOOK = Paper(id="2" * 16, title="A Book", n_pages=4, file_name="book.pdf", page_labels=("i", "ii", "1", "2"))
OTHERS = tuple(
    Paper(id=str(n) * 16, title=f"Another {n}", authors=("Ann Smith",), year=2010 + n, n_pages=9, file_name="b.pdf")
    for n in range(3, 9)
)


@pytest.mark.parametrize(
    ("question", "kind", "pages"),
    [
        ("what does page 1124 say?", "summary", (2, 2)),
        ("What is on p. 1124?", "summary", (2, 2)),
        ("Please summarise page 1125", "summary", (3, 3)),
        ("What does page 1124 of Kowal et al. 2021 say?", "summary", (2, 2)),
        ("What does Kowal 2021 say on page 1124?", "summary", (2, 2)),
        ("What is written on pages 1123-1124?", "summary", (1, 2)),
        ("And page 1125?", "summary", (3, 3)),
        ("What does page 1124 say about methane?", "fact", (2, 2)),
        ("On page 1125, how many plots were used?", "fact", (3, 3)),
    ],
)
@pytest.mark.parametrize("others", [(), OTHERS])
def test_a_page_is_known_by_its_printed_number(question, kind, pages, others):
    taken = plan(question, scope=Scope((OFFPRINT, *others), whole=True))
    assert (taken.kind, taken.pages, taken.notice) == (kind, {OFFPRINT.id: pages}, None)
    assert taken.scope.papers == (OFFPRINT,)


def test_the_printed_number_comes_before_the_place_in_the_file():
    assert plan("What does page 2 say?", scope=Scope((BOOK,))).pages == {BOOK.id: (4, 4)}
    assert plan("What does page 3 say?", scope=Scope((BOOK,))).pages == {BOOK.id: (3, 3)}
    assert plan("What does page II say?", scope=Scope((BOOK,))).pages == {BOOK.id: (2, 2)}
    assert plan("What does page 2 say?", scope=Scope((BOOK, OFFPRINT))).pages == {BOOK.id: (4, 4)}


def test_where_no_page_or_too_many_are_meant_the_question_goes_on_with_a_sentence():
    taken = plan("What does page 999 say?", scope=Scope((OFFPRINT,)))
    assert (taken.pages, taken.notice) == (None, "The paper has no page 999.")
    taken = plan("What does page 7 say?", scope=Scope((OFFPRINT, *OTHERS)))
    assert taken.pages is None
    assert taken.notice == "6 papers have a page 7. Name the paper to ask that page alone."
    taken = plan("What does page 7 of Smith 2013 say?", scope=Scope((OFFPRINT, *OTHERS)))
    assert taken.pages == {OTHERS[0].id: (7, 7)}


@pytest.mark.parametrize(
    "question",
    [
        "How many pages does it have?",
        "Is p 0.05 the threshold?",
        "Was p. 0.03 reported?",
        "page turning",
        "How transmissible is the P.1 variant?",
        "What was the viral load at 3 days p.i.?",
        "What was the viral load at 3 d.p.i.?",
        "Who is the P.I. of the study?",
        "How large is 9.5 p.c.?",
        "What is on the page I uploaded?",
        "what is on the page i uploaded?",
        "Which web page I should use?",
        "What causes the page 404 error?",
        "How many people saw landing page 2?",
        "What does p.V600E change?",
    ],
)
def test_other_questions_name_no_page(question):
    assert asked_page(question) is None


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("What is on page i?", "i"),
        ("What does PAGE XII say?", "XII"),
        ("What is on p. xii of Smith 2019?", "xii"),
        ("What is on p.12?", "12"),
        ("Smith 2019 p. 12?", "12"),
        ("What is on page S12?", "S12"),
    ],
)
def test_pages_are_named_in_many_ways(question, first):
    assert asked_page(question).first == first


BROWN = tuple(
    Paper(id=f"b{n}" * 8, title=f"Fens {n}", authors=("Ann Brown",), year=year, n_pages=9, file_name=f"b{n}.pdf")
    for n, year in enumerate((2011, 2018, 2018))
)


def test_the_next_page_is_one_of_the_same_paper():
    scope = Scope((*BROWN, *OTHERS), whole=True)
    first = "What does page 3 of Brown 2011 say?"
    assert plan(first, scope=scope).scope.papers == BROWN[:1]
    history = [(first, "It says so [1].")]
    assert plan("And page 4?", scope=scope, history=history).scope.papers == BROWN[:1]
    history.append(("And page 4?", "More of it [1]."))
    assert plan("What does page 5 say?", scope=scope, history=history).scope.papers == BROWN[:1]
    history.append(("Why?", "Because [1]."))
    assert plan("And page 6?", scope=scope, history=history).scope.papers == BROWN[:1]
    history.append(("What do the others say about rain?", "It rains [1]."))
    assert plan("What does page 5 say?", scope=scope, history=history).pages is None


def test_a_page_of_the_second_one_is_one_of_the_list_just_shown():
    scope = Scope((*BROWN, *OTHERS), whole=True)
    history = [("Which papers are by Brown?", "1. “Fens 0” (Ann Brown, 2011)\n2. “Fens 1” (Ann Brown, 2018)")]
    taken = plan("What does page 3 of the second one say?", scope=scope, history=history)
    assert taken.scope.papers == BROWN[1:2]
    assert taken.kind == "summary"


def test_where_the_name_fits_two_papers_the_user_is_told_so():
    taken = plan("What does page 3 of Brown 2018 say?", scope=Scope((*BROWN, *OTHERS), whole=True))
    assert taken.scope.papers == BROWN[1:]
    assert "fits 2 papers" in taken.notice


@pytest.fixture
def offprint(library, tmp_path):
    said = ("chambers measured methane", "sedge emitted twice as much", "conclusions about rewetting")
    pages = [
        [
            Text(72, 760, f"{1123 + place} Peat Journal"),
            Text(72, 720, "Carbon Balance of Restored Fens", 18),
            *column(72, 600, [f"On this page {words} in row {row} of the running text." for row in range(8)]),
        ]
        for place, words in enumerate(said)
    ]
    report = ingest_pdf(write_pdf(tmp_path / "a.pdf", *pages), library=library, embedder=HashEmbedder())
    return library.paper(report.paper_id)


@pytest.mark.parametrize("question", ["What does page 1124 say?", "What does page 1124 say about sedge?"])
def test_only_that_page_is_read(library, offprint, question):
    retriever = Retriever(library, HashEmbedder())
    taken = plan(question, scope=Scope((offprint,)))
    found = gather(taken, retriever.embed(question), retriever=retriever, library=library, k=6)
    assert found.on_topic
    assert found.passages
    assert all(p.chunk.first_page <= 2 <= p.chunk.last_page for p in found.passages)
    assert any("sedge" in p.chunk.text for p in found.passages)


async def test_the_answer_cites_the_page_as_printed(library, offprint):
    from rag.render import full_answer, sources, with_references

    drafter = ScriptedChatModel(["On this page sedge emitted twice as much [1]."])
    settings = RagSettings(drafter="http://127.0.0.1:1/v1#x")
    assistant = Assistant(library=library, embedder=HashEmbedder(), drafter=drafter, settings=settings)
    events = [event async for event in assistant.ask("What does page 1124 say?")]
    assert isinstance(events[-1], Answered)
    answer = events[-1].answer
    assert "page 1124 (2)" in sources(answer)
    assert "page 1124 (2)" in full_answer(answer)
    cited = [(c.marker, c.passage.paper, c.page) for c in answer.citations]
    assert cited[0][2] == 2, "what is stored goes by the file"
    assert "p. 1124 (2)." in with_references(answer.text, cited)
