"""A model run in this process by the transformers library: a `ChatModel` without a server. Nothing is downloaded."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import time
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.costs.accounting import Usage
from rag.errors import ContextTooLongError, ModelFileError, ModelReplyError
from rag.models.chat import Completion
from rag.models.replies import ServerTimes
from rag.privacy.destination import ModelCall, locate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from rag.message import Message
    from rag.privacy.permit import Permit

PREFIX = "transformers:"
"""What a setting begins with that names such a model."""

_HERE = "http://127.0.0.1:9/v1"
"""Stands for this process where an address is asked for. Nothing is sent to it."""


class TransformersChatModel:
    """A `ChatModel` over `generate` of a causal language model.

    Only safetensors and GGUF weights are read: other formats can run code when they are opened.

    Args:
        place: a folder saved by transformers, a GGUF file, or the name of a model in the local cache of the hub.
        name: display name.
        threads: CPU threads of PyTorch while it writes; None for all.
    """

    def __init__(self, place: str, *, name: str | None = None, threads: int | None = None) -> None:
        self._place = place
        self._name = name or Path(place).stem
        self._threads = threads
        self._loaded: tuple[Any, Any] | None = None
        self._one = asyncio.Lock()

    @property
    def name(self) -> str:
        """Display name of the model."""
        return f"{self._name} (transformers)"

    @property
    def memory(self) -> int | None:
        """Bytes of its weights in memory; None if it is not loaded."""
        return int(self._loaded[1].get_memory_footprint()) if self._loaded else None

    async def close(self) -> None:
        """Drop the weights; the next call loads them again."""
        self._loaded = None

    async def context_window(self) -> int:
        """Return the positions of its configuration."""
        _, network = await asyncio.to_thread(self._load)
        return int(
            getattr(network.config, "max_position_embeddings", 0) or getattr(network.config, "n_positions", 1024)
        )

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the prompt's tokens, exactly."""
        tokenizer, _ = await asyncio.to_thread(self._load)
        return len(_prompt_ids(tokenizer, messages))

    async def is_here(self) -> bool:
        """Return True: it runs in this process."""
        return True

    async def planned_call(self, *, max_tokens: int, temperature: float = 0.0) -> ModelCall:
        """Where a call would go: nowhere."""
        return ModelCall(await locate(_HERE), self.name, {"max_tokens": max_tokens, "temperature": temperature})

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        permit: Permit | None = None,  # noqa: ARG002 - nothing leaves this process
    ) -> AsyncGenerator[str | Completion, None]:
        """Yield the reply's text in pieces, then one `Completion`; see `ChatModel.stream`. One call at a time."""
        began, held, first = time.monotonic(), 0.0, None
        async with self._one:
            tokenizer, network = await asyncio.to_thread(self._load)
            window = await self.context_window()
            writing = _Writing(
                tokenizer,
                network,
                messages,
                max_tokens=max_tokens,
                temperature=temperature,
                stop=stop,
                threads=self._threads or os.cpu_count() or 1,
            )
            if writing.n_read + max_tokens > window:
                raise ContextTooLongError(
                    f"{writing.n_read} tokens and {max_tokens} of an answer do not fit into {self.name}'s {window}.",
                    "Shorten the question, or choose another model.",
                )
            ready = time.monotonic() - began
            writing.start()
            sent = time.monotonic() - began
            try:
                while (piece := await asyncio.to_thread(next, writing.pieces, None)) is not None:
                    if piece:
                        paused = time.monotonic()
                        first = paused - began if first is None else first
                        yield piece
                        held += time.monotonic() - paused
            finally:
                writing.stopped.set()
                await asyncio.to_thread(writing.thread.join)
        if writing.error:
            raise ModelReplyError(
                f"{self.name} stopped ({type(writing.error).__name__}).", "Choose another model, or a shorter question."
            ) from writing.error
        yield Completion(
            finish_reason="length" if writing.n_written >= max_tokens else "stop",
            usage=Usage(writing.n_read, writing.n_written),
            seconds=time.monotonic() - began - held,
            first_token_seconds=first,
            mean_logprob=None,
            model=self.name,
            ready_seconds=ready,
            sent_seconds=sent,
            server=writing.times(),
        )

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self._loaded = _load(self._place)
        return self._loaded


