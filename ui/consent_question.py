"""Ask for consent before something leaves the machine: the whole payload, its destination and three buttons."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import chainlit as cl
from chainlit.utils import utc_now

from rag.inert import inert
from rag.privacy import consent_facts
from rag.render import fenced
from rag.texts import N_, _
from ui import core

if TYPE_CHECKING:
    from rag.privacy import Payload, Verdict

ANSWER_SECONDS = 300
"""Timeout for an answer; no answer means no."""

# While Chainlit asks, its page has no Stop button, and a custom one would block the others: hence "Not now".
_BUTTONS: tuple[tuple[Verdict | None, str, str], ...] = (
    ("once", N_("Send once"), "send"),
    ("chat", N_("For this chat"), "messages-square"),
    (None, N_("Not now"), "x"),
    ("never", N_("Never in this chat"), "ban"),
)
_OUTCOMES: dict[Verdict | None, str] = {
    "once": N_("You allowed this to be sent once."),
    "chat": N_("You allowed sending to this model at this address for this chat."),
    "never": N_("Nothing was sent, and nothing will be sent in this chat."),
    None: N_("Nothing was sent."),
}


async def ask(payload: Payload) -> Verdict | None:
    """The user's verdict on the payload; None if there is none in time. Implements `rag.privacy.Consent`.

    The exact payload is in a folded step, as a block to copy. The stored question shows the decision; a reopened chat
    asks again.
    """
    titles = {paper.id: paper.title for paper in core.library().papers()}
    shown = cl.Step(name=_("exactly what would be sent"), type="tool", show_input=False)
    shown.start = shown.end = utc_now()
    # first the exact payload, which is what counts; then the same messages with real line breaks
    parts = [fenced(payload.text, language="json"), _("The same messages with their line breaks:")]
    parts += [fenced(f"{message['role']}:\n{message['content']}") for message in payload.messages]
    shown.output = "\n\n".join(parts)
    lines = [f"- {label}: **{inert(value)}**" for label, value in consent_facts(payload, titles=titles)]
    asked = _("May this leave your machine?")
    head = f"**{asked}** {_('The larger model runs elsewhere. All that would be sent is shown above.')}"
    buttons = [
        cl.Action(name="consent", label=_(label), icon=icon, payload={"verdict": verdict})
        for verdict, label, icon in _BUTTONS
    ]
    question = cl.AskActionMessage("\n".join([head, "", *lines]), actions=buttons, timeout=ANSWER_SECONDS)
    shown.parent_id = question.parent_id
    await shown.send()
    try:
        answer = await _pressed(question)
    except asyncio.CancelledError:
        await _close(question, buttons, _("Nothing was sent: you stopped the answer."))
        raise
    except _PageIsGoneError:
        await _close(question, buttons, _("Nothing was sent: the page was closed or reloaded before you answered."))
        return None
    # trust the number of the button, which we made, not what the page says it means
    number = str(answer.get("id")) if answer else ""
    verdict = next((verdict for (verdict, *_), button in zip(_BUTTONS, buttons, strict=True)
                    if button.id == number), None)  # fmt: skip
    question.content = f"*{_(_OUTCOMES[verdict])}*"
    await question.update()
    return verdict


class _PageIsGoneError(Exception):
    """Nobody is left to answer."""


_asking: dict[str, asyncio.Task[Any]] = {}
"""The open question of each session."""


def page_is_gone() -> None:
    """End this session's question: Chainlit shows it on no other page, and would wait until it times out."""
    if asking := _asking.get(cl.context.session.id):
        asking.cancel()


async def _pressed(question: cl.AskActionMessage) -> Any:
    """Ask; returns the button that was pressed, or None on a timeout."""
    session = cl.context.session.id
    asking = _asking[session] = asyncio.create_task(question.send())
    try:
        await asyncio.wait({asking})
    except asyncio.CancelledError:
        asking.cancel()
        await asyncio.wait({asking})
        raise
    finally:
        _asking.pop(session, None)
    if asking.cancelled():
        raise _PageIsGoneError
    return asking.result()


async def _close(question: cl.AskActionMessage, buttons: list[cl.Action], outcome: str) -> None:
    """Remove the buttons of an unanswered question, and say why."""
    await cl.context.emitter.clear("clear_ask")
    for button in buttons:
        await button.remove()
    question.content = f"*{outcome}*"
    await question.update()
