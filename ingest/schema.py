"""The tables of the catalogue, and how those of an older Scholion are upgraded."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from ingest import ledger, tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ingest.connection import Connection

STEPS: dict[int, str] = {}
"""What leads to each version after 6, by its number: statements that SQLite and Postgres both understand."""

FIRST = 6
"""The version from which on both databases go the same steps."""

VERSION = max(STEPS, default=FIRST)

TOKENIZE = "porter unicode61 remove_diacritics 2"
"""How FTS5 splits text into words."""

RANK = "bm25(1.0, 2.0)"
"""A word of the section's heading counts as two in the text: on QASPER train better than one or none (docs/log.md)."""

SET_FACT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS papers (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, authors TEXT NOT NULL, year INTEGER, doi TEXT,
    arxiv_id TEXT, abstract TEXT, n_pages INTEGER NOT NULL, file_name TEXT NOT NULL,
    report TEXT, refs TEXT, isbn TEXT, families TEXT, page_labels TEXT, retracted INTEGER,
    corrected TEXT, annotations TEXT, publication TEXT, added_at TEXT NOT NULL, finished_at TEXT);
CREATE TABLE IF NOT EXISTS pages (
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (paper_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    text TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    first_page INTEGER NOT NULL, last_page INTEGER NOT NULL, section TEXT, n_tokens INTEGER NOT NULL,
    vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rebuilt (
    id TEXT PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE, embedder TEXT NOT NULL, vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_of_paper ON chunks(paper_id, ordinal);
CREATE INDEX IF NOT EXISTS unfinished ON papers(id) WHERE finished_at IS NULL;
"""

_WORDS = f"""
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    text, section, content='chunks', content_rowid='row', tokenize='{TOKENIZE}');
INSERT INTO words(words, rank) VALUES ('rank', '{RANK}');
CREATE TRIGGER IF NOT EXISTS chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO words(rowid, text, section) VALUES (new.row, new.text, new.section); END;
CREATE TRIGGER IF NOT EXISTS chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO words(words, rowid, text, section) VALUES ('delete', old.row, old.text, old.section); END;
"""  # noqa: S608 constant text

TABLES = _TABLES + ledger.SCHEMA + tags.SCHEMA
"""All tables but that of the words, which each database indexes in its own way."""

_ADDED = {
    "arxiv_id": "TEXT", "abstract": "TEXT", "report": "TEXT", "refs": "TEXT",
    "isbn": "TEXT", "families": "TEXT", "page_labels": "TEXT", "retracted": "INTEGER",
    "corrected": "TEXT", "annotations": "TEXT", "publication": "TEXT",
}  # fmt: skip
"""The columns of `papers` that came after version 1. Version 4 had `isbn` to `retracted` or some of them: which, only
the table itself says. Version 6 brought the last three, or some of them."""

_FROM_2_TO_3 = """
DROP TRIGGER chunk_added;
DROP TRIGGER chunk_removed;
DROP TABLE words;
"""

_WORDS_AGAIN = "INSERT INTO words(words) VALUES ('rebuild');"

UNFINISHED = "(SELECT id FROM papers WHERE finished_at IS NULL)"
"""Nearly always empty, which an index knows: cheaper than reading the row of each chunk's paper."""


def brought_up_to_date(db: sqlite3.Connection) -> bool:
    """Upgrade the tables to the current version in one transaction; False if a newer Scholion has written them."""
    version = _version(db)
    if version > VERSION:
        return False
    if version < VERSION or _missing_columns(db):
        db.execute("BEGIN IMMEDIATE")
        version = _version(db)  # check again: another process may have been faster
        older = _missing_columns(db) + (_FROM_2_TO_3 if version in (1, 2) else "")
        newer = _WORDS_AGAIN if version in (1, 2) else ""
        for statement in statements(older + TABLES + _WORDS + newer + steps_after(version)):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={VERSION}")
    return True


def steps_after(version: int) -> str:
    """The statements that lead from a version, at least 6, to the current one."""
    return "".join(script for number, script in sorted(STEPS.items()) if number > version)


def of_zotero(paper_id: str) -> str:
    """The name of the fact that keeps what Zotero said of a paper."""
    return f"zotero {paper_id}"


def beside(paper_id: str) -> str:
    """The name of the fact that keeps what lay beside a file."""
    return f"beside {paper_id}"


def erase(db: Connection, ids: Iterable[str]) -> None:
    """Remove what the tables have of these papers, but for their rows in the ledger."""
    papers = list(ids)
    facts = [fact for name in papers for fact in (of_zotero(name), beside(name))]
    for table, column, gone in (("chunks", "paper_id", papers), ("papers", "id", papers), ("facts", "name", facts)):
        wanted = json.dumps(gone)
        db.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", (wanted,))  # noqa: S608 constant names


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _missing_columns(db: sqlite3.Connection) -> str:
    """Statements that add the columns missing from an older `papers`; empty if there is no such table yet."""
    there = {row[1] for row in db.execute("PRAGMA table_info(papers)")}
    missing = {name: kind for name, kind in _ADDED.items() if there and name not in there}
    return "".join(f"ALTER TABLE papers ADD COLUMN {name} {kind};\n" for name, kind in missing.items())


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one, because `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
