"""Chroma clients that use nothing from the environment; a server is only contacted at the checked addresses."""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import types
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import chromadb
import chromadb.api.fastapi
import httpx
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings

from ingest.errors import VectorServerError

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS = 5.0
"""Longest wait for a connection to one address of a server."""

HNSW_HEADER: Final = struct.Struct("<i3Q")
"""How Chroma's `header.bin` begins: version, offset of level 0, room for so many elements, elements written."""

_log = logging.getLogger(__name__)


def embedded(folder: str) -> Any:
    """Chroma in this process, with its folder."""
    try:
        return chromadb.PersistentClient(folder, settings=_settings()())
    except BaseException:
        # a failed system, on a full disk for example, stays in Chroma's cache, and the next client would get it
        if folder not in SharedSystemClient._identifier_to_refcount:  # noqa: SLF001 - there is no other way
            SharedSystemClient._identifier_to_system.pop(folder, None)  # noqa: SLF001
        raise


def wipe_unwritten(folder: Path) -> None:
    """Fill with zeros what a new HNSW index reserves on disk.

    Chroma writes those parts from memory that it never set, so whatever this process had there before would stay in
    the folder, in clear: pieces of papers, or a key. Once elements are written, the files hold nothing else.
    """
    for header in folder.glob("*/header.bin"):
        begin = header.read_bytes()[: HNSW_HEADER.size]
        if len(begin) < HNSW_HEADER.size:
            continue
        version, _, _, written = HNSW_HEADER.unpack(begin)
        if version == 1 and not written:
            for name in ("length.bin", "data_level0.bin"):
                reserved = header.with_name(name)
                if reserved.is_file() and any(reserved.read_bytes()):
                    with reserved.open("r+b") as file:
                        file.write(bytes(reserved.stat().st_size))


def server(url: str) -> Any:
    """A client of the server at the URL.

    Raises:
        VectorServerError: it is on the open internet, or its name cannot be looked up.
        ValueError, httpx.HTTPError: it does not answer.
    """
    parts = urlsplit(url)
    if not all(ipaddress.ip_address(number.partition("%")[0]).is_loopback for number in addresses(url)):
        _log.warning(
            "The vectors go to the Chroma server %s, which is not on this machine. Whoever can reach a Chroma server "
            "may be able to run code on it (docs/scale.md).",
            url,
        )
    # Chroma makes its own HTTP client, which would use the proxies from the environment.
    chromadb.api.fastapi.httpx = types.SimpleNamespace(Client=_client)
    return chromadb.HttpClient(
        host=parts.hostname or "", port=parts.port or 8000, ssl=parts.scheme == "https", settings=_settings()()
    )


def without_orders(collection: Any) -> Any:
    """The collection, freed of what its server says about how to embed.

    We bring our own vectors. Chroma would build the embedding function that a server names, with the options that the
    server gives, as soon as something is stored; some of these functions load code (chroma-core/chroma issue 6717).
    """
    collection._model.serialized_schema = None  # noqa: SLF001 - there is no other place for it
    collection._model.configuration_json = {}  # noqa: SLF001
    return collection


def set_sync(collection: Any, n: int) -> None:
    """Have the collection's index written after each n vectors, from its next opening on.

    Chroma's own `modify` would first build the embedding function that the server names.
    """
    collection._client._modify(  # noqa: SLF001
        id=collection.id,
        new_configuration={"hnsw": {"sync_threshold": n}},
        tenant=collection.tenant,
        database=collection.database,
    )


def addresses(url: str) -> list[str]:
    """The IP addresses of the server's host: all belong to this machine or to a private network.

    Raises:
        VectorServerError: they do not, or the name cannot be looked up.
    """
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 8000, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise VectorServerError(
            f"The host of the Chroma server {url} is unknown.", "Correct SCHOLION_CHROMA, or unset it."
        ) from error
    numbers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if any(ipaddress.ip_address(number.partition("%")[0]).is_global for number in numbers):
        raise VectorServerError(
            f"The Chroma server {url} is on the public internet.",
            "Set SCHOLION_CHROMA to a server on this machine or on your own network.",
        )
    return numbers


class PinnedTransport(httpx.BaseTransport):
    """Sends requests to the checked addresses; looks the name up and checks it again if none answers."""

    def __init__(self, **options: Any) -> None:
        self._inner = httpx.HTTPTransport(trust_env=False, **options)
        self._numbers: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the reply; a redirect to another address is refused."""
        url = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
        fresh = not self._numbers
        if fresh:
            self._numbers = addresses(url)
        try:
            response = self._send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if fresh:
                raise
            self._numbers = addresses(url)
            response = self._send(request)
        if response.is_redirect:
            response.close()
            raise VectorServerError(
                f"The Chroma server at {url} redirects to another address.",
                "Set SCHOLION_CHROMA to its own address.",
            )
        return response

    def _send(self, request: httpx.Request) -> httpx.Response:
        failure: httpx.TransportError = httpx.ConnectError("the name has no address")
        for number in self._numbers:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=number),
                headers=request.headers.raw,
                stream=request.stream,
                extensions=request.extensions | {"sni_hostname": request.url.host},
            )
            try:
                return self._inner.handle_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent
                failure = error
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def _client(*, limits: httpx.Limits, **_: Any) -> httpx.Client:
    """Replaces httpx's client in Chroma: no proxies, no certificates and no password files."""
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    return httpx.Client(transport=PinnedTransport(limits=limits), trust_env=False, timeout=timeout)


@cache
def _settings() -> type[Settings]:
    """Chroma's settings, which read neither the environment nor a `.env` file in the current folder."""

    class OurSettings(Settings):  # type: ignore[misc]
        @classmethod
        def settings_customise_sources(cls, _kind: Any, init_settings: Any, **_: Any) -> tuple[Any, ...]:
            return (init_settings,)

    return OurSettings
