"""Compare a converted model with its source: prompt, tokens, logits, and the text that both write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.models.onnx.writer import Writer

TOKENS: Final = 32
"""Length of the texts compared."""

TOLERANCE: Final = {"fp32": 1e-3, "fp16": 0.05, "int8": 0.5, "int4": 2.0}
"""Largest mean divergence from the source's next-token probabilities, in nats. A graph that is wrong has 5 and more;
what quantising costs a good one is measured in docs/onnx.md."""

PROMPTS: Final = (
    "Why do plants need light?",
    "What is the capital of France?",
    "Explain in one sentence what a p-value is.",
    "Name three uses of copper.",
    "What does DNA stand for?",
    "How does a vaccine work?",
    "Write one sentence about the sea.",
    "What is the difference between weather and climate?",
    "Give a synonym for “rapid”.",
    "Why is the sky blue?",
    "What is 12 times 12?",
    "Who wrote “Hamlet”?",
    "Summarise what a neural network is.",
    "What is overfitting?",
    "How many legs does a spider have?",
    "Translate “good morning” into French.",
    "What is the boiling point of water at sea level?",
    "Name a mammal that can fly.",
    "What is a control group in an experiment?",
    "Grüße: what does the word “naïve” mean? 😀",
)
"""Twenty short questions; the last has letters beyond ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How close the converted model is to its source."""

    prompts: int
    same_prompts: int
    """Of how many prompts template and tokenizer made the same tokens."""
    same_texts: int
    """Of how many prompts both wrote the same `TOKENS` tokens at temperature 0."""
    logit_difference: float
    """Largest absolute difference of a logit after a prompt."""
    divergence: float
    """Mean Kullback-Leibler divergence of the next-token probabilities, in nats: source from converted."""

    def fault(self, precision: str) -> str | None:
        """What is wrong with it, in words; None if nothing is."""
        if self.same_prompts < self.prompts:
            return "its tokenizer or chat template does not do what the source's does"
        if not self.divergence <= TOLERANCE[precision]:  # also if it is no number
            return f"its probabilities differ too much from the source's ({self.divergence:.3g} nats)"
        return None


def compare(writer: Writer, tokenizer: Any, network: Any, *, prompts: Sequence[str]) -> Checked:
    """Compare `writer` with the source.

    Args:
        writer: the converted model.
        tokenizer: the source's, of transformers.
        network: the source in float32, of transformers.
        prompts: at least one.
    """
    import torch

    same_prompts, same_texts, difference, divergence = 0, 0, 0.0, 0.0
    for prompt in prompts:
        messages = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
        same_prompts += writer.encode(writer.prompt(messages)) == ids
        with torch.inference_mode():
            theirs = network(torch.tensor([ids])).logits[0, -1].float().numpy().astype(np.float64)
        ours = writer.logits(ids).astype(np.float64)[: len(theirs)]
        difference = max(difference, float(np.abs(ours - theirs).max()))
        divergence += _divergence(theirs, ours) / len(prompts)
        same_texts += writer.greedy(ids, TOKENS) == greedy(network, tokenizer, ids)
    return Checked(
        prompts=len(prompts),
        same_prompts=same_prompts,
        same_texts=same_texts,
        logit_difference=difference,
        divergence=divergence,
    )


def greedy(network: Any, tokenizer: Any, ids: Sequence[int]) -> list[int]:
    """What the source writes at temperature 0, without the token that ends it."""
    import torch
    from transformers import GenerationConfig

    ends = network.generation_config.eos_token_id
    end = {int(token) for token in (ends if isinstance(ends, list) else [ends]) if token is not None}
    config = GenerationConfig(
        max_new_tokens=TOKENS,
        do_sample=False,
        repetition_penalty=1.0,  # the model's own configuration may ask for others
        no_repeat_ngram_size=0,
        eos_token_id=sorted(end) or None,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0,
    )
    given = torch.tensor([list(ids)])
    with torch.inference_mode():
        whole = network.generate(given, attention_mask=torch.ones_like(given), generation_config=config)
    new = [int(token) for token in whole[0, len(ids) :]]
    return new[:-1] if new and new[-1] in end else new


def _divergence(theirs: np.ndarray[Any, Any], ours: np.ndarray[Any, Any]) -> float:
    log_p = theirs - np.logaddexp.reduce(theirs)
    log_q = ours - np.logaddexp.reduce(ours)
    return float((np.exp(log_p) * (log_p - log_q)).sum())
