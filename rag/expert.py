"""The larger model's turn: what it is shown, and whether what it writes takes the draft's place."""

from __future__ import annotations

import ipaddress
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urldefrag, urlsplit

from ingest import UserFacingError
from rag.answer import Answered, Draft, Drafted, Escalated, TextDelta
from rag.chat import Endpoint, EndpointChatModel, fixed
from rag.errors import ContextTooLongError, NotAllowedError
from rag.local import LocalServer
from rag.prompts import refine_messages
from rag.refine import Attempt, declines, not_worse, unsupported
from rag.write import whole_sentences, write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from rag.accounting import Trace
    from rag.answer import Answer, Event, Passage
    from rag.chat import ChatModel, Message
    from rag.citations import Cited
    from rag.settings import RagSettings
    from rag.terms import Definition

GGUF_CONTEXT = 8192
"""Context window of an expert that is a file, where the settings name none."""


class Expert:
    """A larger model that is asked to improve drafts.

    Args:
        model: the model.
        settings: how much and how long it may write.
        server: the process that serves it, where it is one of ours.
    """

    def __init__(self, model: ChatModel, *, settings: RagSettings, server: LocalServer | None = None) -> None:
        self.model = model
        self._settings = settings
        self._server = server

    @classmethod
    def open(cls, settings: RagSettings) -> Self | None:
        """The expert that the settings name; None where they name none. Starts and contacts nothing."""
        if settings.expert is None:
            return None
        address, model = urldefrag(settings.expert)
        if urlsplit(address).scheme not in {"http", "https"}:
            server = LocalServer(
                Path(settings.expert),
                context=settings.expert_context or GGUF_CONTEXT,
                slots=1,
                threads=settings.drafter_threads,
            )
            opened = EndpointChatModel(server.connect, name=server.name, timeout=settings.timeout_seconds)
            return cls(opened, settings=settings, server=server)
        _only_here(address)
        endpoint = Endpoint(address, model, settings.expert_key.get_secret_value(), settings.expert_context)
        opened = EndpointChatModel(fixed(endpoint), name=model or address, timeout=settings.timeout_seconds)
        return cls(opened, settings=settings)

    @property
    def name(self) -> str:
        """What to call the model before a user."""
        return self.model.name

    async def close(self) -> None:
        """Stop its process, where it is one of ours."""
        if self._server:
            await self._server.close()

    async def look_again(
        self,
        answer: Answer,
        *,
        first: Attempt,
        reason: str,
        trace: Trace,
        check: Callable[[str, Sequence[Passage]], Cited],
        definitions: Sequence[Definition] = (),
    ) -> AsyncGenerator[Event, None]:
        """Ask the model to improve a draft; the last event is `Answered`, whatever becomes of it.

        Args:
            answer: as it stands with the draft; it is kept where nothing better comes.
            first: the draft, checked.
            reason: why the model is asked, for the user.
            trace: takes the time.
            check: judges a text against passages.
            definitions: of terms that stand in the question.
        """
        began, held = time.monotonic(), trace.held
        second: Attempt | None = None
        try:
            messages, passages = await self._prompt(answer, first, definitions)
            yield Escalated(self.name, reason)
            async with aclosing(self._write(messages)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield TextDelta(piece, len(answer.drafts))
                    else:
                        draft = replace(piece, refines=first.draft)
            trace.add("refine", time.monotonic() - began - (trace.held - held))
            with trace.span("check"):
                second = Attempt(draft, check(draft.text, passages))
            verdict = self._verdict(second, first)
        except UserFacingError as error:
            if second is None:
                trace.add("refine", time.monotonic() - began - (trace.held - held))
            yield Answered(with_notice(answer, f"{error} The draft stays.", trace=trace))
            return
        yield Drafted(draft, None)
        answer = replace(answer, drafts=(*answer.drafts, draft))
        if verdict:
            yield Answered(with_notice(answer, verdict, trace=trace))
            return
        unread = len(answer.passages) - len(passages)
        notice = f"{unread} of the passages did not fit and were not shown to {self.name}." if unread else None
        cited = second.cited
        yield Answered(
            with_notice(
                replace(
                    answer,
                    text=cited.text,
                    sentences=cited.sentences,
                    citations=cited.citations,
                    corrections=cited.corrections,
                    shown=len(answer.drafts) - 1,
                ),
                notice,
                trace=trace,
            )
        )

    def _verdict(self, second: Attempt, first: Attempt) -> str | None:
        """Why the refinement is not taken, for the user; None where it is."""
        if declines(second.draft.text):
            return (
                f"{self.name} did not answer from these passages (“{_short(second.draft.text)}”), so the draft stays."
            )
        if second.draft.finish_reason == "repetition":
            return f"{self.name} began to repeat itself, so the draft stays."
        if not not_worse(second, first):
            return f"{self.name} was asked, but your papers support its answer less than the draft, so the draft stays."
        return None

    async def _prompt(
        self, answer: Answer, first: Attempt, definitions: Sequence[Definition]
    ) -> tuple[list[Message], tuple[Passage, ...]]:
        """What the model is to read, and the passages in it: as many as fit."""
        passages = list(answer.passages)
        room = await self.model.context_window() - self._settings.expert_output_tokens
        while True:
            messages = refine_messages(
                answer.searched or answer.question,
                passages,
                draft=first.draft.text,
                unsupported=unsupported(first),
                definitions=definitions,
                kind=answer.kind,
            )
            if await self.model.count_tokens(messages) <= room:
                return messages, tuple(passages)
            if len(passages) == 1:
                raise ContextTooLongError(
                    f"The question does not fit into the context window of {self.name}.", "Shorten the question."
                )
            passages.pop()

    async def _write(self, messages: Sequence[Message]) -> AsyncGenerator[str | Draft, None]:
        pieces = write(
            self.model,
            messages,
            max_tokens=self._settings.expert_output_tokens,
            seconds=self._settings.expert_seconds,
        )
        async with aclosing(pieces) as stream:
            async for piece in stream:
                if isinstance(piece, Draft) and piece.finish_reason == "length":
                    yield replace(piece, text=whole_sentences(piece.text).strip())
                else:
                    yield piece


def with_notice(answer: Answer, notice: str | None, *, trace: Trace) -> Answer:
    """The answer with one more thing that the user should know, and its trace closed."""
    notices = " ".join(filter(None, (answer.notice, notice)))
    return replace(answer, notice=notices or None, trace=trace.finish())


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:80].rsplit(" ", 1)[0] + " …"


def _only_here(address: str) -> None:
    host = urlsplit(address).hostname or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if not here:
        raise NotAllowedError(
            f"{host or address} is not this machine, so nothing is sent there.", "Choose a model on this machine."
        )
