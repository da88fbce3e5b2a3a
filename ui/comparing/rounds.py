"""Two models and one question: the models that can be chosen, the answers of a round, and the vote for one of them."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from rag.comparison.calls import THIS_PROCESS, Terms, timed
from rag.comparison.contenders import EMBEDDED, opened, parsed
from rag.comparison.nouns import Call, Prompt
from rag.comparison.prompting import Passages, bare
from rag.comparison.votes import Vote, keep, rate_row, votes_in, win_rates
from rag.costs.energy import MachineCosts
from rag.costs.words import cost_words
from rag.errors import QuestionError, UnknownModelError
from rag.models.machine import this_machine
from rag.models.offers import on_disk
from rag.models.registry import load
from rag.privacy import Gate, consent_facts
from rag.privacy.consent import RELAYED, WHERE, as_agreed, seal
from rag.reading.reader import trained_reader
from rag.servers import discover
from rag.texts import N_, _
from ui import core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.comparison.nouns import Contender
    from rag.comparison.votes import Choice

IDLE_SECONDS: Final = 300.0
"""After so long without a question, the models of this page are closed."""

KEPT_ROUNDS: Final = 100
"""Rounds that can still be voted on."""

MOST_TOKENS: Final = 320

BUILT_IN: Final = {
    EMBEDDED: N_("Built-in model"),
    f"{EMBEDDED},adapter=yes": N_("Built-in model, as it answers in the chat"),
}
"""Settings and names; votes are kept with the English names."""

OF_SERVER: Final = N_("{model} ({server}, this machine)")
_OF_SERVER = re.compile(r"(?P<model>.+) \((?P<server>[^()]+), this machine\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Two answers that wait for a vote."""

    models: tuple[str, str]
    """In the order in which the page shows them."""
    calls: tuple[Call, Call]
    blind: bool
    retrieval: bool
    question: str
    """A digest: the words are not kept with the vote."""
    user: str


