"""The vector index: chunk ids by similarity; the only module that handles distances."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import numpy as np

from ingest.environment import for_child
from ingest.errors import VectorServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ingest.embed import Vectors

PROBE_SECONDS = 60.0
_HERE = Path(__file__).resolve().parents[1]

BATCH = 1000
"""Records per write; Chroma's own limit is 5,461, and larger batches gain nothing."""

SERVER_BATCH = 300
"""The same for a server: the limit of distributed Chroma."""

PAGE = 10_000
"""Ids per reply of a server."""

SYNC = 1000
"""Vectors after which Chroma writes its whole index to disk again."""

SYNC_WHEN_FILLED, SYNCS = 50_000, 10
"""The same at most while an index is filled, and about how often then: a million vectors after each thousand would be
850 GB to write."""

AT_ONCE = 5000
"""Vectors that are read into memory at once while an index is filled."""

EXACT = 1000
"""A search among up to this many ids is exact: 1,000 take as long as asking HNSW for more (docs/log.md)."""

DEEPEST = 4000
"""Maximum neighbours requested from HNSW; 2,000 take 12 ms of CPU time at 100,000 vectors, 5,000 take 26."""


FEWEST = 25
"""Of the nearest, those in a scope that are enough if `DEEPEST` of all hold no more."""


