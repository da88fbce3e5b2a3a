"""Does the memory stated by `python -m rag models` cover what the model's server really uses?

    python bench/model_memory.py [FILE.gguf …]

Measures the embedded model and any other file at three context sizes: the value computed by
`rag.models.hardware_fit.memory_needed`, and the server's peak resident memory after one question that fills three
quarters of the context (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rag.models.gguf import read_header  # noqa: E402
from rag.models.hardware_fit import memory_needed  # noqa: E402
from rag.models.local import LocalServer, embedded_drafter  # noqa: E402
from rag.models.registry import Architecture, Gguf, ModelCard  # noqa: E402


def card_of(path: Path) -> ModelCard:
    """The file's header as a card."""
    header = read_header(path)
    assert header.layers
    assert header.kv_heads
    assert header.head_size
    return ModelCard(
        name="x",
        roles=("draft",),
        source=Gguf(repository="x/x", file=path.name),
        context_window=header.context_window,
        weights_bytes=path.stat().st_size,
        architecture=Architecture(layers=header.layers, kv_heads=header.kv_heads, head_size=header.head_size),
        vocabulary=header.vocabulary,
    )


def most_resident(pid: int | None) -> int:
    """Peak resident memory of the process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


async def measure(path: Path, *, context: int) -> int:
    """Peak resident memory of the server, in bytes."""
    server = LocalServer(path, context=context, slots=1, threads=None)
    try:
        endpoint = await server.connect()
        question = {"role": "user", "content": "word " * int(context * 0.75)}
        body = {"model": endpoint.model, "messages": [question], "max_tokens": 8}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {endpoint.api_key}"}
        url = f"{endpoint.base_url}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the key stays on this machine
        await asyncio.to_thread(lambda: opener.open(request, timeout=900).read())
        return most_resident(server.pid)
    finally:
        await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    print(f"{'model':40} {'context':>8} {'computed':>9} {'measured':>9}")
    for path in parser.parse_args().files or [embedded_drafter()]:
        for context in (1024, 2048, 4096):
            needed = memory_needed(card_of(path), context=context)
            taken = asyncio.run(measure(path, context=context))
            print(f"{path.name:40} {context:8} {needed / 1e6:6.0f} MB {taken / 1e6:6.0f} MB")


if __name__ == "__main__":
    main()
