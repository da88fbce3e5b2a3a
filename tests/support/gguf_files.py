"""Small GGUF files, written from the format's specification."""

from __future__ import annotations

import struct


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(values: dict[str, object], *, version: int = 3) -> bytes:
    """A file with these keys and no tensors: 32-bit ints, strings, lists of ints or of strings."""
    out = b"GGUF" + struct.pack("<IQQ", version, 0, len(values))
    for key, value in values.items():
        out += text(key)
        match value:
            case str():
                out += struct.pack("<I", 8) + text(value)
            case int():
                out += struct.pack("<II", 4, value)
            case [str(), *_]:
                out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
            case [int(), *_]:
                out += struct.pack("<IIQ", 9, 4, len(value)) + struct.pack(f"<{len(value)}I", *value)
    return out


QWEN = {
    "general.architecture": "qwen2",
    "general.name": "A Small Qwen",
    "qwen2.context_length": 32768,
    "qwen2.block_count": 28,
    "qwen2.embedding_length": 3584,
    "qwen2.attention.head_count": 28,
    "qwen2.attention.head_count_kv": 4,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}