class VectorIndex(Protocol):
    """Unit vectors by chunk id; score = cosine, higher is better."""

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Store or replace the vectors, shape (len(ids), dimension)."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove the ids; unknown ones are ignored."""

    def ids(self) -> set[str]:
        """All ids that are stored."""

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest as (id, score), best first; `among` restricts the search to these ids."""

    def nearest(self, query: Vectors, depth: int) -> list[tuple[str, float]]:
        """The `depth` nearest as (id, score), best first; about so many, or none, where only a part is seen."""

    def count(self) -> int:
        """Number of stored vectors."""

    def close(self) -> None:
        """Release files; nothing may be called after this."""


class ChromaIndex:
    """A collection in an embedded Chroma, or on a Chroma server.

    One process at a time may have an embedded Chroma's folder open: two corrupt it. A server has as many clients as
    it likes. It gets ids and vectors, never text.

    Args:
        place: the folder of an embedded Chroma, or the URL of a server.
        collection: its name; where several libraries share a server, it says whose it is.
        stored: the vectors of these ids as SQLite keeps them, which is four times faster than asking Chroma.
        room_for: how many vectors will be added at once if the collection is new; `filled` ends that.

    Raises:
        VectorServerError: the server does not answer, or is not on this machine or a private network.
    """

    def __init__(
        self,
        place: Path | str,
        *,
        collection: str,
        stored: Callable[[Sequence[str]], Mapping[str, Vectors]] | None = None,
        room_for: int = 0,
    ) -> None:
        from ingest import chroma

        self._url = place if isinstance(place, str) else None
        self._folder = None if isinstance(place, str) else place
        self._batch = SERVER_BATCH if self._url else BATCH
        self._stored = stored or self._fetched
        self._n: int | None = None
        with self._translated():
            if isinstance(place, str):
                self._client: Any = chroma.server(place)
            else:
                place.mkdir(parents=True, exist_ok=True)
                self._client = chroma.embedded(str(place))
            sync = min(SYNC_WHEN_FILLED, room_for // SYNCS) // self._batch * self._batch
            configuration = {"hnsw": {"space": "cosine", "sync_threshold": max(SYNC, sync)}}
            try:
                made = self._client.get_or_create_collection(
                    collection, embedding_function=None, configuration=configuration
                )
            except BaseException:
                self._client.close()
                raise
            self._collection = chroma.without_orders(made)

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Store or replace the vectors."""
        for start in range(0, len(ids), self._batch):
            batch = list(ids[start : start + self._batch])
            with self._translated():
                self._collection.upsert(
                    ids=batch,
                    embeddings=vectors[start : start + self._batch],
                    metadatas=[{"paper": name.partition(":")[0]} for name in batch],
                )
        self._changed()

    def filled(self) -> None:
        """From its next opening on, write the index as often as usual."""
        from ingest import chroma

        with self._translated():
            chroma.set_sync(self._collection, SYNC)

    def remove(self, ids: Sequence[str]) -> None:
        """Forget the ids."""
        for start in range(0, len(ids), self._batch):
            with self._translated():
                self._collection.delete(ids=list(ids[start : start + self._batch]))
        self._changed()

    def ids(self) -> set[str]:
        """All ids that are stored."""
        found: set[str] = set()
        while True:
            with self._translated():
                page = self._collection.get(include=[], limit=PAGE, offset=len(found))["ids"]
            found.update(page)
            if len(page) < PAGE:
                return found

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest by Chroma's HNSW; among few ids exactly, over the stored vectors.

        Among many, more than k are asked for and those outside are left out: Chroma's own filters take 50 to 500 ms at
        100,000 vectors. Where too few are inside, the search is exact as well.
        """
        if among is None:
            return self.nearest(query, k)
        if len(among) > EXACT:
            inside = set(among)
            if found := nearest_inside(self, query, k, share=len(among) / self.count(), inside=inside.__contains__):
                return found
        rows = self._stored(among)
        return _exact(list(rows), np.asarray(list(rows.values()), dtype=np.float32), query, k)

    def nearest(self, query: Vectors, depth: int) -> list[tuple[str, float]]:
        """The nearest by Chroma's HNSW."""
        with self._translated():
            found = self._collection.query(query_embeddings=query[None, :], n_results=depth, include=["distances"])
        return [(name, 1.0 - float(d)) for name, d in zip(found["ids"][0], found["distances"][0], strict=True)]

    def _fetched(self, ids: Sequence[str]) -> dict[str, Vectors]:
        found: dict[str, Vectors] = {}
        for start in range(0, len(ids), self._batch):
            with self._translated():
                part = self._collection.get(ids=list(ids[start : start + self._batch]), include=["embeddings"])
            found.update(zip(part["ids"], part["embeddings"], strict=True))
        return found

    def count(self) -> int:
        """Number of stored vectors; Chroma takes 5 ms to count 100,000, so what no other process changes is kept."""
        if (n := self._n) is None:
            with self._translated():
                n = int(self._collection.count())
            self._n = n if self._folder else None
        return n

    def _changed(self) -> None:
        from ingest import chroma

        self._n = None
        if self._folder:
            chroma.wipe_unwritten(self._folder)

    @property
    def name(self) -> str:
        """The collection's name."""
        return str(self._collection.name)

    def drop(self) -> None:
        """Delete the whole collection; after this, only `close` may be called."""
        with self._translated():
            self._client.delete_collection(self.name)

    def close(self) -> None:
        """Close the folder or the connection; otherwise an embedded client keeps its files open."""
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate a server's errors for the user; those of an embedded Chroma are bugs and keep their traceback."""
        import httpx
        from chromadb.errors import ChromaError, NotFoundError

        try:
            yield
        except Exception as error:
            if said := _ours(error):
                raise said from error
            # Chroma raises a bare Exception for a reply that is not in its own format
            foreign = isinstance(error, (httpx.HTTPError, OSError, ValueError, ChromaError)) or type(error) is Exception
            if self._url is None or not foreign:
                raise
            if isinstance(error, NotFoundError):
                raise VectorServerError(
                    f"The Chroma server at {self._url} no longer knows this library.",
                    "Start Scholion again: it fills the server from the library, without embedding anything again.",
                ) from error
            if (isinstance(error, ChromaError) or type(error) is Exception) and "Could not connect" not in str(error):
                raise VectorServerError(
                    f"The Chroma server at {self._url} failed ({str(error)[:200]}).",
                    "Check the output of the server, then start it again.",
                ) from error
            raise VectorServerError(
                f"The Chroma server at {self._url} does not respond.",
                f"Start it with `chroma run --path FOLDER --port {urlsplit(self._url).port or 8000}`, "
                "or unset SCHOLION_CHROMA to search without a server.",
            ) from error


