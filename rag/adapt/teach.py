"""Train an adapter, compare held-out answers before and after, and keep it only if they improve."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from ingest import write_atomically
from rag.adapt.examples import right
from rag.answer import Draft
from rag.errors import AdapterError, ModelError
from rag.evaluation.metrics import estimate
from rag.evaluation.plots import Curve, Point, curves
from rag.models.adapters import CURVE, RECIPE, WEIGHTS, about, digest, shipped_adapter
from rag.models.chat import EndpointChatModel
from rag.models.draft import write
from rag.models.local import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rag.adapt.examples import Taught
    from rag.adapt.lora import Epoch, Learner
    from rag.adapt.recipe import Recipe
    from rag.evaluation.metrics import Estimate
    from rag.models.adapters import Adapter, Adapters
    from rag.models.chat import ChatModel

    Tell = Callable[[str, int, int], None]

FEW: Final = 50
"""With fewer rows, the model mostly learns their wording."""

LEAST: Final = 10
"""Minimum number of rows: with fewer, none could be held out."""

ANSWER_TOKENS: Final = 96
"""Maximum length of an answer during evaluation."""

_STYLE: Final = (
    "text{font:11px sans-serif;fill:#444}.line{fill:none;stroke-width:2;stroke:#2563eb}.s1{stroke:#d97706}"
    ".end{text-anchor:end}.middle{text-anchor:middle}.dot{fill:#2563eb}.grid,.rail,.axis{stroke:#ddd}svg{background:#fff}"
)


@dataclass(frozen=True, slots=True)
class Teaching:
    """The result of training."""

    adapter: Adapter | None
    """None if its answers were worse than the original model's, so it was not kept."""
    card: dict[str, Any]
    before: Estimate | None
    after: Estimate | None
    difference: Estimate | None
    """All three are None if no held-out example has a right answer."""


def split(taught: Sequence[Taught], share: float) -> tuple[list[Taught], list[Taught]]:
    """Split into training and held-out examples: whole groups, by a hash of their names, at least one of each.

    Raises:
        AdapterError: there are too few examples, or all are in one group.
    """
    rows = [row for row in taught if row.example.answer]
    if len(rows) < LEAST:
        raise AdapterError(
            f"Only {len(rows)} examples can be used for training; at least {LEAST} are needed.",
            "Add questions that your papers answer.",
        )
    names = sorted({row.group for row in taught}, key=lambda name: sha256(name.encode()).digest())
    held: set[str] = set()
    for name in names[:-1]:
        held.add(name)
        if sum(row.group in held for row in taught) >= share * len(taught):
            break
    if not held:
        raise AdapterError("All the examples are about one paper.", "Add questions about another paper, to hold out.")
    return [row for row in rows if row.group not in held], [row for row in taught if row.group in held]


async def teach(
    name: str,
    taught: Sequence[Taught],
    *,
    base: Path,
    recipe: Recipe,
    adapters: Adapters,
    source: dict[str, Any],
    merged: Path | None = None,
    threads: int | None = None,
    tell: Tell = lambda *_: None,
) -> Teaching:
    """Train an adapter for `base`, and keep it if it answers held-out questions better.

    Args:
        name: of the adapter.
        taught: the examples.
        base: a GGUF file, or a folder saved by transformers.
        recipe: hyperparameters.
        adapters: where to keep the adapter.
        source: where the examples came from, for the card.
        merged: a folder for the whole model with the adapter merged in; None for no such copy.
        threads: CPU threads for the answers; None for the app's default.
        tell: called with the current step, the number done and the total.

    Raises:
        UserFacingError: these examples or this base cannot be used for training.
    """
    learned, held = split(taught, recipe.held_out)
    making = adapters.new(name)
    try:
        measured = [row for row in held if row.golds]
        here = about(base)
        shipped = shipped_adapter(base)
        below = (shipped,) if shipped else ()
        learner = await asyncio.to_thread(_learner, base, recipe, shipped)
        speaks = learner if "files" in here else None  # a folder answers via the learner, a GGUF via the server
        before = await _asked(speaks, base, below, measured, what="answering before", threads=threads, tell=tell)
        began = time.monotonic()
        epochs, n = await asyncio.to_thread(_learn, learner, learned, held, tell=tell)
        seconds = time.monotonic() - began
        learner.save(making / WEIGHTS)
        after = await _asked(
            speaks, base, (*below, making / WEIGHTS), measured, what="answering after", threads=threads, tell=tell
        )
        groups = [row.group for row in measured]
        was, now = (
            [right(text, row.golds) for text, row in zip(texts, measured, strict=True)] for texts in (before, after)
        )
        gains = [b - a for a, b in zip(was, now, strict=True)]
        figures = estimate(was, groups), estimate(now, groups), estimate(gains, groups)
        card = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "base": here,
            "below": digest(shipped) if shipped else None,
            "source": source,
            "learned_from": n,
            "held_out": len(held),
            "recipe": recipe.model_dump(mode="json"),
            "epochs": [{"learned": epoch.learned, "held_out": epoch.held_out} for epoch in epochs],
            "training_seconds": round(seconds, 1),
            "bytes": (making / WEIGHTS).stat().st_size,
            "sha256": digest(making / WEIGHTS),
            "answer_f1": {
                word: None
                if found is None
                else {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
                for word, found in zip(("before", "after", "difference"), figures, strict=True)
            },
        }
        if not better(figures[2], epochs):
            return Teaching(None, card, *figures)
        write_atomically(making / RECIPE, recipe.as_toml())
        write_atomically(making / CURVE, curve(epochs))
        if merged:
            await asyncio.to_thread(learner.merged, merged)
        return Teaching(adapters.take(making, name, card), card, *figures)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def better(difference: Estimate | None, epochs: Sequence[Epoch]) -> bool:
    """Whether the adapter answers better; if that was not measured, whether its held-out loss is lower."""
    if difference is not None:
        return difference.mean > 0
    known = [epoch.held_out for epoch in epochs if epoch.held_out is not None]
    return bool(known) and min(known) < known[0]  # the first is the model without adapter


