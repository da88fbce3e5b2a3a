"""Move all chats from `chats.db` to Postgres or back: copy, compare row by row, and only then remove the originals.

Copying makes the target equal to the source, so a move that was interrupted is completed by running it again. On the
way to Postgres a table `moving_chats` says that the copy is not complete; on the way back the copy has another name.
Attached files stay in the library's folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ingest import postgres
from ingest.errors import UserFacingError
from ingest.files import put_in_place
from ui.chats.postgres import MOVING, prepare
from ui.chats.salvage import TABLES, columns, salvage, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ingest.postgres import Address

BATCH = 200
"""Rows that are sent together."""
FILE, FRESH = "chats.db", "chats.moving.db"

_CHATS = ("threads", "steps", "elements", "feedbacks")
_COLUMNS = columns()


class MoveError(UserFacingError):
    """The chats cannot be moved; they are where they were."""

    status = 409


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move has done."""

    rows: dict[str, int]
    """How many of each table are in the target now, equal to the source."""
    sent: int
    """Rows that were not there yet, or differed; the others were there from an interrupted move."""
    aside: Path | None
    """Where the file is now that had the chats; None if Postgres had them."""


def move(folder: Path, address: Address, *, to: Literal["postgres", "sqlite"], tell: Callable[[str], None]) -> Moved:
    """Move the chats; the caller owns the library, and no Scholion writes to the database.

    Raises:
        UserFacingError: they cannot be moved; the text says why. Nothing is lost.
    """
    try:
        return asyncio.run(_to_postgres(folder, address, tell) if to == "postgres" else _to_file(folder, address, tell))
    except (UserFacingError, sqlite3.Error):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:  # a file of ours, not the connection
            raise
        raise postgres.in_words(error, address) from None


def left_behind(folder: Path, address: Address) -> int:
    """How many chats `chats.db` has while Postgres has none: they were not moved.

    Raises:
        UserFacingError: the database cannot be read.
    """
    file = folder / FILE
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            chats = int(db.execute("SELECT count(*) FROM threads").fetchone()[0])
    except sqlite3.Error:  # it is no longer used, so it does not keep Scholion from starting
        return 0
    return chats if chats and not asyncio.run(_count(address)) else 0


def copy_to_file(address: Address, file: Path) -> None:
    """Write all chats of the database to a new file, as they are at one moment; nothing is changed or held up.

    Raises:
        UserFacingError: the database cannot be read.
    """
    try:
        asyncio.run(_copy_to_file(address, file))
    except (UserFacingError, sqlite3.Error):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        raise postgres.in_words(error, address) from None


async def _copy_to_file(address: Address, file: Path) -> None:
    await prepare(address)
    connection = await postgres.connect(address)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            with closing(sqlite3.connect(file)) as db:
                db.executescript(schema())
                await _copy(_DatabaseTable(connection), _FileTable(db), lambda _: None)
                db.execute("PRAGMA journal_mode=DELETE")
    finally:
        await connection.close()