class Rounds:
    """The models that are open for the page, and the rounds that wait for a vote. One question at a time."""

    def __init__(self) -> None:
        self._open: dict[str, Contender] = {}
        self._waiting: OrderedDict[str, Round] = OrderedDict()
        self._asking = asyncio.Lock()
        self._voting = asyncio.Lock()
        self._idle: asyncio.Task[None] | None = None

    async def ask(
        self,
        settings: tuple[str, str],
        question: str,
        *,
        blind: bool,
        retrieval: bool,
        agreed: frozenset[str],
        user: str,
    ) -> dict[str, Any]:
        """The two answers, or what would leave the machine and was not agreed to yet.

        Raises:
            UserFacingError: a model cannot be used, failed, or may not be asked.
        """
        now = core.serving().kept.settings
        if not question.strip():
            raise QuestionError("The question is empty.", "Type what you want to know.")
        if len(question) > now.max_question_chars:
            raise QuestionError(
                f"The question has {len(question):,} characters; the limit is {now.max_question_chars:,}.",
                "Shorten it.",
            )
        if settings[0] == settings[1]:
            raise QuestionError("These are the same model twice.", "Choose two different models.")
        async with self._asking:
            if self._idle:
                self._idle.cancel()
            try:
                return await self._round(settings, question, blind=blind, retrieval=retrieval, agreed=agreed, user=user)
            finally:
                self._idle = asyncio.create_task(self._close_when_idle())

    async def _round(
        self,
        settings: tuple[str, str],
        question: str,
        *,
        blind: bool,
        retrieval: bool,
        agreed: frozenset[str],
        user: str,
    ) -> dict[str, Any]:
        pair = await self._contenders(settings)
        terms = self._terms(agreed)
        prompt = await asyncio.to_thread(_prompt, question, retrieval=retrieval)
        if wanted := [facts for one in pair if (facts := await self._to_agree(one, prompt, terms, agreed))]:
            return {"consent": wanted}
        order = [0, 1] if secrets.randbelow(2) else [1, 0]  # who is asked first, and in a blind round who is left

        async def ready() -> Prompt:
            return prompt

        calls: dict[int, Call] = {}
        for at in order:
            empty = Call(model=pair[at].name, question="page", retrieval=retrieval, state="warm", repeat=0)
            calls[at] = await timed(empty, pair[at], ready, terms)
        shown = order if blind else [0, 1]
        made = Round(
            models=(pair[shown[0]].name, pair[shown[1]].name),
            calls=(calls[shown[0]], calls[shown[1]]),
            blind=blind,
            retrieval=retrieval,
            question=sha256(question.strip().encode()).hexdigest()[:12],
            user=user,
        )
        name = secrets.token_urlsafe(12)
        self._waiting[name] = made
        while len(self._waiting) > KEPT_ROUNDS:
            self._waiting.popitem(last=False)
        return {"round": name, "sides": [_side(call, told=not blind) for call in made.calls]}

    async def each(
        self,
        settings: Sequence[str],
        text: str,
        *,
        paper_ids: tuple[str, ...],
        max_tokens: int,
        agreed: frozenset[str],
    ) -> dict[str, Any]:
        """The answers of one or two models to a prompt that is taken as it stands, or what was not agreed to yet.

        Args:
            settings: the models.
            text: what they are asked; the only message.
            paper_ids: the papers with words in it, which may have to stay on this machine.
            max_tokens: maximum length of an answer.
            agreed: the seals of requests that may leave the machine.

        Raises:
            UserFacingError: a model cannot be used, failed, or may not be asked.
        """
        prompt = Prompt(messages=({"role": "user", "content": text},), paper_ids=paper_ids)

        async def ready() -> Prompt:
            return prompt

        async with self._asking:
            if self._idle:
                self._idle.cancel()
            try:
                models = await self._contenders(settings)
                terms = self._terms(agreed, max_tokens=max_tokens)
                if wanted := [facts for one in models if (facts := await self._to_agree(one, prompt, terms, agreed))]:
                    return {"consent": wanted}
                empty = [
                    Call(model=one.name, question="lab", retrieval=False, state="warm", repeat=0) for one in models
                ]
                calls = [await timed(call, one, ready, terms) for call, one in zip(empty, models, strict=True)]
            finally:
                self._idle = asyncio.create_task(self._close_when_idle())
        return {"sides": [_side(call, told=True) for call in calls]}

    async def vote(self, name: str, choice: Choice, *, user: str) -> dict[str, Any]:
        """Keep the vote, and tell who was who.

        Raises:
            QuestionError: there is no such round of this user.
            RunError: the vote cannot be written now; the round still waits for it.
        """
        async with self._voting:  # one at a time, and each round once
            found = await self._keep(name, choice, user=user)
        return {"sides": [_side(call, told=True) for call in found.calls], **await asyncio.to_thread(rates)}

    async def _keep(self, name: str, choice: Choice, *, user: str) -> Round:
        found = self._waiting.get(name)
        if found is None or found.user != user:
            raise QuestionError("This round is over.", "Ask again, then vote.")
        vote = Vote(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            first=found.models[0],
            second=found.models[1],
            choice=choice,
            blind=found.blind,
            retrieval=found.retrieval,
            question=found.question,
            by=user,
        )
        await asyncio.to_thread(keep, vote, core.library().folder)
        self._waiting.pop(name, None)  # a new round may have pushed it out meanwhile
        return found

    async def close(self) -> None:
        """End the models of this page."""
        for contender in self._open.values():
            await contender.close()
        self._open.clear()

    async def _contenders(self, settings: Sequence[str]) -> list[Contender]:
        """The models, loaded; those of an earlier round are closed first, for their memory."""
        known = await _names()
        for setting in settings:
            if setting not in known:
                raise UnknownModelError("There is no such model here.", "Reload the page.")
        for setting in set(self._open) - set(settings):
            await self._open.pop(setting).close()
        for setting in settings:
            if setting not in self._open:
                asked = replace(parsed([setting])[0], name=known[setting])
                kept = core.serving().kept
                self._open[setting] = await opened(asked, kept, library=core.library().folder)
            contender = self._open[setting]
            if contender.can_be_cold:
                await contender.model.context_window()  # starts it: loading is no part of the comparison
        return [self._open[setting] for setting in settings]

    def _terms(self, agreed: frozenset[str], *, max_tokens: int = MOST_TOKENS) -> Terms:
        settings = core.serving().kept.settings
        return Terms(
            max_tokens=min(settings.max_output_tokens, max_tokens),
            machine=MachineCosts.from_settings(settings),
            gate=Gate.of(core.library(), settings, like=core.assistant().gate),
            consent=as_agreed(agreed),
        )

    async def _to_agree(
        self, contender: Contender, prompt: Prompt, terms: Terms, agreed: frozenset[str]
    ) -> dict[str, Any] | None:
        """What would leave the machine, for the user to see; None if nothing would, or it was agreed to."""
        if await contender.model.is_here():
            return None
        payload = await terms.gate.payload(
            prompt.messages,
            expert=contender.model,
            max_tokens=terms.max_tokens,
            temperature=terms.temperature,
            paper_ids=prompt.paper_ids,
        )
        if not payload.leaves or seal(payload) in agreed:
            return None
        titles = {paper.id: paper.title for paper in core.library().papers()}
        return {"facts": consent_facts(payload, titles=titles), "text": payload.text, "agree": seal(payload)}

    async def _close_when_idle(self) -> None:
        await asyncio.sleep(IDLE_SECONDS)
        async with self._asking:
            await self.close()


