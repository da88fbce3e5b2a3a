"""Small GGUF files, written by the format's description."""

from __future__ import annotations

import struct


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(values: dict[str, object], *, version: int = 3) -> bytes:
    """A file with these keys and no tensors: ints as 32-bit, texts, lists of ints or of texts."""
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
