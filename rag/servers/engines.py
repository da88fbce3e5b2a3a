"""Identify the engine at an address and what it serves, from its replies and never from its port.

Several engines imitate another's API: SGLang, llama.cpp and KoboldCpp answer some of Ollama's requests, and all of them
OpenAI's. So each engine is first asked what only it can answer; the imitated APIs come last.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.servers.loopback import hear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx2

    from rag.servers.loopback import Address, Reply

UNKNOWN = "OpenAI-compatible server"
"""Name for an engine that does not identify itself."""

REGISTERED = "/catalogs/local"
"""Under this path, Foundry Local serves the models that its user registered; `/v1` knows Microsoft's catalogue only."""

MOST_MODELS = 200
"""Maximum number of models listed or asked about individually."""

_LONGEST_NAME = 200
_OWN = {"", "llama.cpp", "llamacpp", "mlx", "user", "jan"}
"""Owners that Jan gives for models it runs itself; any other is a provider it forwards prompts to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model as described by its engine."""

    id: str
    context_window: int | None = None
    """Tokens of prompt plus output the engine allows per request; None if unknown, often until the model is loaded."""
    trained_context: int | None = None
    """Tokens the model was trained for; the engine may allow far fewer."""
    weights_bytes: int | None = None
    """Size of its weights; None if the engine does not say."""
    chat: bool = True
    """False if the engine says that it is for embeddings only."""
    relayed_to: str | None = None
    """Host or provider beyond this machine that gets the prompt; None if there is none, as far as the engine says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A model server on this machine."""

    name: str
    base_url: str
    """Base URL of its OpenAI-compatible API; ends with /v1."""
    version: str | None = None
    models: tuple[ServedModel, ...] = ()
    locked: bool = False
    """Whether it requires a key, and therefore has not said what it serves."""
    note: str | None = None
    """One or two sentences the user should know about it."""


@dataclass(slots=True)
class Site:
    """An address being asked; caches its replies."""

    client: httpx2.AsyncClient
    address: Address
    catalogues: bool = False
    """Whether to send requests that make an engine query its own online catalogue."""
    seconds: float | None = None
    """Reply timeout for a server known to be there; None for the default."""
    heard: dict[str, Reply | None] = field(default_factory=dict)
    late: bool = False
    """Whether a reply timed out, so that the information may be incomplete."""

    async def ask(self, path: str, *, body: Any = None, seconds: float | None = None) -> Reply | None:
        """The reply to a path; None if there is none or it timed out."""
        try:
            return await hear(self.client, self.address, path, body=body, seconds=seconds or self.seconds)
        except TimeoutError:
            self.late = True
            return None

    async def get(self, path: str) -> Reply | None:
        """The reply to a path; requested once."""
        if path not in self.heard:
            self.heard[path] = await self.ask(path)
        return self.heard[path]

    async def get_json(self, path: str) -> dict[str, Any]:
        """The JSON object at a path; empty if there is none."""
        reply = await self.get(path)
        content = reply.json() if reply and reply.ok else None
        return content if isinstance(content, dict) else {}

    async def rows(self, path: str = "/v1/models", *, key: str = "data") -> list[dict[str, Any]] | None:
        """The rows of a model list; None if there is no such list."""
        found = (await self.get_json(path)).get(key)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else None

    def engine(self, name: str, **told: Any) -> Engine:
        """An engine at this address."""
        return Engine(name=name, base_url=f"{self.address.url}/v1", **told)


async def identify(site: Site) -> Engine | None:
    """The engine at an address; None if there is none.

    If a server says nothing within one reply timeout, it is asked nothing more.
    """
    if await site.get("/health") is None:  # no server, or none that speaks HTTP in time
        return None
    for recognise in _ORDER:
        engine = await recognise(site)
        if engine is not None:
            return engine
    return None


async def _foundry_local(site: Site) -> Engine | None:
    """Foundry Local. Checked before anything lists models, because its list comes from an online catalogue.

    Its SDK from version 1 answers `/status` (seen with 2.2.1), the service of version 0 `/openai/status`.
    """
    if {"endpoints", "modelCachePath"} <= (await site.get_json("/status")).keys():
        registered = await _registered(site)
        if registered and (registered.models or not site.catalogues):
            return registered
        note = "Its list of models comes from Microsoft's online catalogue; `--probe` asks it."
        rows = await _slowly(site, "/v1/models") if site.catalogues else None
        if registered and not rows:
            return registered
        return site.engine("Foundry Local", models=_openai(rows or []), note=None if rows else note)
    told = {key.casefold() for key in await site.get_json("/openai/status")}
    if {"endpoints", "modeldirpath"} <= told:
        reply = await site.get("/openai/models")  # a list of the names of downloaded models
        names = reply.json() if reply and reply.ok else None
        named = [{"id": name} for name in names] if isinstance(names, list) else []
        return site.engine("Foundry Local", models=_openai(named))
    return None


