"""Reader: for a question and passages, finds what each passage answers, where, and what kind of answer it is."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from ingest import UserFacingError
from ingest.embed import embedded_model
from ingest.sentences import sentence_spans
from rag.reading.calibration import calibration_of
from rag.reading.readings import Pieces, Reading, Sentence, kind_of, sigmoid, spans_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.reading.calibration import ReaderCalibration

WEIGHTS: Final = Path(__file__).with_name("reader.npz")
LONGEST_PAIR: Final = 320
"""Tokens of question and passage together; the passage is truncated to fit."""
LONGEST_QUESTION: Final = 96
BATCH: Final = 6
"""Passages per forward pass. Each core reads its own batch on one thread, as in the embedder."""


class Reader(Protocol):
    """Reads a question and passages together."""

    @property
    def name(self) -> str:
        """The model's name with a digest of its weights."""

    @property
    def calibration(self) -> ReaderCalibration:
        """What its scores mean."""

    def read(self, question: str, passages: Sequence[str]) -> list[Reading]:
        """One reading per passage, in the same order. Offsets count characters of that passage."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A tokenised question and passage."""

    ids: list[int]
    types: list[int]
    sentence_of: list[int]
    """The sentence number of each token, from 1; 0 for the question and special tokens."""
    offset: int
    """Index of the passage's first token."""
    pieces: Pieces
    sentences: list[tuple[int, int]]
    """The sentences with at least one token in the input, as [start, end)."""


class Encoder:
    """Tokenises pairs with the tokenizer of all-MiniLM-L6-v2. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "[PAD]" in a text is a word like any other
        self._cls, self._sep = (int(ids) for ids in self._tokenizer.encode("").ids)

    def pairs(self, question: str, passages: Sequence[str], *, longest: int = LONGEST_PAIR) -> list[Pair]:
        """Pair the question with each passage."""
        asked = self._tokenizer.encode(question, add_special_tokens=False).ids[:LONGEST_QUESTION]
        encodings = self._tokenizer.encode_batch(list(passages), add_special_tokens=False)
        return [
            self._pair(asked, text, encoding, room=longest - len(asked) - 3)
            for text, encoding in zip(passages, encodings, strict=True)
        ]

    def _pair(self, asked: list[int], text: str, encoding: Any, *, room: int) -> Pair:
        ids, places, words = encoding.ids[:room], encoding.offsets[:room], encoding.word_ids
        sentences, numbers, at = sentence_spans(text), [], 0
        for start, _ in places:
            while at + 1 < len(sentences) and start >= sentences[at + 1][0]:
                at += 1
            numbers.append(at + 1)
        head = [self._cls, *asked, self._sep]
        return Pair(
            ids=[*head, *ids, self._sep],
            types=[0] * len(head) + [1] * (len(ids) + 1),
            sentence_of=[0] * len(head) + numbers + [0],
            offset=len(head),
            pieces=Pieces(
                starts=[start for start, _ in places],
                ends=[end for _, end in places],
                begins_word=[i == 0 or words[i] != words[i - 1] for i in range(len(ids))],
                ends_word=[i + 1 == len(words) or words[i] != words[i + 1] for i in range(len(ids))],
            ),
            sentences=sentences[: numbers[-1]] if numbers else [],
        )


class MiniLMReader:
    """The reader trained by `bench/train_reader.py`. It is loaded at the first question, on any thread.

    Raises:
        UserFacingError: at the first question, if it cannot be loaded, for example because its weights were trained on
            another MiniLM than the installed one.
    """

    def __init__(self, weights: Path = WEIGHTS, *, folder: Path | None = None) -> None:
        self._weights = weights
        self._folder = folder or embedded_model()
        self._lock = threading.Lock()
        n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._workers = ThreadPoolExecutor(n_cores, thread_name_prefix="read")

    @cached_property
    def name(self) -> str:
        """Like "reader@1a2b3c4d"."""
        with self._weights.open("rb") as file:
            return f"reader@{file_digest(file, 'sha256').hexdigest()[:8]}"

    @cached_property
    def calibration(self) -> ReaderCalibration:
        """The calibration shipped with the weights."""
        return calibration_of()

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self._folder)

    @cached_property
    def _network(self) -> Any:
        try:
            return self._load()
        except UserFacingError:
            raise
        except Exception as error:  # a damaged file, in whatever way it shows
            raise UserFacingError(f"The reader cannot be loaded ({self._weights}).", "Install it again.") from error

    def _load(self) -> Any:
        import torch

        from rag.reading.network import ReaderNetwork, digest, load_packed, without_padding

        torch.set_num_threads(1)  # process-wide, as the embedder sets it
        with np.load(self._weights) as arrays, torch.inference_mode():
            if str(arrays["base"]) != digest(self._folder):
                raise UserFacingError(
                    f"The reader's weights do not match the installed all-MiniLM-L6-v2 ({self._weights}).",
                    "Install both again from the same release.",
                )
            network = ReaderNetwork(self._folder)
            load_packed(network, arrays)
        return without_padding(network.eval())

    def read(self, question: str, passages: Sequence[str]) -> list[Reading]:
        """One reading per passage, in the same order."""
        with self._lock:  # load the network once; the tokenizer is not thread-safe
            network = self._network
            pairs = self._encoder.pairs(question, passages)
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i].ids))
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        readings: dict[int, Reading] = {}
        for batch, read in zip(
            batches, self._workers.map(lambda b: readings_of(network, [pairs[i] for i in b]), batches), strict=True
        ):
            readings.update(zip(batch, read, strict=True))
        return [readings[i] for i in range(len(pairs))]


def tensors(pairs: Sequence[Pair]) -> tuple[Any, Any, Any, int]:
    """Ids, types and sentence numbers of a batch, padded to its longest pair, and its largest number of sentences."""
    import torch

    longest = max(len(pair.ids) for pair in pairs)
    rows = np.zeros((3, len(pairs), longest), dtype=np.int64)
    for row, pair in enumerate(pairs):
        n = len(pair.ids)
        rows[0, row, :n], rows[1, row, :n], rows[2, row, :n] = pair.ids, pair.types, pair.sentence_of
    ids, types, sentence_of = torch.from_numpy(rows)
    return ids, types, sentence_of, max(1, *(len(pair.sentences) for pair in pairs))


def readings_of(network: Any, pairs: Sequence[Pair], *, device: str = "cpu") -> list[Reading]:
    """Read a batch of pairs on the calling thread."""
    import torch

    with torch.inference_mode():
        ids, types, sentence_of, most = tensors(pairs)
        scores = network(ids.to(device), types.to(device), sentence_of.to(device), most)
        start, end, relevance, kind, sentences = (part.float().cpu().numpy() for part in scores)
    found = []
    for row, pair in enumerate(pairs):
        inside = np.r_[0, pair.offset : pair.offset + len(pair.pieces.starts)]
        spans, none = spans_of(start[row, inside], end[row, inside], pair.pieces)
        likeliest, probability = kind_of(kind[row])
        found.append(
            Reading(
                relevance=float(relevance[row]),
                spans=spans,
                none=none,
                kind=likeliest,
                kind_probability=probability,
                sentences=tuple(
                    Sentence(*place, probability=sigmoid(float(logit)))
                    for place, logit in zip(pair.sentences, sentences[row], strict=False)
                ),
            )
        )
    return found


def trained_reader(weights: Path = WEIGHTS) -> Reader | None:
    """The reader, or None if its weights are not installed (they are optional)."""
    return MiniLMReader(weights) if weights.is_file() else None
