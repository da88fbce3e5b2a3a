"""Add papers with several workers: they parse and embed; this process, which owns the library, does all the rest.

A worker gets one PDF or some texts, and answers with a parsed paper or vectors. It writes nothing into the library. If
it is lost, another one is asked; after TRIES, the same work is done here, so a lost worker never costs a paper.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from ingest.errors import CancelledParseError
from ingest.files import paper_id
from ingest.pipeline import Ingest, IngestReport
from ingest.sandbox import Parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ingest.embed import Embedder, Vectors
    from ingest.library import Library
    from ingest.paper import ParsedPaper
    from ingest.pipeline import Progress, Source
    from ingest.sandbox import Limits

TRIES = 3
"""Workers that are asked for one thing, before it is done here."""

_POLL_SECONDS = 0.1
_Result = TypeVar("_Result")


class WorkerLostError(Exception):
    """A worker ended, or became unreachable, before it had answered."""


class Workers(Protocol):
    """Whoever parses and embeds for us. Its methods may be called from any thread."""

    @property
    def papers(self) -> int:
        """Papers to have in work at once: enough that no worker waits, and a bound on memory."""

    def parse(self, pdf: Path, file_name: str) -> Future[ParsedPaper]:
        """What `ingest.sandbox.Parser.parse` returns or raises; WorkerLostError if a worker was lost."""

    def embed(self, texts: Sequence[str]) -> Future[Vectors]:
        """What `Embedder.embed_documents` returns; WorkerLostError if a worker was lost."""

    def close(self) -> None:
        """End the workers; what they still do is lost."""


class SpreadIngest(Ingest):
    """`Ingest` with workers. It leaves the same library: ids, texts and vectors do not depend on who computed them."""

    def __init__(
        self,
        *,
        library: Library,
        embedder: Embedder,
        workers: Workers,
        on_progress: Callable[[Progress], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        far = _FarEmbedder(embedder, workers, self._check_embedding)
        super().__init__(library=library, embedder=far, on_progress=on_progress, cancel=cancel)
        self._workers = workers
        self._guard, self._turns = threading.Lock(), WeakValueDictionary[str, threading.Lock]()

    def _run(self, rest: Iterator[Source]) -> Iterator[IngestReport]:
        """As many papers at once as the workers want, each stored as soon as it is ready; reports in order."""
        begun: deque[Future[IngestReport]] = deque()
        options = {"ocr_languages": self._library.settings.ocr_languages}
        with (
            _FarParser(self._workers, self._check_reading, options=options) as parser,
            ThreadPoolExecutor(self._workers.papers, thread_name_prefix="paper") as papers,
            ThreadPoolExecutor(1, thread_name_prefix="store") as writer,
        ):
            try:
                while True:
                    while sum(not one.done() for one in begun) < self._workers.papers and (source := next(rest, None)):
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
        try:
            known = paper_id(source.path)
        except OSError:  # `_read` says what is wrong with it
            known = ""
        with self._guard:
            turn = self._turns.setdefault(known, threading.Lock())
        with turn:
            return self._whole(source, parser, writer)

    def _whole(self, source: Source, parser: Parser, writer: ThreadPoolExecutor) -> IngestReport:
        work = self._read(source, parser)
        embedded: Future[Vectors | None] = Future()
        try:
            embedded.set_result(self._embed(work))
        except BaseException as error:  # noqa: BLE001 - `_store` deals with it
            embedded.set_exception(error)
        return writer.submit(self._store, work, embedded).result()

    def _check_reading(self, name: str) -> None:
        """Raise if the paper is not wanted any more; as when it is read here, nothing of it stays."""
        if self._given_up.is_set() or (self._cancel and self._cancel.is_set()):
            raise CancelledParseError(f"Adding {name} was stopped. Nothing from it was kept.")

    def _check_embedding(self) -> None:
        """Raise if the vectors are not wanted any more; if the run was given up, the paper stays in the ledger."""
        if self._cancel and self._cancel.is_set():
            raise CancelledParseError("Adding this paper was stopped.", "Add it again at any time.")
        if self._given_up.is_set():
            raise CancelledError


class _FarParser(Parser):
    """A parser that asks the workers, and parses here if they are lost."""

    def __init__(self, workers: Workers, check: Callable[[str], None], *, options: dict[str, Any]) -> None:
        super().__init__(options=options)
        self._workers, self._check = workers, check

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
        name = file_name or path.name
        try:
            return _asked(lambda: self._workers.parse(path, name), lambda: self._check(name))
        except WorkerLostError:
            return super().parse(path, file_name=file_name, limits=limits, cancel=cancel, on_page=on_page)


class _FarEmbedder:
    """An embedder that has the workers embed documents, and embeds here if they are lost."""

    def __init__(self, embedder: Embedder, workers: Workers, check: Callable[[], None]) -> None:
        self._here, self._workers, self._check = embedder, workers, check

    @property
    def name(self) -> str:
        """As `Embedder`: the one of this process."""
        return self._here.name

    @property
    def max_tokens(self) -> int:
        """The same."""
        return self._here.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Counted here."""
        return self._here.count_tokens(texts)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embedded by a worker."""
        try:
            return _asked(lambda: self._workers.embed(texts), self._check)
        except WorkerLostError:
            return self._here.embed_documents(texts)

    def embed_query(self, text: str) -> Vectors:
        """Embedded here."""
        return self._here.embed_query(text)


def _asked(ask: Callable[[], Future[_Result]], check: Callable[[], None]) -> _Result:
    """The answer of the first worker that lives long enough; WorkerLostError after TRIES."""
    for tries_left in reversed(range(TRIES)):
        future = ask()
        while True:
            check()
            try:
                return future.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                continue
            except WorkerLostError:
                if not tries_left:
                    raise
                break
    raise AssertionError
