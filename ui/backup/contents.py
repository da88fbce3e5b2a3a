"""What of a library's folder belongs in a backup, and what only this machine or this moment needs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASES: Final = ("library.db", "people.db", "chats.db")
"""Copied as they are at one moment; everything else is a file that is written once, or replaced as a whole."""

MODELS: Final = "models"
PAPERS: Final = "papers"

_NOT_KEPT = re.compile(
    r"chroma(\..*)?"  # the index, which is made again from library.db
    r"|incoming"  # uploads that are still arriving
    r"|owner\.json|.*\.lock"  # which process uses the library now
    r"|(chats|library)\.moving\.db(-journal)?"
    r"|(chats|library)\.moved-.*\.db"  # as they were before a move, with what was removed since
    rf"|({'|'.join(map(re.escape, DATABASES))})-(wal|shm|journal)"
)
_HIDDEN = re.compile(r"\..*")
"""Files that are still being written, and what a person hides."""
_PART = re.compile(r".*\.part(ial)?")
"""Files that are still being written, in places where Scholion names them so; an attachment may have any name."""
_FOREIGN = re.compile(r"[\\:]")
"""Separators on Windows."""


def belongs(name: str, *, models: bool = True) -> bool:
    """Whether a file of the library belongs in a backup; `name` is relative to the folder, with `/`."""
    parts = name.split("/")
    if any(_HIDDEN.fullmatch(part) for part in parts) or _NOT_KEPT.fullmatch(parts[0]):
        return False
    if (len(parts) == 1 or parts[0] in (PAPERS, MODELS)) and any(_PART.fullmatch(part) for part in parts):
        return False
    return models or parts[0] != MODELS


def is_safe(name: str) -> bool:
    """Whether a name leads to a file inside a folder, on every system."""
    return name.isprintable() and all(
        part == part.strip() and not part.endswith(".") and part and not _FOREIGN.search(part)
        for part in name.split("/")
    )


def files(folder: Path, *, models: bool) -> Iterator[tuple[str, Path]]:
    """Everything of the library but its databases: names relative to the folder, and where they are, in order.

    Links to folders are followed, because `papers/` may be on another disk.

    Raises:
        OSError: a folder cannot be listed.
    """
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_unless_gone):
        try:
            state = Path(root).stat()
        except FileNotFoundError:
            continue
        if (state.st_dev, state.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        here = Path(root).relative_to(folder)
        folders[:] = sorted(name for name in folders if belongs((here / name).as_posix(), models=models))
        for name in sorted(names):
            inside = (here / name).as_posix()
            if belongs(inside, models=models) and inside not in DATABASES:
                yield inside, Path(root, name)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
