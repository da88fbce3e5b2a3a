"""Tables as CSV for a spreadsheet, and back: no cell becomes a formula, and whatever a spreadsheet saves is read."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from rag.errors import QuestionSetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it; None as an empty cell."""
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA[:4]) else value


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows with a line of names, in UTF-8 with the mark by which Excel knows it."""
    table = list(rows)
    file = io.StringIO()
    if table:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({name: guarded(value) for name, value in row.items()} for row in table)
    return "\ufeff" + file.getvalue()


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with commas, semicolons or tabs; names in lower case.

    Raises:
        QuestionSetError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionSetError(f"{path.name} cannot be read.", "Save it as CSV in UTF-8.") from error
    first = text.partition("\n")[0]
    between = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=between)
    return [
        {(name or "").strip().lower(): (value or "").strip() for name, value in row.items() if name} for row in rows
    ]
