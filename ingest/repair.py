"""Repair a library: check and fix it, and embed its chunks again with another embedder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest import files, folder, schema
from ingest.errors import LibraryMismatchError
from ingest.vectors import AT_ONCE, ChromaIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.embed import Embedder
    from ingest.library import Library


@dataclass(frozen=True, slots=True)
class Problem:
    """An inconsistency found by `verify`, and whether it was repaired."""

    paper_id: str | None
    what: str
    repaired: bool


def rebuild(library: Library, embedder: Embedder, *, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Embed all chunks with `embedder` beside the old vectors and swap at the end; the number of chunks.

    Until the swap the library answers as before. Interrupted, it goes on where it was when called again.

    Raises:
        LibraryBusyError: another process owns the library.
        LibraryMismatchError: a chunk is longer than the embedder reads.
    """
    library.own()
    with library._db as db:
        db.execute("DELETE FROM rebuilt WHERE embedder != ?", (embedder.name,))
    todo = library._db.execute(
        "SELECT c.id, c.text FROM chunks c LEFT JOIN rebuilt r ON r.id = c.id WHERE r.id IS NULL ORDER BY c.row"
    ).fetchall()
    total = library._db.execute("SELECT count(*) FROM chunks").fetchone()[0]
    if todo and max(embedder.count_tokens([text for _, text in todo])) > embedder.max_tokens:
        raise LibraryMismatchError(
            f"Some chunks are longer than the {embedder.max_tokens} tokens that {embedder.name} reads.",
            "Add the papers again to a new library folder with this embedder.",
        )
    for start in range(0, len(todo), 64):
        batch = todo[start : start + 64]
        vectors = embedder.embed_documents([text for _, text in batch])
        with library._db as db:
            rows = zip(batch, vectors, strict=True)
            db.executemany(
                "INSERT INTO rebuilt VALUES (?, ?, ?)",
                [(name, embedder.name, np.asarray(vector, dtype=np.float32).tobytes()) for (name, _), vector in rows],
            )
        if on_progress:
            on_progress(total - len(todo) + start + len(batch), total)
    _swap(library, embedder.name)
    return int(total)


def _swap(library: Library, embedder: str) -> None:
    """Fill the new collection, switch over in one transaction, then drop the old collection."""
    old, fresh = library.vectors, library._chroma(embedder)
    query, after = "SELECT id, vector FROM rebuilt WHERE id > ? ORDER BY id LIMIT ?", ""
    while rows := library._db.execute(query, (after, AT_ONCE)).fetchall():
        fresh.add([row[0] for row in rows], np.stack([np.frombuffer(row[1], dtype=np.float32) for row in rows]))
        after = rows[-1][0]
    fresh.filled()
    with library._db as db:
        db.execute("UPDATE chunks SET vector = (SELECT r.vector FROM rebuilt r WHERE r.id = chunks.id)")
        db.execute(schema.SET_FACT, ("embedder", embedder))
        db.execute("DELETE FROM rebuilt")
    library._vectors = fresh
    if isinstance(old, ChromaIndex) and old.name != fresh.name:
        old.drop()
    old.close()


def verify(library: Library) -> list[Problem]:
    """Compare tables, vector index and files; repair what can be repaired and return everything found.

    Raises:
        LibraryBusyError: another process owns the library.
    """
    library.own()
    with library._guard:
        library._recover()
    problems: list[Problem] = []
    for paper in library.papers():
        path = library._papers / f"{paper.id}.pdf"
        if not path.is_file():
            problems.append(Problem(paper.id, f"its PDF {path.name} is missing; add the file again", repaired=False))
        elif files.paper_id(path) != paper.id:
            problems.append(Problem(paper.id, f"its PDF {path.name} has changed; add the file again", repaired=False))
    known = {paper.id for paper in library.papers()} | {e.paper_id for e in library.ledger.entries("failed")}
    for entry in library.ledger.entries():
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
            library.ledger.forget(entry.paper_id)
            problems.append(Problem(entry.paper_id, "the ledger listed a missing paper", repaired=True))
    problems += _clear_away(library, known)
    problems += [Problem(None, what, repaired=True) for what in library.mend_index()]
    if library._words.mend():
        problems.append(Problem(None, "the word index did not match the chunks", repaired=True))
    return problems


def _clear_away(library: Library, known: set[str]) -> list[Problem]:
    """Delete unfinished copies; set aside everything else that belongs to no paper."""
    problems = []
    for path in sorted(library._papers.iterdir()):
        if path.stem in known and path.suffix == ".pdf":
            continue
        if folder.UNFINISHED_COPY.fullmatch(path.name):
            path.unlink()
            problems.append(Problem(None, f"{path.name} was never finished", repaired=True))
        else:
            aside = folder.made(library.folder / "stray")
            path.replace(aside / path.name)
            problems.append(Problem(None, f"{path.name} belonged to no paper and was moved to {aside}", repaired=True))
    return problems
