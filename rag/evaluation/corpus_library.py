"""A public corpus as a temporary library: each document a paper, each unit a chunk, searched like any library."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from ingest import Chunk, IngestSettings, Library, Page, Paper, ParsedPaper, open_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ingest import Embedder
    from rag.evaluation.cases import Document, QuestionSet

UNITS = 256
"""Units embedded in one batch."""


@contextmanager
def corpus_library(
    questions: QuestionSet,
    folder: Path,
    *,
    embedder: Embedder,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> Iterator[Library]:
    """Open a library in which each document of the corpus is a paper and each unit a chunk.

    It is kept below `folder` for the next run; what it already contains is not embedded again.
    """
    name = sha256(f"{embedder.name}\n{questions.digest}".encode()).hexdigest()[:16]
    with open_library(IngestSettings(library=folder / name)) as library:
        there = {paper.id for paper in library.papers()}
        todo = [document for document in questions.documents if document.paper_id not in there]
        for batch in _batches(todo):
            tell("embedding", len(there), len(questions.documents))
            _add(library, batch, embedder)
            there.update(document.paper_id for document in batch)
        yield library


def _batches(documents: Sequence[Document]) -> Iterator[list[Document]]:
    """Batches of documents in order, about `UNITS` units each."""
    batch: list[Document] = []
    for document in documents:
        batch.append(document)
        if sum(len(d.units) for d in batch) >= UNITS:
            yield batch
            batch = []
    if batch:
        yield batch


def _add(library: Library, documents: Sequence[Document], embedder: Embedder) -> None:
    library.own()
    texts = [unit for document in documents for unit in document.units]
    vectors, counts, at = embedder.embed_documents(texts), embedder.count_tokens(texts), 0
    for document in documents:
        rows = slice(at, at := at + len(document.units))
        paper = Paper(id=document.paper_id, title=document.title, n_pages=1, file_name=document.id)
        pdf = library.kept_path(paper.id)
        pdf.touch()  # the library copies a paper's PDF, and there is none
        parsed = ParsedPaper(paper, (Page(1, document.text),))
        chunks = _chunks(document, counts[rows])
        library.add(parsed, chunks, vectors[rows], embedder=embedder.name, pdf=pdf)


def _chunks(document: Document, counts: Sequence[int]) -> list[Chunk]:
    sections = document.sections or (None,) * len(document.units)
    return [
        Chunk(
            id=f"{document.paper_id}:{ordinal:04d}",
            paper_id=document.paper_id,
            ordinal=ordinal,
            text=unit,
            start=start,
            end=end,
            first_page=1,
            last_page=1,
            section=section,
            n_tokens=count,
        )
        for ordinal, (unit, section, (start, end), count) in enumerate(
            zip(document.units, sections, document.spans(), counts, strict=True)
        )
    ]