@cache
def rounds() -> Rounds:
    """Those of this process."""
    return Rounds()


async def offered() -> list[dict[str, str]]:
    """The models that can be chosen, for the page."""
    return [{"setting": setting, "name": shown(name)} for setting, name in (await _names()).items()]


def shown(name: str) -> str:
    """The name of a model in the reader's language; those that are not ours stay."""
    if name in BUILT_IN.values():
        return _(name)
    if of_server := _OF_SERVER.fullmatch(name):
        return _(OF_SERVER).format(**of_server.groupdict())
    return name


async def _names() -> dict[str, str]:
    """Settings and names of models: built in, in the library, in use, typed in, or of a server on this machine."""
    serving, folder = core.serving(), core.library().folder
    found = dict(BUILT_IN)
    registry, machine = await asyncio.to_thread(load, folder), await asyncio.to_thread(this_machine)
    for file in on_disk(registry, machine, folder):
        found[file.setting] = file.setting
    now = serving.kept
    for setting in (now.settings.drafter, now.settings.expert, *(server.setting for server in now.choices.servers)):
        if setting:
            found.setdefault(setting, setting)
    for engine in await discover():
        for model in engine.models:
            if model.chat and not model.relayed_to:
                name = OF_SERVER.format(model=model.id, server=engine.name)
                found.setdefault(f"{engine.base_url}#{model.id}", name)
    return found


def rates() -> dict[str, Any]:
    """The win rates of all blind votes in this library."""
    rows = [rate_row(rate) for rate in win_rates(votes_in(core.library().folder))]
    return {"rates": [row | {side: shown(row[side]) for side in ("model", "other")} for row in rows]}


def _prompt(question: str, *, retrieval: bool) -> Prompt:
    if not retrieval:
        return bare(question)
    if not core.library().papers():
        raise QuestionError("Your library is empty.", "Add papers, or ask without them.")
    settings = core.serving().kept.settings
    passages = Passages(core.library(), core.assistant().embedder, trained_reader(), settings.top_k)
    return passages.prompt(question)


def _side(call: Call, *, told: bool) -> dict[str, Any]:
    """One answer for the page. Speed and cost would give a model away, so in a blind round they come after the vote."""
    side: dict[str, Any] = {"text": call.text}
    if told:
        side |= {
            "model": shown(call.model),
            "seconds": call.seconds,
            "first_seconds": call.to_first_token,
            "tokens_per_second": call.tokens_per_second,
            "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens,
            "cost": cost_words(call.usd),
            "where": place(call.went_to),
            "cut_off": call.finish_reason == "length",
        }
    return side


def place(told: str) -> str:
    """Where an answer was written, in the reader's language."""
    for words in (THIS_PROCESS, *WHERE.values()):
        if told.startswith(words):
            return _(words) + told.removeprefix(words).replace(RELAYED, _(RELAYED))
    return told
