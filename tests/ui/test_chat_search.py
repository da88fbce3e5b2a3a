"""The search over all chats: words of questions and answers, in whatever case, of the user's own chats."""

from __future__ import annotations

import asyncio
import threading
import uuid

import chainlit as cl
import pytest
from chainlit.types import Feedback, Pagination, ThreadFilter


@pytest.fixture
async def history(app, chat, place):
    made = place.open()
    chat.session.has_first_interaction = True
    for name in ("local", "another"):
        await made.create_user(cl.User(identifier=name))
    yield made
    await made.close()


async def keep(history, name: str, *said: str, user: str = "local", day: int = 1, kind: str = "assistant_message"):
    chat_id = str(uuid.uuid4())
    await history.update_thread(chat_id, name=name, user_id=(await history.get_user(user)).id)
    for n, text in enumerate(said):
        row = {"id": str(uuid.uuid4()), "threadId": chat_id, "name": "x", "streaming": False, "output": text}
        await history.create_step({**row, "type": kind, "createdAt": f"2026-11-{day:02d}T01:00:{n:02d}Z"})
    return chat_id


async def found(history, search: str | None = None, **more) -> list[str]:
    user = await history.get_user("local")
    filters = ThreadFilter(userId=user.id, search=search, **more)
    return [thread["name"] for thread in (await history.list_threads(Pagination(first=20), filters)).data]


async def test_words_of_questions_and_answers_find_their_chat(history) -> None:
    await keep(history, "Seeds", "How long do they keep?", "Five years in a dry jar, at state\\-of\\-the\\-art cold.")
    await keep(history, "Peat", "Über die Moore: ÄRGER mit Torf.", day=2)
    await keep(history, "Tools", "only what was read: jar", kind="tool", day=3)
    await keep(history, "Theirs", "Five years in a dry jar.", user="another", day=4)
    assert await found(history) == ["Tools", "Peat", "Seeds"], "the last used first"
    assert await found(history, "JAR years") == ["Seeds"]
    assert await found(history, "state-of-the-art") == ["Seeds"], "escapes do not matter"
    assert await found(history, "ärger") == await found(history, "Arger") == ["Peat"]
    assert await found(history, "peat") == ["Peat"], "its name"
    assert await found(history, "long jar") == [], "in one message"
    assert await found(history, "%") == ["Tools", "Peat", "Seeds"], "no word is no search"
    assert await found(history, "' OR 1=1 --") == []
    assert await found(history, "x " * 500) == []


async def test_what_was_said_since_is_found_and_what_was_deleted_is_not(history) -> None:
    first = await keep(history, "Seeds", "Five years in a dry jar.")
    assert await found(history, "jar") == ["Seeds"]
    second = await keep(history, "Peat", "No jar here.", day=2)
    assert await found(history, "jar") == ["Peat", "Seeds"]
    (step,) = (await history.get_thread(second))["steps"]
    await history.create_step({**step, "output": "Nothing."})
    assert await found(history, "jar") == ["Seeds"]
    await history.delete_step((await history.get_thread(first))["steps"][0]["id"])
    assert await found(history, "jar") == []
    await history.delete_thread(second)
    assert await found(history, "nothing") == []
    assert first not in str(await history._words._read())


async def test_a_search_that_could_not_read_the_file_does_not_forget_the_chats(history, monkeypatch) -> None:
    await keep(history, "Seeds", "Five years in a dry jar.")
    rows = history._words._rows

    async def none(query, parameters) -> None:
        return None

    history._words._rows = none
    assert await found(history, "jar") == []
    history._words._rows = rows
    assert await found(history, "jar") == ["Seeds"]
    second = await keep(history, "Peat", "No jar here.", day=2)
    history._words._rows = none
    assert await found(history, "jar") == ["Seeds"], "as far as it is known"
    history._words._rows = rows
    assert await found(history, "jar") == ["Peat", "Seeds"]
    assert second


async def test_what_is_said_while_the_chats_are_read_is_found(history) -> None:
    await keep(history, "Seeds", "Five years in a dry jar.")
    read, go_on, rows = asyncio.Event(), asyncio.Event(), history._words._rows

    async def slow(query, parameters):
        result = await rows(query, parameters)
        read.set()
        await go_on.wait()
        return result

    history._words._rows = slow
    search = asyncio.create_task(found(history, "jar"))
    await read.wait()
    await keep(history, "Peat", "No jar here.", day=2)
    go_on.set()
    assert await search
    assert await found(history, "jar") == ["Peat", "Seeds"]


async def test_the_words_of_many_chats_are_folded_beside_the_event_loop(history, monkeypatch) -> None:
    from ui.chats import search

    threads, fold = set(), search.folded
    monkeypatch.setattr(search, "folded", lambda text: threads.add(threading.current_thread()) or fold(text))
    await keep(history, "Seeds", "Five “years” in a dry jar.")
    threads.clear()
    await history._words._read()
    assert threads
    assert threading.main_thread() not in threads


async def test_judged_answers_are_found_and_pages_follow_each_other(history) -> None:
    ids = [await keep(history, f"Chat {day}", "text", day=day) for day in range(1, 8)]
    step = (await history.get_thread(ids[0]))["steps"][0]["id"]
    await history.upsert_feedback(Feedback(forId=step, value=0))
    assert await found(history, feedback=0) == ["Chat 1"]
    assert await found(history, feedback=1) == []
    user, seen, cursor = await history.get_user("local"), [], None
    while True:
        page = await history.list_threads(Pagination(first=3, cursor=cursor), ThreadFilter(userId=user.id))
        seen += [thread["name"] for thread in page.data]
        cursor = page.pageInfo.endCursor
        if not page.pageInfo.hasNextPage:
            break
    assert seen == [f"Chat {day}" for day in range(7, 0, -1)]
    with pytest.raises(ValueError, match="userId"):
        await history.list_threads(Pagination(first=3), ThreadFilter())
