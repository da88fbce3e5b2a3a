"""The routes, the guard and the chat history, without a browser."""

from __future__ import annotations

import asyncio
import json
import re
import uuid

import chainlit as cl
import pytest
from fastapi.testclient import TestClient

ALLOWED = "http://localhost:8000"


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url=ALLOWED)  # not as a context manager: leaving it ends the process


@pytest.fixture
def logged_in(client):
    assert client.post("/auth/header").status_code == 200
    return client


def test_healthz_names_us_and_the_library(client, app) -> None:
    assert client.get("/healthz").json() == {"name": "scholion", "library": str(app.folder)}


def test_the_first_page_brings_the_login_of_the_only_user(client) -> None:
    assert client.get("/user").status_code == 401
    for address in ("/", f"/thread/{uuid.uuid4()}"):
        client.cookies.clear()
        client.cookies.set("access_token", "of.another.library")
        assert "access_token" in client.get(address).headers["set-cookie"]
        assert "set-cookie" not in client.get(address).headers
        assert client.get("/user").json()["identifier"] == "local"


def test_the_page_names_no_other_host(client) -> None:
    reply = client.get("/")
    assert "https://" not in reply.text
    assert "http://" not in reply.text
    policy = reply.headers["content-security-policy"]
    assert "connect-src 'self' ws://127.0.0.1:8000 ws://localhost:8000" in policy
    assert "https:" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost:9"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
    ids=str,
)
def test_other_pages_and_names_are_refused(client, headers) -> None:
    assert client.get("/healthz", headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_our_own_names_are_answered(client, host: str) -> None:
    assert client.get("/healthz", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


def test_a_link_from_elsewhere_opens_the_page(client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


def test_papers_are_only_for_who_has_opened_the_page(client) -> None:
    stranger = TestClient(client.app, base_url=ALLOWED)
    assert stranger.get("/papers/0123456789abcdef.pdf").status_code == 401
    assert stranger.get("/export/chat/00000000-0000-4000-8000-000000000000.json").status_code == 401


def test_a_paper_is_served_as_a_pdf_and_nothing_else_is(logged_in, shelf_library, tmp_path) -> None:
    from fake_embedder import HashEmbedder
    from ingest import ingest_pdf
    from pdfs import column, write_pdf

    lines = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, lines))
    paper_id = ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id
    reply = logged_in.get(f"/papers/{paper_id}.pdf")
    assert reply.content == path.read_bytes()
    assert reply.headers["content-type"] == "application/pdf"
    assert reply.headers["content-disposition"].startswith("inline")
    assert reply.headers["x-content-type-options"] == "nosniff"
    for other in (paper_id[:8], "0" * 16, "..%2f..%2fapp", "library"):
        reply = logged_in.get(f"/papers/{other}.pdf")
        assert reply.status_code == 404 or b'<div id="root">' in reply.content
        assert b"%PDF" not in reply.content


@pytest.fixture
def two_pages(shelf_library, tmp_path):
    """The id of a paper of two pages, whose title is not to be trusted."""
    from fake_embedder import HashEmbedder
    from ingest import ingest_pdf
    from pdfs import column, write_pdf

    lines = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, lines), column(72, 720, lines[5:]))
    paper_id = ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id
    shelf_library.describe(paper_id, title='<script>alert("x")</script>')
    return paper_id


def document(reply):
    """What the page tells its script."""
    (data,) = re.findall(r'<script id="document" type="application/json">(.*?)</script>', reply.text)
    return json.loads(data)


def test_a_page_is_shown_with_its_words_marked(logged_in, two_pages) -> None:
    words = "Sentence 3 tells how the jars were opened, weighed and closed again."
    reply = logged_in.get(f"/page/{two_pages}/1", params={"words": words, "cited": 1})
    assert reply.status_code == 200
    assert len(document(reply)["marks"]) == 1
    assert "could not be highlighted" not in reply.text
    assert document(reply)["sizes"] == [[612.0, 792.0]] * 2
    assert "<script>alert" not in reply.text
    assert "http" not in reply.text, "nothing from elsewhere"
    following = logged_in.get(f"/page/{two_pages}/2", params={"words": words, "cited": 1})
    assert "could not be highlighted" not in following.text, "said only of the cited page"
    passage = logged_in.get(f"/page/{two_pages}/1", params={"passage": "0000", "cited": 1})
    assert len(document(passage)["marks"]) > 1


def test_words_that_are_not_there_are_called_so_and_the_page_is_shown(logged_in, two_pages) -> None:
    for words in ("Nothing of this was ever written on any page of it.", '"><script>alert(1)</script>', "x" * 9000):
        reply = logged_in.get(f"/page/{two_pages}/1", params={"words": words, "cited": 1})
        assert reply.status_code == 200
        assert "The cited text could not be highlighted on this page." in reply.text
        assert document(reply)["page"] == 1
        assert "<script>alert" not in reply.text


