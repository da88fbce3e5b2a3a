"""Copies of a library's databases, all as they were at one moment, while other processes write to them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from ingest import schema
from ingest.errors import LibraryMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

WAIT_SECONDS = 30

FILES = "SELECT id FROM papers UNION SELECT paper_id FROM ledger WHERE state <> 'failed' ORDER BY 1"
"""The ids of all papers and of all files in the ledger of a catalogue, wherever it is."""


def take(files: Sequence[Path], folder: Path) -> list[Path]:
    """Copy those of the SQLite databases that are there into `folder`; returns the copies, each one whole file.

    A reading transaction in each database is begun first, which in WAL mode holds up no writer. Then each is copied
    with SQLite's backup API from within its transaction.

    Raises:
        LibraryMismatchError: a database is damaged.
        sqlite3.Error, OSError: one cannot be read, or a copy cannot be written.
    """
    with ExitStack() as stack:
        begun = []
        for file in files:
            if file.exists() and file.stat().st_size:
                db = stack.enter_context(closing(_reading(file)))
                db.execute("BEGIN")
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only a statement begins to read
                begun.append((db, folder / file.name))
        for db, target in begun:
            with closing(sqlite3.connect(target)) as copy:
                db.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
        for _, target in begun:
            _check(target)
        return [target for _, target in begun]


def files_of(catalogue: Path) -> list[str]:
    """The ids of all papers and of all files in the ledger of a `library.db`: each has, or had, a PDF in `papers/`."""
    with closing(_reading(catalogue)) as db:
        return [row[0] for row in db.execute(FILES)]


def counts(catalogue: Path) -> tuple[int, int]:
    """How many papers a `library.db` has, and how many files that are still being added."""
    with closing(_reading(catalogue)) as db:
        papers = db.execute("SELECT count(*) FROM papers WHERE finished_at IS NOT NULL").fetchone()[0]
        states = "('queued', 'parsing', 'embedding')"
        adding = db.execute(f"SELECT count(*) FROM ledger WHERE state IN {states}").fetchone()[0]  # noqa: S608 constant
    return int(papers), int(adding)


def rows(database: Path, table: str) -> int:
    """How many rows a table of a database has."""
    with closing(_reading(database)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 a name of ours


def forget(catalogue: Path, ids: Iterable[str]) -> None:
    """Leave nothing in the copy of a `library.db` of papers that were removed after it was made."""
    gone = list(ids)
    with closing(sqlite3.connect(catalogue)) as db, db:
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA secure_delete=ON")
        schema.erase(db, gone)
        db.execute("DELETE FROM ledger WHERE paper_id IN (SELECT value FROM json_each(?))", (json.dumps(gone),))
        db.execute("INSERT INTO words(words) VALUES ('optimize')")  # until it is merged, FTS5 only hides a word


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=WAIT_SECONDS, isolation_level=None)


def _check(copy: Path) -> None:
    with closing(_reading(copy)) as db:
        try:
            intact = db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError:
            intact = False
    if not intact:
        raise LibraryMismatchError(
            f"{copy.name} is damaged, so no backup was made.", "`python -m rag doctor` says what to do."
        )
