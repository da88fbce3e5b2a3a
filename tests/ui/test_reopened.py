"""A chat that is reopened, or goes back to an old answer, is the chat it was."""

from __future__ import annotations

import uuid

import chainlit as cl
from test_editing import edit, say, stored
from test_handlers import script


async def reload(chat, history) -> None:
    """What Chainlit does if the page is loaded again: the session is stored, and a new one resumes the chat."""
    from chainlit import socket

    old = chat.session
    await stored(history, chat)
    await socket.disconnect(old.socket_id)
    await open_chat(chat, old)


async def open_chat(chat, old) -> None:
    from chainlit import socket
    from chainlit.context import init_ws_context
    from chainlit.session import WebsocketSession

    names = {"id": str(uuid.uuid4()), "socket_id": str(uuid.uuid4()), "thread_id": old.thread_id}
    page = {"emit": chat.emit, "emit_call": chat.emit_call, "user_env": {}, "client_type": "webapp"}
    chat.session = WebsocketSession(**names, **page, user=old.user)
    await socket.connection_successful(chat.session.socket_id)
    init_ws_context(chat.session)


async def test_papers_chosen_in_the_library_stay_chosen_when_the_page_is_loaded_again(
    app, chat, assistant, history, paper
) -> None:
    assistant.script = script()
    await say(app, "What is it?")
    await app.on_window_message({"type": "scholion:choose", "ids": [paper.id]})
    await reload(chat, history)
    await say(app, "And why?")
    assert [asked["paper_ids"] for asked in assistant.asked] == [None, [paper.id]]
    await app.on_window_message({"type": "scholion:choose", "ids": []})
    await reload(chat, history)
    await say(app, "And how?")
    assert assistant.asked[-1]["paper_ids"] is None


async def test_after_a_crash_the_papers_of_the_last_answer_are_asked(app, chat, assistant, history, paper) -> None:
    assistant.script = script()
    await say(app, "What is it?")
    await reload(chat, history)  # its session was stored once, with all papers
    await app.on_window_message({"type": "scholion:choose", "ids": [paper.id]})
    await say(app, "And why?")
    await stored(history, chat)
    await open_chat(chat, chat.session)  # nothing was stored when the page was left
    await say(app, "And how?")
    assert [asked["paper_ids"] for asked in assistant.asked] == [None, [paper.id], [paper.id]]


async def test_an_answer_of_long_ago_is_asked_again_as_it_was_understood_then(app, chat, assistant, history) -> None:
    for n in range(9):
        assistant.script = script(question=f"Q{n}?")
        await say(app, f"Q{n}?")
    again = [action for action in chat.of("action") if action["label"] == "Ask again"]
    for old, understood in ((again[2], ["Q0?", "Q1?"]), (again[2], ["Q0?", "Q1?"]), (again[0], [])):
        assistant.script = script(question=old["payload"]["question"])
        await app.ask_again(cl.Action(name=old["name"], payload=old["payload"], forId=old["forId"]))
        assert [turn[0] for turn in assistant.asked[-1]["history"]] == understood
        assert bool(assistant.cited[-1]) == bool(understood), "what the answer before it cited counts too"
    assert [turn[0] for turn in cl.user_session.get("turns")][-2:] == ["Q2?", "Q0?"]


async def test_an_edited_question_keeps_its_command_and_its_pickers_after_the_page_was_loaded_again(
    app, chat, assistant, history, shelf_library, *, paper
) -> None:
    assistant.script = script()
    shelf_library.tag([paper.id], "thesis")
    pickers = {"answer": "refine", "scope": "tag:thesis"}
    first = await say(app, "What is it?", modes=pickers)
    second = await say(app, "methods", command="Zusammenfassen", modes=pickers)
    await reload(chat, history)
    thread = await history.get_thread(chat.session.thread_id)
    steps = {step["id"]: step for step in thread["steps"]}
    assert [(steps[one["id"]]["command"], steps[one["id"]]["modes"]) for one in (first, second)] == [
        (None, pickers),
        ("Zusammenfassen", pickers),
    ]
    await edit(chat, steps[second["id"]], "results")
    assert assistant.asked[-1]["question"] == "Summarise this paper: results"
    assert (assistant.asked[-1]["mode"], assistant.asked[-1]["paper_ids"]) == ("refine", [paper.id])
    await edit(chat, steps[first["id"]], "What was it?")
    assert (assistant.asked[-1]["mode"], assistant.asked[-1]["tag"]) == ("refine", "thesis")


async def test_a_message_without_pickers_is_answered_in_the_mode_of_the_chat(app, chat, assistant) -> None:
    assistant.script = script()
    await app.on_message(cl.Message("What is it?", type="user_message", modes={"answer": "refine"}))
    await app.on_message(cl.Message("And why?", type="user_message"))  # a first question, say
    assert [asked["mode"] for asked in assistant.asked] == ["refine", "refine"]
