"""`python -m rag models convert`: a Hugging Face folder or a GGUF file to ONNX, checked against its source."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ingest import UserFacingError
from rag.errors import ModelFileError
from rag.models.chat import Completion, EndpointChatModel
from rag.models.local import embedded_drafter
from rag.models.machine import in_words, this_machine
from rag.models.onnx.check import PROMPTS
from rag.models.onnx.convert import BUILT_FOR, convert, plan
from rag.models.onnx.folder import PROVIDERS, named
from rag.models.onnx.server import OnnxServer
from rag.models.onnx.source import read_source
from rag.models.resolve import ModelFile, resolve
from rag.sanitise import printable

if TYPE_CHECKING:
    from rag.models.onnx.convert import Converted, Plan
    from rag.models.registry import ModelCard, Registry

EMBEDDED = "embedded"
"""Names the embedded drafter."""

_LOADING_SECONDS = 120.0


def add_to(action: Any) -> None:
    """Add the command, given the function that makes an action of `models`."""
    sub: argparse.ArgumentParser = action(
        "convert", _convert, "convert a model to ONNX, and check it against the source"
    )
    sub.add_argument(
        "source", metavar="SOURCE", help="a Hugging Face folder, a GGUF file, a model's name, or `embedded`"
    )
    text = "of the weights (default: int4, or int8 for a model of less than 0.5 B parameters)"
    sub.add_argument("--precision", choices=("int4", "int8", "fp16", "fp32"), help=text)
    text = "execution provider it is made for (default: cpu)"
    sub.add_argument("--provider", choices=BUILT_FOR, default="cpu", help=text)
    sub.add_argument("--to", type=Path, metavar="FOLDER", help="the new folder (default: in the library's models/onnx)")
    sub.add_argument("--licence", metavar="NAME", help="the model's licence, if its files do not state it")
    text = f"prompts to compare with the source, 0 to {len(PROMPTS)} (default: 5)"
    sub.add_argument("--prompts", type=_prompts, default=5, metavar="N", help=text)
    sub.add_argument("--json", action="store_true", help="print results as JSON")


def _prompts(text: str) -> int:
    if not 0 <= (number := int(text)) <= len(PROMPTS):
        raise argparse.ArgumentTypeError(f"must be 0 to {len(PROMPTS)}")
    return number


def _convert(registry: Registry, library: Path, options: argparse.Namespace) -> int:
    place, card = _place(options.source, registry, library)
    source = read_source(place)
    if card and card.licence:  # we have read it, so a file that says less or otherwise does not count
        source = replace(source, licence=card.licence.name)
    made = plan(
        source,
        library=library,
        precision=options.precision,
        provider=options.provider,
        to=options.to,
        licence=options.licence,
        prompts=options.prompts,
    )
    out = sys.stderr if options.json else sys.stdout
    print(printable(_before(made)), file=out, flush=True)
    done = convert(made, lambda step: print(f"  {step} …", file=out, flush=True))
    running, problem = None, None
    if made.provider == "cpu":  # another one may not be on this machine
        try:
            running = asyncio.run(_tried(done.folder, context=min(2048, source.context_window or 2048)))
        except UserFacingError as error:
            problem = str(error)
    if options.json:
        row = asdict(done) | {"folder": str(done.folder), "running": running, "problem": problem}
        print(json.dumps(row, ensure_ascii=False, indent=1))
    else:
        print(printable(_after(made, done, running, setting=_setting(done.folder, library))))
    if problem:
        print(printable(f"It is written, but did not run: {problem}"), file=sys.stderr)
    return int(problem is not None)


def _place(text: str, registry: Registry, library: Path) -> tuple[Path, ModelCard | None]:
    """The file or folder that `SOURCE` names, with its card if it is a name from the registry."""
    if text == EMBEDDED:
        return embedded_drafter(), None
    if card := registry.card(text):
        found = resolve(text, registry=registry, library=library)
        if not isinstance(found, ModelFile):
            raise ModelFileError(f"{text} is a service, which has no file.", "Choose a model that runs here.")
        return found.path, card
    inside = library / "models" / text
    return inside if "/" not in text and not Path(text).exists() and inside.exists() else Path(text), None


def _before(made: Plan) -> str:
    source, machine = made.source, this_machine()
    kind = "GGUF file" if source.is_gguf else "Hugging Face folder"
    minutes = max(1, round(made.seconds / 60))
    size, free = f"{source.parameters / 1e6:,.0f} M parameters", in_words(machine.ram_available)
    lines = [
        f"{source.name}: {kind}, {source.family}, {size}, {in_words(source.n_bytes)}, licence {made.licence}",
        f"  to {made.precision} for {PROVIDERS[made.provider]}: about {in_words(made.size)}, in {made.target}",
        f"  takes about {minutes} min, {in_words(made.memory)} of memory ({free} free), {in_words(made.disk)} of disk",
    ]
    if machine.ram_available is not None and made.memory > machine.ram_available:
        lines.append("  that is more memory than is free: it may fail")
    return "\n".join(lines)


def _after(made: Plan, done: Converted, running: dict[str, Any] | None, *, setting: str) -> str:
    peak = f", {in_words(done.peak_memory)} of memory at most" if done.peak_memory else ""
    share = done.size / made.source.n_bytes
    lines = [f"Converted in {done.seconds:.0f} s{peak}: {in_words(done.size)} ({share:.2f} × the source)"]
    if check := done.check:
        lines += [
            f"  same tokens from the prompt     {check.same_prompts} of {check.prompts}",
            f"  same text at temperature 0      {check.same_texts} of {check.prompts}",
            f"  largest difference of a logit   {check.logit_difference:.3g}",
            f"  divergence of probabilities     {check.divergence:.3g} nats",
        ]
    else:
        lines.append("  not compared with its source (--prompts 0)")
    if running:
        lines.append(
            f"  runs as {running['name']}: loaded in {running['loaded_seconds']:.1f} s, "
            f"{in_words(running['memory'])} of memory"
        )
    lines += [f"In {done.folder}", f"To use it: SCHOLION_DRAFTER={setting}"]
    return "\n".join(lines)


def _setting(folder: Path, library: Path) -> str:
    """What names it, for a shell: its name in the library, else its path."""
    found = named(folder.name, library)
    return shlex.quote(folder.name if found and found.samefile(folder) else str(folder))


async def _tried(folder: Path, *, context: int) -> dict[str, Any]:
    """Load it once as the app does, and let it write a few words."""
    server = OnnxServer(folder, context=context, slots=1, threads=None)
    try:
        began = time.monotonic()
        await server.connect()
        loaded = time.monotonic() - began
        model = EndpointChatModel(server.connect, name=server.name, timeout=_LOADING_SECONDS)
        pieces = [piece async for piece in model.stream([{"role": "user", "content": PROMPTS[0]}], max_tokens=8)]
        end = pieces[-1]
        assert isinstance(end, Completion)
        memory = psutil.Process(server.pid).memory_info().rss if server.pid else None
        return {"name": end.model, "loaded_seconds": loaded, "memory": memory}
    finally:
        await server.close()
