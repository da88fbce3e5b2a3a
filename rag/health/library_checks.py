"""Checks of the library: folder, catalogue, papers, chats, errors, privacy log, backup. Nothing here is changed.

The databases are opened for reading only, never through `Library`, which would make folders and update tables.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from ingest import embedder_from, postgres, tie
from ingest.folder import MOVED
from ingest.schema import VERSION
from ingest.trouble import REBUILD
from rag.health import faults
from rag.health.report import Check, Line
from rag.models.machine import in_words
from rag.privacy.audit import AuditLog
from rag.privacy.policy import load_policy
from rag.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ingest.postgres import Address

GROUP: Final = "Library"
QUICK_SECONDS: Final = 4.0
"""For SQLite's quick check of one database; a library of a gigabyte takes about as long."""
FIX_ACCESS: Final = "Give yourself write access to that folder, or set SCHOLION_LIBRARY to another folder."
SHOWN_ERRORS: Final = 3
_PAPERS: Final = (
    "SELECT id FROM papers WHERE finished_at IS NOT NULL",
    "SELECT count(*) FROM chunks",
    "SELECT state, count(*) FROM ledger GROUP BY state",
    "SELECT value FROM facts WHERE name = 'embedder'",
)
"""What is asked of a catalogue, here or in Postgres."""
_THERE: Final = "SELECT to_regclass('catalogue') IS NOT NULL"
_VERSION: Final = "SELECT version FROM catalogue"
_IDENTITY: Final = "SELECT value FROM facts WHERE name = 'identity'"
_PENDING: Final = ("queued", "parsing", "embedding", "removing")


def checks(
    folder: Path, *, embedder: str | None, database: Address | None = None, catalogue: Address | None = None
) -> list[Check]:
    """The checks of the library in this folder, which may not exist or may be broken.

    Args:
        folder: the library's.
        embedder: the setting.
        database: the Postgres database with the chats, if there is one.
        catalogue: that with the catalogue.
    """
    return [
        Check("folder", GROUP, "Folder", lambda: folder_line(folder)),
        Check("catalogue", GROUP, "Catalogue", lambda: catalogue_lines(folder, database=catalogue)),
        Check("papers", GROUP, "Papers", lambda: paper_lines(folder, embedder=embedder, database=catalogue)),
        Check("chats", GROUP, "Chats", lambda: database_line(database) if database else chats_line(folder)),
        Check("backup", GROUP, "Backup", lambda: backup_line(folder)),
        Check("privacy log", "Privacy", "Privacy log", lambda: privacy_line(folder)),
        Check("errors", "Errors", "Last errors", lambda: errors_lines(folder)),
    ]


def folder_line(folder: Path) -> Line:
    """Whether the folder is there and can be written."""
    if not folder.exists():
        said = f"{folder} does not exist yet; the first start makes it."
        return Line(about="Folder", state="note", said=said, facts={"there": False})
    here = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    facts = {"there": True, "readable": here, "writable": os.access(folder, os.W_OK)}
    if not here:
        return Line(about="Folder", state="problem", said=f"{folder} cannot be read.", todo=FIX_ACCESS, facts=facts)
    if not facts["writable"]:
        return Line(about="Folder", state="problem", said=f"{folder} is read-only.", todo=FIX_ACCESS, facts=facts)
    return Line(about="Folder", state="ok", said=f"{folder} can be read and written.", facts=facts)


