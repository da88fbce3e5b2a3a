"""Ask a language model and stream its answer; the only file that speaks HTTP to a model.

`ChatModel` is the interface; `EndpointChatModel` implements it for every server with an OpenAI-compatible API.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from ingest.errors import UserFacingError
from rag.costs import tokens
from rag.costs.accounting import Usage
from rag.errors import (
    ContextTooLongError,
    ModelRefusedError,
    ModelReplyError,
    ModelUnreachableError,
    NotAllowedError,
)
from rag.models import error_translation, replies
from rag.privacy.destination import ModelCall, checked, is_here, is_relayed, locate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence

    import httpx2
    from openai import AsyncStream
    from openai.types.chat import ChatCompletionChunk
    from openai.types.completion_usage import CompletionUsage

    from rag.message import Message
    from rag.privacy.destination import Endpoint
    from rag.privacy.permit import Permit
    from rag.privacy.transport import CheckedTransport

DEFAULT_CONTEXT_WINDOW = 4096
"""Tokens assumed if neither the endpoint's description nor its server says: every current chat model has these."""

_CONNECT_SECONDS = 5.0
_UNKNOWN: tuple[str, int | None] = ("", None)
_LONGEST_TOKEN = 64  # characters; a reply with more than this per allowed token will not end by itself
_HEADERS = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent"}
# Without top_logprobs llama.cpp sends the 20 best tokens with each: 172 kB instead of 19 kB per 100 tokens.
_EXTRAS = {"logprobs": True, "top_logprobs": 1, "stream_options": {"include_usage": True}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """How a reply ended, with its usage and times."""

    finish_reason: str
    """"stop" or "length" from most servers."""
    usage: Usage | None
    """None if the server did not report it."""
    seconds: float
    """Wall time including server start, excluding time the consumer was slow."""
    first_token_seconds: float | None
    """From the call to the first piece of text."""
    mean_logprob: float | None
    """Mean natural-log probability of the output tokens; None if the server reports none."""
    model: str
    """The model's name as the server reports it."""
    low_logprob: float | None = None
    """The 10th percentile of the same: how sure the model was of its least certain tokens."""
    thought: bool = False
    """Whether the server set thoughts apart, which are no part of the text."""
    ready_seconds: float | None = None
    """From the call until the request could be sent: starting the server, loading, opening the client."""
    sent_seconds: float | None = None
    """From the call until the last byte of the request was sent."""
    server: replies.ServerTimes | None = None
    """What the server itself measured, if it says so."""


class ChatModel(Protocol):
    """A language model that can be asked."""

    @property
    def name(self) -> str:
        """Display name."""

    async def context_window(self) -> int:
        """Return the tokens available to one answer: prompt plus output."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the whole prompt, including the chat template; an estimate if the server cannot count."""

    async def is_here(self) -> bool:
        """Return whether it is known, without asking a name server, that a call stays on this machine."""

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        """Where a call would go; nothing is sent, but a name may be resolved."""

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        permit: Permit | None = None,
    ) -> AsyncGenerator[str | Completion, None]:
        """Yield the reply's text in pieces, then exactly one `Completion`, last.

        To stop the model early, close the generator (`contextlib.aclosing`) or cancel its task.
        A model that is not on this machine needs a permit (`rag.privacy`), which fixes everything but the messages.
        Raises only `rag.errors.ModelError`, possibly after the first pieces, and NotAllowedError before them.
        """


def fixed(endpoint: Endpoint) -> Callable[[], Awaitable[Endpoint]]:
    """A `connect` for an endpoint that is always there."""

    async def connect() -> Endpoint:
        return endpoint

    return connect


