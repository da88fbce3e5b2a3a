"""The embedded drafter for tests that teach it: read into torch once, and a much shorter one cut from it."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import gguf
import transformers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def read_once(patched: pytest.MonkeyPatch) -> None:
    """Keep what transformers reads from a GGUF file, which takes ten seconds; everybody gets a copy of their own."""
    kept: dict[tuple[str, str, str], Any] = {}
    for kind in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer):
        real = kind.from_pretrained

        def read(*where, kind=kind, real=real, **place):
            if "gguf_file" not in place:
                return real(*where, **place)
            key = (kind.__name__, str(where), place["gguf_file"])
            if key not in kept:
                kept[key] = real(*where, **place)
            return deepcopy(kept[key])

        patched.setattr(kind, "from_pretrained", read)


def cut(model: Path, layers: int, out: Path, *, words: int | None = None) -> Path:
    """The first layers of a GGUF model as one of its own: its words mean nothing, but it learns and is served alike.

    With `words`, it has only the first ones of its vocabulary, so that it is read sooner.
    """
    whole = gguf.GGUFReader(model)
    family = whole.fields["general.architecture"].contents()
    short = gguf.GGUFWriter(out, family)
    for name, field in whole.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = layers if name == f"{family}.block_count" else field.contents()
        if name in {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"}:
            value = value[:words]
        elif name == f"{family}.vocab_size":
            value = words or value
        elif name == "tokenizer.ggml.merges" and words:
            known = set(whole.fields["tokenizer.ggml.tokens"].contents()[:words])
            value = [merge for merge in value if merge.replace(" ", "") in known]
        of = field.types[1] if len(field.types) > 1 else None
        short.add_key_value(name, value, field.types[0], sub_type=of)
    for tensor in whole.tensors:
        block = re.match(r"blk\.(\d+)\.", tensor.name)
        if block is None or int(block[1]) < layers:
            data = tensor.data[:words] if tensor.name == "token_embd.weight" else tensor.data
            short.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    short.write_header_to_file()
    short.write_kv_data_to_file()
    short.write_tensors_to_file()
    short.close()
    return out
