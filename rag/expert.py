"""The larger model: what it is shown, and whether its refinement replaces the draft."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from ingest import UserFacingError
from rag.answer import Answered, Draft, Drafted, Escalated, TextDelta, with_notice
from rag.costs.energy import MachineCosts, read_counters
from rag.costs.prices import estimate
from rag.costs.tokens import count_messages, was_cut
from rag.errors import ContextTooLongError, NotAllowedError, UnknownModelError
from rag.models.draft import metered, priced, whole_sentences, write
from rag.models.open import open_model
from rag.models.resolve import addresses
from rag.prompts import refine_messages
from rag.verify.attempts import Attempt, answered, declines, not_worse, unsupported
from rag.words import counted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from rag.answer import Answer, Confidence, Event, Passage
    from rag.costs.accounting import Trace
    from rag.costs.energy import Reading
    from rag.message import Locality, Message
    from rag.models.chat import ChatModel
    from rag.models.local import LocalServer
    from rag.privacy.destination import ModelCall
    from rag.privacy.gate import Consent, Gate
    from rag.privacy.permit import Permit
    from rag.retrieval.terms import Definition
    from rag.settings import RagSettings

FILE_CONTEXT = 8192
"""Context window of an expert loaded from a file, unless the settings say otherwise."""


def shape_of(settings: RagSettings) -> tuple[object, ...]:
    """The settings that make the larger model another one."""
    return (
        settings.expert,
        settings.expert_key,
        settings.expert_context,
        settings.drafter_threads,
        settings.timeout_seconds,
    )


@dataclass(frozen=True, slots=True)
class AskedBy:
    """Who is asked before something leaves the machine."""

    consent: Consent | None = None
    """None if nobody can be asked; then nothing leaves."""
    chat: str = ""
    """Identifies the chat."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a model may be shown."""

    passages: tuple[Passage, ...]
    draft: str
    unsupported: tuple[str, ...]


