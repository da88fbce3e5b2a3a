"""Try a model: a short question to it, its answer, and how fast it was."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.answer import Draft
from rag.costs.prices import estimate
from rag.models.draft import priced, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.message import Message
    from rag.models.chat import ChatModel
    from rag.privacy.gate import Consent, Gate
    from rag.privacy.permit import Payload

QUESTION = "In one short sentence: why do plants need light?"
"""Nothing of the user's; it leaves the machine if the model is elsewhere."""

TOKENS = 400
"""Enough for a model that thinks before it answers."""

CHAT = "settings"
"""The name under which consent is asked for."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    text: str
    seconds: float
    """From the question to the last word, loading included."""
    tokens_per_second: float | None
    """While writing; None if the server does not count its tokens."""


def messages() -> list[Message]:
    """What is sent."""
    return [{"role": "user", "content": QUESTION}]


async def payload_for(model: ChatModel, gate: Gate) -> Payload | None:
    """What would leave the machine; None if nothing would. Nothing is sent; if the policy forbids it, no name is asked.

    Raises:
        NotAllowedError: the policy forbids it.
        ModelError: the model's address is invalid.
    """
    if await model.is_here():
        return None
    payload = await gate.payload(messages(), expert=model, max_tokens=TOKENS)
    if not payload.leaves:
        return None
    most = await asyncio.to_thread(
        estimate, payload.messages, model=payload.model, max_output=TOKENS, base_url=payload.destination.url
    )
    return replace(payload, price=float(most.at_most.usd) if most.at_most else None)


async def tried(model: ChatModel, *, seconds: float, gate: Gate | None = None, consent: Consent | None = None) -> Trial:
    """Ask the model.

    Args:
        model: the model.
        seconds: the longest wait for the whole answer.
        gate: decides what may be sent, if the model is not on this machine; None allows nothing.
        consent: who agrees to sending it.

    Raises:
        UserFacingError: the model gave no answer, or nothing may be sent to it.
    """
    asked: Sequence[Message] = messages()
    payload = await payload_for(model, gate) if gate else None
    permit = await gate.permit(payload, consent=consent, chat=CHAT) if gate and payload else None
    if permit:
        asked = permit.payload.messages
    draft: Draft | None = None
    async with aclosing(write(model, asked, max_tokens=TOKENS, seconds=seconds, permit=permit)) as pieces:
        async for piece in pieces:
            draft = piece if isinstance(piece, Draft) else draft
    assert draft
    if gate and permit and (cost := priced(draft, base_url=permit.payload.destination.url, model=draft.model).cost):
        await asyncio.to_thread(gate.record_cost, permit, cost)
    writing = draft.seconds - (draft.first_token_seconds or 0.0)
    written = draft.usage.output_tokens if draft.usage else None
    speed = written / writing if written and writing > 0.001 else None
    return Trial(draft.text, draft.seconds, speed)
