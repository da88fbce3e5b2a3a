"""Write text with ONNX Runtime GenAI: prompt, tokens, sampling, log-probabilities, stop texts. Runs in the child only.

onnxruntime-genai holds Python's global lock while it computes, so a prompt is read in pieces of `READ_AT_ONCE` tokens:
between two of them the server can answer, and a reader that has left is noticed.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.models.onnx.folder import provider_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

READ_AT_ONCE = 128
"""Prompt tokens in one piece."""

TOP_K, TOP_P = 40, 0.95
"""llama.cpp's defaults for sampling."""


class TooLongError(ValueError):
    """The prompt does not fit into the context window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The parameters of one request."""

    max_tokens: int
    temperature: float = 0.0
    top_k: int = TOP_K
    top_p: float = TOP_P
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    """Alternatives reported with each token; None for no log-probabilities at all."""
    from_cache: bool = True
    """Whether the part of the prompt that the slot has read before may be left out."""


@dataclass(slots=True)
class Piece:
    """Some text, perhaps empty, with the tokens it comes from."""

    text: str = ""
    tokens: list[dict[str, Any]] = field(default_factory=list)
    """As in the `logprobs` of the OpenAI API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a reply ended; always the last piece."""

    finish_reason: str
    n_read: int
    n_cached: int
    n_written: int
    reading_seconds: float
    writing_seconds: float


class Slot:
    """One answer's place: a key-value cache, and the tokens in it."""

    def __init__(self, number: int, generator: Any) -> None:
        self.number = number
        self.generator = generator
        self.ids: list[int] = []
        self.busy = False
        self.n_written = 0

    def shared(self, ids: Sequence[int]) -> int:
        """How many tokens of the prompt it has read already. At least one is always left to read."""
        same = next((i for i, (a, b) in enumerate(zip(self.ids, ids, strict=False)) if a != b), None)
        return min(min(len(self.ids), len(ids)) if same is None else same, len(ids) - 1)


