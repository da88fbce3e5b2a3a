"""kill -9 while the app answers, receives a file and adds a paper: what a page was told before is there afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import sqlite3
from contextlib import closing

import httpx
import pytest

from chat_places import FilePlace, PostgresPlace
from ingest import IngestSettings, open_library
from ingest.repair import verify
from pdfs import column, write_pdf
from places import SAMPLES
from served import Page, WithDraft, app_root, heard, new_id, send
from waiting import soon

QUESTION = "How many bytes does the key-value cache need per token?"
WORDS = [f"word{n}" for n in range(400)]


@pytest.fixture(scope="module")
def library_once(tmp_path_factory):
    """A library with one paper, which a first start fills with nothing more."""
    from ingest import embedder_from, ingest_pdf

    folder = tmp_path_factory.mktemp("once") / "library"
    with open_library(IngestSettings(library=folder)) as library:
        ingest_pdf(SAMPLES / "before-you-run.pdf", library=library, embedder=embedder_from(None))
    return folder


@pytest.fixture
def server(library_once, tmp_path):
    """The app, not started yet; its drafter writes 20 words a second."""
    shutil.copytree(library_once, tmp_path / "library")
    (tmp_path / "answer.txt").write_text(" ".join(WORDS))
    made = WithDraft(
        tmp_path / "answer.txt", delay=0.05, library=tmp_path / "library", root=app_root(tmp_path / "root")
    )
    made.settings |= {"SCHOLION_ANSWERS": "written", "SCHOLION_MAX_OUTPUT_TOKENS": "1000"}
    yield made
    made.stop(signal.SIGKILL)


@contextlib.asynccontextmanager
async def visited(server):
    """A page with its websocket, and the name of its session."""
    page, session = await Page(server.url).sign_in(), new_id()
    await page.connect(session)
    try:
        yield page, session
    finally:
        with contextlib.suppress(Exception):
            await page.close()


async def messages(place) -> list[tuple[str, str]]:
    """The messages of the chats that are listed for the user."""
    return await place.run(
        'SELECT s."type", s."output" FROM steps s JOIN threads t ON t."id" = s."threadId" JOIN users u '
        """ON u."id" = t."userId" WHERE u."identifier" = 'local' AND s."type" LIKE '%message' ORDER BY s."createdAt" """
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_in_mid_answer_nothing_that_was_said_before_is_lost(server, request, tmp_path, kind) -> None:
    place = FilePlace(server.library)
    if kind == "postgres":
        place = await PostgresPlace.made(tmp_path, request.getfixturevalue("postgres_server"))
        server.settings["SCHOLION_CHATS"] = place.url
    (tmp_path / "answer.txt").write_text("It needs 128 KiB for each token.")
    await asyncio.to_thread(server.start)
    async with visited(server) as (page, _):
        before = await send(page, f"{QUESTION} (first)")
        assert await heard(page, re.compile("stayed on this machine"), before)
    await asyncio.to_thread(server.stop)
    (tmp_path / "answer.txt").write_text(" ".join(WORDS))
    await asyncio.to_thread(server.start)
    async with visited(server) as (page, _):
        before = await send(page, f"{QUESTION} (second)")
        assert await heard(page, re.compile(r"word12\b"), before)
        (cut_off,) = [data["thread_id"] for event, data in page.heard if event == "first_interaction"]
        await asyncio.to_thread(server.stop, signal.SIGKILL)
    said = await messages(place)
    asked = [text for kind, text in said if kind == "user_message"]
    assert asked == [f"{QUESTION} (first)", f"{QUESTION} (second)"]
    whole = [text for kind, text in said if kind == "assistant_message" and "stayed on this machine" in text]
    assert len(whole) == 1
    assert "key-value" in " ".join(asked)
    if kind == "sqlite":
        with closing(sqlite3.connect(place.file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (tmp_path / "answer.txt").write_text("It needs 128 KiB for each token.")
    await asyncio.to_thread(server.start)
    async with visited(server) as (page, _):
        await page.socket.disconnect()
        await page.connect(new_id(), threadId=cut_off)
        await page.socket.emit("connection_successful")
        assert await heard(page, re.compile("Scholion was interrupted before this was answered"), 0)
        before = await send(page, f"{QUESTION} (third)")
        assert await heard(page, re.compile("stayed on this machine"), before), "and it answers again"
    assert len([text for kind, text in await messages(place) if kind == "user_message"]) == 3
    assert "s3cr3t" not in server.log.read_text()


async def test_in_mid_upload_nothing_half_is_added_and_the_file_can_be_sent_again(server, tmp_path) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [f"Line {n} on seeds and jars." for n in range(30)]))
    await asyncio.to_thread(server.start)
    async with visited(server) as (page, session):
        gone = asyncio.Event()

        async def slowly():
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
            yield b"Content-Type: application/pdf\r\n\r\n%PDF-1.7 the first half"
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            gone.set()
            yield b"the second half\r\n--x--\r\n"

        with pytest.raises(httpx.HTTPError):
            await page.http.post(
                "/project/file",
                params={"session_id": session},
                content=slowly(),
                headers={"content-type": "multipart/form-data; boundary=x"},
            )
        assert gone.is_set()
    await asyncio.to_thread(server.start)
    assert list((server.library / "incoming").iterdir()) == []
    async with visited(server) as (page, session):
        sent = (await page.upload(session, path.read_bytes())).json()["id"]
        assert await heard(page, re.compile("in your library:"), await send(page, "", (sent,)))
    await asyncio.to_thread(server.stop)
    with open_library(IngestSettings(library=server.library)) as library:
        assert len(library.papers()) == 2
        assert verify(library) == []


async def test_in_mid_ingest_a_paper_that_was_begun_is_completed_by_the_next_start(server, tmp_path) -> None:
    pages = [
        column(72, 720, [f"Line {n} of page {page} on seeds, water and jars." for n in range(40)]) for page in range(24)
    ]
    path = write_pdf(tmp_path / "long.pdf", *pages, title="A long report on seeds")
    await asyncio.to_thread(server.start)
    async with visited(server) as (page, session):
        sent = (await page.upload(session, path.read_bytes())).json()["id"]
        before = await send(page, "", (sent,))
        assert await heard(page, re.compile("Indexing"), before)
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        assert not await heard(page, re.compile("in your library:"), before, within=0.1)
    await asyncio.to_thread(server.start)

    def completed() -> bool:
        with closing(sqlite3.connect(f"file:{server.library}/library.db?mode=ro", uri=True, timeout=60)) as db:
            return db.execute("SELECT count(*) FROM papers WHERE finished_at IS NOT NULL").fetchone()[0] == 2

    async with visited(server):  # the first page that opens lets it carry on
        assert await soon(completed)
    await asyncio.to_thread(server.stop)
    with open_library(IngestSettings(library=server.library)) as library:
        assert max(paper.n_pages for paper in library.papers()) == 24
        assert verify(library) == []
    assert [text for kind, text in await messages(FilePlace(server.library))][:1] != [], "the chat is there"