def test_the_picture_of_a_page_is_a_picture(logged_in, two_pages) -> None:
    reply = logged_in.get(f"/page/{two_pages}/2.png")
    assert reply.content.startswith(b"\x89PNG")
    assert reply.headers["content-type"] == "image/png"


def test_nothing_private_stays_in_a_browsers_cache(logged_in, two_pages, app) -> None:
    (app.attachments.root / "a.pdf").write_bytes(b"%PDF-1.7")
    private = (
        f"/papers/{two_pages}.pdf",
        f"/page/{two_pages}/1",
        f"/page/{two_pages}/1.png",
        "/uploads/a.pdf",
        "/user",
        "/project/settings",
        "/project/translations",
        f"/project/thread/{uuid.uuid4()}",
        f"/project/file/{uuid.uuid4()}?session_id={uuid.uuid4()}",
        "/thread/x",
        "/healthz",
        "/",
    )
    for path in private:
        assert logged_in.get(path).headers.get_list("cache-control") == ["no-store"], path
    assert logged_in.post("/project/threads", json={}).headers["cache-control"] == "no-store"
    assert logged_in.post("/auth/header").headers["cache-control"] == "no-store"
    for path in ("/public/custom.js", "/favicon", "/logo"):
        assert "cache-control" not in logged_in.get(path).headers, path


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"])
def test_the_server_does_not_describe_itself(logged_in, path: str) -> None:
    reply = logged_in.get(path)
    assert reply.status_code == 404
    assert "swagger" not in reply.text.casefold()


def test_a_chat_cannot_be_opened_to_everybody_nor_a_tool_server_be_started(logged_in) -> None:
    for method, path in (
        ("PUT", "/project/thread/share"),
        ("GET", f"/project/share/{uuid.uuid4()}"),
        ("POST", "/mcp"),
        ("DELETE", "/mcp"),
    ):
        reply = logged_in.request(method, path, json={"threadId": str(uuid.uuid4()), "isShared": True, "name": "x"})
        assert (reply.status_code, reply.json()) == (404, {"detail": "There is nothing here."})


@pytest.mark.parametrize("number", ["0", "3", "3.png", "0.png", "01", "-1", "1.pdf", "1.png.png", "99999999", "x"])
def test_pages_that_a_paper_has_not_are_not_found(logged_in, two_pages, number: str) -> None:
    assert logged_in.get(f"/page/{two_pages}/{number}").status_code == 404


@pytest.mark.parametrize("paper_id", ["0" * 16, "library", "..%2f..%2fapp", "%2e%2e", "*"])
def test_pages_of_other_files_are_not_found(logged_in, two_pages, paper_id: str) -> None:
    for number in ("1", "1.png"):
        for address in (f"/page/{paper_id}/{number}", f"/page/{two_pages[:8]}/{number}"):
            reply = logged_in.get(address)
            assert reply.status_code == 404 or b'<div id="root">' in reply.content
            assert b"PNG" not in reply.content[:8]
            assert b'id="document"' not in reply.content


def test_pages_are_only_for_who_has_opened_the_page(client, two_pages) -> None:
    stranger = TestClient(client.app, base_url=ALLOWED)
    assert stranger.get(f"/page/{two_pages}/1").status_code == 401
    assert stranger.get(f"/page/{two_pages}/1.png").status_code == 401


def test_a_link_to_a_page_opens_scholion_first_where_it_was_not_open(client, two_pages) -> None:
    stranger = TestClient(client.app, base_url=ALLOWED)
    clicked = {"sec-fetch-mode": "navigate", "sec-fetch-site": "cross-site"}
    reply = stranger.get(f"/page/{two_pages}/1", headers=clicked)
    assert reply.status_code == 401
    assert "/public/open-first.js" in reply.text
    assert "Sentence" not in reply.text
    for other in (f"/page/{two_pages}/1.png", f"/papers/{two_pages}.pdf", "/library"):
        assert "open-first" not in stranger.get(other, headers=clicked).text


def test_a_pdf_that_broke_gives_the_sentence_and_no_fault(logged_in, two_pages, shelf_library) -> None:
    shelf_library.pdf_path(two_pages).write_bytes(b"%PDF-1.7 broken")
    reply = logged_in.get(f"/page/{two_pages}/1", params={"words": "Sentence 3 tells how the jars", "cited": 1})
    assert "could not be highlighted" in reply.text
    assert logged_in.get(f"/page/{two_pages}/1.png").status_code == 422
    shelf_library.pdf_path(two_pages).unlink()
    assert logged_in.get(f"/page/{two_pages}/1").status_code == 404


def test_attached_files_stay_in_their_folder(logged_in, app) -> None:
    (app.folder / "secret").write_text("secret")
    for key in ("../secret", "..%2fsecret", "%2e%2e/secret", "/etc/passwd"):
        reply = logged_in.get(f"/uploads/{key}")
        assert reply.status_code in {200, 404}
        assert reply.text != "secret"
    assert app.attachments.path("../../secret").is_relative_to(app.attachments.root)
    assert app.attachments.path("/a/../b").is_relative_to(app.attachments.root)