class Writer:
    """A loaded model.

    Args:
        path: the ONNX folder.
        window: tokens of each slot's context.
        slots: concurrent answers.
        threads: CPU threads; None for all cores.
        optimised: whether ONNX Runtime may rewrite the graph; False is only for measuring what that gains.
    """

    def __init__(
        self, path: Path, *, window: int, slots: int = 1, threads: int | None = None, optimised: bool = True
    ) -> None:
        import onnxruntime_genai

        session: dict[str, Any] = {"session.intra_op.allow_spinning": "0"}  # waiting threads would burn their core
        if threads:
            session["intra_op_num_threads"] = threads
        if not optimised:
            session["graph_optimization_level"] = "ORT_DISABLE_ALL"
        config = onnxruntime_genai.Config(str(path))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
        self._model: Any = onnxruntime_genai.Model(config)
        self._tokenizer: Any = onnxruntime_genai.Tokenizer(self._model)
        self._tokenizer.update_options(add_special_tokens="false")  # the template has them
        self._ends = {int(token) for token in self._tokenizer.eos_token_ids}
        self.window = window
        self.provider = provider_in_words(str(self._model.device_type))
        options = onnxruntime_genai.GeneratorParams(self._model)
        options.set_search_options(max_length=window, do_sample=False, batch_size=1)
        # A generator allocates its whole cache at once.
        self.slots = [Slot(n, onnxruntime_genai.Generator(self._model, options)) for n in range(slots)]

    def prompt(self, messages: Sequence[dict[str, Any]]) -> str:
        """The messages by the model's own chat template."""
        return str(self._tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True))

    def encode(self, text: str) -> list[int]:
        """The text's tokens. A special token's text becomes that token, as in llama.cpp."""
        return [int(token) for token in self._tokenizer.encode(text)]

    def logits(self, ids: Sequence[int]) -> np.ndarray[Any, Any]:
        """The logits after the last of these tokens, as float32; for checks."""
        slot = self.slots[0]
        self._read(slot, ids, keep=0)
        return self._logits(slot)

    def greedy(self, ids: Sequence[int], most: int) -> list[int]:
        """The likeliest continuation, at most so many tokens, without the one that ends it; for checks."""
        slot, found = self.slots[0], list[int]()
        self._read(slot, ids, keep=0)
        while len(found) < most and (token := int(self._logits(slot).argmax())) not in self._ends:
            found.append(token)
            self._read(slot, [*slot.ids, token], keep=len(slot.ids))
        return found

    def write(  # noqa: C901 - one answer
        self, slot: Slot, ids: Sequence[int], wanted: Wanted, *, stopped: Callable[[], bool]
    ) -> Iterator[Piece | End]:
        """Continue the tokens; the last piece is the `End`, unless `stopped` said so before.

        Raises:
            TooLongError: the prompt does not fit.
        """
        if len(ids) >= self.window:
            raise TooLongError(
                f"the request ({len(ids)} tokens) exceeds the available context size ({self.window} tokens)"
            )
        began = time.monotonic()
        cached = slot.shared(ids) if wanted.from_cache else 0
        for _ in self._reading(slot, ids, keep=cached):
            if stopped():
                return
            yield Piece()
        read = time.monotonic()
        most = min(wanted.max_tokens, self.window - len(ids))
        text, waiting = _Text(wanted.stop), Piece()
        stream = self._tokenizer.create_stream()
        dice = np.random.default_rng(wanted.seed)
        slot.n_written, reason = 0, "length"
        while slot.n_written < most:
            if stopped():
                return
            scores = self._logits(slot)
            token = _chosen(scores, wanted, dice)
            slot.n_written += 1
            if token in self._ends:
                reason = "stop"
                break
            said = stream.decode(token)
            if wanted.logprobs is not None:
                waiting.tokens.append(self._told(token, said, scores, wanted.logprobs))
            waiting.text += text.feed(said)
            if text.ended:
                reason = "stop"
                break
            if waiting.text:
                yield waiting
                waiting = Piece()
            if slot.n_written < most:
                slot.generator.append_tokens([token])
                slot.ids.append(token)
        waiting.text += text.rest()
        yield waiting
        yield End(
            finish_reason=reason,
            n_read=len(ids),
            n_cached=cached,
            n_written=slot.n_written,
            reading_seconds=read - began,
            writing_seconds=time.monotonic() - read,
        )

    def _read(self, slot: Slot, ids: Sequence[int], *, keep: int) -> None:
        for _ in self._reading(slot, ids, keep=keep):
            pass

    def _reading(self, slot: Slot, ids: Sequence[int], *, keep: int) -> Iterator[None]:
        """Read the tokens after the first `keep`, which the slot has read already; yields after each piece."""
        if keep < len(slot.ids):
            slot.generator.rewind_to(keep)
            del slot.ids[keep:]
        for start in range(keep, len(ids), READ_AT_ONCE):
            some = list(ids[start : start + READ_AT_ONCE])
            slot.generator.append_tokens(np.asarray(some, dtype=np.int32))
            slot.ids += some
            yield

    @staticmethod
    def _logits(slot: Slot) -> np.ndarray[Any, Any]:
        return np.asarray(slot.generator.get_logits()[0, -1], dtype=np.float32)

    def _told(self, token: int, said: str, scores: np.ndarray[Any, Any], top: int) -> dict[str, Any]:
        """A token with its log-probability and the likeliest alternatives, as in the OpenAI API."""
        total = float(np.logaddexp.reduce(scores.astype(np.float64)))
        best = np.argsort(scores)[::-1][:top] if top > 1 else [int(scores.argmax())] if top else []
        return {
            "token": said,
            "logprob": float(scores[token]) - total,
            "bytes": list(said.encode()),
            "top_logprobs": [
                {
                    "token": (name := self._tokenizer.decode(np.asarray([i], dtype=np.int32))),
                    "logprob": float(scores[i]) - total,
                    "bytes": list(name.encode()),
                }
                for i in best
            ],
        }


def _chosen(scores: np.ndarray[Any, Any], wanted: Wanted, dice: np.random.Generator) -> int:
    """The next token: the likeliest at temperature 0, else drawn from the top k that make up top p."""
    if wanted.temperature <= 0:
        return int(scores.argmax())
    k = min(wanted.top_k or len(scores), len(scores))
    best = np.argpartition(scores, -k)[-k:]
    best = best[np.argsort(scores[best])[::-1]]
    shifted = scores[best].astype(np.float64) / wanted.temperature
    shares = np.exp(shifted - shifted.max())
    shares /= shares.sum()
    kept = max(1, int(np.searchsorted(np.cumsum(shares), wanted.top_p)) + 1)
    return int(dice.choice(best[:kept], p=shares[:kept] / math.fsum(shares[:kept])))


class _Text:
    """Holds back what may be the beginning of a stop text."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [text for text in stop if text]
        self._held = ""
        self.ended = False

    def feed(self, said: str) -> str:
        """The text that may be shown now."""
        if not self._stop:
            return said
        self._held += said
        found = [at for text in self._stop if (at := self._held.find(text)) >= 0]
        if found:
            self.ended = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        keep = max(
            (n for text in self._stop for n in range(len(text) - 1, 0, -1) if self._held.endswith(text[:n])), default=0
        )
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def rest(self) -> str:
        """What was held back and was no stop text after all."""
        return self._held
