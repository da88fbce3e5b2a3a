"""An edited question: the page, the stored chat, the session's turns and the feedback follow it."""

from __future__ import annotations

import asyncio
import uuid

import chainlit as cl
import pytest
from test_handlers import attached, script

from fake_embedder import HashEmbedder
from pdfs import column, write_pdf
from rag.answer import TextDelta
from waiting import soon


async def say(app, text: str, *, files=(), **more) -> dict:
    """What Chainlit does with a message from the page."""
    message = {"id": str(uuid.uuid4()), "type": "user_message", "name": "You", "output": text, "createdAt": None}
    sent = await cl.context.emitter.process_message({"message": message | more, "fileReferences": None})
    sent.elements = [attached(path) for path in files]
    await asyncio.sleep(0.001)
    await app.on_message(sent)
    return message | more


async def edit(chat, message: dict, text: str) -> None:
    from ui.chats import editing

    await editing.edit(chat.session.socket_id, {"message": {**message, "output": text}})
    if chat.session.current_task:
        await chat.session.current_task


async def stored(history, chat) -> list[tuple[str, str]]:
    """The stored messages of the chat, once all writes are done."""
    for _ in range(3):
        await history.caught_up()
    thread = await history.get_thread(chat.session.thread_id)
    return [(step["type"], step["output"].split("\n")[0].split(" [")[0]) for step in thread["steps"] if step["output"]]


async def test_an_edited_question_replaces_what_followed_it(app, chat, assistant, history) -> None:
    asked = []
    for text in ("What is it?", "And why?", "Then what?"):
        assistant.script = script(question=text)
        asked.append(await say(app, text))
    first, second, third = asked
    before = {step["id"] for step in chat.steps}
    await edit(chat, second, "And how?")
    assert [asked["question"] for asked in assistant.asked][-1] == "And how?"
    assert [turn[0] for turn in assistant.asked[-1]["history"]] == ["What is it?"], "the turns follow"
    assert [turn[0] for turn in cl.user_session.get("turns")] == ["What is it?", "And how?"]
    gone = {step["id"] for step in chat.of("delete_message")}
    assert third["id"] in gone
    assert not gone & {first["id"], second["id"]}
    assert len(gone & before) >= 6, "answers, what was read for them, and what was not cited"
    said = await stored(history, chat)
    assert [text for kind, text in said if kind == "user_message"] == ["What is it?", "And how?"]
    assert len([text for kind, text in said if kind == "assistant_message"]) == 2
    assert chat.events[-1][0] == "task_end"


async def test_the_first_question_names_the_chat_again(app, chat, assistant, history) -> None:
    assistant.script = script()
    first = await say(app, "What is it?")
    await stored(history, chat)
    await edit(chat, first, "What was it?")
    await stored(history, chat)
    assert (await history.get_thread(chat.session.thread_id))["name"] == "What was it?"


async def test_stop_reaches_an_edited_question(app, chat, assistant, history) -> None:
    from ui.chats import editing
    from ui.web import patches

    assistant.script = script()
    first = await say(app, "What is it?")
    assistant.script = script(TextDelta("Half an ans", 0), 3600.0)
    await editing.edit(chat.session.socket_id, {"message": {**first, "output": "And now?"}})
    assert await soon(lambda: "Half an ans" in chat.texts)
    await editing.edit(chat.session.socket_id, {"message": {**first, "output": "Quicker?"}})
    assert "still being written" in chat.of("toast")[-1]["message"]
    await patches.stop(chat.session.socket_id)
    await chat.session.current_task
    assert chat.texts[-1].startswith("Half an ans\n\n*(stopped)*")
    assert chat.events[-1][0] == "task_end"


async def test_what_cannot_be_edited_is_said(app, chat, assistant, history) -> None:
    assistant.script = script()
    first = await say(app, "What is it?")
    for name, text in ((str(uuid.uuid4()), "x"), (first["id"], "  ")):
        await edit(chat, {**first, "id": name}, text)
        assert "cannot be edited" in chat.of("toast")[-1]["message"]
    assert len(assistant.asked) == 1


async def test_feedback_is_kept_with_its_answer_and_goes_with_it(app, chat, assistant, history) -> None:
    from chainlit.types import Feedback

    assistant.script = script()
    first = await say(app, "What is it?")
    await stored(history, chat)
    thread = await history.get_thread(chat.session.thread_id)
    answer = next(step for step in thread["steps"] if step["type"] == "assistant_message")
    made = await history.upsert_feedback(Feedback(forId=answer["id"], value=0, comment="too short"))
    changed = await history.upsert_feedback(Feedback(id=made, forId=answer["id"], value=1, comment="better"))
    assert changed == made
    feedback = await kept_feedback(history, chat)
    assert [(row["value"], row["comment"]) for row in feedback] == [(1, "better")]
    again = await history.upsert_feedback(Feedback(forId=answer["id"], value=1))  # nobody heard that it was stored
    assert again == made
    assert len(await kept_feedback(history, chat)) == 1
    with pytest.raises(ValueError, match="no such answer"):
        await history.upsert_feedback(Feedback(forId=str(uuid.uuid4()), value=1))
    await edit(chat, first, "Again?")
    await stored(history, chat)
    assert await kept_feedback(history, chat) == []


