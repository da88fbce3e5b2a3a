"""Another model while an answer is being written: the answer ends with the old one, the next question has the new."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import aclosing

import pytest

from engine_stubs import serving as running
from fake_embedder import HashEmbedder
from fakes import FakeServer, ScriptedChatModel
from ingest import UserFacingError, ingest_pdf
from places import SAMPLES
from rag.answer import Answered, TextDelta
from rag.assistant import Assistant
from rag.choices import kept
from rag.errors import UnknownModelError
from rag.models.local import embedded_drafter
from rag.models.open import Opened
from waiting import soon
from writing_engine import MODEL, ollama

QUESTION = "How many bytes does the key-value cache need per token?"


@pytest.fixture
def papers(library):
    ingest_pdf(SAMPLES / "before-you-run.pdf", library=library, embedder=HashEmbedder())
    return library


def over(library, *replies, server=None, delay=0.0):
    now = kept(library.folder)
    assistant = Assistant(
        library=library,
        embedder=HashEmbedder(),
        drafter=ScriptedChatModel(*replies, delay=delay),
        settings=now.settings,
        server=server,
    )
    from ui.serving import Serving

    assistant.opened = Opened(assistant.drafter, server)
    return Serving(assistant, now)


async def text_of(assistant) -> str:
    async with aclosing(assistant.ask(QUESTION)) as events:
        async for event in events:
            if isinstance(event, Answered):
                return event.answer.drafts[0].text
    return ""


async def test_a_running_answer_ends_with_its_own_model_and_the_next_has_the_new_one(papers):
    old = FakeServer()
    held = over(papers, "It needs 128 KiB per token.", server=old, delay=0.02)
    answering = held.current
    with running(ollama("The new model wrote this.")) as engine:
        setting = f"http://127.0.0.1:{engine.server_port}/v1#{MODEL}"
        with held.using(answering):
            async with aclosing(answering.ask(QUESTION)) as events:
                async for event in events:
                    if isinstance(event, TextDelta) and held.current is answering:
                        await held.choose(drafter=setting, drafter_context=4096)
                        await asyncio.sleep(0)
                        assert old.closed == 0, "the answer still needs it"
                    if isinstance(event, Answered):
                        assert event.answer.drafts[0].text == "It needs 128 KiB per token."
        assert await soon(lambda: old.closed == 1)
        assert held.current.drafter.name == MODEL
        assert await text_of(held.current) == "The new model wrote this."
    assert kept(papers.folder).settings.drafter == setting


async def test_an_answer_to_which_nobody_listens_any_more_frees_the_model_too(papers):
    old = FakeServer()
    held = over(papers, "One two three four five six.", server=old, delay=0.02)
    with held.using(held.current):
        async with aclosing(held.current.ask(QUESTION)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        await held.choose(drafter="http://127.0.0.1:9/v1#x")
        assert old.closed == 0
    assert await soon(lambda: old.closed == 1)


async def test_values_change_without_touching_the_model(papers):
    old = FakeServer()
    held = over(papers, server=old)
    before = held.current
    await held.choose(top_k=2, temperature=0.5)
    assert held.current is not before
    assert held.current.drafter is before.drafter
    assert held.current.search is before.search
    assert old.closed == 0
    assert kept(papers.folder).settings.top_k == 2


async def test_temperature_length_and_passages_reach_the_next_question(papers):
    bodies: list[dict] = []
    held = over(papers)
    with running(ollama("It needs 128 KiB per token.", asked=bodies)) as engine:
        await held.choose(drafter=f"http://127.0.0.1:{engine.server_port}/v1#{MODEL}")
        await text_of(held.current)
        await held.choose(temperature=0.7, max_output_tokens=99, top_k=1)
        await text_of(held.current)
    assert [(body["temperature"], body["max_tokens"]) for body in bodies] == [(0, 320), (0.7, 99)]
    assert len(str(bodies[1]["messages"])) < len(str(bodies[0]["messages"]))


async def test_what_cannot_be_used_changes_nothing(papers):
    held = over(papers)
    before = held.current
    for changes in ({"expert": "no-such-model"}, {"drafter": "no-such-model"}):
        with pytest.raises(UnknownModelError, match="no-such-model"):
            await held.choose(**changes)
    assert held.current is before
    assert kept(papers.folder).settings.expert is None


async def test_a_file_that_cannot_be_loaded_is_not_put_to_use(papers):
    held = over(papers)
    before = held.current
    (papers.folder / "models").mkdir()
    (papers.folder / "models" / "broken.gguf").write_bytes(embedded_drafter().read_bytes()[:2_000_000])
    with pytest.raises(UserFacingError, match="broken"):
        await held.choose(drafter="broken.gguf")
    assert held.current is before
    assert kept(papers.folder).settings.drafter is None


async def test_a_chosen_file_that_is_gone_leaves_the_built_in_model_and_says_so(papers):
    from ui.serving import Serving

    held = over(papers)
    await held.choose(drafter="http://127.0.0.1:9/v1#x")
    (papers.folder / "choices.json").write_text('{"drafter": "gone.gguf", "top_k": 4}')
    opened = Serving.open(papers)
    assert "SmolLM2" in opened.current.drafter.name
    assert "built-in model answers" in opened.trouble
    assert opened.kept.choices.drafter == "gone.gguf", "the choice is kept, for when the file is back"
    assert kept(papers.folder).settings.top_k == 4


async def test_a_refusal_for_a_whole_chat_outlives_a_change_of_values(papers):
    held = over(papers)
    await held.choose(expert="http://192.0.2.1/v1#large")
    held.current.expert.gate.decided.refused.add("a chat")
    await held.choose(budget_day_calls=3)
    assert "a chat" in held.current.expert.gate.decided.refused
    await held.choose(expert=None)
    await held.choose(expert="http://192.0.2.2/v1#other")
    assert "a chat" in held.current.expert.gate.decided.refused, "nothing of that chat may leave, whatever the model"


async def test_while_the_chosen_file_is_gone_other_settings_can_be_changed_and_it_is_still_the_choice(papers):
    from ui.serving import Serving

    (papers.folder / "choices.json").write_text('{"drafter": "gone.gguf", "top_k": 4}')
    opened = Serving.open(papers)
    assert opened.kept.settings.drafter is None, "what answers, not what was chosen"
    said = opened.trouble
    await opened.choose(top_k=2)
    assert kept(papers.folder).choices.top_k == 2
    assert kept(papers.folder).choices.drafter == "gone.gguf"
    assert opened.kept.settings.top_k == 2
    assert opened.trouble == said
    await opened.choose(drafter=None)
    assert opened.trouble is None
    assert kept(papers.folder).choices.drafter is None
    await opened.close()


@pytest.mark.parametrize("name", ["whole_library", "serving", "_all_removals"])
def test_two_threads_that_ask_first_get_the_same(app, monkeypatch, name) -> None:
    from ui import core

    made, go_on = [], threading.Event()

    def make() -> object:
        made.append(object())
        go_on.wait(10)
        return made[-1]

    one = type(getattr(core, name))(make)
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(one) for _ in range(2)]
        wait(asking, timeout=0.05)  # else both would be inside by now
        go_on.set()
        got = {asked.result() for asked in asking}
    assert got == set(made)
    assert len(made) == 1
