"""The two places that keep chats, as tests see them from outside: opened, asked, and locked as another program does."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import uuid
from contextlib import closing


class FilePlace:
    """`chats.db` in a folder."""

    postgres = False

    def __init__(self, folder) -> None:
        self.folder, self.file = folder, folder / "chats.db"

    def open(self):
        from ui.chats.history import ChatHistory, UploadFolder

        return ChatHistory(self.file, UploadFolder(self.folder / "uploads"))

    async def run(self, sql: str) -> list[tuple]:
        """Rows of a statement, from a connection of its own."""
        with closing(sqlite3.connect(self.file, timeout=60)) as database, database:
            return database.execute(sql).fetchall()

    @contextlib.asynccontextmanager
    async def locked(self):
        """Hold the whole place as another program does."""
        other = sqlite3.connect(self.file, isolation_level=None, timeout=0)
        while True:
            try:
                other.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError:  # a write of this very loop has begun: let it end
                await asyncio.sleep(0.01)
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    async def answers(self, user: str, **options):
        from ui.chats.insight import answers_of

        return list(answers_of(self.file, user, **options))


class PostgresPlace:
    """A schema of its own in a database of a real server."""

    postgres = True

    def __init__(self, folder, url: str) -> None:
        self.folder, self.url = folder, url

    @classmethod
    async def made(cls, folder, server, **options):
        """Another empty one."""
        name = f"chats_{uuid.uuid4().hex[:12]}"
        made = cls(folder, f"{server.url('postgres', **options)}?search_path={name}")
        await made.run(f"CREATE SCHEMA {name}")
        return made

    @property
    def address(self):
        from ingest.postgres import parse

        return parse(self.url)

    def open(self):
        from ui.chats.history import UploadFolder
        from ui.chats.postgres import PostgresHistory

        return PostgresHistory(self.address, UploadFolder(self.folder / "uploads"))

    async def run(self, sql: str) -> list[tuple]:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def locked(self):
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE users, threads, steps, elements, feedbacks IN EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()

    async def answers(self, user: str, **options):
        from ui.chats.insight import answers_in

        return await asyncio.to_thread(lambda: list(answers_in(self.address, user, **options)))
