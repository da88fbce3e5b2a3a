"""The consent in the chat, called as the gate calls it: what the page is told, and what its answers mean."""

from __future__ import annotations

import asyncio

import chainlit as cl
import pytest
from test_handlers import question, refinable, script
from test_render import make_answer

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from pdfs import column, write_pdf
from rag.answer import Answered, Escalated, Retrieved, TextDelta
from rag.costs.tokens import TokenCount
from rag.expert import AskedBy
from rag.privacy.destination import Destination
from rag.privacy.permit import Payload
from ui import consent_question


def payload(text: str = "Is it *so*? ```` x") -> Payload:
    return Payload(
        messages=({"role": "user", "content": text},), model="large", parameters={"max_tokens": 9},
        destination=Destination("http://[fd00::5]:8000/v1", ("fd00::5",)), paper_ids=("0123456789abcdef",),
        input_tokens=TokenCount(1200, exact=False), max_output_tokens=9, price=0.01234, redactions=2,
    )  # fmt: skip


@pytest.fixture
def page(chat, shelf_library, monkeypatch):
    """The page at the other end: `press` is the label of the button that it presses, None for none, or what it says."""

    async def answer(event, data, _timeout):
        chat.events.append((event, data))
        chat.asked.set()
        if isinstance(chat.press, float):
            await asyncio.sleep(chat.press)
        actions = [action for name, action in chat.events if name == "action"]
        if isinstance(chat.press, dict):
            return chat.press
        return next((action for action in actions if action["label"] == chat.press), None)

    chat.session.emit_call = answer
    chat.press, chat.asked = None, asyncio.Event()
    return chat


async def test_everything_that_one_has_to_know_is_said_and_nothing_of_it_is_markdown(page):
    await consent_question.ask(payload())
    shown, question = page.steps
    assert f"```json\n{payload().text}\n" in shown["output"].replace("`````", "```"), "to the letter"
    asked = page.of("ask")[0]["msg"]["output"]
    for part in ("fd00", "port 8000", "your own network, not this machine", "large", "about 1,200 tokens", "at most 9",
                 "0123456789abcdef", "2 of your words", "others on the network can read it"):  # fmt: skip
        assert part in asked.replace("\\", ""), part
    assert "at most $0.0123" in asked.replace("\\", "")
    assert page.of("ask")[0]["spec"]["timeout"] == consent_question.ANSWER_SECONDS
    assert question["output"] == "*Nothing was sent.*"


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        ("Send once", "once"),
        ("For this chat", "chat"),
        ("Never in this chat", "never"),
        ("Not now", None),
        (None, None),
    ],
)
async def test_each_button_means_what_it_says_and_silence_is_a_no(page, label, verdict):
    page.press = label
    assert await consent_question.ask(payload()) == verdict
    assert len(page.of("remove_action")) == 4
    assert payload().text not in page.steps[-1]["output"]


async def test_an_answer_that_is_none_of_the_buttons_is_a_no(page):
    for forged in (
        {"name": "consent", "payload": {"verdict": "chat"}, "label": "For this chat", "id": "x"},
        {"name": "consent", "payload": {"verdict": "once"}, "label": "Send once"},
        {"name": "", "label": "", "id": ""},
    ):
        page.press = forged
        assert await consent_question.ask(payload()) is None


async def test_stop_ends_the_question(page):
    page.press = 30.0
    task = asyncio.create_task(consent_question.ask(payload()))
    await page.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert page.steps[-1]["output"] == "*Nothing was sent: you stopped the answer.*"
    assert len(page.of("remove_action")) == 4
    assert page.of("clear_ask")


async def test_a_page_that_is_reloaded_ends_the_question_with_a_no(app, page):
    page.press = 600.0
    task = asyncio.create_task(consent_question.ask(payload()))
    await page.asked.wait()
    await app.on_chat_end()
    async with asyncio.timeout(120):
        assert await task is None
    assert page.steps[-1]["output"] == "*Nothing was sent: the page was closed or reloaded before you answered.*"
    assert len(page.of("remove_action")) == 4
    await app.on_chat_end()  # where nothing is asked, nothing happens


async def test_after_a_consent_the_answer_goes_on_below_the_question(app, page, assistant):
    answer = make_answer()

    async def play():
        yield Retrieved(answer.passages)
        yield TextDelta("A draft.", 0)
        yield Escalated("Large", "you asked for it")
        await consent_question.ask(payload())
        yield TextDelta("Better.", 1)
        yield Answered(answer)

    assistant._play = play
    page.press = "Send once"
    await app.on_message(question())
    (removed,) = page.of("delete_message")
    gone = removed["id"]
    left = [step["output"] for step in page.steps if "message" in step["type"] and step["id"] != gone]
    assert left[0] == "*You allowed this to be sent once.*"
    assert left[1].startswith("It is so")
    assert len(left) == 2


@pytest.mark.parametrize("mode", ["draft", "auto", "refine"])
async def test_a_question_in_any_mode_says_that_the_user_of_this_chat_is_there_to_agree(app, chat, assistant, mode):
    assistant.script = script()
    await app.on_message(question(mode=mode))
    assert assistant.asked[0]["mode"] == mode
    assert assistant.asked_by == [AskedBy(consent_question.ask, chat=chat.session.thread_id)]


async def test_so_do_the_buttons_that_ask(app, chat, assistant, shelf_library, tmp_path):
    lines = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, lines))
    paper_id = ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id
    assistant.script = script()
    await app.ask_about(cl.Action(name="ask_about", payload={"paper_ids": [paper_id]}, label="What is it about?"))
    await app.refine_answer(cl.Action(name="refine_answer", payload={"record": refinable(paper_id)}))
    assert (len(assistant.asked), len(assistant.refined)) == (1, 1)
    assert assistant.asked_by == [AskedBy(consent_question.ask, chat=chat.session.thread_id)] * 2
