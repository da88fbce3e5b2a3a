"""Read what is to be converted, without its weights: family, size, licence; whatever is wrong gets one sentence."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rag.errors import ModelFileError
from rag.models.gguf import read_header
from rag.models.onnx.folder import is_onnx

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rag.models.gguf import GgufHeader

FAMILIES: Final = ("llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")
"""transformers' names of the families that can be converted: Llama, SmolLM2, Mistral, Phi-3 to Phi-4-mini, Qwen."""

_IN_GGUF: Final = {"llama": "llama", "mistral": "mistral", "phi3": "phi3", "qwen2": "qwen2", "qwen3": "qwen3"}
"""llama.cpp's names of a family → transformers'."""

_MOST = 100 << 20  # bytes of a JSON file or of a safetensors header; that of a 70B model has 80 kB
_HINT: Final = "Download the model again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model that can be converted."""

    path: Path
    name: str
    family: str
    parameters: int
    embedding: int
    """How many of them are in the table of word vectors."""
    tied: bool
    """Whether the same table is used for the output."""
    context_window: int | None
    licence: str | None
    """As the source states it; None if it does not."""
    files: tuple[Path, ...]
    """The weights."""

    @property
    def is_gguf(self) -> bool:
        """Whether it is one file in llama.cpp's format."""
        return self.path.is_file()

    @property
    def n_bytes(self) -> int:
        """Size of its weights."""
        return sum(file.stat().st_size for file in self.files)