def catalogue_lines(folder: Path, *, database: Address | None = None) -> list[Line]:
    """Whether library.db is intact, as far as SQLite's quick check says, or Postgres answers; and its version."""
    if database is not None:
        return [_of_another(folder, database) or catalogue_line(database), *_moved_lines(folder)]
    file = folder / "library.db"
    pdfs = _n_pdfs(folder)
    if not file.exists() or not file.stat().st_size:
        facts: dict[str, Any] = {"there": file.exists(), "pdfs": pdfs}
        if list(folder.glob(MOVED.format("*"))):
            said = "The catalogue was moved to Postgres, but SCHOLION_CATALOGUE is not set."
            todo = "Set SCHOLION_CATALOGUE to the address of that database (docs/postgres.md)."
            return [Line(about="Catalogue", state="problem", said=said, todo=todo, facts=facts)]
        if pdfs:
            said = f"library.db is {'empty' if file.exists() else 'gone'}, but {counted(pdfs, 'PDF')} are in papers/."
            return [Line(about="Catalogue", state="problem", said=said, todo=REBUILD, facts=facts)]
        return [Line(about="Catalogue", state="note", said="There is no library yet.", facts=facts)]
    intact, version = _looked_at(file, "PRAGMA user_version")
    facts = {"there": True, "intact": intact, "schema": version, "schema_known": VERSION}
    lines = []
    if intact is False or version is None:
        said, todo = "library.db is damaged.", f"Close Scholion. {REBUILD}"
        return [Line(about="Catalogue", state="problem", said=said, todo=todo, facts=facts)]
    if intact:
        said = f"library.db ({_size(file.stat().st_size)}) passes the quick check."
        lines.append(Line(about="Catalogue", state="ok", said=said, facts=facts))
    else:
        size = _size(file.stat().st_size)
        said = f"library.db ({size}) is large: the quick check was stopped after {QUICK_SECONDS:.0f} s."
        todo = "`python -m ingest verify` checks everything; close Scholion first."
        lines.append(Line(about="Catalogue", state="note", said=said, todo=todo, facts=facts))
    if version > VERSION:
        said = f"A newer Scholion wrote this library (version {version}; this one knows {VERSION})."
        lines.append(Line(about="Version", state="problem", said=said, todo="Update Scholion and start it again."))
    elif version < VERSION:
        said = f"The library is of version {version}; the next start makes it version {VERSION}."
        todo = "Copy the library folder first: an older Scholion cannot read the new version."
        lines.append(Line(about="Version", state="note", said=said, todo=todo))
    else:
        lines.append(Line(about="Version", state="ok", said=f"The tables are of version {version}, the current one."))
    return lines


def catalogue_line(address: Address) -> Line:
    """Where the Postgres database with the catalogue is, whether it answers, and which version wrote its tables."""
    facts: dict[str, Any] = {"postgres": True}
    try:
        version = asyncio.run(_fetched(address, _VERSION)) if asyncio.run(_fetched(address, _THERE))[0][0] else []
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        fault = postgres.catalogue_in_words(error, address)
        return Line(about="Catalogue", state="problem", said=fault.message, todo=fault.hint, facts=facts)
    if not version:
        said = f"Postgres at {address.words} has no catalogue yet; the first start makes it."
        return Line(about="Catalogue", state="note", said=said, facts=facts)
    facts |= {"schema": version[0][0], "schema_known": VERSION}
    said = f"Postgres at {address.words} has the catalogue, of version {version[0][0]}."
    return Line(about="Catalogue", state="ok", said=said, facts=facts)


def _of_another(folder: Path, database: Address) -> Line | None:
    """A problem if the database belongs to another folder; None if not, or if it cannot be asked."""
    try:
        found, known = (asyncio.run(_fetched(database, query)) for query in (_IDENTITY, tie.KNOWN))
    except Exception:  # noqa: BLE001 - the line about the catalogue says what is wrong
        return None
    if tie.fits(folder, found[0][0] if found else None, {row[0] for row in known}):
        return None
    said = tie.stranger(folder, database.words)
    return Line(about="Catalogue", state="problem", said=said.message, todo=said.hint, facts={"postgres": True})


def _moved_lines(folder: Path) -> list[Line]:
    """The files that moves to Postgres have left: papers that are removed later stay in them."""
    lines = []
    for name in sorted(path.name for path in folder.glob(MOVED.format("*"))):
        said = f"{name} still has all papers as they were when the catalogue was moved, also those removed since."
        lines.append(Line(about="Old catalogue", state="note", said=said, todo="Delete it if all is well."))
    return lines


