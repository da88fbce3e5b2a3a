"""Tags: the user's collections of papers. A paper may have many tags, and a tag many papers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ingest.errors import TagError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ingest.connection import Connection

P = TypeVar("P")

MAX_TAG_CHARS = 60

SCHEMA = """
CREATE TABLE IF NOT EXISTS tags (
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, tag TEXT NOT NULL,
    PRIMARY KEY (paper_id, tag)) WITHOUT ROWID;
"""

_ADD = "INSERT INTO tags VALUES (?, ?) ON CONFLICT DO NOTHING"

_FINISHED = "paper_id NOT IN (SELECT id FROM papers WHERE finished_at IS NULL)"
"""Answered by an index; the row of a paper is long."""


@dataclass(slots=True)
class _Read:
    """What was read, as of a version."""

    version: int | None
    names: list[str] | None = None
    papers: dict[str, list[Any]] = field(default_factory=dict)


class Tags:
    """A table of (paper, tag). A tag exists while a paper has it.

    Args:
        connection: this thread's connection.
        version: a number that is another one after each change of a tag; None where that is not known, and then the
            table is read each time.
    """

    def __init__(self, connection: Callable[[], Connection], version: Callable[[], int | None] = lambda: None) -> None:
        self._db, self._version = connection, version
        self.forget()

    def forget(self) -> None:
        """Read everything again; the connections were closed."""
        self._read = _Read(None)

    def all(self) -> dict[str, list[str]]:
        """Ids of the finished papers with each tag; tags by name, papers by id."""
        rows = self._db().execute(f"SELECT tag, paper_id FROM tags WHERE {_FINISHED} ORDER BY paper_id")  # noqa: S608 constant text
        found: dict[str, list[str]] = {}
        for tag, paper_id in rows:
            found.setdefault(tag, []).append(paper_id)
        return dict(sorted(found.items(), key=lambda item: item[0].casefold()))

    def with_tag(self, tag: str) -> list[str]:
        """Ids of the papers with a tag as it is spelled in the library."""
        rows = self._db().execute(f"SELECT paper_id FROM tags WHERE tag = ? AND {_FINISHED}", (tag,))  # noqa: S608 constant text
        return [row[0] for row in rows]

    def papers(self, tag: str, papers_of: Callable[[list[str]], list[P]]) -> list[P]:
        """The papers with a tag as it is spelled in the library; `papers_of` is asked for them by their ids."""
        read = self._as_of_now()
        if (found := read.papers.get(tag)) is None:
            read.papers[tag] = found = papers_of(self.with_tag(tag))
        return list(found)

    def names(self) -> list[str]:
        """The tags, by name."""
        read = self._as_of_now()
        if read.names is None:
            rows = self._db().execute(f"SELECT DISTINCT tag FROM tags WHERE {_FINISHED}")  # noqa: S608 constant text
            read.names = sorted((row[0] for row in rows), key=str.casefold)
        return list(read.names)

    def _as_of_now(self) -> _Read:
        """What was read of the table since it last changed; a chat asks for the same tag again and again."""
        version, read = self._version(), self._read
        if version is None or read.version != version:
            self._read = read = _Read(version)  # replaced in one step: another thread may be using the old one
        return read

    def of(self, paper_id: str) -> list[str]:
        """The tags of one paper, by name."""
        rows = self._db().execute("SELECT tag FROM tags WHERE paper_id = ?", (paper_id,))
        return sorted((row[0] for row in rows), key=str.casefold)

    def known(self, tag: str) -> str:
        """The tag as spelled in the library; case is ignored.

        Raises:
            TagError: no paper has it.
        """
        tags = self.names()
        for name in tags:
            if name.casefold() == clean(tag).casefold():
                return name
        there = f"The tags are: {', '.join(tags)}." if tags else "Tag a paper with `python -m ingest tag TAG ID`."
        raise TagError(f"No paper has the tag {tag!r}.", there)

    def add(self, paper_ids: Sequence[str], tag: str) -> str:
        """Tag papers, and return the tag as spelled in the library if it is known there.

        Raises:
            TagError: it is empty or too long.
        """
        name = clean(tag)
        name = next((known for known in self.names() if known.casefold() == name.casefold()), name)
        with self._db() as db:
            db.executemany(_ADD, [(paper_id, name) for paper_id in paper_ids])
        return name

    def take(self, paper_ids: Sequence[str], tag: str) -> str:
        """Remove a tag from papers, and return it as it was spelled.

        Raises:
            TagError: no paper has it.
        """
        name = self.known(tag)
        with self._db() as db:
            db.execute(
                "DELETE FROM tags WHERE tag = ? AND paper_id IN (SELECT value FROM json_each(?))",
                (name, json.dumps(list(paper_ids))),
            )
        return name

    def put_back(self, paper_id: str, tags: Iterable[str]) -> None:
        """Give a paper that was just replaced its old tags, inside the open transaction."""
        self._db().executemany(_ADD, [(paper_id, tag) for tag in tags])


def clean(tag: str) -> str:
    """The tag on one line, without surrounding space."""
    name = " ".join("".join(char if char.isprintable() else " " for char in tag).split())
    if not name:
        raise TagError("The tag is empty.", "Give it a name, for example thesis.")
    if len(name) > MAX_TAG_CHARS:
        raise TagError(f"The tag has {len(name)} characters; the limit is {MAX_TAG_CHARS}.", "Shorten it.")
    return name
