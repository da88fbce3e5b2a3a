"""Chainlit without a browser: a real session and emitter whose socket is a list, over a scripted assistant."""

from __future__ import annotations

import os
import tempfile
import uuid
from functools import cache
from pathlib import Path

import httpx
import numpy as np
import pytest

from chat_places import FilePlace, PostgresPlace
from fakes import ScriptedAssistant, SilentPage
from stored_chats import EVIL

ROOT = Path(__file__).resolve().parents[2]

_application = Path(tempfile.mkdtemp(prefix="scholion-ui-"))
(_application / ".chainlit").mkdir()
for _name in ("public", "chainlit.md", ".chainlit/config.toml"):
    (_application / _name).symlink_to(ROOT / _name)
for _path in ROOT.glob("chainlit_*.md"):  # Chainlit follows no link out of the folder for these
    (_application / _path.name).write_bytes(_path.read_bytes())
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
def settings_anew(app, monkeypatch):
    """In this test `core` reads the environment anew, once more after a call; what `app` uses stays as it is."""
    from ui import core

    monkeypatch.setattr(core, "settings", cache(core.settings.__wrapped__))
    monkeypatch.setattr(core, "whole_library", core.Once(core.whole_library._made.__wrapped__))

    def forget() -> None:
        core.settings.cache_clear()
        core.whole_library.cache_clear()

    return forget


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

    monkeypatch.setattr(core, "whole_library", lambda: library)
    return library


@pytest.fixture
def paper(shelf_library):
    from ingest import Chunk
    from ingest.paper import Page, Paper, ParsedPaper, Publication

    made = Paper(
        id="0123456789abcdef",
        title=f"Dunes {EVIL}",
        authors=("Sven van der Burg",),
        year=2021,
        n_pages=1,
        file_name="x.pdf",
        page_labels=("101",),
        publication=Publication(kind="article-journal", container="Journal of Peat", volume="14"),
    )
    pdf = shelf_library.folder / "x.pdf"
    pdf.write_bytes(b"%PDF-1.7")
    text = "The dune moved by four metres."
    chunk = Chunk(
        id=f"{made.id}:0000", paper_id=made.id, ordinal=0, text=text, start=0, end=len(text), first_page=1,
        last_page=1, section="2 Results", n_tokens=6,
    )  # fmt: skip
    vectors = np.ones((1, 3), np.float32)
    shelf_library.add(ParsedPaper(made, (Page(1, text),)), [chunk], vectors, embedder="fake@0", pdf=pdf)
    return made


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request, tmp_path):
    """Where the chats are kept, once as a file and once in Postgres; both promise the same."""
    if request.param == "sqlite":
        return FilePlace(tmp_path)
    return await PostgresPlace.made(tmp_path, request.getfixturevalue("postgres_server"))


@pytest.fixture
async def history(app, chat, place, monkeypatch):
    """The data layer of this chat, with its user signed in."""
    import chainlit as cl

    made = place.open()
    monkeypatch.setattr("chainlit.data._data_layer", made)
    monkeypatch.setattr("chainlit.data._data_layer_initialized", True)
    chat.session.user = await made.create_user(cl.User(identifier="local"))
    yield made
    await made.close()


@pytest.fixture
async def stored(app, chat, shelf_library, monkeypatch):
    """The history of a user with one chat, and another user's chat: (history, the user's, the other's)."""
    import chainlit as cl

    from ui.chats.history import ChatHistory, UploadFolder

    file = shelf_library.folder / "chats.db"
    made = ChatHistory(file, UploadFolder(shelf_library.folder / "uploads"))
    monkeypatch.setattr("chainlit.data._data_layer", made)
    monkeypatch.setattr("chainlit.data._data_layer_initialized", True)
    chat.session.user = await made.create_user(cl.User(identifier="local"))
    other = await made.create_user(cl.User(identifier="another"))
    chat.session.has_first_interaction = True
    theirs = str(uuid.uuid4())
    await made.update_thread(theirs, name="Secret", user_id=other.id)
    yield made, chat.session.thread_id, theirs
    await made.close()


@pytest.fixture
async def owner(app, stored):
    """A client of the export routes, signed in as the user."""
    import chainlit as cl
    from chainlit.auth import get_current_user
    from fastapi import FastAPI

    from ui.web.export_routes import router

    served = FastAPI()
    served.include_router(router())
    served.dependency_overrides[get_current_user] = lambda: cl.User(identifier="local")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as made:
        yield made
