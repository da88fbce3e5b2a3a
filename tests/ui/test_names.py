"""The names that a client sends, against a real server: no form of them reaches a file outside our own folder."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import socketio

from served import Page, Served, app_root, new_id

VICTIM = "work that must not be lost"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    started = Served(library=folder / "library", root=app_root(folder / "root")).start()
    yield started
    started.stop()


@pytest.fixture
async def page(server):
    opened = await Page(server.url).sign_in()
    yield opened
    await opened.close()


@pytest.fixture
def victim(server):
    """A folder of somebody's beside ours, reachable by `..` from where uploads lie."""
    folder = server.library.parent / f"victim-{new_id()}"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "thesis.txt").write_text(VICTIM)
    return folder


def _tree(*folders: Path) -> set[str]:
    """Every file and folder there, without those that a database makes and drops as it likes."""
    return {
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm", "-journal", ".log"))
    }


async def _until(condition, seconds: float = 200.0) -> None:
    for _ in range(int(seconds * 20)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


def _is_gone(name: str, folder: Path) -> bool:
    """Whether nothing of this name is below the folder; while one of its folders vanishes, nobody knows."""
    try:
        return not list(folder.rglob(name))
    except FileNotFoundError:
        return False


async def _settled(server: Served) -> None:
    """Until the server has cleared a session of ours that ended later than whatever is being tested."""
    later, name = await Page(server.url).sign_in(), new_id()
    await later.connect(name)
    assert (await later.upload(name)).status_code == 200
    assert list(server.library.parent.rglob(name))
    await later.clear()
    await _until(lambda: _is_gone(name, server.library.parent))
    await later.close()


async def _attack(page: Page, name: object) -> None:
    """Connect under this name, upload, clear, leave: what a local program can do."""
    with contextlib.suppress(socketio.exceptions.ConnectionError):
        await page.connect(name)
    with contextlib.suppress(httpx.InvalidURL):  # the client's own bound
        await page.upload(name)
    if page.socket.connected:
        await page.clear()


def _forms(server: Served, victim: Path) -> dict[str, object]:
    up = f"../../{victim.name}"  # from library/incoming or root/.files
    return {
        "absolute": str(victim),
        "relative": up,
        "relative below a name that exists": f"{new_id()}/../../../{victim.name}",
        "percent-encoded": up.replace("/", "%2f").replace(".", "%2e"),
        "percent-encoded absolute": str(victim).replace("/", "%2F"),
        "NUL": f"{victim}\x00{new_id()}",
        "NUL at the end": f"{new_id()}\x00",
        "very long": "a" * 100_000,
        "a very long path": "/".join(["a" * 200] * 500),
        "unicode dots": f"\u2025/\u2025/{victim.name}",
        "full-width slashes and dots": f"\uff0e\uff0e\uff0f\uff0e\uff0e\uff0f{victim.name}",
        "full-width digits": new_id().translate({ord("0") + n: 0xFF10 + n for n in range(10)}) + "\uff10",
        "our own folder": ".",
        "its parent": "..",
        "empty": "",
        "a UUID in braces": f"{{{new_id()}}}",
        "a UUID with a prefix": f"urn:uuid:{new_id()}",
        "a UUID in capitals": new_id().upper().replace("0", "A"),
        "a UUID with a line break": f"{new_id()}\n",
        "no text": 7,
        "a list": [str(victim)],
        "nothing": None,
    }


FORMS = list(_forms(Served.__new__(Served), Path("/x")))


@pytest.mark.parametrize("form", FORMS)
async def test_no_form_of_a_session_name_creates_or_removes_anything_outside(server, page, victim, form) -> None:
    before = _tree(server.library.parent)
    await _attack(page, _forms(server, victim)[form])
    await _settled(server)
    assert (victim / "below" / "thesis.txt").read_text() == VICTIM
    assert _tree(server.library.parent) == before, "nothing was created or removed"
    assert server.answers()


@pytest.mark.parametrize("form", FORMS)
async def test_the_door_refuses_every_other_name_than_ours(server, page, victim, form) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        await page.connect(_forms(server, victim)[form])


def _stored(server: Served, chat: Page) -> bool:
    """Whether the chat's message and its file are in the history: they are written beside the answer."""
    with closing(sqlite3.connect(server.library / "chats.db", timeout=60)) as database:
        return all(
            database.execute(f"SELECT count(*) FROM {table} WHERE id = ?", (name,)).fetchone()[0]
            for table, name in (("steps", chat.message["id"]), ("elements", chat.file), ("threads", chat.thread))
        )


@pytest.fixture
async def chat(server):
    """Another browser's page with a chat of its own: an attached file, kept as an element, and the chat's id."""
    from chainlit.utils import utc_now

    other = await Page(server.url).sign_in()
    other.session = new_id()
    await other.connect(other.session)
    other.file = (await other.upload(other.session, b"no PDF at all")).json()["id"]
    other.message = {"id": new_id(), "name": "You", "type": "user_message", "output": "", "createdAt": utc_now()}
    payload = {"message": other.message, "fileReferences": [{"id": other.file}]}
    await other.socket.emit("client_message", payload)
    await _until(lambda: any("is not a PDF" in str(said) for _, said in other.heard))
    await _until(lambda: any(event == "first_interaction" for event, _ in other.heard))
    other.thread = next(said for event, said in other.heard if event == "first_interaction")["thread_id"]
    await _until(lambda: _stored(server, other))
    yield other
    await other.close()


async def _whole(chat) -> None:
    """The chat and its file are as they were, and its page goes on with them."""
    assert chat.socket.connected
    file = await chat.http.get(f"/project/file/{chat.file}", params={"session_id": chat.session})
    assert file.content == b"no PDF at all"
    thread = (await chat.http.get(f"/project/thread/{chat.thread}")).json()
    assert [element["id"] for element in thread["elements"]] == [chat.file]
    (element,) = thread["elements"]
    assert (await chat.http.get(element["url"])).content == b"no PDF at all"
    assert chat.message["id"] in {step["id"] for step in thread["steps"]}
    chat.heard.clear()
    await chat.socket.emit("client_message", {"message": chat.message | {"id": new_id(), "command": "Library"}})
    await _until(lambda: any("'/library'" in str(said) for _, said in chat.heard))


@pytest.mark.parametrize("of", ["session", "thread", "file"])
async def test_a_session_under_anothers_name_takes_nothing_over_and_clears_nothing(server, page, chat, of) -> None:
    await _attack(page, getattr(chat, of))  # the attached file's element has the file's id
    await _settled(server)
    await _whole(chat)


async def test_another_browser_cannot_use_a_live_session(server, page, chat) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        await page.connect(chat.session)
    assert (await page.upload(chat.session)).status_code == 404
    action = {"name": "take_along", "payload": {}, "id": new_id()}
    element = {"id": chat.file, "type": "custom", "name": "ScholionPage", "display": "inline"}
    for method, path, body in (
        ("GET", f"/project/file/{chat.file}?session_id={chat.session}", None),
        ("POST", "/project/action", {"sessionId": chat.session, "action": action}),
        ("PUT", "/project/element", {"sessionId": chat.session, "element": element}),
        ("DELETE", "/project/element", {"sessionId": chat.session, "element": element}),
    ):
        assert (await page.http.request(method, path, json=body)).status_code == 404, path
    await _whole(chat)


async def test_the_same_browser_takes_its_session_up_again(server, chat) -> None:
    await chat.socket.disconnect()
    await chat.connect(chat.session)
    await _whole(chat)


def test_no_two_who_sign_in_at_once_have_the_same_cookie(app) -> None:
    import chainlit as cl

    from ui.web import patches

    user = cl.User(identifier="local", display_name="You")
    assert len({patches.ticket(user) for _ in range(20)}) == 20


BODIES = {
    "PUT /project/thread": lambda name: {"threadId": name, "name": "mine"},
    "DELETE /project/thread": lambda name: {"threadId": name},
    "PUT /feedback": lambda name: {"sessionId": new_id(), "feedback": {"forId": name, "value": 1}},
    "PUT /feedback ": lambda name: {"sessionId": new_id(), "feedback": {"forId": new_id(), "id": name, "value": 1}},
    "DELETE /feedback": lambda name: {"feedbackId": name},
    "PUT /project/element": lambda name: {"sessionId": name, "element": {"id": new_id(), "type": "custom"}},
    "DELETE /project/element": lambda name: {"sessionId": new_id(), "element": {"id": name, "type": "custom"}},
    "POST /project/action": lambda name: {"sessionId": name, "action": {"name": "take_along", "payload": {}}},
    "POST /project/threads": lambda name: {"pagination": {"first": 9, "cursor": name}, "filter": {}},
    "POST /set-session-cookie": lambda name: {"session_id": name},
    "POST /mcp": lambda name: {"sessionId": name, "name": "x"},
    "DELETE /mcp": lambda name: {"sessionId": name, "name": "x"},
}


@pytest.mark.parametrize("request_", BODIES)
async def test_a_foreign_name_in_a_body_is_refused(server, page, victim, request_) -> None:
    before = _tree(server.library.parent)
    method, path = request_.split()
    for form, name in _forms(server, victim).items():
        if form in {"empty", "nothing"} and "session" not in str(BODIES[request_]("")):
            continue
        answer = await page.http.request(method, path, json=BODIES[request_](name))
        assert answer.status_code in {404, 422}, (form, answer.text)
    assert _tree(server.library.parent) == before
    assert server.answers()


@pytest.mark.parametrize(
    "path",
    [
        "/project/thread/{}",
        "/project/thread/00000000-0000-4000-8000-000000000000/element/{}",
        "/project/share/{}",
        "/project/file/{}?session_id=00000000-0000-4000-8000-000000000000",
        "/project/file/00000000-0000-4000-8000-000000000000?session_id={}",
        "/public/{}",
        "/assets/{}",
        "/copilot/{}",
        "/avatars/{}",
        "/uploads/{}",
        "/papers/{}.pdf",
        "/page/{}/1",
        "/page/0123456789abcdef/{}",
    ],
)
async def test_a_foreign_name_in_an_address_reaches_nothing(server, page, victim, path, monkeypatch) -> None:
    monkeypatch.setattr("ui.web.rate.PER_SECOND", 1e9)  # each request is to be looked at
    (victim / "below" / "thesis.txt").rename(victim / "thesis.txt")
    before = _tree(server.library.parent)
    pages = {(await page.http.get(path)).text for path in ("/", "/favicon")}
    for form, name in _forms(server, victim).items():
        if not isinstance(name, str):
            continue
        for end in ("", "/thesis.txt", "%2fthesis.txt"):
            try:
                answer = await page.http.get(path.format(quote(name, safe="") + end))
            except httpx.InvalidURL:  # the client's own bound
                continue
            assert answer.status_code in {400, 401, 404, 405, 422} or answer.text in pages, (form, answer.status_code)
            assert VICTIM not in answer.text
    assert _tree(server.library.parent) == before
    assert server.answers()


@pytest.mark.parametrize("place", ["id", "parentId", "threadId"])
async def test_a_message_with_a_foreign_name_is_not_taken(server, chat, victim, place) -> None:
    for name in _forms(server, victim).values():
        if name:
            message = chat.message | {"id": new_id(), "output": "not to be taken"} | {place: name}
            await chat.socket.emit("client_message", {"message": message, "fileReferences": [{"id": name}]})
    await _whole(chat)
    thread = (await chat.http.get(f"/project/thread/{chat.thread}")).json()
    assert "not to be taken" not in str(thread)  # `_whole` has seen an answer to what was sent later


async def test_an_edited_message_of_elsewhere_is_not_taken(server, chat) -> None:
    for name in (new_id(), "../x", None, 7):
        await chat.socket.emit("edit_message", {"message": chat.message | {"id": name, "output": "changed"}})
    for payload in (None, 7, {}, {"message": 7}):
        await chat.socket.emit("edit_message", payload)
    await _whole(chat)
    assert "changed" not in str((await chat.http.get(f"/project/thread/{chat.thread}")).json())


async def test_a_chats_name_never_becomes_sql(server, page, chat) -> None:
    for name in ("x') OR ('1'='1", f"{chat.thread}') UNION SELECT 1 --", "..", "x" * 100):
        with pytest.raises(socketio.exceptions.ConnectionError):
            await page.connect(new_id(), threadId=name)
    await _whole(chat)


def test_only_what_uuid4_writes_is_a_name() -> None:
    from ui.web import names

    assert all(names.is_made(new_id()) for _ in range(100))
    for name in (None, 7, "", "a", f"{new_id()}\n", f" {new_id()}", new_id().upper(), "0" * 32, str(uuid.uuid1())):
        assert not names.is_made(name), name


def test_a_place_is_below_its_folder_or_there_is_none(tmp_path) -> None:
    from ui.web import names

    folder, elsewhere = tmp_path / "incoming", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    name = new_id()
    assert names.inside(folder, name) == folder / name
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(names.ForeignNameError):
        names.inside(folder, name)
    for foreign in ("..", ".", "", str(elsewhere), f"{new_id()}/..", "a", None):
        with pytest.raises(names.ForeignNameError):
            names.inside(folder, foreign)


def test_a_session_cannot_even_be_made_under_a_foreign_name(app, tmp_path) -> None:
    from chainlit.session import HTTPSession

    from ui.web import names

    for options in ({"id": str(tmp_path)}, {"id": new_id(), "thread_id": "../x"}):
        with pytest.raises(names.ForeignNameError):
            HTTPSession(client_type="webapp", **options)
    session = HTTPSession(id=new_id(), client_type="webapp")
    session.id = str(tmp_path)  # whatever else may set it
    with pytest.raises(names.ForeignNameError):
        _ = session.files_dir


def test_leftovers_are_removed_at_start_and_nothing_else(tmp_path) -> None:
    from ui.web import names

    folder, elsewhere = tmp_path / "incoming", tmp_path / "elsewhere"
    left, link, other = folder / new_id(), folder / new_id(), folder / "notes"
    for made in (left, other, elsewhere):
        made.mkdir(parents=True)
        (made / "a.pdf").write_text("kept?")
    link.symlink_to(elsewhere)
    names.remove_leftovers(folder)
    assert not left.exists()
    assert (other / "a.pdf").exists()
    assert (elsewhere / "a.pdf").exists()
    names.remove_leftovers(tmp_path / "not there")
