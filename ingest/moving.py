"""Move the catalogue between `library.db` and Postgres: copy, compare table by table, and only then drop the old one.

The copy is made whole before it counts: in Postgres in one transaction, as a file under another name. So a move that
was interrupted has either not happened or is complete but for its last step, which the next one does after comparing
again. PDFs and everything else stay where they are; the index of words is made anew.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal

from ingest import files, schema, snapshot, tie
from ingest.errors import LibraryBusyError, UserFacingError
from ingest.folder import MOVED
from ingest.kept import Kept
from ingest.postgres_database import TABLES, PostgresDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ingest.connection import Connection
    from ingest.postgres import Address

WAIT = 5.0
"""Seconds that a file is waited for which another program has open."""
BATCH = 200
"""Rows that are sent together."""
FILE, FRESH = "library.db", "library.moving.db"

KEYS = {"facts": "name", "pages": "paper_id, number", "chunks": "row", "ledger": "paper_id", "tags": "paper_id, tag"}
"""What orders a table, where it is not `id`."""


_NEXT_ROW = "SELECT setval(pg_get_serial_sequence('chunks', 'row'), coalesce(max(row), 1)) FROM chunks"
"""The next chunk comes after those that are there."""


class MoveError(UserFacingError):
    """The catalogue cannot be moved; it is where it was."""

    status = 409


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move has done."""

    rows: dict[str, int]
    """How many of each table are in the target now; their contents were compared."""
    aside: Path | None
    """Where the file is now that had them; None if Postgres had them."""


def move(place: Path, address: Address, *, to: Literal["postgres", "sqlite"], tell: Callable[[str], None]) -> Moved:
    """Move the catalogue of the library in this folder.

    Raises:
        UserFacingError: it cannot be moved; the text says why. Nothing is lost.
    """
    if not place.is_dir():
        raise MoveError(f"There is no library in {place}.", "Set SCHOLION_LIBRARY to the folder of yours.")
    database = PostgresDatabase(address, place)
    try:
        try:
            database.owner.acquire(timeout=0)
        except TimeoutError:
            raise LibraryBusyError(
                "Scholion is using this library, so nothing was moved.", "Close it, and move the library again."
            ) from None
        database.make_tables()
        if to == "sqlite":
            tie.check(database.connection(), place, address.words)
        return (
            _to_postgres(place, database, address.words, tell) if to == "postgres" else _to_file(place, database, tell)
        )
    finally:
        database.owner.release()
        database.close()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A catalogue in Postgres, for a backup; nothing is changed or held up."""

    address: Address
    place: Path
    """The library's folder."""

    def copy_to(self, file: Path) -> None:
        """Write all of it to a new `library.db`, as it is at one moment.

        Raises:
            UserFacingError: the database cannot be read.
        """
        database = PostgresDatabase(self.address, self.place)
        try:
            with database.as_of_one_moment() as source:
                tie.check(source, self.place, self.address.words)
                _write(source, file, lambda _: None)
        finally:
            database.close()

    def files(self) -> list[str]:
        """The ids of all papers and files that it has now; see `snapshot.files_of`."""
        database = PostgresDatabase(self.address, self.place)
        try:
            return [row[0] for row in database.connection().execute(snapshot.FILES)]
        finally:
            database.close()


