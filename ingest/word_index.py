"""The word index: which chunks a lexical search finds, and the highest possible score."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import TYPE_CHECKING

import numpy as np

from ingest.bm25 import K1, rarity
from ingest.schema import UNFINISHED
from ingest.scope_words import ScopeWords, varints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.connection import Connection
    from ingest.kept import Kept
    from ingest.paper import Chunk

ENOUGH = 3000
"""Matches of a query's rarer words that a lexical search looks at: what it takes does not grow with the library any
more. SciFact's 809 train questions among 100,000 chunks: nDCG@10 .654, with all words .652 (docs/log.md)."""

COUNTED = 100_000
"""Matches that such a query may have in all, those of its rarest words first: FTS5 counts them for each question."""

MANY = 200_000
"""Chunks of a library from which on nothing may take time that grows with it: a word in more than `FEW` chunks is
counted in samples, and a small scope has words of its own (`ScopeWords`)."""

ENOUGH_OF_MANY = 2000
"""`ENOUGH` in such a library, where each match takes longer to rank; nDCG@10 .651 (docs/log.md)."""

FEW, WINDOWS, WINDOW = 10_000, 20, 5000
"""The samples: so many ranges of so many chunks, evenly spread. 3 % off for a word in one of a hundred chunks."""

RANKED = 5000
"""Chunks that a question of common words alone may find in such a library; a chunk takes 2.4 µs to rank. If even the
words that it needs together find more ("dataset", "used"), they are everywhere, and meaning should decide."""

LEAST = 200
"""Chunks that must have several words together if only those with all of them are to be looked at."""

COMMON = 0.1
"""Words in more than this share of the chunks are left out of a query that is cut to its rarer words: to count them
took half of the time, and nDCG@10 stays the same."""

REMEMBERED = 50_000
"""Maximum number of words whose frequency is cached."""


