"""Which folder and which database belong together: both keep the same random id, and a database of others is refused.

A folder that was copied, renamed or moved keeps its id in `library.id`, so it stays with its database.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

from ingest.errors import LibraryMismatchError
from ingest.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.connection import Connection

FILE = "library.id"
ADD = "INSERT INTO facts VALUES ('identity', ?) ON CONFLICT DO NOTHING"
KNOWN = "SELECT id FROM papers UNION SELECT paper_id FROM ledger"
"""The papers that a catalogue knows, and files that could not be read."""


def here(folder: Path) -> str | None:
    """The folder's id; None before it had a database."""
    file = folder / FILE
    return file.read_text(encoding="utf-8").strip() or None if file.exists() else None


def there(db: Connection) -> str | None:
    """The catalogue's id; None if it was given none."""
    row = db.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()
    return str(row[0]) if row else None


def write(folder: Path, value: str) -> None:
    """Keep an id in the folder."""
    if here(folder) != value:
        write_atomically(folder / FILE, f"{value}\n")


def check(db: Connection, folder: Path, words: str) -> None:
    """Refuse a catalogue that belongs to another folder.

    Where one id is missing, the PDFs tell: all of the folder's are papers of the catalogue.

    Args:
        db: the catalogue.
        folder: the library's.
        words: where the database is, for people.

    Raises:
        LibraryMismatchError: it does.
    """
    theirs = there(db)
    if theirs is not None and theirs == here(folder):
        return
    if not fits(folder, theirs, {row[0] for row in db.execute(KNOWN)}):
        raise stranger(folder, words)


def fits(folder: Path, theirs: str | None, known: set[str]) -> bool:
    """Whether a catalogue with this id and these papers may be that of the folder."""
    ours = here(folder)
    if ours is not None and theirs is not None:
        return ours == theirs
    pdfs = {path.stem for path in (folder / "papers").glob("*.pdf")}
    return (theirs is None and not known) or bool(pdfs and pdfs <= known)


def stranger(folder: Path, words: str) -> LibraryMismatchError:
    """What to say of a database that belongs to another folder."""
    return LibraryMismatchError(
        f"The database at {words} belongs to another library than {folder}.",
        "Each library needs a database or a schema of its own: correct SCHOLION_CATALOGUE or SCHOLION_LIBRARY.",
    )


def tie(db: Connection, folder: Path, words: str) -> None:
    """Give folder and catalogue the same id, if they have not.

    Raises:
        LibraryMismatchError: the catalogue belongs to another folder.
    """
    check(db, folder, words)
    ours = here(folder)
    if ours is not None and ours == there(db):
        return
    ours = ours or token_hex(16)
    with db:
        db.execute(ADD, (ours,))
        theirs = there(db)
        if theirs != ours:  # it had one, or another process was faster
            check(db, folder, words)
        write(folder, theirs or ours)
