"""A stub that poses as Ollama and also answers: it says the same sentence to every question, as a stream."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from engine_stubs import OLLAMA, Page, Stub
from stub_server import DONE, data, delta

MODEL = "llama3.2:3b"
"""The model that it has loaded, with a context window of 4,096 tokens."""


def ollama(sentence: str, *, asked: list[dict[str, Any]] | None = None) -> Stub:
    """A stub that answers every question with this sentence, and adds the body of each request to `asked`."""

    def completes(body: dict[str, Any]) -> Page:
        if asked is not None:
            asked.append(body)
        usage = data({"id": "1", "choices": [], "model": MODEL, "usage": {"prompt_tokens": 20, "completion_tokens": 9}})
        pieces = [delta(f"{word} ") for word in sentence.split()]
        raw = b"".join([*pieces, delta("", "stop"), usage, DONE])
        return Page(raw, headers={"Content-Type": "text/event-stream"}, seconds=0.01)

    return replace(OLLAMA, completes=completes)


if __name__ == "__main__":
    from engine_stubs import serving

    with serving(ollama("A plant needs light to make sugar from air and water [1].")) as server:
        print(server.server_port, flush=True)
        time.sleep(100_000)
