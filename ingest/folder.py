"""The library's folder itself: closed to others, refused where its catalogue is gone, and without what was deleted."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import LibraryMismatchError
from ingest.files import paper_id as id_of
from ingest.trouble import REBUILD

if TYPE_CHECKING:
    from collections.abc import Iterator

UNFINISHED_COPY = re.compile(r"[0-9a-f]{16}\.partial")
"""The name of a copy that was not written to its end."""

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_OURS = (
    *("papers", "quarantine", "stray", "uploads", "incoming", "chroma", "models", "library.db", "chats", "secret"),
    *("owner", "audit", "privacy.json", "redact.txt", "glossary.csv", "confidence.json", "errors.jsonl"),
    *("choices", "keys"),
)
"""What the names of our files in the folder begin with. Others' files there keep their permissions."""


def prepare(folder: Path) -> None:
    """Make the folder where it is not there, and take from other users what an older version or a umask gave them.

    Raises:
        LibraryMismatchError: the papers are there, but the catalogue is empty or gone.
        OSError: it cannot be made or written.
    """
    (folder / "papers").mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    catalogue = folder / "library.db"
    if not catalogue.exists() or not catalogue.stat().st_size:
        if n := sum(1 for _ in (folder / "papers").glob("*.pdf")):
            papers, state = (
                "There is 1 paper" if n == 1 else f"There are {n} papers",
                "empty" if catalogue.exists() else "gone",
            )
            raise LibraryMismatchError(
                f"{papers} in {folder / 'papers'}, but library.db beside it is {state}.", REBUILD
            )
        with suppress(FileExistsError):  # SQLite would let others read it, and gives its -wal and -shm the same mode
            os.close(os.open(catalogue, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE_FILE))
    if os.name == "posix":
        for path in folder.iterdir():
            if path.name.lstrip(".").startswith(_OURS):
                _close(path)
        _close_one(folder)


def made(folder: Path) -> Path:
    """The folder, made where it is not there, for its owner alone."""
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    return folder


def temporary(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder in the library's for what is not added yet. Nobody else can put a bibliography near it, as in `/tmp`."""
    return tempfile.TemporaryDirectory(dir=made(folder / "incoming"))


def side_copies(folder: Path, paper_id: str, size: int) -> Iterator[Path]:
    """The other copies of a paper's PDF in the library's folder: attached to chats, or put aside."""
    for place in ("uploads", "incoming", "stray", "quarantine"):
        for root, _, names in os.walk(folder / place):
            for name in names:
                path = Path(root, name)
                with suppress(OSError):  # it went meanwhile, or is not ours to read
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
    """Take from others what they may do; a folder that is closed hides what is in it, whatever that allows."""
    with suppress(FileNotFoundError):  # another process of ours has removed it meanwhile
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and stat.S_IMODE(mode) & 0o077:
            for inside in path.iterdir():
                _close(inside)
        _close_one(path)


def _close_one(path: Path) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & 0o077:
        with suppress(PermissionError):  # another user's: not ours to change
            path.chmod(_PRIVATE_FOLDER if stat.S_ISDIR(mode) else _PRIVATE_FILE)
