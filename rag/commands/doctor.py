"""`python -m rag doctor`: what is there, what is missing and how to get it; and a bundle without personal data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import write_atomically
from rag.health.doctor import bundle, examine
from rag.health.report import in_text, is_well, row
from rag.sanitise import printable

if TYPE_CHECKING:
    import argparse

TEXT = "check what is there and what is missing, and how to get it"


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    parser = commands.add_parser("doctor", help=TEXT, description=TEXT)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE.zip",
        help="also write a file to send with a question; it names nothing of yours",
    )
    parser.add_argument(
        "--reach", action="store_true", help="also open a connection to a larger model elsewhere; nothing is sent"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command. 0: no problem; 1: at least one."""
    lines = examine(reach=options.reach)
    if options.json:
        print(json.dumps({"well": is_well(lines), "checks": [row(line) for line in lines]}, indent=1))
    else:
        print("\n".join(printable(text) for text in in_text(lines).splitlines()))
    if options.bundle is not None:
        write_atomically(options.bundle, bundle(lines))
        if not options.json:
            print(f"\nWrote {printable(str(options.bundle))}. Read it before you send it (docs/health.md).")
    return 0 if is_well(lines) else 1
