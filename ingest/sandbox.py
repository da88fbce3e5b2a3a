"""parse(path) → ParsedPaper, in a child process with limits on time, memory, pages and output.

PDF parsers loop, allocate without bound and crash on made-up files. Here that costs one file one clear sentence. The
child is kept warm for the next file, since starting one costs a third of a second; it is replaced after a crash, after
a file that was too costly, and when its memory has grown. It gets no secrets in its environment and no descriptors but
its pipes and the file; what else it cannot do depends on the system (`ingest.confine`). What it answers is JSON,
checked field by field: it can be wrong, but it is never code.

The child's own side is `sandbox_child`. What stands here is long because a parser, its child and the answer that has
arrived so far end each other: none can be read without the other two.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import json
import logging
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from ingest import confine, errors
from ingest.environment import for_child
from ingest.errors import (
    HINT_COSTLY,
    CancelledParseError,
    ParserStartError,
    TooCostlyPdfError,
    UnreadablePdfError,
    UserFacingError,
    too_large,
    too_many_pages,
)
from ingest.files import paper_id
from ingest.paper import ParsedPaper
from ingest.parse import check_is_pdf
from ingest.typed_json import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_SECONDS = 60.0
"""Longest wait for a child to load its libraries; half a second on an idle machine."""

WALL = 2.5
"""Wall-clock limit as a multiple of the CPU limit: room for a busy machine, an end for a stalled disk."""

BYTES_PER_PAGE = 2_000
"""A page of a real paper takes more of its file than this (the least of 40 papers' means: 21,900). A small file that
claims many pages gets the time of the pages it can hold."""

UNKNOWN_PAGES = 50
"""The time for this many pages is allowed if the pages cannot be counted beforehand."""

RESTART_MB = 400
"""A child with more resident memory than this is replaced before the next file."""

_POLL_SECONDS = 0.05
_FRAME_BYTES = 4_000_000  # one page, heading or field as JSON; a real page has 20 kB
_ROOT = Path(__file__).resolve().parents[1]
_CHILD = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from ingest.sandbox_child import _serve; _serve()"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for one file. Seconds are CPU seconds; the wall clock may reach `WALL` times as many."""

    seconds_base: float = 8.0
    """Seconds allowed for any file."""
    seconds_per_page: float = 0.25
    """Additional seconds per page: five times what pypdf, the slower engine, needs for a page of an article."""
    ocr_seconds_per_page: float = 60.0
    """Additional wall-clock seconds for each page being read by OCR."""
    memory_mb: int = 1_024
    """Address space beyond the child's at its start. Not applied on Windows; macOS ignores it."""
    max_pages: int = 3_000
    """Longer documents are refused."""
    max_text_chars: int = 12_000_000
    """Documents with more text are refused; 2,000 pages as dense as an article have 8 million characters."""

    def seconds(self, *, pages: int, size: int) -> float:
        """CPU seconds allowed for a file with this many pages and `size` bytes."""
        return self.seconds_base + self.seconds_per_page * min(pages, 1 + size // BYTES_PER_PAGE)


class Parser:
    """A child process that parses one file after the other.

    One file at a time: calls from several threads wait for each other. For parallel work use several parsers.
    The child starts with the first file, or with `warm_up`. Use it as a context manager, or call `close`.

    Args:
        options: passed to `ingest.parse.parse_pdf` by keyword with every file; values that JSON has.
    """

    def __init__(self, *, options: dict[str, Any] | None = None) -> None:
        self._options = options or {}
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._child: _Child | None = None

    def __enter__(self) -> typing.Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id; None if none is running."""
        child = self._child
        return child.process.pid if child and child.process.poll() is None else None

    @property
    def confinement(self) -> list[str]:
        """The layers that the running child has applied; empty if none is running, or the system has none."""
        child = self._child
        return child.confinement if child else []

    def warm_up(self) -> None:
        """Start the child now, so that the first file need not wait. ParserStartError where it does not start."""
        with self._turn:
            self._ready_child()

    def close(self) -> None:
        """End the child; the next file would start a new one. A file in work in another thread is given up."""
        self._closing.set()
        with self._turn:
            self._closing.clear()
            self._discard()

    def parse(
        self,
        path: Path,
        *,
        file_name: str | None = None,
        limits: Limits | None = None,
        cancel: threading.Event | None = None,
        on_page: Callable[[int, int], None] | None = None,
    ) -> ParsedPaper:
        """The paper, as `ingest.parse.parse_pdf` returns it.

        Args:
            path: the PDF.
            file_name: the name under which the user knows it, for messages; `path.name` by default.
            limits: what it may cost; `Limits()` by default.
            cancel: set from another thread, it ends the work within a tenth of a second.
            on_page: called before a page is read by OCR, with how many have been begun, and the file's pages.

        Raises:
            UnreadablePdfError: not a PDF, damaged, or it crashed the parser; EncryptedPdfError, NoTextError and
                TooCostlyPdfError (a limit was reached) are kinds of it.
            CancelledParseError: `cancel` was set.
            ParserStartError: no child process could be started; the file may be fine.
            OSError: the file cannot be opened.
        """
        job = _Job(path.absolute(), file_name or path.name, limits or Limits())
        check_is_pdf(path, file_name=job.name)
        while not self._turn.acquire(timeout=_POLL_SECONDS):
            _stop_if(cancel, job)
        try:
            _stop_if(cancel, job)
            child = self._ready_child()
            healthy = False
            try:
                parsed = self._run(child, job, cancel, on_page)
                healthy = True
            except _RefusedError as refused:
                healthy = True
                raise refused.error from None
            finally:
                if not healthy or (child.resident_mb() or 0) > RESTART_MB:
                    self._discard()
                else:
                    child.take_back()
            return parsed
        finally:
            self._turn.release()

    def _ready_child(self) -> _Child:
        if self._child is None or self._child.process.poll() is not None:
            self._discard()
            self._child = _Child.start()
        return self._child

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child:
            child.end()

    def _run(
        self,
        child: _Child,
        job: _Job,
        cancel: threading.Event | None,
        on_page: Callable[[int, int], None] | None,
    ) -> ParsedPaper:
        """Have the child parse one file, and keep watch."""
        answer, cpu_at_start = _Answer(job), child.cpu_seconds() or 0.0
        child.send(
            {
                "path": child.deliver(job.path),
                "name": job.name,
                "options": self._options,
                "memory_mb": job.limits.memory_mb,
                "max_pages": job.limits.max_pages,
            }
        )
        while True:
            _stop_if(cancel, job)
            _stop_if(self._closing, job)
            answer.check_time(cpu_seconds=(child.cpu_seconds() or 0.0) - cpu_at_start)
            if (child.resident_mb() or 0.0) > job.limits.memory_mb + RESTART_MB:  # if its own limit is not enforced
                raise too_large(job.name, job.limits.memory_mb)
            try:
                line = child.lines.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if line is None:
                raise _crashed(job, child)
            begun = answer.ocr_pages
            if parsed := answer.take(line):
                return parsed
            if on_page and answer.ocr_pages > begun:
                on_page(answer.ocr_pages, max(answer.pages or 0, answer.ocr_pages))


_default_lock = threading.Lock()
_default: Parser | None = None


def parse(
    path: Path,
    *,
    file_name: str | None = None,
    limits: Limits | None = None,
    cancel: threading.Event | None = None,
) -> ParsedPaper:
    """The paper, parsed by a child process that all callers of this function share: see `Parser.parse`."""
    global _default  # noqa: PLW0603 - one warm child for the process, made when it is first needed
    with _default_lock:
        if _default is None:
            _default = Parser()
            atexit.register(_default.close)
    return _default.parse(path, file_name=file_name, limits=limits, cancel=cancel)


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    name: str
    limits: Limits


class _RefusedError(Exception):
    """The child reported properly that the file cannot be read, so it is kept for the next file."""

    def __init__(self, error: UserFacingError) -> None:
        super().__init__(str(error))
        self.error = error


class _Answer:
    """The data received for one file (fields, and tuples item by item, each checked at once), and its time."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._size = job.path.stat().st_size
        self._began = time.monotonic()
        self.pages: int | None = None
        self._seconds = job.limits.seconds(pages=0, size=self._size)
        self.ocr_pages = 0
        self._received = 0
        self._kinds = typing.get_type_hints(ParsedPaper)
        self._fields: dict[str, Any] = {}
        self._items: dict[str, list[Any]] = {}

    def check_time(self, *, cpu_seconds: float) -> None:
        """Raise TooCostlyPdfError where the processor or the wall clock is over what the file may take."""
        wall = self._seconds * WALL + self.ocr_pages * self._job.limits.ocr_seconds_per_page
        if cpu_seconds > self._seconds or time.monotonic() - self._began > wall:
            raise _too_slow(self._job, seconds=self._seconds, pages=self.pages)

    def take(self, line: bytes) -> ParsedPaper | None:
        """Take one line of the child's; return the paper with the last one.

        Raises UnreadablePdfError and its kinds; _RefusedError where the child is in order.
        """
        job = self._job
        self._received += len(line)
        if len(line) > _FRAME_BYTES or self._received > 6 * job.limits.max_text_chars:  # \uXXXX takes six bytes
            raise _too_much_text(job)
        with self._checked():
            match json.loads(line):
                case {"field": str(field), "item": item}:
                    kind, _ = typing.get_args(self._kinds[field])  # tuple[X, ...]
                    self._items.setdefault(field, []).append(from_json(item, kind))
                case {"field": str(field), "value": value}:
                    self._fields[field] = from_json(value, self._kinds[field])
                case {"pages": int() | None as pages}:
                    self.pages = pages
                    self._seconds = job.limits.seconds(pages=pages or UNKNOWN_PAGES, size=self._size)
                case {"ocr": True}:
                    self.ocr_pages = min(self.ocr_pages + 1, job.limits.max_pages)
                case {"error": str(kind), "message": str(message), "hint": str(hint)}:
                    raise _RefusedError(_refusal(kind, message, hint))
                case {"bug": str(trace)}:
                    _log.error("the parser failed on %s:\n%s", job.name, trace)
                    raise _RefusedError(_unreadable(job, (trace.strip() or "no reason").splitlines()[-1]))
                case {"done": True}:
                    return self.paper()
                case _:
                    raise ValueError("an unknown kind of line")
        return None

    def paper(self) -> ParsedPaper:
        job = self._job
        with self._checked():
            parsed = ParsedPaper(**self._fields | {field: tuple(items) for field, items in self._items.items()})
        # The id becomes a file's name, so it is not taken from the child's word.
        if parsed.paper.id != paper_id(job.path) or parsed.paper.file_name != job.name:
            raise _unreadable(job, "a reply about another file")
        if len(parsed.pages) > job.limits.max_pages:
            raise too_many_pages(job.name, len(parsed.pages), job.limits.max_pages)
        if sum(len(page.text) for page in parsed.pages) > job.limits.max_text_chars:
            raise _too_much_text(job)
        return parsed

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except (TypeError, ValueError, KeyError, RecursionError) as error:
            _log.exception("the parser's child sent no paper for %s", self._job.name)
            raise _unreadable(self._job, "a reply that makes no sense") from error


# ---- messages -------------------------------------------------------------------------------------------------------


def _stop_if(cancel: threading.Event | None, job: _Job) -> None:
    if cancel and cancel.is_set():
        raise CancelledParseError(f"Adding {job.name} was stopped. Nothing from it was kept.")


def _of_pages(pages: int | None) -> str:
    return "" if pages is None else " for its one page" if pages == 1 else f" for its {pages:,} pages"


def _too_slow(job: _Job, *, seconds: float, pages: int | None) -> TooCostlyPdfError:
    return TooCostlyPdfError(
        f"{job.name} was not read: it took more than the {math.ceil(seconds)} seconds allowed{_of_pages(pages)}.",
        HINT_COSTLY,
    )


def _too_much_text(job: _Job) -> TooCostlyPdfError:
    return TooCostlyPdfError(
        f"{job.name} was not read: it has more text than a book of {job.limits.max_pages:,} pages.", HINT_COSTLY
    )


def _unreadable(job: _Job, why: str) -> UnreadablePdfError:
    return UnreadablePdfError(
        f"{job.name} cannot be read: the PDF parser failed on it ({why[:120]}).",
        "Print it to a new PDF with your PDF viewer and add that.",
    )


def _crashed(job: _Job, child: _Child) -> UserFacingError:
    """The message if the child has died, which a lack of memory can also cause."""
    code = child.process.wait()
    if code == confine.OUT_OF_MEMORY or child.peak_mb > 0.8 * job.limits.memory_mb:
        return too_large(job.name, job.limits.memory_mb)
    try:
        why = f"{signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    except ValueError:
        why = f"signal {-code}"
    return UnreadablePdfError(
        f"{job.name} cannot be read: it crashed the PDF parser ({why}).",
        "It is damaged or malicious. Print it to a new PDF with your PDF viewer and add that, or leave it out.",
    )


def _refusal(kind: str, message: str, hint: str) -> UserFacingError:
    """The child's error as an object of the same class; only classes of `ingest.errors` can come of it."""
    cls = getattr(errors, kind, None)
    known = isinstance(cls, type) and issubclass(cls, UnreadablePdfError)
    return (cls if known else UnreadablePdfError)(_one_line(message), _one_line(hint))  # type: ignore[misc]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:600]


# ---- a child, seen from the parent ----------------------------------------------------------------------------------

_spawner_lock = threading.Lock()
_spawner: ThreadPoolExecutor | None = None


def _spawn(arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process from one thread that lives as long as we do.

    On Linux the child asks the kernel to be killed when its parent is gone, and for the kernel "the parent" is the
    thread that started it: started from a worker thread, it would die with that worker.
    """
    global _spawner  # noqa: PLW0603 - made when it is first needed
    with _spawner_lock:
        if _spawner is None:
            _spawner = ThreadPoolExecutor(1, thread_name_prefix="starts parsers")
    return _spawner.submit(lambda: subprocess.Popen[bytes](arguments, **options)).result()


class _Child:
    """One running child process and its output."""

    def __init__(self, process: subprocess.Popen[bytes], inbox: int | None) -> None:
        self.process = process
        self._inbox = inbox
        self.confinement: list[str] = []
        """The layers that `ingest.confine.close` reports as applied."""
        self.lines: queue.Queue[bytes | None] = queue.Queue(maxsize=64)
        self.peak_mb = 0.0
        """Peak resident memory since its start, in MB; 0 if unknown."""
        assert process.stdout
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), name="parser's answers", daemon=True)
        self._reader.start()

    @classmethod
    def start(cls) -> _Child:
        """Return a child with its libraries loaded.

        Raises:
            ParserStartError: it did not start within START_SECONDS.
        """
        hint = "Close other programs and try again. If that does not help, set up Scholion again with `make chat`."
        # One thread: many cores' worth of BLAS buffers would fill the address space, and Tesseract is faster with one.
        inbox = confine.inbox()
        one = dict.fromkeys(("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS"), "1")
        try:
            process = _spawn(
                [
                    sys.executable,
                    "-I",
                    "-B",
                    "-X",
                    "utf8",
                    "-c",
                    _CHILD,
                    str(os.getpid()),
                    "" if inbox is None else "inbox",
                ],
                pass_fds=() if inbox is None else (inbox,),
                cwd=_ROOT,
                env=for_child("TESSDATA_PREFIX", **one),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            if inbox is not None:
                os.close(inbox)
            raise ParserStartError(f"The PDF parser could not be started ({error.strerror}).", hint) from error
        child = cls(process, inbox)
        try:
            line = child.lines.get(timeout=START_SECONDS)
        except queue.Empty:
            line = None
        if line is None or not line.startswith(b'{"ready"'):
            child.end()
            raise ParserStartError("The PDF parser did not start.", hint)
        child.confinement = json.loads(line)["ready"]
        return child

    def deliver(self, path: Path) -> str:
        """Give the child the file; return the path under which it reads it."""
        return str(path) if self._inbox is None else confine.deliver(path, self._inbox)

    def take_back(self) -> None:
        """Free the memory used by the file."""
        if self._inbox is not None:
            os.ftruncate(self._inbox, 0)

    def send(self, message: dict[str, Any]) -> None:
        """Send a job; a dead child is noticed when its answer is read."""
        assert self.process.stdin
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> None:
        """Kill it and everything it has started, reap it, and close our ends of its pipes."""
        assert self.process.stdin
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if self._inbox is not None:
            os.close(self._inbox)
            self._inbox = None
        while self._reader.is_alive():  # it may wait for room in the queue
            with contextlib.suppress(queue.Empty):
                self.lines.get_nowait()
            self._reader.join(0.01)

    def cpu_seconds(self) -> float | None:
        """CPU seconds so far, without those of programs that it runs; None if it is gone."""
        try:
            used = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:
            return None
        self.resident_mb()
        return float(used.user + used.system)

    def resident_mb(self) -> float | None:
        """Resident memory in MB; None if it is gone."""
        try:
            megabytes = float(psutil.Process(self.process.pid).memory_info().rss) / 1e6
        except psutil.Error:
            return None
        self.peak_mb = max(self.peak_mb, megabytes)
        return megabytes

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_FRAME_BYTES + 1):
                self.lines.put(line)
        self.lines.put(None)
