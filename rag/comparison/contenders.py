"""The models of a comparison: from what the user wrote to a model that can be asked, restarted and closed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from rag.comparison.in_process import PREFIX, TransformersChatModel
from rag.comparison.nouns import Asked, Contender
from rag.errors import UnknownModelError
from rag.keys import Keys
from rag.models.adapters import Adapters, shipped_adapter
from rag.models.chat import EndpointChatModel
from rag.models.local import LocalServer, embedded_drafter
from rag.models.open import open_model, server_for
from rag.models.registry import load
from rag.models.resolve import ModelFile, pulled_path, resolve
from rag.servers.discovery import discover
from rag.servers.engines import Site, identify
from rag.servers.loopback import loopback_address, loopback_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.choices import Kept

EMBEDDED = "embedded"
"""Names the embedded model in a comparison."""

_OPTION = re.compile(r"(threads|context|adapter|name)=(.*)", re.DOTALL)

NO_CACHE = {"cache_prompt": False}
"""Asks llama.cpp to read the whole prompt each time. Otherwise the second of two equal prompts is read from its cache,
and the time to the first token is that of one token."""


def parsed(texts: Sequence[str]) -> list[Asked]:
    """The models the user named, each with a name of its own.

    Args:
        texts: one or more models each, with commas between them.

    Raises:
        UnknownModelError: an option is wrong.
    """
    found: list[dict[str, Any]] = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        option = _OPTION.fullmatch(part)
        if option and found:
            found[-1][option[1]] = option[2]
        elif part:
            found.append({"setting": part})
    made = [_asked(row) for row in found]
    names = [one.name for one in made]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UnknownModelError(f"“{twice}” is named twice.", "Add `,name=OTHER` to one of them.")
    return made


def _asked(row: dict[str, Any]) -> Asked:
    options = {key: row[key] for key in ("threads", "context", "adapter") if key in row}
    said = ", ".join(f"{key} {value}" for key, value in options.items())
    setting = row["setting"]
    plain = setting if "://" in setting else setting.removesuffix(".gguf")
    short = plain if "://" in plain or PREFIX in plain[: len(PREFIX)] else Path(plain).name
    try:
        threads, context = (int(options[key]) if key in options else None for key in ("threads", "context"))
    except ValueError:
        threads = context = 0
    if 0 in {threads, context} or options.get("adapter", "no") not in {"yes", "no"}:
        raise UnknownModelError(
            f"The options of {setting} are not valid.", "Write them like `embedded,threads=1,context=4096,adapter=yes`."
        )
    return Asked(
        setting=setting,
        threads=threads,
        context=context,
        adapter=options.get("adapter") == "yes",
        name=row.get("name") or (f"{short} ({said})" if said else short),
    )


async def discovered() -> list[str]:
    """The settings of all models that a server on this machine offers for chat and runs itself."""
    return [
        f"{engine.base_url}#{model.id}"
        for engine in await discover()
        for model in engine.models
        if model.chat and not model.relayed_to
    ]


async def opened(asked: Asked, kept: Kept, *, library: Path) -> Contender:
    """The model, not started yet.

    Raises:
        UserFacingError: there is no such model, or it is not on this machine.
    """
    settings = kept.settings
    threads = asked.threads or settings.drafter_threads
    if asked.setting.startswith(PREFIX):
        place = await asyncio.to_thread(_weights, asked.setting.removeprefix(PREFIX), library)
        inside = TransformersChatModel(place, name=asked.name, threads=threads)
        return Contender(
            asked=asked,
            model=inside,
            end=inside.close,
            inside=True,
            measure=lambda: (inside.memory, "its weights in this process"),
        )
    setting = str(embedded_drafter()) if asked.setting == EMBEDDED else asked.setting
    found = await asyncio.to_thread(resolve, setting, registry=load(library), library=library)
    if isinstance(found, ModelFile):
        adapters: tuple[Path, ...] = ()
        if asked.adapter:
            on, shipped = Adapters(library).on_for(found.path), shipped_adapter(found.path)
            adapters = on.served_with(found.path) if on else (shipped,) if shipped else ()
            if not adapters:
                raise UnknownModelError(
                    f"{found.name} has no adapter here.", "Leave out `adapter=yes`, or see `python -m rag adapt list`."
                )
        most = found.context_window or asked.context or settings.drafter_context
        server = server_for(
            found,
            context=min(asked.context or settings.drafter_context, most),
            slots=1,
            threads=threads,
            adapters=adapters,
        )
        model = EndpointChatModel(server.connect, name=asked.name, timeout=settings.timeout_seconds, extra=NO_CACHE)
        return Contender(asked=asked, model=model, end=server.close, measure=lambda: process_memory(server))
    one = await asyncio.to_thread(
        open_model,
        setting,
        library=library,
        context=asked.context,
        file_context=settings.drafter_context,
        slots=1,
        threads=threads,
        timeout=settings.timeout_seconds,
        key=await asyncio.to_thread(_key_of, found.base_url, kept, library),
        extra=NO_CACHE if await _is_llama_cpp(found.base_url) else None,
    )
    return Contender(asked=asked, model=one.model)


def process_memory(server: LocalServer) -> tuple[int | None, str]:
    """What the process of a server of ours takes; None if it is not running."""
    try:
        return (int(psutil.Process(server.pid).memory_info().rss), "its process") if server.pid else (None, "")
    except psutil.Error:
        return None, ""


async def _is_llama_cpp(base_url: str) -> bool:
    """Whether llama.cpp serves this address of this machine."""
    address = loopback_address(base_url)
    if address is None:
        return False
    async with loopback_client() as client:
        engine = await identify(Site(client, address))
    return engine is not None and engine.name == "llama.cpp"


def _key_of(base_url: str, kept: Kept, library: Path) -> str:
    """The key that was kept or set for exactly this address; empty if there is none."""
    for server in kept.choices.servers:
        if server.base_url == base_url and server.key:
            return Keys(library).of(server.base_url, server.key)
    settings = kept.settings
    for setting, key in ((settings.expert, settings.expert_key), (settings.drafter, settings.drafter_key)):
        if setting and setting.partition("#")[0].rstrip("/") == base_url:
            return key.get_secret_value()
    return ""


def _weights(place: str, library: Path) -> str:
    """The weights of a transformers model: a path, a name of the hub, or the file of a registry name."""
    if place == EMBEDDED:
        return str(embedded_drafter())
    card = load(library).card(place)
    file = pulled_path(card, library) if card else None
    return str(file) if file and file.is_file() else place
