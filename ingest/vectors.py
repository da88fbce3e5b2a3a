"""The vector index: chunk ids by nearness; the only file that imports chromadb or sees a distance."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.embed import Vectors

PROBE_SECONDS = 60.0
_HERE = Path(__file__).resolve().parents[1]

BATCH = 1000
"""Records in one write; Chroma's own bound is 5,461, and larger batches gain nothing."""


class VectorIndex(Protocol):
    """Unit vectors under chunk ids; score = cosine, higher is better."""

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Store or replace the vectors, shape (len(ids), dimension)."""

    def remove(self, ids: Sequence[str]) -> None:
        """Forget the ids; unknown ones are ignored."""

    def ids(self) -> set[str]:
        """All ids that are stored."""

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest as (id, score), best first; `among` restricts the search to these ids."""

    def close(self) -> None:
        """Let go of files; nothing may be called after it."""


class ChromaIndex:
    """A collection in an embedded Chroma. One process at a time may have the folder open: two corrupt it."""

    def __init__(self, folder: Path, *, collection: str) -> None:
        import chromadb
        from chromadb.config import Settings

        folder.mkdir(parents=True, exist_ok=True)
        self._client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        self._collection = self._client.get_or_create_collection(
            collection, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Store or replace the vectors."""
        for start in range(0, len(ids), BATCH):
            self._collection.upsert(
                ids=list(ids[start : start + BATCH]),
                embeddings=vectors[start : start + BATCH],
                metadatas=[{"paper": name.partition(":")[0]} for name in ids[start : start + BATCH]],
            )

    def remove(self, ids: Sequence[str]) -> None:
        """Forget the ids."""
        for start in range(0, len(ids), BATCH):
            self._collection.delete(ids=list(ids[start : start + BATCH]))

    def ids(self) -> set[str]:
        """All ids that are stored."""
        return set(self._collection.get(include=[])["ids"])

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest by Chroma's HNSW; exactly, over the stored vectors, where `among` is given."""
        if among is not None and not among:
            return []
        if among is not None:
            stored = self._collection.get(ids=list(among), include=["embeddings"])
            return _exact(stored["ids"], np.asarray(stored["embeddings"], dtype=np.float32), query, k)
        n = min(k, self._collection.count())
        if n == 0:
            return []
        found: Any = self._collection.query(query_embeddings=query[None, :], n_results=n, include=["distances"])
        return [(name, 1.0 - float(d)) for name, d in zip(found["ids"][0], found["distances"][0], strict=True)]

    def count(self) -> int:
        """How many vectors are stored."""
        return int(self._collection.count())

    @property
    def name(self) -> str:
        """The collection's name."""
        return str(self._collection.name)

    def drop(self) -> None:
        """Delete the whole collection; nothing may be called after it but `close`."""
        self._client.delete_collection(self.name)

    def close(self) -> None:
        """Close the folder: without this the client stays open in the process, and its files with it."""
        self._client.close()


class ExactIndex:
    """All vectors in memory, searched exactly. Serves readers while another process owns the Chroma folder."""

    def __init__(self, ids: Sequence[str] = (), vectors: Vectors | None = None) -> None:
        self._rows: dict[str, Vectors] = dict(zip(ids, vectors, strict=True)) if vectors is not None else {}

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Store or replace the vectors."""
        self._rows.update(zip(ids, vectors, strict=True))

    def remove(self, ids: Sequence[str]) -> None:
        """Forget the ids."""
        for name in ids:
            self._rows.pop(name, None)

    def ids(self) -> set[str]:
        """All ids that are stored."""
        return set(self._rows)

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest by dot product."""
        names = list(self._rows) if among is None else [name for name in among if name in self._rows]
        return _exact(names, np.asarray([self._rows[name] for name in names], dtype=np.float32), query, k)

    def close(self) -> None:
        """Nothing to let go of."""


def probe(folder: Path, collection: str) -> bool:
    """Whether a Chroma folder opens, counts and answers, tried in a child process: a broken one can kill its reader."""
    code = (
        "import sys, pathlib, numpy; from ingest.vectors import ChromaIndex\n"
        "index = ChromaIndex(pathlib.Path(sys.argv[1]), collection=sys.argv[2])\n"
        "n, ids = index.count(), index.ids(); assert len(ids) == n\n"
        "n and index.search(numpy.ones(len(index._collection.peek(1)['embeddings'][0]), dtype='float32'), 5)\n"
    )
    command = [sys.executable, "-c", code, str(folder), collection]
    try:
        return (
            subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False, cwd=_HERE).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


def _exact(ids: Sequence[str], vectors: Vectors, query: Vectors, k: int) -> list[tuple[str, float]]:
    if not len(ids):
        return []
    scores = vectors @ query
    order = np.argsort(-scores, kind="stable")[:k]
    return [(ids[i], float(scores[i])) for i in order]
