"""Ask a program on this machine a small question over HTTP: loopback addresses only, and any answer is survived."""

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
"""Wait for a connection: on loopback it is there in a millisecond or never, unless this program itself is held up."""

SECOND_CONNECT_SECONDS = 1.0
"""The wait after that: with eight programs on two cores the first one has run out."""

REPLY_SECONDS = 2.0
"""Longest wait for a whole reply."""

LONGEST_REPLY = 4_000_000
"""Bytes; a longer reply is none. A list of 2,000 models with their descriptions takes about half."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """Their names in lower case."""
    text: str
    wait: float = 0.0
    """Seconds from the request to the first byte of the body."""
    writing: float = 0.0
    """Seconds from there to the last one."""

    @property
    def ok(self) -> bool:
        """Whether the status is 200: everything that is asked here answers with it."""
        return self.status == 200

    @property
    def locked(self) -> bool:
        """Whether the server wants a key."""
        return self.status in {401, 403}

    def json(self) -> Any:
        """Return the body as JSON; None where it is none."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Address:
    """A place on this machine where a server may listen."""

    host: str
    """127.0.0.1, ::1 or another numeric loopback address: a name could be made to lead elsewhere."""
    port: int

    @property
    def url(self) -> str:
        """The address without a path: `http://127.0.0.1:8080`."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def loopback_address(text: str, *, port: int = 80) -> Address | None:
    """Return the loopback address that an environment variable or a user names; None for any other.

    Takes what the engines' own variables take: `host`, `host:port`, `:port` and a URL. `localhost` and the addresses
    that stand for every interface (0.0.0.0, ::) become 127.0.0.1 and ::1; no name is ever looked up.
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
        verify=False,  # plain HTTP: nothing to verify, and loading the authorities takes 20 ms
        limits=httpx2.Limits(max_keepalive_connections=0),  # llama.cpp ends a connection after a stream, unannounced
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
    """GET a path, or POST where there is a body; None where nothing answers, or too much, or not HTTP.

    Args:
        client: of `loopback_client`.
        address: where to ask.
        path: begins with a slash.
        body: becomes JSON.
        key: sent where it is not empty.
        seconds: the longest wait, also for the connection, as a server is known to be there. None: nobody knows;
            the usual waits, of which that for a connection is short.

    Raises:
        TimeoutError: there was no whole answer in time, which says nothing about what the server can do.
        ValueError: the address is not on loopback, a mistake of the caller's.
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
        async for piece in response.aiter_raw():  # undecoded: a small compressed reply could unpack to gigabytes
            first = time.monotonic() if first is None else first
            raw += piece
            if len(raw) > LONGEST_REPLY:
                return None
        text = raw.decode("utf-8", errors="replace")
        ended = time.monotonic()
        first = ended if first is None else first
        told = {k.lower(): v for k, v in response.headers.items()}
        return Reply(response.status_code, told, text, wait=first - began, writing=ended - first)
