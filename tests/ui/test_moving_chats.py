"""Chats move to Postgres and back: all of them, whole, also after an interruption, and never over others."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
from test_postgres import everything, kept

from chat_places import FilePlace, PostgresPlace
from ingest import UserFacingError


@pytest.fixture
async def file(chat, tmp_path):
    chat.session.has_first_interaction = True
    place = FilePlace(tmp_path)
    await kept(place, 5, messages=120)  # more than one batch
    return place


@pytest.fixture
async def database(tmp_path, postgres_server):
    return await PostgresPlace.made(tmp_path, postgres_server)


async def move(file: FilePlace, database: PostgresPlace, to: str):
    from ui.chats.move import move

    return await asyncio.to_thread(move, file.folder, database.address, to=to, tell=lambda text: None)


async def test_there_and_back_all_is_as_it_was(file, database) -> None:
    before = await everything(file)
    await kept_user(database)
    done = await move(file, database, "postgres")
    assert done.rows == {"users": 1, "threads": 5, "steps": 605, "elements": 5, "feedbacks": 5}
    assert done.sent == 621
    assert done.aside.exists()
    assert not file.file.exists()
    assert not list(file.folder.glob("chats.db*"))
    assert without_nul(await everything(database)) == without_nul(before)
    (found,) = [one for one in await listed(database) if one["name"] == "word 3 Ärger"]
    assert len(found["steps"]) == 121
    done = await move(file, database, "sqlite")
    assert (done.rows["steps"], done.aside) == (605, None)
    assert without_nul(await everything(file)) == without_nul(before)
    assert await database.run("SELECT count(*) FROM steps") == [(0,)]
    assert (await move(file, database, "postgres")).rows["steps"] == 605, "and there again"


def without_nul(rows):
    return {
        table: [tuple(cell.replace("\0", "\ufffd") for cell in row) for row in found] for table, found in rows.items()
    }


async def listed(place) -> list[dict]:
    history = place.open()
    user = await history.get_user("local")
    threads = await history.get_all_user_threads(user_id=user.id)
    await history.close()
    return threads


async def kept_user(database) -> None:
    """What a start without chats writes: a user of the same name, with another id."""
    import chainlit as cl

    history = database.open()
    await history.create_user(cl.User(identifier="local"))
    await history.close()


@pytest.mark.parametrize("at", range(1, 14, 2))
@pytest.mark.parametrize("to", ["postgres", "sqlite"])
async def test_a_move_that_is_cut_off_anywhere_is_completed_by_the_next(file, database, monkeypatch, to, at) -> None:
    from ui.chats import move as module

    before = without_nul(await everything(file))
    if to == "sqlite":
        await move(file, database, "postgres")
    source, target = (file, database) if to == "postgres" else (database, file)
    steps = 0

    def cut(inner):
        async def may_end(*arguments, **options):
            nonlocal steps
            steps += 1
            if steps == at:
                raise ConnectionError("the power went off")
            return await inner(*arguments, **options)

        return may_end

    with monkeypatch.context() as patched:
        for cls in (module._FileTable, module._DatabaseTable):
            patched.setattr(cls, "write", cut(cls.write))
        patched.setattr(module, "_compare", cut(module._compare))
        cut_off = False
        try:
            await move(file, database, to)
        except UserFacingError:
            cut_off = True
    if not cut_off:
        assert steps < at
        return
    assert without_nul(await everything(source)) == before, "nothing is gone"
    if to == "postgres":
        from ui.chats.postgres import check

        with pytest.raises(UserFacingError, match="was interrupted"):
            await asyncio.to_thread(check, database.address)
    done = await move(file, database, to)
    assert done.rows["steps"] == 605
    assert without_nul(await everything(target)) == before


async def test_what_changed_after_an_interruption_is_moved_as_it_is_now(file, database, monkeypatch) -> None:
    from ui.chats import move as module

    async def cut(*_):
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(module, "_compare", cut)
        with pytest.raises(UserFacingError):
            await move(file, database, "postgres")
    await file.run("UPDATE threads SET name = 'another name' WHERE name LIKE 'word 1%'")
    await file.run("""DELETE FROM steps WHERE "threadId" = (SELECT id FROM threads WHERE name LIKE 'word 2%')""")
    now = without_nul(await everything(file))
    done = await move(file, database, "postgres")
    assert done.sent == 1
    assert without_nul(await everything(database)) == now


@pytest.mark.parametrize("to", ["postgres", "sqlite"])
async def test_a_crash_after_the_comparison_is_completed_too(file, database, monkeypatch, to) -> None:
    from ui.chats import move as module

    before = without_nul(await everything(file))
    if to == "sqlite":
        await move(file, database, "postgres")
    in_place = module.put_in_place

    def then_end(fresh, path):
        in_place(fresh, path)
        raise ConnectionError("the power went off")

    with monkeypatch.context() as patched:
        patched.setattr(module, "put_in_place", then_end)
        with pytest.raises(UserFacingError):
            await move(file, database, to)
    done = await move(file, database, to)
    assert done.rows["steps"] == 605
    assert without_nul(await everything(file if to == "sqlite" else database)) == before
    if to == "sqlite":
        assert await database.run("SELECT count(*) FROM threads") == [(0,)]


async def test_a_new_file_after_a_crash_takes_no_moved_chat_with_it(file, database, monkeypatch) -> None:
    from ui.chats import move as module

    before = without_nul(await everything(file))

    def never(*_: object) -> None:
        raise ConnectionError("the power went off")

    with monkeypatch.context() as patched:
        patched.setattr(module, "put_in_place", never)
        with pytest.raises(UserFacingError):
            await move(file, database, "postgres")
    with sqlite3.connect(file.file) as db:
        db.execute("DELETE FROM threads")
    with pytest.raises(UserFacingError, match="moved before"):
        await move(file, database, "postgres")
    assert without_nul(await everything(database)) == before


async def test_chats_are_never_moved_over_others(chat, file, database, tmp_path) -> None:
    chat.session.has_first_interaction = True
    await kept(database, 1, word="theirs")
    ours, theirs = await everything(file), await everything(database)
    for to in ("postgres", "sqlite"):
        with pytest.raises(UserFacingError, match="has chats already, so nothing was moved"):
            await move(file, database, to)
    assert (await everything(file), await everything(database)) == (ours, theirs)


async def test_nothing_to_move_is_said(chat, database, tmp_path) -> None:
    place = FilePlace(tmp_path)
    with pytest.raises(UserFacingError, match=r"no chats\.db"):
        await move(place, database, "postgres")
    with pytest.raises(UserFacingError, match="no chats in Postgres"):
        await move(place, database, "sqlite")
    assert not place.file.exists()


async def test_a_damaged_file_is_repaired_on_the_way(file, database) -> None:
    with file.file.open("r+b") as raw:
        raw.seek(file.file.stat().st_size // 2 // 4096 * 4096)
        raw.write(b"\xff" * 4096 * 12)
    done = await move(file, database, "postgres")
    assert 0 < done.rows["steps"] < 605
    assert list(file.folder.glob("chats.damaged-*.db"))


def test_the_command_moves_and_says_what_it_did(tmp_path, postgres_server, settings_anew, monkeypatch, capsys) -> None:
    from ui.__main__ import main
    from ui.chats.salvage import schema

    with sqlite3.connect(tmp_path / "chats.db") as db:
        db.executescript(schema())
        db.execute("INSERT INTO users VALUES ('u', 'local', '{}', '')")
        db.execute('INSERT INTO threads ("id", "name", "userId") VALUES (?, ?, ?)', ("c", "A chat", "u"))
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))

    def run(*words: str) -> tuple[int, str]:
        settings_anew()
        return main(["chats", *words]), "".join(capsys.readouterr())

    assert run("move", "--to", "postgres") == (
        1,
        (
            "SCHOLION_CHATS does not name a database. Set it to postgresql://user:password@host/database "
            "(docs/postgres.md), and move the chats again.\n"
        ),
    )
    place = asyncio.run(PostgresPlace.made(tmp_path, postgres_server))
    assert f"{tmp_path / 'chats.db'}" in run()[1]
    monkeypatch.setenv("SCHOLION_CHATS", place.url)
    assert "on this machine" in run()[1]
    code, said = run("move", "--to", "postgres")
    assert (code, "Moved 1 chat with 0 messages" in said) == (0, True)
    code, said = run("move", "--to", "sqlite")
    assert (code, "unset SCHOLION_CHATS" in said) == (0, True)
    assert (tmp_path / "chats.db").exists()


def test_chats_are_not_moved_while_scholion_runs(tmp_path, postgres_server, settings_anew, monkeypatch, capsys) -> None:
    from ingest import IngestSettings, Library
    from ui.__main__ import main

    place = asyncio.run(PostgresPlace.made(tmp_path, postgres_server))
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path))
    monkeypatch.setenv("SCHOLION_CHATS", place.url)
    running = Library(IngestSettings(library=tmp_path))
    running.own(url="http://127.0.0.1:1", key="k")
    try:
        assert main(["chats", "move", "--to", "postgres"]) == 1
        assert "so no chats were moved. Close it" in (said := capsys.readouterr().err), said
    finally:
        running.close()
