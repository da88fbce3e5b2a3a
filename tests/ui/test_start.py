"""What is damaged is found at the start, kept aside and told; what can be read is there again."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from importlib import resources

import pytest

from ui import start

PAGE = 4096


@pytest.fixture
def chats(tmp_path):
    """A history of 20 chats with 30 messages each, as Chainlit writes it."""
    file = tmp_path / "chats.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(resources.files("ui.chats").joinpath("schema.sql").read_text())
        db.execute("INSERT INTO users VALUES ('u1', 'local', '{}', '2026-11-01')")
        for chat in range(20):
            db.execute(
                'INSERT INTO threads ("id", "createdAt", "name", "userId", "userIdentifier") VALUES (?,?,?,?,?)',
                (f"chat-{chat}", f"2026-11-{chat + 1:02}", f"Question {chat}", "u1", "local"),
            )
            for n in range(30):
                db.execute(
                    'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "output", "createdAt") '
                    "VALUES (?, 'You', ?, ?, 0, ?, ?)",
                    (
                        *(f"s-{chat}-{n}", "assistant_message" if n % 2 else "user_message", f"chat-{chat}"),
                        *(f"Message {n} of chat {chat}. " + "Words. " * (n * 7 % 90), f"2026-11-{chat + 1:02}T{n:02}"),
                    ),
                )
        db.commit()
    return file


def steps(file):
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return dict(db.execute('SELECT "id", "output" FROM steps').fetchall())


def root_of(file, name):
    with closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]


def leaves_of(file, name):
    with closing(sqlite3.connect(file)) as db:
        try:
            rows = db.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (name,))
            return [row[0] for row in rows]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")


def spoil(file, *pages, with_=None):
    dice = random.Random(7)
    with file.open("r+b") as raw:
        for page in pages:
            raw.seek((page - 1) * PAGE)
            raw.write(with_ or dice.randbytes(PAGE))


def test_a_whole_history_stays_as_it_is(chats):
    before = chats.read_bytes()
    assert list(start.mended(chats.parent)) == []
    assert chats.read_bytes() == before
    assert sorted(path.name for path in chats.parent.iterdir() if "damaged" in path.name) == []


@pytest.mark.parametrize("garbage", [None, bytes(PAGE)], ids=["random", "zeros"])
def test_only_the_messages_of_damaged_pages_are_lost_and_the_file_is_kept_and_named(chats, garbage):
    before, leaves = steps(chats), leaves_of(chats, "steps")
    assert len(leaves) > 20
    spoil(chats, leaves[3], leaves[9], leaves[11], leaves[-1], with_=garbage)
    damaged = chats.read_bytes()
    (said,) = start.mended(chats.parent)
    (aside,) = chats.parent.glob("chats.damaged-*.db")
    assert str(aside) in said
    assert aside.read_bytes() == damaged
    after = steps(chats)
    assert after.items() <= before.items()
    assert len(before) - len(after) <= 4 * 20, "no more than what stood on four pages"
    assert f"{len(after)} messages" in said
    assert list(start.mended(chats.parent)) == [], "it is whole now"


def test_a_history_without_its_first_page_is_read_by_the_order_of_our_tables(chats):
    before = steps(chats)
    spoil(chats, 1)
    (said,) = start.mended(chats.parent)
    assert steps(chats) == before
    assert "20 chats with 600 messages" in said


def test_chats_and_the_user_come_back_from_the_messages_alone(chats):
    spoil(chats, root_of(chats, "threads"), root_of(chats, "users"))
    assert len(list(start.mended(chats.parent))) == 1
    with closing(sqlite3.connect(chats)) as db:
        users = db.execute("SELECT id, identifier, metadata FROM users").fetchall()
        threads = db.execute('SELECT "name", "userId", "userIdentifier" FROM threads').fetchall()
    assert [row[1:] for row in users] == [("local", "{}")]
    assert len(threads) == 20
    assert {row[1:] for row in threads} == {(users[0][0], "local")}
    assert all(row[0].startswith("Message 0 of chat") for row in threads)


def test_a_history_cut_in_half_keeps_what_is_left(chats):
    whole = chats.read_bytes()
    chats.write_bytes(whole[: len(whole) // 2 // PAGE * PAGE])
    (said,) = start.mended(chats.parent)
    assert 0 < len(steps(chats)) < 600
    assert "damaged" in said


def test_a_file_of_garbage_becomes_an_empty_history(tmp_path):
    (tmp_path / "chats.db").write_bytes(random.Random(1).randbytes(50_000))
    (said,) = start.mended(tmp_path)
    assert "0 chats with 0 messages" in said
    assert steps(tmp_path / "chats.db") == {}


def test_what_is_still_in_the_log_is_read_too(chats):
    writer = sqlite3.connect(chats)
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute(
        'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "output") VALUES '
        "('late', 'You', 'user_message', 'chat-1', 0, 'written last')"
    )
    writer.commit()
    log = chats.with_name("chats.db-wal").read_bytes()
    leaf = leaves_of(chats, "steps")[5]
    writer.close()
    chats.with_name("chats.db-wal").write_bytes(log)
    spoil(chats, leaf)
    assert len(list(start.mended(chats.parent))) == 1
    assert steps(chats)["late"] == "written last"
    assert not chats.with_name("chats.db-wal").exists()


def test_what_cannot_be_opened_is_not_taken_for_damaged(tmp_path):
    (tmp_path / "chats.db").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        list(start.mended(tmp_path))
    assert (tmp_path / "chats.db").is_dir()


# -- the secret -------------------------------------------------------------------------------------------------------


def test_the_secret_is_made_once_and_is_the_owners_alone(tmp_path):
    first = start.secret(tmp_path)
    assert len(first) >= 43
    assert start.secret(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("found", [b"", b"short", b"\xff" * 64, "ü".encode() * 40, b"a" * 40 + b"\0" + b"a" * 40])
def test_a_secret_that_cannot_be_one_is_made_anew(tmp_path, found):
    (tmp_path / "secret").write_bytes(found)
    made = start.secret(tmp_path)
    assert len(made) >= 43
    assert made.isascii()
    assert start.secret(tmp_path) == made


def test_scholion_starts_with_damaged_chats_and_an_empty_secret(tmp_path, chats):
    """In a process of its own, up to the point where the server would run."""
    library = tmp_path
    spoil(chats, 1)
    (library / "secret").touch()
    code = (
        "import os, ui.__main__ as m, chainlit.cli as cli\n"
        "m._add_samples = m._announce = lambda *_, **__: None\n"
        "cli.run_chainlit = lambda _: print('secret', len(os.environ['CHAINLIT_AUTH_SECRET']))\n"
        "raise SystemExit(m.main(['--no-browser', '--port', '18421']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"SCHOLION_LIBRARY": str(library)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "recovered 20 chats with 600 messages" in done.stdout
    assert "secret 64" in done.stdout