def nearest_inside(
    index: VectorIndex, query: Vectors, k: int, *, share: float, inside: Callable[[str], bool]
) -> list[tuple[str, float]] | None:
    """The k nearest that are inside a scope, a share of all, found by asking for more of all; None if that fails.

    `DEEPEST` of all may have fewer than k of them. These are the nearest all the same, and `FEWEST` will do: an exact
    search among 200,000 would take seconds.
    """
    depth = k + int(1.25 * k / share)
    if depth > DEEPEST and share * DEEPEST < 2 * FEWEST:
        return None
    for asked in (depth, DEEPEST) if depth < DEEPEST else (DEEPEST,):
        found = [hit for hit in index.nearest(query, asked) if inside(hit[0])]
        if len(found) >= (k if asked < DEEPEST else min(k, FEWEST)):
            return found[:k]
    return None


class ExactIndex:
    """All vectors in memory, searched exactly, for readers while another process owns the Chroma folder."""

    def __init__(self, ids: Sequence[str] = (), vectors: Vectors | None = None) -> None:
        self._names = list(ids)
        self._at = {name: row for row, name in enumerate(self._names)}
        self._rows = np.empty((0, 0), dtype=np.float32) if vectors is None else vectors

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Store or replace the vectors."""
        self.remove(ids)
        self._names += ids
        self._at = {name: row for row, name in enumerate(self._names)}
        self._rows = np.concatenate([self._rows, vectors]) if self._rows.size else np.array(vectors, dtype=np.float32)

    def remove(self, ids: Sequence[str]) -> None:
        """Forget the ids."""
        gone = {name for name in ids if name in self._at}
        if gone:
            kept = [name for name in self._names if name not in gone]
            self._rows = self._rows[[self._at[name] for name in kept]]
            self._names, self._at = kept, {name: row for row, name in enumerate(kept)}

    def ids(self) -> set[str]:
        """All ids that are stored."""
        return set(self._names)

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest by dot product."""
        if among is None:
            return _exact(self._names, self._rows, query, k)
        names = [name for name in among if name in self._at]
        return _exact(names, self._rows[[self._at[name] for name in names]], query, k) if names else []

    def nearest(self, query: Vectors, depth: int) -> list[tuple[str, float]]:
        """The nearest by dot product."""
        return self.search(query, depth)

    def count(self) -> int:
        """Number of vectors."""
        return len(self._names)

    def close(self) -> None:
        """Nothing to release."""


def _ours(error: BaseException | None) -> VectorServerError | None:
    """Our own transport's error, before Chroma's client wrapped it in another."""
    while error is not None:
        if isinstance(error, VectorServerError):
            return error
        error = error.__cause__ or error.__context__
    return None


def probe(folder: Path, collection: str) -> bool:
    """Whether a Chroma folder opens, counts and answers, tried in a child process, which it may crash."""
    code = (
        "import sys, pathlib, numpy; from ingest.vectors import ChromaIndex\n"
        "index = ChromaIndex(pathlib.Path(sys.argv[1]), collection=sys.argv[2])\n"
        "n, ids = index.count(), index.ids(); assert len(ids) == n\n"
        "n and index.search(numpy.ones(len(index._collection.peek(1)['embeddings'][0]), dtype='float32'), 5)\n"
    )
    command = [sys.executable, "-c", code, str(folder), collection]
    try:
        return (
            subprocess.run(
                command,
                capture_output=True,
                timeout=PROBE_SECONDS,
                check=False,
                cwd=_HERE,
                env=for_child("HOME", "USERPROFILE"),
            ).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def _exact(ids: Sequence[str], vectors: Vectors, query: Vectors, k: int) -> list[tuple[str, float]]:
    if not len(ids):
        return []
    scores = vectors @ query
    best = np.argpartition(-scores, k)[:k] if k < len(scores) else np.arange(len(scores))
    order = best[np.argsort(-scores[best], kind="stable")]
    return [(ids[i], float(scores[i])) for i in order]