def _learner(base: Path, recipe: Recipe, below: Path | None) -> Learner:
    from rag.adapt.lora import Learner

    return Learner(base, recipe, below=below)


def _learn(
    learner: Learner, learned: Sequence[Taught], held: Sequence[Taught], *, tell: Tell
) -> tuple[list[Epoch], int]:
    encoded = [kept for row in learned if (kept := learner.encoded(row.example))]
    if not encoded:
        raise AdapterError(
            f"All the examples are longer than {learner.recipe.longest} tokens.",
            "Set a larger `longest` in the recipe.",
        )
    unseen = [kept for row in held if row.example.answer and (kept := learner.encoded(row.example))]
    epochs = learner.learn(encoded, unseen, tell=lambda step, steps, _: tell("learning", step, steps))
    return epochs, len(encoded)


async def _asked(
    learner: Learner | None,
    base: Path,
    adapters: Sequence[Path],
    rows: Sequence[Taught],
    *,
    what: str,
    threads: int | None,
    tell: Tell,
) -> list[str]:
    if learner is None:
        return await answers(base, adapters, rows, what=what, threads=threads, tell=tell)
    texts = []
    for n, row in enumerate(rows, start=1):
        texts.append(await asyncio.to_thread(learner.answer, row.example.messages, tokens=ANSWER_TOKENS))
        tell(what, n, len(rows))
    return texts


async def answers(
    base: Path, adapters: Sequence[Path], rows: Sequence[Taught], *, what: str, threads: int | None, tell: Tell
) -> list[str]:
    """Answers to all rows, served as in the app, with or without the adapter; empty where the model failed."""
    server = LocalServer(base, context=4096, slots=1, threads=threads, adapters=adapters)
    model: ChatModel = EndpointChatModel(server.connect, name=server.name, timeout=120.0)
    texts = []
    try:
        for n, row in enumerate(rows, start=1):
            texts.append(await _answer(model, row))
            tell(what, n, len(rows))
    finally:
        await server.close()
    return texts


async def _answer(model: ChatModel, row: Taught) -> str:
    try:
        async with aclosing(write(model, row.example.messages, max_tokens=ANSWER_TOKENS)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Draft):
                    return piece.text
    except ModelError:  # no answer counts as a wrong one
        return ""
    return ""


def curve(epochs: Sequence[Epoch]) -> str:
    """The losses per epoch as a standalone SVG."""
    lines = [("learned from", [epoch.learned for epoch in epochs]), ("held out", [epoch.held_out for epoch in epochs])]
    drawn = [Curve(name, tuple(Point(i, y) for i, y in enumerate(values) if y is not None)) for name, values in lines]
    drawn = [line for line in drawn if line.points]
    top = max(point.y for line in drawn for point in line.points)
    picture = curves(drawn, x_label="epoch: mean loss of an answer's token, in nats", top=top * 1.05, legend="top")
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{_STYLE}</style>", 1
    )
