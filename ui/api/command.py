"""`python -m ui api add|list|remove`: keys for other programs. The first key switches the API on, the last one off."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ingest import IngestSettings, UserFacingError
from ingest.terminal import clean_arguments, prepare_output
from ui.api.keys import PATH, ApiKeys

if TYPE_CHECKING:
    from collections.abc import Sequence


def mcp() -> int:
    """`python -m ui mcp`: serve a program that has started us. Its standard output is the protocol's."""
    from ui.api.mcp_server import over_stdio

    try:
        return over_stdio()
    except UserFacingError as error:
        print(error, file=sys.stderr)
        return 1


def main(arguments: Sequence[str]) -> int:
    """Run one command. 0: done; 1: it could not be done, and says why."""
    parser = argparse.ArgumentParser(prog="python -m ui api", description="Keys for other programs (docs/api.md).")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    add = commands.add_parser("add", help="make a key and show it once")
    add.add_argument("name", metavar="NAME", help='the program it is for, for example "Open WebUI"')
    add.add_argument("--add", action="store_true", help="it may also add and remove papers")
    add.add_argument("--tag", help="it reaches only papers with this tag")
    commands.add_parser("list", help="list the keys")
    commands.add_parser("remove", help="end a key").add_argument("name", metavar="NAME")
    prepare_output()
    options = parser.parse_args(arguments)
    clean_arguments(options)
    os.umask(0o077)  # files written here are for the user only
    keys = ApiKeys(IngestSettings().library.expanduser().resolve())
    try:
        if options.command == "add":
            secret = keys.make(options.name, scopes=("add",) if options.add else ("ask",), tag=options.tag)
            print(
                f"{secret}\nCopy it now: it is not shown again. The address is that of the chat, with {PATH} after it."
            )
        elif options.command == "remove":
            print(f"{keys.remove(options.name).name} is refused from now on.")
        else:
            for key in keys.all():
                reaches = f"papers tagged {key.tag}" if key.tag is not None else "all papers"
                print(f"{key.id}  {key.name}  {' '.join(key.scopes)}  {reaches}  {key.made}")
            if not keys.all():
                print("There is no key, so the API is off. `python -m ui api add NAME` makes one.")
    except UserFacingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
