"""Chainlit's callbacks, actions and messages with two people."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import chainlit as cl
import pytest
from chainlit.context import init_ws_context
from chainlit.session import WebsocketSession
from chainlit.user_session import user_sessions

from fakes import SilentPage
from two_people import SECRET
from ui.people import rules, who
from waiting import events_of

REFUSED = "You are signed out. Reload the page and sign in."


@pytest.fixture
async def page_of(two):
    """Makes the page of a person, with a chat of its own, as the one that is served now."""
    from chainlit.data import get_data_layer

    made = []

    async def open_page(name: str | None):
        page = SilentPage()
        user = await get_data_layer().get_user(getattr(two, name).id) if name else None
        session = WebsocketSession(
            id=str(uuid.uuid4()), socket_id=str(uuid.uuid4()), emit=page.emit, emit_call=page.emit_call, user_env={},
            client_type="webapp", user=user, token=two.token(name) if name else None,
        )  # fmt: skip
        init_ws_context(session)
        page.session = session
        made.append(session)
        return page

    yield open_page
    for session in made:
        user_sessions.pop(session.id, None)
        await session.delete()


def action(name: str, **payload) -> cl.Action:
    return cl.Action(name=name, payload=payload, label="What is it about?")


async def test_the_person_of_a_chat_is_who_is_signed_in_there(two, page_of) -> None:
    from ui import core

    for name in ("ada", "bob"):
        await page_of(name)
        assert core.person() == getattr(two, name).id
    await page_of(None)
    with pytest.raises(who.SignedOutError):
        core.library()


async def test_a_callback_is_for_who_is_signed_in_and_others_are_told(app, two, page_of) -> None:
    from ui.people.sign_in import checked

    called = []

    async def callback(value: int) -> int:
        called.append(value)
        return value

    await page_of("bob")
    assert await checked("chat on_message", callback)(1) == 1
    two.people.sign_out(two.keys["bob"])
    page = await page_of("bob")
    assert await checked("chat on_message", callback)(2) is None
    assert await checked("action of tomorrow", callback)(3) is None, "what is in no list is refused"
    assert called == [1]
    assert REFUSED in [text.replace("\\", "") for text in page.texts]


async def test_an_action_with_another_persons_paper_finds_none(app, two, page_of) -> None:
    page = await page_of("bob")
    for act in (
        app.ask_about(action("ask_about", paper_ids=[two.private])),
        app.add_attached(action("add_attached", file_id=two.private)),
        app.take_along(action("copy_answer", answer="It is so [1].", cited=[[1, two.private, 1]])),
        app.take_along(action("cited_bibtex", cited=[[1, two.private, 1]])),
    ):
        await act
    assert len(page.texts) == 4
    assert not [text for text in page.texts if SECRET in text]
    assert not page.of("send_window_message")


async def test_a_citation_of_another_persons_paper_opens_nothing(app, two, page_of) -> None:
    page = await page_of("bob")
    chunk = two.whole.chunk_ids([two.private])[0]
    await app.on_window_message({"type": "scholion:cite", "path": f"/cite/{chunk.replace(':', '/1/')}", "text": SECRET})
    assert not page.of("set_sidebar_elements")
    assert SECRET not in str(page.events)
    page = await page_of("ada")
    await app.on_window_message({"type": "scholion:cite", "path": f"/cite/{chunk.replace(':', '/1/')}", "text": SECRET})
    assert page.of("set_sidebar_elements")


async def test_what_is_chosen_is_only_what_is_seen(app, two, page_of) -> None:
    from ui import scope

    page = await page_of("bob")
    await app.on_window_message({"type": "scholion:choose", "ids": [two.private, two.shared]})
    assert scope.current().paper_ids == [two.shared]
    await app.on_window_message({"type": "scholion:choose", "tag": f"{SECRET}-tag"})
    assert [option.id for option in scope.picker().options if option.id.startswith("tag:")] == []
    nowhere = f"No paper has the tag '{SECRET}-tag'. Tag a paper in the Library."
    assert page.of("toast")[-1]["message"] == nowhere, "which names no other"


async def test_the_commands_of_a_chat_read_only_what_is_seen(app, two, page_of) -> None:
    page = await page_of("bob")
    for name in ("Summarise", "Compare", "Glossary", "Cost", "Export"):
        await app.on_message(cl.Message("", type="user_message", command=name))
    assert SECRET not in str(page.events)


async def test_starters_are_about_what_is_seen_and_the_offer_is_for_administrators(app, two, monkeypatch) -> None:
    from ui import composer, offer

    two.whole.describe(two.private, title=f"Some long title about the {SECRET}")
    two.whole.describe(two.shared, title="Some long title about shared papers")
    with two.as_("bob"):
        assert SECRET not in str([starter.message for starter in composer.starters()])
        monkeypatch.setattr(offer, "_looking", object())
        assert await offer.starters() == []
    with two.as_("ada"):
        assert SECRET in str([starter.message for starter in composer.starters()])


async def test_an_answer_with_another_persons_passages_is_not_refined(two) -> None:
    from rag.errors import UserFacingError
    from rag.saved_answer import load_answer, save_answer
    from ui import core

    with two.as_("ada"):
        events = await events_of(core.assistant().ask(f"How was the {SECRET} measured?"))
        kept = save_answer(events[-1].answer)
        assert load_answer(kept, library=core.library()).passages[0].paper.id == two.private
    with two.as_("bob"), pytest.raises(UserFacingError):
        load_answer(kept, library=core.library())


async def test_a_message_cannot_take_the_place_of_one_in_another_persons_chat(app, two, page_of, monkeypatch) -> None:
    from ui.people.sign_in import own_steps_only

    taken = []

    async def handler(sid: str, payload: dict) -> None:
        taken.append(payload["message"]["id"])

    wrapped = own_steps_only("client_message", handler)
    new = str(uuid.uuid4())
    page = await page_of("bob")
    for found in ("get", "require"):
        monkeypatch.setattr(WebsocketSession, found, classmethod(lambda cls, sid: page.session))
    await wrapped("sid", {"message": {"id": two.step}})
    assert [text.replace("\\", "") for text in page.texts] == [rules.GONE]
    assert page.of("task_end")
    await wrapped("sid", {"message": {"id": new}})
    page = await page_of("ada")
    await wrapped("sid", {"message": {"id": two.step}})
    assert taken == [new, two.step]
    page.session.token = None
    await wrapped("sid", {"message": {"id": new}})
    assert [text.replace("\\", "") for text in page.texts] == [REFUSED]
    assert page.of("task_end")
    assert taken == [new, two.step]


async def test_whose_sign_in_has_ended_opens_no_chat_over_a_websocket_that_is_open(two, page_of) -> None:
    from ui.people.sign_in import known_only, signed_in_only

    came = []

    async def handler(sid: str, *more) -> bool:
        came.append(sid)
        return True

    page = await page_of("bob")
    session, environ = page.session, {"HTTP_COOKIE": f"access_token={two.token('bob')}"}
    assert await known_only(handler)("one", environ, {}) is True
    assert await signed_in_only(handler)(session.socket_id) is True
    two.people.sign_out(two.keys["bob"])
    for cookies in (environ, {}, {"HTTP_COOKIE": "access_token=x"}):
        with pytest.raises(ConnectionRefusedError):
            await known_only(handler)("two", cookies, {})
    await signed_in_only(handler)(session.socket_id)
    assert came == ["one", session.socket_id]
    assert [text.replace("\\", "") for text in page.texts] == [REFUSED]
    assert page.of("task_end")


async def test_every_message_of_the_page_but_those_that_end_something_is_for_who_is_signed_in(app, two, monkeypatch):
    from chainlit.config import config
    from chainlit.server import app as server
    from chainlit.server import sio

    from ui.people import guard, sign_in

    before = dict(sio.handlers["/"])
    monkeypatch.setitem(sio.handlers, "/", dict(before))
    code = SimpleNamespace(**vars(config.code))
    monkeypatch.setattr(guard, "unlisted", lambda _: [])
    sign_in.protect(server, code)
    same = {name for name, handler in sio.handlers["/"].items() if handler is before[name]}
    assert same == set(sign_in.OPEN_EVENTS)


async def test_everybody_has_their_own_style_of_references(two) -> None:
    from ui.people.own_choices import choose_style, chosen_style

    folder = two.whole.folder
    with two.as_("ada"):
        choose_style("apa", folder)
    with two.as_("bob"):
        assert chosen_style(folder) is None
        choose_style("ieee", folder)
        assert chosen_style(folder).name == "ieee"
    with two.as_("ada"):
        assert chosen_style(folder).name == "apa"
        choose_style("", folder)
        assert chosen_style(folder) is None


async def test_a_chat_export_says_nothing_of_papers_that_are_not_seen_any_more(two) -> None:
    ada, address = two.client("ada"), f"/export/chat/{two.chat}.bib"
    assert SECRET in ada.get(address).text
    assert two.client("bob").get(address).status_code == 404
    two.people.forget(two.private)
    assert SECRET not in ada.get(address).text