def paper_lines(folder: Path, *, embedder: str | None, database: Address | None = None) -> list[Line]:
    """How many papers and chunks there are, what is unfinished or failed, and whether PDFs and embedder fit."""
    file = folder / "library.db"
    if database is not None:
        try:
            found = [asyncio.run(_fetched(database, query)) for query in _PAPERS]
        except Exception as error:  # noqa: BLE001 - the line about the catalogue says what is wrong
            return [Line(about="Papers", state="note", said=postgres.catalogue_in_words(error, database).message)]
    elif not file.exists() or not file.stat().st_size:
        return [Line(about="Papers", state="note", said="There are no papers yet.", facts={"papers": 0})]
    else:
        with closing(read_only(file)) as db:
            no_ledger = not _has(db, "ledger")
            found = [[] if no_ledger and "ledger" in query else db.execute(query).fetchall() for query in _PAPERS]
    ids, chunks, states = [row[0] for row in found[0]], int(found[1][0][0]), dict(found[2])
    fact = found[3][0] if found[3] else None
    pending, failed = sum(states.get(state, 0) for state in _PENDING), states.get("failed", 0)
    missing = sum(not (folder / "papers" / f"{name}.pdf").is_file() for name in ids)
    facts = {"papers": len(ids), "chunks": chunks, "pending": pending, "failed": failed, "missing_pdfs": missing}
    said = f"{counted(len(ids), 'paper')} with {counted(chunks, 'passage')}."
    lines = [Line(about="Papers", state="ok", said=said, facts=facts)]
    if missing:
        said = f"The PDFs of {counted(missing, 'paper')} are missing in the library folder."
        todo = "Add those files again; `python -m ingest verify` names them."
        lines.append(Line(about="PDFs", state="problem", said=said, todo=todo))
    if pending:
        said = f"{counted(pending, 'file')} not finished yet."
        todo = "If nothing is being added now, `python -m ingest resume` continues."
        lines.append(Line(about="Pending", state="note", said=said, todo=todo))
    if failed:
        said = f"{counted(failed, 'file')} could not be read."
        todo = "`python -m ingest ledger` says why; `python -m ingest resume --failed` tries again."
        lines.append(Line(about="Failed", state="note", said=said, todo=todo))
    if fact and fact[0] != (name := embedder_from(embedder).name):
        said = f"The passages were embedded with {fact[0]}, but {name} is set up, so questions cannot be searched."
        todo = "Set SCHOLION_EMBEDDER as before, or embed everything again with `python -m ingest rebuild`."
        lines.append(Line(about="Embedder", state="problem", said=said, todo=todo, facts={"same_embedder": False}))
    return lines


def chats_line(folder: Path) -> Line:
    """Whether chats.db is intact, and how many chats it has."""
    file = folder / "chats.db"
    if not file.exists() or not file.stat().st_size:
        return Line(about="Chats", state="ok", said="There are no chats yet.", facts={"chats": 0})
    intact, chats = _looked_at(file, "SELECT count(*) FROM threads")
    facts = {"intact": intact, "chats": chats}
    if intact is False or chats is None:
        todo = "Restart Scholion: it keeps the damaged file and moves what can be read to a new one."
        return Line(about="Chats", state="problem", said="chats.db is damaged.", todo=todo, facts=facts)
    return Line(about="Chats", state="ok", said=f"{counted(chats, 'chat')}; chats.db is intact.", facts=facts)


def database_line(address: Address) -> Line:
    """Where the Postgres database with the chats is, whether it answers, and how many chats it has."""
    facts: dict[str, Any] = {"postgres": True, "here": address.here}
    try:
        chats = asyncio.run(_count_chats(address))
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        fault = postgres.in_words(error, address)
        return Line(about="Chats", state="problem", said=fault.message, todo=fault.hint, facts=facts)
    said = f"Postgres at {address.words} has {counted(chats, 'chat')}."
    facts["chats"] = chats
    if address.here:
        return Line(about="Chats", state="ok", said=said, facts=facts)
    said = f"Postgres at {address.words} has {counted(chats, 'chat')}. That is not this machine, so the chats leave it."
    return Line(about="Chats", state="note", said=said, todo="Unset SCHOLION_CHATS to keep them here.", facts=facts)


