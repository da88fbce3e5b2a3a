"""The catalogue: one folder with the papers, and SQLite tables for papers, pages, chunks and words.

SQLite is the truth; the vector index is built from it and repaired from it. A paper is there when `finished_at`
is set, and that is written last. Any process may read; whoever writes, or opens Chroma, must own the library.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from filelock import FileLock, Timeout

from ingest import files, folder, ledger, tags
from ingest.errors import LibraryBusyError, LibraryMismatchError, StorageError, UnknownPaperError
from ingest.paper import Chunk, Page, Paper, ParsedPaper
from ingest.trouble import in_words
from ingest.vectors import ChromaIndex, ExactIndex, VectorIndex, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ingest.embed import Embedder, Vectors
    from ingest.settings import IngestSettings

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS papers (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, authors TEXT NOT NULL, year INTEGER, doi TEXT,
    arxiv_id TEXT, abstract TEXT, n_pages INTEGER NOT NULL, file_name TEXT NOT NULL,
    report TEXT, refs TEXT, added_at TEXT NOT NULL, finished_at TEXT);
CREATE TABLE IF NOT EXISTS rebuilt (
    id TEXT PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE, embedder TEXT NOT NULL, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pages (
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (paper_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    paper_id TEXT NOT NULL REFERENCES papers(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    text TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    first_page INTEGER NOT NULL, last_page INTEGER NOT NULL, section TEXT, n_tokens INTEGER NOT NULL,
    vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_of_paper ON chunks(paper_id, ordinal);
CREATE INDEX IF NOT EXISTS unfinished ON papers(id) WHERE finished_at IS NULL;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    text, section, content='chunks', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2');
INSERT INTO words(words, rank) VALUES ('rank', 'bm25(1.0, 2.0)');
CREATE TRIGGER IF NOT EXISTS chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO words(rowid, text, section) VALUES (new.row, new.text, new.section); END;
CREATE TRIGGER IF NOT EXISTS chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO words(words, rowid, text, section) VALUES ('delete', old.row, old.text, old.section); END;
"""
# A word of the section's heading counts as two in the text: on QASPER train better than one or none (docs/log.md).

_FROM_1_TO_2 = """
ALTER TABLE papers ADD COLUMN arxiv_id TEXT;
ALTER TABLE papers ADD COLUMN abstract TEXT;
ALTER TABLE papers ADD COLUMN report TEXT;
ALTER TABLE papers ADD COLUMN refs TEXT;
"""

_FROM_2_TO_3 = """
DROP TRIGGER chunk_added;
DROP TRIGGER chunk_removed;
DROP TABLE words;
"""

_WORDS_AGAIN = "INSERT INTO words(words) VALUES ('rebuild');"

BM25_K1 = 1.2
"""SQLite's own: k1 of its BM25, by which no word can score more than its weight times k1 + 1."""

ENOUGH = 3000
"""Matches of a query's rarer words that a lexical search looks at: what it takes does not grow with the library any
more. SciFact's 809 train questions among 100,000 chunks: nDCG@10 .654, with all words .652 (docs/log.md)."""

COMMON = 0.1
"""Words in more than this share of the chunks are left out of a query that is cut to its rarer words: to count them
took half of the time, and nDCG@10 stays the same."""

REMEMBERED = 50_000
"""Words whose frequency is remembered at most."""

_UNFINISHED = "(SELECT id FROM papers WHERE finished_at IS NULL)"
"""Nearly always empty, and an index knows it: cheaper than to read the row of each chunk's paper."""

_UNFINISHED_COPY = re.compile(r"[0-9a-f]{16}\.partial")

_CHUNK = 'c.id, c.paper_id, c.ordinal, c.text, c.start, c."end", c.first_page, c.last_page, c.section, c.n_tokens'
_PAPER = "id, title, authors, year, doi, arxiv_id, abstract, n_pages, file_name"