def test_the_words_on_the_page_are_ours(client) -> None:
    words = client.get("/project/translations?language=en-US").json()["translation"]
    assert words["chat"]["input"]["placeholder"] == "Ask your papers, or drop a PDF here"
    assert words["chat"]["messages"]["status"]["used"] == "Read"


def test_the_configuration_is_as_we_need_it(app) -> None:
    from chainlit.config import config

    assert config.features.unsafe_allow_html is False
    assert config.features.edit_message is True
    assert config.features.latex is True
    assert config.features.mcp.enabled is False
    assert config.ui.cot == "tool_call"
    assert config.ui.name == "Scholion"
    assert config.project.allow_origins == []
    assert config.features.spontaneous_file_upload.accept == {"application/pdf": [".pdf"]}


@pytest.fixture
async def history(app, place):
    made = place.open()
    yield made
    await made.close()


async def test_a_message_with_modes_and_metadata_is_read_back_as_it_was(history, chat) -> None:
    chat.session.has_first_interaction = True
    user = await history.create_user(cl.User(identifier="local"))
    await history.update_thread("t", name="  ", user_id=user.id)
    message = cl.Message("Is it so?", type="user_message", modes={"answer": "refine"}, metadata={"answer": "A."})
    message.thread_id = "t"
    step = cl.Step(name="6 passages", type="tool", auto_collapse=True)
    step.thread_id = "t"
    await history.create_step(message.to_dict())
    await history.create_step(step.to_dict())
    thread = await history.get_thread("t")
    assert thread["name"] == "Your papers"
    assert {stored["name"] for stored in thread["steps"]} >= {"6 passages"}
    (stored,) = [stored for stored in thread["steps"] if stored["id"] == message.id]
    assert stored["output"] == "Is it so?"
    assert stored["metadata"] == {"answer": "A."}
    assert await history.get_thread_author("unknown") == ""


async def test_a_chats_id_that_would_become_sql_is_not_stored(history, chat) -> None:
    other, own = await history.create_user(cl.User(identifier="other")), await history.create_user(cl.User("local"))
    chat.session.has_first_interaction = True
    await history.update_thread("others-chat", name="private", user_id=other.id)
    secret = cl.Message("what another user asked")
    secret.thread_id = "others-chat"
    await history.create_step(secret.to_dict())
    columns = ["NULL"] * 21
    columns[:4] = '"id"', '"name"', '"type"', """(SELECT "id" FROM threads WHERE "id" LIKE 'x%')"""
    columns[11:13] = '"output"', '"createdAt"'
    evil = f"x') UNION ALL SELECT {', '.join(columns)} FROM steps /*"
    await history.update_thread(evil, name="mine", user_id=own.id)
    assert "what another user asked" not in str(await history.get_all_user_threads(user_id=own.id))


async def test_the_last_state_of_a_message_is_the_one_that_stays(history, chat) -> None:
    chat.session.has_first_interaction = True
    message = cl.Message("")
    message.thread_id = "t"
    states = []
    for number in range(30):
        message.content = f"state {number}"
        states.append(asyncio.create_task(history.update_step(message.to_dict())))
    await asyncio.gather(*states)
    thread = await history.get_thread("t")
    assert [step["output"] for step in thread["steps"]] == ["state 29"]


async def test_what_cannot_be_stored_is_said_once(history, chat, place) -> None:
    chat.session.has_first_interaction = True
    assert await history.get_thread("t") is None
    await place.run("DROP TABLE steps")
    message = cl.Message("lost")
    for _ in range(3):
        await history.create_step(message.to_dict())
    (said,) = chat.texts
    assert "cannot be saved" in said


async def test_a_stored_message_is_seen_by_others_at_once(history, chat, place) -> None:
    chat.session.has_first_interaction = True
    message = cl.Message("kept")
    await history.create_step(message.to_dict())
    assert await place.run("SELECT output FROM steps") == [("kept",)]
    if not place.postgres:
        assert await place.run("PRAGMA journal_mode") == [("wal",)]


async def test_attached_files_are_kept_one_by_one_for_each_is_whole_in_memory(
    history, chat, tmp_path, monkeypatch
) -> None:
    chat.session.has_first_interaction = True
    at_once, most, kept = 0, 0, history.storage_provider.upload_file

    async def upload_file(**options):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return await kept(**options)

    monkeypatch.setattr(history.storage_provider, "upload_file", upload_file)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    files = [cl.File(name=f"{n}.pdf", path=str(tmp_path / "a.pdf"), for_id=str(uuid.uuid4())) for n in range(5)]
    await asyncio.gather(*(history.create_element(file) for file in files))
    assert most == 1
    assert len(list((tmp_path / "uploads").rglob("*.pdf"))) == 5
