"""Each kind of question gets its own passages, and a fact question what the search finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import ingest_pdf
from ingest.errors import TagError
from places import SAMPLES
from rag import Answered, Assistant, RagSettings, Retrieved
from rag.answer import Scope
from rag.quoting.roles import telling_sentences
from rag.retrieval.plans import gather, outline, understood
from rag.retrieval.questions import plan
from rag.retrieval.retrieve import Retriever

NAMES = ("before-you-run", "draft-and-refine", "local-or-cloud", "lora-for-terms")


@pytest.fixture
def embedder():
    return HashEmbedder()


@pytest.fixture
def papers(library, embedder):
    for name in NAMES:
        ingest_pdf(SAMPLES / f"{name}.pdf", library=library, embedder=embedder)
    return library.papers()


@pytest.fixture
def found(library, embedder, papers):
    retriever = Retriever(library, embedder)

    def search(question, *, among=papers, whole=False, k=6):
        taken = plan(question, scope=Scope(tuple(among), whole=whole))
        vector = retriever.embed(taken.text)
        return taken, gather(taken, vector, retriever=retriever, library=library, k=k)

    search.retriever = retriever
    return search


def test_a_fact_question_gets_what_the_search_finds(found, papers) -> None:
    question = "How many bytes does the key-value cache need per token?"
    taken, result = found(question, whole=True)
    assert taken.kind == "fact"
    vector = found.retriever.embed(question)
    assert result == found.retriever.search(question, vector, k=6)
    taken, result = found(question, among=papers[:2])
    assert result == found.retriever.search(question, vector, k=6, paper_ids=[p.id for p in papers[:2]])


def test_a_summary_reads_the_abstract_the_conclusion_and_the_beginnings_of_the_sections(found, library, papers) -> None:
    for paper in papers:
        taken, result = found("Summarise this paper.", among=[paper])
        assert taken.kind == "summary"
        assert result.on_topic
        assert [p.marker for p in result.passages] == list(range(1, 7))
        chunks = sorted(library.chunks(library.chunk_ids([paper.id])).values(), key=lambda chunk: chunk.ordinal)
        sections = [p.chunk.section for p in result.passages]
        assert len(set(sections)) >= min(4, len({chunk.section for chunk in chunks}))
        assert result.passages[0].chunk.ordinal <= 1, "the abstract stands at the beginning"
        first_of = {chunk.section: chunk.id for chunk in reversed(chunks)}
        assert {p.chunk.id for p in result.passages[2:]} <= {*first_of.values(), *(c.id for c in chunks[:6])}


def test_a_summary_ends_with_what_the_paper_concludes(found, library, papers) -> None:
    concluding = [
        paper
        for paper in papers
        if any("onclusion" in (chunk.section or "") for chunk in library.chunks(library.chunk_ids([paper.id])).values())
    ]
    for paper in concluding:
        assert any("onclusion" in (p.chunk.section or "") for p in outline(library, paper, k=4))


def test_a_comparison_reads_as_much_of_each_paper(found, papers) -> None:
    for question in ("Compare these papers.", "Compare the memory use in these papers."):
        taken, result = found(question, among=papers[:3])
        assert taken.kind == "comparison"
        counts = {paper.id: sum(p.paper.id == paper.id for p in result.passages) for paper in papers[:3]}
        assert set(counts.values()) == {2}
        assert [p.marker for p in result.passages] == list(range(1, 7))


def test_which_papers_gets_the_best_passage_of_each_paper_that_bears_on_it(found) -> None:
    taken, result = found("Which papers mention the rank of the adapter?", whole=True)
    assert taken.kind == "papers"
    ids = [p.paper.id for p in result.passages]
    assert len(ids) == len(set(ids))
    assert "LoRA" in result.passages[0].paper.title
    assert not found("Which papers mention zebra xylophone quark?", whole=True)[1].on_topic


def test_a_summary_for_a_very_small_model_takes_from_each_paper(library, papers) -> None:
    passages = [*outline(library, papers[0], k=2), *outline(library, papers[1], k=2)]
    sentences = telling_sentences(passages, n=4)
    assert len(sentences) == 4
    assert sum(sentence in papers_text(library, papers[1]) for sentence in sentences) >= 2


def papers_text(library, paper) -> str:
    return " ".join(chunk.text for chunk in library.chunks(library.chunk_ids([paper.id])).values())


# -- through the assistant ---------------------------------------------------------------------------------------------


def assistant(library, embedder, *replies):
    return Assistant(
        library=library,
        embedder=embedder,
        drafter=ScriptedChatModel(*replies),
        settings=RagSettings(drafter_sentences=0),
    )


async def events(stream):
    return [event async for event in stream]


async def test_a_tag_is_a_scope_and_the_answer_says_so(library, embedder, papers) -> None:
    library.tag([paper.id for paper in papers[:2]], "thesis")
    asked = assistant(library, embedder, "It needs 128 KiB [1].", "Yes.")
    answer = await asked.answer("How is the model drafted and refined?", tag="Thesis")
    assert {p.paper.id for p in answer.passages} <= {paper.id for paper in papers[:2]}
    assert answer.scope == Scope(tuple(papers[:2]), tag="Thesis")
    with pytest.raises(TagError, match="thesis"):
        await asked.answer("How?", tag="theses")


async def test_a_follow_up_is_searched_for_with_the_words_of_the_chat(library, embedder, papers) -> None:
    asked = assistant(library, embedder, "It has few parameters.", "Few.")
    history = [("How large is a LoRA adapter?", "It has 4.9 million parameters [1].")]
    seen = await events(asked.ask("Why is it so small?", history=history))
    first = next(event for event in seen if isinstance(event, Retrieved))
    assert first.searched == "Why is it so small (LoRA adapter)?"
    assert "LoRA" in first.passages[0].paper.title
    assert isinstance(seen[-1], Answered)
    assert seen[-1].answer.searched == first.searched
    assert seen[-1].answer.question == "Why is it so small?"
    assert (await asked.answer("How large is a LoRA adapter?", history=history)).searched is None


async def test_a_named_paper_is_asked_alone_and_the_answer_says_so(library, embedder, papers) -> None:
    library.describe(papers[3].id, authors=("Jane Smith",), year=2019)
    asked = assistant(library, embedder, "It is small.")
    answer = await asked.answer("What does Smith 2019 say about memory?")
    assert answer.scope is not None
    assert answer.scope.named
    assert {p.paper.id for p in answer.passages} == {papers[3].id}


async def test_the_drafter_is_told_to_summarise_and_sees_the_titles(library, embedder, papers) -> None:
    asked = assistant(library, embedder, "Short.")
    answer = await asked.answer("Summarise this paper.", paper_ids=[papers[0].id])
    prompt = asked.drafter.seen[0][-1]["content"]
    assert answer.kind == "summary"
    assert "Summarise what the text above says" in prompt
    assert papers[0].title in prompt


def test_a_described_paper_is_searched_for_and_told(library, embedder, papers) -> None:
    retriever = Retriever(library, embedder)
    asked = "Summarise the paper on low-rank adaptation and everyday words."
    taken = plan(asked, scope=Scope(tuple(papers), whole=True))
    made = understood(taken, retriever=retriever, library=library)
    assert [paper.file_name for paper in made.scope.papers] == ["lora-for-terms.pdf"]
    assert "Taken to mean “Adapting a Model" in (made.notice or "")
    other = plan("Summarise the paper on penguins in winter.", scope=Scope(tuple(papers), whole=True))
    assert "penguins in winter" in (understood(other, retriever=retriever, library=library).unclear or "")


def test_two_described_papers_are_compared(library, embedder, papers) -> None:
    retriever = Retriever(library, embedder)
    scope = Scope(tuple(papers), whole=True)
    asked = "How many examples are used in the low-rank matrices paper versus the winter penguins paper?"
    taken = plan(asked, scope=scope)
    assert [topic for topic, _ in taken.compared] == ["low-rank matrices", "winter penguins"]
    assert understood(taken, retriever=retriever, library=library).kind == "fact"  # no paper is about penguins
    assert taken.topical
    assert not plan("Compare the low-rank matrices paper with the winter penguins paper.", scope=scope).topical
    found = replace(taken, compared=(("field terms", "how many here"), (papers[0], "how many there")))
    made = understood(found, retriever=retriever, library=library)
    assert made.kind == "comparison"
    assert list(made.asked.values()) == ["how many here", "how many there"]
    assert {paper.file_name for paper in made.scope.papers} == {"lora-for-terms.pdf", papers[0].file_name}
    assert (made.notice or "").startswith("Taken to mean “Adapting a Model")


def test_a_typing_error_is_told_beside_what_was_told_already(library, embedder, papers) -> None:
    retriever = Retriever(library, embedder)
    taken = plan("How many questons does the group ask each month?", scope=Scope(tuple(papers), whole=True))
    made = understood(replace(taken, notice="Before."), retriever=retriever, library=library)
    assert made.text == "How many questions does the group ask each month?"
    assert made.notice == "Before. Not in your papers, so read as the nearest word: questons → questions."
