"""Adding many files from the Library page: one job at a time, with a line for each file, that can be cancelled."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
import uuid
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ingest import Ingest, Source, UserFacingError
from ingest.bibtex import MAX_BYTES
from ingest.trouble import in_words
from rag.texts import _, counted, number, said
from ui import core
from ui.people import who
from ui.web.incoming import copy_upload
from ui.web.names import INCOMING, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fastapi import UploadFile

    from ingest import IngestReport, Progress

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
"""How long the next file is waited for, before the page that sends the files is taken for gone."""
COMPANIONS = (".bib", ".json")
"""Bibliographies beside the papers: Zotero's and other programs' exports."""
MOST_FILES = 20_000
MOST_NAME = 120
"""Bytes of a name that are kept, from its end; most file systems allow 255."""
STOP_SECONDS = 1.0
TURN = 20
"""Files that are added in one go where there are several people; then who else adds some has a turn."""
PAUSE_SECONDS = 0.05
"""Long enough for another who waits to begin."""

_STEPS = {"reading": "reading", "embedding": "indexing", "storing": "storing"}


class AddingError(UserFacingError):
    """A job that cannot be started, or that is over."""


@dataclass(slots=True)
class Item:
    """One file and what became of it."""

    name: str
    """As the user knows it, with its folders."""
    state: str = "waiting"
    """waiting, reading, indexing, storing; then added, there, refused or stopped."""
    done: int = 0
    total: int = 0
    """Passages indexed, of all."""
    said: str = ""
    """One or more sentences: why it was refused, or what to know of it."""
    paper_id: str | None = None
    path: Path | None = None
    """Where the file lies until it is added; None before it has come."""
    new: bool = False
    """Whether who adds it did not see it before, although somebody may have added it."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in {"added", "there", "refused", "stopped"}


@dataclass(slots=True)
class Job:
    """Files on their way into the library. Its items are changed by one thread and read by many."""

    items: list[Item]
    folder: Path
    passed_over: int = 0
    """Files of the user's folder that are no PDFs."""
    again: bool = False
    """Whether papers that are there are read once more."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    cancel: threading.Event = field(default_factory=threading.Event)
    complete: bool = False
    """Whether no more files will come."""
    finished: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)
    thread: threading.Thread | None = None

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {
            "id": self.id,
            "items": [
                {
                    "name": i.name,
                    "state": i.state,
                    "done": i.done,
                    "total": i.total,
                    "said": said(i.said),
                    "paper": i.paper_id,
                }
                for i in self.items
            ],
            "finished": self.finished,
            "stopping": self.cancel.is_set() and not self.finished,
            "summary": self.summary() if self.finished else "",
        }

    def summary(self) -> str:
        """What became of all files, in a sentence or two."""
        n = {
            state: sum(item.state == state for item in self.items) for state in ("added", "there", "refused", "stopped")
        }
        verb = _("{papers} read again") if self.again else _("{papers} added")
        parts = [verb.format(papers=counted(n["added"], "paper"))]
        parts += [_("{n} already there").format(n=number(n["there"]))] if n["there"] else []
        parts += [_("{n} refused").format(n=number(n["refused"]))] if n["refused"] else []
        parts += [_("{n} stopped").format(n=number(n["stopped"]))] if n["stopped"] else []
        others = counted(self.passed_over, "other file")
        over = f" {_('{files} passed over: only PDFs are added.').format(files=others)}" if self.passed_over else ""
        return f"{', '.join(parts)}.{over}"


class Adding:
    """The one job of a process, running or over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.job: Job | None = None

    def start(
        self,
        names: Sequence[tuple[str, int]],
        *,
        passed_over: int = 0,
        upload_mb: int,
        patience: float = PATIENCE_SECONDS,
    ) -> Job:
        """Announce files that will be uploaded.

        Args:
            names: name and size in bytes of each.
            passed_over: how many files of other kinds the page left out.
            upload_mb: the largest size that is accepted.
            patience: seconds to wait for each file.

        Raises:
            AddingError: another job is running, or there are no files or too many.
        """
        items = [Item(name[:1000]) for name, _ in names]
        for item, (_name, size) in zip(items, names, strict=True):
            if size > upload_mb * 1024 * 1024:
                item.state, item.said = (
                    "refused",
                    f"It is larger than {upload_mb} MB, the most Scholion accepts at once.",
                )
        return self._begin(items, passed_over=passed_over, patience=patience)

    def start_here(self, paths: Sequence[tuple[Path, str]], *, again: bool = False) -> Job:
        """Add files of this machine: the samples, or the library's own copies to be read `again`."""
        return self._begin([Item(name, path=path) for path, name in paths], again=again, complete=True)

    def _begin(
        self, items: list[Item], *, patience: float = PATIENCE_SECONDS, complete: bool = False, **more: Any
    ) -> Job:
        if not items:
            raise AddingError("There is no PDF among these files.", "Choose PDFs, or a folder that contains some.")
        if len(items) > MOST_FILES:
            raise AddingError(
                f"These are {len(items):,} files; the limit is {MOST_FILES:,} at once.", "Add them folder by folder."
            )
        with self._lock:
            if self.job and not self.job.finished:
                raise AddingError("Files are being added already.", "Wait until they are added, or cancel that first.")
            name = str(uuid.uuid4())
            folder = core.library().folder / INCOMING / name
            folder.mkdir(parents=True, mode=0o700)
            self.job = job = Job(items, folder, complete=complete, **more)
            work = partial(copy_context().run, _work, job, patience)  # the thread works for who asks
            job.thread = threading.Thread(target=work, name="add", daemon=True)
            job.thread.start()
        return job

    def running(self, job_id: str) -> Job:
        """The job with this id, if files may still come.

        Raises:
            AddingError: it is over, or another one.
        """
        job = self.job
        if job is None or job.id != job_id or job.complete or job.cancel.is_set():
            raise _over()
        return job

    def cancel(self, job_id: str) -> None:
        """Stop the job with this id, if it is running."""
        if self.job and self.job.id == job_id and not self.job.finished:
            cancel(self.job)

    def stop(self) -> None:
        """Cancel what is running, and wait a moment for it to end."""
        job = self.job
        if job and not job.finished:
            cancel(job)
            if job.thread:
                job.thread.join(STOP_SECONDS)