async def _registered(site: Site) -> Engine | None:
    """Foundry Local with the models that its user registered: they have a path of their own, and no catalogue is asked.

    Requests for a model that is not loaded are refused, so only loaded ones are listed.
    """
    rows = await site.rows(f"{REGISTERED}/v1/models")
    if not rows:
        return None
    reply = await site.get(f"{REGISTERED}/models/loaded")
    loaded = reply.json() if reply and reply.ok else None
    loaded = loaded if isinstance(loaded, list) else []
    models = _openai([row for row in rows if row.get("id") in loaded])
    note = None if models else "None of its registered models is loaded."
    if note and not site.catalogues:
        note += " `--probe` asks for those of Microsoft's catalogue."
    return Engine(name="Foundry Local", base_url=f"{site.address.url}{REGISTERED}/v1", models=models, note=note)


async def _slowly(site: Site, path: str) -> list[dict[str, Any]] | None:
    reply = await site.ask(path, seconds=15.0)  # offline, it gave up after 5 s
    content = reply.json() if reply and reply.ok else None
    rows = content.get("data") if isinstance(content, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


async def _llama_cpp(site: Site) -> Engine | None:
    """llama.cpp's server. It identifies itself in a header; if it requires a key, it only answers `/health`."""
    health = await site.get("/health")
    props = await site.get_json("/props")
    named = bool(health and health.headers.get("server") == "llama.cpp")
    if not named and not {"default_generation_settings", "total_slots", "chat_template"} <= props.keys():
        return None
    rows = await site.rows()
    if rows is None:
        reply = await site.get("/v1/models")
        return site.engine("llama.cpp", locked=True) if reply and reply.locked else None
    settings = props.get("default_generation_settings")
    window = _number(settings.get("n_ctx")) if isinstance(settings, dict) else None
    window = window if len(rows) == 1 else None  # a router's models have their own windows
    models = [
        ServedModel(
            id=row["id"],
            context_window=window,
            trained_context=_number(_part(row, "meta").get("n_ctx_train")),
            weights_bytes=_bytes(_part(row, "meta").get("size")),
        )
        for row in _named(rows)
    ]
    build = _text(props.get("build_info"))  # "b0-unknown" where it was not built from its own repository
    build = None if build and build.endswith("-unknown") else build
    return site.engine("llama.cpp", version=build, models=tuple(models))


async def _sglang(site: Site) -> Engine | None:
    info = await site.get_json("/get_model_info") or await site.get_json("/model_info")
    if not {"model_path", "is_generation"} <= info.keys():
        return None
    rows = await site.rows()
    if rows is None or not all(row.get("owned_by") == "sglang" for row in rows):
        return None
    told = await site.get_json("/server_info") or await site.get_json("/get_server_info")
    models = _openai(rows, chat=info["is_generation"] is not False)
    return site.engine("SGLang", version=_text(told.get("version")), models=models)


async def _lm_studio(site: Site) -> Engine | None:
    """LM Studio's own API: version 1 since 0.4.0, version 0 since 0.3.6."""
    rows = await site.rows("/api/v1/models", key="models")
    if rows is not None and all({"key", "loaded_instances"} <= row.keys() for row in rows):
        models = [
            ServedModel(
                id=row["id"],
                context_window=_smallest(_part(_part(one), "config").get("context_length") for one in _list(row)),
                trained_context=_number(row.get("max_context_length")),
                weights_bytes=_bytes(row.get("size_bytes")),
                chat=row.get("type") != "embedding",
            )
            for row in _named([row | {"id": row["key"]} for row in rows])
        ]
        return site.engine("LM Studio", models=tuple(models))
    rows = await site.rows("/api/v0/models")
    if rows and all({"state", "compatibility_type"} <= row.keys() for row in rows):
        models = [
            ServedModel(
                id=row["id"],
                context_window=_number(row.get("loaded_context_length")),
                trained_context=_number(row.get("max_context_length")),
                chat=row.get("type") != "embeddings",
            )
            for row in _named(rows)
        ]
        return site.engine("LM Studio", models=tuple(models))
    return None


async def _vllm(site: Site) -> Engine | None:
    version = _text((await site.get_json("/version")).get("version"))
    rows = await site.rows()
    if version is None or not rows or any(row.get("owned_by") != "vllm" for row in rows):
        return None
    return site.engine("vLLM", version=version, models=_openai(rows))


async def _ollama(site: Site) -> Engine | None:
    """Ollama. A model's window is only known once it is loaded, or if its Modelfile sets it."""
    version = _text((await site.get_json("/api/version")).get("version"))
    root = await site.get("/")
    rows = await site.rows("/api/tags", key="models")
    if version is None or rows is None or not root or root.text.strip() != "Ollama is running":
        return None
    loaded = {
        _text(row.get("name")): _number(row.get("context_length"))
        for row in await site.rows("/api/ps", key="models") or ()
    }
    rows = _named([row | {"id": row.get("name")} for row in rows])
    told = await asyncio.gather(*(_shown(site, row["id"]) for row in rows))
    models = [_ollama_model(row, shown, loaded.get(row["id"])) for row, shown in zip(rows, told, strict=True)]
    return site.engine("Ollama", version=version, models=tuple(models))


async def _shown(site: Site, name: str) -> dict[str, Any]:
    reply = await site.ask("/api/show", body={"model": name})
    content = reply.json() if reply and reply.ok else None
    return content if isinstance(content, dict) else {}


def _ollama_model(row: dict[str, Any], shown: dict[str, Any], loaded: int | None) -> ServedModel:
    info = _part(shown, "model_info")
    trained = _number(info.get(f"{info.get('general.architecture')}.context_length"))
    # One parameter per line: `num_ctx                        8192`.
    wanted = re.search(r"^num_ctx\s+(\d{1,9})\s*$", _text(shown.get("parameters"), limit=10_000) or "", re.MULTILINE)
    window = loaded or _smallest((int(wanted[1]), trained) if wanted else ())
    abilities = shown.get("capabilities")
    relays = [told.get(key) for key in ("remote_host", "remote_model") for told in (row, shown)]
    if row["id"].endswith((":cloud", "-cloud")):  # Ollama forwards these, whatever else it says
        relays.append("https://ollama.com")
    return ServedModel(
        id=row["id"],
        context_window=window,
        trained_context=trained,
        weights_bytes=_bytes(row.get("size")),
        chat="completion" in abilities if isinstance(abilities, list) else True,
        relayed_to=next((host for relay in relays if (host := _host(relay))), None),
    )


async def _jan(site: Site) -> Engine | None:
    """Jan. Its API description is readable without the key that everything else requires."""
    title = _text(_part(await site.get_json("/openapi.json"), "info").get("title"))
    if title is None or not title.startswith("Jan API"):
        return None
    rows = await site.rows()
    if rows is None:
        return site.engine("Jan", locked=True)
    return site.engine(
        "Jan",
        models=tuple(
            ServedModel(id=row["id"], relayed_to=None if owner in _OWN else owner)
            for row in _named(rows)
            for owner in [_text(row.get("owned_by")) or ""]
        ),
    )


async def _gpt4all(site: Site) -> Engine | None:
    rows = await site.rows()
    if not rows or any(row.get("owned_by") != "humanity" or "permissions" not in row for row in rows):
        return None
    return site.engine("GPT4All", models=_openai(rows))


async def _openai_compatible(site: Site) -> Engine | None:
    models = _openai(await site.rows() or [])
    return site.engine(UNKNOWN, models=models) if models else None


_ORDER: tuple[Callable[[Site], Awaitable[Engine | None]], ...] = (
    _foundry_local,
    _llama_cpp,
    _sglang,
    _lm_studio,
    _vllm,
    _ollama,
    _jan,
    _gpt4all,
    _openai_compatible,
)


def _openai(rows: list[dict[str, Any]], *, chat: bool = True) -> tuple[ServedModel, ...]:
    """Models in OpenAI's list format, with the context window if the engine adds it."""
    names = ("max_model_len", "context_length", "context_window", "max_context_length")
    return tuple(
        ServedModel(
            id=row["id"], context_window=next((n for name in names if (n := _number(row.get(name)))), None), chat=chat
        )
        for row in _named(rows)
    )


def _named(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with a valid id, without duplicates."""
    return list({row["id"]: row for row in rows if _text(row.get("id"))}.values())[:MOST_MODELS]


def _text(value: Any, *, limit: int = _LONGEST_NAME) -> str | None:
    return value if isinstance(value, str) and value.strip() and len(value) <= limit else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9 else None


def _bytes(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**14 else None


def _smallest(values: Any) -> int | None:
    return min((n for value in values if (n := _number(value))), default=None)


def _part(content: Any, key: str | None = None) -> dict[str, Any]:
    part = content.get(key) if key is not None and isinstance(content, dict) else content
    return part if isinstance(part, dict) else {}


def _list(row: dict[str, Any]) -> list[Any]:
    found = row["loaded_instances"]
    return found if isinstance(found, list) else []


def _host(relay: Any) -> str | None:
    """The host of an address like `https://ollama.com:443`; other text unchanged."""
    text = _text(relay)
    try:
        return text and (urlsplit(text).hostname or text)
    except ValueError:
        return text