class WordIndex:
    """The FTS5 table of the chunks of finished papers."""

    def __init__(self, connection: Callable[[], Connection], kept: Kept, version: Callable[[], int | None]) -> None:
        self._db, self._kept = connection, kept
        self._scopes = ScopeWords(connection, version)
        self.forget()

    def forget(self) -> None:
        """Count and read again; chunks were removed, or the connections closed."""
        self._frequencies: tuple[int | None, dict[str, int]] = (None, {})
        self._scopes.forget()

    def search(self, match: str, k: int, *, paper_ids: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k best chunks for an FTS5 query as (id, BM25 score), higher is better.

        In a large library a query of words joined by OR looks only at chunks with one of its rarer words, of which
        there are about `ENOUGH`; the others still count there, but for those that are `COMMON`. Scores of two queries
        can be compared as parts of `highest_score`.
        """
        if paper_ids is None:
            return self._best_of_all(self._pruned(match), k)
        if not (n := self._kept.n_chunks(paper_ids)):
            return []
        return self._best_of_few(match, k, paper_ids) if n < ENOUGH else self._best_of_many(match, k, n, paper_ids)

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Take in chunks that were just stored, inside the open transaction; here, a trigger has done it."""

    def mend(self) -> bool:
        """Compare the index with the chunks and make it anew if they differ; return whether they did."""
        try:
            with self._db() as db:
                db.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            with self._db() as db:
                db.execute("INSERT INTO words(words) VALUES ('rebuild')")
            return True
        return False

    def clear(self) -> None:
        """Leave no word of what was removed: until it is merged, FTS5 only hides a word."""
        with self._db() as db:
            db.execute("INSERT INTO words(words) VALUES ('optimize')")

    def _best_of_few(self, match: str, k: int, paper_ids: Sequence[str]) -> list[tuple[str, float]]:
        words = match.split(" OR ")
        total = self.n_with("")
        if total < MANY or not _are_words(words):
            return self._best_in(match, k, paper_ids)
        rare = [(word, rarity(self.n_with(word), total)) for word in words]
        rows, *sizes = self._totals()
        return self._scopes.search(rare, k, paper_ids=paper_ids, mean_size=sum(sizes) / rows)

    def _best_in(self, match: str, k: int, paper_ids: Sequence[str]) -> list[tuple[str, float]]:
        scope = json.dumps(list(paper_ids))
        low, high = (
            self._db()
            .execute(
                "SELECT min(row), max(row) FROM chunks WHERE paper_id IN (SELECT value FROM json_each(?))", (scope,)
            )
            .fetchone()
        )
        rows = self._db().execute(
            # the range makes one paper fast; without the + FTS5 would begin anew at each row of the scope
            "SELECT c.id, w.score FROM (SELECT rowid AS row, -rank AS score FROM words "  # noqa: S608 constant text
            "WHERE words MATCH ? AND rowid BETWEEN ? AND ? AND +rowid IN (SELECT row FROM chunks "
            f"WHERE paper_id IN (SELECT value FROM json_each(?)) AND paper_id NOT IN {UNFINISHED}) "
            "ORDER BY score DESC, rowid LIMIT ?) w JOIN chunks c USING (row) ORDER BY w.score DESC, c.id",
            (match, low, high, scope, k),
        )
        return [(row[0], float(row[1])) for row in rows]

    def _best_of_many(self, match: str, k: int, _: int, paper_ids: Sequence[str]) -> list[tuple[str, float]]:
        """The k best of these papers.

        The scope is not named to SQLite, which would look up each of its chunks: what the query finds in all is little.
        """
        found = self._db().execute("SELECT rowid, -rank FROM words WHERE words MATCH ?", (self._pruned(match),))
        hits = found.fetchall()
        inside = self._kept.within(paper_ids, np.array([row for row, _ in hits], dtype=np.int64))
        best = sorted((-hits[at][1], hits[at][0]) for at in np.flatnonzero(inside))[:k]
        wanted = json.dumps([row for _, row in best])
        query = "SELECT row, id FROM chunks WHERE row IN (SELECT value FROM json_each(?))"
        names = dict(self._db().execute(query, (wanted,)).fetchall())
        ordered = sorted((score, names[row]) for score, row in best if row in names)
        return [(name, -score) for score, name in ordered]

    def _best_of_all(self, match: str, k: int) -> list[tuple[str, float]]:
        unfinished = self._db().execute(f"SELECT count(*) FROM chunks WHERE paper_id IN {UNFINISHED}").fetchone()[0]  # noqa: S608 constant text
        rows = self._db().execute(
            # the best first, and only then their chunks: a join with every match took twice the time
            "SELECT c.id, -w.rank FROM (SELECT rowid AS row, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?)"  # noqa: S608
            f" w JOIN chunks c USING (row) WHERE c.paper_id NOT IN {UNFINISHED} ORDER BY w.rank, c.id LIMIT ?",
            (match, k + unfinished, k),
        )
        return [(row[0], float(row[1])) for row in rows]

    def is_everywhere(self, match: str, *, paper_ids: Sequence[str] | None = None) -> bool:
        """Whether the words are in so many chunks of a very large library that to rank them takes too long."""
        if self.n_with("") < MANY or not _are_words(words := match.split(" OR ")):
            return False
        there = [n for word in words if (n := self.n_with(word))]
        if not there or min(there) <= 2 * ENOUGH_OF_MANY:
            return False
        few = paper_ids is not None and self._kept.n_chunks(paper_ids) < ENOUGH
        return not few and self.n_with(self._pruned(match)) >= RANKED

    def _pruned(self, match: str) -> str:
        """The query with the condition that one of its rarest words occurs, those with `ENOUGH` matches in all."""
        words = match.split(" OR ")
        if not _are_words(words):
            return match
        counts = {word: self.n_with(word) for word in words}
        rarest, total = [], 0
        large = self.n_with("") >= MANY
        enough = ENOUGH_OF_MANY if large else ENOUGH
        in_order = sorted(words, key=lambda word: counts[word])
        common = 2 * ENOUGH_OF_MANY if large else FEW
        if (there := [word for word in in_order if counts[word]]) and counts[there[0]] > common:
            return self._all_common(there, enough)
        for word in in_order:
            if total and total + counts[word] > enough:
                break
            rarest.append(word)
            total += counts[word]
        if len(rarest) == len(words):
            return match
        most, kept = COMMON * (self._frequencies[0] or 0), set(rarest)
        for word in in_order:
            if word not in kept and counts[word] <= most and total + counts[word] <= COUNTED:
                kept.add(word)
                total += counts[word]
        scored = [word for word in words if word in kept]
        return f"({' OR '.join(rarest)}) AND ({' OR '.join(scored)})"

    def _all_common(self, words: Sequence[str], enough: int) -> str:
        """A query for chunks that have several of these words, the rarest first, if there are enough such chunks."""
        query = words[0]
        for word in words[1:]:
            if self.n_with(query) < enough or self.n_with(word) > COUNTED:
                break
            if self.n_with(f"{query} AND {word}") < LEAST:
                break
            query = f"{query} AND {word}"
        return query

    def highest_score(self, match: str, *, paper_ids: Sequence[str] | None = None) -> float:
        """The BM25 score that no chunk can exceed in a search for words joined by OR; 0 where there are no words.

        Each word's inverse document frequency times k1 + 1, as often as the word stands in the query that is run.
        """
        few = paper_ids is not None and self._kept.n_chunks(paper_ids) < ENOUGH
        words = re.findall(r'"[^"]*"', match if few else self._pruned(match))
        total = self.n_with("")
        counts = [self.n_with(word) for word in words]
        return (K1 + 1) * sum(rarity(n, total) for n in counts)

    def n_with(self, word: str) -> int:
        """In how many chunks a word or phrase occurs, or how many there are; cached until one is added or `forget`."""
        newest = self._newest()
        known = self._frequencies
        if known[0] != newest or len(known[1]) > REMEMBERED:
            known = self._frequencies = (newest, {})  # replaced in one step: another thread may be reading the old one
        if word not in known[1]:
            known[1][word] = self._count(word)
        return known[1][word]

    def _newest(self) -> int | None:
        """The row of the chunk that was added last."""
        row: int | None = self._db().execute("SELECT max(row) FROM chunks").fetchone()[0]
        return row

    def _count(self, word: str) -> int:
        db, last = self._db(), self._frequencies[0] or 0
        count = "SELECT count(*) FROM words WHERE words MATCH ?" if word else "SELECT count(*) FROM chunks"
        if last < MANY:
            return int(db.execute(count, (word,) if word else ()).fetchone()[0])
        if not word:
            return self._totals()[0]
        some = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
        if (n := int(db.execute(some, (word, FEW)).fetchone()[0])) < FEW:
            return n
        starts = range(1, last, -(-last // WINDOWS))
        found = sum(
            int(db.execute(f"{count} AND rowid BETWEEN ? AND ?", (word, start, start + WINDOW - 1)).fetchone()[0])
            for start in starts
        )
        return max(FEW, found * last // (len(starts) * WINDOW))

    def _totals(self) -> list[int]:
        """How many chunks there are, and the words of each column: FTS5 has them in a record of its own."""
        return varints(self._db().execute("SELECT block FROM words_data WHERE id = 1").fetchone()[0])


def _are_words(words: Sequence[str]) -> bool:
    """Whether these parts of a query are just words and phrases."""
    return all(re.fullmatch(r'"[^"]*"', word) for word in words)