class EndpointChatModel:
    """A `ChatModel` over any OpenAI-compatible server.

    Args:
        connect: awaited before each call, so that it can start a local server, whose address may change.
        name: display name of the model.
        timeout: seconds to wait for each piece of an answer, including the first.
        extra: further parameters of each request, for a server that knows them.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Endpoint]],
        *,
        name: str,
        timeout: float,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._connect = connect
        self._name = name
        self._timeout = timeout
        self._extra = dict(extra or {})
        self._rejected: frozenset[str] = frozenset()
        self._probed = _UNKNOWN

    @property
    def name(self) -> str:
        """Display name of the model."""
        return self._name

    async def context_window(self) -> int:
        """Return the endpoint's window, else that of one slot of a llama.cpp server, else the default."""
        async with self._open() as (endpoint, http):
            return endpoint.context_window or await self._slot_window(endpoint, http=http) or DEFAULT_CONTEXT_WINDOW

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the prompt's tokens as a llama.cpp server counts them, else an estimate.

        Only a server on this machine is asked: a count must not carry the prompt anywhere else.
        """
        async with self._open() as (endpoint, http):
            if await self._slot_window(endpoint, http=http) is not None:
                if (counted := await replies.count_tokens(http, messages)) is not None:
                    return counted
                self._probed = _UNKNOWN  # another server may be at this address by now
            return (await asyncio.to_thread(tokens.count_messages, messages, model=endpoint.model)).n

    async def is_here(self) -> bool:
        """Return whether a call stays on this machine, as far as that is known without asking a name server."""
        endpoint = await self._connect()
        return await is_here(endpoint.base_url) and not is_relayed(endpoint.model)

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        """Where a call would go; the address is resolved, but nothing is sent."""
        endpoint = await self._connect()
        wanted = {"max_tokens": max_tokens, "temperature": temperature}
        return ModelCall(await locate(endpoint.base_url), endpoint.model, _obliging(wanted, self._rejected))

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        permit: Permit | None = None,
    ) -> AsyncGenerator[str | Completion, None]:
        """Yield the reply's text in pieces, then one `Completion`; see `ChatModel.stream`."""
        wanted: dict[str, Any] = {**self._extra, "max_tokens": max_tokens, "temperature": temperature}
        if stop:
            wanted["stop"] = list(stop)
        reply = _Reply(limit=max_tokens * _LONGEST_TOKEN)
        began, held, first = time.monotonic(), 0.0, None
        outcome: Literal["answered", "failed", "stopped"] = "stopped"
        heard = replies.Heard()
        try:
            async with self._open(permit, heard) as (endpoint, http):
                body = dict(permit.payload.parameters) if permit else _obliging(wanted, self._rejected)
                async with await self._request(messages, endpoint=endpoint, http=http, body=body) as chunks:
                    while (text := await self._next(chunks, reply=reply)) is not None:
                        if text:
                            paused = time.monotonic()
                            first = paused - began if first is None else first
                            yield text
                            held += time.monotonic() - paused
                if not reply.finish_reason and reply.blank and (text := reply.take_whole(heard, name=self._name)):
                    first = time.monotonic() - began
                    yield text
                reply.check(self._name)
            outcome = "answered"
        except NotAllowedError:
            if permit and permit.sent:  # another request used it, and will log how it ended
                permit = None
            outcome = "failed"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            if permit:
                await asyncio.to_thread(permit.close, outcome, usage=reply.usage)  # on the disk when it returns
        yield Completion(
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            seconds=time.monotonic() - began - held,
            first_token_seconds=first,
            mean_logprob=reply.mean_logprob(),
            low_logprob=reply.low_logprob(),
            model=reply.model or endpoint.model,
            thought=reply.thought,
            ready_seconds=None if heard.ready is None else heard.ready - began,
            sent_seconds=None if heard.sent is None else heard.sent - began,
            server=reply.server,
        )

    async def _request(
        self, messages: Sequence[Message], *, endpoint: Endpoint, http: httpx2.AsyncClient, body: dict[str, Any]
    ) -> AsyncStream[ChatCompletionChunk]:
        """Send the request without parameters this server refused before; repeat it without any it refuses now."""
        import openai

        client = openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key="none", http_client=http, max_retries=0
        )  # the key is put into the request by `_open`
        rejected = self._rejected - body.keys()
        while True:
            try:
                async with asyncio.timeout(self._timeout):
                    chunks = await client.chat.completions.create(
                        model=endpoint.model, messages=cast("Any", messages), stream=True, extra_body=body
                    )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                named = {k for k in (*_EXTRAS, "temperature", "max_tokens") if k in str(error)} or set(_EXTRAS)
                if error_translation.TOO_LONG.search(str(error)) or named <= rejected:
                    raise
                rejected |= named
                body = _without(body, rejected)
            else:
                self._rejected |= rejected
                return chunks

    async def _next(self, chunks: AsyncStream[ChatCompletionChunk], *, reply: _Reply) -> str | None:
        """Return the next piece, perhaps empty; None at the end."""
        try:
            # The client's own timeout restarts with each comment that a server sends to keep the connection open.
            async with asyncio.timeout(self._timeout):
                chunk = await anext(chunks, None)
            return None if chunk is None else reply.take(chunk, name=self._name)
        except (AttributeError, LookupError, TypeError, RecursionError) as error:  # the client checks no shapes
            raise error_translation.no_answer(self._name) from error

    async def _slot_window(self, endpoint: Endpoint, *, http: httpx2.AsyncClient) -> int | None:
        """Return the context window of one slot of a llama.cpp server; None for any other server."""
        import httpx2

        if self._probed[0] != endpoint.base_url:
            if not await is_here(endpoint.base_url):  # never send key or prompt elsewhere just for counting
                return None
            response = await http.get("/props")
            if response.status_code >= 500:  # still loading
                response.raise_for_status()
            try:
                window = int(replies.part(response, "default_generation_settings")["n_ctx"]) or None
            except (httpx2.HTTPStatusError, LookupError, TypeError, ValueError):  # another kind of server
                window = None
            self._probed = (endpoint.base_url, window)
        return self._probed[1]

    @asynccontextmanager
    async def _open(
        self, permit: Permit | None = None, heard: replies.Heard | None = None
    ) -> AsyncIterator[tuple[Endpoint, httpx2.AsyncClient]]:
        """Connect; whatever goes wrong inside leaves as a `ModelError` or `NotAllowedError`."""
        endpoint = await self._connect()
        key = replies.checked_key(endpoint.api_key, name=self._name)
        await asyncio.to_thread(_load)
        import httpx2

        async def only_ours(request: httpx2.Request) -> None:
            # openai adds headers from OPENAI_* variables and about the machine, which the server need not know.
            for header in set(request.headers) - _HEADERS:
                del request.headers[header]
            if key:
                request.headers["authorization"] = f"Bearer {key}"
            if heard:
                request.extensions = {**request.extensions, "trace": heard.trace}

        try:
            async with httpx2.AsyncClient(
                base_url=checked(endpoint.base_url).removesuffix("/v1"),
                trust_env=False,  # a proxy would see the loopback call, or break it
                follow_redirects=False,  # the prompt and the key go to the configured address or nowhere
                transport=await asyncio.to_thread(_door, endpoint.base_url, permit),
                timeout=httpx2.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
                event_hooks={"request": [only_ours], "response": [heard.listen] if heard else []},
            ) as http:
                yield endpoint, http
        except error_translation.foreign() as error:
            if isinstance(error.__cause__, UserFacingError):  # the client wraps what its transport raises
                raise error.__cause__ from None
            said = error_translation.translate(error, name=self._name)
            if isinstance(said, ModelUnreachableError | ContextTooLongError):
                self._probed = _UNKNOWN  # whatever answers there next may be another server, or have another window
            raise said from error


