"""The lab's engines against the embedded server: the same prompts and model; first token, speed, and the same text?

    python bench/lab.py [--prompts 20] [--engines threads,single,webgpu] [--models embedded,adapter] [--tokens 48]

Prompts are the questions of docs/papers with the sentences that the search finds for them, as the lab's "Fill from the
library" gives them. Chromium drives the page's own modules; WebGPU is the software adapter unless --gpu says that there
is a real one. Every engine reads each prompt from its beginning (no cache). Prints a table for docs/lab.md, and every
prompt whose text differs from the server's. With --written-out the server too gets the weights as 32-bit numbers, which
shows whether it is their 8-bit arithmetic that differs. Needs Chromium. Run it on a machine that does nothing else:
threads of WebAssembly wait for each other by spinning, so other work slows them several times over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "browser")]

SOFTWARE = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
REAL = ("--enable-unsafe-webgpu", "--enable-features=Vulkan")
LOAD = """async ([model, engine, unpack]) => {
  const { Model, engines } = await import('/public/lab/engine.js');
  const { weights } = await import('/public/lab/weights.js');
  const state = await (await fetch('/lab/state.json')).json();
  const files = state.models.find(({ id }) => id === model).files;
  const began = performance.now();
  const blobs = [];
  for (const file of files) blobs.push((await weights(file)).blob);
  const fetched = (performance.now() - began) / 1000;
  const found = (await engines()).find(({ id }) => id === engine);
  if (found.fault) return { fault: found.fault };
  window.model = await Model.load({ assets: state.engine, engine: found, blobs, name: model, unpack });
  return { name: found.name, fetched, started: window.model.seconds };
}"""
WRITE = "([prompt, tokens]) => window.model.write(prompt, { tokens })"
NAMES = {"embedded": "embedded", "adapter": "embedded,adapter=yes"}


def prompts(folder: Path, most: int) -> list[str]:
    """The prompts, from a library with the sample papers."""
    from ingest import Ingest, IngestSettings, Library, Source, embedder_from
    from rag.prompts import sentence_messages
    from rag.quoting.extract import EMBEDDED_SENTENCES, best_sentences
    from rag.reading.reader import trained_reader
    from rag.retrieval.retrieve import Retriever

    embedder = embedder_from(None)
    library = Library(IngestSettings(library=folder / "samples"))
    for _ in Ingest(library=library, embedder=embedder).run(
        [Source(path, path.name) for path in sorted((ROOT / "docs" / "papers").glob("*.pdf"))]
    ):
        pass
    rows = [
        json.loads(line)
        for name in ("questions.jsonl", "unanswerable.jsonl")
        for line in (ROOT / "docs" / "papers" / name).read_text().splitlines()
    ]
    retriever = Retriever(library, embedder, reader=trained_reader())
    made = []
    for n in range(most):
        question = rows[n % len(rows)]["question"]
        found = retriever.search(question, retriever.embed(question), k=8, read=True)
        k = EMBEDDED_SENTENCES - n // len(rows)  # a second time with fewer sentences: another prompt
        best = best_sentences(question, found.passages[: len(found.readings)], found.readings, n=k)
        texts = [passage.chunk.text[start:end] for passage, (start, end) in best]
        (message,) = sentence_messages(question, texts)
        made.append(message["content"])
    library.close()
    return made


def written_out(file: Path, to: Path) -> Path:
    """The model with its weights as 32-bit numbers, as the page has them."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, dequantize

    reader = GGUFReader(file)
    writer = GGUFWriter(to, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            kind, *inner = field.types
            inside = inner[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=inside)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return to


async def on_server(
    model: str, asked: list[str], tokens: int, threads: int, unpacked: Path | None
) -> tuple[float, list[dict[str, Any]]]:
    """Seconds to start, and each answer of the embedded server, which has the context of the page.

    Its weights are written out to the file `unpacked`, if there is one.
    """
    from rag.comparison.contenders import NO_CACHE
    from rag.models.adapters import shipped_adapter
    from rag.models.chat import Completion, EndpointChatModel
    from rag.models.local import LocalServer, embedded_drafter

    base = embedded_drafter()
    adapters = [shipped_adapter(base)] if model == "adapter" else []
    file = written_out(base, unpacked) if unpacked else base
    server = LocalServer(file, context=4096, slots=1, threads=threads, adapters=[a for a in adapters if a])
    chat = EndpointChatModel(server.connect, name=model, timeout=600, extra=NO_CACHE)
    began = time.monotonic()
    await chat.context_window()
    started = time.monotonic() - began
    answers = []
    for prompt in asked:
        began, came, text, end = time.monotonic(), [], "", None
        stream = chat.stream([{"role": "user", "content": prompt}], max_tokens=tokens, temperature=0.0, permit=None)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    end = piece
                else:
                    came.append(time.monotonic())
                    text += piece
        answers.append(
            {
                "text": text,
                "first": came[0] - began if came else None,
                "perToken": (came[-1] - came[0]) / (len(came) - 1) if len(came) > 1 else None,
                "input": end.usage.input_tokens if end and end.usage else None,
            }
        )
    await server.close()
    return started, answers


def median(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.2f}" if known else "not measured"


def row(name: str, loaded: str, answers: list[dict[str, Any]], same: str) -> str:
    rates = [1 / one["perToken"] if one["perToken"] else None for one in answers]
    return f"| {name} | {loaded} | {median([one['first'] for one in answers])} s | {median(rates)} | {same} |"


def in_page(
    page: Any,
    *,
    url: str,
    model: str,
    engine: str,
    asked: list[str],
    there: list[dict[str, Any]],
    tokens: int,
    packed: bool,
) -> list[str]:
    """Measure one engine and print its row; returns what differs from the server."""
    page.goto(f"{url}/lab")
    page.wait_for_selector("#lab[data-ready]")
    told = page.evaluate(LOAD, [NAMES[model], engine, not packed])
    if "fault" in told:
        print(f"| {engine} | {told['fault']} | | | |", flush=True)
        return []
    here = [page.evaluate(WRITE, [prompt, tokens]) for prompt in asked]
    same = sum(one["text"].strip() == two["text"].strip() for one, two in zip(here, there, strict=True))
    print(row(told["name"], f"{told['fetched']:.1f} + {told['started']:.1f} s", here, f"{same} of {len(asked)}"))
    different = []
    for n, (one, two) in enumerate(zip(here, there, strict=True), start=1):
        if one["text"].strip() != two["text"].strip():
            different.append(f"{told['name']}, prompt {n}: {one['text']!r} | {two['text']!r}")
        if one["input"] != two["input"]:
            different.append(f"{told['name']}, prompt {n}: {one['input']} tokens in, {two['input']} there")
    page.evaluate("window.model.close()")
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--engines", default="threads,single,webgpu")
    parser.add_argument("--models", default="embedded,adapter")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="of the server")
    parser.add_argument("--gpu", action="store_true", help="there is a graphics card for WebGPU")
    parser.add_argument("--written-out", action="store_true", help="the server too gets 32-bit weights")
    parser.add_argument("--packed", action="store_true", help="leave the weights as they are in the file")
    options = parser.parse_args()

    from playwright.sync_api import sync_playwright

    from conftest import CHROMIUM
    from served import Served, app_root

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = prompts(folder, options.prompts)
        print(f"{len(asked)} prompts, at most {options.tokens} tokens each; load {os.getloadavg()[0]:.1f}", flush=True)
        served = Served(library=folder / "library", root=app_root(folder / "root")).start()
        try:
            for model in options.models.split(","):
                unpacked = folder / "unpacked.gguf" if options.written_out else None
                started, there = asyncio.run(on_server(model, asked, options.tokens, options.threads, unpacked))
                lengths = [one["input"] for one in there if one["input"] is not None]
                print(f"\n**{model}**, prompts of {min(lengths)} to {max(lengths)} tokens\n")
                print("| engine | load | first token, median | tokens/s, median | same text as the server |")
                print("|---|---|---|---|---|")
                print(row(f"embedded server, {options.threads} thread(s)", f"{started:.1f} s", there, "–"), flush=True)
                with sync_playwright() as driver:
                    browser = driver.chromium.launch(
                        executable_path=CHROMIUM, args=["--no-sandbox", *(REAL if options.gpu else SOFTWARE)]
                    )
                    page = browser.new_page()
                    page.set_default_timeout(0)
                    page.goto(served.url)
                    page.wait_for_selector("#chat-input")
                    different = [
                        line
                        for engine in options.engines.split(",")
                        for line in in_page(
                            page,
                            url=served.url,
                            model=model,
                            engine=engine,
                            asked=asked,
                            there=there,
                            tokens=options.tokens,
                            packed=options.packed,
                        )
                    ]
                    browser.close()
                print("\n".join(["", *different]), flush=True)
        finally:
            served.stop()
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
