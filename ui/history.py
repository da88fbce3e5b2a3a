"""The chat history: Chainlit's SQLAlchemy layer on SQLite, made to work, and attached files in a folder.

Against the layer as it comes: lists and dictionaries are stored as JSON and read back as such; an element that already
has an address of ours is not downloaded; an unknown chat is not an error; and no message is written or read
before every image and foreign link in it is broken, whatever version of us, or whoever else, wrote it.

Nothing that the page shows is lost: all writes are done one after the other, in the order in which they came; one that
finds the file locked or the disk full is tried again, and the chat says so; and a chat's row is written with its owner
by whichever write comes first.
"""

# mypy: disable-error-code="untyped-decorator"
# Chainlit's decorators have no types that mypy could follow.
from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
import time
import uuid
from contextlib import asynccontextmanager, closing
from importlib import resources
from typing import TYPE_CHECKING, Any

import aiofiles
from chainlit.context import context, get_context
from chainlit.data.sql_alchemy import SQLAlchemyDataLayer
from chainlit.data.storage_clients.base import BaseStorageClient
from chainlit.data.utils import queue_until_user_message
from chainlit.message import ErrorMessage
from chainlit.user import PersistedUser
from chainlit.utils import utc_now
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError

from rag.sanitise import broken
from ui.ending import BOUNDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chainlit.element import Element
    from chainlit.step import StepDict
    from chainlit.types import Feedback, ThreadDict
    from chainlit.user import User

log = logging.getLogger(__name__)

NAMELESS_CHAT = "Your papers"
"""What a chat is called that began without words: with an upload, or with a look at the library."""

BUSY_SECONDS = 5.0
"""How long one try waits for another program that holds the file."""
PATIENCE_SECONDS = 600.0
"""How long a write is tried again and again before it is given up."""
RETRY_SECONDS = 0.5
CLOSING_SECONDS = BOUNDS["chat history"] / 2
"""How long `close` waits for the last writes, and then for the file."""

