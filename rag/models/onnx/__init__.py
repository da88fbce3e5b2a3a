"""Models in ONNX: convert one, and serve it with ONNX Runtime GenAI. Needs the `onnx` extra; see docs/onnx.md."""

from __future__ import annotations

import importlib.util

INSTALL = "Install the ONNX engine with `make onnx` (about 21 MB); see docs/onnx.md."
"""What to do if an engine's package is missing."""


def missing(*packages: str) -> list[str]:
    """Which of the packages are not installed. Nothing is imported."""
    return [name for name in packages if importlib.util.find_spec(name) is None]
