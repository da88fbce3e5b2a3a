"""While an answer is made, the event loop stays free: other chats, the Stop button and the page go on."""

from __future__ import annotations

import json

import pytest

import big_library
from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import IngestSettings, open_library
from loop_time import held
from rag import Assistant, RagSettings
from rag.expert import Expert
from rag.privacy import destination, runs
from rag.privacy.runs import KeptRuns
from rag.retrieval.terms import Terms

LONGEST = 50.0
"""Milliseconds of the processor that one callback may take."""


@pytest.fixture
def elsewhere(monkeypatch):
    """127.0.0.2 is taken for another machine."""
    real = destination._one
    monkeypatch.setattr(destination, "_one", lambda address: "remote" if address == "127.0.0.2" else real(address))


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """200 papers, of which 100 must stay here, and all that the gate and the terms may have to read."""
    with open_library(IngestSettings(library=tmp_path_factory.mktemp("stalls"))) as library:
        big_library.fill(library, HashEmbedder())
        big_library.guard(library)
        yield library


async def test_no_part_of_an_answer_that_a_model_elsewhere_refines_holds_the_loop(papers, elsewhere):
    async with big_library.asked_elsewhere(papers) as (asked, there), held() as holds:
        answer = await big_library.refined(asked)
    assert len(there.bodies) == 1, answer.notice
    assert answer.drafts[1].locality == "remote"
    assert "zymurgy" in json.loads(there.bodies[0])["messages"][-1]["content"]
    assert answer.shown == 1, answer.notice
    assert max(holds).processor <= LONGEST, max(holds)


async def test_each_paper_is_read_once_for_one_answer_however_many_passages_of_it_are_cited(papers, monkeypatch):
    settings = RagSettings(drafter_sentences=0)
    asked = Assistant(
        library=papers,
        embedder=HashEmbedder(),
        drafter=ScriptedChatModel(big_library.POOR, name="small", window=16384),
        settings=settings,
        expert=Expert(ScriptedChatModel(big_library.BETTER, name="large", window=16384), settings=settings),
    )
    await asked.warm_up()  # the terms have been mined
    read, pages = [], papers.pages
    monkeypatch.setattr(papers, "pages", lambda paper_id: read.append(paper_id) or pages(paper_id))
    answer = await asked.answer(big_library.QUESTION, mode="refine", paper_ids=[f"{1:016x}"])
    assert len(answer.passages) > 1
    assert len(answer.drafts) == 2
    assert read == [f"{1:016x}"]


# What is kept in memory


def test_the_words_of_papers_that_stay_here_take_bounded_room_and_are_recognised_all_the_same(monkeypatch):
    texts = {f"paper {n}": " ".join(f"word{n}x{i}" for i in range(1_000)) for n in range(20)}
    read = []
    monkeypatch.setattr(runs, "KEPT_BYTES", 5 * 8_000)
    kept = KeptRuns(lambda paper: read.append(paper) or [texts.get(paper, "")])
    for paper, text in texts.items():
        assert kept.quoted_in(f"He writes: {text[:200]}", of=texts.keys()) == {paper}
    assert 0 < kept.kept_bytes <= 5 * 8_000
    assert len(set(read)) == 20
    assert len(read) == 5 + 15 * 20, "what is kept is not read again"
    assert kept.quoted_in(texts["paper 1"], of={"paper 2"}) == set()
    assert kept.kept_bytes <= 8_000, "what may leave, or is gone, is let go"


def test_what_was_mined_of_a_paper_goes_with_it(library):
    one, two = big_library.fill(library, HashEmbedder(), papers=2)
    terms = Terms(library)
    assert terms.index().shorts
    library.remove(one)
    terms.index()
    assert terms._mined.keys() == {two}