class Expert:
    """A larger model that refines drafts.

    Args:
        model: the model.
        settings: limits on length and time.
        gate: decides what may be sent if the model is not on this machine; None allows nothing.
        server: the process that serves it, if it is ours.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        settings: RagSettings,
        gate: Gate | None = None,
        server: LocalServer | None = None,
    ) -> None:
        self.model = model
        self.gate = gate
        self._settings = settings
        self._server = server
        self.shape = shape_of(settings)

    @classmethod
    def open(
        cls, settings: RagSettings, *, library: Path, gate: Gate | None = None, like: Expert | None = None
    ) -> Self | None:
        """The expert named in the settings; None if they name none. Starts and contacts nothing.

        Args:
            settings: name it.
            library: the library's folder.
            gate: see `Expert`.
            like: an earlier expert; if it is the same model, the two share its process.

        Raises:
            UserFacingError: there is no such model, or it is not on this machine yet.
        """
        if settings.expert is None:
            return None
        if len(addresses(settings.expert)) > 1:
            raise UnknownModelError(
                "SCHOLION_EXPERT names several servers, but the larger model can be on one only.", "Leave one of them."
            )
        if like and like.shape == shape_of(settings):
            return cls(like.model, settings=settings, gate=gate, server=like.server)
        opened = open_model(
            settings.expert,
            library=library,
            context=settings.expert_context,
            file_context=FILE_CONTEXT,
            slots=1,
            threads=settings.drafter_threads,
            timeout=settings.timeout_seconds,
            key=settings.expert_key.get_secret_value(),
        )
        return cls(opened.model, settings=settings, gate=gate, server=opened.server)

    @property
    def server(self) -> LocalServer | None:
        """The process that serves it, if it is ours."""
        return self._server

    @property
    def name(self) -> str:
        """The model's display name."""
        return self.model.name

    async def close(self) -> None:
        """Stop its process, if it is ours."""
        if self._server:
            await self._server.close()

    def kill(self) -> None:
        """Stop its process immediately, if it is ours."""
        if self._server:
            self._server.kill()

    async def look_again(
        self,
        answer: Answer,
        *,
        first: Attempt,
        reason: str,
        trace: Trace,
        judge: Callable[[Draft], Attempt],
        assess: Callable[[Attempt], Confidence],
        define: Callable[[Sequence[str]], Sequence[Definition]],
        asked_by: AskedBy,
    ) -> AsyncGenerator[Event, None]:
        """Ask the model to refine a draft; the last event is `Answered`, whatever happens.

        Args:
            answer: the answer with the draft; it is kept unless the refinement is better.
            first: the draft, checked.
            reason: why the model is asked, for the user.
            trace: records the time.
            judge: checks a draft against the answer's passages. It, `assess` and `define` are called in a thread.
            assess: gives the confidence in an attempt.
            define: the terms of the question as these papers (by id) use them.
            asked_by: who consents to sending, if the model is not on this machine.
        """
        began, held, second = time.monotonic(), trace.held, None
        try:
            shown = await asyncio.to_thread(self._may_see, answer, first, here=await self.model.is_here())
            call = await self.model.planned_call(max_tokens=1)
            yield Escalated(self.name, reason)
            messages, passages = await self._prompt(answer, shown, define)
            permit, before = None, await asyncio.to_thread(read_counters)
            if call.leaves:
                permit = await self._permit(messages, passages, asked_by, trace)
                messages = list(permit.payload.messages)
                answer = replace(answer, sent_to=self.name)
            async with aclosing(self._write(messages, permit)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield TextDelta(piece, len(answer.drafts))
                    else:
                        draft = replace(piece, refines=first.draft, locality=_locality(call))
            draft = await asyncio.to_thread(self._accounted, draft, permit, before)
            trace.add("refine", time.monotonic() - began - (trace.held - held))
            with trace.span("check"):
                second = await asyncio.to_thread(judge, draft)
                draft = second.draft
                sure = await asyncio.to_thread(assess, second)
        except UserFacingError as error:
            trace.add("refine", time.monotonic() - began - (trace.held - held))
            stays = "" if "draft is kept" in str(error) else " The draft is kept."
            yield Answered(with_notice(answer, f"{error}{stays}", trace=trace))
            return
        yield Drafted(draft, sure)
        answer = replace(answer, drafts=(*answer.drafts, draft))
        if verdict := self._verdict(second, first):
            yield Answered(with_notice(answer, verdict, trace=trace))
            return
        cut = await asyncio.to_thread(self._cut_short, draft, messages)
        notices = self._left_out(answer, shown, passages), cut
        answer = replace(answer, shown=len(answer.drafts) - 1, confidence=sure)
        answer = await asyncio.to_thread(answered, answer, second)
        yield Answered(with_notice(answer, " ".join(filter(None, notices)), trace=trace))

    def _may_see(self, answer: Answer, first: Attempt, *, here: bool) -> _Shown:
        """What this model may be shown of the answer so far: everything, if it is on this machine. Resolves no name."""
        if here or self.gate is None:
            return _Shown(answer.passages, first.draft.text, tuple(unsupported(first)))
        allowed = self.gate.allowed({passage.paper.id for passage in answer.passages})
        passages = tuple(passage for passage in answer.passages if passage.paper.id in allowed)
        if not passages:
            raise NotAllowedError(
                "All passages come from papers that stay on this machine, so the larger model was not asked.",
                "Allow them with `python -m rag privacy allow PAPER`, or search other papers.",
            )
        if self.gate.local_words(first.draft.text):  # the draft quotes one of them
            return _Shown(passages, "", ())
        return _Shown(passages, first.draft.text, tuple(unsupported(first)))

    async def _permit(
        self, messages: Sequence[Message], passages: Sequence[Passage], asked_by: AskedBy, trace: Trace
    ) -> Permit:
        """Permission to send this once. Time the user takes to decide is not counted as the answer's."""
        if self.gate is None:
            raise NotAllowedError(f"{self.name} is not on this machine, so nothing was sent.")
        payload = await self.gate.payload(
            messages,
            expert=self.model,
            max_tokens=self._settings.expert_output_tokens,
            temperature=self._settings.temperature,
            paper_ids=[passage.paper.id for passage in passages],
        )
        url = payload.destination.url
        most = await asyncio.to_thread(
            estimate, payload.messages, model=payload.model, max_output=payload.max_output_tokens, base_url=url
        )
        payload = replace(payload, price=float(most.at_most.usd) if most.at_most else None)
        with trace.reader():
            return await self.gate.permit(payload, consent=asked_by.consent, chat=asked_by.chat)

    def _accounted(self, draft: Draft, permit: Permit | None, before: Reading) -> Draft:
        """The draft with its cost; the budget now counts this instead of the maximum price."""
        if permit is None:
            return metered(draft, before=before, machine=MachineCosts.from_settings(self._settings))
        payload = permit.payload
        draft = priced(draft, base_url=payload.destination.url, model=payload.model)
        if self.gate and draft.cost is not None:
            self.gate.record_cost(permit, draft.cost)
        return draft

    def _cut_short(self, draft: Draft, messages: Sequence[Message]) -> str | None:
        """A sentence if the server must have truncated the prompt, as Ollama does silently."""
        sent = count_messages(messages, model=draft.model).n
        if draft.usage is None or not was_cut(sent, draft.usage.input_tokens):
            return None
        read = draft.usage.input_tokens
        return f"The server of {self.name} read {read:,} of about {sent:,} tokens: its context window is too small."

    def _left_out(self, answer: Answer, shown: _Shown, passages: Sequence[Passage]) -> str | None:
        """Which passages the model was not shown, for the user."""
        stayed, unread = len(answer.passages) - len(shown.passages), len(shown.passages) - len(passages)
        told = []
        if stayed:
            told.append(
                f"{counted(stayed, 'passage')} {'was' if stayed == 1 else 'were'} not shown to {self.name}, "
                "because their papers stay on this machine."
            )
        if unread:
            told.append(
                f"{counted(unread, 'passage')} {'was' if unread == 1 else 'were'} not shown to {self.name}, "
                "because they did not fit."
            )
        return " ".join(told) or None

    def _verdict(self, second: Attempt, first: Attempt) -> str | None:
        """Why the refinement is rejected, for the user; None if it is accepted."""
        if declines(second.draft.text):
            return (
                f"{self.name} did not answer from these passages (“{_short(second.draft.text)}”), so the draft is kept."
            )
        if second.draft.finish_reason == "repetition":
            return f"{self.name} started repeating itself, so the draft is kept."
        if not not_worse(second, first):
            return (
                f"{self.name} was asked, but your papers support its answer less than the draft, so the draft is kept."
            )
        return None

    async def _prompt(
        self, answer: Answer, shown: _Shown, define: Callable[[Sequence[str]], Sequence[Definition]]
    ) -> tuple[list[Message], tuple[Passage, ...]]:
        """The prompt, and the passages in it: as many as fit."""
        passages = list(shown.passages)
        room = await self.model.context_window() - self._settings.expert_output_tokens
        while True:
            messages = refine_messages(
                answer.searched or answer.question,
                passages,
                draft=shown.draft,
                unsupported=shown.unsupported,
                definitions=await asyncio.to_thread(define, [passage.paper.id for passage in passages]),
                kind=answer.kind,
            )
            if await self.model.count_tokens(messages) <= room:
                return messages, tuple(passages)
            if len(passages) == 1:
                raise ContextTooLongError(
                    f"The question does not fit into the context window of {self.name}.", "Shorten the question."
                )
            passages.pop()

    async def _write(self, messages: Sequence[Message], permit: Permit | None) -> AsyncGenerator[str | Draft, None]:
        pieces = write(
            self.model,
            messages,
            max_tokens=self._settings.expert_output_tokens,
            temperature=self._settings.temperature,
            seconds=self._settings.expert_seconds,
            permit=permit,
            limit="SCHOLION_EXPERT_OUTPUT_TOKENS",
        )
        async with aclosing(pieces) as stream:
            async for piece in stream:
                if isinstance(piece, Draft) and piece.finish_reason == "length":
                    yield replace(piece, text=whole_sentences(piece.text).strip())
                else:
                    yield piece


def _locality(call: ModelCall) -> Locality:
    """Where the model runs; a local server that forwards prompts does not count as local."""
    near = call.destination.locality
    return "remote" if call.leaves and near == "machine" else near


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:80].rsplit(" ", 1)[0] + " …"
