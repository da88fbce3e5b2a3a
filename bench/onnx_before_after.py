"""One model before and after acceleration: PyTorch, llama.cpp and ONNX Runtime; speed, memory and quality.

    python bench/onnx_before_after.py [--repeats 5] [--tokens 64] [--prompts 20] [--threads N] [--out FOLDER]

The model is the embedded drafter. Missing conversions are made first, with `rag models convert`'s own code, in FOLDER
(default: evaluations/onnx). All run in the same way: a prompt of about 350 tokens, none of it from a cache, then
TOKENS tokens at temperature 0. One round asks each once, in a random order; the ratios are within a round, so that
what else the machine does in it touches both. *reading* and *writing* are measured by each engine's own process.
*memory* is its process after all rounds; for PyTorch what this process has gained until then. *whole* is reading and
TOKENS tokens at the speed of writing, because a text may end sooner. *same text*: of PROMPTS prompts, how many
have the same 32 tokens as PyTorch's. *perplexity*: of a fixed text, by the same weights; not told for llama.cpp,
whose server does not say the probabilities of a prompt, and the plain graphs. Writes FOLDER/before-after.json and .svg.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.environment import shut_out  # noqa: E402

shut_out()  # before any library is imported

import psutil  # noqa: E402

from rag.comparison.contenders import NO_CACHE  # noqa: E402
from rag.comparison.in_process import TransformersChatModel  # noqa: E402
from rag.comparison.plots import STYLE, Bar, bars  # noqa: E402
from rag.models.chat import Completion, EndpointChatModel  # noqa: E402
from rag.models.local import LocalServer, embedded_drafter  # noqa: E402
from rag.models.machine import in_words  # noqa: E402
from rag.models.onnx.check import PROMPTS  # noqa: E402
from rag.models.onnx.convert import convert, plan  # noqa: E402
from rag.models.onnx.server import OnnxServer  # noqa: E402
from rag.models.onnx.source import read_source  # noqa: E402
from rag.models.onnx.writer import Writer  # noqa: E402

BASE = "PyTorch eager, fp32"
PASSAGE = (
    "Language models can be made smaller by storing each weight with fewer bits. A block of thirty-two weights shares "
    "one scale, and the weights themselves become small integers. The error is largest where a few weights are much "
    "larger than their neighbours. On a processor, writing is limited by how fast the weights can be read from memory, "
    "so that a model of a quarter of the size may write up to four times as fast. Reading a prompt is limited by "
    "arithmetic instead, and gains less. "
)
ASKED = [{"role": "user", "content": f"{PASSAGE * 3}\n\nSummarise this text in a few sentences."}]


@dataclass
class Contender:
    name: str
    model: Any
    server: LocalServer | None = None
    folder: Path | None = None
    reading: list[float] = field(default_factory=list)  # seconds
    writing: list[float] = field(default_factory=list)  # seconds per token
    total: list[float] = field(default_factory=list)
    memory: int | None = None
    texts: list[str] = field(default_factory=list)
    perplexity: float | None = None


async def ask(contender: Contender, messages: list, *, tokens: int) -> tuple[str, Completion]:
    pieces = [piece async for piece in contender.model.stream(messages, max_tokens=tokens)]
    return "".join(pieces[:-1]), pieces[-1]


async def round_of(contenders: list[Contender], *, tokens: int) -> None:
    for contender in random.sample(contenders, len(contenders)):
        _, end = await ask(contender, ASKED, tokens=tokens)
        assert end.server
        contender.reading.append(end.server.reading_seconds)
        contender.writing.append(end.server.writing_seconds / end.server.written_tokens)
        contender.total.append(contender.reading[-1] + tokens * contender.writing[-1])  # one may end its text sooner


def converted(folder: Path, precision: str) -> Path:
    to = folder / f"SmolLM2-135M-Instruct-{precision}"
    if not to.exists():
        print(f"converting to {precision} …", flush=True)
        convert(plan(read_source(embedded_drafter()), library=folder, precision=precision, to=to, prompts=2))
    return to


def text_ids(tokenizer: Any) -> list[int]:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    return list(tokenizer(text, add_special_tokens=False)["input_ids"][:300])


def perplexity_torch(network: Any, ids: list[int]) -> float:
    import torch

    with torch.inference_mode():
        scores = torch.log_softmax(network(torch.tensor([ids])).logits[0, :-1].float(), dim=-1)
    told = scores[range(len(ids) - 1), ids[1:]]
    return float((-told.mean()).exp())


def perplexity_onnx(folder: Path, ids: list[int]) -> float:
    import numpy as np

    writer, total = Writer(folder, window=len(ids) + 1), 0.0
    slot = writer.slots[0]
    for i, after in enumerate(ids[1:], 1):
        writer._read(slot, ids[:i], keep=i - 1)  # noqa: SLF001
        scores = writer._logits(slot).astype(np.float64)  # noqa: SLF001
        total -= scores[after] - np.logaddexp.reduce(scores)
    return float(np.exp(total / (len(ids) - 1)))


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def ratios(contender: Contender, base: Contender, what: str) -> list[float]:
    return [b / a for a, b in zip(getattr(contender, what), getattr(base, what), strict=True)]


def table(contenders: list[Contender], *, prompts: int) -> str:
    base = contenders[0]
    rows = [["engine", "reading", "writing", "whole", "tokens/s", "memory", "same text", "perplexity"]]
    for one in contenders:
        same = sum(a == b for a, b in zip(one.texts, base.texts, strict=True))
        rows.append(
            [
                one.name,
                *(f"{spread(ratios(one, base, what))} ×" for what in ("reading", "writing", "total")),
                f"{1 / statistics.median(one.writing):.0f}",
                in_words(one.memory),
                f"{same} of {prompts}" if prompts else "–",
                "–" if one.perplexity is None else f"{one.perplexity:.2f}",
            ]
        )
    return "\n".join(["| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])])


def plot(contenders: list[Contender], *, tokens: int) -> str:
    rows = [
        Bar(
            one.name,
            (statistics.median(one.reading), statistics.median(one.total) - statistics.median(one.reading)),
            high=max(one.total),
        )
        for one in contenders
    ]
    svg = bars(rows, parts=("reading the prompt", f"writing {tokens} tokens"), unit="s")
    ours = "svg { --dim: #777; --good: #3a7; font: 13px sans-serif; background: #fff; } .end { text-anchor: end; }"
    style = f"<style>{ours} {STYLE}</style>"
    end = svg.index(">") + 1
    head = (
        svg[:end] if "xmlns" in svg[:end] else svg[:end].replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    )
    return head + style + svg[end:]


async def measure(options: argparse.Namespace) -> None:  # noqa: C901, PLR0912 - one measurement, in order
    random.seed(20261130)
    out: Path = options.out
    folders = {precision: converted(out, precision) for precision in ("fp32", "int8", "int4")}
    process, before = psutil.Process(), psutil.Process().memory_info().rss
    torch_model = TransformersChatModel(str(embedded_drafter()), threads=options.threads)
    contenders = [Contender(BASE, torch_model)]

    def add(name: str, server: LocalServer, folder: Path | None = None) -> None:
        model = EndpointChatModel(server.connect, name=name, timeout=600, extra=NO_CACHE)
        contenders.append(Contender(name, model, server, folder))

    options_of = {"context": 1024, "slots": 1, "threads": options.threads}
    add("llama.cpp, Q4_1", LocalServer(embedded_drafter(), **options_of))
    for precision, folder in folders.items():
        add(f"ONNX Runtime, {precision}", OnnxServer(folder, **options_of), folder)
        add(f"ONNX Runtime, {precision}, plain graph", OnnxServer(folder, **options_of, optimised=False))
    began = time.monotonic()
    try:
        for one in contenders:
            await ask(one, ASKED, tokens=4)
        for number in range(options.repeats):
            await round_of(contenders, tokens=options.tokens)
            print(f"round {number + 1} of {options.repeats}: {time.monotonic() - began:.0f} s", flush=True)
        for one in contenders:
            if not one.server:
                one.memory = process.memory_info().rss - before
            elif one.server.pid:
                one.memory = psutil.Process(one.server.pid).memory_info().rss
        for one in contenders:
            for prompt in PROMPTS[: options.prompts]:
                one.texts.append((await ask(one, [{"role": "user", "content": prompt}], tokens=32))[0])
    finally:
        for one in contenders:
            if one.server:
                await one.server.close()
    tokenizer, network = torch_model._load()  # noqa: SLF001
    ids = text_ids(tokenizer)
    contenders[0].perplexity = perplexity_torch(network, ids)
    for one in contenders:
        if one.folder:
            one.perplexity = perplexity_onnx(one.folder, ids)
    print(
        f"\n{options.repeats} rounds, {options.tokens} tokens, {options.threads} threads; "
        "× PyTorch's speed: median (range)\n"
    )
    print(table(contenders, prompts=options.prompts))
    rows = [
        {key: value for key, value in vars(one).items() if key not in {"model", "server", "folder"}}
        for one in contenders
    ]
    (out / "before-after.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (out / "before-after.svg").write_text(plot(contenders, tokens=options.tokens), encoding="utf-8")
    print(f"\n{out / 'before-after.svg'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each engine (default: all cores)")
    parser.add_argument("--out", type=Path, default=ROOT / "evaluations" / "onnx")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
