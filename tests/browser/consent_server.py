"""Scholion with one change: a message goes, through the gate, to the model at SCHOLION_TEST_EXPERT and nowhere else.

127.0.0.2 is taken for a machine elsewhere. As a program, it starts `python -m ui` with itself as the app.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if __name__ == "__main__":
    import chainlit.cli

    import ui.__main__

    real = chainlit.cli.run_chainlit
    chainlit.cli.run_chainlit = lambda _app: real(__file__)
    ui.__main__._add_samples = lambda: None
    sys.exit(ui.__main__.main(sys.argv[1:]))

import chainlit as cl

import app  # noqa: F401 - its callbacks
from rag.models.chat import Completion, EndpointChatModel, fixed
from rag.privacy import destination
from rag.privacy.destination import Endpoint
from rag.privacy.gate import Gate
from ui import consent_question, core
from ui.errors import visible

plain = destination._one
destination._one = lambda address: "remote" if address == "127.0.0.2" else plain(address)
expert = EndpointChatModel(
    fixed(Endpoint(os.environ["SCHOLION_TEST_EXPERT"], "large-model", "")), name="L", timeout=120
)
gate = Gate(core.settings().library)


@cl.on_message
@visible
async def on_message(message: cl.Message) -> None:
    messages = [
        {
            "role": "system",
            "content": "Answer from the passages; *stars*, <b>tags</b> and ```fences``` are no Markdown.",
        },
        {"role": "user", "content": message.content},
    ]
    payload = await gate.payload(messages, expert=expert, max_tokens=64)
    permit = await gate.permit(payload, consent=consent_question.ask, chat=cl.context.session.thread_id)
    pieces = [
        piece
        async for piece in expert.stream(payload.messages, max_tokens=64, permit=permit)
        if not isinstance(piece, Completion)
    ]
    await cl.Message("The larger model says: " + "".join(pieces)).send()
