"""The word index in Postgres: its own full-text search (tsvector, GIN) finds, and BM25 as in FTS5 ranks.

The words are those that FTS5 finds (`ingest.word_tokens`). `ts_rank_cd` for one word or phrase adds up the weights of
its places, which is what BM25 calls its frequency. The weights are half of those in `schema`: none may exceed 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest.bm25 import K1, B, rarity
from ingest.schema import UNFINISHED
from ingest.word_index import ENOUGH, WordIndex
from ingest.word_tokens import as_phrase, as_vectors, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest.paper import Chunk

DEEPEST = 2500
"""Maximum matches ranked in the whole library to find those of a large scope among them; those of a smaller one are
looked for by their rows."""

SCHEMA = """
CREATE TABLE words (
    row int8 PRIMARY KEY REFERENCES chunks(row) ON DELETE CASCADE, lexemes tsvector NOT NULL, size integer NOT NULL);
CREATE INDEX words_by_lexeme ON words USING gin (lexemes);
CREATE INDEX words_by_size ON words (size);
"""

BATCH = 500
"""Chunks that are split into words at once."""

_ADD = "INSERT INTO words SELECT row, ?::text::tsvector, ? FROM chunks WHERE id = ?"
_SAID = "unnest(?::int8[], ?::text[], ?::int[]) AS said(row, lexemes, size)"
_BEST = f"""
    WITH asked AS MATERIALIZED (
        SELECT phrase::tsquery AS phrase, idf FROM unnest(?::text[], ?::float8[]) AS asked(phrase, idf))
    SELECT c.id, best.score FROM (
        SELECT w.row, (
            SELECT sum(idf * (f * {K1 + 1}) / (f + {K1} * (1 - {B} + {B} * w.size / ?::float8)))
            FROM (SELECT phrase, idf FROM asked WHERE w.lexemes @@ phrase OFFSET 0) AS there,
                LATERAL (SELECT 2 * ts_rank_cd('{{0.5, 0.5, 0.5, 1}}', w.lexemes, phrase) AS f) AS counted) AS score
        FROM (SELECT * FROM words SCOPE) AS w
        WHERE w.lexemes @@ ?::text::tsquery AND w.row NOT IN (SELECT row FROM chunks WHERE paper_id IN {UNFINISHED})
        ORDER BY score DESC, w.row LIMIT ?) AS best JOIN chunks c USING (row) ORDER BY best.score DESC, c.id
"""  # noqa: S608 constant text
_OF = "ARRAY(SELECT row FROM chunks WHERE paper_id IN (SELECT unnest(?::text[])))"
_FEW = f"WHERE row = ANY({_OF}) OFFSET 0"
"""Reads the rows of the scope, then looks for the words there, which are few; else the index of the words is asked."""
_MANY = f"WHERE row = ANY({_OF})"


class PostgresWords(WordIndex):
    """A table with the words of each chunk."""

    _changed: int | None = None
    """The version of the catalogue for which words were counted."""

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Take in chunks that were just stored, inside the open transaction."""
        vectors = as_vectors([(chunk.text, chunk.section) for chunk in chunks])
        self._db().executemany(_ADD, [(*vector, chunk.id) for vector, chunk in zip(vectors, chunks, strict=True)])

    def mend(self) -> bool:
        """Compare the index with the chunks and make it anew if they differ; return whether they did."""
        if self._is_whole():
            return False
        with self._db() as db:
            db.execute("DELETE FROM words")
            self.fill()
        return True

    def fill(self) -> None:
        """Take in all chunks, none of which is in it, inside the open transaction."""
        for rows in self._chunks():
            vectors = as_vectors([row[1:] for row in rows])
            said = [row[0] for row in rows], [vector for vector, _ in vectors], [size for _, size in vectors]
            self._db().execute(f"INSERT INTO words SELECT row, lexemes::tsvector, size FROM {_SAID}", said)  # noqa: S608 constant text
        self.forget()

    def clear(self) -> None:
        """The words went with their chunks; Postgres overwrites their bytes when it uses the space again."""

    def _is_whole(self) -> bool:
        same = f"SELECT count(*) FROM {_SAID} JOIN words w USING (row) WHERE w.lexemes = said.lexemes::tsvector"  # noqa: S608 constant text
        for rows in self._chunks():
            vectors = as_vectors([row[1:] for row in rows])
            said = [row[0] for row in rows], [vector for vector, _ in vectors], [size for _, size in vectors]
            if self._db().execute(f"{same} AND w.size = said.size", said).fetchone()[0] != len(rows):
                return False
        return True

    def _chunks(self) -> Iterator[list[Any]]:
        after, query = -1, "SELECT row, text, section FROM chunks WHERE row > ? ORDER BY row LIMIT ?"
        while rows := self._db().execute(query, (after, BATCH)).fetchall():
            yield rows
            after = rows[-1][0]

    def _best_of_all(self, match: str, k: int) -> list[tuple[str, float]]:
        return self._best(match, k, None)

    def _best_in(self, match: str, k: int, paper_ids: Sequence[str]) -> list[tuple[str, float]]:
        return self._best(match, k, paper_ids)

    _best_of_few = _best_in

    def _best_of_many(self, match: str, k: int, n: int, paper_ids: Sequence[str]) -> list[tuple[str, float]]:
        """The k best of these papers, among the best of all if enough of them are there."""
        best, inside = self._pruned(match), set(paper_ids)
        depth = k + 2 * k * self.n_with("") // n
        if depth <= DEEPEST:
            hits = self._best_of_all(best, depth)
            found = [hit for hit in hits if hit[0].partition(":")[0] in inside]
            if len(hits) < depth or (len(found) >= k and found[k - 1][1] > hits[-1][1]):
                return found[:k]
        return self._best_in(best, k, paper_ids)

    def _best(self, match: str, k: int, paper_ids: Sequence[str] | None) -> list[tuple[str, float]]:
        query, phrases = parsed(match)
        if not query:
            return []
        total = self.n_with("")
        idf = [rarity(self.n_with(phrase), total) for phrase in phrases]
        wanted = [as_phrase(phrase) for phrase in phrases]
        scope, within = ((), "") if paper_ids is None else ((list(paper_ids),), _MANY)
        if paper_ids is not None and self._kept.n_chunks(paper_ids) < ENOUGH:
            within = _FEW
        rows = self._db().execute(_BEST.replace("SCOPE", within), (wanted, idf, self._mean_size(), *scope, query, k))
        return [(row[0], float(row[1])) for row in rows]

    def _newest(self) -> int | None:
        row, changed = self._db().execute("SELECT (SELECT max(row) FROM chunks), changed FROM catalogue").fetchone()
        if changed != self._changed:  # another process may have removed chunks
            self._changed = changed
            self.forget()
        return None if row is None else int(row)

    def _count(self, word: str) -> int:
        if not word:
            return int(self._db().execute("SELECT count(*) FROM chunks").fetchone()[0])
        found = self._db().execute("SELECT count(*) FROM words WHERE lexemes @@ ?::text::tsquery", (parsed(word)[0],))
        return int(found.fetchone()[0])

    def _mean_size(self) -> float:
        """Words of a chunk on average; kept beside the frequencies, until a chunk is added or `forget`."""
        total, known = self.n_with(""), self._frequencies[1]
        if _SIZE not in known:
            known[_SIZE] = int(self._db().execute("SELECT coalesce(sum(size), 0) FROM words").fetchone()[0])
        return known[_SIZE] / max(1, total) or 1.0


_SIZE = "all words"
"""Stands for no word in the frequencies: a word of a query is in quotation marks."""
