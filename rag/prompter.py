"""Prompter: builds the drafter's prompt from the passages found, as much as fits its context window."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rag.errors import ContextTooLongError
from rag.prompts import draft_messages, sentence_messages
from rag.quoting.extract import EMBEDDED_SENTENCES, best_sentences
from rag.quoting.roles import telling_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.embed import Vectors
    from rag.answer import Passage
    from rag.message import Message
    from rag.models.chat import ChatModel
    from rag.retrieval.questions import Plan
    from rag.retrieval.retrieve import Found, Retriever
    from rag.retrieval.terms import Terms
    from rag.settings import RagSettings


class Prompter:
    """Builds the messages for one drafter."""

    def __init__(self, drafter: ChatModel, settings: RagSettings, *, retriever: Retriever, terms: Terms) -> None:
        self.drafter = drafter
        self._settings = settings
        self._retriever = retriever
        self._terms = terms

    async def messages(
        self, taken: Plan, vector: Vectors, found: Found, history: Sequence[tuple[str, str]]
    ) -> tuple[list[Message], tuple[Passage, ...]]:
        """The drafter's prompt, and the passages in it.

        Args:
            taken: the question.
            vector: its embedding.
            found: the passages, with readings if the reader has read them.
            history: earlier questions and answers, oldest first; dropped first if there is no room.

        Raises:
            ContextTooLongError: the question does not fit even with a single passage.
        """
        kind, passages = taken.kind, found.passages
        n = self._settings.drafter_sentences
        if n is None:
            n = EMBEDDED_SENTENCES if self._settings.drafter is None else 0
        if n:
            if kind == "summary":
                sentences = telling_sentences(passages, n=n, question=taken.text)
            elif found.readings and kind == "fact":
                read = passages[: len(found.readings)]  # of a large library not all that are shown were read
                best = best_sentences(taken.text, read, found.readings, n=n)
                sentences = [passage.chunk.text[start:end] for passage, (start, end) in best]
            else:
                sentences = await asyncio.to_thread(self._retriever.sentences, taken.text, vector, passages, n=n)
            while len(sentences) > 1 and not await self._fits(sentence_messages(taken.text, sentences, kind=kind)):
                sentences.pop()
            messages = sentence_messages(taken.text, sentences, kind=kind)
            if await self._fits(messages):
                return messages, tuple(passages)
        kept, turns = list(passages), list(history)
        among = [passage.paper.id for passage in passages]
        definitions = await asyncio.to_thread(self._terms.definitions, taken.question, among)
        while not await self._fits(
            messages := draft_messages(taken.question, kept, history=turns, definitions=definitions, kind=kind)
        ):
            if turns:  # drop the oldest history first, then the last passages
                turns.pop(0)
            elif len(kept) > 1:
                kept.pop()
            else:
                raise ContextTooLongError(
                    f"The question does not fit into the context window of {self.drafter.name}.",
                    "Shorten the question.",
                )
        return messages, tuple(kept)

    async def _fits(self, messages: Sequence[Message]) -> bool:
        room = await self.drafter.context_window() - self._settings.max_output_tokens
        return await self.drafter.count_tokens(messages) <= room
