"""Workers that parse and embed for `ingest.pipeline`; the process that owns the library does all the rest.

A worker gets one PDF or some texts, and answers with a parsed paper or vectors. It writes nothing into the library. If
it is lost, another one is asked; after TRIES, the same work is done here, so a lost worker never costs a paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from ingest.embed import Embedder, Vectors
    from ingest.paper import ParsedPaper

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


class FarEmbedder:
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
            return asked(lambda: self._workers.embed(texts), self._check)
        except WorkerLostError:
            self._check()
            return self._here.embed_documents(texts)

    def embed_query(self, text: str) -> Vectors:
        """Embedded here."""
        return self._here.embed_query(text)


def asked(ask: Callable[[], Future[_Result]], check: Callable[[], None]) -> _Result:
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
