"""An append-only JSON lines file: each row is flushed to disk when written, and the file can be read at any time."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from rag.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, none if it does not exist. Skips a last line without a newline: it is still being written."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


@contextmanager
def appending(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that appends a row and returns once it is on disk. A row cut off by a crash is removed first.

    Raises:
        RunError: another process is appending to the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(path.with_name(path.name + ".lock"), thread_local=False).acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"Another Scholion command is writing to {path}.", "Wait until it has finished.") from error
    with lock, path.open("ab") as file:
        data = path.read_bytes()
        file.truncate(data.rfind(b"\n") + 1)

        def append(row: dict[str, Any]) -> None:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield append
