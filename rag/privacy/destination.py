"""Where an address leads: looked up once, judged by the numbers it resolves to, never by a name or a label."""

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
"""Longest wait for the name server."""

_OWN_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)  # RFC 1918, RFC 3927, RFC 4193, RFC 4291; `is_private` has more, of which no network of one's own is made
_RELAYED = re.compile(r"[:-]cloud$", re.IGNORECASE)
_URL = re.compile(r"[!-~]+")  # printable ASCII: what one parser skips, another one reads


@dataclass(frozen=True, slots=True)
class Destination:
    """An address with what it resolved to; a request goes to these numbers or nowhere."""

    url: str
    """The base address, without a slash at its end."""
    addresses: tuple[str, ...]
    """IP addresses in the resolver's order; empty: the name could not be looked up."""

    @property
    def host(self) -> str:
        """The name in the address, as it was written but for its case."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, that of the scheme where none is written."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def secure(self) -> bool:
        """Whether the way there is encrypted and the server has to prove its name."""
        return self.url.startswith("https:")

    @property
    def locality(self) -> Locality:
        """Computed from the addresses each time: there is no field that could say something else."""
        return locality_of(self.addresses)

    @property
    def identity(self) -> tuple[str, ...]:
        """What has to stay the same for an earlier consent to hold.

        Behind https the certificate vouches for the host, and providers change their addresses by the hour; without it
        nothing but the addresses tells one server from another.
        """
        return (self.url, self.locality, *(() if self.secure else sorted(self.addresses)))


def locality_of(addresses: Iterable[str]) -> Locality:
    """machine: all are loopback. network: all are private or link-local. remote: anything else, and no address."""
    found = {_one(address) for address in addresses}
    if found == {"machine"}:
        return "machine"
    return "network" if found == {"network"} else "remote"


def is_relayed(model: str) -> bool:
    """Whether a server on this machine is known to send this model's prompts elsewhere: Ollama's `…-cloud` models."""
    return _RELAYED.search(model) is not None


def _one(address: str) -> Locality:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "remote"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped and not ip.scope_id:
        ip = ip.ipv4_mapped  # ::ffff:8.8.8.8 is 8.8.8.8 to the kernel
    zone = getattr(ip, "scope_id", None)
    if ip.is_loopback and not zone:
        return "machine"
    if any(ip.version == network.version and ip in network for network in _OWN_NETWORKS):
        return "remote" if zone and not ip.is_link_local else "network"
    return "remote"


async def locate(base_url: str) -> Destination:
    """Look the address up and return where it leads.

    A name that cannot be looked up gives a destination without addresses, which is "remote".

    Raises:
        ModelUnreachableError: this is not the address of a server: another scheme than http and https, a name and
            password in it, no host, a query, or characters that not every reader takes alike.
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
    except (OSError, UnicodeError):  # a time-out is an OSError
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
        if host != "localhost":  # which every system looks up itself
            return False
    return (await locate(base_url)).locality == "machine"


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as this machine looks them up; forms like 2130706433 and 0177.0.0.1 included."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(where[0]) for *_, where in found]


def checked(base_url: str) -> str:
    """The address without a slash at its end.

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
        # the address is not repeated: a password may be in it
        raise ModelUnreachableError("The address of the model is not valid.", "Write it like https://host.example/v1.")
    return url


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What a call would go to, and what it would say beside the messages."""

    destination: Destination
    model: str
    parameters: Mapping[str, Any]
    """As the server takes them: what it refused before is left out."""

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
    """Empty: none is sent."""
    context_window: int | None = None
    """Tokens of prompt plus output; None: ask the server."""