LOCKED = (
    "This chat is not saved yet: another program is using its file in the library folder. "
    "It will be saved when that program is done."
)
BLOCKED = (
    "This chat is not saved yet: its file in the library folder cannot be written. "
    "Check free space and permissions. Scholion keeps trying."
)
FAILED = (
    "This chat cannot be saved: its file in the library folder cannot be written. "
    "Check free space and permissions. What you see here is lost when you close the page."
)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = _BUSY | {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""Faults that end when the user, or another program, does something about them."""

_LOST = '"userId" IS NULL AND "id" IN (SELECT "threadId" FROM steps) AND (SELECT COUNT(*) FROM users) = 1'
"""A chat that earlier versions stored without its owner, so that no list shows it; there is only one user."""
_ANY_LOST = f"SELECT 1 FROM threads WHERE {_LOST}"  # noqa: S608 - both parts stand here
_FOUND = f"""
    UPDATE threads SET "name" = COALESCE("name", ?),
        "userId" = (SELECT "id" FROM users), "userIdentifier" = (SELECT "identifier" FROM users)
    WHERE {_LOST}
"""  # noqa: S608 - both parts stand here
_USER = """
    INSERT INTO users ("id", "identifier", "createdAt", "metadata") VALUES (:id, :identifier, :now, '{}')
    ON CONFLICT ("identifier") DO NOTHING
"""
_THREAD = """
    INSERT INTO threads ("id", "createdAt", "name", "userId", "userIdentifier", "metadata")
    VALUES (:id, :now, :name, (SELECT "id" FROM users WHERE "identifier" = :user), :user, '{}')
    ON CONFLICT ("id") DO UPDATE SET
        "name" = COALESCE(threads."name", EXCLUDED."name"),
        "userId" = COALESCE(threads."userId", EXCLUDED."userId"),
        "userIdentifier" = COALESCE(threads."userIdentifier", EXCLUDED."userIdentifier")
    WHERE threads."name" IS NULL OR threads."userId" IS NULL
"""


class UploadFolder(BaseStorageClient):  # type: ignore[misc]  # chainlit's own annotations are incomplete
    """Attached files, kept under one folder and served by our own route.

    The key that Chainlit makes contains the uploaded file's name, so every part of it is cleaned.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.root.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """The file for a key; always inside the folder."""
        parts = [re.sub(r"[^A-Za-z0-9._-]", "_", part).lstrip(".")[-120:] or "_" for part in key.split("/")]
        return self.root.joinpath(*parts)

    async def upload_file(
        self,
        object_key: str,
        data: bytes | str,
        mime: str = "application/octet-stream",  # noqa: ARG002 - chainlit passes it by name
        overwrite: bool = True,  # noqa: ARG002, FBT001, FBT002 - chainlit's signature
        content_disposition: str | None = None,  # noqa: ARG002 - chainlit's signature
    ) -> dict[str, Any]:
        """Store the bytes; returns the key and the address under which the page finds them."""
        path = self.path(object_key)
        path.parent.mkdir(parents=True, exist_ok=True)
        async with aiofiles.open(path, "wb") as file:
            await file.write(data.encode() if isinstance(data, str) else data)
        key = path.relative_to(self.root).as_posix()
        return {"object_key": key, "url": await self.get_read_url(key)}

    async def get_read_url(self, object_key: str) -> str:
        """The address of a stored file."""
        return f"/uploads/{object_key}"

    async def delete_file(self, object_key: str) -> bool:
        """Remove a stored file; True also where there was none."""
        self.path(object_key).unlink(missing_ok=True)
        return True

    async def close(self) -> None:
        """Nothing is held open."""


class ChatHistory(SQLAlchemyDataLayer):  # type: ignore[misc]  # chainlit's own annotations are incomplete
    """Chats, messages, elements and thumbs in one SQLite file."""

    def __init__(self, file: Path, uploads: UploadFolder) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(file) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(resources.files("ui").joinpath("schema.sql").read_text())
            if database.execute(_ANY_LOST).fetchone():  # else nothing is written, and no lock is needed
                database.execute(_FOUND, (NAMELESS_CHAT,))
        super().__init__(f"sqlite+aiosqlite:///{file}", storage_provider=uploads)
        self._file = file
        event.listen(self.engine.sync_engine, "connect", _prepare)
        self._in_order = asyncio.Lock()
        self._turn_of: asyncio.Task[Any] | None = None
        self._deleted: set[str] = set()
        self._told: set[tuple[str, str]] = set()

    async def execute_sql(self, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]] | int | None:
        """Rows of a query, else the number of changed rows; None where it failed, which the user is told."""
        plain = {
            key: json.dumps(value) if isinstance(value, dict | list | tuple) else value
            for key, value in parameters.items()
        }
        began = time.monotonic()
        while True:
            try:
                async with self.engine.begin() as connection:
                    result = await connection.execute(text(query), plain)
                    return [dict(row) for row in result.mappings()] if result.returns_rows else result.rowcount
            except SQLAlchemyError as error:
                fault = _fault(error)
                patient = self._turn_of is asyncio.current_task() and time.monotonic() - began < PATIENCE_SECONDS
                if not (patient and fault in _PASSING):
                    log.exception("The chat history could not be read or written")
                    await self._tell(FAILED)
                    return None
                log.warning("The chat history cannot be written yet: %s", error)
                await self._tell(LOCKED if fault in _BUSY else BLOCKED)
            await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Close the file, after the writes that are waiting; both within bounds, since a lock may last."""
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await asyncio.sleep(0)  # what was begun just now gets in line
                async with self._in_order:
                    pass
        except TimeoutError:
            log.error("The last messages could not be saved: the file of the chat history is not free.")  # noqa: TRY400
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await super().close()
        except TimeoutError:
            log.warning("The file of the chat history was left open")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """A writer's turn: whoever came first goes first, and what a turn calls belongs to it."""
        if self._turn_of is asyncio.current_task():
            yield
            return
        async with self._in_order:
            self._turn_of = asyncio.current_task()
            try:
                yield
            finally:
                self._turn_of = None

    async def create_user(self, user: User) -> PersistedUser | None:
        """As inherited, but a user who is there already is not written again: a lock keeps nobody out."""
        return await self.get_user(user.identifier) or await super().create_user(user)

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """As inherited, with a name for a chat that began without words.

        A page that is left writes its settings; that does not bring back a chat that was deleted meanwhile.
        """
        async with self._turn():
            if name is None and user_id is None and not await self._has(thread_id):
                return
            if name is not None:
                name = _named(name)
            await super().update_thread(thread_id, name=name, user_id=user_id, metadata=metadata, tags=tags)

    async def delete_thread(self, thread_id: str) -> None:
        """As inherited; an answer still being written elsewhere goes too, and SQLite's log is emptied.

        Raises:
            OSError: the chat is still there, so the page must not say that it is gone.
        """
        async with self._turn():
            self._deleted.add(thread_id)
            await super().delete_thread(thread_id)
            if await self._has(thread_id):
                self._deleted.discard(thread_id)
                raise OSError(FAILED)
            try:
                await asyncio.to_thread(forget_log, self._file)
            except sqlite3.Error:
                log.exception("The log of the chat history could not be emptied; it is when Scholion ends")

    @queue_until_user_message()
    async def create_step(self, step_dict: StepDict) -> None:
        """As inherited, in its turn: a message's first state must not overwrite its last."""
        async with self._turn():
            if await self._keep_thread(step_dict):
                await super().create_step(_harmless(step_dict))

    @queue_until_user_message()
    async def delete_step(self, step_id: str) -> None:
        """As inherited, in its turn: a step is not removed before it is written."""
        async with self._turn():
            await super().delete_step(step_id)

    @queue_until_user_message()
    async def create_element(self, element: Element) -> None:
        """As inherited, in its turn, but an element that points at one of our own routes is not kept.

        One file is whole in memory meanwhile, so they come one by one.
        """
        if element.url and not element.content and not element.path:
            return
        async with self._turn():
            await super().create_element(element)

    @queue_until_user_message()
    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        """As inherited, in its turn."""
        async with self._turn():
            await super().delete_element(element_id, thread_id)

    async def upsert_feedback(self, feedback: Feedback) -> str:
        """As inherited, in its turn."""
        async with self._turn():
            return str(await super().upsert_feedback(feedback))

    async def delete_feedback(self, feedback_id: str) -> bool:
        """As inherited, in its turn."""
        async with self._turn():
            return bool(await super().delete_feedback(feedback_id))

    async def _keep_thread(self, step: StepDict) -> bool:
        """Write the row of the step's chat, with its owner, if it is not there; False if the user deleted the chat.

        Chainlit writes the owner in a task of its own, which may fail or never run. A deleted chat comes back with the
        next question that is asked in it, and with nothing else.
        """
        thread_id, question = str(step["threadId"]), step.get("type") == "user_message"
        if thread_id in self._deleted and not question:
            return False
        self._deleted.discard(thread_id)
        user = context.session.user
        now = await self.get_current_timestamp()
        if user and not isinstance(user, PersistedUser):
            await self.execute_sql(_USER, {"id": str(uuid.uuid4()), "identifier": user.identifier, "now": now})
        name = _named(str(step.get("output") or "")) if question else NAMELESS_CHAT
        values = {"id": thread_id, "now": now, "name": name, "user": user.identifier if user else None}
        await self.execute_sql(_THREAD, values)
        return True

    async def _has(self, thread_id: str) -> bool:
        return bool(await self.execute_sql('SELECT 1 FROM threads WHERE "id" = :id', {"id": thread_id}))

    async def get_thread_author(self, thread_id: str) -> str:
        """Whose chat it is; empty for a chat that is not there."""
        try:
            return str(await super().get_thread_author(thread_id))
        except ValueError:
            return ""

    async def get_all_user_threads(
        self, user_id: str | None = None, thread_id: str | None = None
    ) -> list[ThreadDict] | None:
        """As inherited, with JSON columns as objects and no text that is None."""
        threads: list[Any] | None = await super().get_all_user_threads(user_id, thread_id)
        await asyncio.to_thread(_make_readable, threads or [])  # for the list on the left, all chats are read
        return threads

    async def _tell(self, sentence: str) -> None:
        """Say it in the chat, once; the message itself is not stored."""
        try:
            session = get_context().session
        except Exception:  # noqa: BLE001 - outside a chat there is nobody to tell
            return
        if (session.id, sentence) in self._told:
            return
        if len(self._told) > 1000:  # a bound, not a measure
            self._told.clear()
        self._told.add((session.id, sentence))
        message = ErrorMessage(sentence)
        message.created_at = utc_now()
        await context.emitter.send_step(message.to_dict())


