"""What the page asks for does not hold the event loop, however many chats and papers there are."""

from __future__ import annotations

import json

import pytest

from loop_time import held

LONGEST = 50.0
"""Milliseconds of the processor that one callback may take."""

CHATS, STEPS = 200, 8
ANSWER = "\n\n".join(["It “keeps” for five years [1](/cite/0123456789abcdef/1/0001), see https://a.example."] * 30)


@pytest.fixture
async def history(app, tmp_path):
    """200 chats of four questions and answers each."""
    from chainlit.user import User
    from sqlalchemy import text

    from ui.chats.history import ChatHistory, UploadFolder

    made = ChatHistory(tmp_path / "chats.db", UploadFolder(tmp_path / "uploads"))
    user = await made.create_user(User(identifier="local"))
    async with made.engine.begin() as database:
        await database.execute(
            text('INSERT INTO threads ("id", "createdAt", "name", "userId") VALUES (:id, :at, :id, :user)'),
            [{"id": f"t{chat}", "at": f"{chat:06}", "user": user.id} for chat in range(CHATS)],
        )
        await database.execute(
            text(
                'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "output", "metadata", "createdAt")'
                " VALUES (:id, 'x', :type, :chat, 0, :output, :metadata, :id)"
            ),
            [
                {
                    "id": f"s{chat:04}{step}",
                    "chat": f"t{chat}",
                    "type": "assistant_message" if step % 2 else "user_message",
                    "output": ANSWER if step % 2 else "How long?",
                    "metadata": json.dumps({"question": "How long?", "answer": ANSWER} if step % 2 else {}),
                }
                for chat in range(CHATS)
                for step in range(STEPS)
            ],
        )
    yield made, user.id
    await made.close()


@pytest.mark.parametrize("search", [None, "five years"])
async def test_the_list_of_many_chats_does_not_hold_the_loop(history, search):
    from chainlit.types import Pagination, ThreadFilter

    made, user = history
    async with held() as holds:
        page = await made.list_threads(Pagination(first=20), ThreadFilter(userId=user, search=search))
    assert len(page.data) == 20
    assert page.data[0]["steps"] == [], "no list shows them"
    assert max(holds).processor <= LONGEST, max(holds)
    opened = await made.get_thread(page.data[0]["id"])
    assert "https://a.example" not in opened["steps"][1]["output"], "it is sanitised all the same"
