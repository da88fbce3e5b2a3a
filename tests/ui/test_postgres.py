"""Chats in Postgres: what a server can do that a file cannot, and what must never be seen of its address."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import uuid

import chainlit as cl
import pytest
from pydantic import ValidationError

from chat_places import FilePlace, PostgresPlace
from ingest import IngestSettings, UserFacingError
from ingest.postgres import Address, in_words, parse
from places import ROOT
from postgres_server import PASSWORD, PostgresServer
from waiting import soon


@pytest.fixture
async def database(tmp_path, postgres_server):
    return await PostgresPlace.made(tmp_path, postgres_server)


async def kept(place: FilePlace | PostgresPlace, n: int = 3, *, word: str = "word", messages: int = 4) -> None:
    """Some chats with all that a chat can have, written as the app writes them."""
    history = place.open()
    try:
        user = await history.create_user(cl.User(identifier="local", metadata={"since": word}))
        for chat in range(n):
            chat_id = str(uuid.uuid4())
            await history.update_thread(chat_id, name=f"{word} {chat} Ärger", user_id=user.id, metadata={"of": word})
            for number in range(messages):
                kind = "assistant_message" if number % 2 else "user_message"
                text = f"{word} {number} “quoted”\0 𝜇 " * 3
                metadata = {"question": f"{word}?", "figures": {"seconds": 1.5, "n": number}}
                message = cl.Message(text, type=kind, modes={"answer": "draft"}, metadata=metadata)
                message.thread_id, message.created_at = chat_id, f"2026-11-{chat + 1:02}T10:00:{number:02}Z"
                await history.create_step(message.to_dict())
            step = cl.Step(name="6 passages", type="tool", auto_collapse=True)
            step.thread_id = chat_id
            await history.create_step(step.to_dict())
            element = cl.File(name=f"{word}.txt", content=f"{word} attached".encode(), mime="text/plain")
            element.thread_id, element.for_id = chat_id, message.id
            await history.create_element(element)
            await history.upsert_feedback(cl.types.Feedback(forId=message.id, value=chat % 2, comment=f"{word}!"))
    finally:
        await history.close()


async def everything(place) -> dict[str, list[tuple]]:
    """All rows, as text."""
    from ui.chats.salvage import columns

    found = {}
    for table, names in columns().items():
        listed = ", ".join(f'"{name}"' for name in sorted(names))
        rows = [tuple(map(str, row)) for row in await place.run(f'SELECT {listed} FROM {table} ORDER BY "id"')]
        found[table] = [tuple({"True": "1", "False": "0"}.get(cell, cell) for cell in row) for row in rows]
    return found


@pytest.fixture
def in_chat(chat):
    chat.session.has_first_interaction = True
    return chat


# -- the address


@pytest.mark.parametrize(
    ("url", "words", "here"),
    [
        ("postgresql://u:geheim@db.example/s", "db.example:5432, database s", False),
        ("postgres://u:geheim@127.0.0.1:5433/s", "127.0.0.1:5433, database s", True),
        ("postgresql://u:geheim@[::1]/s", "::1:5432, database s", True),
        ("postgresql://localhost/s", "localhost:5432, database s", True),
        ("postgresql://u:geheim@/s?host=/run/postgresql", "/run/postgresql, database s", True),
        ("postgresql://u:geheim@10.0.0.7/s?sslmode=verify-full", "10.0.0.7:5432, database s", False),
    ],
)
def test_an_address_is_shown_without_user_and_password(url, words, here) -> None:
    address = parse(url)
    assert (address.words, address.here) == (words, here)
    assert "geheim" not in repr(address)
    settings = IngestSettings(chats=url)
    assert settings.chat_database == address
    assert "geheim" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    "url",
    ["mysql://u:geheim@h/d", "postgresql://u:geheim@h", "postgresql://u:geheim@h:99999/d", "postgresql://u:geheim@/d",
     "postgresql://u:geheim@h,g/d", "geheim", "postgresql://u:geheim@[h/d"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(url) -> None:
    with pytest.raises(ValidationError) as caught:
        IngestSettings(chats=url)
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(caught.value)


async def test_a_database_elsewhere_is_asked_for_an_encrypted_connection(monkeypatch) -> None:
    import asyncpg

    from ingest.postgres import connect

    asked = []

    async def note(url, **options):
        asked.append(options.get("ssl"))

    monkeypatch.setattr(asyncpg, "connect", note)
    for url in ("h.example/d", "h.example/d?sslmode=disable", "127.0.0.1/d"):
        await connect(parse(f"postgresql://{url}"))
    assert asked == ["require", None, None]


def test_a_server_without_encryption_is_told_so(postgres_server) -> None:
    from ui.chats.postgres import check

    at = parse(postgres_server.url("postgres"))
    elsewhere = Address(url=at.url + "?sslmode=require", host="db.example", port=at.port, database=at.database)
    with pytest.raises(UserFacingError, match="no encrypted connection"):
        check(elsewhere)


# -- the start


async def test_what_keeps_scholion_from_starting_is_one_sentence_without_the_password(
    postgres_server, tmp_path, monkeypatch
) -> None:
    from ui.chats.postgres import check

    other = await PostgresPlace.made(tmp_path, postgres_server)
    await other.run("CREATE TABLE users (name text)")
    faults = {
        "refuses this user": postgres_server.url("postgres", password=f"{PASSWORD}-wrong"),
        "no such database": postgres_server.url("nothing"),
        "does not answer": f"postgresql://u:{PASSWORD}@127.0.0.1:1/d",
        "tables of another program": other.url,
        "is not valid": f"{postgres_server.url('postgres')}?sslmode={PASSWORD}",
        "SQL_ASCII": await postgres_server.create(ENCODING="'SQL_ASCII'", TEMPLATE="template0", LOCALE="'C'"),
    }
    for said, url in faults.items():
        with pytest.raises(UserFacingError, match=said) as caught:
            await asyncio.to_thread(check, parse(url))
        assert PASSWORD not in str(caught.value)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(UserFacingError, match="pip install asyncpg"):
        await asyncio.to_thread(check, parse(other.url))


@pytest.mark.parametrize("socket", [True, False])
def test_a_new_database_gets_its_tables_once(postgres_server, socket) -> None:
    from ui.chats.postgres import check

    name = asyncio.run(postgres_server.create()).rpartition("/")[2]
    address = parse(postgres_server.socket_url(name) if socket else postgres_server.url(name))
    for _ in range(2):
        check(address)


def test_without_the_setting_no_driver_is_loaded() -> None:
    code = "import sys, ui.__main__, ui.start, ui.chats.command, ui.chats.where; print('asyncpg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_setting_that_is_not_valid_ends_the_start_with_a_sentence(
    tmp_path, settings_anew, monkeypatch, capsys
) -> None:
    from ui import __main__

    monkeypatch.setenv("SCHOLION_CHATS", f"mysql://u:{PASSWORD}@h/d")
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    assert __main__.main(["--no-browser"]) == 1
    assert "SCHOLION_CHATS is not valid: it must begin with postgresql://" in (said := capsys.readouterr().err)
    assert PASSWORD not in said


async def test_chats_in_the_file_are_not_forgotten_in_silence(in_chat, database, tmp_path) -> None:
    from ui import start

    await kept(FilePlace(tmp_path), 2)
    (said,) = await asyncio.to_thread(lambda: list(start.mended(tmp_path, database.address)))
    assert "2 chats in chats.db are not in Postgres." in said
    await kept(database, 1)
    assert not await asyncio.to_thread(lambda: list(start.mended(tmp_path, database.address)))


# -- while it runs


async def test_a_server_that_stops_while_somebody_asks_loses_nothing(in_chat, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr("ui.chats.history.RETRY_SECONDS", 0.05)
    server = PostgresServer().start()
    try:
        place = await PostgresPlace.made(tmp_path, server)
        history = place.open()
        user = await history.create_user(cl.User(identifier="local"))
        await history.update_thread("t", name="A chat", user_id=user.id)
        server.stop(signal.SIGQUIT)  # as if it crashed
        message = cl.Message("asked while it was away")
        message.thread_id = "t"
        with caplog.at_level(logging.DEBUG):
            writing = asyncio.create_task(history.create_step(message.to_dict()))
            assert await soon(lambda: in_chat.texts)
            assert await history.get_thread("t") is None
        assert "the database with the chats does not answer" in in_chat.texts[0]
        server.start()
        await writing
        assert await place.run("SELECT output FROM steps") == [("asked while it was away",)]
        assert (await history.get_thread("t"))["name"] == "A chat", "a broken connection is not used again"
        await history.close()
        shown = caplog.text + "".join(in_chat.texts) + repr(vars(history)) + repr(history.engine)
        assert PASSWORD not in shown
        assert "asked while" not in caplog.text
    finally:
        server.close()


async def test_an_error_of_the_driver_while_the_tables_are_made_is_waited_out(in_chat, database, monkeypatch) -> None:
    import asyncpg

    from ui.chats import postgres as module

    monkeypatch.setattr("ui.chats.history.RETRY_SECONDS", 0.05)
    prepare, failing = module.prepare, [asyncpg.ConnectionDoesNotExistError("closed")]

    async def at_first_not(address, **options):
        if failing:
            raise failing.pop()
        await prepare(address, **options)

    monkeypatch.setattr(module, "prepare", at_first_not)
    history = database.open()
    message = cl.Message("kept all the same")
    message.thread_id = "t"
    await history.create_step(message.to_dict())
    assert await database.run("SELECT output FROM steps") == [("kept all the same",)]
    await history.close()


async def test_two_that_start_at_once_make_the_tables_once(database) -> None:
    from ui.chats.postgres import prepare

    await asyncio.gather(*(prepare(database.address) for _ in range(6)))
    assert await database.run("SELECT count(*) FROM users") == [(0,)]


async def test_a_deleted_chat_leaves_no_word_in_any_table(in_chat, database) -> None:
    await kept(database, 1, word="quoxalumin")
    await kept(database, 1, word="stays")
    history = database.open()
    (gone,) = await database.run("SELECT id FROM threads WHERE name LIKE 'quox%'")
    await history.delete_thread(gone[0])
    rows = await everything(database)
    assert "quoxalumin" not in str({**rows, "users": []})
    assert [len(rows[table]) for table in ("threads", "steps", "elements", "feedbacks")] == [1, 5, 1, 1]
    assert len([path for path in (database.folder / "uploads").rglob("*") if path.is_file()]) == 1
    await history.close()


async def test_the_answers_of_both_places_are_the_same(in_chat, place) -> None:
    assert await place.answers("local") == []
    await kept(place, 2)
    await place.run(
        'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "metadata") '
        "SELECT 'x' || \"id\", 'x', 'assistant_message', \"id\", \"name\" IS NULL, '{broken' FROM threads"
    )
    found = await place.answers("local")
    assert [(one.name, one.question, one.figures.seconds) for one in found] == [
        (f"word {n} Ärger", "word?", 1.5) for n in (0, 0, 1, 1)
    ]
    assert await place.answers("another") == []
    assert [one.chat for one in await place.answers("local", chat=found[0].chat)] == [found[0].chat] * 2


# -- the pages


async def test_pages_and_reports_say_where_the_chats_are_and_never_the_password(
    in_chat, database, settings_anew, tmp_path, monkeypatch
) -> None:
    from rag.health import doctor
    from ui import core
    from ui.chats import where
    from ui.texts import routes

    await kept(database, 2)
    monkeypatch.setenv("SCHOLION_CHATS", database.url)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    lines = await asyncio.to_thread(doctor.examine)
    (line,) = [line for line in lines if line.about == "Chats"]
    assert line.said == f"Postgres at {database.address.words} has 2 chats."
    assert line.state == "ok"
    bundle = await asyncio.to_thread(doctor.bundle, lines)
    said = core.settings().chat_database.sentence
    assert said == f"Your chats are kept in Postgres on this machine ({database.address.words})."
    assert "Your chats" not in json.dumps(routes._reworded({}))
    shown = str([line.said + line.todo for line in lines]) + str(bundle) + said
    assert PASSWORD not in shown
    assert [one.question for one in await asyncio.to_thread(lambda: list(where.answers("local")))] == ["word?"] * 4
    monkeypatch.setenv("SCHOLION_CHATS", f"postgresql://u:{PASSWORD}@db.example/chats")
    settings_anew()
    assert core.settings().chat_database.sentence == (
        "Your chats leave this machine: they are kept in Postgres at db.example:5432, database chats."
    )
    words = json.dumps(routes._reworded({}))
    assert "Your chats are kept on db.example." in words
    assert PASSWORD not in words


async def test_health_says_that_a_database_does_not_answer_and_that_chats_leave_the_machine(monkeypatch) -> None:
    from rag.health import library_checks

    line = await asyncio.to_thread(library_checks.database_line, parse(f"postgresql://u:{PASSWORD}@127.0.0.1:1/d"))
    assert (line.state, line.said) == (
        "problem",
        "The chats are in Postgres at 127.0.0.1:1, database d, which does not answer.",
    )

    async def five(address):
        return 5

    monkeypatch.setattr(library_checks, "_count_chats", five)
    line = await asyncio.to_thread(library_checks.database_line, parse(f"postgresql://u:{PASSWORD}@db.example/d"))
    assert (line.state, line.facts) == ("note", {"postgres": True, "here": False, "chats": 5})
    assert "so the chats leave it" in line.said


def test_an_unknown_error_is_no_puzzle() -> None:
    class OddError(Exception):
        sqlstate = "XX000"

    said = str(in_words(OddError(f"for {PASSWORD}"), parse(f"postgresql://u:{PASSWORD}@db.example/d")))
    assert "reports error XX000" in said
    assert PASSWORD not in said
