"""A file of JSON lines that grows row by row: on the disk as soon as it is written, and readable at any time."""

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
    """The rows of a file, none where there is no file. A last line without an end is still being written: left out."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


@contextmanager
def appending(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that appends a row; it is on the disk when that returns. What a crash cut off is removed first.

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
