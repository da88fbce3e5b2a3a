"""The button under a draft that asks the larger model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chainlit as cl

from rag.saved_answer import save_answer
from rag.texts import _
from ui import core
from ui.people import who

if TYPE_CHECKING:
    from rag.answer import Answer

REFINE = "refine_answer"
"""The action's name."""


def kept(answer: Answer) -> dict[str, Any]:
    """What a message stores of an answer that no larger model has seen; empty for any other answer."""
    if answer.escalated or not (made := save_answer(answer)):
        return {}
    if who.is_on():  # the page gets no more of a score than it shows: it depends a little on papers of others
        made["passages"] = [[*row[:2], round(row[2], 2), *row[3:]] for row in made["passages"]]
    return {"record": made}


def actions(metadata: dict[str, Any]) -> list[cl.Action]:
    """The button under an answer, if a larger model is configured and has not seen it."""
    expert = core.assistant().expert
    if expert is None or not metadata.get("record"):
        return []
    return [
        cl.Action(
            name=REFINE,
            label=_("Refine this answer"),
            icon="sparkles",
            tooltip=_("Ask {model}, with the same passages").format(model=expert.name),
            payload={"record": metadata["record"]},
        )
    ]
