"""Texts and word queries as SQLite's FTS5 splits and stems them, in the notation of Postgres's tsvector and tsquery.

FTS5 itself does the splitting, in memory, so that both databases find the same words.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from ingest.schema import TOKENIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 2046
"""Bytes of a lexeme in Postgres; longer ones are left out."""

_QUERY = re.compile(r'\s*(?:(?P<column>text|section)\s*:\s*)?"(?P<words>(?:[^"]|"")*)"|\s*(?P<sign>OR|AND|\(|\))')
_COLUMNS = {"text": ":D", "section": ":A", None: ""}
"""The weight of the words of each column: of the lowest those of the text, of the highest those of the heading."""


class Splitter:
    """The tokenizer of the FTS5 table `words`. Safe for several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f"CREATE VIRTUAL TABLE split USING fts5(text, section, content='', tokenize='{TOKENIZE}')")
        self._db.execute("CREATE VIRTUAL TABLE found USING fts5vocab(split, instance)")

    def split(self, rows: Sequence[tuple[str, str | None]]) -> list[list[tuple[str, str, int]]]:
        """The words of each row of text and section: word, column and place, in no order."""
        with self._guard:
            self._db.execute("BEGIN")
            try:
                insert = "INSERT INTO split(rowid, text, section) VALUES (?, ?, ?)"
                self._db.executemany(insert, [(n, *row) for n, row in enumerate(rows, start=1)])
                words: list[list[tuple[str, str, int]]] = [[] for _ in rows]
                for term, n, column, place in self._db.execute('SELECT term, doc, col, "offset" FROM found'):
                    words[n - 1].append((term, column, place))
            finally:
                self._db.execute("ROLLBACK")
        return words


@lru_cache(maxsize=1)
def _splitter() -> Splitter:
    return Splitter()


def as_vectors(rows: Sequence[tuple[str, str | None]]) -> list[tuple[str, int]]:
    """Each row of text and section as a tsvector, with its number of words."""
    vectors = []
    for words in _splitter().split(rows):
        end = max((place for _, column, place in words if column == "text"), default=-1)
        places: dict[str, list[str]] = {}
        for word, column, place in words:
            if len(word.encode()) <= LONGEST:
                # from 1, and the heading so far behind the text that no phrase is in both
                at = f"{place + 1}" if column == "text" else f"{end + place + 3}A"
                places.setdefault(word, []).append(at)
        vectors.append((" ".join(f"{_quoted(word)}:{','.join(at)}" for word, at in places.items()), len(words)))
    return vectors


@lru_cache(maxsize=50_000)
def as_phrase(quoted: str) -> str:
    """A quoted word or phrase, with or without a column before it, as a tsquery; "" if there is no word in it."""
    found = _QUERY.fullmatch(quoted)
    if found is None or found["words"] is None:
        raise ValueError(f"{quoted!r} is no word of a query")
    (words,) = _splitter().split([(found["words"].replace('""', '"'), None)])
    in_order = [word for word, _, _ in sorted(words, key=lambda one: one[2])]
    if any(len(word.encode()) > LONGEST for word in in_order):
        return ""
    return " <-> ".join(f"{_quoted(word)}{_COLUMNS[found['column']]}" for word in in_order)


def parsed(match: str) -> tuple[str, list[str]]:
    """A query of FTS5 as a tsquery, and its phrases, each as often as it stands in it.

    It may have quoted words and phrases, columns before them, OR, AND and brackets: all that Scholion writes.
    The tsquery is "" where nothing can be found.
    """
    parts, at = [], 0
    while at < len(match.rstrip()):
        found = _QUERY.match(match, at)
        if found is None:
            raise ValueError(f"this query cannot be read: {match!r}")
        parts.append(found["sign"] or found.group().strip())
        at = found.end()
    query = _Reader(parts).read()
    return query, [part for part in parts if part.endswith('"') and as_phrase(part)]


class _Reader:
    """Reads the parts of a query; words that are none are passed over, as FTS5 does."""

    def __init__(self, parts: list[str]) -> None:
        self._parts = parts[::-1]

    def read(self) -> str:
        """The whole query."""
        query = self._joined("OR")
        if self._parts:
            raise ValueError(f"this query has a part too many: {self._parts[-1]}")
        return query

    def _joined(self, sign: str) -> str:
        found = [self._one() if sign == "AND" else self._joined("AND")]
        while self._parts and self._parts[-1] == sign:
            self._parts.pop()
            found.append(self._one() if sign == "AND" else self._joined("AND"))
        said = [one for one in found if one]
        return f"({(' | ' if sign == 'OR' else ' & ').join(said)})" if len(said) > 1 else "".join(said)

    def _one(self) -> str:
        part = self._parts.pop() if self._parts else ""
        if part == "(":
            query = self._joined("OR")
            if not self._parts or self._parts.pop() != ")":
                raise ValueError("a bracket of this query is not closed")
            return query
        phrase = as_phrase(part)
        return f"({phrase})" if "<->" in phrase else phrase


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
