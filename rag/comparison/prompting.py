"""The prompt of a question: the question alone, or with passages of the library. The same for every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.comparison.nouns import Prompt
from rag.prompts import draft_messages, sentence_messages
from rag.retrieval.retrieve import Retriever

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Embedder, Library
    from rag.message import Message
    from rag.reading.reader import Reader


def bare(question: str) -> Prompt:
    """The question alone."""
    return Prompt(messages=({"role": "user", "content": question},))


@dataclass(slots=True)
class Passages:
    """Builds prompts with passages.

    Args:
        library: where to search.
        embedder: the one the library was built with.
        reader: orders the passages; None to leave them as the search does.
        k: passages in a prompt.
        sentences: so many of the nearest sentences instead of whole passages; None for passages.
    """

    library: Library
    embedder: Embedder
    reader: Reader | None
    k: int
    sentences: int | None = None

    def warm_up(self) -> None:
        """Load what the first search would otherwise load."""
        retriever = self._retriever()
        retriever.search("warm up", retriever.embed("warm up"), k=1, read=True)

    def prompt(self, question: str, paper_ids: Sequence[str] | None = None) -> Prompt:
        """The question with what was found for it."""
        retriever = self._retriever()
        vector = retriever.embed(question)
        found = retriever.search(question, vector, k=self.k, paper_ids=paper_ids, read=True)
        messages: list[Message]
        if self.sentences:
            best = retriever.sentences(question, vector, found.passages, n=self.sentences)
            messages = sentence_messages(question, best)
        else:
            messages = draft_messages(question, found.passages)
        papers = tuple(dict.fromkeys(passage.paper.id for passage in found.passages))
        return Prompt(messages=tuple(messages), paper_ids=papers)

    def _retriever(self) -> Retriever:
        return Retriever(self.library, self.embedder, reader=self.reader)