async def _to_postgres(folder: Path, address: Address, tell: Callable[[str], None]) -> Moved:
    file = folder / FILE
    if (damaged := salvage(file)) is not None:
        tell(f"{FILE} was damaged. What could be read is moved; the damaged file is {damaged.aside.name}.")
    await prepare(address, connect=lambda: postgres.connect(address))
    connection = await postgres.connect(address)
    try:
        begun = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", MOVING)
        compared = begun and await connection.fetchval(f"SELECT bool_or(compared) FROM {MOVING}")  # noqa: S608 - ours
        if not file.exists():
            if compared:  # it was interrupted after the file was put aside
                counts = {table: await _count(address, table) for table in TABLES}
                await connection.execute(f"DROP TABLE {MOVING}")
                return Moved(counts, 0, None)
            raise MoveError(f"There is no {FILE} in {folder}, so there are no chats to move.")
        if not begun:
            await _refuse_full(connection, address)
            async with connection.transaction():
                await connection.execute("DELETE FROM users")  # a start without chats has written one
                await connection.execute(f"CREATE TABLE {MOVING} (compared boolean NOT NULL)")
        with closing(sqlite3.connect(file, timeout=5)) as db:
            if compared:  # what Postgres has is whole; this file may be another, made since
                sent, rows = 0, await _same(db, connection, file)
            else:
                sent = await _copy(_FileTable(db), _DatabaseTable(connection), tell)
                rows = await _compare(_FileTable(db), _DatabaseTable(connection))
            await connection.execute(f"INSERT INTO {MOVING} VALUES (true)")  # noqa: S608 - ours
            db.execute("PRAGMA journal_mode=DELETE")  # the whole of it is in one file
        aside = folder / f"chats.moved-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
        put_in_place(file, aside)
        await connection.execute(f"DROP TABLE {MOVING}")
    finally:
        await connection.close()
    return Moved(rows, sent, aside)


async def _same(db: sqlite3.Connection, connection: Any, file: Path) -> dict[str, int]:
    try:
        return await _compare(_FileTable(db), _DatabaseTable(connection))
    except MoveError:
        raise MoveError(
            f"The chats were moved before, and {file} has other ones now, so nothing was changed.",
            "Put that file elsewhere to keep its chats, and move again to complete the first move.",
        ) from None


