"""The catalogue: one folder with the papers, and SQLite tables for papers, pages, chunks and words.

SQLite is the truth; the vector index is built from it and repaired from it. A paper is there when `finished_at`
is set, and that is written last. Any process may read; whoever writes, or opens Chroma, must own the library.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from ingest.errors import LibraryBusyError, LibraryMismatchError, UnknownPaperError
from ingest.paper import Chunk, Page, Paper, ParsedPaper
from ingest.vectors import ChromaIndex, ExactIndex, VectorIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ingest.embed import Vectors
    from ingest.settings import IngestSettings

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS papers (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, authors TEXT NOT NULL, year INTEGER, doi TEXT,
    n_pages INTEGER NOT NULL, file_name TEXT NOT NULL, added_at TEXT NOT NULL, finished_at TEXT);
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
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    text, content='chunks', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER IF NOT EXISTS chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO words(rowid, text) VALUES (new.row, new.text); END;
CREATE TRIGGER IF NOT EXISTS chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO words(words, rowid, text) VALUES ('delete', old.row, old.text); END;
"""

_CHUNK = 'c.id, c.paper_id, c.ordinal, c.text, c.start, c."end", c.first_page, c.last_page, c.section, c.n_tokens'
_PAPER = "id, title, authors, year, doi, n_pages, file_name"


@dataclass(frozen=True, slots=True)
class Problem:
    """A disagreement that `verify` found, and whether it is mended."""

    paper_id: str | None
    what: str
    repaired: bool


