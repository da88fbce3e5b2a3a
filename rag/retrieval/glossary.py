"""The team's glossary: `glossary.csv` in the library's folder; reloaded when it changes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import GlossaryError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("term", "definition", "synonyms", "preferred")
HINT = f"The first line must name the columns: {', '.join(COLUMNS)}; only term is required. See docs/terms.md."

MAX_DEFINITION = 400
"""Characters; definitions share the prompt with the passages."""

MAX_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class GlossaryEntry:
    """One line of the glossary."""

    term: str
    definition: str | None
    synonyms: tuple[str, ...]
    preferred: str | None
    """The spelling to use in answers; None if any will do."""
    line: int
    """Line number in the file, from 1."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of this term, without duplicates."""
        return tuple(dict.fromkeys((self.term, *self.synonyms, *([self.preferred] if self.preferred else []))))


class Glossary:
    """The entries of one file; none if there is no file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[tuple[int, int] | None, tuple[GlossaryEntry, ...]] = (None, ())

    def entries(self) -> tuple[GlossaryEntry, ...]:
        """All current entries, in file order.

        Raises:
            GlossaryError: the file cannot be read, or a line of it is wrong.
        """
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise GlossaryError(
                f"The glossary {self.path} cannot be read ({error}).", "Check its permissions."
            ) from error
        stamp = (state.st_mtime_ns, state.st_size)
        known, entries = self._read
        if known != stamp:
            entries = tuple(read_glossary(self._text(state.st_size), name=self.path.name))
            self._read = (stamp, entries)
        return entries

    def _text(self, size: int) -> str:
        if size > MAX_BYTES:
            raise GlossaryError(
                f"The glossary {self.path} has {size:,} bytes; the limit is {MAX_BYTES:,}.",
                "Remove entries you do not need.",
            )
        try:
            return self.path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise GlossaryError(
                f"The glossary {self.path} cannot be read ({error}).", "Check its permissions."
            ) from error
        except UnicodeDecodeError as error:
            raise GlossaryError(
                f"The glossary {self.path} is not written in UTF-8.", 'Save it again as "CSV UTF-8".'
            ) from error


def read_glossary(text: str, *, name: str = "glossary.csv") -> list[GlossaryEntry]:
    """Parse a glossary; columns are separated by comma, semicolon or tab, whichever is most frequent in the first line.

    Raises:
        GlossaryError: a column or a line is wrong; the message names the line.
    """
    head = text.lstrip().partition("\n")[0]
    rows = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=head.count), strict=True)
    columns: list[str] | None = None
    found: dict[str, GlossaryEntry] = {}
    try:
        for row in rows:
            cells = [" ".join(cell.split()) for cell in row]
            if not any(cells):
                continue
            if columns is None:
                columns = _columns(cells, name)
                continue
            entry = _entry(columns, cells, name, rows.line_num)
            for called in entry.names:
                if other := found.get(called):
                    raise GlossaryError(
                        f'Lines {other.line} and {entry.line} of {name} both define "{called}".', "Merge them into one."
                    )
            found |= dict.fromkeys(entry.names, entry)
    except csv.Error as error:
        raise GlossaryError(
            f"Line {rows.line_num} of {name} cannot be read as CSV ({error}).",
            'Put "…" around a cell that contains a comma, and double any quotation mark inside it.',
        ) from error
    return list({entry.line: entry for entry in found.values()}.values())


def _columns(cells: list[str], name: str) -> list[str]:
    columns = [cell.casefold() for cell in cells]
    if unknown := [cell for cell in cells if cell.casefold() not in COLUMNS]:
        raise GlossaryError(f'{name} has an unknown column "{unknown[0]}".', HINT)
    if len(set(columns)) < len(columns):
        raise GlossaryError(f"{name} has the same column twice.", HINT)
    if "term" not in columns:
        raise GlossaryError(f'{name} has no column "term".', HINT)
    return columns


def _entry(columns: list[str], cells: list[str], name: str, line: int) -> GlossaryEntry:
    if len(cells) > len(columns):
        raise GlossaryError(
            f"Line {line} of {name} has {len(cells)} cells, but there are {len(columns)} columns.",
            'Put "…" around a cell that contains a comma; separate synonyms with ";".',
        )
    row = dict(zip(columns, cells, strict=False))
    term, definition = row["term"], row.get("definition") or None
    if not term:
        raise GlossaryError(f"Line {line} of {name} has no term.", "Write the term, or delete the line.")
    if definition and len(definition) > MAX_DEFINITION:
        raise GlossaryError(
            f'The definition of "{term}" in line {line} of {name} has {len(definition)} characters; '
            f"the limit is {MAX_DEFINITION}.",
            "Shorten it.",
        )
    synonyms = tuple(s for s in (part.strip() for part in row.get("synonyms", "").split(";")) if s and s != term)
    preferred = row.get("preferred") or None
    if not (definition or synonyms or preferred):
        raise GlossaryError(
            f'Line {line} of {name} says nothing about "{term}".',
            "Give a definition, a synonym or a preferred spelling.",
        )
    return GlossaryEntry(term, definition, synonyms, preferred, line)