async def _to_file(folder: Path, address: Address, tell: Callable[[str], None]) -> Moved:
    file, fresh = folder / FILE, folder / FRESH
    await prepare(address)
    connection = await postgres.connect(address)
    try:
        async with connection.transaction():
            # whoever else would write waits, and what is removed is what was compared
            await connection.execute(f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE")
            source = _DatabaseTable(connection)
            if _has_chats(file):
                with closing(sqlite3.connect(file, timeout=5)) as db:
                    try:  # it was interrupted before Postgres was emptied
                        rows, sent = await _compare(source, _FileTable(db)), 0
                    except MoveError:
                        raise MoveError(
                            f"{file} has chats already, so nothing was moved.",
                            "Move that file away, or move its chats to another database first.",
                        ) from None
            else:
                if not any([await _count(address, table) for table in _CHATS]):
                    raise MoveError(f"There are no chats in Postgres at {address.words}, so there is nothing to move.")
                with closing(sqlite3.connect(fresh)) as db:
                    db.executescript(schema())
                    sent = await _copy(source, _FileTable(db), tell)
                    rows = await _compare(source, _FileTable(db))
                    db.commit()
                for end in ("-wal", "-shm"):  # of the empty file that is replaced
                    file.with_name(file.name + end).unlink(missing_ok=True)
                put_in_place(fresh, file)
            await connection.execute(f"TRUNCATE {', '.join(TABLES)}")
    finally:
        await connection.close()
    return Moved(rows, sent, None)


class _FileTable:
    """The rows of `chats.db`, or of a fresh file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def read(self, table: str, after: str) -> list[dict[str, Any]]:
        names = ", ".join(f'"{name}"' for name in _COLUMNS[table])
        query = f'SELECT {names} FROM {table} WHERE "id" > ? ORDER BY "id" LIMIT {BATCH}'  # noqa: S608 - our names
        return [
            _plain(table, dict(zip(_COLUMNS[table], row, strict=True))) for row in self._db.execute(query, (after,))
        ]

    async def write(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        names = ", ".join(f'"{name}"' for name in _COLUMNS[table])
        places = ", ".join("?" * len(_COLUMNS[table]))
        query = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - our names
        self._db.executemany(query, [list(row.values()) for row in rows])
        self._db.commit()

    async def remove(self, table: str, ids: list[str]) -> None:
        self._db.executemany(f'DELETE FROM {table} WHERE "id" = ?', [(name,) for name in ids])  # noqa: S608 - our names
        self._db.commit()


class _DatabaseTable:
    """The rows of the Postgres database."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def read(self, table: str, after: str) -> list[dict[str, Any]]:
        names = ", ".join(f'"{name}"' for name in _COLUMNS[table])
        query = f'SELECT {names} FROM {table} WHERE "id" > $1 ORDER BY "id" LIMIT {BATCH}'  # noqa: S608 - our names
        return [_plain(table, dict(row)) for row in await self._connection.fetch(query, after)]

    async def write(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        names = ", ".join(f'"{name}"' for name in _COLUMNS[table])
        places = ", ".join(f"${n}" for n in range(1, len(_COLUMNS[table]) + 1))
        changes = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in _COLUMNS[table] if name != "id")
        query = (
            f"INSERT INTO {table} ({names}) VALUES ({places}) "  # noqa: S608 - our names
            f'ON CONFLICT ("id") DO UPDATE SET {changes}'
        )
        await self._connection.executemany(query, [list(row.values()) for row in rows])  # all of them or none

    async def remove(self, table: str, ids: list[str]) -> None:
        await self._connection.execute(f'DELETE FROM {table} WHERE "id" = ANY($1)', ids)  # noqa: S608 - our names


_Table = _FileTable | _DatabaseTable


async def _copy(source: _Table, target: _Table, tell: Callable[[str], None]) -> int:
    """Make the target equal to the source; returns how many rows had to be sent."""
    sent = 0
    for table in TABLES:
        there = {name: digest async for name, digest in _digests(target, table)}
        seen: set[str] = set()
        after, told = "", 0
        while rows := await source.read(table, after):
            after = rows[-1]["id"]
            seen.update(row["id"] for row in rows)
            if new := [row for row in rows if there.get(row["id"]) != _digest(row)]:
                await target.write(table, new)
                sent += len(new)
            if len(seen) >= told + 5_000:
                told = len(seen)
                tell(f"{table}: {told:,} rows …")
        if gone := [name for name in there if name not in seen]:  # deleted since an interrupted move
            await target.remove(table, gone)
    return sent


async def _compare(source: _Table, target: _Table) -> dict[str, int]:
    """The number of rows of each table.

    Raises:
        MoveError: a row of one side is not on the other, or differs.
    """
    counts = {}
    for table in TABLES:
        ours = {name: digest async for name, digest in _digests(source, table)}
        theirs = {name: digest async for name, digest in _digests(target, table)}
        if ours != theirs:
            differing = len({*ours.items()} ^ {*theirs.items()})
            raise MoveError(
                f"The copied chats differ from the originals ({table}: {differing} rows), so nothing was removed.",
                "See that nothing else uses them, and move them again.",
            )
        counts[table] = len(ours)
    return counts


async def _digests(table: _Table, name: str) -> Any:
    after = ""
    while rows := await table.read(name, after):
        after = rows[-1]["id"]
        for row in rows:
            yield row["id"], _digest(row)


def _digest(row: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest()


def _plain(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row with the types of its columns: SQLite has no truth values, and Postgres no NUL."""
    return {name: _typed(_COLUMNS[table][name], value) for name, value in row.items()}


def _typed(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "BOOLEAN":
        return bool(value)
    if kind == "INTEGER":
        return int(value)
    return str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")


def _has_chats(file: Path) -> bool:
    if not file.exists():
        return False
    with closing(sqlite3.connect(file, timeout=5)) as db:
        db.executescript(schema())
        return any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in _CHATS)  # noqa: S608 - our names


async def _refuse_full(connection: Any, address: Address) -> None:
    for table in _CHATS:
        if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table})"):  # noqa: S608 - our names
            raise MoveError(
                f"The database at {address.words} has chats already, so nothing was moved.",
                "Name an empty database in SCHOLION_CHATS.",
            )


async def _count(address: Address, table: str = "threads") -> int:
    try:
        connection = await postgres.connect(address)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - our names
        finally:
            await connection.close()
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        raise postgres.in_words(error, address) from None
