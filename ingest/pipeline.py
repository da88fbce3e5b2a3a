"""ingest_pdf() and ingest_all(): the steps in order, idempotent, resumable. The finished mark is written last.

A long file, because it is one story: what happens to a file from its arrival to its line in the ledger.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

import numpy as np

from ingest.bibtex import apply
from ingest.chunk import chunk_paper
from ingest.entry import Beside
from ingest.errors import (
    CancelledParseError,
    CatalogueDatabaseError,
    NoTextError,
    PathError,
    PortfolioError,
    StorageError,
    UnknownPaperError,
    UnreadablePdfError,
    UserFacingError,
)
from ingest.files import paper_id
from ingest.metadata import Description
from ingest.notes import notes
from ingest.parse import check_is_pdf
from ingest.portfolio import attached_names
from ingest.sandbox import Parser
from ingest.sidecar import find_entry, sidecar_entries
from ingest.spread import FarEmbedder, WorkerLostError, asked
from ingest.steps import Steps
from ingest.trouble import in_words
from ingest.zotero import entry_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence

    from ingest.embed import Embedder, Vectors
    from ingest.entry import Entry
    from ingest.ledger import State
    from ingest.library import Library
    from ingest.paper import Chunk, Paper, ParsedPaper
    from ingest.sandbox import Limits
    from ingest.spread import Workers

_log = logging.getLogger(__name__)

BATCH = 64
"""Chunks embedded between two progress reports, and between two checks of `cancel`."""

AHEAD = 2
"""Papers parsed ahead, and embedded papers waiting to be stored, so that no core is ever idle."""

UNFINISHED: tuple[State, ...] = ("queued", "parsing", "embedding")
"""What the ledger says of a file that `resume` carries on with."""

Step = Literal["reading", "embedding", "storing"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file has come: `done` of `total` in the step's own unit.

    Chunks when embedding, pages when they are read by OCR, else 0 or 1.
    """

    file: str
    step: Step
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """The outcome for one file; the fields are those of the command line's JSON."""

    file: str
    status: Literal["added", "skipped", "failed"]
    paper_id: str | None = None
    title: str | None = None
    pages: int | None = None
    chunks: int | None = None
    seconds: float
    error: str | None = None
    notes: Sequence[str] = ()
    """What is missing from an added paper, or was read in another way; one or two sentences each."""
    attached: Sequence[str] = ()
    """Names of the PDFs attached to a portfolio, which can be added instead; `paper_id` is then the file's."""
    like: str | None = None
    """Title and file of an earlier paper that is probably the same one, from another file."""

    @property
    def like_sentence(self) -> str:
        """What to tell the user about a probable duplicate; empty if there is none."""
        return f"It is likely the same paper as {self.like}; delete one if so." if self.like else ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to add, and the user's name for it."""

    path: Path
    name: str

    def __post_init__(self) -> None:
        """A name with undecodable bytes is shown with replacement characters."""
        object.__setattr__(self, "name", self.name.encode("utf-8", "replace").decode())


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A file that has been read and split, and waits to be embedded."""

    source: Source
    began: float
    parsed: ParsedPaper
    chunks: Sequence[Chunk]


def pdf_files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and all PDFs below the folders among them, sorted; no companions that macOS made.

    Raises:
        PathError: a path is not there, or a folder holds no PDF.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = pdfs_below(path)
            if not inside:
                raise PathError(
                    f"The folder {path} contains no PDF.", "Give a folder that contains .pdf files, or a file."
                )
            found += inside
        elif path.exists():
            found += [] if is_companion(path) else [path]
        else:
            raise PathError(f"There is no file {path}.", "Check the spelling of the path.")
    return found


def pdfs_below(folder: Path) -> list[Path]:
    """All PDFs in a folder and the folders in it, sorted. Links to folders are followed, each folder is read once."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting: deque[Path] = deque([folder])
    links: deque[Path] = deque()
    while waiting or links:
        here = waiting.popleft() if waiting else links.popleft()  # a folder's own name takes precedence over a link's
        inside: list[Path] = []
        with suppress(OSError):  # it went meanwhile, or is not ours to read
            state = here.stat()
            if (key := (state.st_dev, state.st_ino)) in seen:
                continue
            seen.add(key)
            inside = list(here.iterdir())
        for path in inside:
            with suppress(OSError):  # for the same reasons, and it costs this one alone
                if path.is_dir():
                    if path.name != "__MACOSX":  # companions, in an archive that macOS made
                        (links if path.is_symlink() else waiting).append(path)
                elif path.suffix.lower() == ".pdf" and path.is_file() and not is_companion(path):
                    found.append(path)
    return sorted(found)