async def test_an_edited_question_asks_the_papers_that_are_chosen_now(app, chat, assistant, history, paper) -> None:
    from ui import scope

    assistant.script = script()
    scope.choose([paper.id])
    await say(app, "What is it?")
    scope.choose([])
    second = await say(app, "And why?")
    await edit(chat, second, "And how?")
    assert assistant.asked[-1]["paper_ids"] is None, "not those of the turn before"


async def test_files_that_came_after_an_edited_question_leave_the_disk(app, chat, assistant, history, tmp_path) -> None:
    assistant.script = script()
    first = await say(app, "What is it?")
    later = await say(app, "And this?")
    file = cl.File(name="notes.txt", content=b"secret", mime="text/plain", for_id=later["id"])
    await history.create_element(file)
    await stored(history, chat)
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    await edit(chat, first, "What was it?")
    await stored(history, chat)
    assert not [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]


async def kept_feedback(history, chat) -> list[dict]:
    thread = await history.get_thread(chat.session.thread_id)
    return [step["feedback"] for step in thread["steps"] if step.get("feedback")]


async def test_an_edited_question_whose_file_is_gone_does_not_ask_the_whole_library(
    app, chat, assistant, history, shelf_library, *, tmp_path
) -> None:
    assistant.embedder, assistant.script = HashEmbedder(), script()
    pdf = write_pdf(tmp_path / "seeds.pdf", column(72, 720, [f"Line {n} on dry seeds." for n in range(30)]))
    message = await say(app, "What is it?", files=[pdf])
    ((added,),) = [asked["paper_ids"] for asked in assistant.asked]
    await edit(chat, message, "What was it?")
    assert assistant.asked[-1]["paper_ids"] == [added]
    shelf_library.remove(added)
    await edit(chat, message | {"command": "Summarise"}, "What is it now?")
    assert len(assistant.asked) == 2
    assert "No file of this question is in your library" in chat.texts[-1]


async def test_an_edited_question_whose_file_was_refused_is_not_asked_without_it(
    app, chat, assistant, history, *, tmp_path, paper
) -> None:
    assistant.script = script()
    page = tmp_path / "page.pdf"
    page.write_text("<html>")
    message = await say(app, "What is it?", files=[page])
    assert "was not asked" in chat.texts[-1]
    await edit(chat, message, "What was it?")
    assert "No file of this question is in your library" in chat.texts[-1]
    assert assistant.asked == []


async def test_an_edited_question_asks_its_file_though_a_crash_took_the_session(
    app, chat, assistant, history, shelf_library, *, tmp_path
) -> None:
    assistant.embedder, assistant.script = HashEmbedder(), script()
    pdf = write_pdf(tmp_path / "seeds.pdf", column(72, 720, [f"Line {n} on dry seeds." for n in range(30)]))
    message = await say(app, "What is it?", files=[pdf])
    await history.create_element(cl.Pdf(name="seeds.pdf", path=str(pdf), for_id=message["id"]))
    await stored(history, chat)
    cl.user_session.set("attached", None)
    next(one for one in cl.chat_context.get() if one.id == message["id"]).elements = []
    await edit(chat, message, "What was it?")
    assert len(assistant.asked) == 2
    assert assistant.asked[1]["paper_ids"] == assistant.asked[0]["paper_ids"]


async def test_a_file_that_was_added_before_stop_is_asked_when_the_question_is_edited(
    app, chat, assistant, history, shelf_library, *, tmp_path, monkeypatch
) -> None:
    from ui import uploads

    assistant.embedder, assistant.script = HashEmbedder(), script()
    files = [
        write_pdf(tmp_path / f"{word}.pdf", column(72, 720, [f"Line {n} on {word} seeds." for n in range(30)]))
        for word in ("dry", "wet")
    ]
    ingest, begun = uploads._ingest, []

    async def second_waits(path, **more):
        begun.append(path)
        if len(begun) == 2:
            await asyncio.sleep(3600)
        return await ingest(path, **more)

    monkeypatch.setattr(uploads, "_ingest", second_waits)
    running = asyncio.create_task(say(app, "What is it?", files=files))
    assert await soon(lambda: len(begun) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    message = next(one for one in cl.chat_context.get() if one.type == "user_message")
    await edit(chat, message.to_dict(), "What was it?")
    assert [asked["paper_ids"] for asked in assistant.asked] == [[paper.id for paper in shelf_library.papers()]]
