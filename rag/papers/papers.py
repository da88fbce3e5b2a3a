"""A library in plain calls that wait, also where an event loop runs already, as in Jupyter."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from anyio.from_thread import start_blocking_portal

from ingest import Ingest, IngestSettings, Source, open_library, pdf_files
from rag.assistant import Assistant
from rag.choices import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import IngestReport, Library
    from rag.answer import Answer, Mode, Passage
    from rag.settings import RagSettings


class Papers:
    """A library and its assistant. Use it as a context manager, or call `close`; nothing is loaded before it is needed.

    Args:
        folder: the library's folder; None for the one of the settings. It is made if it is not there.

    Raises:
        UserFacingError: the library cannot be opened.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        settings = IngestSettings() if folder is None else IngestSettings(library=Path(folder))
        self._open = ExitStack()
        self._library = self._open.enter_context(open_library(settings))
        self._loop = self._open.enter_context(start_blocking_portal())
        self._assistant: Assistant | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def library(self) -> Library:
        """The papers, with everything that is known about them."""
        return self._library

    @property
    def assistant(self) -> Assistant:
        """The assistant, as the settings and the choices of the app describe it; await its methods in its own loop."""
        if self._assistant is None:
            settings = kept(self._library.folder).settings
            self._assistant = self._loop.call(_opened, settings, self._library)
        return self._assistant

    def add(self, *paths: Path | str) -> list[IngestReport]:
        """Add PDFs, or all PDFs in folders; what cannot be added says why in its report."""
        sources = [Source(path, path.name) for path in pdf_files([Path(path) for path in paths])]
        return list(Ingest(library=self._library, embedder=self.assistant.embedder).run(sources))

    def search(self, question: str, *, k: int = 10) -> tuple[Passage, ...]:
        """The passages that answer best, the best first."""
        retriever = self.assistant.search.retriever
        return retriever.search(question, retriever.embed(question), k=k, read=True).passages

    def ask(
        self,
        question: str,
        *,
        mode: Mode = "draft",
        paper_ids: Sequence[str] | None = None,
        tag: str | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """The checked answer. Nobody is asked for consent, so what was not allowed before does not leave the machine.

        Raises:
            UserFacingError: the question cannot be asked, or a model fails.
        """
        assistant = self.assistant

        async def asked() -> Answer:
            return await assistant.answer(question, mode=mode, paper_ids=paper_ids, tag=tag, history=history)

        return self._loop.call(asked)

    def close(self) -> None:
        """Stop the models and close the library."""
        assistant, self._assistant = self._assistant, None
        try:
            if assistant is not None:
                self._loop.call(assistant.close)
        finally:
            self._open.close()


async def _opened(settings: RagSettings, library: Library) -> Assistant:
    return Assistant.open(settings, library=library)
