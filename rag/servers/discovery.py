"""Find the model servers that run on this machine: offered, never used unasked, and nothing else is contacted."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

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
    5272,  # Foundry Local's service; which port its SDK takes is known to FOUNDRY_LOCAL_ENDPOINT alone
    5273,
)
"""Where engines listen unless told otherwise: candidates, and no evidence of who listens there."""

VARIABLES = {"FOUNDRY_LOCAL_ENDPOINT": 5272, "OLLAMA_HOST": 11434}
"""Environment variables that name an engine's address, with the port where they name none."""

SITE_SECONDS = 6.0
"""Longest time for one address with all its models."""

CATALOGUE_SECONDS = 16.0
"""Longer where an online catalogue may be asked: without a network, Foundry Local gave up after five seconds."""

SPOKEN_HOSTS = ("127.0.0.1", "::1")


async def discover(
    *,
    environment: Mapping[str, str] | None = None,
    ports: Iterable[int] = PORTS,
    also: Iterable[Address] = (),
    catalogues: bool = False,
) -> tuple[Engine, ...]:
    """Return the engines that answer on this machine's loopback interface, in the order of the ports.

    Args:
        environment: where `VARIABLES` are read; None: the process's own. One that names another machine is ignored.
        ports: the ports to look at, on 127.0.0.1 and ::1.
        also: further addresses.
        catalogues: whether an engine may be asked what makes it go online itself (`engines.Site`).

    Waits 0.3 s for a connection and 2 s for a reply; all addresses are asked at the same time. Raises nothing.
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


async def served(base_url: str, *, model: str, seconds: float) -> ServedModel | None:
    """Return what the engine at a loopback address says of one model; None where it says nothing.

    To be asked before a model is used because it is near: `relayed_to` names who would get the prompt.
    Raises TimeoutError where a reply took longer than `seconds`: the engine has not said all that it knows.
    """
    address = loopback_address(base_url)
    if address is None:
        return None
    async with loopback_client() as client, asyncio.timeout(SITE_SECONDS + 2 * seconds):
        site = Site(client, address, seconds=seconds)
        engine = await identify(site)
    if site.late:
        raise TimeoutError
    names = (model, f"{model}:latest")  # Ollama takes both for the same
    return next((one for one in (engine.models if engine else ()) if one.id in names), None)


async def _look(client: httpx2.AsyncClient, address: Address, *, catalogues: bool) -> Engine | None:
    try:
        async with asyncio.timeout(CATALOGUE_SECONDS if catalogues else SITE_SECONDS):
            return await identify(Site(client, address, catalogues=catalogues))
    except TimeoutError:
        return None


def _once(engines: list[Engine]) -> list[Engine]:
    """Leave out a server's second address: one that listens on 127.0.0.1 and ::1 is one engine."""
    kept: dict[tuple[object, ...], Engine] = {}
    for engine in engines:
        port = engine.base_url.rpartition(":")[2]
        kept.setdefault((port, engine.name, engine.models), engine)
    return list(kept.values())
