"""The question before something leaves the machine: the whole payload, where it goes, and three buttons."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import chainlit as cl
from chainlit.utils import utc_now

from rag.consent import told
from rag.render import fenced, inert
from ui import core

if TYPE_CHECKING:
    from rag.permit import Payload
    from rag.privacy import Verdict

ANSWER_SECONDS = 300
"""Longest wait for an answer; none is a no."""

# While Chainlit's page asks it has no Stop button, and with one it lets no other be pressed: hence "Not now".
_BUTTONS: tuple[tuple[Verdict | None, str, str], ...] = (
    ("once", "Send once", "send"),
    ("chat", "For this chat", "messages-square"),
    (None, "Not now", "x"),
    ("never", "Never in this chat", "ban"),
)
_OUTCOMES: dict[Verdict | None, str] = {
    "once": "You agreed to sending this once.",
    "chat": "You agreed to sending to this model at this address in this chat.",
    "never": "Nothing was sent, and nothing will be in this chat.",
    None: "Nothing was sent.",
}


async def ask(payload: Payload) -> Verdict | None:
    """What the user says to the payload; None where they say nothing in time. A `rag.privacy.Consent`.

    The payload stands in a folded step, to the letter, as a block to copy. What is kept of the question says
    what was decided; a chat that is opened again asks anew.
    """
    titles = {paper.id: paper.title for paper in core.library().papers()}
    shown = cl.Step(name="what would be sent, to the letter", type="tool", show_input=False)
    shown.start = shown.end = utc_now()
    # the letter first: it is what counts; below it the same words with their line breaks
    parts = [fenced(payload.text, language="json"), "The same messages as they are read:"]
    parts += [fenced(f"{message['role']}:\n{message['content']}") for message in payload.messages]
    shown.output = "\n\n".join(parts)
    lines = [f"- {label}: **{inert(value)}**" for label, value in told(payload, titles=titles)]
    head = "**May this leave your machine?** The larger model is not on it. Everything that would be sent stands above."
    buttons = [
        cl.Action(name="consent", label=label, icon=icon, payload={"verdict": verdict})
        for verdict, label, icon in _BUTTONS
    ]
    question = cl.AskActionMessage("\n".join([head, "", *lines]), actions=buttons, timeout=ANSWER_SECONDS)
    shown.parent_id = question.parent_id
    await shown.send()
    verdict: Verdict | None = None
    try:
        answer = await question.send()
        # by the number of the button, which we made, and not by what the page says that it means
        pressed = str(answer.get("id")) if answer else ""
        verdict = next((verdict for (verdict, *_), button in zip(_BUTTONS, buttons, strict=True)
                        if button.id == pressed), None)  # fmt: skip
    except asyncio.CancelledError:
        await cl.context.emitter.clear("clear_ask")
        for button in buttons:
            await button.remove()
        await _close(question, "Nothing was sent: you stopped it.")
        raise
    await _close(question, _OUTCOMES[verdict])
    return verdict


async def _close(question: cl.AskActionMessage, outcome: str) -> None:
    question.content = f"*{outcome}*"
    await question.update()
