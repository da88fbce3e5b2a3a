"""Train a low-rank adapter for a language model, and write it as a GGUF file that llama.cpp can serve.

LoRA (Hu et al. 2021) adds the product of two thin matrices to each chosen weight matrix, and trains only these. The
base model is read from a GGUF file (dequantised) or from a Hugging Face folder. The loss covers only answer tokens.
"""

from __future__ import annotations

import math
import os
import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rag.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rag.adapt.recipe import Recipe
    from rag.message import Message

FAMILIES: Final = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""transformers' name of a model family → llama.cpp's. All have the seven projections of `rag.adapt.recipe`."""

_IN_GGUF: Final = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the answer to learn."""

    messages: tuple[Message, ...]
    """Empty if the answer is plain text from the field."""
    answer: str
    """Empty if there is nothing to learn."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean loss per answer token in nats, on the training examples and on those held out."""

    learned: float | None
    """None before training."""
    held_out: float | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenised example."""

    ids: tuple[int, ...]
    begins: int
    """Index of the answer's first token."""


def without_noise() -> None:
    """Keep transformers' progress bars and hints off the terminal."""
    from transformers import utils

    logging: Any = utils.logging  # untyped
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def lora_config(recipe: Recipe) -> Any:
    """The recipe as a peft config."""
    from peft import LoraConfig

    targets = list(recipe.targets)
    return LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=targets, task_type="CAUSAL_LM")


