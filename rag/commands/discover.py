"""`python -m rag discover`: find model servers on this machine, and print the setting for each model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rag.errors import ModelUnreachableError
from rag.sanitise import printable
from rag.servers.discovery import PORTS, discover, elsewhere
from rag.servers.loopback import loopback_address
from rag.servers.probe import Capabilities, probe_server

if TYPE_CHECKING:
    import argparse

    from rag.servers.engines import Engine, ServedModel

ROOM = 8192
"""Tokens needed for six passages, a draft and an answer; a smaller context window gets a warning."""

EVERY = "*"
"""The value of `--probe` without a model name."""


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "find model servers on this machine; nothing else is contacted, and none is put to use"
    parser = commands.add_parser("discover", help=text, description=text)
    parser.add_argument(
        "--probe",
        nargs="?",
        const=EVERY,
        metavar="MODEL",
        help="test what this model's server can do, or every model's; this loads them and asks for a few words",
    )
    parser.add_argument("--at", action="append", default=[], metavar="URL", help="also look here; repeat for more")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; always 0: finding no server is a valid result."""
    also = []
    for text in options.at:
        address = loopback_address(text)
        if address is None:
            raise ModelUnreachableError(
                f"{printable(text)} is not an address of this machine, so it was not contacted.",
                "Give one like http://127.0.0.1:8080.",
            )
        also.append(address)
    engines = asyncio.run(discover(also=also, catalogues=options.probe is not None))
    found = asyncio.run(_probed(engines, options.probe)) if options.probe is not None else {}
    if options.json:
        print(json.dumps([_row(engine, found) for engine in engines], ensure_ascii=False, indent=1))
        return 0
    for engine in engines:
        _print(engine, found)
    for variable, base_url in elsewhere().items():
        print(printable(f"{variable} names another machine, which was not contacted. To refine drafts there:"))
        print(
            printable(f"    SCHOLION_EXPERT={base_url}#NAME   (you are asked before anything is sent: docs/privacy.md)")
        )
    if not engines:
        print(f"No model server answers on this machine (ports {', '.join(map(str, PORTS))}).")
    return 0


def setting(engine: Engine, model: ServedModel) -> str | None:
    """The setting that makes a model the expert; None if it cannot be one, or if the prompt would leave the machine."""
    offered = model.chat and model.relayed_to is None
    return f"SCHOLION_EXPERT={engine.base_url}#{model.id}" if offered else None


def widening(engine: Engine, model: ServedModel) -> str | None:
    """How to enlarge Ollama's context window, beyond which it truncates prompts silently; None if not needed."""
    if engine.name != "Ollama" or (model.context_window or 0) >= ROOM or setting(engine, model) is None:
        return None
    room = min(ROOM, model.trained_context or ROOM)
    if (model.context_window or 0) >= room:
        return None
    has = (
        f"allows {model.context_window:,} tokens" if model.context_window else "does not say how many tokens it allows"
    )
    return (
        f"Ollama {has}, and silently cuts longer prompts. Start it with OLLAMA_CONTEXT_LENGTH={room}, or make a "
        f"variant: a file with the lines `FROM {model.id}` and `PARAMETER num_ctx {room}`, then "
        "`ollama create NAME -f FILE`. Its OpenAI-compatible interface cannot set this per question."
    )


async def _probed(engines: tuple[Engine, ...], wanted: str) -> dict[tuple[str, str], Capabilities]:
    found = {}
    for engine in engines:  # sequentially: each model may fill the memory
        for model in engine.models:
            if wanted in (EVERY, model.id) and setting(engine, model):
                found[engine.base_url, model.id] = await probe_server(engine.base_url, model=model.id)
    return found


def _row(engine: Engine, found: dict[tuple[str, str], Capabilities]) -> dict[str, Any]:
    models = []
    for model in engine.models:
        able = found.get((engine.base_url, model.id))
        told = {"setting": setting(engine, model), "capabilities": asdict(able) if able else None}
        models.append(asdict(model) | told)
    return asdict(engine) | {"models": models}


def _print(engine: Engine, found: dict[tuple[str, str], Capabilities]) -> None:
    print(printable(" ".join(filter(None, (engine.name, engine.version, "at", engine.base_url)))))
    if engine.locked:
        print("  It requires a key, so its models are unknown.")
    if engine.note:
        print(f"  {engine.note}")
    for model in engine.models:
        able = found.get((engine.base_url, model.id))
        window = (able and able.context_window) or model.context_window
        print(printable(f"  {model.id}: {_window(window, model.trained_context)}"))
        if model.relayed_to:
            print(printable(f"    Not offered: the server passes questions on to {model.relayed_to}."))
        elif not model.chat:
            print("    Not offered: it is an embedding model.")
        else:
            print(printable(f"    {setting(engine, model)}"))
        if able:
            print(f"    {_abilities(able)}")
        if advice := widening(engine, model):
            print(printable(f"    {advice}"))


def _window(given: int | None, trained: int | None) -> str:
    if given is None:
        return "window unknown" + (f" (trained for {trained:,} tokens)" if trained else "")
    return f"{given:,} tokens" + (f" of the {trained:,} it was trained for" if trained and trained != given else "")


def _abilities(able: Capabilities) -> str:
    named = {
        "log-probabilities": able.logprobs,
        "usage in the stream": able.usage_in_stream,
        "JSON schema": able.json_schema,
        "timings": able.timings,
    }
    words = {True: "yes", False: "no", None: "unknown"}
    found = ", ".join(f"{name}: {words[can]}" for name, can in named.items())
    return f"{found} (it did not answer in time)" if able.late else found
