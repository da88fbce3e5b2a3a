"""Two people with one library: Ada, an administrator, has a private paper and a chat; Bob has neither."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import chainlit as cl
import pytest
from fastapi.testclient import TestClient

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest import ingest_pdf
from stored_chats import answered, asked, keep
from two_people import OTHER, SECRET, pdf_about

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ingest import Library
    from ui.people.store import People, Person


@dataclass
class Two:
    """What a test needs of them."""

    whole: Library
    people: People
    ada: Person
    bob: Person
    keys: dict[str, str]
    private: str
    """Ada's paper."""
    shared: str
    """A paper that Ada shares."""
    files: dict[str, Path]
    chat: str = ""
    step: str = ""
    feedback: str = ""
    element: str = ""
    upload: str = ""
    clients: dict[str, TestClient] = field(default_factory=dict)

    def as_(self, name: str) -> AbstractContextManager[None]:
        """Inside, this person asks."""
        from ui.people import who

        return who.signed_in_as(self.keys[name])

    def client(self, name: str | None) -> TestClient:
        """A browser in which this person is signed in; None for nobody."""
        from chainlit.server import app as server

        from ui.people.guard import PeopleGuard

        made = TestClient(PeopleGuard(server), base_url="http://localhost:8000", client=("127.0.0.1", 5000))
        if name:
            made.cookies.set("access_token", self.token(name))
        return made

    def token(self, name: str) -> str:
        import jwt
        from chainlit.auth import get_jwt_secret

        from ui.people.who import SIGN_IN

        person = getattr(self, name)
        kept: dict[str, Any] = {"identifier": person.id, "display_name": person.name}
        return jwt.encode(
            {**kept, "metadata": {SIGN_IN: self.keys[name]}, "exp": 4_000_000_000}, get_jwt_secret(), algorithm="HS256"
        )


@pytest.fixture
async def two(app, library, tmp_path, monkeypatch):
    from rag import Assistant, RagSettings
    from ui import core
    from ui.chats.history import ChatHistory, UploadFolder
    from ui.people import who
    from ui.people.shares import Shares
    from ui.web import adding, patches

    monkeypatch.setattr(core, "whole_library", lambda: library)
    serving = type("Serving", (), {"current": None})()
    monkeypatch.setattr(core, "serving", lambda: serving)
    core.serving.cache_info = lambda: type("Info", (), {"currsize": 0})
    people = who.begin(library.folder)
    core.share(Shares(lambda: library))
    monkeypatch.setattr(patches, "new_key", people.sign_in)
    ada, bob = people.add("Ada"), people.add("Bob")
    files = {"private": pdf_about(tmp_path / f"{SECRET}.pdf", SECRET), "shared": pdf_about(tmp_path / "q.pdf", OTHER)}
    embedder = HashEmbedder()
    drafter = ScriptedChatModel(*["It was measured in the field [1]."] * 9)
    serving.current = Assistant(
        library=library, embedder=embedder, drafter=drafter, settings=RagSettings(drafter_sentences=0)
    )
    keys = {"ada": people.sign_in(ada.id), "bob": people.sign_in(bob.id)}
    made = Two(library, people, ada, bob, keys, private="", shared="", files=files)
    with made.as_("ada"):
        for name, path in files.items():
            core.bring(path, path.name)
            report = ingest_pdf(path, library=core.library(), embedder=embedder)
            assert report.status == "added", report
            setattr(made, name, report.paper_id)
        core.library().share([made.shared], on=True)
        core.library().tag([made.private], f"{SECRET}-tag")
    history = ChatHistory(library.folder / "chats.db", UploadFolder(tmp_path / "uploads"))
    monkeypatch.setattr("chainlit.data._data_layer", history)
    monkeypatch.setattr("chainlit.data._data_layer_initialized", True)
    users = {one.name: await history.create_user(cl.User(identifier=one.id)) for one in (ada, bob)}
    await _chat_of(made, history, users["Ada"].id)
    yield made
    await history.close()
    for one in adding._jobs:
        one.stop()
    adding._adding_of.cache_clear()
    core.forget_removals()
    core.share(None)
    who.end()


async def _chat_of(two: Two, history, user: str) -> None:
    from chainlit.context import context_var, init_ws_context
    from chainlit.session import WebsocketSession

    from fakes import SilentPage

    page = SilentPage()
    session = WebsocketSession(
        id=str(uuid.uuid4()), socket_id=str(uuid.uuid4()), emit=page.emit, emit_call=page.emit_call, user_env={},
        client_type="webapp", user=await history.get_user(two.ada.id),
    )  # fmt: skip
    before = context_var.set(init_ws_context(session))
    session.has_first_interaction = True
    two.chat = str(uuid.uuid4())
    await history.update_thread(two.chat, name=f"About the {SECRET}", user_id=user)
    paper = two.whole.paper(two.private)
    await keep(history, two.chat, asked(f"How was the {SECRET} measured?"), answered(paper, f"The {SECRET} was [2]."))
    rows = await history.execute_sql('SELECT "id" FROM steps WHERE "type" = :t', {"t": "assistant_message"})
    two.step, two.feedback, two.element = rows[0]["id"], str(uuid.uuid4()), str(uuid.uuid4())
    feedback = {"id": two.feedback, "step": two.step, "chat": two.chat}
    await history.execute_sql(
        'INSERT INTO feedbacks ("id", "forId", "threadId", "value") VALUES (:id, :step, :chat, 1)', feedback
    )
    await history.execute_sql(
        'INSERT INTO elements ("id", "threadId", "name", "type", "forId", "props") VALUES '
        "(:id, :chat, :name, :type, :step, '{}')",
        {"id": two.element, "chat": two.chat, "name": SECRET, "type": "custom", "step": two.step},
    )
    two.upload = f"{user}/{two.element}/{SECRET}.pdf"
    context_var.reset(before)
    await session.delete()
