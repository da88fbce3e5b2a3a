"""Find model servers on this machine. They are offered, never used unasked, and nothing else is contacted."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag.servers.engines import Site, identify
from rag.servers.loopback import Address, loopback_address, loopback_client

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx2

    from rag.servers.engines import Engine, ServedModel

PORTS = (
    11434,  # Ollama
    1234,  # LM Studio
    8000,  # vLLM
    30000,  # SGLang
    8080,  # llama.cpp
    1337,  # Jan
    4891,  # GPT4All
    5272,  # Foundry Local's service; only FOUNDRY_LOCAL_ENDPOINT knows the port its SDK chooses
    5273,
)
"""Default ports of the engines. They are candidates only: a port does not prove which engine listens there."""

VARIABLES = {"FOUNDRY_LOCAL_ENDPOINT": 5272, "OLLAMA_HOST": 11434}
"""Environment variables with an engine's address, and the port used if they name none."""

SITE_SECONDS = 6.0
"""Timeout for one address with all its models."""

CATALOGUE_SECONDS = 16.0
"""Longer timeout if an online catalogue may be asked: offline, Foundry Local gave up after five seconds."""

SPOKEN_HOSTS = ("127.0.0.1", "::1")


async def discover(
    *,
    environment: Mapping[str, str] | None = None,
    ports: Iterable[int] = PORTS,
    also: Iterable[Address] = (),
    catalogues: bool = False,
) -> tuple[Engine, ...]:
    """Find the engines that answer on this machine's loopback interface, in the order of the ports.

    Waits 0.3 s for a connection and 2 s for a reply; all addresses are asked at the same time. Raises nothing.

    Args:
        environment: where to read `VARIABLES`; None for the process's own. Addresses of other machines are ignored.
        ports: the ports to try on 127.0.0.1 and ::1.
        also: further addresses.
        catalogues: whether to send requests that make an engine go online itself (`engines.Site`).
    """
    variables = os.environ if environment is None else environment
    named = [
        address
        for name, port in VARIABLES.items()
        if name in variables and (address := loopback_address(variables[name], port=port))
    ]
    usual = [Address(host, port) for host in SPOKEN_HOSTS for port in ports]
    addresses = list(dict.fromkeys([*usual, *named, *also]))
    async with loopback_client() as client:
        found = await asyncio.gather(*(_look(client, address, catalogues=catalogues) for address in addresses))
    return tuple(_once([engine for engine in found if engine]))


def elsewhere(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those of `VARIABLES` that name another machine, with the base URL of the API there. Nothing is contacted.

    A user who wants that machine names it in SCHOLION_EXPERT; what goes there passes the privacy gate.
    """
    variables = os.environ if environment is None else environment
    found = {}
    for name, port in VARIABLES.items():
        text = variables.get(name, "").strip()
        if not text or loopback_address(text, port=port):
            continue
        try:
            parts = urlsplit(text if "//" in text else f"http://{text}")
            if parts.hostname and parts.scheme in {"http", "https"}:
                host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
                if loopback_address(host):  # this machine, by https
                    continue
                place = f":{parts.port}" if parts.port else "" if "//" in text else f":{port}"
                found[name] = f"{parts.scheme}://{host}{place}{parts.path.rstrip('/') or '/v1'}"
        except ValueError:
            continue
    return found


async def served(base_url: str, *, model: str, seconds: float) -> ServedModel | None:
    """What the engine at a loopback address says about one model; None if it says nothing.

    Ask this before using a model because it is local: `relayed_to` names who would get the prompt. Raises TimeoutError
    if a reply took longer than `seconds`, because the engine's information may then be incomplete.
    """
    address = loopback_address(base_url)
    if address is None:
        return None
    async with loopback_client() as client, asyncio.timeout(SITE_SECONDS + 2 * seconds):
        site = Site(client, address, seconds=seconds)
        engine = await identify(site)
    if site.late:
        raise TimeoutError
    names = (model, f"{model}:latest")  # Ollama treats both as the same
    return next((one for one in (engine.models if engine else ()) if one.id in names), None)


async def _look(client: httpx2.AsyncClient, address: Address, *, catalogues: bool) -> Engine | None:
    try:
        async with asyncio.timeout(CATALOGUE_SECONDS if catalogues else SITE_SECONDS):
            return await identify(Site(client, address, catalogues=catalogues))
    except TimeoutError:
        return None


def _once(engines: list[Engine]) -> list[Engine]:
    """Drop a server's second address: one that listens on 127.0.0.1 and ::1 is one engine."""
    kept: dict[tuple[object, ...], Engine] = {}
    for engine in engines:
        port = engine.base_url.rpartition(":")[2]
        kept.setdefault((port, engine.name, engine.models), engine)
    return list(kept.values())
