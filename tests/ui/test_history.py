"""The chat history under another program's lock, and with chats that are deleted while somebody asks on in them."""

from __future__ import annotations

import asyncio
import uuid

import chainlit as cl
import pytest
from chainlit.types import Pagination, ThreadFilter

PATIENT = 120.0
"""Seconds to wait for what must come: the machine may be busy."""


@pytest.fixture
def locked(place):
    """A function that locks the place of the chats as another program does; until it is called, nothing is locked."""
    return place.locked


@pytest.fixture
def impatient(monkeypatch):
    """Tries that wait only a moment for a lock; set before the history opens its file."""
    monkeypatch.setattr("ui.chats.history.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("ingest.postgres.LOCK_SECONDS", 0.05)
    monkeypatch.setattr("ui.chats.history.RETRY_SECONDS", 0.05)


async def say(text: str) -> cl.Message:
    """What Chainlit does with a message from the page."""
    message = {"id": str(uuid.uuid4()), "type": "user_message", "name": "You", "output": text, "createdAt": None}
    sent = await cl.context.emitter.process_message({"message": message, "fileReferences": None})
    await asyncio.sleep(0.001)
    return sent


async def until(condition) -> None:
    async with asyncio.timeout(PATIENT):
        while not (await condition() if asyncio.iscoroutinefunction(condition) else condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def told(chat) -> bool:
    return any("saved" in str(data) for _, data in chat.events)


async def listed(history) -> list[dict]:
    """The chats that the page lists for the user, with what is in them."""
    user = await history.get_user("local")
    found = (await history.list_threads(Pagination(first=20), ThreadFilter(userId=user.id))).data
    return [await history.get_thread(thread["id"]) for thread in found]


async def texts(history) -> list[list[str]]:
    return [[step["output"] for step in thread["steps"]] for thread in await listed(history)]


def stored(history, *expected: str):
    async def is_so() -> bool:
        return list(expected) in await texts(history)

    return is_so


async def test_a_lock_that_outlasts_a_try_during_the_first_question_loses_nothing(impatient, history, chat, locked):
    async with locked():
        await say("What was asked first?")
        await cl.Message("What was answered.").send()
        await until(lambda: told(chat))  # one try took its time in vain
        assert any("another program is using" in text for text in chat.texts)
    await until(stored(history, "What was asked first?", "What was answered."))
    (thread,) = await listed(history)
    assert thread["name"] == "What was asked first?"
    assert thread["id"] == chat.session.thread_id
    assert sum("saved" in text for text in chat.texts) == 1, "said once"


async def test_what_the_page_shows_is_stored(history, chat, place, monkeypatch):
    execute = history.execute_sql

    async def slowly(*what, **named):
        await asyncio.sleep(0.05)
        return await execute(*what, **named)

    monkeypatch.setattr(history, "execute_sql", slowly)
    await say("What was asked?")
    answer = await cl.Message("What was answered.").send()
    rows = [output for (output,) in await place.run('SELECT "output" FROM steps ORDER BY "createdAt"')]
    assert rows == ["What was asked?", "What was answered."]
    answer.content = "What was answered better."
    await answer.update()
    assert ("What was answered better.",) in await place.run('SELECT "output" FROM steps')


async def test_a_process_that_dies_after_the_first_write_leaves_no_chat_without_its_owner(history, chat, monkeypatch):
    async def never(_interaction: str) -> None:
        """Chainlit's own task that writes the owner, which did not come to its turn."""

    monkeypatch.setattr("chainlit.emitter.ChainlitEmitter.init_thread", lambda _self, interaction: never(interaction))
    await say("What was asked?")
    await until(stored(history, "What was asked?"))


async def test_a_user_who_could_not_be_stored_at_sign_in_finds_the_chat_later(history, chat, place):
    await place.run("DELETE FROM users")
    chat.session.user = cl.User(identifier="local")
    await say("What was asked?")

    async def is_stored() -> bool:
        return bool(await place.run("SELECT 1 FROM steps"))

    await until(is_stored)
    assert await texts(history) == [["What was asked?"]]


async def test_what_is_asked_on_in_a_chat_that_was_deleted_elsewhere_is_kept(history, chat, place):
    await say("First?")
    await until(stored(history, "First?"))
    await place.run("DELETE FROM steps")
    await place.run("DELETE FROM threads")
    await say("Second?")
    await cl.Message("An answer.").send()
    await until(stored(history, "Second?", "An answer."))
    (thread,) = await listed(history)
    assert thread["name"] == "Second?"


async def test_a_deleted_chat_comes_back_with_a_question_and_not_with_the_rest_of_an_answer(history, chat):
    await say("First?")
    await until(stored(history, "First?"))
    await history.delete_thread(chat.session.thread_id)
    await history.create_step(cl.Message("The rest of an answer.").to_dict())
    await history.update_thread(chat.session.thread_id, metadata={"chat_settings": {}})  # the page is closed
    assert await texts(history) == []
    await say("Second?")
    await until(stored(history, "Second?"))


async def test_a_step_that_is_removed_while_the_file_is_locked_does_not_stay(impatient, history, chat, locked):
    await say("First?")
    await until(stored(history, "First?"))
    async with locked():
        step = await cl.Step(name="your papers", type="tool").send()
        await step.remove()
        await cl.Message("Last.").send()
        await until(lambda: told(chat))
    await until(stored(history, "First?", "Last."))


async def test_a_chat_that_could_not_be_deleted_is_not_called_deleted(impatient, history, chat, locked, monkeypatch):
    monkeypatch.setattr("ui.chats.history.PATIENCE_SECONDS", 0.2)
    await say("First?")
    await until(stored(history, "First?"))
    async with locked():
        with pytest.raises(OSError, match="This chat cannot be saved"):
            await history.delete_thread(chat.session.thread_id)
    assert await texts(history) == [["First?"]]


async def test_a_lock_keeps_nobody_from_signing_in_or_out(impatient, history, locked):
    async with locked():
        assert (await history.create_user(cl.User(identifier="local"))).identifier == "local"


async def test_closing_waits_for_the_last_writes_and_not_for_a_lock_without_end(history, chat, place, locked):
    await say("First?")
    await history.close()
    assert await place.run("SELECT output FROM steps") == [("First?",)]
    await say("Second?")
    async with locked():
        async with asyncio.timeout(PATIENT):
            await history.close()
    await until(stored(history, "First?", "Second?"))


async def test_chats_that_earlier_versions_stored_without_an_owner_are_found_again(history, chat, place):
    if place.postgres:
        pytest.skip("no earlier version stored chats in Postgres")
    await say("First?")
    await until(stored(history, "First?"))
    await place.run('UPDATE threads SET "userId" = NULL, "userIdentifier" = NULL, "name" = NULL')
    assert await texts(history) == []
    await place.open().close()
    (thread,) = await listed(history)
    assert (thread["name"], thread["userIdentifier"]) == ("Your papers", "local")


async def test_a_file_is_stored_though_its_page_is_closed_before_its_turn(history, chat, tmp_path):
    message = await say("What is it?")
    await history.caught_up()
    pdf = tmp_path / "a.pdf"
    pdf.write_bytes(b"%PDF-1.7 seeds")
    element = cl.Pdf(name="a.pdf", path=str(pdf), for_id=message.id)
    async with history._line(str(element.thread_id)):
        task = asyncio.create_task(history.create_element(element))
        await asyncio.sleep(0)
        pdf.unlink()
    await task
    (kept,) = (await history.get_thread(chat.session.thread_id))["elements"]
    assert history.storage_provider.path(kept["objectKey"]).read_bytes() == b"%PDF-1.7 seeds"
    assert element.path == str(pdf), "it is still to be added to the library"


async def test_a_new_user_that_a_page_asks_for_several_times_at_once_is_one(history, caplog) -> None:
    found = await asyncio.gather(*(history.create_user(cl.User(identifier="new")) for _ in range(5)))
    assert len({user.id for user in found}) == 1
    assert not caplog.records
