"""`python -m rag foundry`: serve converted models with Foundry Local, without a network."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelUnreachableError
from rag.sanitise import printable
from rag.servers.foundry import PORT, foundry_local

if TYPE_CHECKING:
    import argparse


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "serve converted models with Microsoft's Foundry Local, without a network, until Ctrl-C"
    parser = commands.add_parser("foundry", help=text, description=text)
    parser.add_argument("folder", nargs="+", type=Path, help="an ONNX folder from `models convert`")
    parser.add_argument("--port", type=int, default=PORT, help=f"on 127.0.0.1; 0 for any free one (default {PORT})")
    parser.add_argument("--python", type=Path, help="the Python that has foundry-local-sdk (default: `make foundry`'s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command until it is interrupted, also while the models load."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        foundry_local(options.folder, port=options.port, python=options.python) as foundry,
    ):
        print(f"Foundry Local at {foundry.base_url}")
        for model in foundry.models:
            print(printable(f"  {model}\n    SCHOLION_EXPERT={foundry.base_url}#{model}"))
        if options.port != PORT:
            print(f"For `discover` and the chat to find it: export FOUNDRY_LOCAL_ENDPOINT={foundry.url}")
        print("Loaded. Ctrl-C unloads and stops.", flush=True)
        while foundry.is_running():
            time.sleep(1)
        raise ModelUnreachableError("Foundry Local ended.", "Start it again.")
    print("Unloaded and stopped.")
    return 0