def read_source(path: Path) -> Source:
    """Read a GGUF file, or a folder saved by transformers.

    Raises:
        ModelFileError: it cannot be converted; the message says why.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise ModelFileError(
            f"There is no model at {path}.", "Give a Hugging Face folder, a GGUF file, or a name from `rag models`."
        )
    return _gguf(path)


def _folder(path: Path) -> Source:
    if is_onnx(path):
        raise ModelFileError(f"{path.name} is in ONNX already.", f"To use it: SCHOLION_DRAFTER={path}")
    config = _json(path / "config.json")
    family = config.get("model_type")
    if family not in FAMILIES:
        raise _other_family(path.name, str(family or "unknown"))
    if config.get("quantization_config"):
        raise ModelFileError(
            f"{path.name} is quantised already, and its weights cannot be read again.",
            "Convert the original model, or a GGUF file of it.",
        )
    files = _weights(path)
    shapes = {name: shape for file in files for name, shape in _shapes(file).items()}
    _check_tokenizer(path)
    vocabulary, width = config.get("vocab_size"), config.get("hidden_size")
    embedding = vocabulary * width if isinstance(vocabulary, int) and isinstance(width, int) else 0
    window = config.get("max_position_embeddings")
    return Source(
        path=path,
        name=path.name,
        family=str(family),
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        embedding=embedding,
        tied=not any("lm_head" in name for name in shapes),
        context_window=window if isinstance(window, int) else None,
        licence=_stated_licence(path / "README.md"),
        files=tuple(files),
    )


def _weights(path: Path) -> list[Path]:
    """The safetensors files; all that an index names must be there."""
    index = path / "model.safetensors.index.json"
    if index.is_file():
        parts = _json(index).get("weight_map")
        names = sorted({str(name) for name in parts.values()}) if isinstance(parts, dict) else []
        found = [path / name for name in names if "/" not in name and "\\" not in name]
        if lost := next((file for file in found if not file.is_file()), None):
            raise ModelFileError(f"{path.name} is incomplete: {lost.name} is missing.", _HINT)
    else:
        found = sorted(path.glob("*.safetensors"))
    if found:
        return found
    if any(path.glob("*.bin")):
        raise ModelFileError(
            f"{path.name} has its weights only in a format that can run code when it is opened (.bin).",
            "Download the version with safetensors weights.",
        )
    raise ModelFileError(f"{path.name} has no weights: there is no safetensors file.", _HINT)


def _shapes(file: Path) -> dict[str, list[int]]:
    """The tensors of a safetensors file; its size must be what its header says."""
    try:
        with file.open("rb") as opened:
            (size,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(min(size, _MOST)))
        tensors = {name: told for name, told in header.items() if name != "__metadata__"}
        shapes = {name: [int(n) for n in told["shape"]] for name, told in tensors.items()}
        end = max((int(told["data_offsets"][1]) for told in tensors.values()), default=0)
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, LookupError) as error:
        raise ModelFileError(f"{file.name} is damaged: its header cannot be read.", _HINT) from error
    if not shapes or file.stat().st_size < 8 + size + end:
        raise ModelFileError(f"{file.name} is damaged: its end is missing.", _HINT)
    return shapes


def _check_tokenizer(path: Path) -> None:
    if not (path / "tokenizer.json").is_file():
        raise ModelFileError(f"{path.name} has no tokenizer: tokenizer.json is missing.", _HINT)
    _json(path / "tokenizer.json")
    config = _json(path / "tokenizer_config.json") if (path / "tokenizer_config.json").is_file() else {}
    if not config.get("chat_template") and not (path / "chat_template.jinja").is_file():
        raise _no_template(path.name)


def _gguf(path: Path) -> Source:
    header = read_header(path)
    family = _IN_GGUF.get(header.architecture or "")
    if family is None:
        raise _other_family(path.name, header.architecture or "unknown")
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        shapes = {tensor.name: [int(n) for n in tensor.shape] for tensor in reader.tensors}
        fields = {name: field.contents() for name, field in reader.fields.items() if _is_told(name)}
    except (OSError, ValueError, KeyError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path.name} is damaged: its weights cannot be read.", _HINT) from error
    if header.vocabulary is None or "tokenizer.ggml.model" not in fields:
        raise ModelFileError(f"{path.name} has no tokenizer.", "Choose a complete GGUF file of this model.")
    if not fields.get("tokenizer.chat_template"):
        raise _no_template(path.name)
    if _is_scaled(header, shapes, fields):
        raise ModelFileError(
            f"{path.name} scales its positions, which would be lost.",
            "Convert the model's Hugging Face folder instead.",
        )
    licence = fields.get("general.license")
    if licence == "other":
        licence = fields.get("general.license.name")
    return Source(
        path=path,
        name=re.sub(r"[.-](?:I?Q|B?F|MXFP)\d\w*$", "", path.stem, flags=re.IGNORECASE),
        family=family,
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        embedding=math.prod(shapes.get("token_embd.weight", [0])),
        tied="output.weight" not in shapes,
        context_window=header.context_window,
        licence=licence if isinstance(licence, str) and licence else None,
        files=(path,),
    )


def _is_told(name: str) -> bool:
    told = {"general.license", "general.license.name", "tokenizer.ggml.model", "tokenizer.chat_template"}
    return name in told or ".rope." in name


def _is_scaled(header: GgufHeader, tensors: Iterable[str], fields: Mapping[str, Any]) -> bool:
    """Whether the rotary embedding is more than a base: transformers does not read that from a GGUF file."""
    rope = f"{header.architecture}.rope."
    factor = fields.get(f"{rope}scaling.factor", fields.get(f"{rope}scale_linear", 1))
    kind = fields.get(f"{rope}scaling.type", "none" if factor in (0, 1) else "linear")  # llama.cpp's default
    return (
        any(name.startswith(("rope_freqs", "rope_factors_")) for name in tensors)
        or kind != "none"
        or fields.get(f"{rope}dimension_count", header.head_size) != header.head_size
    )


def _stated_licence(readme: Path) -> str | None:
    """The licence in the first lines of a model card."""
    try:
        text = readme.read_text(encoding="utf-8")[:20_000]
    except (OSError, UnicodeDecodeError):
        return None
    head = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    if not head:
        return None
    told = dict(re.findall(r"^(license|license_name):[ \t]*[\"']?([\w.+-]+)", head[1], re.MULTILINE))
    return told.get("license_name") if told.get("license") == "other" else told.get("license")


def _json(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MOST:
            raise ValueError(file.name)  # noqa: TRY301 - told like any other fault below
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(
            f"{file.parent.name} is not a model's folder: {file.name} is missing.",
            "Give a folder saved by transformers, or a GGUF file.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{file.name} in {file.parent.name} is damaged.", _HINT) from error
    if not isinstance(told, dict):
        raise ModelFileError(f"{file.name} in {file.parent.name} is damaged.", _HINT)
    return told


def _other_family(name: str, family: str) -> ModelFileError:
    return ModelFileError(
        f"{name} is of the family {family}, which cannot be converted.", f"Possible: {_and(FAMILIES)}."
    )


def _no_template(name: str) -> ModelFileError:
    return ModelFileError(
        f"{name} has no chat template, so it cannot be asked questions.", "Choose the instruct or chat version of it."
    )


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"