def adding() -> Adding:
    """That of who asks: of this process, where there are no accounts."""
    return _adding_of(core.person())


_jobs: list[Adding] = []


@cache
def _adding_of(person: str) -> Adding:  # noqa: ARG001 the key
    _jobs.append(Adding())
    return _jobs[-1]


def stop_all() -> None:
    """Stop everybody's jobs; for the end of the process."""
    for one in _jobs:
        one.stop()


def receive(job: Job, number: int, file: UploadFile) -> None:
    """Take the file that was announced with this number.

    Raises:
        AddingError: none was, or it has come already.
    """
    item = job.items[number] if 0 <= number < len(job.items) else None
    if item is None or item.path or item.is_over:
        raise AddingError("This file was not announced.", "Add it again.")
    path = _place(job, item.name) if item.name.casefold().endswith(".pdf") else _place(job, f"{item.name}.pdf")
    if path.exists():
        path = job.folder / str(number) / path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    copy_upload(file, path)
    with job.changed:
        if item.is_over:  # the job has ended meanwhile
            _clear(job)
            raise _over()
        item.path = path
        job.changed.notify_all()


def receive_companion(job: Job, name: str, file: UploadFile) -> None:
    """Take a bibliography that lies beside the papers; it must come before them to be used.

    Raises:
        AddingError: it is none, or too large.
    """
    path = _place(job, name)
    if path.suffix.lower() not in COMPANIONS or path.exists():
        raise AddingError("This is not a bibliography.", "Scholion reads .bib files and CSL-JSON.")
    if (file.size or 0) > MAX_BYTES:
        raise AddingError(f"{path.name} is too large to be read as a bibliography.", "Export fewer papers.")
    path.parent.mkdir(parents=True, exist_ok=True)
    copy_upload(file, path)


def _over() -> AddingError:
    return AddingError("These files are no longer being added.", "Add them again.")


def close(job: Job) -> None:
    """No more files will come."""
    with job.changed:
        job.complete = True
        job.changed.notify_all()


