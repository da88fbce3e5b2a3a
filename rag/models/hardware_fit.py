"""Which model fits this machine and task: memory, reading time, and one recommendation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rag.models.machine import Machine, in_words
from rag.models.registry import Gguf, ModelCard, Wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

Verdict = Literal["yes", "tight", "no"]
"""yes: a fifth of the free memory stays free. tight: it just fits. no: it would be swapped out or killed."""

Task = Literal["chat", "draft", "refine", "embed"]

CONTEXT = 8192
"""Default context in tokens for memory estimates: the default of SCHOLION_DRAFTER_CONTEXT."""

SPARE = 0.2
"""Share of the free memory left for other programs."""

SECONDS = {"draft": 8.0, "chat": 30.0, "refine": 120.0}
"""Maximum time to read the passages before the first word, by task."""

PROMPT_TOKENS = 1200
"""Six passages of up to 160 tokens, the question and the instructions."""

_CACHE_BYTES = 2  # llama.cpp stores keys and values as fp16 by default
_BATCH = 512  # tokens llama.cpp computes at once (n_ubatch)
_PROCESS = 100_000_000  # interpreter and library; see bench/model_memory.py
# Parameters × tokens that one CPU core reads per second: 310 tokens with the 134.5M model in 0.6 s on two cores.
_READ_PER_CORE = 310 * 134.5e6 / 0.6 / 2


@dataclass(frozen=True, slots=True)
class Choice:
    """A recommendation with its reason, one or two sentences."""

    card: ModelCard
    reason: str


def memory_needed(card: ModelCard, *, context: int, slots: int = 1) -> int | None:
    """Bytes needed to serve the model: weights, KV cache, logits of a batch, and the process itself.

    KV cache: 2 · layers · KV heads · head size · tokens · 2 bytes, for keys and values (Kwon et al. 2023, section 2.2).
    Sliding-window layers keep their window and one batch, whatever the context. Logits: batch · vocabulary · 4 bytes.

    Args:
        card: None is returned if its weights or architecture are unknown, as for every service.
        context: tokens per slot; capped at what the model was trained for.
        slots: concurrent answers.
    """
    shape = card.architecture
    if shape is None or card.weights_bytes is None:
        return None
    tokens = min(context, card.context_window or context)
    near = min(tokens, (shape.sliding_window or 0) + _BATCH)
    cells = (shape.layers - shape.sliding_layers) * tokens + shape.sliding_layers * near
    cache = 2 * shape.kv_heads * shape.head_size * cells * slots * _CACHE_BYTES
    return card.weights_bytes + cache + _BATCH * (card.vocabulary or 0) * 4 + _PROCESS


def fits(
    card: ModelCard, machine: Machine, *, context: int = CONTEXT, slots: int = 1, on: Literal["ram", "vram"] = "ram"
) -> Verdict | None:
    """Whether the machine has enough memory; None if the need or the memory is unknown.

    `on="ram"` is for Scholion's own server; "vram" is for the user's server on a graphics card.
    """
    needed = memory_needed(card, context=context, slots=slots)
    free = machine.ram_available if on == "ram" else machine.vram_free
    if needed is None or free is None:
        return None
    return "yes" if needed <= (1 - SPARE) * free else "tight" if needed <= free else "no"


def served_fits(weights_bytes: int | None, machine: Machine) -> Verdict | None:
    """Whether a model of another program fits this machine, by the size of its weights; None if that is unknown.

    The program may use the processor or the graphics card: the roomier of the two counts.
    """
    free = max((n for n in (machine.ram_available, machine.vram_free) if n is not None), default=None)
    if weights_bytes is None or free is None:
        return None
    needed = weights_bytes + weights_bytes // 10 + 3 * _PROCESS  # a cache for a few thousand tokens, and the process
    return "yes" if needed <= (1 - SPARE) * free else "tight" if needed <= free else "no"


def may_use(card: ModelCard, *, commercial: bool) -> bool:
    """Whether the licence allows it, with or without conditions; an unknown licence does not allow commercial use."""
    return not commercial or (card.licence is not None and card.licence.commercial != "no")


def seconds_to_read(card: ModelCard, machine: Machine) -> float | None:
    """Estimated seconds to read a question's passages on the CPU; None if the model's size is unknown.

    Scaled from one model on one machine; another CPU may be three times as fast or slow.
    """
    parameters = card.active_parameters or card.parameters
    return parameters * PROMPT_TOKENS / (_READ_PER_CORE * machine.cores) if parameters else None


def select(
    cards: Iterable[ModelCard], *, task: Task, machine: Machine, commercial: bool = False, context: int = CONTEXT
) -> Choice | None:
    """Recommend the model that Scholion itself can run here for this task, with the reason; None if there is none.

    It is the largest model that may be used, fits with a fifth of memory to spare, and reads the passages in time: size
    is the only indicator of quality that all of them have. Services are never recommended, so nothing leaves the
    machine. Models that reason first are only for refining. For embedding it is the model that search was measured and
    trained with.
    """
    allowed = [card for card in cards if may_use(card, commercial=commercial)]
    if task == "embed":
        ours = next((card for card in allowed if "embed" in card.roles and isinstance(card.source, Wheel)), None)
        if ours is None:
            return None
        return Choice(ours, f"{ours.name} comes with Scholion; search was trained and measured with it.")
    wanted = {"chat": {"draft", "refine"}}.get(task, {task})
    able = [
        card
        for card in allowed
        if wanted & set(card.roles)
        and isinstance(card.source, Wheel | Gguf)
        and (task == "refine" or not card.thinks)
        and (_on_card(card, machine, context) or _on_processor(card, machine, task, context))
    ]
    best = max(able, key=lambda card: (card.parameters or 0, card.name), default=None)
    return None if best is None else Choice(best, _reason(best, task=task, machine=machine, context=context))


def _on_card(card: ModelCard, machine: Machine, context: int) -> bool:
    return fits(card, machine, context=context, on="vram") == "yes"


def _on_processor(card: ModelCard, machine: Machine, task: Task, context: int) -> bool:
    if isinstance(card.source, Wheel):  # always available as a fallback
        return True
    seconds = seconds_to_read(card, machine)
    return fits(card, machine, context=context) == "yes" and seconds is not None and seconds <= SECONDS[task]


def _reason(card: ModelCard, *, task: Task, machine: Machine, context: int) -> str:
    needed = in_words(memory_needed(card, context=context))
    if _on_processor(card, machine, task, context):
        seconds = seconds_to_read(card, machine) or 0.0
        reason = (
            f"{card.name} is the largest that fits ({needed} of {in_words(machine.ram_available)} free) "
            f"and reads a question's passages in about {max(1, round(seconds))} s on {machine.cores} cores."
        )
    else:
        free = in_words(machine.vram_free)
        reason = (
            f"{card.name} is the largest that fits on the {machine.gpu} ({needed} of {free} free). "
            "Run your own server for it there; Scholion's server uses the processor."
        )
    if card.licence and card.licence.commercial == "conditions":
        reason += f" Its licence has conditions: {card.licence.terms}"
    return reason
