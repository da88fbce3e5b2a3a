"""The catalogue: one folder with the papers, and tables for papers, pages, chunks and words.

The tables are the truth; the vector index is built from them and repaired from them. A paper is there when
`finished_at` is set, and that is written last. Any process may read; whoever writes, or opens Chroma, must own the
library. One process does, or several of the app together, if servers keep the catalogue and the index; then each has a
claim on every paper that it works on.

It is a long file because its methods share a connection, a lock and an owner. What stands by itself has a file of its
own: `database`, `schema`, `word_index`, `ledger`, `tags`, `kept`, `repair`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from filelock import Timeout

from ingest import database, files, folder, ledger, schema, tags, tie
from ingest.annotation import Annotation
from ingest.entry import Beside, Entry
from ingest.errors import LibraryBusyError, LibraryMismatchError, StorageError, UnknownPaperError, UserFacingError
from ingest.from_zotero import FromZotero
from ingest.kept import Kept
from ingest.overview import LISTS, PAPER, Listed, as_paper, overview
from ingest.paper import Chunk, Page, Paper, ParsedPaper, Publication
from ingest.schema import UNFINISHED
from ingest.terminal import all_well_formed, well_formed
from ingest.trouble import in_words
from ingest.typed_json import from_json, to_json
from ingest.vectors import AT_ONCE, ChromaIndex, ExactIndex, VectorIndex, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ingest.connection import Connection
    from ingest.embed import Vectors
    from ingest.ledger import State
    from ingest.settings import IngestSettings

_UNFINISHED = "SELECT id FROM papers WHERE finished_at IS NULL"

CLAIM_SECONDS = 30.0
"""How long a removal waits for another process that works on the paper."""

_CHUNK = 'c.id, c.paper_id, c.ordinal, c.text, c.start, c."end", c.first_page, c.last_page, c.section, c.n_tokens'


class Library:
    """One folder of papers. Safe to use from several threads; see the module for several processes."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self.folder = settings.library.expanduser().resolve()
        self._papers = self.folder / "papers"
        self._database = database.of(settings, self.folder)
        self._guard = threading.RLock()
        self.one_ingest = threading.Lock()
        """Held by the only active run of `Ingest`."""
        self._owner = self._database.owner
        self._shared = self._database.shared if settings.several else None
        self._noted: tuple[str, str | None] | None = None
        self._recovered = False
        self.ledger = ledger.Ledger(lambda: self._db)
        self._tags = tags.Tags(lambda: self._db, self._database.version_of_tags)
        self._vectors: VectorIndex | None = None
        self._kept = Kept(lambda: self._db, self._database.version)
        self._words = self._database.words(self._kept)
        if well_formed(str(self.folder)) != str(self.folder):
            raise StorageError(
                f"The name of the library's folder is not UTF-8: {well_formed(str(self.folder))}.",
                "Rename it, or set SCHOLION_LIBRARY to another folder.",
            )
        try:
            self._database.prepare()
        except UserFacingError:
            self._database.close()
            raise
        except (sqlite3.Error, OSError) as error:
            self.close()
            said = in_words(error) or StorageError(f"The library cannot be opened: {error}.")
            raise type(said)(f"{said.message.rstrip('.')} ({self.folder}).", said.hint) from error

    # -- reading -----------------------------------------------------------------------------------------------------

    def papers(self, ids: Iterable[str] | None = None) -> list[Paper]:
        """All finished papers, or those among `ids`, in the order in which they were added."""
        if ids is None:
            return list(self._kept.papers().papers)
        wanted = list(ids)
        if (found := self._kept.among(wanted)) is not None:
            return found
        query = (
            f"SELECT {PAPER} FROM papers WHERE finished_at IS NOT NULL "  # noqa: S608 constant columns
            "AND id IN (SELECT value FROM json_each(?)) ORDER BY added_at, id"
        )
        return [as_paper(row) for row in self._db.execute(query, (json.dumps(wanted),))]

    def like(self, paper: Paper, *, among: Callable[[str], bool] | None = None) -> Paper | None:
        """Another paper that is probably the same one from another file: same DOI, or same title and an author.

        Only papers whose ids are `among` the known ones count; all if it is None.
        """
        query = (
            f"SELECT {PAPER} FROM papers WHERE finished_at IS NOT NULL AND id <> :id "  # noqa: S608 constant columns
            "AND (lower(doi) = lower(:doi) OR lower(title) = lower(:title)) ORDER BY added_at, id"
        )
        for row in self._db.execute(query, {"id": paper.id, "doi": paper.doi, "title": paper.title}):
            other = as_paper(row)
            if among and not among(other.id):
                continue
            same_doi = paper.doi and other.doi and paper.doi.lower() == other.doi.lower()
            told_apart = bool(paper.doi and other.doi) or len(paper.title.split()) < 3
            names = [{name.split()[-1].lower() for name in each.authors if name.split()} for each in (paper, other)]
            if same_doi or (not told_apart and (not all(names) or names[0] & names[1])):
                return other
        return None

    def paper(self, paper_id: str) -> Paper:
        """The paper with this id, or with the only id that begins so (at least 4 characters).

        Raises:
            UnknownPaperError: there is none.
        """
        begins = paper_id.encode(errors="replace").decode()  # lone surrogates are in no id
        after = f"{begins}\U0010ffff" if len(begins) >= 4 else begins
        query = f"SELECT {PAPER} FROM papers WHERE finished_at IS NOT NULL AND (id = ? OR id > ? AND id < ?) LIMIT 2"  # noqa: S608 constant columns
        found = self._db.execute(query, (begins, begins, after)).fetchall()
        if len(found) != 1:
            raise UnknownPaperError(
                f"This library has no paper with the id {paper_id!r}.",
                "`python -m ingest list` shows the ids.",
            )
        return as_paper(found[0])

    def pages(self, paper_id: str) -> list[Page]:
        """The pages of a paper, in order."""
        rows = self._db.execute("SELECT number, text FROM pages WHERE paper_id = ? ORDER BY number", (paper_id,))
        return [Page(*row) for row in rows]

    def report(self, paper_id: str) -> dict[str, Any] | None:
        """How well the paper was read: the fields of `QualityReport`; None for papers of older versions."""
        row = self._db.execute("SELECT report FROM papers WHERE id = ?", (paper_id,)).fetchone()
        return json.loads(row[0]) if row and row[0] else None

    def references(self, paper_id: str) -> list[str]:
        """The entries of the paper's reference list; they are kept, but not searched."""
        row = self._db.execute("SELECT refs FROM papers WHERE id = ?", (paper_id,)).fetchone()
        return json.loads(row[0]) if row and row[0] else []

    def overview(self) -> list[Listed]:
        """All finished papers with their tags, reports and dates, by one query, in the order of adding."""
        return overview(self._db)

    def annotations(self, paper_id: str) -> tuple[Annotation, ...] | None:
        """The highlights and notes that were made in the file or in Zotero.

        None where an older version did not look.
        """
        row = self._db.execute("SELECT annotations FROM papers WHERE id = ?", (paper_id,)).fetchone()
        if not (row and row[0]):
            return None
        return self._with_those_of_zotero(paper_id, from_json(json.loads(row[0]), tuple[Annotation, ...]))

    def keep_annotations(self, paper_id: str, found: Sequence[Annotation]) -> tuple[Annotation, ...]:
        """Store what was read later of a paper of an older version; return it with what was made in Zotero.

        Another process's library stays as it is.
        """
        if self._owner.is_locked:
            with self._db as db:
                db.execute("UPDATE papers SET annotations = ? WHERE id = ?", (_as_json(found), paper_id))
        return self._with_those_of_zotero(paper_id, found)

    def _with_those_of_zotero(self, paper_id: str, ours: Sequence[Annotation]) -> tuple[Annotation, ...]:
        known = {(one.page, one.quote, one.note) for one in ours}  # Zotero may list those of the file too
        theirs = self.from_zotero(paper_id).notes
        return (*ours, *(one for one in theirs if (one.page, one.quote, one.note) not in known))

    def from_zotero(self, paper_id: str) -> FromZotero:
        """What Zotero said of a paper when it was asked last; nothing if it never was."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (schema.of_zotero(paper_id),)).fetchone()
        return from_json(json.loads(row[0]), FromZotero) if row else FromZotero()

    def keep_from_zotero(self, paper_id: str, said: FromZotero) -> None:
        """Keep that for the next time.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        self.own()
        with self._db as db:
            db.execute(schema.SET_FACT, (schema.of_zotero(paper_id), _as_json(said)))

    def beside(self, paper_id: str) -> Beside:
        """What a person had written of a file when it was added.

        An older version kept only what came of it. Family names and a journal seldom come from anywhere else: a paper
        that has them stays as it is described.
        """
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (schema.beside(paper_id),)).fetchone()
        if row:
            kept: Beside = from_json(json.loads(row[0]), Beside)
            return kept
        query = f"SELECT {PAPER} FROM papers WHERE id = ? AND finished_at IS NOT NULL"  # noqa: S608 constant columns
        there = self._db.execute(query, (paper_id,)).fetchone()
        paper = as_paper(there) if there else None
        if paper is None or not (paper.families or paper.publication):
            return Beside()
        names = {one.name for one in fields(Entry)} & {one.name for one in fields(Paper)}
        return Beside(Entry(key="", **{name: getattr(paper, name) for name in names}))

    def keep_beside(self, paper_id: str, found: Beside) -> None:
        """Keep that for when our own copy is read.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        self.own()
        with self._db as db:
            db.execute(schema.SET_FACT, (schema.beside(paper_id), _as_json(found)))

    def added_at(self) -> dict[str, str]:
        """When each finished paper was added, by its id: ISO 8601, UTC."""
        return dict(self._kept.papers().added_at)

    def tags(self) -> dict[str, list[str]]:
        """Ids of the papers with each tag, in the order of adding; tags by name."""
        place = self._kept.papers().place
        found = {tag: [name for name in names if name in place] for tag, names in self._tags.all().items()}
        return {tag: sorted(names, key=place.__getitem__) for tag, names in found.items() if names}

    def tags_of(self, paper_id: str) -> list[str]:
        """The tags of one paper, by name."""
        return self._tags.of(paper_id)

    def tagged(self, tag: str) -> list[Paper]:
        """The papers that carry a tag; upper and lower case are the same.

        Raises:
            TagError: no paper carries it.
        """
        return self._tags.papers(self._tags.known(tag), self.papers)

    def n_chunks_of(self, paper_ids: Sequence[str]) -> int:
        """Number of chunks of these papers together."""
        return self._kept.n_chunks(paper_ids)

    def n_chunks(self, paper_id: str | None = None) -> int:
        """Number of chunks of a paper, or of the whole library."""
        if paper_id is None:
            return self._words.n_with("")
        return int(self._db.execute("SELECT count(*) FROM chunks WHERE paper_id = ?", (paper_id,)).fetchone()[0])

    def chunk(self, chunk_id: str) -> Chunk | None:
        """The chunk with this id, or None."""
        return self.chunks([chunk_id]).get(chunk_id)

    def chunks(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """The chunks of finished papers among `ids`, by id."""
        rows = self._db.execute(
            f"SELECT {_CHUNK} FROM chunks c "  # noqa: S608 constant columns
            f"WHERE c.paper_id NOT IN {UNFINISHED} AND c.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return {row[0]: Chunk(**dict(zip(Chunk.__slots__, row, strict=True))) for row in rows}

    def chunk_ids(self, paper_ids: Sequence[str] | None = None) -> list[str]:
        """The ids of all chunks of finished papers, or of these papers."""
        # by the beginnings of the ids: their index has all that is needed, and no row with text and vector is read
        query = (
            "SELECT c.id FROM papers p CROSS JOIN chunks c ON c.id > p.id || ':' AND c.id < p.id || ';' "  # noqa: S608
            f"WHERE p.id NOT IN {UNFINISHED}"
        )
        if paper_ids is None:
            return [row[0] for row in self._db.execute(query)]
        query += " AND p.id IN (SELECT value FROM json_each(?))"
        return [row[0] for row in self._db.execute(query, (json.dumps(list(paper_ids)),))]

    def search_words(self, match: str, k: int, *, paper_ids: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k best chunks for an FTS5 query as (id, BM25 score), higher is better; see `WordIndex.search`."""
        return self._words.search(match, k, paper_ids=paper_ids)

    def is_everywhere(self, match: str, *, paper_ids: Sequence[str] | None = None) -> bool:
        """Whether words joined by OR are in so many chunks that to search for them takes long and says little.

        Never in a library of less than 200,000 chunks, nor in a few papers.
        """
        return self._words.is_everywhere(match, paper_ids=paper_ids)

    def highest_score(self, match: str, *, paper_ids: Sequence[str] | None = None) -> float:
        """The BM25 score that no chunk can exceed in a search for words joined by OR; 0 where there are no words."""
        return self._words.highest_score(match, paper_ids=paper_ids)

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
                    embedder = self.embedder_name
                    if embedder is None and not self.is_alone:
                        return ExactIndex()  # for now: the first paper, of whatever process, decides which index it is
                    self._vectors = index = self._open_chroma(embedder)
                    if index.count() != n:
                        self.mend_index()  # it lost something, or a crash came before it was told
                elif self.settings.chroma and (chroma := self._open_chroma(self.embedder_name)).count() == n:
                    self._vectors = chroma
                else:
                    self._vectors = self._exact_index()
            return self._vectors

    def is_first(self, name: str) -> bool:
        """True when this is asked for the first time, in this library, under this name."""
        with self._db as db:
            made = db.execute("INSERT INTO facts VALUES (?, 'done') ON CONFLICT DO NOTHING", (f"first {name}",))
            return made.rowcount == 1

    # -- owning ------------------------------------------------------------------------------------------------------

    def own(
        self, *, url: str | None = None, key: str | None = None, seconds: float = 0.0, with_others: bool = False
    ) -> None:
        """Become the one process that writes. Held until `close` or the end of the process, however it ends.

        What a crash of the last owner cut off is completed.

        Args:
            url: where the app answers, for other processes that want to write.
            key: what they must show there.
            seconds: how long to wait for another process to finish.
            with_others: whether others that say so too may write as well; needs a catalogue in Postgres. Who comes
                first is alone until `let_others_in`.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        with self._guard:
            if not self._try_own(seconds, with_others=with_others):
                raise LibraryBusyError(*self._owned_by())
            if url:
                self._noted = (url, key)
                self._note_owner(url, key)
            if not self._recovered:
                self._recovered = True
                self._recover()
            if isinstance(self._vectors, ExactIndex):
                self._close_vectors()  # it was read while another process owned the library

    @property
    def is_alone(self) -> bool:
        """Whether no other process can write: so it is, but for apps that are several."""
        return self._shared is None or self._shared.is_alone

    def let_others_in(self) -> None:
        """Write together with others from now on, which `own` has been told of."""
        if self._shared:
            self._shared.let_others_in()

    def claim(self, paper_id: str, *, seconds: float = 0.0) -> bool:
        """Work on a file or paper; False if somebody does already, and did for all these seconds.

        Held until `give_back`, or until the end of the process, however it ends. A library that only one process
        writes to has no need of it: there it is always True.
        """
        end = time.monotonic() + seconds
        while self._shared:
            self.own()  # again, if Postgres was restarted
            if self._shared.claim(paper_id):
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)
        return True

    def give_back(self, paper_id: str) -> None:
        """Leave a file or paper to other processes."""
        if self._shared:
            self._shared.give_back(paper_id)

    def take_over(self) -> list[str]:
        """Complete what a process that has ended left of removals and of papers, and be found by commands if it was.

        For one of several processes, from time to time; files on their way are for `Ingest.resume`. Returns the ids of
        the papers that were removed.
        """
        self.own()
        removed = self._complete_removals_and_papers()
        told = self.owner().get("pid")
        if self._noted and told != os.getpid() and not (isinstance(told, int) and psutil.pid_exists(told)):
            self._note_owner(*self._noted)
        return removed

    def owner(self) -> dict[str, Any]:
        """What the owning process says about itself: "pid", "url" and "key"; empty if nothing is known."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "owner.json").read_text(encoding="utf-8")))
        return {}

    def _note_owner(self, url: str | None, key: str | None) -> None:
        files.write_atomically(self.folder / "owner.json", json.dumps({"pid": os.getpid(), "url": url, "key": key}))

    def _recover(self) -> None:
        """Complete what a crash interrupted: papers with all their rows, removals; incomplete copies are deleted."""
        for path in self._papers.glob("*.partial"):
            if folder.UNFINISHED_COPY.fullmatch(path.name):
                self._if_free(path.stem, partial(path.unlink, missing_ok=True))
        for entry in self.ledger.entries("failed"):
            self._if_free(entry.paper_id, partial(self._if_still, "failed", self.quarantine, entry.paper_id))
        self._complete_removals_and_papers()

    def _complete_removals_and_papers(self) -> list[str]:
        """The ids of the papers that were removed. What fails with one paper is raised after the others."""
        erase: Callable[[str], object] = partial(self._if_still, "removing", self._erase)
        work = [(entry.paper_id, erase) for entry in self.ledger.entries("removing")]
        work += [(paper_id, self._complete) for (paper_id,) in self._db.execute(_UNFINISHED).fetchall()]
        removed, failed = [], None
        for paper_id, complete in work:
            try:
                if self._if_free(paper_id, partial(complete, paper_id)):
                    removed.append(paper_id)
            except Exception as error:  # noqa: BLE001 it is raised below
                failed = failed or error
        if failed is not None:
            raise failed
        return removed

    def _if_still(self, state: State, work: Callable[[str], None], paper_id: str) -> bool:
        """Do it if the paper is in this state now that no other process works on it; whether it was."""
        entry = self.ledger.get(paper_id)
        if still := entry is not None and entry.state == state:
            work(paper_id)
        return still

    def _complete(self, paper_id: str) -> None:
        entry = self.ledger.get(paper_id)
        unfinished = self._db.execute(f"{_UNFINISHED} AND id = ?", (paper_id,)).fetchone()
        ids = self._stored_ids(paper_id)  # written with the paper's row in one transaction
        if unfinished and ids and not (entry and entry.state == "removing"):
            rows = self.vectors_of(ids)
            self.vectors.add(ids, np.stack([rows[name] for name in ids]))
            self._finish(paper_id)

    def _if_free(self, paper_id: str, work: Callable[[], object]) -> object:
        """What comes of it; None if another process works on this paper."""
        if not self.claim(paper_id):
            return None
        try:
            return work()
        finally:
            self.give_back(paper_id)

    def _try_own(self, seconds: float = 0.0, *, with_others: bool = False) -> bool:
        if self._owner.is_locked:
            return True
        try:
            if with_others and self._shared:
                self._shared.join(seconds)
            else:
                self._owner.acquire(timeout=seconds)
        except Timeout:
            return False
        try:
            self._note_owner(*(self._noted or (None, None)))
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

        A paper that is there already is replaced; its tags stay, and so do its date and what a person corrected.
        After a crash in between, adding it again completes it.

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
            corrected = self._corrected(paper.id)
            paper = replace(paper, **{name: getattr(self._any(paper.id), name) for name in corrected})
            before = db.execute("SELECT added_at FROM papers WHERE id = ?", (paper.id,)).fetchone()
            db.execute("DELETE FROM chunks WHERE paper_id = ?", (paper.id,))  # fires the trigger; REPLACE would not
            db.execute("DELETE FROM papers WHERE id = ?", (paper.id,))
            values = {**_columns(paper), "now": before[0] if before else _now()}
            values |= {"report": json.dumps(asdict(parsed.report)) if parsed.report else None}
            values |= {"refs": json.dumps(parsed.references), "corrected": json.dumps(corrected) if corrected else None}
            values |= {"annotations": _as_json(parsed.annotations)}
            columns = f"{PAPER}, report, refs, corrected, annotations"
            db.execute(
                f"INSERT INTO papers ({columns}, added_at) VALUES "  # noqa: S608 constant columns
                f"({', '.join(':' + name for name in columns.split(', '))}, :now)",
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
            self._words.add(chunks)
        self.vectors.add([chunk.id for chunk in chunks], vectors)
        self._finish(paper.id)

    def check_embedder(self, embedder: str) -> None:
        """Raise LibraryMismatchError if the stored vectors come from another embedder: they cannot be compared."""
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
                db.execute("INSERT INTO facts VALUES ('embedder', ?) ON CONFLICT DO NOTHING", (embedder,))
            self.check_embedder(embedder)  # another process may have been faster
            self._close_vectors()  # the collection's name carries the embedder

    def _finish(self, paper_id: str) -> None:
        with self._db as db:
            db.execute("UPDATE papers SET finished_at = ? WHERE id = ?", (_now(), paper_id))
            self.ledger.set(paper_id, "finished")

    def kept_path(self, paper_id: str) -> Path:
        """The path of the library's own copy of a file, whether or not the paper is finished."""
        return self._papers / f"{_plain(paper_id)}.pdf"

    def quarantine_path(self, paper_id: str) -> Path:
        """The path of the quarantined copy of a PDF that could not be read."""
        return self.folder / "quarantine" / f"{_plain(paper_id)}.pdf"

    def quarantine(self, paper_id: str) -> None:
        """Set aside the copy of a PDF that could not be read, so that it can be retried."""
        target = self.quarantine_path(paper_id)
        if self.kept_path(paper_id).is_file():
            folder.made(target.parent)
            self.kept_path(paper_id).replace(target)

    def keep(self, pdf: Path, paper_id: str) -> None:
        """Make the library's own copy of a PDF; all or nothing."""
        target = self.kept_path(paper_id)
        if target.is_file():
            return
        if pdf == self.quarantine_path(paper_id):
            pdf.replace(target)
            return
        _copy(pdf, target)

    def mend_copy(self, pdf: Path, paper_id: str) -> bool:
        """Copy the user's file again if the library's copy is missing or changed; return whether it was."""
        target = self.kept_path(paper_id)
        if pdf == target or (target.is_file() and files.paper_id(target) == paper_id):
            return False
        _copy(pdf, target)
        return True

    def remove(self, paper_id: str, *, claimed: bool = False) -> Paper:
        """Remove every trace of a paper and return what it was; `claimed`: the caller has claimed it.

        Raises:
            UnknownPaperError: there is none.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        paper = self.paper(paper_id)
        with nullcontext() if claimed else self.claimed(paper):
            with self._db as db:  # from here on it is not found any more, even if a crash puts off the rest
                db.execute("UPDATE papers SET finished_at = NULL WHERE id = ?", (paper.id,))
                self.ledger.set(paper.id, "removing")
            self._erase(paper.id)
        return paper

    @contextmanager
    def claimed(self, paper: Paper) -> Iterator[None]:
        """Work on a paper that is there.

        Raises:
            LibraryBusyError: another process works on it.
        """
        if not self.claim(paper.id, seconds=CLAIM_SECONDS):
            raise LibraryBusyError(f"“{paper.title}” is being added again.", "Remove it when that has ended.")
        try:
            yield
        finally:
            self.give_back(paper.id)

    def describe(self, paper_id: str, **facts: Any) -> Paper:
        """Correct what is known of a paper (title, authors, year, doi, isbn, …) and return it as it is now.

        Which facts a person corrected is kept (`Listed.corrected`).

        Family names belong to authors: where these are given without `families`, those are told by rule from then on.

        Raises:
            UnknownPaperError: there is none.
            LibraryBusyError: another process owns the library.
        """
        self.own()
        if "authors" in facts:
            facts.setdefault("families", ())
        facts = all_well_formed(facts)
        if isinstance(stated := facts.get("publication"), dict):  # as JSON, from the terminal or another process
            facts["publication"] = Publication(
                **{name: str(stated[name]) for name in asdict(Publication()) if stated.get(name) is not None}
            )
        before = self.paper(paper_id)
        paper = replace(before, **facts)
        changed = [name for name in facts if getattr(paper, name) != getattr(before, name)]
        corrected = list(dict.fromkeys([*self._corrected(paper.id), *changed]))
        with self._db as db:
            db.execute(
                "UPDATE papers SET title = :title, authors = :authors, year = :year, doi = :doi, "
                "arxiv_id = :arxiv_id, abstract = :abstract, isbn = :isbn, families = :families, "
                "retracted = :retracted, publication = :publication, corrected = :corrected WHERE id = :id",
                _columns(paper) | {"corrected": json.dumps(corrected) if corrected else None},
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
        with self._db as db:
            db.execute("DELETE FROM facts WHERE name = ?", (schema.beside(paper_id),))
        self.ledger.forget(paper_id)

    def abandon(self, paper_id: str) -> None:
        """Leave nothing of a paper that could not be stored to its end but its vectors, which the next opening removes.

        On a full disk Chroma's delete may never return, and it holds the interpreter's lock: everything would stand.
        A vector without a row in the tables is found by no search.
        """
        self._erase_tables(paper_id)
        self.discard(paper_id)

    def _erase_rows(self, paper_id: str) -> None:
        if ids := self._stored_ids(paper_id):
            self.vectors.remove(ids)
        self._erase_tables(paper_id)

    def _erase_tables(self, paper_id: str) -> None:
        with self._db as db:
            schema.erase(db, [paper_id])
        self._words.forget()

    def _erase(self, paper_id: str) -> None:
        self._erase_rows(paper_id)
        self._words.clear()
        copy = self.kept_path(paper_id)
        folder.remove_side_copies(self.folder, paper_id, copy.stat().st_size if copy.is_file() else None)
        self.discard(paper_id)  # last: while the row says "removing" the next owner carries on
        self._database.clear()

    def mend_index(self) -> list[str]:
        """Bring the vector index in line with the stored vectors; return the repairs, one phrase for each kind."""
        mended = []
        indexed = self.vectors.ids()  # first: of what another process adds meanwhile, the vectors come last
        stored = [row[0] for row in self._db.execute("SELECT id FROM chunks")]
        if missing := [name for name in stored if name not in indexed]:
            for start in range(0, len(missing), AT_ONCE):
                rows = self.vectors_of(missing[start : start + AT_ONCE])  # without those that were removed meanwhile
                if rows:
                    self.vectors.add(list(rows), np.stack(list(rows.values())))
            if isinstance(self.vectors, ChromaIndex):
                self.vectors.filled()
            mended.append(f"{len(missing)} chunks were not in the vector index")
        if orphans := sorted(indexed.difference(stored)):
            self.vectors.remove(orphans)
            mended.append(f"{len(orphans)} vectors belonged to no chunk")
        return mended

    # -- inside ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the files and give up ownership."""
        with self._guard:
            self._database.close()
            for memory in (self._kept, self._tags, self._words):
                memory.forget()
            self._close_vectors()
            if self._owner.is_locked and self.owner().get("pid") in (None, os.getpid()):
                (self.folder / "owner.json").unlink(missing_ok=True)
            self._owner.release(force=True)
            self._recovered = False

    @property
    def _db(self) -> Connection:
        """This thread's connection; `with self._db as db` is a transaction."""
        return self._database.connection()

    def _corrected(self, paper_id: str) -> list[str]:
        """The facts of a paper that a person corrected, finished or not."""
        row = self._db.execute("SELECT corrected FROM papers WHERE id = ?", (paper_id,)).fetchone()
        return list(json.loads(row[0])) if row and row[0] else []

    def _any(self, paper_id: str) -> Paper:
        """A paper that is there, finished or not."""
        query = f"SELECT {PAPER} FROM papers WHERE id = ?"  # noqa: S608 constant columns
        return as_paper(self._db.execute(query, (paper_id,)).fetchone())

    def _stored_ids(self, paper_id: str) -> list[str]:
        return [row[0] for row in self._db.execute("SELECT id FROM chunks WHERE paper_id = ?", (paper_id,))]

    def _close_vectors(self) -> None:
        index, self._vectors = self._vectors, None  # first out of sight: readers take it without the lock
        if index:
            index.close()
        if isinstance(index, ChromaIndex):
            (self.folder / "chroma.open").unlink(missing_ok=True)

    def _open_chroma(self, embedder: str | None) -> ChromaIndex:
        """The library's collection; after an unclean end an embedded Chroma is first tried in a process of its own."""
        if not self.settings.chroma:
            place, marker = self.folder / "chroma", self.folder / "chroma.open"
            if marker.exists() and place.exists() and not probe(place, self._collection(embedder)):
                place.rename(self.folder / f"chroma.broken-{int(time.time())}")
            folder.made(place)
            marker.touch(mode=0o600)
        return self._chroma(embedder)

    def _chroma(self, embedder: str | None) -> ChromaIndex:
        """The collection for this embedder; on a server its name says which library it belongs to."""
        place: Path | str = self.folder / "chroma"
        name = self._collection(embedder)
        if url := self.settings.chroma:
            place, name = url, f"{name}-{self._identity()}"
        return ChromaIndex(place, collection=name, stored=self.vectors_of, room_for=self._words.n_with(""))

    def _identity(self) -> str:
        """The same for one library in one place: a copy of the folder must not write into the original's collection."""
        with self._db as db:
            db.execute(tie.ADD, (token_hex(16),))
        return sha256(f"{tie.there(self._db)} {self.folder}".encode()).hexdigest()[:12]

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


def _columns(paper: Paper) -> dict[str, Any]:
    values: dict[str, Any] = all_well_formed(asdict(paper))  # half a pair of surrogates is no text for SQLite
    values["publication"] = json.dumps(values["publication"]) if values["publication"] else None
    return values | {name: json.dumps(values[name]) for name in LISTS}


def _plain(paper_id: str) -> str:
    """The id, if no path is in it: a catalogue that somebody else wrote may say anything, and files are removed by it.

    Raises:
        LibraryMismatchError: it would lead outside the library.
    """
    if re.fullmatch(r"[A-Za-z0-9][\w-]*", paper_id) is None:
        raise LibraryMismatchError(
            f"The catalogue library.db points to a file outside the library ({paper_id!r}).",
            "Do not use this library: someone has tampered with it.",
        )
    return paper_id


def _copy(source: Path, target: Path) -> None:
    """Copy a file, all or nothing, and flush it to disk before it gets its name."""
    partial = target.with_suffix(".partial")
    try:
        shutil.copyfile(source, partial)
        files.put_in_place(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)  # on a full disk, this frees that much again
        raise


def _as_json(found: Sequence[Annotation] | FromZotero | Beside) -> str:
    return json.dumps(all_well_formed(to_json(found)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
