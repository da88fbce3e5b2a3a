"""Every route with two people: what Bob may not know of is not there for him, and what he may not do is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from places import ROOT
from two_people import OTHER, SECRET, pdf_about
from ui.people import guard, rules
from waiting import until

THING_ROUTES = [name for name, need in rules.NEEDS.items() if need.of]
PERSON_ROUTES = [name for name, need in rules.NEEDS.items() if need.role in {"person", "admin"} and "/" in name]
ADMIN_ROUTES = [name for name, need in rules.NEEDS.items() if need.role == "admin" and "/" in name]
CLOSED = [name for name, need in rules.NEEDS.items() if need.role == "nobody" and not name.startswith("HEAD")]


def request(two, name: str, **changed: str):
    """Method, address and JSON of a request that names Ada's things."""
    method, path = name.split(" ")
    values = {"paper_id": two.private, "thread_id": two.chat, "chat_id": two.chat, "element_id": two.element}
    values |= {"number": "1", "key": two.upload, "file": f"{two.chat}.json", "file_id": two.element, "job": "x"}
    values |= {"provider_id": "github", "path": "models", "digest": "0" * 64, "name": "wllama.js"} | changed
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values[found[1]], path)
    body = {
        "sessionId": two.element,
        "threadId": two.chat,
        "name": "mine now",
        "feedbackId": two.feedback,
        "feedback": {"forId": two.step, "id": two.feedback, "value": 0, "threadId": two.chat, "comment": "x"},
        "element": {"id": two.element, "threadId": two.chat, "type": "custom", "name": "Export", "display": "inline"},
    }
    query = {"id": two.chat, "q": SECRET} if method == "GET" else None
    return {"method": method, "url": path, "json": None if method == "GET" else body, "params": query}


def test_every_route_is_in_the_list_of_what_is_needed(app) -> None:
    from chainlit.server import app as server

    there = guard.needed(server.router.routes) - {"MOUNT /v1"}  # with accounts, closed instead
    assert sorted(there - rules.NEEDS.keys()) == []
    unused = {name for name in rules.NEEDS.keys() - there if "/" in name}
    assert sorted(name for name in unused if not name.endswith(" /v1/{path:path}")) == [], "and nothing else is"


def test_every_action_and_callback_is_in_the_list(app) -> None:
    from chainlit.config import config
    from chainlit.server import sio

    from ui.people import sign_in

    assert {f"action {name}" for name in config.code.action_callbacks} <= rules.NEEDS.keys()
    ours = {"on_app_startup", "on_app_shutdown", "data_layer", "header_auth_callback", "action_callbacks"}
    set_ = {name for name, value in vars(config.code).items() if value} - ours
    assert {f"chat {name}" for name in set_} <= rules.NEEDS.keys()
    unprotected = {"on_chat_end", "set_starters"}  # the first only ends; the second is part of a route
    assert set_ - unprotected == set(sign_in.CALLBACKS)
    bound_to_its_session = {
        *("connect", "connection_successful", "clear_session", "disconnect", "stop", "message_favorite"),
        *("fetch_favorites", "window_message", "audio_start", "audio_chunk", "audio_end", "chat_settings_change"),
        "chat_settings_edit",
    }
    assert set(sio.handlers["/"]) == bound_to_its_session | set(sign_in.EVENTS)


def test_every_action_of_our_pages_is_in_the_list() -> None:
    sent = {
        name
        for path in [*(ROOT / "ui").rglob("*.py"), *(ROOT / "public").rglob("*.jsx")]
        for name in re.findall(
            r"(?:name=|name: )[\"'](\w+)[\"'],? ?(?:label|payload)", path.read_text(encoding="utf-8")
        )
    }
    assert {f"action {name}" for name in sent - {"consent"}} <= rules.NEEDS.keys()  # consent answers a question of ours


