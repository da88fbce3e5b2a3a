"""Fakes of the interfaces that need a running model; each satisfies the contract its real counterpart is tested by."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

from rag.assistant import NOBODY
from rag.costs.accounting import Usage
from rag.errors import NotAllowedError
from rag.models.chat import Completion
from rag.privacy.destination import Destination, ModelCall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ingest import Library
    from rag import Assistant
    from rag.answer import Answer, Event, Mode
    from rag.expert import AskedBy
    from rag.message import Message
    from rag.privacy.destination import Endpoint
    from rag.privacy.gate import Verdict
    from rag.privacy.permit import Payload, Permit

HERE = Destination("http://127.0.0.1:9/v1", ("127.0.0.1",))


class ScriptedChatModel:
    """A fake `ChatModel`: says what it was told to, word by word, and records its input.

    Args:
        replies: one for each call of `stream`, in order; an exception is raised instead. A list of pieces is sent
            unchanged, and an exception in it is raised after the pieces before it. An extra call fails the test.
        delay: seconds before each piece.
        destination: where it claims to be; if that is not this machine, it requires a permit, like the real one.
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
        """Number of streams not read to their end."""

    @property
    def name(self) -> str:
        return self._name

    async def context_window(self) -> int:
        return self._window

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Words, plus four per message."""
        return sum(len(re.findall(r"\S+", message["content"])) + 4 for message in messages)

    async def is_here(self) -> bool:
        return self._destination.locality == "machine"

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        return ModelCall(self._destination, self._name, {"max_tokens": max_tokens, "temperature": temperature})

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


class UntouchedChatModel(ScriptedChatModel):
    """A fake `ChatModel` that must not be asked where it is."""

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        raise AssertionError("the address was looked up")


class HangingChatModel(ScriptedChatModel):
    """A fake `ChatModel` with a frozen server: no call returns until the caller gives up."""

    def __init__(self) -> None:
        super().__init__(name="frozen")
        self.called = asyncio.Event()
        """Set at the first call of any method."""

    async def context_window(self) -> int:
        return await self._hang()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return await self._hang()

    async def is_here(self) -> bool:
        return await self._hang()

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        return await self._hang()

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        permit: Permit | None = None,
    ) -> AsyncGenerator[str | Completion, None]:
        yield await self._hang()

    async def _hang(self) -> Any:
        self.called.set()
        await asyncio.Event().wait()


class ScriptedAssistant:
    """A fake `Assistant` that plays its script at each call: exceptions are raised, numbers are slept."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.cited: list[list[tuple[str, int]]] = []
        """What the last answer cited, at each call of `ask`."""
        self.asked: list[dict[str, Any]] = []
        """The arguments of each call of `ask`, by name."""
        self.limits: list[tuple[int | None, float | None]] = []
        """Tokens and temperature asked for, for each call of `ask`."""
        self.refined: list[Answer] = []
        """The answer passed to each call of `refine`."""
        self.asked_by: list[AskedBy] = []
        """Who could be asked for consent, for each call of either."""
        self.closed = 0
        self.embedder: Any = None
        self.expert: Any = None
        self.library: Any = None
        """The view that it was last made for, by `over`."""

    def over(self, library: Library, *, like: Assistant | None = None) -> Self:
        self.library = library
        return self

    async def ask(
        self,
        question: str,
        *,
        mode: Mode = "draft",
        paper_ids: Sequence[str] | None = None,
        tag: str | None = None,
        history: Sequence[tuple[str, str]] = (),
        asked_by: AskedBy = NOBODY,
        cited: Sequence[tuple[str, int]] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Event, None]:
        self.cited.append(list(cited))
        self.asked.append({"question": question, "mode": mode, "paper_ids": paper_ids, "tag": tag, "history": history})
        self.limits.append((max_tokens, temperature))
        self.asked_by.append(asked_by)
        async with aclosing(self._play()) as events:
            async for event in events:
                yield event

    async def refine(self, answer: Answer, *, asked_by: AskedBy = NOBODY) -> AsyncGenerator[Event, None]:
        self.refined.append(answer)
        self.asked_by.append(asked_by)
        async with aclosing(self._play()) as events:
            async for event in events:
                yield event

    async def _play(self) -> AsyncGenerator[Event, None]:
        try:
            for item in self.script:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, float):
                    await asyncio.sleep(item)
                else:
                    yield item
        finally:
            self.closed += 1


class ScriptedUser:
    """A fake `Consent`: says what it was told to, and records what it was shown."""

    def __init__(self, *says: Verdict | None) -> None:
        self.says = list(says)
        self.shown: list[Payload] = []

    async def __call__(self, payload: Payload) -> Verdict | None:
        self.shown.append(payload)
        return self.says.pop(0)


class FakeServer:
    """A fake `LocalServer` that cannot be started, and counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0
        self.pid = 1

    async def close(self) -> None:
        self.closed += 1

    def kill(self) -> None:
        self.closed += 1

    async def connect(self) -> Endpoint:
        raise AssertionError("not to be started")


class FakeKeyring:
    """A fake of the `keyring` package over a system's keyring. A broken one repeats the secret in its errors."""

    def __init__(self, *, priority: float = 5, broken: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.backend = SimpleNamespace(priority=priority)
        self.broken = broken

    def get_keyring(self) -> Any:
        return self.backend

    def get_password(self, service_name: str, username: str) -> str | None:
        if self.broken:
            raise RuntimeError(service_name)
        return self.kept.get((service_name, username))

    def set_password(self, service_name: str, username: str, password: str) -> None:
        if self.broken:
            raise RuntimeError(password)
        self.kept[service_name, username] = password

    def delete_password(self, service_name: str, username: str) -> None:
        del self.kept[service_name, username]


class SilentPage:
    """A fake page at the other end of Chainlit's socket: it records what it receives and answers nothing."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        """(event, data), in order."""
        self.session: Any = None

    async def emit(self, event: str, data: Any) -> None:
        self.events.append((event, data))

    async def emit_call(self, event: str, data: Any, timeout: int | None) -> None:  # noqa: ASYNC109 - chainlit's own
        self.events.append((event, data))

    def of(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The last state of every message and step, in order of appearance."""
        last: dict[str, dict[str, Any]] = {}
        for event, data in self.events:
            if event in {"new_message", "update_message", "stream_start"}:
                last[data["id"]] = dict(data)
            elif event == "stream_token" and data["isSequence"]:
                last[data["id"]]["output"] = data["token"]
        return list(last.values())

    @property
    def texts(self) -> list[str]:
        return [step["output"] for step in self.steps if "message" in step["type"]]
