"""Texts of the library for a question: its best sentences, or whole passages.

Where the question is about a fact, the sentences are those that the small model gets in the chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag.errors import QuestionError
from rag.quoting.extract import EMBEDDED_SENTENCES, best_sentences
from rag.reading.reader import trained_reader
from rag.retrieval.retrieve import Retriever
from ui import core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rag.answer import Passage
    from rag.retrieval.retrieve import Found

WHOLE = 3
"""Whole passages for one question; more would take a model in the page minutes to read."""


def documents_for(question: str, *, whole: bool) -> list[dict[str, Any]]:
    """The documents, the best first, each with its paper.

    Raises:
        UserFacingError: the library is empty or cannot be searched.
    """
    if not core.library().papers():
        raise QuestionError("Your library is empty.", "Add papers, or ask without them.")
    reader = trained_reader()
    retriever = Retriever(core.library(), core.assistant().embedder, reader=reader)
    vector = retriever.embed(question)
    found = retriever.search(question, vector, k=core.serving().kept.settings.top_k, read=reader is not None)
    if whole:
        chosen = [(passage, passage.chunk.text) for passage in found.passages[:WHOLE]]
    else:
        chosen = list(_sentences(question, found)) or [(one, one.chunk.text) for one in found.passages[:1]]
    return [
        {"text": " ".join(text.split()), "paper": passage.paper.id, "cite": _cite(passage)} for passage, text in chosen
    ]


def _sentences(question: str, found: Found) -> Iterator[tuple[Passage, str]]:
    read = found.passages[: len(found.readings)]  # of a large library not all that are shown were read
    for passage, (start, end) in best_sentences(question, read, found.readings, n=EMBEDDED_SENTENCES):
        yield passage, passage.chunk.text[start:end]


def _cite(passage: Passage) -> str:
    return f"{passage.paper.short_cite}, p. {passage.paper.page_name(passage.chunk.first_page)}"
