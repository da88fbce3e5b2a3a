"""Where an address leads. It is resolved once and judged by its IP addresses, never by a name or label."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.errors import ModelUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rag.message import Locality

LOOKUP_SECONDS = 5.0
"""Timeout for DNS."""

_OWN_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)  # RFC 1918, RFC 3927, RFC 4193, RFC 4291; `is_private` covers more, including ranges not used for private networks
_RELAYED = re.compile(r"[:-]cloud$", re.IGNORECASE)
_URL = re.compile(r"[!-~]+")  # printable ASCII only, because parsers disagree about other characters


@dataclass(frozen=True, slots=True)
class Destination:
    """An address and its resolved IP addresses; a request goes to these or nowhere."""

    url: str
    """The base address, without a trailing slash."""
    addresses: tuple[str, ...]
    """IP addresses in the resolver's order; empty if the name could not be resolved."""

    @property
    def host(self) -> str:
        """The host name in lower case."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, by default that of the scheme."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted and the server must prove its name."""
        return self.url.startswith("https:")

    @property
    def locality(self) -> Locality:
        """Computed from the addresses on each access, so no stored field can contradict them."""
        return locality_of(self.addresses)

    @property
    def identity(self) -> tuple[str, ...]:
        """What must stay the same for an earlier consent to be valid.

        With https, the certificate identifies the host, and providers change their addresses every hour. Without https,
        only the addresses distinguish one server from another.
        """
        return (self.url, self.locality, *(() if self.secure else sorted(self.addresses)))


def locality_of(addresses: Iterable[str]) -> Locality:
    """machine: all are loopback. network: all are private or link-local. remote: anything else, or no address."""
    found = {_one(address) for address in addresses}
    if found == {"machine"}:
        return "machine"
    return "network" if found == {"network"} else "remote"


def is_relayed(model: str) -> bool:
    """Whether a local server is known to forward this model's prompts elsewhere: Ollama's `…-cloud` models."""
    return _RELAYED.search(model) is not None


def _one(address: str) -> Locality:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "remote"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped and not ip.scope_id:
        ip = ip.ipv4_mapped  # the kernel treats ::ffff:8.8.8.8 as 8.8.8.8
    zone = getattr(ip, "scope_id", None)
    if ip.is_loopback and not zone:
        return "machine"
    if any(ip.version == network.version and ip in network for network in _OWN_NETWORKS):
        return "remote" if zone and not ip.is_link_local else "network"
    return "remote"


async def locate(base_url: str) -> Destination:
    """Resolve an address.

    A name that cannot be resolved gives a destination without addresses, which is "remote".

    Raises:
        ModelUnreachableError: not a server address: a scheme other than http and https, a user name or password, no
            host, a query, or characters that parsers disagree about.
    """
    url = checked(base_url)
    destination = Destination(url, ())
    host = destination.host
    try:
        return Destination(url, (str(ipaddress.ip_address(host)),))
    except ValueError:
        pass
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return Destination(url, tuple(dict.fromkeys(await resolve(host, destination.port))))
    except (OSError, UnicodeError):  # includes timeouts
        return destination


async def is_here(base_url: str) -> bool:
    """Whether the address leads to this machine, as far as that is known without asking a name server.

    Raises:
        ModelUnreachableError: see `locate`.
    """
    host = Destination(checked(base_url), ()).host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host != "localhost":  # every system resolves this locally
            return False
    return (await locate(base_url)).locality == "machine"


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as this machine resolves them, including forms like 2130706433 and 0177.0.0.1."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]) for *_, where in found]


def checked(base_url: str) -> str:
    """The address without a trailing slash.

    Raises:
        ModelUnreachableError: see `locate`.
    """
    url = base_url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        not _URL.fullmatch(url)
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or re.search(r"[\\@?#%<>\"^`{|}]", url)
        or port == 0
    ):
        # do not repeat the address: it may contain a password
        raise ModelUnreachableError("The address of the model is not valid.", "Write it like https://host.example/v1.")
    return url


@dataclass(frozen=True, slots=True)
class ModelCall:
    """Where a call would go, and its parameters besides the messages."""

    destination: Destination
    model: str
    parameters: Mapping[str, Any]
    """As the server accepts them: parameters it refused before are left out."""

    @property
    def leaves(self) -> bool:
        """Whether a call would leave this machine and needs a permit (`rag.privacy`)."""
        return self.destination.locality != "machine" or is_relayed(self.model)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served."""

    base_url: str
    """Ends with /v1."""
    model: str
    api_key: str = field(repr=False)
    """Empty to send none."""
    context_window: int | None = None
    """Tokens of prompt plus output; None to ask the server."""
