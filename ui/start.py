"""Checks before the start: the key of the login cookie and the chats. Whatever is damaged is replaced."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ingest import write_atomically
from ui.chats.salvage import salvage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def mended(folder: Path) -> Iterator[str]:
    """Repair a damaged chat history; yields one sentence for each repair.

    Only the owner of the library may call it.
    """
    if (found := salvage(folder / "chats.db")) is not None:
        yield (
            f"The file with your chats was damaged. Scholion recovered {found.chats} chats with "
            f"{found.messages} messages and kept the damaged file as {found.aside}."
        )