async def test_nobody_gets_nothing(two) -> None:
    nobody = two.client(None)
    for name in PERSON_ROUTES:
        reply = nobody.request(**request(two, "GET /ws/socket.io/" if name.startswith("MOUNT") else name))
        assert reply.status_code == 401, name
        assert SECRET not in reply.text, name


async def test_what_is_closed_is_closed_for_all(two) -> None:
    for client in (two.client("ada"), two.client(None)):
        assert {name for name in CLOSED if client.request(**request(two, name)).status_code != 404} == set()


async def test_only_administrators_come_to_settings_and_health(two) -> None:
    bob = two.client("bob")
    for name in ADMIN_ROUTES:
        reply = bob.request(**request(two, name))
        assert reply.status_code == 403, name
        assert reply.json()["detail"] == rules.MANAGERS, name


async def test_another_persons_things_are_not_there(two) -> None:
    bob = two.client("bob")
    for name in THING_ROUTES:
        reply = bob.request(**request(two, name))
        assert reply.status_code == 404, name
        assert SECRET not in reply.text, name
        assert two.private not in reply.text, name
        assert "paper" in name or reply.json()["detail"] == rules.GONE, name
        nothing = {"paper_id": "0" * 16, "thread_id": two.element, "chat_id": two.element}
        nothing |= {"file": f"{two.element}.json", "key": "0/0/0"}
        other = bob.request(**request(two, name, **nothing))
        if "path" in {at.place for at in rules.NEEDS[name].of}:
            assert (other.status_code, other.text) == (reply.status_code, reply.text), f"{name}: as if there were none"


@pytest.mark.parametrize("said", [{}, [], 0, True])
async def test_a_name_that_is_no_text_names_nothing(two, said) -> None:
    body = {"element": {"id": said, "threadId": said}}
    assert two.client("bob").put("/project/element", json=body).status_code == 404


async def test_their_owner_gets_them(two) -> None:
    ada = two.client("ada")
    replies = {name: ada.request(**request(two, name)) for name in THING_ROUTES if name.startswith("GET")}
    replies["rename"] = ada.put("/project/thread", json={"threadId": two.chat, "name": "Mine"})
    codes = {name: reply.status_code for name, reply in replies.items()}
    missing = {"GET /uploads/{key:path}", "GET /export/table/{chat_id}/{file}"}  # the chat has neither
    assert {name: code for name, code in codes.items() if code != (404 if name in missing else 200)} == {}


async def test_the_list_and_the_insight_of_each_are_their_own(two) -> None:
    ada, bob = two.client("ada"), two.client("bob")
    page = {"pagination": {"first": 20, "cursor": None}, "filter": {"search": SECRET}}
    found = {name: one.post("/project/threads", json=page).json()["data"] for name, one in (("a", ada), ("b", bob))}
    assert [chat["id"] for chat in found["a"]] == [two.chat]
    assert found["b"] == []
    assert len(ada.get("/insight/chat.json", params={"id": two.chat}).json()) == 1
    told = bob.get("/insight/figures.json")
    assert SECRET not in told.text
    assert (told.json()["left"], told.json()["left_fault"]) == (None, None), "what left the machine is of everybody"
    assert SECRET not in bob.get("/insight/figures.csv").text


async def test_the_librarys_list_has_only_what_is_seen(two) -> None:
    ada, bob = (two.client(name).get("/library/papers").json() for name in ("ada", "bob"))
    assert ada["whose"] == {two.private: "private", two.shared: "shared"}
    assert ada["tags"] == [f"{SECRET}-tag"]
    assert (bob["total"], bob["tags"], bob["whose"]) == (1, [], {two.shared: "another's"})
    assert (ada["manages"], bob["manages"]) == (True, False)
    assert SECRET not in json.dumps(bob)


