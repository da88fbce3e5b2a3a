"""Files that come with a question: they are added whatever becomes of the page that sent them."""

from __future__ import annotations

import asyncio
import errno

import chainlit as cl
import pytest
from test_handlers import attached, question, script

from fake_embedder import HashEmbedder, SlowEmbedder
from ingest.folder import temporary
from pdfs import column, write_pdf
from waiting import soon

FILLER = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(30)]


def pdfs(folder, n: int):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [[f"Keeping Seeds {one}", "", *FILLER] for one in range(n)]
    return [write_pdf(folder / f"seeds{one}.pdf", column(72, 720, text)) for one, text in enumerate(lines)]


def left(library) -> list:
    return [path for path in (library.folder / "incoming").rglob("*") if path.is_file()]


@pytest.fixture
def slow(assistant, monkeypatch):
    """Stops at the first file, until it may continue."""
    monkeypatch.setattr("ingest.pipeline.BATCH", 1)
    assistant.embedder = made = SlowEmbedder(stops_after=0)
    yield made
    made.go_on.set()


async def test_another_chat_is_opened_while_files_are_being_added(app, chat, assistant, shelf_library, slow) -> None:
    from chainlit import socket

    message = question("What is it?")
    message.elements = [attached(path) for path in pdfs(chat.session.files_dir, 3)]
    assistant.script = script()
    running = asyncio.create_task(app.on_message(message))
    assert await soon(slow.stopped.is_set)
    chat.session.to_clear = True  # as "New chat" does
    await socket.disconnect(chat.session.socket_id)
    assert not chat.session.files_dir.exists()
    slow.go_on.set()
    await running
    assert {paper.title for paper in shelf_library.papers()} == {"seeds0", "seeds1", "seeds2"}
    assert [len(asked["paper_ids"]) for asked in assistant.asked] == [3]
    assert left(shelf_library) == []


async def test_a_file_that_is_gone_is_named_and_the_others_are_added(app, chat, assistant, shelf_library, tmp_path):
    assistant.embedder, assistant.script = HashEmbedder(), script()
    there, gone = pdfs(tmp_path / "some", 2)
    gone.unlink()
    message = question("What is it?")
    message.elements = [attached(gone), attached(there)]
    await app.on_message(message)
    assert chat.texts[0] == "**seeds1\\.pdf** could not be read. Attach it again."
    assert [len(asked["paper_ids"]) for asked in assistant.asked] == [1]


async def test_a_disk_without_links_gets_copies(app, chat, assistant, shelf_library, tmp_path, *, monkeypatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refused)
    assistant.embedder, assistant.script = HashEmbedder(), script()
    message = question("What is it?")
    message.elements = [attached(path) for path in pdfs(tmp_path / "some", 1)]
    await app.on_message(message)
    assert [paper.title for paper in shelf_library.papers()] == ["seeds0"]


def test_what_a_crash_leaves_of_files_being_added_is_removed_at_the_next_start(tmp_path) -> None:
    from ui.web import names

    with temporary(tmp_path) as folder:
        (folder / "a.pdf").write_text("secret")
        assert folder.stat().st_mode & 0o777 == 0o700
        names.remove_leftovers(tmp_path / names.INCOMING)
        assert not folder.exists()


async def test_a_full_disk_leaves_no_half_file_and_is_named(
    app, chat, assistant, shelf_library, *, tmp_path, monkeypatch
):
    from ui import uploads

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    def half(_: object, place) -> None:
        place.write_bytes(b"%PDF-1.7 the first half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads.Path, "hardlink_to", refused)
    monkeypatch.setattr(uploads.shutil, "copyfile", half)
    assistant.embedder, assistant.script = HashEmbedder(), script()
    message = question("What is it?")
    message.elements = [attached(path) for path in pdfs(tmp_path / "some", 1)]
    await app.on_message(message)
    assert any("disk is full" in text for text in chat.texts), chat.texts
    assert shelf_library.papers() == assistant.asked == left(shelf_library) == []


async def test_ask_again_asks_the_files_that_came_with_the_question(app, chat, assistant, shelf_library, tmp_path):
    assistant.embedder, assistant.script = HashEmbedder(), script()
    message = question("What is it?")
    message.elements = [attached(path) for path in pdfs(tmp_path / "some", 1)]
    await app.on_message(message)
    again = next(one for one in chat.of("action") if one["label"] == "Ask again")
    assert again["tooltip"] == "Ask the same question again, of the same files"
    await app.ask_again(cl.Action(name=again["name"], payload=again["payload"], forId=again.get("forId")))
    first, second = (asked["paper_ids"] for asked in assistant.asked)
    assert second == first == [paper.id for paper in shelf_library.papers()]
    shelf_library.remove(first[0])
    await app.ask_again(cl.Action(name=again["name"], payload=again["payload"], forId=again.get("forId")))
    assert chat.texts[-1].startswith("No file of this question is in your library")
    assert len(assistant.asked) == 2
