"""Checks before the start: the key of the login cookie and the chats. Whatever is damaged is replaced."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ingest import write_atomically
from rag.words import counted
from ui.chats.salvage import salvage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ingest.postgres import Address

KEY_CHARS = 32
"""Minimum length of the key that signs the login cookie."""


def secret(folder: Path) -> str:
    """The key that signs the login cookie: created once, and again if it is invalid; open pages then reload."""
    path = folder / "secret"
    key = path.read_bytes().decode("ascii", "replace").strip() if path.is_file() else ""
    if len(key) < KEY_CHARS or not key.isascii() or not key.isprintable():
        key = secrets.token_urlsafe(48)
        write_atomically(path, key)
    return key


def mended(folder: Path, database: Address | None = None) -> Iterator[str]:
    """Repair a damaged chat history, or see to the tables in Postgres; yields a sentence for what the user should know.

    Only the owner of the library may call it.

    Raises:
        UserFacingError: Postgres is to keep the chats and cannot.
    """
    if database is not None:
        from ui.chats import move, postgres  # their driver need not be installed otherwise

        postgres.check(database)
        if n := move.left_behind(folder, database):
            yield (
                f"{counted(n, 'chat')} in chats.db are not in Postgres. Close Scholion and run "
                "`python -m ui chats move --to postgres` to move them, or move chats.db away."
            )
        return
    if (found := salvage(folder / "chats.db")) is not None:
        yield (
            f"The file with your chats was damaged. Scholion recovered {found.chats} chats with "
            f"{found.messages} messages and kept the damaged file as {found.aside}."
        )