FACTS = {"title": "Mine", "authors": "", "year": None, "doi": "", "arxiv_id": "", "isbn": "", "retracted": False}
CHANGES = {
    "describe": lambda paper: {"id": paper, "facts": FACTS},
    "tag": lambda paper: {"ids": [paper], "tag": "x"},
    "local-only": lambda paper: {"ids": [paper], "on": True},
    "again": lambda paper: {"ids": [paper]},
    "remove": lambda paper: {"ids": [paper]},
    "share": lambda paper: {"ids": [paper], "on": False},
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_private_paper_is_not_there_to_be_changed_and_a_shared_one_is_not_bobs_to_change(two, name) -> None:
    bob = two.client("bob")
    reply = bob.post(f"/library/{name}", json=CHANGES[name](two.private))
    assert reply.status_code == 404
    assert SECRET not in reply.text
    reply = bob.post(f"/library/{name}", json=CHANGES[name](two.shared))
    assert reply.status_code == 403
    assert reply.json()["detail"] == "This paper was shared by somebody else, so you cannot change it."
    assert len(two.whole.papers()) == 2
    assert two.people.is_shared(two.shared)


async def test_an_administrator_changes_what_others_share_but_does_not_remove_it_or_see_more(two, tmp_path) -> None:
    from fake_embedder import HashEmbedder
    from ingest import ingest_pdf
    from ui import core

    path = pdf_about(tmp_path / "b" / "bobs.pdf", "numbat")
    with two.as_("bob"):
        core.bring(path, path.name)
        bobs = ingest_pdf(path, library=core.library(), embedder=HashEmbedder()).paper_id
    ada, bob = two.client("ada"), two.client("bob")
    assert ada.post("/library/tag", json={"ids": [bobs], "tag": "x"}).status_code == 404
    assert ada.get(f"/papers/{bobs}.pdf").status_code == 404
    assert bob.post("/library/share", json={"ids": [bobs], "on": True}).status_code == 200
    assert ada.post("/library/tag", json={"ids": [bobs], "tag": "x"}).status_code == 200
    assert [bob.get("/library/papers").json()["tags"], ada.get(f"/papers/{bobs}.pdf").status_code] == [["x"], 200]
    assert ada.post("/library/remove", json={"ids": [bobs]}).status_code == 403
    assert bob.post("/library/share", json={"ids": [bobs], "on": False}).status_code == 200
    assert ada.get(f"/papers/{bobs}.pdf").status_code == 404


async def test_a_paper_is_shared_and_not_shared_any_more(two) -> None:
    ada, bob = two.client("ada"), two.client("bob")
    assert bob.get(f"/page/{two.private}/1").status_code == 404
    assert ada.post("/library/share", json={"ids": [two.private], "on": True}).status_code == 200
    assert SECRET in bob.get(f"/page/{two.private}/1").text
    assert f"{SECRET}-tag" in bob.get("/library/papers").json()["tags"], "with the tags of who shares it"
    assert ada.post("/library/share", json={"ids": [two.private], "on": False}).status_code == 200
    assert bob.get(f"/page/{two.private}/1").status_code == 404
    assert ada.get("/library/papers").json()["tags"] == [f"{SECRET}-tag"], "which stay theirs"


async def test_who_has_no_accounts_shares_nothing(app) -> None:
    from ui.people import routes

    with pytest.raises(rules.NoSuchThingError):
        routes.share(["x"], on=True)


async def test_an_undo_and_a_job_of_another_are_not_there(two) -> None:
    ada, bob = two.client("ada"), two.client("bob")
    key = ada.post("/library/remove", json={"ids": [two.private]}).json()["key"]
    assert bob.post("/library/undo", json={"key": key}).status_code == 400
    bob.post("/library/leave", json={"keys": [key]})
    assert ada.post("/library/undo", json={"key": key}).json() == {"papers": 1}
    job = ada.post("/library/add", json={"files": [["a.pdf", 10]]}).json()["job"]["id"]
    assert bob.get("/library/add").json() == {"job": None}
    assert bob.post("/library/add/close", json={"key": job}).status_code == 400
    assert bob.post(f"/library/file/{job}/0", files={"file": b"%PDF-"}).status_code == 400
    bob.post("/library/add/cancel", json={"key": job})
    assert not ada.get("/library/add").json()["job"]["stopping"]


async def test_the_choice_for_the_next_chat_is_each_persons_own(two) -> None:
    from ui import core, scope

    assert two.client("ada").post("/library/choose", json={"ids": [two.private]}).status_code == 200
    with two.as_("bob"):
        assert core.person() not in scope._waiting
    assert two.client("bob").post("/library/choose", json={"ids": [two.private]}).status_code == 404


def added(client, path: Path) -> dict:
    """The line of a file that was added in the Library."""
    job = client.post("/library/add", json={"files": [[path.name, path.stat().st_size]]}).json()["job"]["id"]
    assert client.post(f"/library/file/{job}/0", files={"file": path.read_bytes()}).status_code == 200
    client.post("/library/add/close", json={"key": job})
    assert until(lambda: client.get("/library/add").json()["job"]["finished"])
    return client.get("/library/add").json()["job"]["items"][0]


async def test_the_same_pdf_is_both_persons_own_and_neither_learns_of_the_other(two, tmp_path) -> None:
    ada, bob = two.client("ada"), two.client("bob")
    ada.post("/library/describe", json={"id": two.private, "facts": FACTS | {"title": f"{SECRET} for my rival"}})
    ada.post("/library/local-only", json={"ids": [two.private], "on": True})
    mine = tmp_path / "mine.pdf"
    mine.write_bytes(two.files["private"].read_bytes())
    line = added(bob, mine)
    assert (line["state"], line["paper"], line["said"]) == ("added", two.private, ""), "as if nobody had had it"
    (row,) = [paper for paper in bob.get("/library/papers").json()["papers"] if paper["id"] == two.private]
    assert (row["file"], row["tags"], row["corrected"], row["local_only"]) == ("mine.pdf", [], "", False)
    assert SECRET not in json.dumps(row), "not even in a title that is the file's name"
    assert row["title"] == "mine"
    (hers,) = [paper for paper in ada.get("/library/papers").json()["papers"] if paper["id"] == two.private]
    assert (hers["file"], hers["title"], hers["local_only"]) == (f"{SECRET}.pdf", f"{SECRET} for my rival", True)
    assert row["added"] > hers["added"]
    assert bob.get("/library/papers").json()["whose"][two.private] == "private"
    key = ada.post("/library/remove", json={"ids": [two.private]}).json()["key"]
    assert bob.get("/library/papers").json()["total"] == 2, "what waits to be removed is hidden for her alone"
    ada.post("/library/leave", json={"keys": [key]})
    assert two.client("ada").get(f"/papers/{two.private}.pdf").status_code == 404
    assert bob.get(f"/papers/{two.private}.pdf").content == mine.read_bytes()
    key = bob.post("/library/remove", json={"ids": [two.private]}).json()["key"]
    bob.post("/library/leave", json={"keys": [key]})
    assert [paper.id for paper in two.whole.papers()] == [two.shared], "the last one takes it along"


async def test_a_file_that_cannot_be_read_is_told_to_who_gave_it(two, tmp_path) -> None:
    bad = tmp_path / f"{SECRET}-bad.pdf"
    bad.write_bytes(b"%PDF-1.7 nothing")
    assert added(two.client("ada"), bad)["state"] == "refused"
    assert SECRET in json.dumps(two.client("ada").get("/library/papers").json()["unread"])
    assert two.client("bob").get("/library/papers").json()["unread"] == []
    assert two.client("bob").post("/library/unread", json={"do": "forget"}).json() == {"files": 0}
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(bad.read_bytes())
    assert added(two.client("bob"), copy)["state"] == "refused"
    assert "copy.pdf" in json.dumps(two.client("bob").get("/library/papers").json()["unread"])
    assert "copy.pdf" not in json.dumps(two.client("ada").get("/library/papers").json()["unread"])
    assert two.client("bob").post("/library/unread", json={"do": "forget"}).json() == {"files": 1}
    assert two.client("ada").get("/library/papers").json()["unread"], "one forgets, the other still has it"


async def test_links_that_lead_to_administrators_pages_are_not_shown_to_others(two) -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from ui.texts import routes

    served = FastAPI()
    served.include_router(routes.router())
    shown = {}
    for name in ("ada", "bob"):
        client = TestClient(guard.PeopleGuard(served))
        client.cookies.set("access_token", two.token(name))
        shown[name] = [link["url"] for link in client.get("/project/settings").json()["ui"]["header_links"]]
    assert shown == {"ada": ["/settings", "/insight", "/compare", "/lab", "/health"], "bob": ["/insight", "/lab"]}


async def test_a_refusal_is_in_the_language_of_who_asks(two) -> None:
    from chainlit.server import app as server
    from fastapi.testclient import TestClient

    from ui.texts.languages import ReaderLanguage

    bob = TestClient(ReaderLanguage(guard.PeopleGuard(server)), base_url="http://localhost:8000")
    bob.cookies.set("access_token", two.token("bob"))
    german = {"accept-language": "de"}
    assert bob.get("/settings", headers=german).json() == {"detail": "Das darf nur ein Administrator."}
    page = bob.get("/settings", headers=german | {"accept": "text/html"}).text
    assert '<html lang="de">' in page
    assert '<h1>Nicht verfügbar</h1><p role="alert">Das darf nur ein Administrator.</p>' in page
    bob.cookies.clear()
    assert bob.get("/insight", headers=german).json()["detail"].startswith("Sie sind abgemeldet.")


async def test_programs_on_other_machines_learn_nothing_from_the_health_check(two) -> None:
    client = two.client(None)
    assert client.get("/healthz").status_code == 200
    client._transport.client = ("203.0.113.7", 5000)
    assert client.get("/healthz").status_code == 404


async def test_a_page_sends_who_is_signed_out_to_the_login_and_says_what_is_not_allowed(two) -> None:
    headers = {"accept": "text/html"}
    reply = two.client(None).get("/library", headers=headers, follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    reply = two.client("bob").get("/settings", headers=headers)
    assert reply.status_code == 403
    assert rules.MANAGERS in reply.text


async def test_what_is_shared_is_searched_by_all(two) -> None:
    reply = two.client("bob").get(f"/viewer/{two.shared}/search", params={"q": OTHER})
    assert reply.json()["hits"]


async def test_a_pdf_does_not_tell_when_it_first_came(two) -> None:
    reply = two.client("ada").get(f"/papers/{two.private}.pdf")
    assert reply.headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert reply.headers["etag"] == f'"{two.private}"'


async def test_a_record_in_the_page_has_no_finer_scores_than_it_shows(two) -> None:
    from test_render import make_answer

    from ui.refinement import kept

    answer = make_answer()
    passage = answer.passages[0]
    answer = replace(answer, passages=(replace(passage, score=0.123456789), *answer.passages[1:]))
    assert kept(answer)["record"]["passages"][0][2] == 0.12


async def test_a_large_folder_lets_another_have_a_turn(two, monkeypatch, tmp_path) -> None:
    from ui.web import adding

    sizes, add = [], adding._add
    monkeypatch.setattr(adding, "TURN", 1)
    monkeypatch.setattr(adding, "_add", lambda job, batch: sizes.append(len(batch)) or add(job, batch))
    ada = two.client("ada")
    paths = [pdf_about(tmp_path / f"{name}.pdf", name) for name in ("bandicoot", "potoroo")]
    job = ada.post("/library/add", json={"files": [[one.name, one.stat().st_size] for one in paths]}).json()["job"]
    for number, path in enumerate(paths):
        assert ada.post(f"/library/file/{job['id']}/{number}", files={"file": path.read_bytes()}).status_code == 200
    ada.post("/library/add/close", json={"key": job["id"]})
    assert until(lambda: ada.get("/library/add").json()["job"]["finished"])
    assert sizes == [1, 1]
