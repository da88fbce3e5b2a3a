"""Find out what a model server can do by requesting two tiny completions; only when the user asks for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.errors import NotAllowedError
from rag.servers.discovery import served
from rag.servers.loopback import hear, loopback_address, loopback_client

if TYPE_CHECKING:
    import httpx2

    from rag.servers.loopback import Address, Reply

PROBE_SECONDS = 120.0
"""Timeout per completion, since the model may have to be loaded first. A slow model gets more for a longer one."""

_GROWTH = 3
"""How much slower a model may become between two completions, because other programs use the CPU too."""
_TOKENS = 60

_WORD = "scholion"
_SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string", "enum": [_WORD]}},
    "required": ["word"],
    "additionalProperties": False,
}
_REFUSED = {400, 404, 415, 422, 501}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a server can do with one model; None if neither a yes nor a no was seen."""

    logprobs: bool | None = None
    """Whether it reports the log-probability of each output token."""
    usage_in_stream: bool | None = None
    """Whether a stream ends with token counts."""
    json_schema: bool | None = None
    """Whether it enforces a JSON schema."""
    timings: bool | None = None
    """Whether it reports its own timings, as llama.cpp does."""
    context_window: int | None = None
    """Tokens of prompt plus output, now that the model is loaded."""
    late: bool = False
    """Whether a reply timed out, which may be the only reason for a None."""


@dataclass(slots=True)
class _Probed:
    """A server being probed."""

    client: httpx2.AsyncClient
    address: Address
    path: str
    """Where its API begins; ends with /v1."""
    model: str
    key: str
    seconds: float
    late: bool = False

    async def complete(self, body: dict[str, Any], *, seconds: float) -> Reply | None:
        try:
            return await hear(
                self.client,
                self.address,
                f"{self.path}/chat/completions",
                body={"model": self.model} | body,
                key=self.key,
                seconds=seconds,
            )
        except TimeoutError:
            self.late = True
            return None


async def probe_server(base_url: str, *, model: str, key: str = "", seconds: float = PROBE_SECONDS) -> Capabilities:
    """What the server at `base_url` (ends with /v1) can do with `model`.

    The model writes up to 4 and then up to 60 tokens for fixed prompts of ours. `seconds` is the timeout for the first
    completion, and for the second one unless the first shows that it needs longer. Raises NotAllowedError beyond
    loopback.
    """
    address = loopback_address(base_url)
    if address is None:
        raise NotAllowedError(
            f"{base_url} is not on this machine, so it was not tested.",
            "Scholion learns what a remote server can do from the first question you allow.",
        )
    async with loopback_client() as client:
        server = _Probed(client, address, urlsplit(base_url).path.rstrip("/") or "/v1", model, key, seconds)
        streamed, patience = await _stream(server)
        held = await _held_to_schema(server, seconds=patience)
    try:
        one = await served(base_url, model=model, seconds=seconds)
    except TimeoutError:
        one, server.late = None, True
    return Capabilities(
        **streamed, json_schema=held, context_window=one.context_window if one else None, late=server.late
    )


async def _stream(server: _Probed) -> tuple[dict[str, bool | None], float]:
    """What a stream shows, and the timeout for a completion of `_TOKENS` tokens."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Count from one to ten."}],
        "max_tokens": 4,
        "stream": True,
    }
    extras = {"stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 1}
    reply = await server.complete(body | extras, seconds=server.seconds)
    refused = bool(reply and reply.status in _REFUSED)
    if refused:
        extras = {"stream_options": {"include_usage": True}}
        reply = await server.complete(body | extras, seconds=server.seconds)
    chunks = _chunks(reply)
    told = [chunk for chunk in chunks if _choice(chunk)]
    if reply is None or not told:
        return {}, server.seconds
    ended = "data: [DONE]" in reply.text or any(_choice(chunk).get("finish_reason") for chunk in told)

    unseen = False if ended else None  # a broken stream shows what a server can do, but not what it cannot
    logprobs = any(_part(_choice(chunk), "logprobs").get("content") for chunk in told) or unseen
    found = {
        "logprobs": False if refused else logprobs,
        "usage_in_stream": any(_part(chunk, "usage").get("prompt_tokens") for chunk in chunks) or unseen,
        "timings": any(_part(chunk, "timings") for chunk in chunks) or unseen,
    }
    each = reply.writing / max(1, len(told) - 1)
    return found, max(server.seconds, _GROWTH * (reply.wait + _TOKENS * each))


async def _held_to_schema(server: _Probed, *, seconds: float) -> bool | None:
    """Ask for something else in words: a reply that follows the schema was forced to."""
    body = {
        "messages": [{"role": "user", "content": "Write one line of verse about the sea."}],
        "max_tokens": _TOKENS,
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "word", "strict": True, "schema": _SCHEMA},
        },
    }
    reply = await server.complete(body, seconds=seconds)
    if reply is None or (not reply.ok and reply.status not in _REFUSED):
        return None
    if not reply.ok:
        return False
    choice = _choice(reply.json())
    text = _part(choice, "message").get("content")
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        return bool(json.loads(text) == {"word": _WORD})
    except (ValueError, RecursionError):
        return None if choice.get("finish_reason") == "length" and text.lstrip().startswith("{") else False


def _chunks(reply: Reply | None) -> list[dict[str, Any]]:
    """The objects in a stream of server-sent events."""
    if reply is None or not reply.ok:
        return []
    chunks = []
    for line in reply.text.splitlines():
        if line.startswith("data:") and "[DONE]" not in line:
            try:
                chunk = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue
            chunks += [chunk] if isinstance(chunk, dict) else []
    return chunks


def _choice(content: Any) -> dict[str, Any]:
    choices = content.get("choices") if isinstance(content, dict) else None
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _part(content: dict[str, Any], key: str) -> dict[str, Any]:
    part = content.get(key)
    return part if isinstance(part, dict) else {}