def _prepare(connection: Any, _record: Any) -> None:
    """Each connection waits for the others, and a commit is on the disk when it returns."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA secure_delete=ON")  # a deleted chat leaves no text in free pages
    cursor.close()


def _fault(error: SQLAlchemyError) -> int:
    """SQLite's primary result code; 0 if it is none of SQLite's."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return int(code) & 0xFF


def _named(words: str) -> str:
    return " ".join(words.split())[:120] or NAMELESS_CHAT


def forget_log(file: Path) -> None:
    """Move SQLite's log into the file and empty it: it keeps pages as they were before something was deleted."""
    with closing(sqlite3.connect(file, timeout=5)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _make_readable(threads: list[Any]) -> None:
    for thread in threads:
        thread["metadata"] = _object(thread.get("metadata"), {})
        thread["tags"] = _object(thread.get("tags"), [])
        for step in thread["steps"]:
            step["metadata"] = _object(step.get("metadata"), {})
            step["tags"] = _object(step.get("tags"), None)
            step["generation"] = _object(step.get("generation"), None)
            step["output"] = step.get("output") or ""
            step.update(_harmless(step))
        for element in thread["elements"]:
            element["props"] = _object(element.get("props"), {})
            element["playerConfig"] = _object(element.get("playerConfig"), None)


def _harmless(step: Any) -> Any:
    """The step with what the page draws as Markdown made safe; a user's own message is shown as it was typed."""
    if step.get("type") == "user_message":
        return step
    shown = {name: step[name] for name in ("input", "output") if isinstance(step.get(name), str)}
    return {**step, **{name: broken(text, own_links=True) for name, text in shown.items()}}


def _object(value: Any, otherwise: Any) -> Any:
    if not isinstance(value, str):
        return otherwise if value is None else value
    try:
        return json.loads(value)
    except ValueError:
        return otherwise
