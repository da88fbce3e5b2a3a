"""The two places that keep a catalogue, for tests that run over both."""

from __future__ import annotations

import asyncio
import uuid

from ingest import IngestSettings


def new_schema(server) -> str:
    """The address of an empty schema of its own in a database of a real server."""
    import asyncpg

    name = f"catalogue_{uuid.uuid4().hex[:12]}"

    async def make() -> None:
        connection = await asyncpg.connect(server.url("postgres"))
        await connection.execute(f"CREATE SCHEMA {name}")
        await connection.close()

    asyncio.run(make())
    return f"{server.url('postgres')}?search_path={name}"


def settings_in(place: str, folder, request) -> IngestSettings:
    """Settings of a library whose catalogue is in this place, "sqlite" or "postgres"."""
    if place == "sqlite":
        return IngestSettings(library=folder)
    return IngestSettings(library=folder, catalogue=new_schema(request.getfixturevalue("postgres_server")))
