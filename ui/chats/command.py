"""`python -m ui chats`: where the chats are, and move them between the library's folder and Postgres."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ingest import UserFacingError, environment
from ingest.errors import LibraryBusyError
from rag.sanitise import printable
from rag.words import counted

if TYPE_CHECKING:
    import argparse

TEXT = "say where the chats are, or move them"


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    parser = commands.add_parser("chats", help=TEXT, description=TEXT)
    parser.set_defaults(run=_show)
    verbs = parser.add_subparsers(metavar="WHAT")
    text = "move all chats between chats.db and the Postgres database that SCHOLION_CHATS names"
    move = verbs.add_parser("move", help=text, description=text)
    move.add_argument("--to", required=True, choices=("postgres", "sqlite"), help="where they are to be")
    move.set_defaults(run=_move)


def _show(_options: argparse.Namespace) -> int:
    environment.shut_out()
    from ui import core

    folder = core.settings().library.expanduser().resolve()
    address = core.settings().chat_database
    if address is None:
        print(printable(f"The chats are in {folder / 'chats.db'}."))
        return 0
    place = "on this machine" if address.here else "which is not this machine"
    print(printable(f"The chats are in Postgres at {address.words}, {place}."))
    return 0


def _move(options: argparse.Namespace) -> int:
    environment.shut_out()
    from ui import core
    from ui.chats.move import move

    address = core.settings().chat_database
    if address is None:
        raise UserFacingError(
            "SCHOLION_CHATS does not name a database.",
            "Set it to postgresql://user:password@host/database (docs/postgres.md), and move the chats again.",
        )
    library = core.library()
    try:
        library.own()
    except LibraryBusyError as error:  # it writes chats while it runs
        raise LibraryBusyError(
            "Scholion is using this library, so no chats were moved.", "Close it, and move them again."
        ) from error
    try:
        done = move(library.folder, address, to=options.to, tell=lambda text: print(text, file=sys.stderr, flush=True))
    finally:
        library.close()
    rows = done.rows
    print(
        f"Moved {counted(rows['threads'], 'chat')} with {counted(rows['steps'], 'message')}, "
        f"{counted(rows['elements'], 'attachment')} and {counted(rows['feedbacks'], 'rating')}; all were compared."
    )
    if options.to == "sqlite":
        print("Now unset SCHOLION_CHATS, so that Scholion uses chats.db.")
    elif done.aside is not None:
        print(printable(f"The file from before is {done.aside}. Delete it when you have seen that all is well."))
    return 0
