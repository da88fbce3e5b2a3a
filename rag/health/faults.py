"""The last unexpected errors: their numbers, types and places in the code, without their messages.

A message may contain a title, a question or a path; types and places cannot. So the file may be sent to somebody.
"""

from __future__ import annotations

import json
import logging
import sysconfig
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingest import write_atomically
from ingest.settings import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = "errors.jsonl"
"""In the library's folder."""
KEPT: Final = 50
PLACES: Final = 16
"""Frames kept of one error, the innermost."""

log = logging.getLogger(__name__)
_one_writer = threading.Lock()
_STANDARD = Path(sysconfig.get_paths()["stdlib"])


def note(folder: Path, error: BaseException, *, number: str) -> None:
    """Add an error to the last ones. Never raises: the error itself is more important.

    Args:
        folder: the library's folder.
        error: with its traceback.
        number: what the user was shown.
    """
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"number": number, "time": now, "types": types_of(error), "places": places_of(error)}
        with _one_writer:
            rows = [*last(folder), row][-KEPT:]
            write_atomically(folder / FILE, "".join(json.dumps(row) + "\n" for row in rows))
    except Exception:
        log.warning("Error %s could not be added to %s", number, FILE, exc_info=True)


def last(folder: Path) -> list[dict[str, Any]]:
    """The last errors, oldest first. Lines that are not ours are skipped.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [row for row in map(_row, lines) if row]


def types_of(error: BaseException) -> list[str]:
    """The type of the error and of the errors that caused it."""
    return [type_of(one) for one in _chain(error)]


def type_of(error: BaseException) -> str:
    """Like `sqlite3.OperationalError`; built-in types without a module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def places_of(error: BaseException) -> list[str]:
    """Where it was raised, innermost last: `ui/conversation.py:120 in ask`; no folder outside the code is named."""
    first = next(iter(reversed(list(_chain(error)))))  # the cause
    frames = traceback.extract_tb(first.__traceback__)[-PLACES:]
    return [f"{_named(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]


def _named(file: str) -> str:
    path = Path(file)
    if "site-packages" in path.parts:
        return "/".join(path.parts[path.parts.index("site-packages") + 1 :])
    if path.is_relative_to(PROJECT):
        return path.relative_to(PROJECT).as_posix()
    return path.relative_to(_STANDARD).as_posix() if path.is_relative_to(_STANDARD) else "…"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    good = isinstance(row, dict) and all(isinstance(row.get(name), str) for name in ("number", "time"))
    good = good and all(isinstance(row.get(name), list) for name in ("types", "places"))
    return {name: row[name] for name in ("number", "time", "types", "places")} if good else None