class Library:
    """One folder of papers. Safe to use from several threads; see the module for several processes."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self.folder = settings.library.expanduser().resolve()
        self._papers = self.folder / "papers"
        self._papers.mkdir(parents=True, exist_ok=True)
        self._threads = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.RLock()
        self._owner = FileLock(self.folder / "owner.lock", thread_local=False)
        self._noted = False
        self._vectors: VectorIndex | None = None
        with self._db as db:
            db.execute("PRAGMA journal_mode=WAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise LibraryMismatchError(
                    f"The library {self.folder} was written by a newer Scholion.", "Update Scholion and start it again."
                )
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def papers(self) -> list[Paper]:
        """All finished papers, in the order in which they were added."""
        rows = self._db.execute(f"SELECT {_PAPER} FROM papers WHERE finished_at IS NOT NULL ORDER BY added_at, id")  # noqa: S608 constant columns
        return [_paper(row) for row in rows]

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

    def n_chunks(self, paper_id: str) -> int:
        """How many chunks a paper has."""
        return int(self._db.execute("SELECT count(*) FROM chunks WHERE paper_id = ?", (paper_id,)).fetchone()[0])

    def chunk(self, chunk_id: str) -> Chunk | None:
        """The chunk with this id, or None."""
        return self.chunks([chunk_id]).get(chunk_id)

    def chunks(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """The chunks of finished papers among `ids`, by id."""
        rows = self._db.execute(
            f"SELECT {_CHUNK} FROM chunks c JOIN papers p ON p.id = c.paper_id "  # noqa: S608 constant columns
            "WHERE p.finished_at IS NOT NULL AND c.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return {row[0]: Chunk(**dict(zip(Chunk.__slots__, row, strict=True))) for row in rows}

    def chunk_ids(self, paper_ids: Sequence[str] | None = None) -> list[str]:
        """The ids of all chunks of finished papers, or of these papers."""
        query = "SELECT c.id FROM chunks c JOIN papers p ON p.id = c.paper_id WHERE p.finished_at IS NOT NULL"
        if paper_ids is None:
            return [row[0] for row in self._db.execute(query)]
        query += " AND p.id IN (SELECT value FROM json_each(?))"
        return [row[0] for row in self._db.execute(query, (json.dumps(list(paper_ids)),))]

    def search_words(self, match: str, k: int, *, paper_ids: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k best chunks for an FTS5 query as (id, BM25 score), higher is better."""
        where, values = "", []
        if paper_ids is not None:
            where, values = "AND p.id IN (SELECT value FROM json_each(?))", [json.dumps(list(paper_ids))]
        rows = self._db.execute(
            "SELECT c.id, -bm25(words) FROM words JOIN chunks c ON c.row = words.rowid "  # noqa: S608 constant text
            f"JOIN papers p ON p.id = c.paper_id WHERE words MATCH ? AND p.finished_at IS NOT NULL {where} "
            "ORDER BY bm25(words), c.id LIMIT ?",
            (match, *values, k),
        )
        return [(row[0], float(row[1])) for row in rows]

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
        """Chroma where this process owns or can own the library; else the stored vectors, read once into memory."""
        with self._guard:
            if self._vectors is None:
                self._vectors = self._open_chroma() if self._try_own() else self._exact_index()
            return self._vectors

    # -- owning ------------------------------------------------------------------------------------------------------

    def own(self, *, url: str | None = None) -> None:
        """Become the one process that writes. Held until `close` or the end of the process, however it ends.

        Args:
            url: where the app answers, for the message that another process gives.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        with self._guard:
            if not self._try_own():
                raise LibraryBusyError(*self._owned_by())
            if url or not self._noted:
                note = {"pid": os.getpid(), "url": url}
                (self.folder / "owner.json").write_text(json.dumps(note), encoding="utf-8")
                self._noted = True
            if isinstance(self._vectors, ExactIndex):
                self._close_vectors()  # it was read while another process owned the library

    def _try_own(self) -> bool:
        if self._owner.is_locked:
            return True
        try:
            self._owner.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _owned_by(self) -> tuple[str, str]:
        owner: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            owner = json.loads((self.folder / "owner.json").read_text(encoding="utf-8"))
        if url := owner.get("url"):
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
        paper = parsed.paper
        self.own()
        self._claim_for(embedder)
        self._copy_pdf(pdf, paper.id)
        self.vectors.remove(self._stored_ids(paper.id))
        with self._db as db:
            db.execute("DELETE FROM chunks WHERE paper_id = ?", (paper.id,))  # fires the trigger; REPLACE would not
            db.execute("DELETE FROM papers WHERE id = ?", (paper.id,))
            values = {**asdict(paper), "authors": json.dumps(paper.authors), "now": _now()}
            db.execute(
                f"INSERT INTO papers ({_PAPER}, added_at) VALUES "  # noqa: S608 constant columns
                "(:id, :title, :authors, :year, :doi, :n_pages, :file_name, :now)",
                values,
            )
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

    def _claim_for(self, embedder: str) -> None:
        """The first paper decides whose vectors the library holds."""
        if (known := self.embedder_name) not in (None, embedder):
            raise LibraryMismatchError(
                f"This library was built with {known}, not with {embedder}.",
                "Set SCHOLION_EMBEDDER back, or use another library folder.",
            )
        if known is None:
            with self._db as db:
                db.execute("INSERT INTO facts VALUES ('embedder', ?)", (embedder,))
            self._close_vectors()  # the collection's name carries the embedder

    def _finish(self, paper_id: str) -> None:
        with self._db as db:
            db.execute("UPDATE papers SET finished_at = ? WHERE id = ?", (_now(), paper_id))

    def _copy_pdf(self, pdf: Path, paper_id: str) -> None:
        target = self._papers / f"{paper_id}.pdf"
        if pdf.resolve() == target:
            return
        partial = target.with_suffix(".partial")
        shutil.copyfile(pdf, partial)
        partial.replace(target)

    def remove(self, paper_id: str) -> Paper:
        """Remove every trace of a paper and return what it was.

        Raises:
            UnknownPaperError: there is none.
            LibraryBusyError: another process owns the library.
        """
        paper = self.paper(paper_id)
        self.own()
        with self._db as db:  # from here on it is not found any more, even if the rest has to wait for `verify`
            db.execute("UPDATE papers SET finished_at = NULL WHERE id = ?", (paper.id,))
        self._erase(paper.id)
        return paper

    def _erase(self, paper_id: str) -> None:
        self.vectors.remove(self._stored_ids(paper_id))
        (self._papers / f"{paper_id}.pdf").unlink(missing_ok=True)
        with self._db as db:
            db.execute("DELETE FROM chunks WHERE paper_id = ?", (paper_id,))
            db.execute("DELETE FROM papers WHERE id = ?", (paper_id,))

    # -- checking ----------------------------------------------------------------------------------------------------

    def verify(self) -> list[Problem]:
        """Compare tables, vector index and files; mend what can be mended and return everything that was found.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        self.own()
        problems: list[Problem] = []
        for (paper_id,) in self._db.execute("SELECT id FROM papers WHERE finished_at IS NULL").fetchall():
            self._erase(paper_id)
            problems.append(Problem(paper_id, "was never finished; add the file again", repaired=True))
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
        known = {paper.id for paper in self.papers()}
        for path in sorted(self._papers.iterdir()):
            if path.stem not in known:
                path.unlink()
                problems.append(Problem(None, f"{path.name} belonged to no paper", repaired=True))
        problems += self._verify_index()
        try:
            self._db.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            with self._db as db:
                db.execute("INSERT INTO words(words) VALUES ('rebuild')")
            problems.append(Problem(None, "the word index did not match the chunks", repaired=True))
        return problems

    def _verify_index(self) -> list[Problem]:
        problems, stored, indexed = [], self.chunk_ids(), self.vectors.ids()
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
            self._owner.release(force=True)

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's connection; `with self._db as db` is a transaction."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.folder / "library.db", timeout=30, check_same_thread=False)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")  # a removed paper leaves no text in free pages
            self._threads.connection = connection
            with self._guard:
                self._connections.append(connection)
        return connection

    def _stored_ids(self, paper_id: str) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT id FROM chunks WHERE paper_id = ?", (paper_id,))]

    def _close_vectors(self) -> None:
        if self._vectors:
            self._vectors.close()
        self._vectors = None

    def _open_chroma(self) -> ChromaIndex:
        fingerprint = sha256((self.embedder_name or "").encode()).hexdigest()[:12]
        return ChromaIndex(self.folder / "chroma", collection=f"chunks-{fingerprint}")

    def _exact_index(self) -> ExactIndex:
        ids = self.chunk_ids()
        rows = self.vectors_of(ids)
        return ExactIndex(ids, np.stack([rows[name] for name in ids])) if ids else ExactIndex()


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


def _digest(path: Path) -> str:
    from ingest.parse import paper_id

    return paper_id(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
