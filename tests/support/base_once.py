"""Read the embedded drafter's weights into torch only once per test run, because it takes ten seconds each time. The
first time is the real one."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import transformers

if TYPE_CHECKING:
    import pytest


def read_once(patched: pytest.MonkeyPatch) -> None:
    """Keep what transformers reads from a GGUF file; everybody gets a copy of their own."""
    kept: dict[tuple[str, str], Any] = {}
    for kind in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer):
        real = kind.from_pretrained

        def read(*where, kind=kind, real=real, **place):
            if "gguf_file" not in place:
                return real(*where, **place)
            key = (kind.__name__, place["gguf_file"])
            if key not in kept:
                kept[key] = real(*where, **place)
            return deepcopy(kept[key])

        patched.setattr(kind, "from_pretrained", read)
