"""ingest_pdf(): the steps in order, idempotent. The finished mark is written last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ingest.chunk import chunk_paper
from ingest.errors import NoTextError, PathError, UnknownPaperError, UnreadablePdfError, UserFacingError
from ingest.parse import check_is_pdf, paper_id, parse_pdf

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ingest.embed import Embedder
    from ingest.library import Library

BATCH = 32
"""Chunks embedded between two reports of progress, and between two looks at `cancel`."""

Step = Literal["reading", "chunking", "embedding", "storing"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file has come: `done` of `total` in the step's own unit (chunks when embedding, else 0 or 1)."""

    step: Step
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What became of one file; the fields are those of the command line's JSON."""

    file: str
    status: Literal["added", "skipped", "failed"]
    paper_id: str | None = None
    title: str | None = None
    pages: int | None = None
    chunks: int | None = None
    seconds: float
    error: str | None = None


class CancelledIngestError(UserFacingError):
    """The user stopped it."""


def pdf_files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and all PDFs below the folders among them, sorted.

    Raises:
        PathError: a path is not there, or a folder holds no PDF.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".pdf" and p.is_file())
            if not inside:
                raise PathError(f"The folder {path} holds no PDF.", "Name a folder with .pdf files, or a file.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise PathError(f"There is no file {path}.", "Check the spelling of the path.")
    return found


def ingest_pdf(
    path: Path,
    *,
    library: Library,
    embedder: Embedder,
    file_name: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> IngestReport:
    """Bring one PDF into the library, and report how it went. A file that is there already is skipped.

    Whatever is wrong with the file is in the report's `error`, as one sentence for the user; nothing is half-added.
    Blocking: a few seconds for an article.
    """
    began = time.monotonic()
    name = file_name or path.name
    tell = on_progress or (lambda _: None)
    try:
        _check_file(path, name, library.settings.max_file_mb)
        with_id = paper_id(path)
        try:
            paper = library.paper(with_id)
        except UnknownPaperError:
            pass
        else:
            return IngestReport(
                file=name,
                status="skipped",
                paper_id=paper.id,
                title=paper.title,
                pages=paper.n_pages,
                chunks=library.n_chunks(paper.id),
                seconds=time.monotonic() - began,
            )
        tell(Progress("reading", 0, 1))
        parsed = parse_pdf(path, file_name=name)
        tell(Progress("chunking", 0, 1))
        size = min(library.settings.chunk_tokens, embedder.max_tokens)
        chunks = chunk_paper(parsed, max_tokens=size, count_tokens=embedder.count_tokens)
        if not chunks:
            raise NoTextError(f"{name} has no text outside its list of references.", "Add the full article.")
        vectors = []
        for start in range(0, len(chunks), BATCH):
            if cancel and cancel.is_set():
                raise CancelledIngestError(f"Adding {name} was stopped; nothing of it was kept.")
            tell(Progress("embedding", start, len(chunks)))
            vectors.append(embedder.embed_documents([chunk.text for chunk in chunks[start : start + BATCH]]))
        tell(Progress("storing", 0, 1))
        library.add(parsed, chunks, np.concatenate(vectors), embedder=embedder.name, pdf=path)
    except UserFacingError as error:
        return IngestReport(file=name, status="failed", seconds=time.monotonic() - began, error=str(error))
    tell(Progress("storing", 1, 1))
    return IngestReport(
        file=name,
        status="added",
        paper_id=parsed.paper.id,
        title=parsed.paper.title,
        pages=parsed.paper.n_pages,
        chunks=len(chunks),
        seconds=time.monotonic() - began,
    )


def _check_file(path: Path, name: str, max_mb: int) -> None:
    try:
        size = path.stat().st_size
        if size > max_mb * 1_000_000:
            raise UnreadablePdfError(
                f"{name} has {size / 1e6:.0f} MB; more than {max_mb} MB are not read.",
                "Raise SCHOLION_MAX_FILE_MB if it is an article after all.",
            )
        check_is_pdf(path, file_name=name)
    except OSError as error:
        raise UnreadablePdfError(
            f"{name} cannot be opened ({error.strerror}).", "Check that the file is there and that you may read it."
        ) from error
