"""What is looked at before Scholion starts: the key of the login cookie and the chats. What is damaged is made anew."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ingest import write_atomically
from ui.salvage import salvage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_CHARS = 32
"""Fewer are too few for the signature of a login cookie."""


def secret(folder: Path) -> str:
    """The key that signs the login cookie: made once, and again where it cannot be one. Pages are reloaded then."""
    path = folder / "secret"
    key = path.read_bytes().decode("ascii", "replace").strip() if path.is_file() else ""
    if len(key) < KEY_CHARS or not key.isascii() or not key.isprintable():
        key = secrets.token_urlsafe(48)
        write_atomically(path, key)
    return key


def mended(folder: Path) -> Iterator[str]:
    """Mend what is damaged of the chats; one sentence on each thing that was.

    Only the owner of the library may do it.
    """
    if (found := salvage(folder / "chats.db")) is not None:
        yield (
            f"The file with your chats was damaged. Scholion recovered {found.chats} chats with "
            f"{found.messages} messages and kept the damaged file as {found.aside}."
        )
