"""Train rag/reading/reader.npz: the reader, from the weights of all-MiniLM-L6-v2 (docs/reader.md).

    python bench/train_reader.py --steps 2400 [--out FOLDER] [--device cpu|cuda] [--installed] | --write | --speed

Seeded; resumes from the last checkpoint in FOLDER (default: evaluations/reader). `--steps` only affects the last fifth
of a run, in which the learning rate falls to zero, so a stopped run may resume with other `--steps`. When stopped by a
signal, it finishes and saves its step first. `--installed` begins with the installed reader's weights, at the chunk of
the last mixture, and with dropout. MIXTURE has the mixture; bench/reader_data.py says what a row is and what
is held out.

Each step uses two batches of about TOKENS tokens, one on each of two threads (one after the other on a GPU). Gradients
are in bf16 if the CPU or GPU supports it; their sums and the master weights are in fp32. The token embeddings stay
frozen. `--write` trains nothing and packs the last checkpoint into rag/reading/reader.npz, or the mean of it, others of
the same run (`--mean FILE`) and the installed reader (`--installed`); `--speed` compares bf16 with fp32. It is
a long file because the mixtures are in it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_data import sources  # noqa: E402
from reader_rows import DATA, Group, Row, Source  # noqa: E402

from ingest.bert import multiplies_bf16  # noqa: E402
from ingest.embed import embedded_model  # noqa: E402
from rag.reading.network import UNTRAINED, ReaderNetwork, load_packed, packed  # noqa: E402
from rag.reading.reader import WEIGHTS, Encoder, Pair, tensors  # noqa: E402
from rag.reading.readings import KINDS  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEED = 20261129
BEGINS = (0, 8, 25, 56, 200, 240)
"""The chunk at which each mixture begins."""
MIXTURE = (
    {
        "squad": 1000,
        "squad_none": 120,
        "shifts": 340,
        "qamr": 300,
        "boolq": 60,
        "selqa": 30,
        "reqa": 80,
        "covid": 40,
        "qasper": 50,
    },
    {
        "squad": 400,
        "squad_none": 80,
        "shifts": 120,
        "boolq": 90,
        "pubmedqa": 20,
        "selqa": 40,
        "reqa": 60,
        "covid": 180,
        "trials": 50,
        "qasper": 320,
        "claims": 40,
    },
    {
        "squad": 1000,
        "squad_none": 120,
        "shifts": 300,
        "boolq": 60,
        "pubmedqa": 20,
        "selqa": 30,
        "reqa": 60,
        "covid": 160,
        "trials": 30,
        "qasper": 300,
        "claims": 30,
    },
    {
        "wiki": 700,
        "squad": 150,
        "squad_none": 60,
        "shifts": 50,
        "qamr": 60,
        "boolq": 20,
        "pubmedqa": 8,
        "selqa": 12,
        "reqa": 12,
        "covid": 45,
        "trials": 30,
        "qasper": 66,
        "claims": 4,
    },
    {
        "written": 400,
        "wiki": 180,
        "squad": 130,
        "squad_none": 50,
        "shifts": 40,
        "qamr": 30,
        "boolq": 30,
        "pubmedqa": 10,
        "selqa": 8,
        "reqa": 10,
        "covid": 60,
        "trials": 20,
        "qasper": 120,
        "claims": 6,
    },
    {
        "written_language": 480,
        "written_other": 280,
        "wiki": 100,
        "squad": 80,
        "squad_none": 30,
        "shifts": 25,
        "qamr": 20,
        "boolq": 30,
        "pubmedqa": 10,
        "selqa": 6,
        "reqa": 8,
        "covid": 50,
        "trials": 15,
        "qasper": 120,
        "claims": 6,
    },
)
"""Groups of each source per chunk: first mostly general questions, then mostly papers, then both, then
mostly general questions with
other paragraphs of the same article, then papers and the questions of paper_questions.jsonl, then with those of
later_questions.jsonl."""
TOKENS = 3072
"""Tokens per batch, including padding."""
BODY_RATE, HEAD_RATE, WARM_UP, COOL_DOWN = 1.5e-4, 1e-3, 120, 0.2
DECAY, CLIP, DROPOUT = 0.01, 1.0, 0.1
WEIGHT = {"span": 1.0, "relevance": 0.5, "kind": 0.2, "sentence": 0.5}
LONGEST = 288
"""Tokens per pair in training."""
EVERY = 50
"""Steps between checkpoints."""


# -- batches -----------------------------------------------------------------------------------------------------------


class Batch:
    """Groups as tensors, with their targets."""

    def __init__(self, groups: list[list[tuple[Row, Pair]]]) -> None:
        rows = [row for group in groups for row, _ in group]
        pairs = [pair for group in groups for _, pair in group]
        self.n = len(rows)
        self.ids, self.types, self.sentence_of, self.most = tensors(pairs)
        self.group = torch.tensor([g for g, group in enumerate(groups) for _ in group])
        self.n_groups = len(groups)
        self.start = torch.zeros(self.ids.shape)
        self.end = torch.zeros(self.ids.shape)
        self.sentences = torch.full((self.n, self.most), -1.0)
        self.relevant = torch.tensor([-1.0 if row.relevant is None else float(row.relevant) for row in rows])
        self.kind = torch.tensor([-1 if row.kind is None else KINDS.index(row.kind) for row in rows])
        for i, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
            if row.spans is not None:
                for first, last in pieces_of(row.spans, pair) if row.spans else [(0, 0)]:
                    self.start[i, first] = self.end[i, last] = 1.0
            if row.carrying is not None:
                for j, (a, b) in enumerate(pair.sentences):
                    self.sentences[i, j] = float(any(a < end and start < b for start, end in row.carrying))
        self.open = (self.types == 1) & (self.sentence_of > 0)
        self.open[:, 0] = True

    def to(self, device: str) -> Batch:
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                setattr(self, name, value.to(device))
        return self


def pieces_of(spans: Sequence[tuple[int, int]], pair: Pair) -> list[tuple[int, int]]:
    """Indices of the first and last token of each span that is entirely in the pair."""
    found = []
    for start, end in spans:
        inside = [
            i
            for i, (a, b) in enumerate(zip(pair.pieces.starts, pair.pieces.ends, strict=True))
            if a < end and start < b
        ]
        if inside and pair.pieces.ends[-1] >= end:
            found.append((pair.offset + inside[0], pair.offset + inside[-1]))
    return found


@lru_cache(maxsize=64)
def order(source: int, turn: int, n: int) -> np.ndarray:
    return np.random.default_rng([SEED, source, turn]).permutation(n)


def mixture(chunk: int) -> dict[str, int]:
    """Number of groups of each source in the chunk."""
    return MIXTURE[sum(first <= chunk for first in BEGINS) - 1]


def picked(every: dict[str, Source], chunk: int) -> list[Group]:
    """The groups of a chunk: the next ones of each source, in an order reshuffled for each pass."""
    groups: list[Group] = []
    for number, (name, source) in enumerate(sorted(every.items())):
        before = sum(mixture(c).get(name, 0) for c in range(chunk))
        for at in range(before, before + mixture(chunk).get(name, 0)):
            turn, place = divmod(at, source.n)
            i = int(order(number, turn, source.n)[place])
            groups.append(source.group(i, np.random.default_rng([SEED, number, turn, i])))
    return [group for group in groups if group]


def batches(every: dict[str, Source], encoder: Encoder, chunk: int) -> list[Batch]:
    """The batches of a chunk: groups of similar length together, batches in random order."""
    coded = []
    for group in picked(every, chunk):
        pairs = [encoder.pairs(row.question, [row.text], longest=LONGEST)[0] for row in group]
        coded.append(list(zip(group, pairs, strict=True)))
    coded.sort(key=lambda group: max(len(pair.ids) for _, pair in group))
    found: list[list[list[tuple[Row, Pair]]]] = [[]]
    for group in coded:
        longest, rows = max(len(pair.ids) for _, pair in group), sum(map(len, found[-1])) + len(group)
        if found[-1] and longest * rows > TOKENS:
            found.append([])
        found[-1].append(group)
    return [Batch(found[int(i)]) for i in np.random.default_rng([SEED, chunk]).permutation(len(found))]


def steps_from(
    every: dict[str, Source], encoder: Encoder, chunk: int, skip: int
) -> Iterator[tuple[int, int, list[Batch]]]:
    """An endless stream of steps: the chunk, the position after the step, and its two batches."""
    while True:
        found = batches(every, encoder, chunk)
        for at in range(skip, len(found) - 1, 2):
            yield chunk, at + 2, found[at : at + 2]
        chunk, skip = chunk + 1, 0


# -- learning ----------------------------------------------------------------------------------------------------------


class SeededDropout(torch.nn.Module):
    """Dropout on a CPU by the generator of the thread that calls it, so that two threads repeat a run exactly."""

    def __init__(self, drawn: threading.local) -> None:
        super().__init__()
        self.drawn = drawn

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return states
        raw = torch.empty((states.numel() + 7) // 8, dtype=torch.int64).random_(generator=self.drawn.generator)
        kept = raw.view(torch.uint8)[: states.numel()].view(states.shape) >= round(256 * DROPOUT)
        return states * kept / (1 - DROPOUT)


def loss_of(network: ReaderNetwork, batch: Batch) -> dict[str, torch.Tensor]:
    """Cross-entropies over positions, over a question's passages plus "none of them", over kinds and over sentences."""
    scores = network(batch.ids, batch.types, batch.sentence_of, batch.most)
    losses, nothing = {}, scores.relevance.sum() * 0

    def over_places(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        known = wanted.sum(1) > 0
        if not known.any():
            return nothing
        logs = torch.log_softmax(logits[known].masked_fill(~batch.open[known], -1e4), 1)
        return -((logs * wanted[known]).sum(1) / wanted[known].sum(1)).mean()

    losses["span"] = (over_places(scores.start, batch.start) + over_places(scores.end, batch.end)) / 2
    known = (batch.relevant >= 0) & (torch.bincount(batch.group, minlength=batch.n_groups) > 1)[batch.group]
    table = torch.full((batch.n_groups, batch.n + 1), -1e4, device=scores.relevance.device)
    table[:, 0] = 0.0  # "none of them"
    table = table.index_put((batch.group[known], known.nonzero()[:, 0] + 1), scores.relevance[known])
    wanted = torch.zeros_like(table)
    wanted[batch.group[known], known.nonzero()[:, 0] + 1] = batch.relevant[known]
    asked = torch.zeros(batch.n_groups, dtype=torch.bool, device=table.device)
    asked[batch.group[known]] = True
    wanted[:, 0] = (wanted.sum(1) == 0).float()
    logs = torch.log_softmax(table, 1)[asked]
    compared = (logs * wanted[asked]).sum(1) / wanted[asked].sum(1)
    losses["relevance"] = -compared.mean() if asked.any() else nothing
    known = batch.kind >= 0
    losses["kind"] = nn_cross_entropy(scores.kind[known], batch.kind[known]) if known.any() else nothing
    known = batch.sentences >= 0
    binary = torch.nn.functional.binary_cross_entropy_with_logits
    losses["sentence"] = binary(scores.sentences[known], batch.sentences[known]) if known.any() else nothing
    return losses


nn_cross_entropy = torch.nn.functional.cross_entropy


class Trainer:
    """The working network and its fp32 master weights."""

    def __init__(self, *, device: str, bf16: bool, threads: int, installed: bool = False) -> None:
        torch.manual_seed(SEED)
        self.device, self.local = device, threading.local()
        self.network = ReaderNetwork(embedded_model(), attention="eager" if device == "cpu" else "sdpa").to(device)
        if installed:
            with np.load(WEIGHTS) as file, torch.no_grad():
                load_packed(self.network, dict(file))
            for name in list(dict(self.network.body.named_modules())):
                if name.endswith(("output.dropout", "embeddings.dropout")):
                    self.network.body.set_submodule(name, SeededDropout(self.local))
        self.names = [name for name, _ in self.network.named_parameters() if name != UNTRAINED]
        self.network.get_parameter(UNTRAINED).requires_grad_(False)
        self.masters = [self.network.get_parameter(name).detach().clone().float() for name in self.names]
        if bf16:
            self.network.bfloat16()
        self.working = [self.network.get_parameter(name) for name in self.names]
        heads = [m for name, m in zip(self.names, self.masters, strict=True) if not name.startswith("body.")]
        plain = [m for name, m in zip(self.names, self.masters, strict=True) if name.startswith("body.") and m.ndim < 2]
        rest = [m for name, m in zip(self.names, self.masters, strict=True) if name.startswith("body.") and m.ndim > 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": rest, "lr": BODY_RATE, "weight_decay": DECAY},
                {"params": plain, "lr": BODY_RATE, "weight_decay": 0.0},
                {"params": heads, "lr": HEAD_RATE, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
        )
        self.top = [group["lr"] for group in self.optimiser.param_groups]
        self.workers = ThreadPoolExecutor(threads)

    def gradients(self, batch: Batch, seed: int) -> tuple[tuple[torch.Tensor, ...], dict[str, float]]:
        self.local.generator = torch.Generator().manual_seed(seed)
        losses = loss_of(self.network, batch.to(self.device))
        total = sum(WEIGHT[name] * loss for name, loss in losses.items())
        said = {name: float(loss.detach()) for name, loss in losses.items()}
        # a batch may have no labels for some head
        return torch.autograd.grad(total, self.working, allow_unused=True, materialize_grads=True), said

    def step(self, pair: list[Batch], share: float, number: int = 0) -> dict[str, float]:
        """One step; `share` scales the learning rates."""
        results = list(self.workers.map(self.gradients, pair, range(SEED + 2 * number, SEED + 2 * number + 2)))
        for i, master in enumerate(self.masters):
            master.grad = sum(result[0][i].float() for result in results) / len(results)
        torch.nn.utils.clip_grad_norm_(self.masters, CLIP)
        for group, top in zip(self.optimiser.param_groups, self.top, strict=True):
            group["lr"] = top * share
        self.optimiser.step()
        with torch.no_grad():
            for master, weight in zip(self.masters, self.working, strict=True):
                weight.copy_(master)
        return {name: float(np.mean([result[1][name] for result in results])) for name in WEIGHT}

    def state(self) -> dict:
        return {"masters": dict(zip(self.names, self.masters, strict=True)), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict) -> None:
        with torch.no_grad():
            for name, master, weight in zip(self.names, self.masters, self.working, strict=True):
                master.copy_(state["masters"][name])
                weight.copy_(master)
        self.optimiser.load_state_dict(state["optimiser"])


def rate(step: int, steps: int) -> float:
    """Linear warm-up over WARM_UP steps, constant, then linear decay to zero over the last COOL_DOWN of the steps."""
    return min(1.0, (step + 1) / WARM_UP, max(0.0, (steps - step) / (COOL_DOWN * steps)))


def save(path: Path, state: dict) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def train(options: argparse.Namespace) -> None:
    """Train until `options.steps`, from the last checkpoint if there is one."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    threads = 2 if options.device == "cpu" else 1
    trainer = Trainer(device=options.device, bf16=options.bf16, threads=threads, installed=options.installed)
    step, chunk, place, tokens, seconds = 0, BEGINS[-1] if options.installed else 0, 0, 0, 0.0
    last = out / "last.pt"
    if last.exists():
        state = torch.load(last, map_location=options.device)
        trainer.load(state)
        step, chunk, place, tokens, seconds = (state[name] for name in ("step", "chunk", "place", "tokens", "seconds"))
        print(f"goes on after step {step}, chunk {chunk}", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    every, encoder = sources(), Encoder(embedded_model())
    recent: list[dict[str, float]] = []
    began = time.perf_counter()
    for chunk, place, pair in steps_from(every, encoder, chunk, place):  # noqa: B020 both go on from there
        if step >= options.steps:
            break
        recent.append(trainer.step(pair, options.rate * rate(step, options.steps), step))
        step += 1
        tokens += sum(int((batch.ids != 0).sum()) for batch in pair)
        if step % 20 == 0:
            means = {name: round(float(np.mean([loss[name] for loss in recent])), 4) for name in WEIGHT}
            passed = seconds + time.perf_counter() - began
            row = {"step": step, "chunk": chunk, "tokens": tokens, "seconds": round(passed), **means}
            print(json.dumps(row), flush=True)
            with (out / "curve.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            recent = []
        if step % EVERY == 0 or step == options.steps or stop.is_set():
            where = {"step": step, "chunk": chunk, "place": place, "tokens": tokens}
            save(last, {**trainer.state(), **where, "seconds": seconds + time.perf_counter() - began})
            if options.keep and step % options.keep == 0:
                save(out / f"step{step}.pt", {"masters": trainer.state()["masters"], **where})
        if stop.is_set():
            break
    print(f"{step} steps, {tokens} word pieces", flush=True)


def network_of(*checkpoints: Path, installed: bool = False) -> ReaderNetwork:
    """The network of a checkpoint in fp32; for several, the mean of their weights, with the installed reader's too."""
    network = ReaderNetwork(embedded_model())
    states = [torch.load(checkpoint, map_location="cpu")["masters"] for checkpoint in checkpoints]
    if installed:
        other = ReaderNetwork(embedded_model())
        with np.load(WEIGHTS) as file, torch.no_grad():
            load_packed(other, dict(file))
        states.append({name: other.get_parameter(name).detach() for name in states[0]})
    with torch.no_grad():
        for name in states[0]:
            network.get_parameter(name).copy_(sum(state[name] for state in states) / len(states))
    return network.eval()


def speed(options: argparse.Namespace) -> None:
    """Tokens per second of wall-clock and of CPU time, bf16 against fp32, on the same batches."""
    found = batches(sources(), Encoder(embedded_model()), BEGINS[1])[:6]
    for bf16 in (True, False):
        trainer = Trainer(device=options.device, bf16=bf16, threads=2)
        trainer.step(found[:2], 0.0)
        wall, busy = time.perf_counter(), time.process_time()
        for at in (0, 2, 4):
            trainer.step(found[at : at + 2], 0.0)
        n = sum(int((batch.ids != 0).sum()) for batch in found)
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        print("bf16" if bf16 else "fp32", f"{n / wall:.0f} a second, {n / busy:.0f} a processor's second", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "evaluations" / "reader")
    parser.add_argument("--steps", type=int, default=0, help="how many steps the run is to have")
    parser.add_argument("--keep", type=int, default=500, help="keep the weights of every so many steps")
    parser.add_argument("--rate", type=float, default=1.0, help="times the learning rates")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--installed", action="store_true", help="begin with the installed reader; of --write: average with it too"
    )
    parser.add_argument("--fp32", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--write", action="store_true", help="pack the last checkpoint into rag/reading/reader.npz")
    parser.add_argument(
        "--mean", type=Path, nargs="*", default=[], metavar="FILE", help="of --write: average with these"
    )
    parser.add_argument("--to", type=Path, default=WEIGHTS, help="of --write: the file")
    options = parser.parse_args()
    if options.write:
        network = network_of(options.out / "last.pt", *options.mean, installed=options.installed)
        np.savez_compressed(options.to, **packed(network, embedded_model()))
        print(f"{options.to.stat().st_size / 1e6:.1f} MB")
        return
    if not DATA.is_dir():
        print("The data sets are not here: nothing trained")
        return
    on_cpu = options.device == "cpu"
    has_bf16 = multiplies_bf16() if on_cpu else torch.cuda.is_bf16_supported()
    options.bf16 = has_bf16 and not options.fp32
    if on_cpu:
        torch.set_num_threads(1)  # each of the two threads computes its own batch
    if options.speed:
        speed(options)
    elif options.steps:
        train(options)
    else:
        print("Nothing trained: say how many --steps")


if __name__ == "__main__":
    main()