def _to_postgres(place: Path, database: PostgresDatabase, words: str, tell: Callable[[str], None]) -> Moved:
    file, target = place / FILE, database.connection()
    if not file.exists() or not file.stat().st_size:
        raise MoveError(f"There is no {FILE} in {place}, so there is nothing to move.")
    with closing(sqlite3.connect(file, timeout=WAIT)) as source:
        _in_one_file(source)  # before anything is copied: it is refused while another program has the file open
        with source:
            _upgrade(source, file)
        occupied = target.execute("SELECT EXISTS (SELECT 1 FROM papers) OR EXISTS (SELECT 1 FROM ledger)").fetchone()[0]
        if not occupied:
            _name(place, source, target, words)
        source.execute("BEGIN IMMEDIATE")  # what is compared is what was copied, whoever else has the file open
        ours = digests(source)
        if digests(target) != ours:
            if occupied:
                raise _occupied(source, target)
            with target:
                for table in reversed(TABLES):
                    target.execute(f"DELETE FROM {table}")  # noqa: S608 our names
                _copy(source, target, tell)
                database.words(Kept(database.connection, database.version)).fill()
                target.execute(_NEXT_ROW)
                _check(ours, digests(target))
                target.execute(
                    f"ANALYZE {', '.join(TABLES)}, words"
                )  # until then, Postgres knows nothing of what is in its tables
        source.rollback()
        _in_one_file(source)
    aside = place / MOVED.format(f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
    files.put_in_place(file, aside)
    return Moved({table: n for table, (n, _) in ours.items()}, aside)


def _in_one_file(source: sqlite3.Connection) -> None:
    """Without a log beside it."""
    try:
        source.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise MoveError(
            f"Another program has {FILE} open, so the move was not finished.",
            "Close that program, and move the library again.",
        ) from None


def _occupied(source: Connection, target: Connection) -> MoveError:
    if tie.there(source) is not None and tie.there(source) == tie.there(target):
        return MoveError(
            f"An earlier move of this library was not finished, and {FILE} has changed since, so nothing was moved.",
            "If it has all your papers, create an empty database, name that in SCHOLION_CATALOGUE, and move again.",
        )
    return MoveError(
        "The database has another library already, so nothing was moved.",
        "Name an empty database in SCHOLION_CATALOGUE.",
    )


def _name(place: Path, source: Connection, target: Connection, words: str) -> None:
    """Give `library.db` the id that its folder and the database will keep."""
    with source:
        source.execute(tie.ADD, (tie.here(place) or token_hex(16),))
    ours, theirs = tie.there(source), tie.there(target)
    assert ours
    if theirs not in (None, ours):
        raise MoveError(
            f"The database at {words} belongs to another library, so nothing was moved.",
            "Name an empty database in SCHOLION_CATALOGUE.",
        )
    tie.write(place, ours)


def _to_file(place: Path, database: PostgresDatabase, tell: Callable[[str], None]) -> Moved:
    file, fresh = place / FILE, place / FRESH
    source = database.connection()
    with source:
        # whoever else would write waits, and what is removed is what was compared
        source.execute(f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE")
        ours = digests(source)
        if file.exists() and file.stat().st_size and _has_rows(file):
            with closing(sqlite3.connect(file, timeout=WAIT)) as target:
                theirs = digests(target)
            if theirs != ours:
                raise MoveError(
                    f"{file} has another library already, so nothing was moved.",
                    "Put that file elsewhere, and move the library again.",
                )
        else:
            if not ours["papers"][0] and not ours["ledger"][0]:
                raise MoveError("The database has no papers, so there is nothing to move.")
            fresh.unlink(missing_ok=True)
            _check(ours, _write(source, fresh, tell))
            for end in ("-wal", "-shm", "-journal"):
                file.with_name(file.name + end).unlink(missing_ok=True)
            files.put_in_place(fresh, file)
        source.execute(f"TRUNCATE {', '.join(TABLES)}, words")
    return Moved({table: n for table, (n, _) in ours.items()}, None)


def _has_rows(file: Path) -> bool:
    return bool(snapshot.files_of(file))


def _write(source: Connection, file: Path, tell: Callable[[str], None]) -> dict[str, tuple[int, str]]:
    """A new file with everything of the source; returns what is in it."""
    with closing(sqlite3.connect(file, timeout=WAIT)) as target:
        with target:
            schema.brought_up_to_date(target)
            _copy(source, target, tell)
        return digests(target)


def _upgrade(db: sqlite3.Connection, file: Path) -> None:
    db.execute("PRAGMA foreign_keys=ON")
    if not schema.brought_up_to_date(db):
        raise MoveError(f"{file} was written by a newer version of Scholion.", "Update Scholion, and move it then.")


def _copy(source: Connection, target: Connection, tell: Callable[[str], None]) -> None:
    for table in TABLES:
        names, n = _columns(table), 0
        places = ", ".join("?" * len(names))
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 our names
        for rows in _batches(source, table, names):
            target.executemany(insert, rows)
            n += len(rows)
            if n % (BATCH * 25) == 0:
                tell(f"{table}: {n:,} rows …")


def digests(db: Connection) -> dict[str, tuple[int, str]]:
    """For each table the number of its rows, and a hash of all of them in order."""
    found = {}
    for table in TABLES:
        n, digest = 0, hashlib.sha256()
        for rows in _batches(db, table, _columns(table)):
            for row in rows:
                digest.update(json.dumps([_plain(value) for value in row]).encode())
            n += len(rows)
        found[table] = (n, digest.hexdigest())
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


@cache
def _columns(table: str) -> list[str]:
    """The columns of a table, quoted, in an order that both databases have."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(schema.TABLES + schema.steps_after(schema.FIRST))
        return [f'"{row[1]}"' for row in db.execute(f"PRAGMA table_info({table})")]


def _batches(db: Connection, table: str, names: list[str]) -> Iterator[list[Any]]:
    """The rows of a table in order, some at a time, each batch beginning after the last."""
    key = KEYS.get(table, "id")
    width = key.count(",") + 1
    columns = f"{', '.join(names)}, {key}"
    after: Any = ()
    while True:
        beyond = f"WHERE ({key}) > ({', '.join('?' * width)})" if after else ""
        query = f"SELECT {columns} FROM {table} {beyond} ORDER BY {key} LIMIT {BATCH}"  # noqa: S608 our names
        rows = db.execute(query, after).fetchall()
        if not rows:
            return
        yield [row[:-width] for row in rows]
        after = tuple(rows[-1][-width:])


def _check(ours: dict[str, tuple[int, str]], theirs: dict[str, tuple[int, str]]) -> None:
    for table in TABLES:
        if ours[table] != theirs[table]:
            raise MoveError(
                f"The copy differs from the original ({table}: {ours[table][0]} and {theirs[table][0]} rows), "
                "so nothing was removed.",
                "See that nothing else uses them, and move the library again.",
            )
