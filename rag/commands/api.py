"""`python -m rag api`: says where the API is, which is in the app (docs/decisions/0016)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

SAID = (
    "The API runs in the app: start it with `make chat`, and make a key, which is shown once, with "
    "`python -m ui api add NAME` (docs/api.md)."
)


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "where other programs find the API: `python -m ui api` makes its keys"
    commands.add_parser("api", help=text, description=text).set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Nothing is started here, so it fails."""
    print(SAID, file=sys.stderr)
    return 1
