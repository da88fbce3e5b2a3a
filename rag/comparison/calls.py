"""One timed call: the stages of a model's answer, its tokens, cost, energy, and where the text went."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from rag.comparison.nouns import STAGES
from rag.costs.energy import MachineCosts, energy_between, local_cost, read_counters
from rag.costs.prices import estimate, price
from rag.models.chat import Completion
from rag.models.thoughts import Thoughts
from rag.privacy.consent import RELAYED, WHERE
from rag.texts import N_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.comparison.nouns import Call, Contender, Prepare, Prompt
    from rag.message import Message
    from rag.models.chat import ChatModel
    from rag.privacy.gate import Consent, Gate
    from rag.privacy.permit import Permit

CHAT = "compare"
"""The name under which consent is asked for: "for this chat" is for this run."""

THIS_PROCESS = N_("this machine, in Scholion's own process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all calls of a run."""

    max_tokens: int
    machine: MachineCosts
    gate: Gate
    consent: Consent | None
    streamed: bool = True
    """Whether the pieces count; if not, there is no time to the first token."""
    temperature: float = 0.0


async def timed(call: Call, contender: Contender, prepare: Prepare, terms: Terms) -> Call:
    """Make the call and return what it took.

    Raises:
        UserFacingError: the model failed, or nothing may be sent to it.
    """
    model = contender.model
    began, held = time.monotonic(), 0.0
    prompt = await prepare()
    messages: Sequence[Message] = prompt.messages
    planned = await model.planned_call(max_tokens=terms.max_tokens, temperature=terms.temperature)
    permit: Permit | None = None
    if planned.leaves:
        paused = time.monotonic()
        permit = await permission(prompt, contender.model, terms)
        held = time.monotonic() - paused  # the time the user takes to decide
        messages = permit.payload.messages
    before, asked = await asyncio.to_thread(read_counters), time.monotonic()
    came: list[float] = []
    text, end = "", None
    stream = model.stream(messages, max_tokens=terms.max_tokens, temperature=terms.temperature, permit=permit)
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                end = piece
            else:
                came.append(time.monotonic())
                text += piece
    ended = time.monotonic()
    assert end
    energy = energy_between(before, await asyncio.to_thread(read_counters), machine=terms.machine)
    if permit:
        usd = await paid(end, permit, terms.gate)
        energy = replace(energy, wh=None, measured="none")  # this machine's counters know nothing of that one
    else:
        usd = local_cost(energy, ended - asked, machine=terms.machine).usd
    bytes_, of = await asyncio.to_thread(contender.measure)
    where = planned.destination
    relayed = RELAYED if planned.leaves and where.locality == "machine" else ""
    place = THIS_PROCESS if contender.inside else f"{WHERE[where.locality]}, {where.host}:{where.port}{relayed}"
    return replace(
        call,
        prompt=prompt.digest,
        stages=_stages(end, came, began=began, asked=asked, ended=ended, held=held, streamed=terms.streamed),
        seconds=ended - began - held,
        gaps=tuple(round(b - a, 5) for a, b in pairwise(came)) if terms.streamed else (),
        input_tokens=end.usage.input_tokens if end.usage else None,
        output_tokens=end.usage.output_tokens if end.usage else None,
        cached_tokens=end.usage.cached_tokens if end.usage else None,
        server=asdict(end.server) if end.server else None,
        reported_model=end.model,
        finish_reason=end.finish_reason,
        text=spoken(text, cut_off=end.finish_reason == "length"),
        usd=usd,
        wh=energy.wh,
        measured=energy.measured,
        memory=bytes_,
        memory_of=of,
        went_to=place,
        sent_bytes=len(permit.payload.body) if permit else 0,
    )


async def paid(end: Completion, permit: Permit, gate: Gate) -> float | None:
    """What a call elsewhere cost in US dollars, recorded in the gate's budget; None if it is unknown."""
    cost = price(end.usage, model=permit.payload.model, base_url=permit.payload.destination.url)
    if cost is None:
        return None
    await asyncio.to_thread(gate.record_cost, permit, float(cost.usd))
    return float(cost.usd)


def spoken(text: str, *, cut_off: bool) -> str:
    """A reply without what the model thought aloud. Its tokens and its time count all the same."""
    thoughts = Thoughts()
    said = thoughts.feed(text)
    rest = thoughts.finish(cut_off=cut_off)
    return (rest if thoughts.taken_back else said + rest).strip()


def _stages(
    end: Completion,
    came: Sequence[float],
    *,
    began: float,
    asked: float,
    ended: float,
    held: float,
    streamed: bool,
) -> dict[str, float | None]:
    """The stages. What the model did not report is unknown, and its time is not given to another stage."""
    before = asked - began - held
    prepared = None if end.ready_seconds is None else before + end.ready_seconds
    sent = None if end.sent_seconds is None or end.ready_seconds is None else end.sent_seconds - end.ready_seconds
    first = None if end.sent_seconds is None or not came or not streamed else came[0] - asked - end.sent_seconds
    done = ended - came[0] if came and streamed else None
    return dict(zip(STAGES, (prepared, sent, first, done), strict=True))


async def permission(prompt: Prompt, model: ChatModel, terms: Terms) -> Permit:
    """Permission to send this once: policy, redaction, consent, budget and log, as for every larger model.

    Raises:
        NotAllowedError: one of them refuses.
    """
    payload = await terms.gate.payload(
        prompt.messages,
        expert=model,
        max_tokens=terms.max_tokens,
        temperature=terms.temperature,
        paper_ids=prompt.paper_ids,
    )
    most = await asyncio.to_thread(
        estimate,
        payload.messages,
        model=payload.model,
        max_output=terms.max_tokens,
        base_url=payload.destination.url,
    )
    payload = replace(payload, price=float(most.at_most.usd) if most.at_most else None)
    return await terms.gate.permit(payload, consent=terms.consent, chat=CHAT)
