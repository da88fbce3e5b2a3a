"""The real server with accounts: signing in, the websocket, another person's chat, uploads, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import socketio.exceptions

from places import ROOT
from served import Page, Served, app_root, new_id
from two_people import SECRET, pdf_about
from ui.people import passwords
from ui.people.store import People
from waiting import soon

PASSWORD = "several plain words"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    library = folder / "library"
    people = People(library)
    for name in ("Ada", "Bob"):
        people.add(name, password=passwords.hashed(PASSWORD))
    people.close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SCHOLION_PEOPLE", "passwords")
        made = Served(library=library, root=app_root(folder / "root")).start()
    yield made
    made.stop()


class Person(Page):
    """A browser whose user signs in with a password."""

    async def sign_in_as(self, name: str) -> Person:
        reply = await self.http.post("/login", data={"username": name, "password": PASSWORD})
        assert reply.status_code == 200, reply.text
        return self


@pytest.fixture
async def ada(served):
    made = await Person(served.url).sign_in_as("ada")
    yield made
    await made.close()


@pytest.fixture
async def bob(served):
    made = await Person(served.url).sign_in_as("Bob")
    yield made
    await made.close()


def message(text: str = "", **more) -> dict:
    said = {"id": new_id(), "type": "user_message", "output": text, "name": "x", "createdAt": "2026-11-30T01:00:00Z"}
    return {"message": said | more, "fileReferences": more.pop("files", [])}


async def test_a_stranger_gets_neither_page_nor_websocket(served) -> None:
    stranger = Page(served.url)
    config = (await stranger.http.get("/auth/config")).json()
    assert (config["passwordAuth"], config["headerAuth"]) == (True, False)
    assert (await stranger.http.post("/auth/header")).status_code == 404
    for address in ("/", f"/thread/{new_id()}"):
        assert "set-cookie" not in (await stranger.http.get(address)).headers
    with pytest.raises(socketio.exceptions.ConnectionError):
        await stranger.connect(new_id())
    await stranger.close()


async def test_a_paper_and_a_chat_are_their_owners_and_nobody_elses(served, ada, bob, tmp_path) -> None:
    session, chat = new_id(), new_id()
    await ada.connect(session, threadId=chat)
    sent = (await ada.upload(session, pdf_about(tmp_path / f"{SECRET}.pdf", SECRET).read_bytes())).json()
    await ada.socket.emit("client_message", message(SECRET) | {"fileReferences": [{"id": sent["id"]}]})
    assert await soon(lambda: any("is in your library" in json.dumps(data) for _, data in ada.heard)), ada.heard
    (paper,) = (await ada.http.get("/library/papers")).json()["papers"]

    async def lists() -> bool:
        page = {"pagination": {"first": 9}, "filter": {}}
        return chat in (await ada.http.post("/project/threads", json=page)).text

    assert await lists()
    await bob.connect(new_id())
    for address in (f"/project/thread/{chat}", f"/papers/{paper['id']}.pdf", f"/page/{paper['id']}/1"):
        reply = await bob.http.get(address)
        assert reply.status_code == 404
        assert SECRET not in reply.text
    reply = await bob.http.request("DELETE", "/project/thread", json={"threadId": chat})
    assert reply.status_code == 404
    other = await Person(served.url).sign_in_as("Bob")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await other.connect(new_id(), threadId=chat)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await other.connect(session)
    await other.close()
    assert (await bob.http.get("/library/papers")).json()["total"] == 0
    assert (await bob.http.get("/settings/state")).status_code == 403
    links = (await bob.http.get("/project/settings")).json()["ui"]["header_links"]
    assert [link["url"] for link in links] == ["/insight", "/lab"]


async def test_whoever_signs_out_is_heard_no_more_in_an_open_page(bob) -> None:
    await bob.connect(new_id())
    before = dict(bob.http.cookies)
    await bob.http.post("/logout")
    bob.http.cookies.update(before)
    assert (await bob.http.get("/user")).status_code == 401
    bob.heard.clear()
    await bob.socket.emit("client_message", message("Is anybody there?"))
    await bob.socket.emit("window_message", {"type": "scholion:library"})
    assert await soon(lambda: any("signed out" in json.dumps(data) for _, data in bob.heard)), bob.heard
    assert not any("set_sidebar" in event for event, _ in bob.heard)


def test_a_command_adds_for_all_and_the_first_administrator_has_it(served, tmp_path) -> None:
    path = pdf_about(tmp_path / "team.pdf", "wombat")
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "add", "--json", str(path)],
        cwd=ROOT, env=os.environ | {"SCHOLION_LIBRARY": str(served.library)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    people = People(served.library)
    assert {name: hold.shared for name, hold in people.held(row["paper_id"]).items()} == {"local": True}
    people.close()


class Provider(BaseHTTPRequestHandler):
    """A provider at which everybody is who the code says."""

    def _say(self, said: dict) -> None:
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self._say({"access_token": form["code"][0], "token_type": "bearer"})

    def do_GET(self) -> None:
        self._say({"email": self.headers["authorization"].removeprefix("Bearer "), "name": "Somebody"})

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider():
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


async def test_at_a_provider_those_with_an_account_come_in_and_others_do_not(provider, tmp_path, monkeypatch) -> None:
    people = People(tmp_path / "library")
    people.add("Ada", login="generic:ada@example.org")
    people.close()
    for name, value in {
        "SCHOLION_PEOPLE": "oauth",
        "OAUTH_GENERIC_CLIENT_ID": "x",
        "OAUTH_GENERIC_CLIENT_SECRET": "y",
        "OAUTH_GENERIC_SCOPES": "openid",
        "OAUTH_GENERIC_AUTH_URL": f"{provider}/authorize",
        "OAUTH_GENERIC_TOKEN_URL": f"{provider}/token",
        "OAUTH_GENERIC_USER_INFO_URL": f"{provider}/me",
    }.items():
        monkeypatch.setenv(name, value)
    served = Served(library=tmp_path / "library", root=app_root(tmp_path / "root")).start()
    try:
        for who, known in (("ada@example.org", True), ("mallory@example.org", False)):
            page = Page(served.url)
            config = (await page.http.get("/auth/config")).json()
            assert (config["oauthProviders"], config["passwordAuth"]) == (["generic"], False)
            asked = await page.http.get("/auth/oauth/generic")
            assert asked.headers["location"].startswith(f"{provider}/authorize")
            (state,) = parse_qs(urlsplit(asked.headers["location"]).query)["state"]
            wrong = await page.http.get("/auth/oauth/generic/callback", params={"code": who, "state": "another"})
            assert "error" in wrong.headers["location"]
            came = await page.http.get("/auth/oauth/generic/callback", params={"code": who, "state": state})
            assert ("success" in came.headers["location"]) == known
            assert (await page.http.get("/user")).status_code == (200 if known else 401)
            assert (await page.http.post("/login", data={"username": "Ada", "password": ""})).status_code in {400, 422}
            await page.close()
    finally:
        served.stop()


async def test_a_page_keeps_its_session_if_an_older_try_to_connect_is_answered_later(served, ada) -> None:
    session = new_id()
    await ada.connect(session)
    older = await Person(served.url).sign_in_as("Ada")
    older.http.cookies = ada.http.cookies
    await older.connect(session)  # it takes the session
    await older.socket.disconnect()
    await ada.socket.emit("client_message", message("What is there?"))
    assert await soon(lambda: any(event == "task_end" for event, _ in ada.heard)), ada.heard
    await older.close()
