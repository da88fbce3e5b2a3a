"""The chat history in Postgres instead of a file, with the same tables and the same behaviour.

Texts are compared by their bytes as SQLite does, so chats and search results come in the same order. A chat that was
deleted is gone for every reader; when its bytes leave the server's files, logs and backups is up to the server.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from ingest import postgres
from ingest.errors import ChatDatabaseError, UserFacingError
from rag.texts import N_
from ui.chats.history import ChatHistory
from ui.chats.salvage import columns, schema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ingest.postgres import Address
    from ui.chats.history import UploadFolder

LOCKED = N_(
    "This chat is not saved yet: another program is using the database with the chats. "
    "It will be saved when that program is done."
)
BLOCKED = N_(
    "This chat is not saved yet: the database with the chats does not answer or cannot write. "
    "Ask whoever runs it. Scholion keeps trying."
)
FAILED = N_(
    "This chat cannot be saved or read: the database with the chats does not answer or refuses it. "
    "Ask whoever runs it. What you see here is lost when you close the page."
)
MOVING = "moving_chats"
"""A table that is there while chats are being copied into this database."""

_MAKING = 8421
"""Key of the lock under which the tables are created."""
_TABLES = schema().partition("\n-- Chainlit writes a chat's id")[0].replace(" TEXT", ' TEXT COLLATE "C"')
_PLAIN_CHAT_IDS = """ALTER TABLE threads ADD CONSTRAINT plain_chat_ids CHECK ("id" !~ '[^0-9A-Za-z_-]')"""
_COLUMNS = """
    SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.oid IN (SELECT to_regclass(quote_ident(name)) FROM unnest($1::text[]) AS name)
"""


class PostgresHistory(ChatHistory):
    """Chats, messages, elements and feedback in a Postgres database; attached files stay in the library's folder."""

    errors = (SQLAlchemyError, UserFacingError, OSError)
    failed = FAILED

    def __init__(self, address: Address, uploads: UploadFolder) -> None:
        self._address = address
        self._begin("postgresql+asyncpg://", uploads)  # without the password, which only `connect` has
        self.engine = create_async_engine(
            "postgresql+asyncpg://",
            connect_args={"async_creator_fn": self._connected},
            pool_pre_ping=True,  # a server that was restarted costs no message
            pool_timeout=120,  # many chats that write at once wait for a connection, in vain only if the server hangs
            hide_parameters=True,  # no text of a chat in an error
        )
        self._of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._preparing = asyncio.Lock()
        self._prepared = False

    async def _connected(self, *_: Any, **__: Any) -> Any:
        with self._in_words():
            return await postgres.connect(self._address)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """The driver's own errors as those in `errors`; it may repeat a part of the address."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever the driver raises
            said = postgres.in_words(error, self._address)
            if postgres.may_pass(error):
                raise ConnectionError(str(said)) from None
            raise said from None

    async def _ready(self) -> None:
        if not self._prepared:
            async with self._preparing:
                if not self._prepared:
                    with self._in_words():
                        await prepare(self._address, connect=lambda: postgres.connect(self._address))
                    self._prepared = True

    def _line(self, of: str) -> asyncio.Lock:
        """One for each chat: Postgres takes the writes of several at once."""
        return self._of.setdefault(of, asyncio.Lock())

    def _lines(self) -> list[asyncio.Lock]:
        return list(self._of.values())

    def _storable(self, value: Any) -> Any:
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value

    def _said_while_it_lasts(self, error: Exception) -> str | None:
        return LOCKED if postgres.is_busy(error) else BLOCKED if postgres.may_pass(error) else None

    async def _forget(self) -> None:
        """Deleted rows are gone for every reader; the server overwrites their bytes when it uses the space again."""


async def prepare(address: Address, *, connect: Callable[[], Awaitable[Any]] | None = None) -> None:
    """Create the tables if they are missing.

    Raises:
        ChatDatabaseError: the database cannot be used; the text says why.
        Exception: as `ingest.postgres.connect`.
    """
    connection = await (connect() if connect else postgres.connect(address))
    try:
        if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
            raise ChatDatabaseError(
                f"The database for the chats at {address.words} stores text as {encoding}.",
                "Create one with the encoding UTF8, and name that in SCHOLION_CHATS.",
            )
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({_MAKING})")
            found = await _columns(connection)
            if not found:
                await connection.execute(_TABLES)
                await connection.execute(_PLAIN_CHAT_IDS)
                found = await _columns(connection)
        if any(not set(names) <= found.get(table, set()) for table, names in columns().items()):
            raise ChatDatabaseError(
                f"The database at {address.words} has tables of another program.",
                "Create a database for the chats alone, and name that in SCHOLION_CHATS.",
            )
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", MOVING) and connect is None:
            raise ChatDatabaseError(
                f"Moving the chats to {address.words} was interrupted.",
                "Run `python -m ui chats move --to postgres` again, which completes it.",
            )
    finally:
        await connection.close()


def check(address: Address) -> None:
    """Create the tables if they are missing; from a thread without an event loop.

    Raises:
        UserFacingError: the database cannot be used; the text says why.
    """
    try:
        asyncio.run(prepare(address))
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        raise postgres.in_words(error, address) from None


async def _columns(connection: Any) -> dict[str, set[str]]:
    """The columns of those of our tables that are there."""
    found: dict[str, set[str]] = {}
    for table, name in await connection.fetch(_COLUMNS, list(columns())):
        found.setdefault(table, set()).add(name)
    return found
