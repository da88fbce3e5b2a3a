"""A deleted chat is gone from the bytes of the library's folder."""

from __future__ import annotations

import sqlite3

import chainlit as cl

WORD = "quoxalumin"


def traces(folder) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if WORD in path.name or (path.is_file() and WORD.encode() in path.read_bytes())
    ]


async def test_a_deleted_chat_leaves_no_word_in_the_bytes_of_the_folder(app, chat, tmp_path) -> None:
    from ui.chats.history import ChatHistory, UploadFolder

    history = ChatHistory(tmp_path / "chats.db", UploadFolder(tmp_path / "uploads"))
    chat.session.has_first_interaction = True
    user = await history.create_user(cl.User(identifier="local"))
    for name in ("kept", "gone"):
        word = WORD if name == "gone" else "kept"
        await history.update_thread(name, name=f"About {word}", user_id=user.id, metadata={"of": word})
        for number in range(40):
            message = cl.Message(f"{word} {number} " * 60, type="assistant_message", metadata={"quote": f"{word} said"})
            message.thread_id = name
            await history.create_step(message.to_dict())
        element = cl.File(name=f"{word}.txt", content=f"{word} attached".encode(), mime="text/plain")
        element.thread_id, element.for_id = name, message.id
        await history.create_element(element)
        await history.upsert_feedback(cl.types.Feedback(forId=message.id, threadId=name, value=1, comment=f"{word}!"))
    assert {"chats.db", "chats.db-wal"} & set(traces(tmp_path))
    assert any(path.startswith("uploads/") for path in traces(tmp_path))
    await history.delete_thread("gone")
    assert traces(tmp_path) == [], "while Scholion runs"
    await history.close()
    assert traces(tmp_path) == []
    with sqlite3.connect(tmp_path / "chats.db") as database:
        assert database.execute("SELECT count(*) FROM steps").fetchone() == (40,)
    assert len([path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]) == 1
