"""The library's folder: closed to others, refused if its catalogue is gone, and cleared of deleted papers."""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ingest.errors import LibraryMismatchError
from ingest.files import paper_id as id_of
from ingest.trouble import REBUILD

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED_COPY = re.compile(r"[0-9a-f]{16}\.partial")
"""Name pattern of an incomplete copy."""

MOVED = "library.moved-{}.db"
"""Name of a catalogue that was moved to Postgres, with the time."""

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_OURS = (
    *("papers", "quarantine", "stray", "uploads", "incoming", "chroma", "models", "library.", "chats", "secret"),
    *("owner", "audit", "privacy.json", "redact.txt", "glossary.csv", "confidence.json", "errors.jsonl"),
    *("choices", "keys", "people"),
)
"""How the names of our files in the folder begin; other files there keep their permissions."""


def prepare(folder: Path, *, catalogue: bool = True) -> None:
    """Create the folder if needed, and revoke access that an older version or a umask gave to other users.

    Args:
        folder: the library's.
        catalogue: whether the catalogue is in it, as `library.db`.

    Raises:
        LibraryMismatchError: the papers are there, but the catalogue is empty or gone.
        OSError: it cannot be created or written.
    """
    (folder / "papers").mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    file = folder / "library.db"
    if catalogue and (not file.exists() or not file.stat().st_size):
        if n := sum(1 for _ in (folder / "papers").glob("*.pdf")):
            papers, state = (
                "There is 1 paper" if n == 1 else f"There are {n} papers",
                "empty" if file.exists() else "gone",
            )
            moved = any(folder.glob(MOVED.format("*")))
            raise LibraryMismatchError(
                f"{papers} in {folder / 'papers'}, but library.db beside it is {state}.",
                "It was moved to Postgres: set SCHOLION_CATALOGUE." if moved else REBUILD,
            )
        with suppress(FileExistsError):  # SQLite would let others read it, and gives its -wal and -shm the same mode
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE_FILE))
    if os.name == "posix":
        for path in folder.iterdir():
            if path.name.lstrip(".").startswith(_OURS):
                _close(path)
        _close_one(folder)


def made(folder: Path) -> Path:
    """The folder, created if needed, for its owner only."""
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    return folder


def lock(folder: Path) -> FileLock:
    """What the owner of the library holds."""
    return FileLock(folder / "owner.lock", mode=_PRIVATE_FILE, thread_local=False)


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A folder inside the library for files not added yet: nobody can put a bibliography near them, as in `/tmp`.

    Its name is of the form of an upload's folder, so that the next start removes what a crash has left.
    """
    place = made(made(folder / "incoming") / str(uuid.uuid4()))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def side_copies(folder: Path, paper_id: str, size: int) -> Iterator[Path]:
    """Other copies of a paper's PDF in the library's folder: attached to chats, or set aside."""
    for place in ("uploads", "incoming", "stray", "quarantine"):
        for root, _, names in os.walk(folder / place):
            for name in names:
                path = Path(root, name)
                with suppress(OSError):  # gone meanwhile, or not readable by us
                    if not path.is_symlink() and path.stat().st_size == size and id_of(path) == paper_id:
                        yield path


def remove_side_copies(folder: Path, paper_id: str, size: int | None) -> None:
    """Remove what is left of a paper outside the catalogue: other copies of its PDF, and broken indexes."""
    if size is not None:
        for path in list(side_copies(folder, paper_id, size)):
            path.unlink(missing_ok=True)
    for broken in folder.glob("chroma.broken-*"):
        shutil.rmtree(broken, ignore_errors=True)


def _close(path: Path) -> None:
    """Revoke other users' access; a closed folder hides its contents, whatever their permissions."""
    with suppress(FileNotFoundError):  # removed meanwhile by another of our processes
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and stat.S_IMODE(mode) & 0o077:
            for inside in path.iterdir():
                _close(inside)
        _close_one(path)


def _close_one(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & 0o077:
        with suppress(PermissionError):  # belongs to another user
            path.chmod(_PRIVATE_FOLDER if stat.S_ISDIR(mode) else _PRIVATE_FILE)
