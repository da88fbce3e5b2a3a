"""Train the embedded drafter to answer from a few sentences of papers: a low-rank adapter, as made by `rag adapt`.

    python bench/train_drafter.py --examples 4000 [--out FOLDER] [--device cpu|cuda]
    python bench/train_drafter.py --measure 200 [--out FOLDER]     QASPER dev, the reader's sentences, before and after

Seeded; resumes from the last checkpoint in FOLDER (default: evaluations/drafter). An example is the product's prompt
(`rag.prompts.sentence_messages`): a question with four sentences of a paper, one or two of them evidence, the others
similar in words. One in ten has no evidence and the answer "The passages do not say.". The answer is the data set's,
turned into a sentence if a rule applies (rag/adapt/sentences.py), and is only used if the sentences contain its words.
The held-out data are those of bench/reader_data.py; QASPER dev is only used to measure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_data import clean, held_qasper, paragraphs_of, qasper_papers, sources  # noqa: E402
from reader_rows import DATA, Overlap, Range, Row  # noqa: E402

from ingest.sentences import sentence_spans  # noqa: E402
from rag.adapt.examples import carried, right  # noqa: E402
from rag.adapt.lora import Example, Learner  # noqa: E402
from rag.adapt.recipe import Recipe  # noqa: E402
from rag.adapt.sentences import NOT_SAID, as_sentence  # noqa: E402
from rag.evaluation.metrics import estimate  # noqa: E402
from rag.models.local import embedded_drafter  # noqa: E402
from rag.prompts import sentence_messages  # noqa: E402
from rag.quoting.extract import EMBEDDED_SENTENCES, best_sentences  # noqa: E402
from rag.words import content_words  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEED = 20261129
RECIPE = Recipe(
    rank=16,
    alpha=32,
    targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    rate=6e-4,
    warm_up=20,
    longest=640,
)
SHARES = {"qasper": 0.6, "covid": 0.2, "squad": 0.2}
"""The share of each source in the examples."""
WITHOUT = 0.1
"""The share of examples whose sentences do not answer."""
EVERY = 25
"""Steps between checkpoints."""
NEAR = 8
"""Sentences sharing the most words with the question, from which distractors are drawn."""


def flat(text: str, places: Sequence[Range]) -> list[str]:
    return [" ".join(text[a:b].split()) for a, b in places]


def example(
    question: str, answer: str, evidence: Sequence[str], others: Sequence[str], random: np.random.Generator
) -> Example | None:
    """The drafter's prompt and answer; None if the sentences do not contain the answer.

    Args:
        question: what is asked.
        answer: the data set's.
        evidence: sentences that contain it, best first; if empty, the answer is that the passages do not say.
        others: sentences of the same paper that do not.
        random: draws which of them are read, and the order.
    """
    asked = content_words(question)
    near = sorted((s for s in others if len(s.split()) > 4), key=lambda s: -len(asked & content_words(s)))[:NEAR]
    kept = list(evidence[:EMBEDDED_SENTENCES])
    kept += [near[int(i)] for i in random.permutation(len(near))[: EMBEDDED_SENTENCES - len(kept)]]
    chosen = [kept[int(i)] for i in random.permutation(len(kept))]
    if not chosen:
        return None
    messages = sentence_messages(question, chosen)
    if not evidence:
        return Example(tuple(messages), NOT_SAID)
    return Example(tuple(messages), as_sentence(question, answer)) if carried(answer, messages[0]["content"]) else None


def of_rows(group: list[Row], random: np.random.Generator) -> Example | None:
    """An example from one of the reader's groups; None if it has no answer in words."""
    answering = next((row for row in group if row.relevant), None)
    others = [sentence for row in group if not row.relevant for sentence in flat(row.text, sentence_spans(row.text))]
    if answering is None or random.random() < WITHOUT:
        return example(group[0].question, "", (), others, random)
    if answering.kind in {"yes", "no"}:
        answer, marked = answering.kind.capitalize(), answering.carrying or ()
    elif answering.spans:
        answer, marked = ", ".join(answering.text[a:b] for a, b in answering.spans), answering.spans
    else:
        return None
    own = sentence_spans(answering.text)
    evidence = [s for s in own if any(s[0] < b and a < s[1] for a, b in marked)] or own[:2]
    beside = flat(answering.text, [s for s in own if s not in evidence])
    return example(answering.question, answer, flat(answering.text, evidence), [*beside, *others], random)


def in_words(answer: dict) -> str:
    """A QASPER annotator's answer as text; empty if the paper does not answer."""
    if answer["yes_no"] is not None:
        return "Yes" if answer["yes_no"] else "No"
    return ", ".join(map(clean, answer["extractive_spans"])) or clean(answer["free_form_answer"])


class Papers:
    """QASPER train without the held-out papers: the annotators' own words, with the paper's nearest sentences."""

    def __init__(self) -> None:
        data = qasper_papers("train")
        held = held_qasper(data)
        self._texts = {name: paragraphs_of(data[name]) for name in sorted(set(data) - held)}
        self._asked = [
            (name, clean(qa["question"]), answer["answer"])
            for name in self._texts
            for qa in data[name]["qas"]
            for answer in qa["answers"]
            if self._texts[name]
        ]
        self.n = len(self._asked)
        self._near = cache(lambda name: Overlap(self._texts[name]))

    def example(self, i: int, random: np.random.Generator) -> Example | None:
        """Question i; None if the text does not contain its answer."""
        name, question, answer = self._asked[i]
        paragraphs, said = self._texts[name], in_words(answer)
        its = {clean(e) for e in answer["evidence"]}
        evidence = {j for j, text in enumerate(paragraphs) if text in its}
        near = self._near(name).best(question, n=6, without=evidence)
        others = [s for j in near for s in flat(paragraphs[j], sentence_spans(paragraphs[j]))]
        if answer["unanswerable"]:
            return example(question, "", (), others, random)
        if not evidence or not said or re.search(r"(?:INLINE|DISPLAY)FORM\d", said):
            return None
        sentences = [s for j in sorted(evidence) for s in flat(paragraphs[j], sentence_spans(paragraphs[j]))]
        wanted = content_words(said if said not in {"Yes", "No"} else question)
        sentences.sort(key=lambda s: -len(wanted & content_words(s)))
        few = 1 + int(random.integers(3))
        return example(question, said, sentences[:few], [*sentences[few:], *others], random)


def examples() -> Iterator[Example]:
    """An endless, reproducible stream of examples."""
    every, papers = sources(), Papers()
    numbers = {"qasper": papers.n, "covid": every["covid"].n, "squad": every["squad"].n}
    order = {name: np.random.default_rng([SEED, i]) for i, name in enumerate(SHARES)}
    turns: dict[str, list[int]] = {name: [] for name in SHARES}
    random = np.random.default_rng([SEED, 99])
    while True:
        name = str(random.choice(list(SHARES), p=list(SHARES.values())))
        if not turns[name]:
            turns[name] = [int(i) for i in order[name].permutation(numbers[name])]
        i = turns[name].pop()
        if name == "qasper":
            made = papers.example(i, random)
        else:
            group = every[name].group(i, random)
            made = of_rows(group, random) if group else None
        if made:
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
    """Answer F1 of the served model on the reader's sentences, without and with the adapter."""
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
    for name, adapter in (("as it was", ()), ("taught", (options.out / "drafter.gguf",))):
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
