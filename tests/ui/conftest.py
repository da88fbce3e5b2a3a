"""Chainlit without a browser: a real session and emitter whose socket is a list, over a scripted assistant."""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path

import pytest

from fakes import ScriptedAssistant, SilentPage

ROOT = Path(__file__).resolve().parents[2]

_application = Path(tempfile.mkdtemp(prefix="scholion-ui-"))
(_application / ".chainlit").mkdir()
for _name in ("public", "chainlit.md", ".chainlit/config.toml"):
    (_application / _name).symlink_to(ROOT / _name)
os.environ |= {  # before chainlit is imported: it looks for its files at once, and writes some
    "CHAINLIT_APP_ROOT": str(_application),
    "CHAINLIT_AUTH_SECRET": "only-for-tests-0123456789abcdef0123456789abcdef",
}


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

    made = SilentPage()
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
