"""From a setting to a usable model: a file or folder served here, or a server. Nothing is started or contacted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from ingest.settings import PROJECT
from rag.errors import ModelTimeoutError, NotAllowedError, UnknownModelError
from rag.models.adapters import shipped_adapter
from rag.models.chat import ChatModel, EndpointChatModel
from rag.models.local import LocalServer
from rag.models.onnx.folder import is_onnx
from rag.models.onnx.server import OnnxServer
from rag.models.registry import load
from rag.models.resolve import KEY_VARIABLE, ModelFile, ModelServer, addresses, resolve
from rag.models.several import SeveralServers
from rag.privacy.destination import Endpoint, is_here
from rag.servers.discovery import served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from rag.models.adapters import Adapters
    from rag.models.registry import ModelCard

SAYING_SECONDS = 20.0
"""Timeout for a local server's information about its models; it may be busy with an answer."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model and what is known about it."""

    model: ChatModel
    server: LocalServer | None = None
    """The process that serves it, if it is ours."""
    card: ModelCard | None = None
    """None if it is in no registry."""
    plain: ChatModel | None = None
    """The same model without its adapters; None if it has none."""
    taught: bool = False
    """Whether the adapter that comes with the embedded drafter is loaded."""
    places: int = 1
    """How many servers it has."""


SHIPPED = "answers"
"""Display name of the adapter that comes with the embedded drafter."""


def open_model(
    setting: str,
    *,
    library: Path,
    context: int | None,
    file_context: int,
    slots: int,
    threads: int | None,
    timeout: float,
    key: str = "",
    adapters: Adapters | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Opened:
    """Open the model named by a setting; see `rag.models.resolve`.

    Args:
        setting: a registry name, the path of a GGUF file or an ONNX folder, or a server's address with the model after
            `#`.
        library: the library's folder, which may have its own `models.json` and contains downloaded models.
        context: context window in tokens, for all slots; None for what the server or the registry says.
        file_context: the context window of a file if `context` is None.
        slots: concurrent answers of a file's server.
        threads: CPU threads of a file's server.
        timeout: seconds to wait for the next piece of an answer.
        key: for a server, if the environment variable named in its entry is not set.
        adapters: the adapter that is switched on is loaded if it was made for the file; without one, the adapter that
            comes with the embedded drafter. None: the model as it is.
        extra: for a server, further parameters of each request that stays on this machine.

    Raises:
        UserFacingError: there is no such model, or it is not on this machine yet.
    """
    if len(each := addresses(setting)) > 1:
        return _several(each, library=library, context=context, timeout=timeout, key=key, extra=extra)
    found = resolve(setting, registry=load(library), library=library)
    if isinstance(found, ModelFile):
        # at most what the model was trained for
        most = slots * found.context_window if found.context_window else context or file_context
        if is_onnx(found.path):  # an adapter would have to be converted with the model
            adapters = None
        adapter = adapters.on_for(found.path) if adapters else None
        shipped = shipped_adapter(found.path) if adapters else None
        loaded = adapter.served_with(found.path) if adapter else (shipped,) if shipped else ()
        server = server_for(
            found, context=min(context or file_context, most), slots=slots, threads=threads, adapters=loaded
        )
        name = f"{server.name} + {adapter.name if adapter else SHIPPED}" if loaded else server.name
        model = EndpointChatModel(server.connect, name=name, timeout=timeout)
        without = {"lora": [{"id": i, "scale": 0.0} for i in range(len(loaded))]}  # asks llama.cpp to leave them out
        plain = EndpointChatModel(server.connect, name=server.name, timeout=timeout, extra=without)
        return Opened(model, server, found.card, plain if loaded else None, taught=shipped in loaded)
    endpoint = _endpoint(found, context=context, key=key)
    model = EndpointChatModel(_not_passed_on(endpoint), name=endpoint.model, timeout=timeout, extra=extra)
    return Opened(model, None, found.card)


def _several(
    each: Sequence[str],
    *,
    library: Path,
    context: int | None,
    timeout: float,
    key: str,
    extra: Mapping[str, Any] | None,
) -> Opened:
    """The same model on several servers; which models they are is for whoever lists them to see to."""
    models, names, registry = [], [], load(library)
    for address in each:
        found = resolve(address, registry=registry, library=library)
        assert isinstance(found, ModelServer)
        endpoint = _endpoint(found, context=context, key=key)
        name = f"{endpoint.model} at {urlsplit(endpoint.base_url).netloc}"
        models.append(EndpointChatModel(_not_passed_on(endpoint), name=name, timeout=timeout, extra=extra))
        names.append(endpoint.model)
    return Opened(SeveralServers(models, name=" / ".join(dict.fromkeys(names))), places=len(models))


def _endpoint(found: ModelServer, *, context: int | None, key: str) -> Endpoint:
    if found.model is None:
        raise UnknownModelError(
            f"Which model at {found.base_url} should be used?",
            f"Add its name to the address: {found.base_url}#NAME. `python -m rag discover` lists the names.",
        )
    variable = found.key_variable
    named = _key(variable) if variable and variable != KEY_VARIABLE else ""
    return Endpoint(found.base_url, found.model, named or (key if variable else ""), context or found.context_window)


def server_for(
    found: ModelFile, *, context: int, slots: int, threads: int | None, adapters: Sequence[Path] = ()
) -> LocalServer:
    """The server for a file or folder, not started; see `LocalServer` for the arguments."""
    if is_onnx(found.path):
        return OnnxServer(found.path, context=context, slots=slots, threads=threads)
    return LocalServer(found.path, context=context, slots=slots, threads=threads, adapters=adapters)


def _key(variable: str) -> str:
    """The variable's value from the environment or Scholion's `.env`; empty if it is in neither."""
    return os.environ.get(variable) or dotenv_values(PROJECT / ".env", interpolate=False).get(variable) or ""


def _not_passed_on(endpoint: Endpoint) -> Callable[[], Awaitable[Endpoint]]:
    """The `connect` of a server. It refuses a model that a local server forwards to another machine."""
    known = False

    async def connect() -> Endpoint:
        nonlocal known
        if not known and await is_here(endpoint.base_url):
            try:
                served_here = await served(endpoint.base_url, model=endpoint.model, seconds=SAYING_SECONDS)
            except TimeoutError as error:  # the model may be one that is forwarded
                raise ModelTimeoutError(
                    f"{endpoint.base_url} did not say in time whether {endpoint.model} runs here.",
                    "No question was sent to it. Ask again when it is less busy.",
                ) from error
            if served_here and served_here.relayed_to:
                raise NotAllowedError(
                    f"{endpoint.model} does not run here: its server passes questions on to {served_here.relayed_to}.",
                    "Choose a model that runs here, or set its provider's own address; then you are asked first.",
                )
            known = served_here is not None
        return endpoint

    return connect
