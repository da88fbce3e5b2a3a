"""Small HTTP requests to programs on this machine: loopback addresses only, robust against any reply."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx2

CONNECT_SECONDS = 0.3
"""Connection timeout: loopback connects within a millisecond or not at all, unless this process is blocked."""

SECOND_CONNECT_SECONDS = 1.0
"""Timeout of the second attempt: with eight programs on two cores, the first one has expired."""

REPLY_SECONDS = 2.0
"""Timeout for a whole reply."""

LONGEST_REPLY = 4_000_000
"""Maximum bytes of a reply; longer ones are ignored. A list of 2,000 models with descriptions takes about half."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply."""

    status: int
    headers: Mapping[str, str]
    """Header names in lower case."""
    text: str
    wait: float = 0.0
    """Seconds from the request to the first byte of the body."""
    writing: float = 0.0
    """Seconds from the first byte to the last."""

    @property
    def ok(self) -> bool:
        """Whether the status is 200, the only success status of the requests made here."""
        return self.status == 200

    @property
    def locked(self) -> bool:
        """Whether the server requires a key."""
        return self.status in {401, 403}

    def json(self) -> Any:
        """The body as JSON; None if it is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Address:
    """A place on this machine where a server may listen."""

    host: str
    """127.0.0.1, ::1 or another numeric loopback address; a name could be made to lead elsewhere."""
    port: int

    @property
    def url(self) -> str:
        """The address without a path: `http://127.0.0.1:8080`."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def loopback_address(text: str, *, port: int = 80) -> Address | None:
    """The loopback address named by an environment variable or a user; None for any other address.

    Accepts what the engines' own variables accept: `host`, `host:port`, `:port` and a URL. `localhost` and the wildcard
    addresses (0.0.0.0, ::) become 127.0.0.1 and ::1. No name is ever resolved.
    """
    text = text.strip()
    try:
        if ":" in text and "//" not in text and text.count(":") > 1 and not text.startswith("["):
            text = f"[{text}]"  # a bare IPv6 address
        parts = urlsplit(text if "//" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port or port
        if parts.scheme not in {"", "http"}:
            return None
        ip = ipaddress.ip_address("127.0.0.1" if host in {"", "localhost"} else host)
    except ValueError:
        return None
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return Address(str(ip), port) if ip.is_loopback and 0 < port < 65536 else None


@asynccontextmanager
async def loopback_client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client without proxies, redirects, cookies or keys."""
    import httpx2

    async with httpx2.AsyncClient(
        trust_env=False,  # a proxy would learn what runs here
        follow_redirects=False,
        verify=False,  # plain HTTP has nothing to verify, and loading the CA certificates takes 20 ms
        limits=httpx2.Limits(max_keepalive_connections=0),  # llama.cpp closes a connection after a stream, unannounced
        timeout=httpx2.Timeout(REPLY_SECONDS, connect=CONNECT_SECONDS),
        headers={"user-agent": "scholion", "accept": "*/*", "accept-encoding": "identity"},
    ) as client:
        yield client


async def hear(
    client: httpx2.AsyncClient,
    address: Address,
    path: str,
    *,
    body: Any = None,
    key: str = "",
    seconds: float | None = None,
) -> Reply | None:
    """GET a path, or POST if there is a body; None if nothing answers, the reply is too long, or it is not HTTP.

    Args:
        client: from `loopback_client`.
        address: where to ask.
        path: starts with a slash.
        body: sent as JSON.
        key: sent unless empty.
        seconds: timeout, including the connection, for a server known to be there. None uses the defaults, with a short
            connection timeout.

    Raises:
        TimeoutError: no complete reply in time, which says nothing about what the server can do.
        ValueError: the address is not a loopback address; an error of the caller.
    """
    import httpx2

    if not ipaddress.ip_address(address.host).is_loopback:
        raise ValueError(address.host)
    longest = REPLY_SECONDS if seconds is None else seconds
    for connect in (CONNECT_SECONDS, SECOND_CONNECT_SECONDS) if seconds is None else (seconds,):
        try:
            async with asyncio.timeout(longest):
                limits = httpx2.Timeout(longest, connect=connect)
                return await _once(client, address.url + path, body=body, key=key, limits=limits)
        except httpx2.ConnectTimeout:
            continue
        except httpx2.TimeoutException:
            break
        except TimeoutError:
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError):
            return None
    raise TimeoutError


async def _once(client: httpx2.AsyncClient, url: str, *, body: Any, key: str, limits: httpx2.Timeout) -> Reply | None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    method = "GET" if body is None else "POST"
    began, first = time.monotonic(), None
    async with client.stream(method, url, json=body, headers=headers, timeout=limits) as response:
        raw = bytearray()
        async for piece in response.aiter_raw():  # undecoded: a small compressed reply could expand to gigabytes
            first = time.monotonic() if first is None else first
            raw += piece
            if len(raw) > LONGEST_REPLY:
                return None
        text = raw.decode("utf-8", errors="replace")
        ended = time.monotonic()
        first = ended if first is None else first
        told = {k.lower(): v for k, v in response.headers.items()}
        return Reply(response.status_code, told, text, wait=first - began, writing=ended - first)
