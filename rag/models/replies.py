"""What servers send that is not quite what the protocol says: parts, thoughts set apart, whole replies, errors."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, Any

from rag.errors import ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx2

    from rag.message import Message

MOST_HEARD = 1 << 20
"""Bytes of a reply that is no stream which are kept at most."""

MOST_OF_A_PAGE = 4000
"""Characters of a web page that are read."""

_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title>([^<]*)", re.IGNORECASE)
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)

_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thoughts")
"""Fields beside the content in which servers set thoughts apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTimes:
    """What the server itself measured of one reply; llama.cpp sends it as `timings`."""

    reading_seconds: float
    """From the first prompt token that it computed to the first output token."""
    writing_seconds: float
    """From the first output token to the last."""
    read_tokens: int
    """Prompt tokens that it computed, without those from its cache."""
    cached_tokens: int | None
    written_tokens: int


def times_of(chunk: Any) -> ServerTimes | None:
    """The server's own times in a piece of a reply; None if it has none."""
    told: Any = getattr(chunk, "timings", None)
    try:
        return ServerTimes(
            reading_seconds=told["prompt_ms"] / 1000,
            writing_seconds=told["predicted_ms"] / 1000,
            read_tokens=int(told["prompt_n"]),
            cached_tokens=None if told.get("cache_n") is None else int(told["cache_n"]),
            written_tokens=int(told["predicted_n"]),
        )
    except (TypeError, LookupError, ValueError, AttributeError):
        return None


def checked_key(key: str, *, name: str) -> str:
    """The key without the spaces and line ends around it; empty where there is none.

    Raises:
        ModelRefusedError: it has a character that no request can carry.
    """
    key = key.strip()
    if not all("!" <= char <= "~" for char in key):
        raise ModelRefusedError(
            f"The key of {name} has a character that cannot be sent.",
            "Copy the key again: letters, digits and signs of plain ASCII, in one line.",
        )
    return key


def parts_of(delta: Any) -> tuple[str, str]:
    """The text and the thoughts of a piece of a reply; the content may be a text or a list of parts.

    Raises:
        TypeError: it is neither.
    """
    text, thoughts = _content(getattr(delta, "content", None))
    apart = (getattr(delta, field, None) for field in _THOUGHTS)
    return text, thoughts + "".join(part for part in apart if isinstance(part, str))


def _content(content: Any) -> tuple[str, str]:
    if content is None:
        return "", ""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, dict):
        kind = str(content.get("type", "text"))
        inside = next((content[key] for key in ("text", "content", "thinking", "reasoning") if key in content), "")
        text, thoughts = _content(inside)
        return ("", text + thoughts) if "think" in kind or "reason" in kind else (text, thoughts)
    if isinstance(content, list):
        parts = [_content(part) for part in content]
        return "".join(text for text, _ in parts), "".join(thoughts for _, thoughts in parts)
    raise TypeError("content")


def part(response: httpx2.Response, key: str) -> Any:
    """One field of a JSON reply; ValueError if it is missing."""
    response.raise_for_status()
    content = response.json()
    if not isinstance(content, dict) or key not in content:
        raise ValueError(key)
    return content[key]


async def count_tokens(http: httpx2.AsyncClient, messages: Sequence[Message]) -> int | None:
    """The prompt's tokens as a llama.cpp server counts them; None if the server does not count."""
    import httpx2

    try:
        prompt = part(await http.post("/apply-template", json={"messages": list(messages)}), "prompt")
        # As the server parses its own prompts: text that looks like a special token becomes one.
        text = {"content": prompt, "add_special": True, "parse_special": True}
        return len(part(await http.post("/tokenize", json=text), "tokens"))
    except (httpx2.HTTPStatusError, ValueError, TypeError):
        return None


class Heard:
    """Keeps the beginning of a response as it came, for one that is no stream of events."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._told: Any = None
        self.ready: float | None = None
        """When the request was ready to be sent, on the monotonic clock."""
        self.sent: float | None = None
        """When its last byte was handed to the connection."""

    async def trace(self, step: str, _: Any) -> None:
        """Note the times of sending: the client's `trace` extension."""
        if step.endswith("connect_tcp.started"):
            self.ready = time.monotonic()
        elif step.endswith("send_request_body.complete"):
            self.sent = time.monotonic()

    async def listen(self, response: httpx2.Response) -> None:
        """Keep what `response` will bring: an event hook of the client."""
        self._bytes.clear()
        response.stream = _kept(response.stream, self._bytes)

    def error(self) -> str | None:
        """The server's own words, where the whole response is the report of an error; empty where it has none."""
        told = self._whole()
        if not isinstance(told, dict) or told.get("choices"):
            return None
        if told.get("error") or told.get("object") == "error":
            return words_in(told)
        return words_in(told) if "detail" in told else None

    def completion(self) -> Any:
        """The whole response as one piece of a stream; None where it is none."""
        told = self._whole()
        choices = told.get("choices") if isinstance(told, dict) else None
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return None
        from openai.types.chat import ChatCompletionChunk

        first = choices[0]
        delta = first.get("message") or first.get("delta") or {"content": first.get("text")}
        choice = {"index": 0, "delta": delta, "finish_reason": first.get("finish_reason") or "stop"}
        if isinstance(first.get("logprobs"), dict):
            choice["logprobs"] = first["logprobs"]
        return ChatCompletionChunk.construct(**{**told, "choices": [choice]})

    def _whole(self) -> Any:
        if self._told is None and self._bytes.lstrip()[:1] == b"{":
            try:
                self._told = json.loads(self._bytes)
            except (ValueError, RecursionError):
                self._told = {}
        return self._told


def words_in(told: Any) -> str:
    """What an error says, wherever servers put it; empty where it says nothing."""
    if isinstance(told, str):
        return " ".join((_without_tags(told) if _PAGE.match(told) else told).split())
    if isinstance(told, dict):
        return next((said for key in ("error", "message", "detail", "msg") if (said := words_in(told.get(key)))), "")
    if isinstance(told, list):
        return next((said for one in told if (said := words_in(one))), "")
    return ""


def _without_tags(page: str) -> str:
    """What a web page says: its title, else its text; proxies answer with one where the server does not."""
    page = page[:MOST_OF_A_PAGE]
    title = _TITLE.search(page)
    return unescape(_TAG.sub(" ", title[1] if title and title[1].strip() else page))


def _kept(stream: Any, kept: bytearray) -> Any:
    """The stream, of which the beginning is kept too."""
    import httpx2

    class Tee(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in stream:
                kept.extend(piece[: max(0, MOST_HEARD - len(kept))])
                yield piece

        async def aclose(self) -> None:
            await stream.aclose()

    return Tee()