@dataclass(frozen=True, slots=True)
class Problem:
    """A disagreement that `verify` found, and whether it is mended."""

    paper_id: str | None
    what: str
    repaired: bool


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly."""


class Library:
    """One folder of papers. Safe to use from several threads; see the module for several processes."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self.folder = settings.library.expanduser().resolve()
        self._papers = self.folder / "papers"
        self._threads = threading.local()
        self._connections: WeakSet[_Connection] = WeakSet()  # a thread's connection goes when the thread does
        self._guard = threading.RLock()
        self.one_ingest = threading.Lock()
        """Held by the one run of `Ingest` that is at work."""
        self._owner = FileLock(self.folder / "owner.lock", mode=0o600, thread_local=False)
        self._recovered = False
        self.ledger = ledger.Ledger(lambda: self._db)
        self._tags = tags.Tags(lambda: self._db)
        self._vectors: VectorIndex | None = None
        self._frequencies: tuple[int | None, dict[str, int]] = (None, {})
        try:
            folder.prepare(self.folder)
            self._open_catalogue()
        except (sqlite3.Error, OSError) as error:
            self.close()
            said = in_words(error) or StorageError(f"The library cannot be opened: {error}.")
            raise type(said)(f"{said.message.rstrip('.')} ({self.folder}).", said.hint) from error

    def _open_catalogue(self) -> None:
        with self._db as db:
            db.execute("PRAGMA journal_mode=WAL")
            version = _version(db)
            if version > SCHEMA_VERSION:
                raise LibraryMismatchError(
                    f"The library {self.folder} was written by a newer Scholion.", "Update Scholion and start it again."
                )
            if version < SCHEMA_VERSION:
                db.execute("BEGIN IMMEDIATE")
                version = _version(db)  # read again: another process may have been faster
                older = (_FROM_1_TO_2 if version == 1 else "") + (_FROM_2_TO_3 if version in (1, 2) else "")
                newer = _WORDS_AGAIN if version in (1, 2) else ""
                for statement in _statements(older + _SCHEMA + ledger.SCHEMA + tags.SCHEMA + newer):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def papers(self, ids: Iterable[str] | None = None) -> list[Paper]:
        """All finished papers, or those among `ids`, in the order in which they were added."""
        query = f"SELECT {_PAPER} FROM papers WHERE finished_at IS NOT NULL"  # noqa: S608 constant columns
        if ids is None:
            return [_paper(row) for row in self._db.execute(f"{query} ORDER BY added_at, id")]
        query += " AND id IN (SELECT value FROM json_each(?)) ORDER BY added_at, id"
        return [_paper(row) for row in self._db.execute(query, (json.dumps(list(ids)),))]

    def paper(self, paper_id: str) -> Paper:
        """The paper with this id, or with the only id that begins so (at least 4 characters).

        Raises:
            UnknownPaperError: there is none.
        """
        found = [p for p in self.papers() if p.id == paper_id or (len(paper_id) >= 4 and p.id.startswith(paper_id))]
        if len(found) != 1:
            raise UnknownPaperError(
                f"There is no paper with the id {paper_id!r} in this library.",
                "`python -m ingest list` shows the ids.",
            )
        return found[0]

    def pages(self, paper_id: str) -> list[Page]:
        """The pages of a paper, in order."""
        rows = self._db.execute("SELECT number, text FROM pages WHERE paper_id = ? ORDER BY number", (paper_id,))
        return [Page(*row) for row in rows]

    def report(self, paper_id: str) -> dict[str, Any] | None:
        """How well the paper could be read: the fields of `QualityReport`; None for papers of older versions."""
        row = self._db.execute("SELECT report FROM papers WHERE id = ?", (paper_id,)).fetchone()
        return json.loads(row[0]) if row and row[0] else None

    def references(self, paper_id: str) -> list[str]:
        """The entries of the paper's reference list; they are kept, but not searched."""
        row = self._db.execute("SELECT refs FROM papers WHERE id = ?", (paper_id,)).fetchone()
        return json.loads(row[0]) if row and row[0] else []

    def tags(self) -> dict[str, list[str]]:
        """The ids of the papers that carry each tag, tags by name."""
        return self._tags.all()

    def tags_of(self, paper_id: str) -> list[str]:
        """The tags of one paper, by name."""
        return self._tags.of(paper_id)

    def tagged(self, tag: str) -> list[Paper]:
        """The papers that carry a tag; upper and lower case are the same.

        Raises:
            TagError: no paper carries it.
        """
        ids = set(self._tags.all()[self._tags.known(tag)])
        return [paper for paper in self.papers() if paper.id in ids]

    def n_chunks(self, paper_id: str | None = None) -> int:
        """How many chunks a paper has, or the whole library."""
        if paper_id is None:
            return self._n_with("")
        return int(self._db.execute("SELECT count(*) FROM chunks WHERE paper_id = ?", (paper_id,)).fetchone()[0])

    def chunk(self, chunk_id: str) -> Chunk | None:
        """The chunk with this id, or None."""
        return self.chunks([chunk_id]).get(chunk_id)

    def chunks(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """The chunks of finished papers among `ids`, by id."""
        rows = self._db.execute(
            f"SELECT {_CHUNK} FROM chunks c "  # noqa: S608 constant columns
            f"WHERE c.paper_id NOT IN {_UNFINISHED} AND c.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return {row[0]: Chunk(**dict(zip(Chunk.__slots__, row, strict=True))) for row in rows}

    def chunk_ids(self, paper_ids: Sequence[str] | None = None) -> list[str]:
        """The ids of all chunks of finished papers, or of these papers."""
        # by the beginnings of the ids: their index has all that is needed, and no row with text and vector is read
        query = (
            "SELECT c.id FROM papers p CROSS JOIN chunks c ON c.id > p.id || ':' AND c.id < p.id || ';' "  # noqa: S608
            f"WHERE p.id NOT IN {_UNFINISHED}"
        )
        if paper_ids is None:
            return [row[0] for row in self._db.execute(query)]
        query += " AND p.id IN (SELECT value FROM json_each(?))"
        return [row[0] for row in self._db.execute(query, (json.dumps(list(paper_ids)),))]

    def search_words(self, match: str, k: int, *, paper_ids: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k best chunks for an FTS5 query as (id, BM25 score), higher is better.

        In a large library a query of words joined by OR looks only at chunks with one of its rarer words, of which
        there are about `ENOUGH`; the others still count there, but for those that are `COMMON`. Scores of two queries
        can be compared as parts of `highest_score`.
        """
        if paper_ids is None:
            return self._best_of_all(self._pruned(match), k)
        scope = json.dumps(list(paper_ids))
        low, high, n = self._db.execute(
            "SELECT min(row), max(row), count(*) FROM chunks WHERE paper_id IN (SELECT value FROM json_each(?))",
            (scope,),
        ).fetchone()
        if not n:
            return []
        rows = self._db.execute(
            # the range makes one paper fast; without the + FTS5 would begin anew at each row of the scope
            "SELECT c.id, w.score FROM (SELECT rowid AS row, -rank AS score FROM words "  # noqa: S608 constant text
            "WHERE words MATCH ? AND rowid BETWEEN ? AND ? AND +rowid IN (SELECT row FROM chunks "
            f"WHERE paper_id IN (SELECT value FROM json_each(?)) AND paper_id NOT IN {_UNFINISHED}) "
            "ORDER BY score DESC, rowid LIMIT ?) w JOIN chunks c USING (row) ORDER BY w.score DESC, c.id",
            (match if n < ENOUGH else self._pruned(match), low, high, scope, k),
        )
        return [(row[0], float(row[1])) for row in rows]

    def _best_of_all(self, match: str, k: int) -> list[tuple[str, float]]:
        unfinished = self._db.execute(f"SELECT count(*) FROM chunks WHERE paper_id IN {_UNFINISHED}").fetchone()[0]  # noqa: S608 constant text
        rows = self._db.execute(
            # the best first, and only then their chunks: a join with every match took twice the time
            "SELECT c.id, -w.rank FROM (SELECT rowid AS row, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?)"  # noqa: S608
            f" w JOIN chunks c USING (row) WHERE c.paper_id NOT IN {_UNFINISHED} ORDER BY w.rank, c.id LIMIT ?",
            (match, k + unfinished, k),
        )
        return [(row[0], float(row[1])) for row in rows]

    def _pruned(self, match: str) -> str:
        """The query with a condition that one of its rarest words is there, those with `ENOUGH` matches in all."""
        words = match.split(" OR ")
        if not all(re.fullmatch(r'"[^"]*"', word) for word in words):
            return match  # more than words joined by OR
        counts = {word: self._n_with(word) for word in words}
        rarest, total = [], 0
        for word in sorted(words, key=lambda word: counts[word]):
            if total and total + counts[word] > ENOUGH:
                break
            rarest.append(word)
            total += counts[word]
        if len(rarest) == len(words):
            return match
        most = COMMON * (self._frequencies[0] or 0)
        kept = [word for word in words if word in rarest or counts[word] <= most]
        return f"({' OR '.join(rarest)}) AND ({' OR '.join(kept)})"

    def highest_score(self, match: str, *, paper_ids: Sequence[str] | None = None) -> float:
        """The BM25 score that no chunk can exceed in a search for words joined by OR; 0 where there are no words.

        Each word's inverse document frequency ln((N - n + 0.5) / (n + 0.5)), at least 1e-6, times k1 + 1 (Robertson and
        Zaragoza 2009, as in SQLite's FTS5), as often as the word stands in the query that is run.
        """
        few = paper_ids is not None and sum(map(self.n_chunks, paper_ids)) < ENOUGH
        words = re.findall(r'"[^"]*"', match if few else self._pruned(match))
        total = self._n_with("")
        counts = [self._n_with(word) for word in words]
        return (BM25_K1 + 1) * sum(max(1e-6, math.log((total - n + 0.5) / (n + 0.5))) for n in counts)

    def _n_with(self, word: str) -> int:
        """In how many chunks a word or phrase stands, or how many there are; remembered until a chunk is added."""
        newest = self._db.execute("SELECT max(row) FROM chunks").fetchone()[0]
        known = self._frequencies
        if known[0] != newest or len(known[1]) > REMEMBERED:
            known = self._frequencies = (newest, {})  # replaced as one: another thread may be reading the old one
        if word not in known[1]:
            query = "SELECT count(*) FROM words WHERE words MATCH ?" if word else "SELECT count(*) FROM chunks"
            known[1][word] = self._db.execute(query, (word,) if word else ()).fetchone()[0]
        return known[1][word]

    def vectors_of(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The stored vectors of these chunks, each of shape (dimension,), float32."""
        rows = self._db.execute(
            "SELECT id, vector FROM chunks WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
        )
        return {row[0]: np.frombuffer(row[1], dtype=np.float32) for row in rows}

    def pdf_path(self, paper_id: str) -> Path:
        """The library's own copy of the PDF."""
        return self._papers / f"{self.paper(paper_id).id}.pdf"

    @property
    def embedder_name(self) -> str | None:
        """The embedder whose vectors are stored, or None while there are none."""
        row = self._db.execute("SELECT value FROM facts WHERE name = 'embedder'").fetchone()
        return row[0] if row else None

    @property
    def vectors(self) -> VectorIndex:
        """Chroma where this process owns or can own the library; else the stored vectors, read once into memory.

        A Chroma server serves every process; only the owner of the library writes to it.

        Raises:
            VectorServerError: the Chroma server does not answer.
        """
        if index := self._vectors:
            return index  # without the lock, which an add holds for as long as it writes
        with self._guard:
            if self._vectors is None:
                n = self._db.execute("SELECT count(*) FROM chunks").fetchone()[0]
                if self._try_own():
                    self._vectors = chroma = self._open_chroma()
                    if chroma.count() != n:
                        self._verify_index()  # it lost something, or a crash came before it was told
                elif self.settings.chroma and (chroma := self._open_chroma()).count() == n:
                    self._vectors = chroma
                else:
                    self._vectors = self._exact_index()
            return self._vectors

    # -- owning ------------------------------------------------------------------------------------------------------

    def own(self, *, url: str | None = None, key: str | None = None, seconds: float = 0.0) -> None:
        """Become the one process that writes. Held until `close` or the end of the process, however it ends.

        What a crash of the last owner cut off is completed.

        Args:
            url: where the app answers, for other processes that want to write.
            key: what they must show there.
            seconds: how long to wait for another process to finish.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        with self._guard:
            if not self._try_own(seconds):
                raise LibraryBusyError(*self._owned_by())
            if url:
                self._note_owner(url, key)
            if not self._recovered:
                self._recovered = True
                self._recover()
            if isinstance(self._vectors, ExactIndex):
                self._close_vectors()  # it was read while another process owned the library

    def owner(self) -> dict[str, Any]:
        """What the owning process wrote of itself: "pid", "url" and "key"; empty where nothing is known."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "owner.json").read_text(encoding="utf-8")))
        return {}

    def _note_owner(self, url: str | None, key: str | None) -> None:
        files.write_atomically(self.folder / "owner.json", json.dumps({"pid": os.getpid(), "url": url, "key": key}))

    def _recover(self) -> None:
        """Complete what a crash cut off: papers whose rows are all there, removals; a copy that was cut off goes."""
        for path in self._papers.glob("*.partial"):
            if _UNFINISHED_COPY.fullmatch(path.name):
                path.unlink(missing_ok=True)
        for entry in self.ledger.entries("removing"):
            self._erase(entry.paper_id)
        for entry in self.ledger.entries("failed"):
            self.quarantine(entry.paper_id)
        for (paper_id,) in self._db.execute("SELECT id FROM papers WHERE finished_at IS NULL").fetchall():
            ids = self._stored_ids(paper_id)  # written with the paper's row in one transaction
            rows = self.vectors_of(ids)
            self.vectors.add(ids, np.stack([rows[name] for name in ids]))
            self._finish(paper_id)

    def _try_own(self, seconds: float = 0.0) -> bool:
        if self._owner.is_locked:
            return True
        try:
            self._owner.acquire(timeout=seconds)
        except Timeout:
            return False
        try:
            self._note_owner(None, None)
        except OSError:
            self._owner.release()
            raise
        return True

    def _owned_by(self) -> tuple[str, str]:
        if url := self.owner().get("url"):
            return f"The library is in use by Scholion at {url}.", "Add the paper there, or close it first."
        return "The library is in use by another Scholion command.", "Wait until it has finished and try again."

    # -- writing -----------------------------------------------------------------------------------------------------

    def add(self, parsed: ParsedPaper, chunks: Sequence[Chunk], vectors: Vectors, *, embedder: str, pdf: Path) -> None:
        """Store a paper with everything that belongs to it; the finished mark is written last.

        A paper that is there already is replaced. After a crash in between, adding it again completes it.

        Raises:
            LibraryMismatchError: the library holds vectors of another embedder.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        with self._guard:  # one writer at a time, whatever the number of threads
            self._claim_for(embedder)
            self._store(parsed, chunks, vectors, pdf)

    def _store(self, parsed: ParsedPaper, chunks: Sequence[Chunk], vectors: Vectors, pdf: Path) -> None:
        paper = parsed.paper
        self.keep(pdf, paper.id)
        self.vectors.remove(self._stored_ids(paper.id))
        with self._db as db:
            kept_tags = self._tags.of(paper.id)
            db.execute("DELETE FROM chunks WHERE paper_id = ?", (paper.id,))  # fires the trigger; REPLACE would not
            db.execute("DELETE FROM papers WHERE id = ?", (paper.id,))
            values = {**asdict(paper), "authors": json.dumps(paper.authors), "now": _now()}
            values |= {"report": json.dumps(asdict(parsed.report)) if parsed.report else None}
            values |= {"refs": json.dumps(parsed.references)}
            db.execute(
                f"INSERT INTO papers ({_PAPER}, report, refs, added_at) VALUES "  # noqa: S608 constant columns
                f"({', '.join(':' + name for name in _PAPER.split(', '))}, :report, :refs, :now)",
                values,
            )
            self._tags.put_back(paper.id, kept_tags)
            db.executemany("INSERT INTO pages VALUES (?, ?, ?)", [(paper.id, p.number, p.text) for p in parsed.pages])
            db.executemany(
                'INSERT INTO chunks (id, paper_id, ordinal, text, start, "end", first_page, last_page, section, '
                "n_tokens, vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*asdict(chunk).values(), np.asarray(vector, dtype=np.float32).tobytes())
                    for chunk, vector in zip(chunks, vectors, strict=True)
                ],
            )
        self.vectors.add([chunk.id for chunk in chunks], vectors)
        self._finish(paper.id)

    def check_embedder(self, embedder: str) -> None:
        """Raise LibraryMismatchError where the stored vectors are another embedder's: they cannot be compared."""
        if (known := self.embedder_name) not in (None, embedder):
            raise LibraryMismatchError(
                f"This library was built with {known}, not with {embedder}.",
                "Set SCHOLION_EMBEDDER back, or run `python -m ingest rebuild` with the new one.",
            )

    def _claim_for(self, embedder: str) -> None:
        """The first paper decides whose vectors the library holds."""
        self.check_embedder(embedder)
        if self.embedder_name is None:
            with self._db as db:
                db.execute("INSERT INTO facts VALUES ('embedder', ?)", (embedder,))
            self._close_vectors()  # the collection's name carries the embedder

    def _finish(self, paper_id: str) -> None:
        with self._db as db:
            db.execute("UPDATE papers SET finished_at = ? WHERE id = ?", (_now(), paper_id))
            self.ledger.set(paper_id, "finished")

    def kept_path(self, paper_id: str) -> Path:
        """Where the library's own copy of a file is, or will be, whether or not the paper is finished."""
        return self._papers / f"{paper_id}.pdf"

    def quarantine_path(self, paper_id: str) -> Path:
        """Where the copy of a PDF that could not be read is kept."""
        return self.folder / "quarantine" / f"{paper_id}.pdf"

    def quarantine(self, paper_id: str) -> None:
        """Move the copy of a PDF that could not be read out of the way, so that it can be tried again."""
        target = self.quarantine_path(paper_id)
        if self.kept_path(paper_id).is_file():
            folder.made(target.parent)
            self.kept_path(paper_id).replace(target)

    def keep(self, pdf: Path, paper_id: str) -> None:
        """Make the library's own copy of a PDF; whole or not at all."""
        target = self.kept_path(paper_id)
        if target.is_file():
            return
        if pdf == self.quarantine_path(paper_id):
            pdf.replace(target)
            return
        _copy(pdf, target)

    def mend_copy(self, pdf: Path, paper_id: str) -> bool:
        """Make the library's copy again from the user's file where it is missing or changed; whether it was."""
        target = self.kept_path(paper_id)
        if pdf == target or (target.is_file() and _digest(target) == paper_id):
            return False
        _copy(pdf, target)
        return True

    def remove(self, paper_id: str) -> Paper:
        """Remove every trace of a paper and return what it was.

        Raises:
            UnknownPaperError: there is none.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        paper = self.paper(paper_id)
        with self._db as db:  # from here on it is not found any more, even if a crash puts off the rest
            db.execute("UPDATE papers SET finished_at = NULL WHERE id = ?", (paper.id,))
            self.ledger.set(paper.id, "removing")
        self._erase(paper.id)
        return paper

    def describe(self, paper_id: str, **facts: Any) -> Paper:
        """Correct what is known of a paper (title, authors, year, doi, arxiv_id, abstract) and return it as it is now.

        Raises:
            UnknownPaperError: there is none.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        paper = replace(self.paper(paper_id), **facts)
        values = {**asdict(paper), "authors": json.dumps(paper.authors)}
        with self._db as db:
            db.execute(
                "UPDATE papers SET title = :title, authors = :authors, year = :year, doi = :doi, "
                "arxiv_id = :arxiv_id, abstract = :abstract WHERE id = :id",
                values,
            )
        return paper

    def tag(self, paper_ids: Sequence[str], tag: str) -> str:
        """Give papers a tag, and return it as it is spelled in the library. A tag stays when a paper is added again.

        Raises:
            UnknownPaperError: one of them is not there; then none gets it.
            TagError: the tag is empty or too long.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        return self._tags.add([self.paper(paper_id).id for paper_id in paper_ids], tag)

    def untag(self, paper_ids: Sequence[str], tag: str) -> str:
        """Take a tag from papers, and return it as it was spelled. A tag without papers is gone.

        Raises:
            UnknownPaperError: one of them is not there; then none loses it.
            TagError: no paper carries the tag.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        return self._tags.take([self.paper(paper_id).id for paper_id in paper_ids], tag)

    def discard(self, paper_id: str) -> None:
        """Remove the copy and the ledger row of a file that did not become a paper."""
        self.kept_path(paper_id).unlink(missing_ok=True)
        self.quarantine_path(paper_id).unlink(missing_ok=True)
        self.ledger.forget(paper_id)

    def abandon(self, paper_id: str) -> None:
        """Leave nothing of a paper that could not be stored to its end."""
        self._erase_rows(paper_id)
        self.discard(paper_id)

    def _erase_rows(self, paper_id: str) -> None:
        if ids := self._stored_ids(paper_id):
            self.vectors.remove(ids)
        with self._db as db:
            db.execute("DELETE FROM chunks WHERE paper_id = ?", (paper_id,))
            db.execute("DELETE FROM papers WHERE id = ?", (paper_id,))

    def _erase(self, paper_id: str) -> None:
        self._erase_rows(paper_id)
        with self._db as db:
            db.execute("INSERT INTO words(words) VALUES ('optimize')")  # until it is merged, FTS5 only hides a word
        copy = self.kept_path(paper_id)
        folder.remove_side_copies(self.folder, paper_id, copy.stat().st_size if copy.is_file() else None)
        self.discard(paper_id)  # last: while the row says "removing" the next owner carries on
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still has the pages as they were

    # -- another embedder ------------------------------------------------------------------------------------------

    def rebuild(self, embedder: Embedder, *, on_progress: Callable[[int, int], None] | None = None) -> int:
        """Embed all chunks with `embedder` beside the old vectors and swap at the end; the number of chunks.

        Until the swap the library answers as before. Interrupted, it goes on where it was when called again.

        Raises:
            LibraryBusyError: another process owns the library.
            LibraryMismatchError: a chunk is longer than the embedder reads.
        """
        self.own()
        with self._db as db:
            db.execute("DELETE FROM rebuilt WHERE embedder != ?", (embedder.name,))
        todo = self._db.execute(
            "SELECT c.id, c.text FROM chunks c LEFT JOIN rebuilt r ON r.id = c.id WHERE r.id IS NULL ORDER BY c.row"
        ).fetchall()
        total = self._db.execute("SELECT count(*) FROM chunks").fetchone()[0]
        if todo and max(embedder.count_tokens([text for _, text in todo])) > embedder.max_tokens:
            raise LibraryMismatchError(
                f"Some chunks are longer than the {embedder.max_tokens} tokens that {embedder.name} reads.",
                "Add the papers anew to another library folder with this embedder.",
            )
        for start in range(0, len(todo), 64):
            batch = todo[start : start + 64]
            vectors = embedder.embed_documents([text for _, text in batch])
            with self._db as db:
                rows = zip(batch, vectors, strict=True)
                db.executemany(
                    "INSERT INTO rebuilt VALUES (?, ?, ?)",
                    [
                        (name, embedder.name, np.asarray(vector, dtype=np.float32).tobytes())
                        for (name, _), vector in rows
                    ],
                )
            if on_progress:
                on_progress(total - len(todo) + start + len(batch), total)
        self._swap(embedder.name)
        return int(total)

    def _swap(self, embedder: str) -> None:
        """Fill the new collection, then change over in one transaction, then drop the old collection."""
        ids = [row[0] for row in self._db.execute("SELECT id FROM rebuilt ORDER BY id")]
        blobs = self._db.execute("SELECT vector FROM rebuilt ORDER BY id")
        old, fresh = self.vectors, self._chroma(embedder)
        if ids:
            fresh.add(ids, np.stack([np.frombuffer(row[0], dtype=np.float32) for row in blobs]))
        with self._db as db:
            db.execute("UPDATE chunks SET vector = (SELECT r.vector FROM rebuilt r WHERE r.id = chunks.id)")
            db.execute("INSERT OR REPLACE INTO facts VALUES ('embedder', ?)", (embedder,))
            db.execute("DELETE FROM rebuilt")
        self._vectors = fresh
        if isinstance(old, ChromaIndex) and old.name != fresh.name:
            old.drop()
        old.close()

    # -- checking ----------------------------------------------------------------------------------------------------

    def verify(self) -> list[Problem]:
        """Compare tables, vector index and files; mend what can be mended and return everything that was found.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        self.own()
        with self._guard:
            self._recover()
        problems: list[Problem] = []
        for paper in self.papers():
            path = self._papers / f"{paper.id}.pdf"
            if not path.is_file():
                problems.append(
                    Problem(paper.id, f"its PDF {path.name} is missing; add the file again", repaired=False)
                )
            elif _digest(path) != paper.id:
                problems.append(
                    Problem(paper.id, f"its PDF {path.name} has changed; add the file again", repaired=False)
                )
        known = {paper.id for paper in self.papers()} | {e.paper_id for e in self.ledger.entries("failed")}
        for entry in self.ledger.entries():
            if entry.state in ("queued", "parsing", "embedding"):
                known.add(entry.paper_id)
                problems.append(
                    Problem(
                        entry.paper_id,
                        f"{entry.file} is still {entry.state}; `ingest resume` continues",
                        repaired=False,
                    )
                )
            elif entry.state == "finished" and entry.paper_id not in known:
                self.ledger.forget(entry.paper_id)
                problems.append(Problem(entry.paper_id, "the ledger named a paper that is not there", repaired=True))
        problems += self._clear_away(known)
        problems += self._verify_index()
        try:
            with self._db as db:
                db.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            with self._db as db:
                db.execute("INSERT INTO words(words) VALUES ('rebuild')")
            problems.append(Problem(None, "the word index did not match the chunks", repaired=True))
        return problems

    def _clear_away(self, known: set[str]) -> list[Problem]:
        """Delete unfinished copies; put everything else that belongs to no paper aside."""
        problems = []
        for path in sorted(self._papers.iterdir()):
            if path.stem in known and path.suffix == ".pdf":
                continue
            if _UNFINISHED_COPY.fullmatch(path.name):
                path.unlink()
                problems.append(Problem(None, f"{path.name} was never finished", repaired=True))
            else:
                aside = folder.made(self.folder / "stray")
                path.replace(aside / path.name)
                problems.append(Problem(None, f"{path.name} belonged to no paper; it is in {aside} now", repaired=True))
        return problems

    def _verify_index(self) -> list[Problem]:
        problems = []
        stored, indexed = [row[0] for row in self._db.execute("SELECT id FROM chunks")], self.vectors.ids()
        if missing := [name for name in stored if name not in indexed]:
            rows = self.vectors_of(missing)
            self.vectors.add(missing, np.stack([rows[name] for name in missing]))
            problems.append(Problem(None, f"{len(missing)} chunks were not in the vector index", repaired=True))
        if orphans := sorted(indexed.difference(stored)):
            self.vectors.remove(orphans)
            problems.append(Problem(None, f"{len(orphans)} vectors belonged to no chunk", repaired=True))
        return problems

    # -- inside ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the files and give up ownership."""
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._threads = threading.local()
            self._close_vectors()
            if self._owner.is_locked:
                (self.folder / "owner.json").unlink(missing_ok=True)
            self._owner.release(force=True)
            self._recovered = False

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's connection; `with self._db as db` is a transaction."""
        connection: _Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.folder / "library.db", timeout=30, check_same_thread=False, factory=_Connection
            )
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")  # a removed paper leaves no text in free pages
            self._threads.connection = connection
            with self._guard:
                self._connections.add(connection)
        return connection

    def _stored_ids(self, paper_id: str) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT id FROM chunks WHERE paper_id = ?", (paper_id,))]

    def _close_vectors(self) -> None:
        index, self._vectors = self._vectors, None  # first out of sight: readers take it without the lock
        if index:
            index.close()
        if isinstance(index, ChromaIndex):
            (self.folder / "chroma.open").unlink(missing_ok=True)

    def _open_chroma(self) -> ChromaIndex:
        """The library's collection; after an unclean end an embedded Chroma is first tried in a process of its own."""
        if not self.settings.chroma:
            place, marker = self.folder / "chroma", self.folder / "chroma.open"
            if marker.exists() and place.exists() and not probe(place, self._collection(self.embedder_name)):
                place.rename(self.folder / f"chroma.broken-{int(time.time())}")
            folder.made(place)
            marker.touch(mode=0o600)
        return self._chroma(self.embedder_name)

    def _chroma(self, embedder: str | None) -> ChromaIndex:
        """The collection for this embedder; on a server its name says which library it belongs to."""
        if url := self.settings.chroma:
            name = f"{self._collection(embedder)}-{self._identity()}"
            return ChromaIndex(url, collection=name, stored=self.vectors_of)
        return ChromaIndex(self.folder / "chroma", collection=self._collection(embedder), stored=self.vectors_of)

    def _identity(self) -> str:
        """The same for one library in one place: a copy of the folder must not write into the original's collection."""
        with self._db as db:
            db.execute("INSERT OR IGNORE INTO facts VALUES ('identity', ?)", (token_hex(16),))
        value = self._db.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()[0]
        return sha256(f"{value} {self.folder}".encode()).hexdigest()[:12]

    def _collection(self, embedder: str | None) -> str:
        return f"chunks-{sha256((embedder or '').encode()).hexdigest()[:12]}"

    def _exact_index(self) -> ExactIndex:
        ids = set(self.chunk_ids())
        rows = [row for row in self._db.execute("SELECT id, vector FROM chunks ORDER BY row") if row[0] in ids]
        if not rows:
            return ExactIndex()
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float32).reshape(len(rows), -1)
        return ExactIndex([row[0] for row in rows], matrix)


@contextmanager
def open_library(settings: IngestSettings) -> Iterator[Library]:
    """The library, closed at the end of the block."""
    library = Library(settings)
    try:
        yield library
    finally:
        library.close()


def _paper(row: tuple[Any, ...]) -> Paper:
    values = dict(zip(Paper.__slots__, row, strict=True))
    return Paper(**{**values, "authors": tuple(json.loads(values["authors"]))})


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all, and have it on the disk before it has its name."""
    partial = target.with_suffix(".partial")
    try:
        shutil.copyfile(source, partial)
        files.put_in_place(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)  # where the disk is full, this much is free again
        raise


def _digest(path: Path) -> str:
    from ingest.parse import paper_id

    return paper_id(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
