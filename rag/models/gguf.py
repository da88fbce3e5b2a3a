"""Read the header of a GGUF file, without its weights.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from rag.errors import ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 20  # bytes of a string, elements of an array; four times a typical vocabulary
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """Values from the header; None if missing."""

    name: str | None
    architecture: str | None
    context_window: int | None
    """Tokens it was trained for."""
    layers: int | None
    kv_heads: int | None
    """Also None if the layers differ."""
    head_size: int | None
    vocabulary: int | None


def read_header(path: Path) -> GgufHeader:
    """Read the header of `path`.

    Raises:
        ModelFileError: the file cannot be read, or is not a GGUF.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise ModelFileError(f"{path.name} is not a GGUF file.", "Choose a model in GGUF format.")
            values = _values(file)
    except OSError as error:
        raise ModelFileError(f"The model file {path} cannot be read.", "Check the path.") from error
    except (struct.error, ValueError, KeyError, OverflowError) as error:
        raise ModelFileError(f"The header of {path.name} is damaged.", "Download the file again.") from error
    kind = values.get("general.architecture")

    def number(key: str) -> int | None:
        value = values.get(f"{kind}.{key}")
        return value if isinstance(value, int) and value > 0 else None

    heads, width = number("attention.head_count"), number("embedding_length")
    tokens = values.get("tokenizer.ggml.tokens")
    return GgufHeader(
        name=values.get("general.name") or None,
        architecture=kind,
        context_window=number("context_length"),
        layers=number("block_count"),
        kv_heads=number("attention.head_count_kv")
        or (heads if f"{kind}.attention.head_count_kv" not in values else None),
        head_size=number("attention.key_length") or (width // heads if width and heads else None),
        vocabulary=number("vocab_size") or (len(tokens) if isinstance(tokens, range) else None),
    )


def _values(file: IO[bytes]) -> dict[str, Any]:
    """All keys with their values; for an array only a range with its length."""
    version, _, n_keys = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3) or n_keys > _MOST_KEYS:
        raise ValueError(version)
    values = {}
    for _ in range(n_keys):
        key = _text(file)
        values[key] = _value(file, *struct.unpack("<I", file.read(4)))
    return values


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        return struct.unpack(f"<{_SCALARS[kind]}", file.read(struct.calcsize(_SCALARS[kind])))[0]
    element, length = struct.unpack("<IQ", file.read(12))
    if length > _LONGEST:
        raise ValueError(length)
    if element == _STRING:
        for _ in range(length):
            (size,) = struct.unpack("<Q", file.read(8))
            file.seek(size, 1)
    else:
        file.seek(length * struct.calcsize(_SCALARS[element]), 1)
    return range(length)


def _text(file: IO[bytes]) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST:
        raise ValueError(length)
    return file.read(length).decode(errors="replace")
