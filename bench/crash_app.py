"""kill -9 of the running app at random moments; after each, everything that a page was told must be there.

    python bench/crash_app.py [--kills 20] [--seed 1] [--longest 12] [--postgres]

Each round starts the app on the same library. One session asks questions, another uploads and adds small papers, and
the app is killed at a random moment of the next seconds. With `--postgres` the chats are in a real Postgres server,
which is made to crash too in every second round. Then the library and the chats are read as the next start does. Lost
is: a question after which the server has shown anything, that is not in a listed chat; an answer that was shown whole,
that is not stored whole; a paper that was told to be in the library or to be indexed, that is not there once the next
start has carried on; and anything that `verify` finds. Search, reader and parser are the real ones; the drafter is a
fake that writes 20 words a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
logging.disable(logging.CRITICAL)

import socketio  # noqa: E402

from ingest import Ingest, IngestSettings, Library, Source, embedder_from  # noqa: E402
from ingest.repair import verify  # noqa: E402
from pdfs import column, write_pdf  # noqa: E402
from served import Page, WithDraft, app_root, heard, new_id, send  # noqa: E402

QUESTION = "How large is the file of the rank-16 adapter on all seven matrices?"
ANSWER = "The adapter takes 83.9 MB [1]. It is stored with 16 bits for each weight."
SHOWN = {"new_message", "update_message", "stream_start", "stream_token"}
"""Events with which the server answers a message; the page shows the question itself before the server has it."""
STORED = 'SELECT s."type", s."output" FROM steps s JOIN threads t ON t."id" = s."threadId" WHERE t."userIdentifier" = '


class Told:
    """What pages were told, by name."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.answered: dict[str, float] = {}
        self.begun: set[str] = set()
        self.added: set[str] = set()


async def asks(page: Page, told: Told, names: iter) -> None:
    while True:
        name = next(names)
        before = await send(page, f"{QUESTION} ({name})")
        while not any(event in SHOWN for event, _ in page.heard[before:]):  # noqa: ASYNC110 - it is cancelled
            await asyncio.sleep(0.01)
        told.asked.add(name)
        if await heard(page, re.compile("stayed on this machine"), before):
            told.answered[name] = time.monotonic()


async def adds(page: Page, session: str, told: Told, names: iter, folder: Path) -> None:
    while True:
        name = next(names)
        lines = [f"Line {n} of the notes {name} about soil, seeds and water." for n in range(40)]
        path = write_pdf(folder / f"{name}.pdf", column(72, 720, lines), column(72, 720, lines[::-1]))
        sent = await page.http.post(
            "/project/file",
            params={"session_id": session},
            files={"file": (path.name, path.read_bytes(), "application/pdf")},
        )
        before = await send(page, "", (sent.json()["id"],))
        if await heard(page, re.compile("Indexing|Storing|in your library:"), before):
            told.begun.add(name)
        if await heard(page, re.compile("in your library:"), before):
            told.added.add(name)


async def stored(file: Path, url: str | None) -> list[tuple[str, str]]:
    if url is None:
        with closing(sqlite3.connect(file, timeout=60)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",), "chats.db is damaged"
            return db.execute(f"{STORED}'local'").fetchall()
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(f"{STORED}'local'")]
    finally:
        await connection.close()


async def joined(server: WithDraft) -> tuple[Page, str]:
    """A page with its websocket; a busy machine may need more than one try."""
    for left in reversed(range(5)):
        page, session = await Page(server.url).sign_in(), new_id()
        try:
            await page.connect(session)
        except socketio.exceptions.ConnectionError:
            if not left:
                raise
            await page.close()
        else:
            return page, session
    raise AssertionError


async def one_round(server: WithDraft, told: Told, seconds: float, *, names: iter, folder: Path, crash) -> None:
    await asyncio.to_thread(server.start)
    pages, jobs = [], []
    for job in (asks, adds):
        page, session = await joined(server)
        pages.append(page)
        more = (told, names) if job is asks else (told, names, folder)
        jobs.append(asyncio.create_task(job(page, *((session,) if job is adds else ()), *more)))
    await asyncio.sleep(seconds)
    if crash:
        crash()
    server.stop(signal.SIGKILL)
    for job in jobs:
        job.cancel()
        with contextlib.suppress(BaseException):
            await job
    for page in pages:
        with contextlib.suppress(Exception):
            await page.close()


async def run(options: argparse.Namespace, folder: Path) -> int:
    dice, embedder, told, lost = random.Random(options.seed), embedder_from(None), Told(), Counter()
    names = (f"n{number}n" for number in range(10**6))
    library = Library(IngestSettings(library=folder / "library"))
    list(Ingest(library=library, embedder=embedder).run([Source(ROOT / "docs/papers/lora-for-terms.pdf", "lora.pdf")]))
    library.close()
    (folder / "answer.txt").write_text(ANSWER)
    server = WithDraft(folder / "answer.txt", delay=0.05, library=folder / "library", root=app_root(folder / "root"))
    database, url, crashes = None, None, 0
    if options.postgres:
        from postgres_server import PostgresServer

        database = PostgresServer().start()
        url = await database.create()
        server.settings["SCHOLION_CHATS"] = url
    try:
        for n in range(1, options.kills + 1):
            crash = (lambda: database.stop(signal.SIGQUIT)) if database and n % 2 == 0 else None
            await one_round(server, told, dice.uniform(0.5, options.longest), names=names, folder=folder, crash=crash)
            if crash:
                crashes += 1
                database.start()
            said = await stored(server.library / "chats.db", url)
            questions = " ".join(text for kind, text in said if kind == "user_message")
            whole = sum(kind == "assistant_message" and "stayed on this machine" in text for kind, text in said)
            library = Library(IngestSettings(library=server.library))
            list(Ingest(library=library, embedder=embedder).resume())
            files = {paper.file_name.removesuffix(".pdf") for paper in library.papers()}
            problems = verify(library)
            library.close()
            lost["questions"] = sum(f"({name})" not in questions for name in told.asked)
            lost["answers"] = max(0, len(told.answered) - whole)
            lost["papers told to be there"] = len(told.added - files)
            lost["papers begun"] = len(told.begun - files)
            lost["rounds with problems"] += bool(problems)
            print(
                f"kill {n}: {len(said)} messages, {len(files)} papers, problems {problems}, lost {dict(+lost)}",
                flush=True,
            )
    finally:
        server.stop(signal.SIGKILL)
        if database:
            database.close()
    print(
        f"{options.kills} kills of the app, {crashes} crashes of the database: {len(told.asked)} questions, "
        f"{len(told.answered)} answers, {len(told.begun)} papers begun, {len(told.added)} told to be there; "
        f"lost: {dict(+lost) or 'nothing'}"
    )
    return int(bool(+lost))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds: the latest moment of a kill")
    parser.add_argument("--postgres", action="store_true", help="with the chats in Postgres")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