class _Writing:
    """One reply: `generate` in a thread, its text through a streamer, its own times and counts."""

    def __init__(
        self,
        tokenizer: Any,
        network: Any,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        stop: Sequence[str],
        threads: int,
    ) -> None:
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        ids = torch.tensor([_prompt_ids(tokenizer, messages)])
        self.n_read, self.n_written = ids.shape[1], 0
        self.error: Exception | None = None
        self._threads = threads
        self.stopped = threading.Event()
        self._began = self._first = self._last = 0.0
        ours = self

        class Stopped(StoppingCriteria):  # type: ignore[misc] # untyped
            def __call__(self, *_: Any, **__: Any) -> Any:
                return torch.full((1,), ours.stopped.is_set(), dtype=torch.bool)

        class Streamer(TextIteratorStreamer):  # type: ignore[misc] # untyped
            """Gives each token's text at once; the base class waits for the end of a word, which delays the first."""

            next_tokens_are_prompt: bool
            print_len: int

            def put(self, value: Any) -> None:
                if self.next_tokens_are_prompt:
                    self.next_tokens_are_prompt = False
                    return
                ours.note()
                self.token_cache.extend(value.tolist())
                text = self.tokenizer.decode(self.token_cache, **self.decode_kwargs)
                if text.endswith("\ufffd"):  # part of a character
                    return
                new, self.print_len = text[self.print_len :], len(text)
                self.on_finalized_text(new)

        self._streamer = Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.pieces = iter(self._streamer)
        options: dict[str, Any] = {
            "max_new_tokens": max_tokens,
            "do_sample": temperature > 0,
            "streamer": self._streamer,
            "stopping_criteria": StoppingCriteriaList([Stopped()]),
            "attention_mask": torch.ones_like(ids),
            "pad_token_id": tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        }
        if temperature > 0:
            options["temperature"] = temperature
        if stop:
            options |= {"stop_strings": list(stop), "tokenizer": tokenizer}
        self.thread = threading.Thread(target=self._run, args=(network, ids, options), name="generate", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._began = time.monotonic()
        self.thread.start()

    def note(self) -> None:
        """One more token was written."""
        self.n_written += 1
        self._last = time.monotonic()
        self._first = self._first or self._last

    def times(self) -> ServerTimes:
        """What this thread measured."""
        return ServerTimes(
            reading_seconds=max(0.0, self._first - self._began),
            writing_seconds=max(0.0, self._last - self._first),
            read_tokens=self.n_read,
            cached_tokens=0,
            written_tokens=self.n_written,
        )

    def _run(self, network: Any, ids: Any, options: dict[str, Any]) -> None:
        import torch

        before = torch.get_num_threads()  # the embedder sets 1, for the whole process
        try:
            torch.set_num_threads(self._threads)  # in this thread: others keep what they began with
            network.generate(ids.to(network.device), **options)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller reports it
            self.error = error
        finally:
            torch.set_num_threads(before)
            self._streamer.end()


def _prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The prompt by the model's own template; for a model without one, the bare texts, which it continues."""
    if getattr(tokenizer, "chat_template", None):
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return list(tokenizer("\n\n".join(message["content"] for message in messages))["input_ids"])


def _load(place: str) -> tuple[Any, Any]:
    """The tokenizer and the network.

    Raises:
        ModelFileError: it is not on this machine, or cannot be read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, utils

    logging: Any = utils.logging  # untyped
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    path = Path(place).expanduser()
    options: dict[str, Any] = {"pretrained_model_name_or_path": str(path) if path.exists() else place}
    dense: dict[str, Any] = {"use_safetensors": True}
    if path.is_file():
        options |= {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
        dense = {"quantization_config": GgufConfig(dequantize=True)}
    options |= {"local_files_only": True, "trust_remote_code": False}
    try:
        with redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
            tokenizer: Any = AutoTokenizer.from_pretrained(**options)
            network: Any = AutoModelForCausalLM.from_pretrained(**options, **dense)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelFileError(
            f"The transformers model {place} {'cannot be opened' if path.exists() else 'is not on this machine'} "
            f"({type(error).__name__}).",
            "Give a folder saved by transformers with safetensors weights, or a GGUF file. "
            "Scholion downloads none; `hf download NAME` does.",
        ) from error
    return tokenizer, network.to(torch.float32).eval()
