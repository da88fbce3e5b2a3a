"""Read an ONNX folder's description, without its weights; find the folders in a library.

The format is that of onnxruntime-genai: `genai_config.json`, the graph with its weights, and the tokenizer. Foundry
Local reads the same folders if they also contain `inference_model.json`. Ours add `card.json`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rag.errors import ModelFileError

CONFIG: Final = "genai_config.json"
FOUNDRY: Final = "inference_model.json"
"""The model's name and prompt, for Foundry Local; without this file it does not list the folder."""
CARD: Final = "card.json"
"""Where the model comes from, its licence, its files' checksums, and how it was checked."""

PLACE: Final = Path("models") / "onnx"
"""Inside the library's folder: the root of a Foundry Local cache, with one folder for each publisher."""
PUBLISHER: Final = "local"

PROVIDERS: Final = {
    "cpu": "CPU",
    "cuda": "CUDA",
    "dml": "DirectML",
    "webgpu": "WebGPU",
    "openvino": "OpenVINO",
    "qnn": "QNN",
    "nvtensorrtrtx": "TensorRT RTX",
}
"""onnxruntime-genai's names of execution providers, in lower case → how we write them."""

SHORT: Final = 4096
"""Tokens after which Phi-3 counts positions in another way, which reading in pieces gets wrong."""

_MOST = 1 << 22  # bytes of a configuration; a large one has a few thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxHeader:
    """What a folder says about its model; None if it does not."""

    name: str
    """The source's name, else the folder's."""
    precision: str | None
    family: str | None
    context_window: int | None
    """Tokens it was trained for."""
    provider: str
    """The execution provider it was made for: "CPU", "CUDA", …"""
    licence: str | None
    n_bytes: int
    """Total size of the folder's files."""

    @property
    def label(self) -> str:
        """Name and precision: "SmolLM2-135M-Instruct int4"."""
        return f"{self.name} {self.precision}" if self.precision else self.name


def is_onnx(path: Path) -> bool:
    """Whether this is a folder for onnxruntime-genai."""
    return (path / CONFIG).is_file()


def provider_in_words(name: str) -> str:
    """The provider's name as we write it."""
    return PROVIDERS.get(name.lower(), name)


def read_folder(path: Path) -> OnnxHeader:
    """Read the description of the model in this folder.

    Raises:
        ModelFileError: it is not an ONNX folder, or parts are missing or damaged.
    """
    config = _json(path / CONFIG, path)
    try:
        model = config["model"]
        decoder = model["decoder"]
        graph = path / decoder["filename"]
        chosen = [str(name) for entry in decoder["session_options"].get("provider_options", ()) for name in entry]
        window = model.get("context_length")
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, CONFIG) from error
    for part in (graph, path / "tokenizer.json"):
        if not part.is_file():
            raise ModelFileError(f"{path.name} is incomplete: {part.name} is missing.", "Convert the model again.")
    if (
        model.get("type") == "phi3"
    ):  # the graph chooses its positions anew for a longer text, but not those in the cache
        window = min(window, SHORT) if isinstance(window, int) else SHORT
    card = _json(path / CARD, path) if (path / CARD).is_file() else {}
    foundry = _json(path / FOUNDRY, path) if (path / FOUNDRY).is_file() else {}

    def told(key: str) -> str | None:
        value = card.get(key)
        return value if isinstance(value, str) and value else None

    named = foundry.get("Name")
    return OnnxHeader(
        name=told("name") or (named if isinstance(named, str) and named else path.name),
        precision=told("precision"),
        family=model.get("type") if isinstance(model.get("type"), str) else None,
        context_window=window if isinstance(window, int) and window > 0 else None,
        provider=provider_in_words(chosen[0]) if chosen else "CPU",
        licence=told("licence"),
        n_bytes=sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
    )


def converted(library: Path) -> list[Path]:
    """The ONNX folders in the library, by name. Unfinished ones begin with a dot and are left out."""
    root = library / PLACE
    found = (config.parent for pattern in ("*/", "*/*/") for config in root.absolute().glob(pattern + CONFIG))
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: path.name.lower())


def named(name: str, library: Path) -> Path | None:
    """The converted model with this name; None if there is none."""
    if not re.fullmatch(r"[\w.+-]+", name):
        return None
    return next((path for path in converted(library) if path.name == name), None)


def _json(file: Path, folder: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            told = json.loads(opened.read(_MOST))
    except OSError as error:
        raise ModelFileError(
            f"{folder.name} is not an ONNX folder: {file.name} cannot be read.",
            "Give a folder made by `python -m rag models convert`.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, file.name) from error
    if not isinstance(told, dict):
        raise _damaged(folder, file.name)
    return told


def _damaged(folder: Path, file: str) -> ModelFileError:
    return ModelFileError(f"{file} in {folder.name} is damaged.", "Convert the model again.")