def is_companion(path: Path) -> bool:
    """Whether a file is what macOS puts beside another on foreign disks: `._x.pdf`, which begins as no PDF does."""
    if not path.name.startswith("._"):
        return path.name == ".DS_Store"
    try:
        with path.open("rb") as file:
            return b"%PDF-" not in file.read(1024)
    except OSError:
        return True


def ingest_pdf(
    path: Path,
    *,
    library: Library,
    embedder: Embedder,
    file_name: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> IngestReport:
    """Add one PDF to the library and report the outcome; see `ingest_all`."""
    source = Source(path, file_name or path.name)
    work = Ingest(library=library, embedder=embedder, on_progress=on_progress, cancel=cancel)
    return next(iter(work.run([source])))


class Ingest:
    """Brings files into the library: the next papers are parsed, in a child process, while one is being embedded.

    Whatever is wrong with a file is in its report's `error`, as one sentence for the user. Every file is copied into
    the library before anything else and has its state in the ledger, so that after a crash `resume` carries on.

    With `again`, papers that are there are read once more and replaced; one that cannot be read stays as it was.

    With `workers`, these parse and embed, and several papers are in work at once. The library is the same: ids, texts
    and vectors do not depend on who computed them.
    """

    def __init__(
        self,
        *,
        library: Library,
        embedder: Embedder,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
        again: bool = False,
        workers: Workers | None = None,
    ) -> None:
        self._library = library
        self._workers = workers
        self._embedder = FarEmbedder(embedder, workers, self._check_embedding) if workers else embedder
        self._again = again
        self._tell = on_progress or (lambda _: None)
        self._cancel = cancel
        self._given_up = threading.Event()
        self._claimed: set[str] = set()
        """Files that no other process works on, since this one does."""
        self._waits = True
        """Whether it waits for a file that another process works on."""
        self._guard, self._turns = threading.Lock(), WeakValueDictionary[str, threading.Lock]()

    def run(self, sources: Iterable[Source]) -> Generator[IngestReport, None, None]:
        """One report for each source, in order. Blocking: a second or two for an article.

        The library is busy until it ends or is closed.

        Raises:
            LibraryBusyError: another process owns the library.
        """
        self._library.own()
        self._wait_for_turn()
        self._given_up.clear()
        try:
            yield from self._run_spread(iter(sources), self._workers) if self._workers else self._run(iter(sources))
        finally:
            for known in list(self._claimed):
                self._give_back(known)
            self._library.one_ingest.release()

    def _claim(self, known: str) -> bool:
        """Wait until no other process works on this file; False if one does and nobody waits for the file here."""
        with self._guard:
            if known in self._claimed:
                return True
        while not self._library.claim(known, seconds=0.5 if self._waits else 0.0):
            if not self._waits:
                return False
            if self._given_up.is_set() or (self._cancel and self._cancel.is_set()):
                raise CancelledParseError("Adding the paper was stopped.", "Add it again at any time.")
        with self._guard:
            self._claimed.add(known)
        return True

    def _give_back(self, known: str) -> None:
        with self._guard:
            if known not in self._claimed:
                return
            self._claimed.remove(known)
        with suppress(UserFacingError):  # Postgres is gone, and the claim with it
            self._library.give_back(known)

    def _run(self, rest: Iterator[Source]) -> Iterator[IngestReport]:
        parsing: deque[Future[_Parsed | IngestReport]] = deque()
        storing: deque[Future[IngestReport]] = deque()
        options = {"ocr_languages": self._library.settings.ocr_languages}
        with (
            Parser(options=options) as parser,
            ThreadPoolExecutor(1, thread_name_prefix="parse") as reader,
            ThreadPoolExecutor(AHEAD, thread_name_prefix="embedding") as embedding,
            ThreadPoolExecutor(1, thread_name_prefix="store") as writer,
        ):
            try:
                while True:
                    while len(parsing) <= AHEAD and (source := next(rest, None)):
                        parsing.append(reader.submit(self._read, source, parser))
                    while storing and (storing[0].done() or len(storing) > AHEAD or not parsing):
                        yield storing.popleft().result()
                    if parsing:
                        work = parsing.popleft().result()
                        storing.append(writer.submit(self._store, work, embedding.submit(self._embed, work)))
                    elif not storing:
                        return
            finally:
                self._given_up.set()  # unfinished files stay in the ledger
                for future in parsing:
                    future.cancel()
                if parsing:
                    parser.close()

    def _run_spread(self, rest: Iterator[Source], workers: Workers) -> Iterator[IngestReport]:
        """As many papers at once as the workers want, each stored as soon as it is ready; reports in order."""
        begun: deque[Future[IngestReport]] = deque()
        options = {"ocr_languages": self._library.settings.ocr_languages}
        with (
            _FarParser(workers, self._given_up, options=options) as parser,
            ThreadPoolExecutor(workers.papers, thread_name_prefix="paper") as papers,
            ThreadPoolExecutor(1, thread_name_prefix="store") as writer,
        ):
            try:
                while True:
                    while sum(not one.done() for one in begun) < workers.papers and (source := next(rest, None)):
                        begun.append(papers.submit(self._one, source, parser, writer))
                    while begun and begun[0].done():
                        yield begun.popleft().result()
                    if not begun:
                        return
                    wait([one for one in begun if not one.done()], return_when=FIRST_COMPLETED)
            finally:
                self._given_up.set()  # unfinished files stay in the ledger
                for future in begun:
                    future.cancel()
                parser.close()

    def _one(self, source: Source, parser: Parser, writer: ThreadPoolExecutor) -> IngestReport:
        """One paper from its file to its report; files with the same bytes one after the other."""
        known = ""
        with suppress(OSError):  # `_read` says what is wrong with it
            known = paper_id(source.path)
        with self._guard:
            turn = self._turns.setdefault(known, threading.Lock())
        with turn:
            work = self._read(source, parser)
            embedded: Future[Vectors | None] = Future()
            try:
                embedded.set_result(self._embed(work))
            except Exception as error:  # noqa: BLE001 - `_store` deals with it
                embedded.set_exception(error)
            return writer.submit(self._store, work, embedded).result()

    def _check_embedding(self) -> None:
        """Raise if vectors are not wanted any more; if the run was given up, the paper stays in the ledger."""
        if self._cancel and self._cancel.is_set():
            raise CancelledParseError("Adding the paper was stopped.", "Add it again at any time.")
        if self._given_up.is_set():
            raise CancelledError

    def _wait_for_turn(self) -> None:
        """One run at a time per process: two could work on one file, and one of them stop it."""
        while not self._library.one_ingest.acquire(timeout=0.2):
            if self._cancel and self._cancel.is_set():
                raise CancelledParseError("It was stopped before it started.", "Add it again at any time.")

    def resume(self, *, but: Container[str] = ()) -> Generator[IngestReport, None, None]:
        """Resume every file that a crash left unfinished, from the library's own copy; not those of these ids.

        Nor those that another process works on.
        """
        self._library.own()
        library, sources = self._library, []
        for entry in library.ledger.entries(*UNFINISHED):
            if entry.paper_id in but or not library.claim(entry.paper_id):
                continue
            try:
                now = library.ledger.get(entry.paper_id)
                if now is None or now.state not in UNFINISHED:
                    continue
                if path := next((place for place in self._own_copies(entry.paper_id) if place.is_file()), None):
                    sources.append(Source(path, entry.file))
                else:
                    library.ledger.set(entry.paper_id, "failed", reason=f"{entry.file} no longer exists; add it again.")
            finally:
                library.give_back(entry.paper_id)  # it is claimed again when its turn comes
        self._waits = False
        return self.run(sources)

    def retry(self) -> Generator[IngestReport, None, None]:
        """Retry the PDFs that could not be read: a newer Scholion may read them."""
        self._library.own()
        entries = self._library.ledger.entries("failed")
        kept = [(self._library.quarantine_path(entry.paper_id), entry.file) for entry in entries]
        return self.run([Source(path, name) for path, name in kept if path.is_file()])

    def _own_copies(self, paper_id: str) -> tuple[Path, Path]:
        """Where the library's own copy of a file may be: what the user gave us lies anywhere else, uploads too."""
        return self._library.kept_path(paper_id), self._library.quarantine_path(paper_id)

    def _is_removed(self, source: Source, paper_id: str) -> bool:
        """Whether our own copy, which is being read, has gone: the paper was removed meanwhile."""
        places = self._own_copies(paper_id)
        if source.path not in places or any(place.is_file() for place in places):
            return False
        with suppress(CatalogueDatabaseError):
            return not self._library.papers([paper_id])
        return False

    # -- the three parts, each in its own thread ---------------------------------------------------------------------

    def _read(self, source: Source, parser: Parser) -> _Parsed | IngestReport:
        """Check, copy, parse and split one file."""
        began, library = time.monotonic(), self._library
        known: str | None = None
        try:
            library.check_embedder(self._embedder.name)
            _check_file(source, library.settings.max_file_mb)
            if not self._claim(found := paper_id(source.path)):
                return IngestReport(file=source.name, status="skipped", seconds=time.monotonic() - began)
            known = found  # from here on, what is left of it is for this process to settle
            if not self._again and (there := self._there_already(source, known, began)):
                self._give_back(known)
                return there
            self._tell(Progress(source.name, "reading", 0, 1))
            library.keep(source.path, known)  # before the ledger entry, so that every file in the ledger exists
            library.ledger.set(known, "parsing", file=source.name)
            beside = self._look_beside(source, known)
            parsed = parser.parse(
                library.kept_path(known),
                file_name=source.name,
                cancel=self._cancel,
                on_page=lambda page, of: self._tell(Progress(source.name, "reading", page - 1, of)),
            )
            steps, n_pages = Steps(), parsed.paper.n_pages
            paper = parsed.paper
            paper = steps.attempt_all("bibliography", n_pages, lambda: paper, self._as_people_wrote_it, paper, beside)
            parsed = replace(parsed, paper=paper)
            size = min(library.settings.chunk_tokens, self._embedder.max_tokens)
            cut = partial(chunk_paper, max_tokens=size, count_tokens=self._embedder.count_tokens)
            plain = replace(parsed, headings=(), blocks=(), references=())
            chunks = steps.attempt_all("chunks by section", n_pages, partial(cut, plain), cut, parsed)
            if steps.lost and parsed.report:
                parsed = replace(parsed, report=replace(parsed.report, lost=parsed.report.lost + steps.lost))
            if not chunks:
                raise NoTextError(f"{source.name} has no text outside its references.", "Add the full article.")  # noqa: TRY301 one exit for all
            library.ledger.advance(known, "embedding")
            return _Parsed(source, began, parsed, chunks)
        except Exception as error:  # noqa: BLE001 as above
            return self._failed(source, known, began, error)

    def _look_beside(self, source: Source, known: str) -> Beside:
        """What lies beside the user's file, kept before it is read: our copy, which is read after a crash, has nothing.

        What was there when the file was added before counts where there is nothing now.
        """
        before = self._library.beside(known)
        if source.path in self._own_copies(known):
            return before
        path = source.path.absolute()
        entry = Steps().attempt_all("bibliography", 0, lambda: None, _entry_of, path)  # it is looked for once more
        found = Beside(entry or before.entry, str(path))
        self._library.keep_beside(known, found)
        return found

    def _as_people_wrote_it(self, paper: Paper, beside: Beside) -> Paper:
        """The paper as Zotero, which keeps the PDF, or the bibliography beside it describes it: a person wrote that."""
        entry = beside.entry
        if beside.place:
            entry = _entry_of(Path(beside.place), title=paper.title, doi=paper.doi) or entry
            self._library.keep_beside(paper.id, Beside(entry))
        if entry is None:
            return paper
        names = [field.name for field in fields(Description)]
        told = apply(entry, Description(**{name: getattr(paper, name) for name in names}))
        return replace(paper, **{name: getattr(told, name) for name in names})

    def _store(self, work: _Parsed | IngestReport, embedded: Future[Vectors | None]) -> IngestReport:
        """Store one paper as soon as it is embedded, while the next ones are being embedded."""
        if isinstance(work, IngestReport):
            return work
        paper, library = work.parsed.paper, self._library
        try:
            vectors = embedded.result()
            assert vectors is not None
            if not self._again and (there := self._there_already(work.source, paper.id, work.began)):
                return there  # the same file twice in one run
            self._tell(Progress(work.source.name, "storing", 0, 1))
            library.add(
                work.parsed, work.chunks, vectors, embedder=self._embedder.name, pdf=library.kept_path(paper.id)
            )
        except CancelledError:  # nobody waits for it any more; `resume` will complete it
            return IngestReport(file=work.source.name, status="failed", seconds=time.monotonic() - work.began)
        except Exception as error:  # noqa: BLE001 as above
            return self._failed(work.source, paper.id, work.began, error)
        finally:
            self._give_back(paper.id)
        self._tell(Progress(work.source.name, "storing", 1, 1))
        told, like = self._told(work.parsed)
        return IngestReport(
            file=work.source.name,
            status="added",
            paper_id=paper.id,
            title=paper.title,
            pages=paper.n_pages,
            chunks=len(work.chunks),
            seconds=time.monotonic() - work.began,
            notes=told,
            like=like,
        )

    def _told(self, parsed: ParsedPaper) -> tuple[Sequence[str], str | None]:
        """What to say of a paper that is stored, and of another like it; a fault of ours in that costs no more."""
        steps, paper, report = Steps(), parsed.paper, parsed.report
        other = steps.attempt_all("likely duplicates", paper.n_pages, lambda: None, self._library.like, paper)
        if steps.lost and report:
            report = replace(report, lost=report.lost + steps.lost)
        told = steps.attempt_all("notes", paper.n_pages, tuple[str, ...], notes, report)
        return told, f"“{other.title}” ({other.file_name})" if other else None

    def _embed(self, work: _Parsed | IngestReport) -> Vectors | None:
        """The chunks' vectors, in their order, shape (n, dimension); None of a file that could not be read.

        Chunks of one length go together, so that little is padded. A batch never mixes papers: the vectors of a
        paper are the same bytes whatever else was ingested with it, and after whatever crash.
        """
        if isinstance(work, IngestReport):
            return None
        order = sorted(range(len(work.chunks)), key=lambda i: (-work.chunks[i].n_tokens, i))
        rows: list[Vectors] = []
        for start in range(0, len(order), BATCH):
            if self._cancel and self._cancel.is_set():
                raise CancelledParseError(f"Adding {work.source.name} was stopped.", "Add it again at any time.")
            if self._given_up.is_set():
                raise CancelledError
            self._tell(Progress(work.source.name, "embedding", start, len(order)))
            batch = order[start : start + BATCH]
            rows.append(self._embedder.embed_documents([work.chunks[i].text for i in batch]))
        vectors = np.concatenate(rows)
        back = np.empty(len(order), dtype=np.intp)
        back[order] = np.arange(len(order))
        return vectors[back]

    def _there_already(self, source: Source, known: str, began: float) -> IngestReport | None:
        try:
            paper = self._library.paper(known)
        except UnknownPaperError:
            return None
        entry = self._library.ledger.get(known)
        # noted before its twin was finished; or another process may have been told to remove it, and sees this
        if entry and (entry.state in UNFINISHED or not self._library.is_alone):
            self._library.ledger.set(known, "finished")
        if self._library.mend_copy(source.path, paper.id):
            _log.warning("the library's copy of %s was repaired", source.name)
        return IngestReport(
            file=source.name,
            status="skipped",
            paper_id=paper.id,
            title=paper.title,
            pages=paper.n_pages,
            chunks=self._library.n_chunks(paper.id),
            seconds=time.monotonic() - began,
        )

    def _failed(self, source: Source, known: str | None, began: float, error: Exception) -> IngestReport:
        """Deal with a file that was not added, by what was wrong.

        A PDF that cannot be read goes to quarantine. One that was stopped, or for which the disk has no space, leaves
        nothing.
        Any other stays queued.
        """
        library = self._library
        if known and self._is_removed(source, known):
            error = CancelledParseError(f"{source.name} was removed while it was being read.")
        said = in_words(error)
        if said is None:
            _log.error("adding %s failed", source.name, exc_info=error)
            said = UserFacingError(f"{source.name} could not be added ({type(error).__name__}).", "Try again.")
        if known and not isinstance(said, CatalogueDatabaseError):  # which has the ledger too; `resume` carries on
            with suppress(CatalogueDatabaseError):
                self._settle(source, known, said)
        if known:
            self._give_back(known)
        attached: tuple[str, ...] = ()
        if known and isinstance(said, PortfolioError):
            attached = attached_names(library.quarantine_path(known), max_mb=library.settings.max_file_mb)
        return IngestReport(
            file=source.name,
            status="failed",
            paper_id=known if attached else None,
            seconds=time.monotonic() - began,
            error=str(said),
            attached=attached,
        )

    def _settle(self, source: Source, known: str, said: UserFacingError) -> None:
        """Leave the ledger and the folder as they should be after a failure; see `_failed`."""
        library, places = self._library, self._own_copies(known)
        if self._again and library.papers([known]):
            library.ledger.set(known, "finished")  # it is there as it was before
        elif library.ledger.is_finished(known):
            pass  # another run has finished it meanwhile
        elif self._is_removed(source, known):
            library.discard(known)
        elif isinstance(said, UnreadablePdfError):
            library.quarantine(known)
            library.ledger.set(known, "failed", file=source.name, reason=str(said))
        elif isinstance(said, StorageError):
            if source.path not in places:
                with suppress(Exception):  # for the same reason; the next owner finishes or removes what is left then
                    library.abandon(known)
        elif isinstance(said, CancelledParseError) and source.path not in places:
            library.discard(known)
        elif library.kept_path(known).is_file():  # it is no fault of the file: `resume` carries on with it
            library.ledger.set(known, "queued", file=source.name)


class _Either(threading.Event):
    """Set once one of the given events is; to be asked, not waited for."""

    def __init__(self, *events: threading.Event | None) -> None:
        super().__init__()
        self._events = [event for event in events if event is not None]

    def is_set(self) -> bool:
        """Whether one of them is set."""
        return any(event.is_set() for event in self._events)


class _FarParser(Parser):
    """A parser that asks the workers, and parses here if they are lost.

    Args:
        workers: whom to ask.
        given_up: set once nobody waits for papers any more, whoever reads them. Nothing of them stays.
        options: as `Parser` takes them.
    """

    def __init__(self, workers: Workers, given_up: threading.Event, *, options: dict[str, Any]) -> None:
        super().__init__(options=options)
        self._workers, self._given_up = workers, given_up

    def parse(
        self,
        path: Path,
        *,
        file_name: str | None = None,
        limits: Limits | None = None,
        cancel: threading.Event | None = None,
        on_page: Callable[[int, int], None] | None = None,
    ) -> ParsedPaper:
        """The paper; see `Parser.parse`. `limits` and `on_page` only count if it is parsed here."""
        name, either = file_name or path.name, _Either(self._given_up, cancel)

        def check() -> None:
            if either.is_set():
                raise CancelledParseError(f"Adding {name} was stopped. Nothing from it was kept.")

        try:
            return asked(lambda: self._workers.parse(path, name), check)
        except WorkerLostError:
            # Not `cancel` alone: papers that wait for their turn here would each be read before the run ends.
            return super().parse(path, file_name=file_name, limits=limits, cancel=either, on_page=on_page)


def _entry_of(pdf: Path, *, title: str = "", doi: str | None = None) -> Entry | None:
    """What Zotero, which keeps the PDF, or a bibliography beside it says; before it is read, by the file alone."""
    entry = entry_beside(pdf) or find_entry(pdf, sidecar_entries(pdf), title=title, doi=doi)
    return entry and replace(entry, files=(), source=None)  # where they were is nothing about the paper


def remove_one(library: Library, paper_id: str) -> dict[str, Any]:
    """Remove a paper; return the row that the command line prints."""
    try:
        paper = library.remove(paper_id)
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        return {"paper_id": paper_id, "status": "failed", "title": None, "error": str(said)}
    return {"paper_id": paper.id, "status": "removed", "title": paper.title, "error": None}


def tag_papers(library: Library, paper_ids: Sequence[str], tag: str, *, take: bool = False) -> dict[str, Any]:
    """Add or remove a tag; return the row that the command line prints."""
    try:
        ids = [library.paper(paper_id).id for paper_id in paper_ids]
        name = library.untag(ids, tag) if take else library.tag(ids, tag)
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        return {"tag": tag, "status": "failed", "papers": [], "error": str(said)}
    return {"tag": name, "status": "untagged" if take else "tagged", "papers": ids, "error": None}


def _check_file(source: Source, max_mb: int) -> None:
    try:
        size = source.path.stat().st_size
        if size > max_mb * 1_000_000:
            raise UnreadablePdfError(
                f"{source.name} has {size / 1e6:.0f} MB; the limit is {max_mb} MB.",
                "Raise SCHOLION_MAX_FILE_MB if it really is an article.",
            )
        check_is_pdf(source.path, file_name=source.name)
    except OSError as error:
        raise UnreadablePdfError(
            f"{source.name} cannot be opened ({error.strerror}).",
            "Check that the file exists and that you may read it.",
        ) from error