def _load() -> None:
    """Import what a call needs, including what the client would load during the first one; run it in a thread."""
    import httpx2  # noqa: F401
    import openai.lib.streaming.chat
    import openai.resources.chat.completions.completions  # noqa: F401


def _door(base_url: str, permit: Permit | None) -> CheckedTransport:
    """The only way out; with https it loads the CA certificates, which takes 20 ms."""
    from rag.privacy.transport import CheckedTransport

    return CheckedTransport(base_url, permit=permit)


@dataclass(slots=True)
class _Reply:
    """What has arrived so far of one reply."""

    limit: int
    """Characters."""
    size: int = 0
    blank: bool = True
    finish_reason: str = ""
    usage: Usage | None = None
    logprobs: list[float] = field(default_factory=list)
    model: str = ""
    thought: bool = False
    server: replies.ServerTimes | None = None

    def take(self, chunk: ChatCompletionChunk, *, name: str) -> str:
        """Note what `chunk` says and return its text."""
        self.model = chunk.model or self.model
        if chunk.usage:
            self.usage = _usage(chunk.usage) or self.usage
        self.server = replies.times_of(chunk) or self.server
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish_reason = choice.finish_reason or self.finish_reason
        if choice.logprobs and choice.logprobs.content:
            self.logprobs += [float(token.logprob) for token in choice.logprobs.content]
        text, thoughts = replies.parts_of(choice.delta)
        self.blank = self.blank and not text.strip()
        self.thought = self.thought or bool(thoughts.strip())
        self.size += len(text) + len(thoughts) + 1
        if self.size > self.limit:
            raise ModelReplyError(f"{name} did not stop writing.", "Try again, or choose another model.")
        return text

    def take_whole(self, heard: replies.Heard, *, name: str) -> str:
        """The text of a reply that came in one piece from a server that does not stream; empty where there is none.

        Raises:
            ModelReplyError: it is no answer but the report of an error.
        """
        if (said := heard.error()) is not None:
            raise error_translation.reported(name, said)
        if (whole := heard.completion()) is None:
            return ""
        return self.take(whole, name=name)

    def check(self, name: str) -> None:
        """Raise if there is no reply, or only part of one."""
        if self.finish_reason == "content_filter":
            raise ModelRefusedError(f"The provider of {name} filtered the answer.", "Rephrase the question.")
        if self.blank and (self.thought or self.finish_reason == "length"):
            return  # who asked knows which limit it was
        if self.blank and self.finish_reason:
            raise ModelReplyError(f"{name} returned an empty answer.", "Try again, or choose another model.")
        if self.blank:
            raise error_translation.no_answer(name)
        if not self.finish_reason:
            raise ModelReplyError(f"The answer from {name} was interrupted.", "Ask again.")

    def mean_logprob(self) -> float | None:
        if not self.logprobs or not all(map(math.isfinite, self.logprobs)):
            return None
        return min(0.0, math.fsum(self.logprobs) / len(self.logprobs))

    def low_logprob(self) -> float | None:
        """The 10th percentile, with linear interpolation."""
        if self.mean_logprob() is None:
            return None
        ordered = sorted(min(0.0, logprob) for logprob in self.logprobs)
        place = 0.1 * (len(ordered) - 1)
        below = ordered[math.floor(place)]
        return below + (place % 1) * (ordered[math.ceil(place)] - below)


def _usage(told: CompletionUsage) -> Usage | None:
    """The server's token counts, with the details that only some servers report; None if a total is missing."""
    totals = [getattr(told, name, None) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(total, int | float) and total >= 0 for total in totals):
        return None
    read, wrote = (getattr(told, f"{name}_tokens_details", None) for name in ("prompt", "completion"))
    cached, thought = getattr(read, "cached_tokens", None), getattr(wrote, "reasoning_tokens", None)
    return Usage(
        int(told.prompt_tokens),
        int(told.completion_tokens),
        cached_tokens=None if cached is None else int(cached),
        reasoning_tokens=None if thought is None else int(thought),
    )


def _obliging(wanted: dict[str, Any], rejected: frozenset[str]) -> dict[str, Any]:
    """The parameters of a request, without those the server refused before."""
    return _without(wanted | _EXTRAS, rejected)


def _without(body: dict[str, Any], rejected: frozenset[str]) -> dict[str, Any]:
    kept = {key: value for key, value in body.items() if key not in rejected}
    if "max_tokens" in rejected and "max_tokens" in body:
        kept["max_completion_tokens"] = body["max_tokens"]  # OpenAI's reasoning models
    return kept
