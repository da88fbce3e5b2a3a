"""The chat history: Chainlit's SQLAlchemy layer on SQLite, made to work, and attached files in a folder.

Against the layer as it comes: lists and dictionaries are stored as JSON and read back as such; an element that already
has an address of ours is not downloaded; steps are written in the order in which they were sent; an unknown chat is not
an error; what cannot be stored is said aloud, once, instead of being logged; and no message is written or read
before every image and foreign link in it is broken, whatever version of us, or whoever else, wrote it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
from contextlib import closing
from importlib import resources
from typing import TYPE_CHECKING, Any

import aiofiles
from chainlit.context import context, get_context
from chainlit.data.sql_alchemy import SQLAlchemyDataLayer
from chainlit.data.storage_clients.base import BaseStorageClient
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError

from rag.sanitise import broken

if TYPE_CHECKING:
    from pathlib import Path

    from chainlit.element import Element
    from chainlit.step import StepDict
    from chainlit.types import ThreadDict

log = logging.getLogger(__name__)

NAMELESS_CHAT = "Your papers"
"""What a chat is called that began without words: with an upload, or with a look at the library."""


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
        super().__init__(f"sqlite+aiosqlite:///{file}", storage_provider=uploads)
        self._file = file
        event.listen(self.engine.sync_engine, "connect", _prepare)
        self._in_order = asyncio.Lock()
        self._told: set[str] = set()

    async def execute_sql(self, query: str, parameters: dict[str, Any]) -> list[dict[str, Any]] | int | None:
        """Rows of a query, else the number of changed rows; None where it failed, which the user is told."""
        plain = {
            key: json.dumps(value) if isinstance(value, dict | list | tuple) else value
            for key, value in parameters.items()
        }
        try:
            async with self.engine.begin() as connection:
                result = await connection.execute(text(query), plain)
                return [dict(row) for row in result.mappings()] if result.returns_rows else result.rowcount
        except SQLAlchemyError:
            log.exception("The chat history could not be read or written")
            await self._tell()
            return None

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """As inherited, with a name for a chat that began without words."""
        if name is not None:
            name = " ".join(name.split())[:120] or NAMELESS_CHAT
        await super().update_thread(thread_id, name=name, user_id=user_id, metadata=metadata, tags=tags)

    async def delete_thread(self, thread_id: str) -> None:
        """As inherited, and the file's log, which has the messages as they were, is emptied."""
        await super().delete_thread(thread_id)
        try:
            await asyncio.to_thread(forget_log, self._file)
        except sqlite3.Error:
            log.exception("The log of the chat history could not be emptied; it is when Scholion ends")

    async def create_step(self, step_dict: StepDict) -> None:
        """As inherited, one after the other: a message's first state must not overwrite its last."""
        async with self._in_order:
            await super().create_step(_harmless(step_dict))

    async def create_element(self, element: Element) -> None:
        """As inherited, but an element that points at one of our own routes is not kept."""
        if element.url and not element.content and not element.path:
            return
        await super().create_element(element)

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
        for thread in threads or []:
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
        return threads

    async def _tell(self) -> None:
        try:
            session = get_context().session
        except Exception:  # noqa: BLE001 - outside a chat there is nobody to tell
            return
        if session.id in self._told:
            return
        if len(self._told) > 1000:  # a bound, not a measure
            self._told.clear()
        self._told.add(session.id)
        await context.emitter.send_toast(
            "This chat cannot be saved: its file in the library folder cannot be written. "
            "Check free space and permissions; what you see here stays until you close the page.",
            "error",
        )


def _prepare(connection: Any, _record: Any) -> None:
    """Each connection waits for the others, and a commit is on the disk when it returns."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA secure_delete=ON")  # a deleted chat leaves no text in free pages
    cursor.close()


def forget_log(file: Path) -> None:
    """Move SQLite's log into the file and empty it: it keeps pages as they were before something was deleted."""
    with closing(sqlite3.connect(file, timeout=5)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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
