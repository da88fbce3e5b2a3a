"""Where the chats are: `chats.db` in the library's folder, or Postgres if `SCHOLION_CHATS` names a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui import core
from ui.chats import insight
from ui.chats.history import ChatHistory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rag.insight.summary import Answered
    from ui.chats.history import UploadFolder


def opened(folder: Path, uploads: UploadFolder) -> ChatHistory:
    """The chat history of the library in this folder, as the settings say."""
    address = core.settings().chat_database
    if address is None:
        return ChatHistory(folder / "chats.db", uploads)
    from ui.chats.postgres import PostgresHistory  # its driver need not be installed otherwise

    history = PostgresHistory(address, uploads)
    history.several = core.settings().several
    return history


def answers(user: str, *, chat: str | None = None) -> Iterator[Answered]:
    """The stored answers of a user, oldest first; from a thread without an event loop.

    Raises:
        sqlite3.Error, UserFacingError: they cannot be read.
    """
    address = core.settings().chat_database
    if address is None:
        return insight.answers_of(core.library().folder / "chats.db", user, chat=chat)
    return insight.answers_in(address, user, chat=chat)