def cancel(job: Job) -> None:
    """Stop after the batch that is being worked on; papers already added stay."""
    job.cancel.set()
    close(job)


def _place(job: Job, name: str) -> Path:
    """Where a file with this name lies: in folders named as the user's, so that a bibliography finds its papers."""
    parts = [part for part in re.split(r"[/\\]+", name) if part.strip(". ")]
    plain = (re.sub(r"[^\w .,()\[\]&+=@#-]", "_", part).strip(". ") for part in parts[-8:])
    clean = [part.encode()[-MOST_NAME:].decode(errors="ignore").lstrip(". ") or "file" for part in plain]
    return job.folder.joinpath(*(clean or ["file"]))


def _work(job: Job, patience: float) -> None:
    """Add what has come, again and again until no more comes; the job's own thread."""
    try:
        while batch := _next_batch(job, patience):
            _add(job, batch)
            if who.is_on():
                time.sleep(PAUSE_SECONDS)
    except Exception as error:
        known = in_words(error)
        if known is None:
            log.exception("Adding files failed")
        _end_all(job, str(known or "Something went wrong in Scholion. The log has the details."))
    finally:
        _end_all(job, "It was not uploaded. Add it again.")
        _clear(job)
        job.complete = job.finished = True


def _end_all(job: Job, why: str) -> None:
    """End what is not over yet: it was stopped if the job was cancelled, else refused for this reason."""
    stopped = job.cancel.is_set()
    with job.changed:
        for item in job.items:
            if not item.is_over:
                item.state, item.said = ("stopped", "") if stopped else ("refused", why)


def _clear(job: Job) -> None:
    shutil.rmtree(inside(job.folder.parent, job.folder.name), ignore_errors=True)


def _next_batch(job: Job, patience: float) -> list[Item]:
    """The files that have come and wait; empty if no more will come."""

    def come() -> list[Item]:
        return [item for item in job.items if item.path and item.state == "waiting"]

    with job.changed:
        all_there = job.changed.wait_for(lambda: come() or job.complete or _all_over(job), timeout=patience)
        return [] if job.cancel.is_set() or not all_there else come()[: TURN if who.is_on() else None]


def _all_over(job: Job) -> bool:
    return all(item.is_over for item in job.items)


def _add(job: Job, batch: Sequence[Item]) -> None:
    begun: list[Item] = []

    def sources() -> Iterator[Source]:
        for item in batch:
            if job.cancel.is_set() or item.path is None:
                return
            begun.append(item)
            if not job.again:  # it is there, and stays whose it is
                item.new = core.bring(item.path, item.name.replace("\\", "/").rsplit("/", 1)[-1])
            yield Source(item.path, item.name.replace("\\", "/").rsplit("/", 1)[-1])

    work = Ingest(
        library=core.library(),
        embedder=core.assistant().embedder,
        on_progress=_teller(begun),
        cancel=job.cancel,
        again=job.again,
    )
    try:
        with closing(work.run(sources())) as reports:
            for number, report in enumerate(reports):
                _note(begun[number], core.told(report, new=begun[number].new), stopped=job.cancel.is_set())
    finally:
        for item in begun:
            if item.path and item.state not in {"added", "there"}:
                core.settle(item.path)


def _teller(begun: list[Item]) -> Callable[[Progress], None]:
    def tell(at: Progress) -> None:
        for item in begun:  # several may have one name: the first that is not over is meant
            if not item.is_over and item.name.replace("\\", "/").rsplit("/", 1)[-1] == at.file:
                item.state, item.done, item.total = _STEPS[at.step], at.done, at.total
                return

    return tell


def _note(item: Item, report: IngestReport, *, stopped: bool) -> None:
    """Write what became of a file into its line."""
    item.paper_id = report.paper_id if report.status != "failed" else None
    core.removals().keep([item.paper_id])
    if report.status == "failed":
        item.said = report.error or ""
        item.state = "stopped" if stopped and "was stopped" in item.said else "refused"
        return
    item.said = " ".join([*report.notes, report.like_sentence]).strip()
    item.state = "added" if report.status == "added" else "there"
