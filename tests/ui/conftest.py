"""Chainlit without a browser: a real session and emitter whose socket is a list, over a scripted assistant."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

_application = Path(tempfile.mkdtemp(prefix="scholion-ui-"))
(_application / ".chainlit").mkdir()
for _name in ("public", "chainlit.md", ".chainlit/config.toml"):
    (_application / _name).symlink_to(ROOT / _name)
os.environ |= {  # before chainlit is imported: it looks for its files at once, and writes some
    "CHAINLIT_APP_ROOT": str(_application),
    "CHAINLIT_AUTH_SECRET": "only-for-tests-0123456789abcdef0123456789abcdef",
}


class Chat:
    """What the server sent to the page, as a list of (event, data)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.session: Any = None

    async def emit(self, event: str, data: Any) -> None:
        self.events.append((event, data))

    async def emit_call(self, event: str, data: Any, _timeout: int) -> None:
        self.events.append((event, data))

    def of(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The last state of every message and step, in the order in which they appeared."""
        last: dict[str, dict[str, Any]] = {}
        for event, data in self.events:
            if event in {"new_message", "update_message", "stream_start"}:
                last[data["id"]] = dict(data)
            elif event == "stream_token" and data["isSequence"]:
                last[data["id"]]["output"] = data["token"]
        return list(last.values())

    @property
    def texts(self) -> list[str]:
        return [step["output"] for step in self.steps if "message" in step["type"]]


class ScriptedAssistant:
    """Says what it was told to say; an exception in the script is raised, a number is slept."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.closed = 0
        self.embedder = None
        self.expert: Any = None
        self.refined: list[Any] = []

    async def ask(
        self, question: str, *, mode: str, paper_ids: Any, tag: Any = None, history: Any, asked_by: Any = None
    ):
        self.asked.append({"question": question, "mode": mode, "paper_ids": paper_ids, "tag": tag, "history": history})
        async with aclosing(self._play()) as events:
            async for event in events:
                yield event

    async def refine(self, answer: Any, *, asked_by: Any = None):
        self.refined.append(answer)
        async with aclosing(self._play()) as events:
            async for event in events:
                yield event

    async def _play(self):
        try:
            for item in self.script:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, float):
                    await asyncio.sleep(item)
                else:
                    yield item
        finally:
            self.closed += 1


@pytest.fixture(scope="session")
def app():
    """The callbacks, imported once with a library of their own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SCHOLION_LIBRARY", str(_application / "library"))
        import app as imported
    return imported


@pytest.fixture
async def chat(app):
    from chainlit.context import init_ws_context
    from chainlit.session import WebsocketSession
    from chainlit.user_session import user_sessions

    made = Chat()
    session = WebsocketSession(
        id=str(uuid.uuid4()),
        socket_id=str(uuid.uuid4()),
        emit=made.emit,
        emit_call=made.emit_call,
        user_env={},
        client_type="webapp",
    )
    init_ws_context(session)
    made.session = session
    yield made
    user_sessions.pop(session.id, None)
    await session.delete()


@pytest.fixture
def assistant(app, monkeypatch):
    from ui import core

    made = ScriptedAssistant()
    monkeypatch.setattr(core, "assistant", lambda: made)
    return made


@pytest.fixture
def shelf_library(app, library, monkeypatch):
    """An empty library in the place of the process's own."""
    from ui import core

    monkeypatch.setattr(core, "library", lambda: library)
    return library
