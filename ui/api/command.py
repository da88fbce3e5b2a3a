"""`python -m ui api add|list|remove`: keys for other programs. The first key switches the API on, the last one off."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ingest import IngestSettings
from ingest.terminal import clean_arguments
from ui.api.keys import PATH, ApiKeys

if TYPE_CHECKING:
    from collections.abc import Sequence


def mcp() -> int:
    """`python -m ui mcp`: serve a program that has started us. Its standard output is the protocol's.

    Raises:
        UserFacingError: Scholion is not running, or there is no key.
    """
    from ui.api.mcp_server import over_stdio

    return over_stdio()


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status.

    Raises:
        UserFacingError: it cannot be done.
    """
    parser = argparse.ArgumentParser(prog="python -m ui api", description="Keys for other programs (docs/api.md).")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    add = commands.add_parser("add", help="make a key and show it once")
    add.add_argument("name", metavar="NAME", help='the program it is for, for example "Open WebUI"')
    add.add_argument("--add", action="store_true", help="it may also add and remove papers")
    add.add_argument("--tag", help="it reaches only papers with this tag")
    commands.add_parser("list", help="list the keys")
    commands.add_parser("remove", help="end a key").add_argument("name", metavar="NAME")
    options = parser.parse_args(arguments)
    clean_arguments(options)
    keys = ApiKeys(IngestSettings().library.expanduser().resolve())
    if options.command == "add":
        secret = keys.make(options.name, scopes=("add",) if options.add else ("ask",), tag=options.tag)
        print(f"{secret}\nCopy it now: it is not shown again. The address is that of the chat, with {PATH} after it.")
    elif options.command == "remove":
        print(f"{keys.remove(options.name).name} is refused from now on.")
    else:
        for key in keys.all():
            reaches = f"papers tagged {key.tag}" if key.tag is not None else "all papers"
            print(f"{key.id}  {key.name}  {' '.join(key.scopes)}  {reaches}  {key.made}")
        if not keys.all():
            print("There is no key, so the API is off. `python -m ui api add NAME` makes one.")
    return 0
