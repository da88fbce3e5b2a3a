"""Repair a damaged `chats.db` at startup: put it aside, and copy what is still readable to a fresh file.

SQLite stores a table's rows in pages by row id. After an unreadable page, reading continues at later ids, so only the
rows of damaged pages are lost. If the first page is lost, which says where each table starts, the one of a fresh file
replaces it, because our tables are always created in the same order.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ingest.files import put_in_place, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = ("users", "threads", "steps", "elements", "feedbacks")
_WAL, _SHM = "-wal", "-shm"
_STEPS = 300
"""Row ids tried one by one after an unreadable page; then the stride doubles."""
_PAGE = 4096
_LAST = 2**40
"""Row ids count up from 1."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What happened to a damaged file."""

    aside: Path
    """Its new path."""
    chats: int
    messages: int


def salvage(file: Path) -> Salvaged | None:
    """Replace a damaged chat history by a fresh file with all readable rows, and keep it aside; None if it is intact.

    Raises:
        sqlite3.Error, OSError: it cannot be opened or written, which says nothing about its contents.
    """
    if not file.exists() or _is_whole(file):
        return None
    aside = _put_aside(file)
    with TemporaryDirectory(dir=file.parent, prefix=".chats.") as folder:
        fresh = Path(folder) / "chats.db"
        with closing(sqlite3.connect(fresh)) as target:
            target.executescript(schema())
            first_page = fresh.read_bytes()[:_PAGE]
            found = _copied(aside, target)
            if not found["steps"]:
                second = Path(folder) / "again.db"
                shutil.copyfile(aside, second)
                with second.open("r+b") as again:
                    again.write(first_page[:28] + bytes(4) + first_page[32:])  # 0 pages: take the count from the file
                found = _copied(second, target)
            _complete(target)
            target.commit()
            chats = target.execute("SELECT count(*) FROM threads").fetchone()[0]
            target.execute("PRAGMA journal_mode=DELETE")
        # delete the old log first, or SQLite would apply it to the fresh file
        for end in (_WAL, _SHM):
            file.with_name(file.name + end).unlink(missing_ok=True)
        aside.with_name(aside.name + _SHM).unlink(missing_ok=True)
        put_in_place(fresh, file)
    return Salvaged(aside=aside, chats=chats, messages=found["steps"])


def schema() -> str:
    """The schema of the chat history."""
    return resources.files("ui.chats").joinpath("schema.sql").read_text(encoding="utf-8")


def columns() -> dict[str, dict[str, str]]:
    """The tables of the chat history, and the names and types of their columns."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(schema())
        return {table: {row[1]: row[2] for row in db.execute(f"PRAGMA table_info({table})")} for table in TABLES}


def _is_whole(file: Path) -> bool:
    try:
        with closing(_read_only(file)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if (error.sqlite_errorcode & 0xFF) not in _DAMAGED:
            raise
        return False


def _put_aside(file: Path) -> Path:
    """Copy the damaged file and its log to a name that says so; on disk before anything is deleted."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.stem}.damaged-{now}{file.suffix}")
    for end in ("", _WAL):
        source, target = file.with_name(file.name + end), aside.with_name(aside.name + end)
        if source.exists():
            part = target.with_name(target.name + ".part")
            shutil.copy2(source, part)
            put_in_place(part, target)
    sync_folder(file.parent)
    return aside


def _read_only(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    db.execute("PRAGMA cell_size_check=ON")
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def _copied(source: Path, target: sqlite3.Connection) -> Counter[str]:
    """Copy the readable rows of each table; returns the number of rows per table."""
    found: Counter[str] = Counter()
    with closing(_read_only(source)) as db:
        for table in TABLES:
            ours = {row[1] for row in target.execute(f"PRAGMA table_info({table})")}
            for row in _rows(db, table):
                kept = {name: value for name, value in row.items() if name in ours}
                names = ", ".join(f'"{name}"' for name in kept)
                places = ", ".join("?" * len(kept))
                with suppress(sqlite3.Error):  # a row from a damaged page lacks required columns
                    found[table] += target.execute(
                        f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})",  # noqa: S608 our own names
                        list(kept.values()),
                    ).rowcount
    return found


def _rows(db: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """All readable rows, whatever lies between them."""
    select = f"SELECT rowid AS row, * FROM {table} NOT INDEXED WHERE rowid"  # noqa: S608 a constant name
    seen: set[int] = set()
    at, missed = 0, 0
    while at < _LAST:
        rows, whole = _until_damage(db, f"{select} > ? ORDER BY rowid", at, seen)
        if rows or whole:  # go back over what a longer stride skipped
            rows += _until_damage(db, f"{select} <= ? ORDER BY rowid DESC", at, seen)[0]
        yield from rows
        if whole:
            return
        at, missed = (max(seen), 0) if rows else (at + 2 ** max(0, missed - _STEPS), missed + 1)


def _until_damage(db: sqlite3.Connection, query: str, at: int, seen: set[int]) -> tuple[list[dict[str, Any]], bool]:
    """The rows of a query up to the first unreadable or known one, and whether all could be read."""
    rows: list[dict[str, Any]] = []
    try:
        cursor = db.execute(query, (at,))
        names = [column[0] for column in cursor.description]
        for values in cursor:
            row = dict(zip(names, values, strict=True))
            if row["row"] in seen:
                break
            seen.add(row["row"])
            rows.append(row)
    except sqlite3.DatabaseError:
        return rows, False
    return rows, True


def _complete(db: sqlite3.Connection) -> None:
    """Give messages whose chat is lost a chat, and assign all chats to the only user."""
    known = db.execute("SELECT id FROM users WHERE identifier = 'local'").fetchone()
    known = (
        known
        or db.execute(
            'SELECT "userId" FROM threads WHERE "userId" IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC'
        ).fetchone()
    )
    user, now = known[0] if known else str(uuid4()), datetime.now(UTC).isoformat()
    db.execute("DELETE FROM users")  # its other columns may be damaged
    db.execute("INSERT INTO users VALUES (?, 'local', '{}', ?)", (user, now))
    db.execute(
        'INSERT OR IGNORE INTO threads ("id", "createdAt", "name") SELECT s."threadId", min(s."createdAt"), '
        'coalesce((SELECT substr(q."output", 1, 80) FROM steps q WHERE q."threadId" = s."threadId" '
        "AND q.\"type\" = 'user_message' ORDER BY q.\"createdAt\" LIMIT 1), 'Recovered chat') "
        'FROM steps s GROUP BY s."threadId"'
    )
    db.execute('UPDATE threads SET "userId" = ?, "userIdentifier" = \'local\'', (user,))
