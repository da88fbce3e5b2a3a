"""The chat history: Chainlit's SQLAlchemy layer, made to work with SQLite, and attached files in a folder.

Differences from Chainlit's layer: lists and dictionaries are stored as JSON and parsed when read; an element with one
of our own addresses is not downloaded; an unknown chat is not an error; and all images and foreign links in a message
are broken before it is written or read, whoever wrote it.

It is a long file because it replaces one class of Chainlit's, whose methods share a queue of writes.

Nothing that the page shows is lost: it is stored before (`caught_up`). Writes are serialised in order of arrival; a
write that finds the file locked or the disk full is retried, and the chat says so; and whichever write comes first
creates the chat's row with its owner.
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
from contextlib import asynccontextmanager, closing, nullcontext
from copy import copy
from importlib import resources
from pathlib import Path
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

from ingest.terminal import all_well_formed
from rag.texts import N_, _
from ui.chats.search import CHATS, ChatWords, page_of
from ui.chats.stored import harmless, make_readable
from ui.ending import BOUNDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chainlit.element import Element
    from chainlit.step import StepDict
    from chainlit.types import Feedback, PaginatedResponse, Pagination, ThreadDict, ThreadFilter
    from chainlit.user import User

log = logging.getLogger(__name__)

MAX_COMMENT = 4000
"""Characters of a comment on an answer; the rest is cut."""

NAMELESS_CHAT = "Your papers"
"""Name of a chat that started without text, with an upload."""

BUSY_SECONDS = 5.0
"""How long one attempt waits for another program that locks the file."""
PATIENCE_SECONDS = 600.0
"""How long a write is retried before it is given up."""
RETRY_SECONDS = 0.5
CAUGHT_UP_SECONDS = 60.0
"""How long the page waits at most for what it shows next to be stored."""
CLOSING_SECONDS = BOUNDS["chat history"] / 2
"""How long `close` waits for pending writes, and then for the file."""

LOCKED = N_(
    "This chat is not saved yet: another program is using its file in the library folder. "
    "It will be saved when that program is done."
)
BLOCKED = N_(
    "This chat is not saved yet: its file in the library folder cannot be written. "
    "Check free space and permissions. Scholion keeps trying."
)
FAILED = N_(
    "This chat cannot be saved: its file in the library folder cannot be written. "
    "Check free space and permissions. What you see here is lost when you close the page."
)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = _BUSY | {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""Errors that end when the user or another program fixes the cause."""

_LOST = '"userId" IS NULL AND "id" IN (SELECT "threadId" FROM steps) AND (SELECT COUNT(*) FROM users) = 1'
"""Chats that earlier versions stored without owner, so that no list shows them; there is only one user."""
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
_SENT = """
    SELECT "id", "command", "modes" FROM steps
    WHERE "threadId" = :chat AND ("command" IS NOT NULL OR "modes" IS NOT NULL)
"""
_LATER = """
    SELECT s."id" FROM steps s JOIN steps q ON q."id" = :step AND q."threadId" = :chat
    WHERE s."threadId" = q."threadId" AND s."createdAt" > q."createdAt"
"""


