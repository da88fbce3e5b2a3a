"""While an answer is made, the event loop stays free: other chats, the Stop button and the page go on."""

from __future__ import annotations

import json
import os
from contextlib import aclosing

import pytest

import big_library
from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from listener import _piece, listening, reply
from loop_time import held
from rag import Assistant, RagSettings, destination, runs
from rag.expert import AskedBy, Expert
from rag.policy import save_policy
from rag.privacy import Gate
from rag.runs import KeptRuns
from rag.terms import Terms

LONGEST = 50.0
"""Milliseconds of the processor that one callback may take."""

QUESTION = "For how many days was the zymurgy of the barrel kept, and what does NLA mean?"
POOR = "The zymurgy of each barrel was kept for 999 days in Paris, and nobody measured it [1]. NLA is a cellar."
BETTER = f"{big_library.sentence(1, 2)} [1]"


@pytest.fixture
def elsewhere(monkeypatch):
    """127.0.0.2 is taken for another machine."""
    real = destination._one
    monkeypatch.setattr(destination, "_one", lambda address: "remote" if address == "127.0.0.2" else real(address))


@pytest.fixture
def papers(library):
    """200 papers, of which 100 must stay here, and all that the gate and the terms may have to read."""
    ids = big_library.fill(library, HashEmbedder())
    gate = Gate(library.folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        for n in range(200):
            gate.audit.append("answered", {"permit": f"{n:016x}", "input_tokens": 900, "output_tokens": 90})
        save_policy(gate.policy().with_papers(ids[100:], local_only=True), library.folder, gate.audit)
    (library.folder / "redact.txt").write_text("".join(f"Person Number{n}\n" for n in range(300)))
    rows = "".join(f"term{n},what term {n} means,synonym{n}\n" for n in range(300))
    (library.folder / "glossary.csv").write_text(f"term,definition,synonyms\n{rows}")
    return library


async def test_no_part_of_an_answer_that_a_model_elsewhere_refines_holds_the_loop(papers, elsewhere):
    text = reply(_piece(BETTER, None) + _piece(None, "stop") + b"data: [DONE]\n\n")
    async with listening(text, host="127.0.0.2") as there:
        settings = RagSettings(drafter_sentences=0, expert=f"{there.url}#large", expert_context=16384)
        asked = Assistant(
            library=papers,
            embedder=HashEmbedder(),
            drafter=ScriptedChatModel(POOR, name="small", window=16384),
            settings=settings,
            expert=Expert.open(settings, library=papers.folder, gate=Gate.of(papers, settings)),
        )

        async def agree(_payload):
            return "once"

        with held() as holds:
            async with aclosing(asked.ask(QUESTION, mode="refine", asked_by=AskedBy(agree, "a"))) as events:
                answer = [event async for event in events][-1].answer
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
        drafter=ScriptedChatModel(POOR, name="small", window=16384),
        settings=settings,
        expert=Expert(ScriptedChatModel(BETTER, name="large", window=16384), settings=settings),
    )
    await asked.warm_up()  # the terms have been mined
    read, pages = [], papers.pages
    monkeypatch.setattr(papers, "pages", lambda paper_id: read.append(paper_id) or pages(paper_id))
    answer = await asked.answer(QUESTION, mode="refine", paper_ids=[f"{1:016x}"])
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


def test_what_was_mined_of_a_paper_goes_with_it(papers):
    terms = Terms(papers)
    terms.warm_up()
    assert len(terms._mined) == 200
    papers.remove(f"{3:016x}")
    terms.index()
    assert f"{3:016x}" not in terms._mined