class Learner:
    """A base model with a trainable adapter, which changes nothing at first.

    Args:
        base: a GGUF file, or a folder saved by transformers.
        recipe: hyperparameters.
        below: the GGUF file of an adapter that is added to the base first; the new one learns on top of it.
        device: a torch device name.

    Raises:
        ModelFileError: the base cannot be read or belongs to an unknown family.
    """

    def __init__(self, base: Path, recipe: Recipe, *, below: Path | None = None, device: str = "cpu") -> None:
        import torch
        from peft import get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        from ingest.bert import multiplies_bf16

        without_noise()

        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        place: dict[str, Any] = {"pretrained_model_name_or_path": str(base), "local_files_only": True}
        dense: dict[str, Any] = {}
        if base.is_file():
            place |= {"pretrained_model_name_or_path": str(base.parent), "gguf_file": base.name}
            dense = {"quantization_config": GgufConfig(dequantize=True)}
        kind = torch.bfloat16 if device != "cpu" or multiplies_bf16() else torch.float32
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(**place)
            network: Any = AutoModelForCausalLM.from_pretrained(**place, **dense)
            network = network.to(device, kind)
        except (OSError, ValueError, KeyError) as error:
            raise ModelFileError(
                f"{base.name} cannot be trained ({type(error).__name__}).",
                "Choose a GGUF file of the Llama family, or a folder saved by Hugging Face transformers.",
            ) from error
        if network.config.model_type not in FAMILIES:
            raise ModelFileError(
                f"{base.name} belongs to the {network.config.model_type} family, which cannot be trained here.",
                f"Choose a model of {', '.join(FAMILIES)}.",
            )
        if below:
            _add(below, network)
        self.network: Any = get_peft_model(network, lora_config(recipe), autocast_adapter_dtype=False)
        self.shape = network.config
        self.device = device
        self._working = [(name, p) for name, p in self.network.named_parameters() if p.requires_grad]
        self.masters = [p.detach().clone().float() for _, p in self._working]  # fp32: bf16 would lose small steps
        torch.set_num_threads(1)  # each of our threads handles one example
        n_threads = os.cpu_count() or 1 if device == "cpu" else 1
        self._workers = ThreadPoolExecutor(n_threads, thread_name_prefix="learn")

    def encoded(self, example: Example) -> Encoded | None:
        """Tokenise an example with the server's chat template; None if it is too long."""
        if not example.messages:
            text = self._tokenizer(example.answer, add_special_tokens=False).input_ids[: self.recipe.longest]
            return Encoded(tuple(text), 1) if len(text) > 1 else None
        ids = self._tokenizer(self._prompt(example.messages), add_special_tokens=False).input_ids
        answer = self._tokenizer(example.answer, add_special_tokens=False).input_ids
        whole = (*ids, *answer, self._tokenizer.eos_token_id)
        return Encoded(whole, len(ids)) if len(whole) <= self.recipe.longest else None

    def _prompt(self, messages: Sequence[Message]) -> str:
        given = [dict(message) for message in messages]
        return str(self._tokenizer.apply_chat_template(given, add_generation_prompt=True, tokenize=False))

    def answer(self, messages: Sequence[Message], *, tokens: int) -> str:
        """What the model writes at temperature 0 with the current adapter."""
        import torch

        given = self._tokenizer(self._prompt(messages), add_special_tokens=False, return_tensors="pt")
        given = given.to(self.device)
        with torch.inference_mode():
            ids = self.network.generate(**given, max_new_tokens=tokens, do_sample=False)
        return str(self._tokenizer.decode(ids[0, given.input_ids.shape[1] :], skip_special_tokens=True)).strip()

    def learn(
        self,
        examples: Sequence[Encoded],
        held_out: Sequence[Encoded],
        *,
        tell: Callable[[int, int, float], None] = lambda *_: None,
    ) -> list[Epoch]:
        """Train the adapter and restore the best epoch.

        Args:
            examples: the training set.
            held_out: used for early stopping; if empty, all epochs are run.
            tell: called after each step with its number, the total number of steps and the loss.
        """
        import torch

        recipe, order = self.recipe, random.Random(self.recipe.seed)  # noqa: S311 - no secret
        optimiser = torch.optim.AdamW(self.masters, lr=recipe.rate, weight_decay=0.0)
        steps, step = recipe.epochs * math.ceil(len(examples) / recipe.batch), 0
        epochs = [Epoch(None, self.loss(held_out))]
        best: tuple[float, list[Any]] | None = None
        since = 0
        for _ in range(recipe.epochs):
            shuffled = order.sample(list(examples), len(examples))
            losses = []
            for at in range(0, len(shuffled), recipe.batch):
                for group in optimiser.param_groups:
                    group["lr"] = recipe.rate * self.share(step, steps)
                losses.append(self.step(shuffled[at : at + recipe.batch], optimiser))
                step += 1
                tell(step, steps, losses[-1])
            epochs.append(Epoch(sum(losses) / len(losses), self.loss(held_out)))
            held = epochs[-1].held_out
            if held is None:
                continue
            if best is None or held < best[0]:
                best, since = (held, [master.clone() for master in self.masters]), 0
            elif (since := since + 1) >= recipe.patience:
                break
        if best:
            self.take(best[1])
        return epochs

    def share(self, step: int, steps: int) -> float:
        """Learning rate at this step, as a share of the peak rate: linear warm-up, then cosine decay."""
        if step < self.recipe.warm_up:
            return (step + 1) / self.recipe.warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - self.recipe.warm_up) / max(1, steps - self.recipe.warm_up)))

    def step(self, batch: Sequence[Encoded], optimiser: Any) -> float:
        """One optimiser step over a batch; returns its mean loss per token. The optimiser must update `masters`."""
        import torch

        n = sum(len(example.ids) - example.begins for example in batch)
        working = [p for _, p in self._working]

        def gradients(example: Encoded) -> tuple[float, tuple[Any, ...]]:
            loss = self._loss(example) / n
            return float(loss.detach()), torch.autograd.grad(loss, working)

        found = list(self._workers.map(gradients, batch))
        for i, master in enumerate(self.masters):
            master.grad = sum(gradient[i].float() for _, gradient in found)
        torch.nn.utils.clip_grad_norm_(self.masters, self.recipe.clip)
        optimiser.step()
        self.take(self.masters)
        return sum(loss for loss, _ in found)

    def _loss(self, example: Encoded) -> Any:
        """Summed loss over the answer's tokens; logits are computed only for these."""
        import torch

        ids = torch.tensor([example.ids], device=self.device)
        inner = self.network.get_base_model()
        states = inner.model(input_ids=ids[:, :-1]).last_hidden_state[0, example.begins - 1 :]
        logits = inner.lm_head(states).float()
        return torch.nn.functional.cross_entropy(logits, ids[0, example.begins :], reduction="sum")

    def loss(self, examples: Sequence[Encoded]) -> float | None:
        """Mean loss per answer token; None if there are no examples."""
        import torch

        def of_one(example: Encoded) -> float:
            with torch.inference_mode():
                return float(self._loss(example))

        n = sum(len(example.ids) - example.begins for example in examples)
        return sum(self._workers.map(of_one, examples)) / n if n else None

    def take(self, values: Sequence[Any]) -> None:
        """Copy these values into `masters`, and all masters into the working network."""
        import torch

        with torch.no_grad():
            for value, master, (_, working) in zip(values, self.masters, self._working, strict=True):
                if value is not master:
                    master.copy_(value)
                working.copy_(value)

    def save(self, path: Path) -> None:
        """Write the adapter in 16 bits as a GGUF file that llama.cpp accepts."""
        import gguf

        part = path.with_suffix(".part")
        writer = gguf.GGUFWriter(part, FAMILIES[self.shape.model_type])
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", self.recipe.alpha)
        for master, (name, _) in zip(self.masters, self._working, strict=True):
            where, value = self._in_gguf(name, master)
            writer.add_tensor(where, value.half().cpu().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(path)

    def merged(self, folder: Path) -> None:
        """Merge the adapter into the weights and write the model as a folder for other engines. Ends this learner."""
        self.network.merge_and_unload().save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)

    def _in_gguf(self, name: str, value: Any) -> tuple[str, Any]:
        """A matrix with llama.cpp's name; rows of queries and keys are put in llama.cpp's order.

        For rotary embeddings llama.cpp pairs adjacent dimensions of a head; transformers pairs its first half with its
        second.
        """
        parts = name.split(".")
        layer, module = parts[parts.index("layers") + 1], next(part for part in parts if part in _IN_GGUF)
        half = "a" if "lora_A" in name else "b"
        heads = {"q_proj": self.shape.num_attention_heads, "k_proj": self.shape.num_key_value_heads}.get(module)
        if heads and half == "b" and FAMILIES[self.shape.model_type] == "llama":
            rows, rank = value.shape
            value = value.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)
        return f"blk.{layer}.{_IN_GGUF[module]}.weight.lora_{half}", value.contiguous()


