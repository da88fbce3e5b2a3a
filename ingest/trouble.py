"""Problems with the disk or a database in words: SQLite's, Chroma's and the system's errors as one sentence."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from typing import TYPE_CHECKING

from ingest.errors import LibraryMismatchError, StorageError, UserFacingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = (
    "The disk is full.",
    "Free some space and try again. Nothing stored before is lost.",
)
_READ_ONLY = (
    "The library folder cannot be written to.",
    "Check its permissions and whether the disk is read-only, or set SCHOLION_LIBRARY to another folder.",
)
REBUILD = (
    "Put a copy of library.db back. Without one, move library.db away and papers/ to another folder, and add that "
    "folder with `python -m ingest add FOLDER`: only tags and corrections are lost."
)
_INDEX = (
    "The search index in the library folder is damaged.",
    "Close Scholion, remove the folder chroma/ there and start again. Nothing needs to be embedded again.",
)
_DAMAGED = ("The library's database is damaged.", f"Close Scholion. {REBUILD}")
_FAILING = (
    "The disk with the library reports an error.",
    "Check the disk, and copy the library folder to another disk before you continue.",
)
_BUSY = ("A database in the library folder is in use by another program.", "Close that program and try again.")

_BY_ERRNO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _READ_ONLY),
    errno.EIO: _FAILING,
}
_BY_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # no space for the -shm file beside the log
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: _FAILING,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
}
_CODE = re.compile(r"\(code: (\d+)\)")
"""Found in the text of Chroma's errors, with SQLite's error code."""
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""The same with the system's error number, from the parts of Chroma that write files."""


def disk_full() -> StorageError:
    """What to say of a full disk."""
    return StorageError(*_FULL)


def in_words(error: BaseException) -> UserFacingError | None:
    """What happened and what to do, if the disk or a database is to blame; None for any other error."""
    if isinstance(error, UserFacingError):
        return error
    said = next(filter(None, map(_said, causes(error))), None)
    return (LibraryMismatchError if said is _DAMAGED else StorageError)(*said) if said else None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes; SQLAlchemy keeps the driver's in `orig`."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        cause = rest.pop(0)
        if cause is not None and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            rest += [getattr(cause, "orig", None), cause.__cause__]


def _said(error: BaseException) -> tuple[str, str] | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return _BY_SQLITE.get(code) or _BY_SQLITE.get(code & 0xFF)
    if isinstance(error, OSError):
        said = _BY_ERRNO.get(error.errno or 0)
        if said is _READ_ONLY and error.filename:
            return f"{os.fsdecode(error.filename)} cannot be used ({error.strerror}).", said[1]
        return said
    if type(error).__module__.startswith("chromadb"):
        if found := _CODE.search(str(error)):
            said = _BY_SQLITE.get(int(found[1]) & 0xFF)
            return _INDEX if said is _DAMAGED else said
        if found := _OS_ERROR.search(str(error)):
            return _BY_ERRNO.get(int(found[1]))
    return None
