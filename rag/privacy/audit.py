"""The audit log: one line for everything allowed to leave the machine, with hashes and numbers but no contents.

Each line contains the hash of the line before it, and a second file holds the number and hash of the last line, so a
changed, deleted or truncated line is detected. Someone who can write both files can forge the log. If that matters,
store the last hash elsewhere (`python -m rag privacy log --verify` prints it).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ingest import write_atomically
from rag.errors import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

LOG_FILE, HEAD_FILE, LOCK_FILE = "audit.jsonl", "audit.head", "audit.lock"
LOCK_SECONDS = 10.0

_FIRST = "0" * 64
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class AuditError(NotAllowedError):
    """The audit log cannot be written or was tampered with; nothing is sent."""


class AuditLog:
    """The log of one library's folder. Safe for several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file, self._head = folder / LOG_FILE, folder / HEAD_FILE
        # The verified prefix: comparing one hash of its bytes is 40 times as fast as checking line by line.
        self._seen: tuple[int, bytes, list[dict[str, Any]]] = (0, hashlib.sha256().digest(), [])

    def append(
        self, event: str, facts: dict[str, Any], *, if_: Callable[[list[dict[str, Any]]], None] | None = None
    ) -> dict[str, Any]:
        """Append one line and return it once it is on disk.

        Args:
            event: what happened.
            facts: further facts, but no contents.
            if_: called with all earlier lines while the file is locked; if it raises, nothing is written.

        Raises:
            AuditError: the log cannot be written, or it was changed or truncated.
        """
        try:
            with self._alone():
                lines = self._verified(mend=True)
                if if_ is not None:
                    if_(lines)
                now = datetime.now(UTC).isoformat(timespec="milliseconds")
                before = lines[-1]["hash"] if lines else _FIRST
                line = {"n": len(lines) + 1, "time": now, "event": event, **facts, "before": before}
                line["hash"] = _hash(line)
                self._write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
                self._anchor(line["n"], line["hash"])
                return line
        except Timeout as error:
            raise AuditError("The audit log is in use by another program, so nothing is sent.", "Try again.") from error
        except OSError as error:
            raise AuditError(
                f"The audit log {LOG_FILE} cannot be written ({error.strerror}), so nothing is sent.",
                "Free some disk space, or check write access to the library folder.",
            ) from error

    def entries(self) -> list[dict[str, Any]]:
        """All lines, oldest first.

        Raises:
            AuditError: the log cannot be read, or it was changed or truncated.
        """
        try:
            return self._verified()
        except OSError as error:
            raise AuditError(f"The audit log {LOG_FILE} cannot be read ({error.strerror}).", "") from error

    def _verified(self, *, mend: bool = False) -> list[dict[str, Any]]:
        """All lines; with `mend`, for who alone may write, what a crash left of an unfinished one is cut off."""
        n, known = self._anchored()
        raw = self._read()
        torn = raw[raw.rfind(b"\n") + 1 :]
        whole = raw.removesuffix(torn)
        size, digest, seen = self._seen
        if hashlib.sha256(whole[:size]).digest() != digest:
            size, seen = 0, []
        lines = list(seen)
        for number, row in enumerate(whole[size:].split(b"\n")[:-1], start=len(lines) + 1):
            line = _parsed(row)
            before = lines[-1]["hash"] if lines else _FIRST
            if line is None or line.get("n") != number or line.get("before") != before or line["hash"] != _hash(line):
                raise _changed(f"line {number} was changed")
            lines.append(line)
        if len(lines) < n:
            raise _changed(f"{n - len(lines)} lines are missing at the end")
        if n and lines[n - 1]["hash"] != known:
            raise _changed(f"line {n} was replaced")
        self._seen = (len(whole), hashlib.sha256(whole).digest(), list(lines))
        if torn and len(lines) < n + 1:  # a line that was never confirmed: being written, or left so by a crash
            if mend:
                self._cut(len(raw) - len(torn))
        elif torn:
            raise _changed("its last line is cut off")
        return lines

    def _anchored(self) -> tuple[int, str]:
        """The minimum number of lines, and the hash of the last of them."""
        try:
            anchor = json.loads(read_plain(self._head))
            return int(anchor["n"]), str(anchor["hash"])
        except FileNotFoundError:
            if self._read():
                raise _changed(f"{HEAD_FILE} is missing") from None
            return 0, _FIRST
        except (ValueError, LookupError, TypeError) as error:
            raise _changed(f"{HEAD_FILE} is damaged") from error

    def _anchor(self, n: int, last: str) -> None:
        write_atomically(self._head, json.dumps({"n": n, "hash": last}))

    def _read(self) -> bytes:
        try:
            return read_plain(self._file)
        except FileNotFoundError:
            return b""

    def _write(self, row: bytes) -> None:
        if not self._head.exists():  # write the anchor first: a log without one counts as changed
            self._anchor(0, _FIRST)
        descriptor = _open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, row)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    def _cut(self, size: int) -> None:
        descriptor = _open(self._file, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / LOCK_FILE, timeout=LOCK_SECONDS, thread_local=False):
            yield


def read_plain(path: Path) -> bytes:
    """The bytes of a regular file; OSError for a link or a device."""
    with os.fdopen(_open(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _open(path: Path, flags: int) -> int:
    """A descriptor of a regular file. A link could send the log to nowhere."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link")
    descriptor = os.open(path, flags | _FLAGS, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def _write_all(descriptor: int, row: bytes) -> None:
    if os.write(descriptor, row) != len(row):
        raise OSError(errno.ENOSPC, "there is no room for it")
    os.fsync(descriptor)


def _parsed(row: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(row)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "hash" in line and "event" in line and "time" in line else None


def _hash(line: dict[str, Any]) -> str:
    told = {key: value for key, value in line.items() if key != "hash"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _changed(how: str) -> AuditError:
    return AuditError(
        f"The audit log was changed from outside ({how}), so nothing is sent.",
        f"Inspect {LOG_FILE} and {HEAD_FILE} in the library folder. To start a new log, move both elsewhere.",
    )


def last_hash(entries: Sequence[dict[str, Any]]) -> str:
    """The hash that identifies the whole log."""
    return str(entries[-1]["hash"]) if entries else _FIRST