def _add(adapter: Path, network: Any) -> None:
    """Add an adapter that `Learner.save` wrote to a network's weights: W + alpha / rank · B A."""
    import gguf
    import torch

    reader = gguf.GGUFReader(adapter)
    alpha = float(reader.get_field("adapter.lora.alpha").contents())
    thin = {tensor.name: torch.from_numpy(tensor.data.copy()).float() for tensor in reader.tensors}
    shape, theirs = network.config, {name: module for module, name in _IN_GGUF.items()}
    with torch.no_grad():
        for name, a in thin.items():
            if not name.endswith(".lora_a"):
                continue
            b = thin[f"{name.removesuffix('a')}b"]
            _, layer, called, *_ = name.split(".")
            module = theirs[called]
            heads = {"q_proj": shape.num_attention_heads, "k_proj": shape.num_key_value_heads}.get(module)
            if heads and FAMILIES[shape.model_type] == "llama":  # the reverse of `Learner._in_gguf`
                rows, rank = b.shape
                b = b.reshape(heads, rows // heads // 2, 2, rank).swapaxes(1, 2).reshape(rows, rank)
            block = network.model.layers[int(layer)]
            weight = getattr(block.self_attn if hasattr(block.self_attn, module) else block.mlp, module).weight
            weight += (alpha / a.shape[0] * b @ a).to(weight)