async def _fetched(address: Address, query: str) -> list[tuple[Any, ...]]:
    connection = await postgres.connect(address)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def _count_chats(address: Address) -> int:
    connection = await postgres.connect(address)
    try:
        there = await connection.fetchval("SELECT to_regclass('threads') IS NOT NULL")
        return int(await connection.fetchval("SELECT count(*) FROM threads")) if there else 0
    finally:
        await connection.close()


def backup_line(folder: Path) -> Line:
    """How large a copy of the library would be, and how to make one."""
    if not folder.is_dir():
        return Line(about="Backup", state="ok", said="There is nothing to copy yet.", facts={"bytes": 0})
    size = sum(_sizes(folder))
    said = f"A copy of the library takes {_size(size)}; Scholion makes none by itself."
    todo = "Run `python -m ui backup FOLDER` regularly, with a folder on another disk; Scholion may be running."
    return Line(about="Backup", state="note", said=said, todo=todo, facts={"megabytes": round(size / 1e6)})


def privacy_line(folder: Path) -> Line:
    """Whether the audit log and the policy are as Scholion wrote them."""
    log = AuditLog(folder)
    entries = log.entries()
    policy = load_policy(folder, log)
    calls = sum(entry["event"] == "permitted" for entry in entries)
    lines = counted(len(entries), "line")
    said = f"The audit log is complete with {lines}; you are asked before anything leaves this machine."
    if policy.library == "local only":
        said = f"The audit log is complete with {lines}; nothing may leave this machine."
    facts = {"lines": len(entries), "permitted": calls, "local_only": policy.library == "local only"}
    return Line(about="Privacy log", state="ok", said=said, facts=facts)


def errors_lines(folder: Path) -> list[Line]:
    """The last errors that were shown with a number."""
    rows = faults.last(folder)
    if not rows:
        return [Line(about="Last errors", state="ok", said="No unexpected error was shown.", facts={"errors": 0})]
    lines = []
    for row in rows[-SHOWN_ERRORS:][::-1]:
        kind, place = str((row["types"] or ["unknown"])[-1]), str((row["places"] or ["unknown"])[-1])
        said = f"{row['number']}, {row['time'][:16].replace('T', ' ')} UTC: {kind} at {place}."
        lines.append(Line(about="Error", state="note", said=said))
    said = f"{counted(len(rows), 'unexpected error')} kept; these are the latest."
    todo = "If one keeps coming back, report it with a bundle: it has the types and places, and nothing of your papers."
    return [Line(about="Last errors", state="note", said=said, todo=todo, facts={"errors": len(rows)}), *lines]


def read_only(file: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also in a folder that cannot be written.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    address = file.resolve().as_uri()
    db = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=2)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        db.close()
        if os.access(file.parent, os.W_OK):
            raise
        # SQLite wants to write beside a database with a log; what is in the log is not seen then
        db = sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, timeout=2)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def quick_check(db: sqlite3.Connection, *, seconds: float = QUICK_SECONDS) -> bool | None:
    """Whether the database passes SQLite's quick check; None if it was stopped because it took too long."""
    until = time.monotonic() + seconds
    db.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    except sqlite3.DatabaseError:
        return False
    finally:
        db.set_progress_handler(None, 0)


def _looked_at(file: Path, query: str) -> tuple[bool | None, int | None]:
    """Whether a database is intact (`quick_check`), and the number that a query gives; None if it is damaged."""
    try:
        with closing(read_only(file)) as db:
            intact = quick_check(db)
            return intact, None if intact is False else int(db.execute(query).fetchone()[0])
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        return False, None


def _size(n_bytes: int) -> str:
    return in_words(n_bytes) if n_bytes >= 1e6 else "under 1 MB"


def _n_pdfs(folder: Path) -> int:
    return sum(1 for _ in (folder / "papers").glob("*.pdf"))


def _has(db: sqlite3.Connection, table: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None


def _sizes(folder: Path) -> Iterator[int]:
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - ten times as fast on 100,000 files
            except OSError:  # it went meanwhile
                continue
