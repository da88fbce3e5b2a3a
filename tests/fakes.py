"""Fakes of the seams that need a running model; each keeps the contract that its real counterpart is tested by."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

from rag.accounting import Usage
from rag.chat import Completion, Message, Target
from rag.destination import Destination
from rag.errors import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from rag.permit import Permit

HERE = Destination("http://127.0.0.1:9/v1", ("127.0.0.1",))


class ScriptedChatModel:
    """A fake `ChatModel`: says what it was told to say, word by word, and remembers what it was asked.

    Args:
        replies: one for each call of `stream`, in order; an exception is raised in its place. A list of pieces is
            sent as it is, and an exception in it is raised after the pieces before it. A call too many fails the test.
        delay: seconds before each piece.
        destination: where it is said to be; elsewhere than on this machine it wants a permit, as the real one does.
    """

    def __init__(
        self,
        *replies: str | Exception | list[str | Exception],
        name: str = "scripted",
        window: int = 4096,
        delay: float = 0.0,
        mean_logprob: float | None = -0.5,
        destination: Destination = HERE,
    ) -> None:
        self._replies = list(replies)
        self._name = name
        self._window = window
        self._delay = delay
        self._mean_logprob = mean_logprob
        self._destination = destination
        self.permits: list[Permit | None] = []
        """The permit of each call of `stream`."""
        self.seen: list[list[Message]] = []
        """The messages of each call of `stream`."""
        self.left_early = 0
        """How many streams were not read to their end."""

    @property
    def name(self) -> str:
        return self._name

    async def context_window(self) -> int:
        return self._window

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Words, and four for each message."""
        return sum(len(re.findall(r"\S+", message["content"])) + 4 for message in messages)

    async def is_here(self) -> bool:
        return self._destination.locality == "machine"

    async def target(self, *, max_tokens: int, temperature: float = 0.0) -> Target:
        return Target(self._destination, self._name, {"max_tokens": max_tokens, "temperature": temperature})

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        permit: Permit | None = None,
    ) -> AsyncGenerator[str | Completion, None]:
        if self._destination.locality != "machine" and permit is None:
            raise NotAllowedError("The model is not on this machine, and nothing was allowed to leave it.")
        self.permits.append(permit)
        if permit:
            asked = {"model": self._name, "messages": list(messages), **permit.payload.parameters, "stream": True}
            permit.admit("POST", permit.payload.url, json.dumps(asked).encode())
            permit.sent = True
        self.seen.append([dict(message) for message in messages])
        assert self._replies, f"{self._name} was asked {len(self.seen)} times, more often than scripted"
        script = self._replies.pop(0)
        if isinstance(script, str):
            for end in stop:
                script = script.partition(end)[0]
            script = re.findall(r"\s*\S+\s*", script)
        pieces = [script] if isinstance(script, Exception) else script
        sent = 0
        try:
            for piece in pieces[:max_tokens]:
                await asyncio.sleep(self._delay)
                if isinstance(piece, Exception):
                    raise piece
                sent += 1
                yield piece
        except (GeneratorExit, asyncio.CancelledError):
            self.left_early += 1
            raise
        finally:
            if permit:
                permit.close("answered" if sent == len(pieces) else "failed")
        yield Completion(
            finish_reason="stop" if sent == len(pieces) else "length",
            usage=Usage(await self.count_tokens(messages), sent),
            seconds=self._delay * sent,
            first_token_seconds=self._delay if sent else None,
            mean_logprob=self._mean_logprob if sent else None,
            low_logprob=3 * self._mean_logprob if sent and self._mean_logprob is not None else None,
            model=self._name,
        )