class UploadFolder(BaseStorageClient):  # type: ignore[misc]  # chainlit's own annotations are incomplete
    """Attached files, stored in one folder and served by our own route.

    Chainlit's key contains the name of the uploaded file, so every part of it is sanitised.
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
        """Store the bytes; returns the key and the address for the page."""
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
        """Delete a stored file; True even if there was none."""
        self.path(object_key).unlink(missing_ok=True)
        return True

    async def close(self) -> None:
        """Nothing to close."""


class ChatHistory(SQLAlchemyDataLayer):  # type: ignore[misc]  # chainlit's own annotations are incomplete
    """Chats, messages, elements and feedback in one SQLite file; `ui.chats.postgres` keeps them in Postgres."""

    errors: tuple[type[Exception], ...] = (SQLAlchemyError,)
    """What a statement may raise."""
    failed = FAILED

    def __init__(self, file: Path, uploads: UploadFolder) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(file) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(resources.files("ui.chats").joinpath("schema.sql").read_text())
            if database.execute(_ANY_LOST).fetchone():  # otherwise write nothing, so no lock is needed
                database.execute(_FOUND, (NAMELESS_CHAT,))
        self._begin(f"sqlite+aiosqlite:///{file}", uploads)
        self._file = file
        event.listen(self.engine.sync_engine, "connect", _prepare)

    def _begin(self, address: str, uploads: UploadFolder) -> None:
        super().__init__(address, storage_provider=uploads)
        self._words = ChatWords(self.execute_sql)
        self._in_order = asyncio.Lock()
        self._in_turn: set[asyncio.Task[Any] | None] = set()
        """Who writes now."""
        self._held_up: set[asyncio.Task[Any] | None] = set()
        """Whose write is being retried."""
        self._deleted: set[str] = set()
        self._stored: set[str] = set()
        """Chats that this process has stored something of."""
        self.several = False
        """Whether other processes write chats too."""
        self._told: set[tuple[str, str]] = set()

    async def execute_sql(self, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]] | int | None:
        """The rows of a query, or the number of changed rows; None if it failed, which the user is told."""
        plain = {
            key: json.dumps(value) if isinstance(value, dict | list | tuple) else self._storable(value)
            for key, value in all_well_formed(parameters).items()  # half an emoji is no text for SQLite
        }
        began = time.monotonic()
        while True:
            try:
                await self._ready()
                async with self.engine.begin() as connection:
                    result = await connection.execute(text(query), plain)
                    return [dict(row) for row in result.mappings()] if result.returns_rows else result.rowcount
            except self.errors as error:
                said = self._said_while_it_lasts(error)
                patient = asyncio.current_task() in self._in_turn and time.monotonic() - began < PATIENCE_SECONDS
                if not (patient and said):
                    log.exception("The chat history could not be read or written")
                    await self._tell(_(self.failed))
                    return None
                self._held_up.add(asyncio.current_task())
                log.warning("The chat history cannot be written yet: %s", error)
                await self._tell(_(said))
            await asyncio.sleep(RETRY_SECONDS)

    async def _ready(self) -> None:
        """Nothing to do: the file was prepared when it was opened."""

    def _storable(self, value: Any) -> Any:
        """A value as the database takes it."""
        return value

    def _said_while_it_lasts(self, error: Exception) -> str | None:
        """What the user is told while an error may still pass; None for one that stays."""
        fault = _fault(error)
        return LOCKED if fault in _BUSY else BLOCKED if fault in _PASSING else None

    async def _forget(self) -> None:
        """Leave no word of what was just deleted."""
        try:
            await asyncio.to_thread(forget_log, self._file)
        except sqlite3.Error:
            log.exception("The log of the chat history could not be emptied; it is when Scholion ends")

    async def close(self) -> None:
        """Close the file after the pending writes; both have a timeout, because a lock may last."""
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await asyncio.sleep(0)  # let writes that just started join the queue
                for line in self._lines():
                    async with line:
                        pass
        except TimeoutError:
            log.error("The last messages could not be saved: the file of the chat history is not free.")  # noqa: TRY400
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await super().close()
        except TimeoutError:
            log.warning("The file of the chat history was left open")

    def _line(self, _of: str) -> asyncio.Lock:
        """In which a write waits: one for all, since SQLite takes one write at a time."""
        return self._in_order

    def _lines(self) -> list[asyncio.Lock]:
        """Those in which a write may wait now."""
        return [self._in_order]

    @asynccontextmanager
    async def _turn(self, of: str) -> AsyncIterator[None]:
        """A writer's turn, first come, first served; nested calls belong to the same turn.

        Args:
            of: the id of the chat, or of what else must not be written twice at once.
        """
        task = asyncio.current_task()
        if task in self._in_turn:
            yield
            return
        async with self._line(of):
            self._in_turn.add(task)
            try:
                yield
            finally:
                self._in_turn.discard(task)
                self._held_up.discard(task)

    async def caught_up(self) -> None:
        """Wait until all that was to be written so far is stored; not for a lock or a full disk that lasts."""
        if self._held_up or asyncio.current_task() in self._in_turn:
            return
        await asyncio.sleep(0)  # let writes that just started join the queue
        line = self._line(_chat())
        turn, end = asyncio.ensure_future(line.acquire()), time.monotonic() + CAUGHT_UP_SECONDS
        try:
            while not (await asyncio.wait({turn}, timeout=0.05))[0] and not self._held_up and time.monotonic() < end:
                pass
        finally:
            if turn.done() and not turn.cancelled():
                line.release()
            turn.cancel()

    async def create_user(self, user: User) -> PersistedUser | None:
        """As inherited, but an existing user is not written again, so that a lock does not prevent a login.

        A new page asks for its user several times at once.
        """
        if known := await self.get_user(user.identifier):
            return known
        await self.execute_sql(
            query='INSERT INTO users ("id", "identifier", "createdAt", "metadata")'
            " VALUES (:id, :identifier, :createdAt, :metadata) ON CONFLICT DO NOTHING",
            parameters={
                "id": str(uuid.uuid4()),
                "identifier": user.identifier,
                "createdAt": await self.get_current_timestamp(),
                "metadata": json.dumps(user.metadata),
            },
        )
        return await self.get_user(user.identifier)

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """As inherited, with a name for a chat that started without text.

        A page writes its settings when it is left; that must not restore a chat deleted in the meantime.
        """
        async with self._turn(thread_id):
            if name is None and user_id is None and not await self._has(thread_id):
                return
            if name is not None:
                name = _named(name)
            await super().update_thread(thread_id, name=name, user_id=user_id, metadata=metadata, tags=tags)

    async def delete_thread(self, thread_id: str) -> None:
        """As inherited; an answer still being written elsewhere is dropped too, and SQLite's log is emptied.

        Raises:
            OSError: the chat is still there, so the page must not say that it is gone.
        """
        async with self._turn(thread_id):
            self._deleted.add(thread_id)
            self._words.changed(thread_id)
            await super().delete_thread(thread_id)
            if await self._has(thread_id):
                self._deleted.discard(thread_id)
                raise OSError(self.failed)
            await self._forget()

    @queue_until_user_message()
    async def create_step(self, step_dict: StepDict) -> None:
        """As inherited, in turn: a message's first state must not overwrite its last."""
        async with self._turn(str(step_dict["threadId"])):
            if await self._keep_thread(step_dict):
                await super().create_step(harmless(step_dict))
                self._words.changed(str(step_dict["threadId"]))

    @queue_until_user_message()
    async def delete_step(self, step_id: str) -> None:
        """As inherited, in turn: a step must not be deleted before it is written."""
        async with self._turn(_chat()):
            rows = await self.execute_sql('SELECT "threadId" FROM steps WHERE "id" = :id', {"id": step_id})
            await super().delete_step(step_id)
            for row in rows if isinstance(rows, list) else ():
                self._words.changed(row["threadId"])

    @queue_until_user_message()
    async def create_element(self, element: Element) -> None:
        """As inherited, in turn, but an element that points to one of our own routes is not stored.

        Each file is entirely in memory during this, so they are handled one by one. It is opened at once, because
        Chainlit deletes it with the page.
        """
        if element.url and not element.content and not element.path:
            return
        with Path(element.path).open("rb") if element.path else nullcontext() as file:  # noqa: ASYNC230 - see above
            async with self._turn(str(element.thread_id)):
                if file and (content := await asyncio.to_thread(file.read)):
                    element = copy(element)  # others need its path
                    element.content, element.path = content, None
                await super().create_element(element)

    @queue_until_user_message()
    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        """As inherited, in turn."""
        async with self._turn(thread_id or _chat()):
            await super().delete_element(element_id, thread_id)

    async def forget_after(self, thread_id: str, step_id: str) -> list[str]:
        """Delete all that came after a message of a chat; returns the ids of the deleted steps."""
        async with self._turn(thread_id):
            rows = await self.execute_sql(_LATER, {"chat": thread_id, "step": step_id})
            ids = [str(row["id"]) for row in rows] if isinstance(rows, list) else []
            for later in ids:
                await self._forget_files(later)
                await super().delete_step(later)
            self._words.changed(thread_id)
        return ids

    async def _forget_files(self, step_id: str) -> None:
        """Delete the stored files of a message, which Chainlit leaves in their folder."""
        rows = await self.execute_sql('SELECT "objectKey" FROM elements WHERE "forId" = :id', {"id": step_id})
        for row in rows if isinstance(rows, list) else ():
            if row["objectKey"] and self.storage_provider:
                await self.storage_provider.delete_file(row["objectKey"])

    async def upsert_feedback(self, feedback: Feedback) -> str:
        """As inherited, in turn, for a message that is there; its chat is the message's, whatever the page says.

        A message has one feedback at most: what comes again, as nobody heard that it was stored, replaces it.

        Raises:
            ValueError: there is no such message.
        """
        chat = await self._chat_of(feedback.forId)
        async with self._turn(chat):
            feedback.threadId = await self._chat_of(feedback.forId)  # it may have been deleted meanwhile
            known = await self.execute_sql('SELECT "id" FROM feedbacks WHERE "forId" = :id', {"id": feedback.forId})
            if isinstance(known, list) and known:
                feedback.id = str(known[0]["id"])
            if feedback.comment is not None:
                feedback.comment = feedback.comment[:MAX_COMMENT]
            return str(await super().upsert_feedback(feedback))

    async def _chat_of(self, step_id: str) -> str:
        rows = await self.execute_sql('SELECT "threadId" FROM steps WHERE "id" = :id', {"id": step_id})
        if not isinstance(rows, list) or not rows:
            raise ValueError("There is no such answer.")
        return str(rows[0]["threadId"])

    async def delete_feedback(self, feedback_id: str) -> bool:
        """As inherited, in turn."""
        async with self._turn(feedback_id):
            return bool(await super().delete_feedback(feedback_id))

    async def _keep_thread(self, step: StepDict) -> bool:
        """Create the row of the step's chat, with its owner, if it is missing; False if the user deleted the chat.

        Chainlit writes the owner in a separate task, which may fail or never run. Only a new question restores a
        deleted chat.
        """
        thread_id, question = str(step["threadId"]), step.get("type") == "user_message"
        if thread_id in self._deleted and not question:
            return False
        if self.several and not question and thread_id in self._stored and not await self._has(thread_id):
            return False  # deleted in another process
        self._deleted.discard(thread_id)
        self._stored.add(thread_id)
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

    async def list_threads(self, pagination: Pagination, filters: ThreadFilter) -> PaginatedResponse[ThreadDict]:
        """The user's chats, the last used first, without their messages, which no list shows.

        A search finds the chats with a question or an answer that has all the words, and those named so.
        """
        if not filters.userId:
            raise ValueError("userId is required")
        rows = await self.execute_sql(CHATS, {"user": filters.userId, "judged": filters.feedback})
        if self.several and filters.search:
            self._words.forget()
        found = await self._words.having(filters.search or "", rows if isinstance(rows, list) else [])
        return page_of(found, pagination)

    async def get_thread_author(self, thread_id: str) -> str:
        """The owner of a chat; empty if there is no such chat."""
        try:
            return str(await super().get_thread_author(thread_id))
        except ValueError:
            return ""

    async def get_all_user_threads(
        self, user_id: str | None = None, thread_id: str | None = None
    ) -> list[ThreadDict] | None:
        """As inherited, with JSON columns parsed and no None texts; one chat also with the commands and the pickers."""
        threads: list[Any] | None = await super().get_all_user_threads(user_id, thread_id)
        if threads and thread_id:
            rows = await self.execute_sql(_SENT, {"chat": thread_id})
            sent = {row["id"]: row for row in rows} if isinstance(rows, list) else {}
            for step in (step for thread in threads for step in thread["steps"] if step["id"] in sent):
                step |= {name: sent[step["id"]][name] for name in ("command", "modes")}
        await asyncio.to_thread(make_readable, threads or [])  # the sidebar reads all chats
        return threads

    async def _tell(self, sentence: str) -> None:
        """Say it in the chat, once; the message itself is not stored."""
        try:
            session = get_context().session
        except Exception:  # noqa: BLE001 - outside a chat there is nobody to tell
            return
        if (session.id, sentence) in self._told:
            return
        if len(self._told) > 1000:  # just an upper bound
            self._told.clear()
        self._told.add((session.id, sentence))
        message = ErrorMessage(sentence)
        message.created_at = utc_now()
        await context.emitter.send_step(message.to_dict())


def _prepare(connection: Any, _record: Any) -> None:
    """Make each connection wait for locks, and each commit durable."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA secure_delete=ON")  # leaves no text of a deleted chat in free pages
    cursor.close()


def _chat() -> str:
    """The id of the chat that is served; empty outside one."""
    try:
        return str(get_context().session.thread_id)
    except Exception:  # noqa: BLE001 - there is none
        return ""


def _fault(error: Exception) -> int:
    """SQLite's primary result code; 0 if it is not an SQLite error."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return int(code) & 0xFF


def _named(words: str) -> str:
    return " ".join(words.split())[:120] or NAMELESS_CHAT


def forget_log(file: Path) -> None:
    """Move SQLite's log into the file and empty it, because it still holds pages from before a deletion."""
    with closing(sqlite3.connect(file, timeout=5)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
