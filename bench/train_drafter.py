"""Teach the embedded drafter to answer from a few sentences of papers: a low-rank adapter as `rag adapt` makes them.

    python bench/train_drafter.py --examples 4000 [--out FOLDER] [--device cpu|cuda]
    python bench/train_drafter.py --measure 200 [--out FOLDER]     QASPER dev, the reader's sentences, before and after

Seeded; goes on from the last checkpoint in FOLDER (default: evaluations/drafter). An example is what the product asks
(`rag.prompts.sentence_messages`): four sentences of a paper with the question, of which the evidence is one or two and
the others share its words; one in ten has no evidence, and is answered "The passages do not say.". The answer is the
data set's, as a sentence where a rule makes one of it (rag/adapt/sentences.py), and is kept only if the sentences carry
its words. What is held back is what bench/reader_data.py holds back; QASPER dev is only measured on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_data import DATA, SEED, Row, sources  # noqa: E402

from ingest.sentences import sentence_spans  # noqa: E402
from rag.adapt.examples import carried, right  # noqa: E402
from rag.adapt.lora import Example, Learner  # noqa: E402
from rag.adapt.recipe import Recipe  # noqa: E402
from rag.adapt.sentences import NOT_SAID, as_sentence  # noqa: E402
from rag.evaluation.metrics import estimate  # noqa: E402
from rag.models.local import embedded_drafter  # noqa: E402
from rag.prompts import sentence_messages  # noqa: E402
from rag.quoting.extract import EMBEDDED_SENTENCES, best_sentences  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPE = Recipe(
    rank=16,
    alpha=32,
    targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    rate=6e-4,
    warm_up=20,
    longest=640,
)
SHARES = {"qasper": 0.5, "covid": 0.2, "squad": 0.3}
"""Of each source among the examples."""
WITHOUT = 0.1
"""Examples whose sentences do not answer."""
EVERY = 25
"""Steps between checkpoints."""


def example(group: list[Row], random: np.random.Generator) -> Example | None:
    """A question with four sentences and what is to be answered; None where the group has no answer in words."""
    answering = next((row for row in group if row.relevant), None)
    others = [row for row in group if not row.relevant]
    beside = [" ".join(row.text[a:b].split()) for row in others for a, b in sentence_spans(row.text)]
    beside = [sentence for sentence in beside if len(sentence.split()) > 4]
    if answering is None or random.random() < WITHOUT:
        chosen = [beside[int(i)] for i in random.permutation(len(beside))[:EMBEDDED_SENTENCES]]
        return Example(tuple(sentence_messages(group[0].question, chosen)), NOT_SAID) if chosen else None
    if answering.kind in {"yes", "no"}:
        answer, marked = answering.kind.capitalize(), answering.carrying or ()
    elif answering.spans:
        answer, marked = ", ".join(answering.text[a:b] for a, b in answering.spans), answering.spans
    else:
        return None
    own = sentence_spans(answering.text)
    evidence = [s for s in own if any(s[0] < b and a < s[1] for a, b in marked)] or own[:2]
    near = [" ".join(answering.text[a:b].split()) for a, b in own if (a, b) not in evidence]
    beside = [*near, *beside]
    kept = [" ".join(answering.text[a:b].split()) for a, b in evidence[:EMBEDDED_SENTENCES]]
    drawn = [beside[int(i)] for i in random.permutation(len(beside))[: EMBEDDED_SENTENCES - len(kept)]]
    chosen = [*kept, *drawn]
    chosen = [chosen[int(i)] for i in random.permutation(len(chosen))]
    messages = sentence_messages(answering.question, chosen)
    if not carried(answer, messages[0]["content"]):
        return None
    return Example(tuple(messages), as_sentence(answering.question, answer))


def examples() -> Iterator[Example]:
    """For ever, the same each time."""
    every = sources()
    order = {name: np.random.default_rng([SEED, i]) for i, name in enumerate(SHARES)}
    turns: dict[str, list[int]] = {name: [] for name in SHARES}
    random = np.random.default_rng([SEED, 99])
    while True:
        name = str(random.choice(list(SHARES), p=list(SHARES.values())))
        if not turns[name]:
            turns[name] = [int(i) for i in order[name].permutation(every[name].n)]
        group = every[name].group(turns[name].pop(), random)
        if group and (made := example(group, random)):
            yield made


def train(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    learner = Learner(embedded_drafter(), RECIPE, device=options.device)
    steps, last = options.examples // RECIPE.batch, options.out / "last.pt"
    optimiser = torch.optim.AdamW(learner.masters, lr=RECIPE.rate, weight_decay=0.0)
    done, tokens, seconds = 0, 0, 0.0
    if last.exists():
        state = torch.load(last, map_location=options.device)
        learner.take(state["masters"])
        optimiser.load_state_dict(state["optimiser"])
        done, tokens, seconds = state["step"], state["tokens"], state["seconds"]
        print(f"goes on after step {done}", flush=True)
    coded = (kept for made in examples() if (kept := learner.encoded(made)))
    for _ in range(done * RECIPE.batch):
        next(coded)
    began, losses = time.perf_counter(), []
    for step in range(done, steps):
        batch = [next(coded) for _ in range(RECIPE.batch)]
        for group in optimiser.param_groups:
            group["lr"] = RECIPE.rate * learner.share(step, steps)
        losses.append(learner.step(batch, optimiser))
        tokens += sum(len(one.ids) for one in batch)
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            passed = seconds + time.perf_counter() - began
            row = {"step": step + 1, "tokens": tokens, "seconds": round(passed), "loss": round(np.mean(losses), 4)}
            print(json.dumps(row), flush=True)
            losses = []
            state = {"masters": learner.masters, "optimiser": optimiser.state_dict(), "step": step + 1}
            part = last.with_suffix(".part")
            torch.save({**state, "tokens": tokens, "seconds": passed}, part)
            part.replace(last)
            learner.save(options.out / "drafter.gguf")


def measure(options: argparse.Namespace) -> None:
    """Answer-F1 of what the served model writes from the reader's sentences, without and with the adapter."""
    from reader_cases import cases_of, passages_of

    from rag.adapt.examples import Taught
    from rag.adapt.teach import answers
    from rag.reading.calibration import calibration_of
    from rag.reading.reader import MiniLMReader

    asked, reader = [], MiniLMReader()
    every = cases_of(reader, "dev", ROOT / "evaluations" / "reader", key=reader.name.partition("@")[2])
    for case in every[: options.measure]:
        order = case.ordered(calibration_of().search)[:6]
        passages = passages_of([case.texts[i] for i in order], case.title, [case.odds[i] for i in order])
        best = best_sentences(case.question, passages, [case.readings[i] for i in order], n=EMBEDDED_SENTENCES)
        sentences = [passage.chunk.text[a:b] for passage, (a, b) in best]
        messages = tuple(sentence_messages(case.question, sentences))
        asked.append(Taught(Example(messages, ""), case.paper, case.question, tuple(case.golds)))
    for name, adapter in (("as it was", None), ("taught", options.out / "drafter.gguf")):
        texts = asyncio.run(answers(embedded_drafter(), adapter, asked, what=name, threads=None, tell=lambda *_: None))
        found = estimate(
            [right(t, row.golds) for t, row in zip(texts, asked, strict=True)], [row.group for row in asked]
        )
        print(f"{name}: Answer-F1 {found.mean:.3f} ({found.low:.3f} to {found.high:.3f}), n {found.n}", flush=True)
        for text, row in list(zip(texts, asked, strict=True))[:12]:
            print(f"   {row.question}\n      {text}   | {row.golds[0]}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "evaluations" / "drafter")
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--measure", type=int, default=0, metavar="QUESTIONS")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("The data sets are not here: nothing trained")
        return
    if options.examples:
        train(options)
    if options.measure:
        measure(options)
    if not (options.examples or options.measure):
        print("Nothing trained: say how many --examples")


if __name__ == "__main__":
    main()
