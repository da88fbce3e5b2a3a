"""What a model server can do, found by asking for two tiny completions; only when the user wants to know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag.discovery import served
from rag.errors import NotAllowedError
from rag.loopback import ask, loopback_address, loopback_client

if TYPE_CHECKING:
    import httpx2

    from rag.loopback import Address, Reply

PROBE_SECONDS = 120.0
"""Longest wait for each completion: the model may have to be loaded first."""

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
    """What a server can do with one model; None: it could not be found out."""

    logprobs: bool | None = None
    """Whether it gives the log-probability of each token that it writes."""
    usage_in_stream: bool | None = None
    """Whether a stream ends with the numbers of tokens."""
    json_schema: bool | None = None
    """Whether it can be held to a JSON schema."""
    timings: bool | None = None
    """Whether it tells its own times, as llama.cpp does."""
    context_window: int | None = None
    """Tokens of prompt plus output, now that the model is loaded."""


async def probe(base_url: str, *, model: str, key: str = "", seconds: float = PROBE_SECONDS) -> Capabilities:
    """Return what the server at `base_url` (ends with /v1) can do with `model`.

    The model writes up to 4 and up to 60 tokens to a fixed text of ours. Raises NotAllowedError beyond loopback.
    """
    address = loopback_address(base_url)
    if address is None:
        raise NotAllowedError(
            f"{base_url} is not on this machine, so it is not tried out.",
            "What a remote server can do is found out with the first question that you allow.",
        )
    async with loopback_client() as client:
        streamed = await _stream(client, address, model=model, key=key, seconds=seconds)
        held = await _held_to_schema(client, address, model=model, key=key, seconds=seconds)
    one = await served(base_url, model=model)
    return Capabilities(**streamed, json_schema=held, context_window=one.context_window if one else None)


async def _stream(
    client: httpx2.AsyncClient, address: Address, *, model: str, key: str, seconds: float
) -> dict[str, bool | None]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "Count from one to ten."}],
        "max_tokens": 4,
        "stream": True,
    }
    extras = {"stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 1}
    reply = await _complete(client, address, body=body | extras, key=key, seconds=seconds)
    refused = bool(reply and reply.status in _REFUSED)
    if refused:
        extras = {"stream_options": {"include_usage": True}}
        reply = await _complete(client, address, body=body | extras, key=key, seconds=seconds)
    chunks = _chunks(reply)
    if not any(_choice(chunk) for chunk in chunks):
        return {}
    return {
        "logprobs": not refused and any(_part(_choice(chunk), "logprobs").get("content") for chunk in chunks),
        "usage_in_stream": any(_part(chunk, "usage").get("prompt_tokens") for chunk in chunks),
        "timings": any(_part(chunk, "timings") for chunk in chunks),
    }


async def _held_to_schema(
    client: httpx2.AsyncClient, address: Address, *, model: str, key: str, seconds: float
) -> bool | None:
    """Ask for something else in words: a reply that keeps to the schema was held to it."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Write one line of verse about the sea."}],
        "max_tokens": 60,
        "temperature": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "word", "strict": True, "schema": _SCHEMA},
        },
    }
    reply = await _complete(client, address, body=body, key=key, seconds=seconds)
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


async def _complete(
    client: httpx2.AsyncClient, address: Address, *, body: dict[str, Any], key: str, seconds: float
) -> Reply | None:
    return await ask(client, address, "/v1/chat/completions", body=body, key=key, seconds=seconds)


def _chunks(reply: Reply | None) -> list[dict[str, Any]]:
    """The objects of a stream of server-sent events."""
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
