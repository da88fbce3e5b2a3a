"""The viewer's routes: what it is told of a document, who may ask, and the cited places that it is opened with."""

from __future__ import annotations

import errno
import json
import re

import pytest
from fastapi.testclient import TestClient

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from ingest.annotation import Annotation
from ingest.from_zotero import FromZotero
from marked_pdfs import marked
from pdfs import column, write_pdf
from ui.web import viewer

ALLOWED = "http://localhost:8000"
LINES = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
ROUTES = ("text/1", "marks/1?words=jars", "search?q=jars", "found/1?q=jars", "small/1", "notes", "figures")


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url=ALLOWED)  # not as a context manager: leaving it ends the process


@pytest.fixture
def logged_in(client):
    assert client.post("/auth/header").status_code == 200
    return client


@pytest.fixture
def jars(shelf_library, tmp_path) -> str:
    """The id of a paper of three pages with a highlight on the second."""
    path = write_pdf(tmp_path / "a.pdf", *(column(72, 720, LINES[start:]) for start in (0, 5, 10)))
    marked(path, "/Highlight", (70, 717, 500, 729), note="<b>Weigh</b> again", author="Ann", page=2)
    return ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id


def test_a_page_is_told_with_its_words_marks_hits_and_notes(logged_in, jars) -> None:
    words = logged_in.get(f"/viewer/{jars}/text/2").json()["words"]
    assert [word[0] for word in words[:3]] == ["Sentence", "5", "tells"]
    assert all(0 <= side <= 1 for word in words for side in word[1:5])
    marks = logged_in.get(f"/viewer/{jars}/marks/2", params={"words": [LINES[6], "Nowhere to be found at all."]}).json()
    assert [len(boxes) for boxes in marks["marks"]] == [1, 0]
    passage = logged_in.get(f"/viewer/{jars}/marks/1", params={"passage": ["0000", "9999", "../x"]}).json()
    assert len(passage["marks"]) == 1
    found = logged_in.get(f"/viewer/{jars}/search", params={"q": "SENTENCE 12 tells"}).json()
    assert [hit[0] for hit in found["hits"]] == [1, 2, 3]
    assert found["more"] is False
    hits = logged_in.get(f"/viewer/{jars}/found/3", params={"q": "sentence 12 tells"}).json()["hits"]
    assert [len(boxes) for boxes in hits] == [1]
    small = logged_in.get(f"/viewer/{jars}/small/1")
    assert small.content.startswith(b"\x89PNG")
    assert len(small.content) < 30_000
    (note,) = logged_in.get(f"/viewer/{jars}/notes").json()["notes"]
    assert (note["page"], note["kind"], note["quote"], note["note"]) == (2, "highlight", LINES[5], "<b>Weigh</b> again")


def test_notes_of_a_paper_of_an_older_version_are_read_when_they_are_asked_for(logged_in, jars, shelf_library) -> None:
    with shelf_library._db as db:
        db.execute("UPDATE papers SET annotations = NULL")
    assert len(logged_in.get(f"/viewer/{jars}/notes").json()["notes"]) == 1


def test_those_of_zotero_stand_beside_them_the_first_time_too(logged_in, jars, shelf_library) -> None:
    before = shelf_library.from_zotero(jars)
    shelf_library.keep_from_zotero(jars, FromZotero(notes=(Annotation(page=1, kind="note", note="Ask Ann."),)))
    with shelf_library._db as db:
        db.execute("UPDATE papers SET annotations = NULL")
    notes = logged_in.get(f"/viewer/{jars}/notes").json()["notes"]
    shelf_library.keep_from_zotero(jars, before)
    assert "Ask Ann." in [note["note"] for note in notes]
    assert len(notes) == 2


@pytest.mark.parametrize("route", ROUTES)
def test_only_who_has_opened_the_page_is_answered_and_only_about_papers_of_the_library(
    client, logged_in, jars, route
) -> None:
    assert TestClient(client.app, base_url=ALLOWED).get(f"/viewer/{jars}/{route}").status_code == 401
    for other in ("0" * 16, jars[:8], "library", "..%2f..%2fapp", "%2e%2e"):
        reply = logged_in.get(f"/viewer/{other}/{route}")
        assert reply.status_code == 404 or b'<div id="root">' in reply.content
    if "/1" in route:
        for number in ("0", "4", "01", "-1", "x", "99999999"):
            assert logged_in.get(f"/viewer/{jars}/{route.replace('/1', f'/{number}')}").status_code in {404, 422}


def test_nothing_of_a_paper_stays_in_a_browsers_cache(logged_in, jars) -> None:
    for route in ROUTES:
        assert logged_in.get(f"/viewer/{jars}/{route}").headers.get_list("cache-control") == ["no-store"], route


def test_a_file_that_broke_gives_a_sentence(logged_in, jars, shelf_library) -> None:
    shelf_library.pdf_path(jars).write_bytes(b"%PDF-1.7 broken")
    for route in ("text/1", "found/1?q=jars", "small/1"):
        reply = logged_in.get(f"/viewer/{jars}/{route}")
        assert reply.status_code == 422
        assert "cannot be opened" in reply.json()["detail"]
    assert logged_in.get(f"/viewer/{jars}/marks/1?words=jars").json()["marks"] == [[]]


def told(reply):
    (data,) = re.findall(r'<script id="document" type="application/json">(.*?)</script>', reply.text)
    return json.loads(data)


def test_the_viewer_is_opened_with_all_places_that_the_answer_cites(logged_in, jars, shelf_library) -> None:
    shelf_library.describe(jars, title="</script><script>alert(1)</script>", authors=("Ann Smith",), year=2019)
    places = [
        viewer.Place(page=3, ordinal="0002", quotes=(LINES[12],)),
        viewer.Place(page=1, ordinal="0000", quotes=(LINES[1], LINES[2])),
        viewer.Place(page=2, ordinal="0001"),
    ]
    address = viewer.address(jars, 1, words=[LINES[1]], cited=1, places=places)
    data = told(reply := logged_in.get(address))
    assert [(p["page"], p["ordinal"], p["quotes"]) for p in data["places"]] == [
        (1, "0000", [LINES[1], LINES[2]]), (2, "0001", []), (3, "0002", [LINES[12]])
    ]  # fmt: skip
    assert data["cite"] == "Smith 2019"
    assert len(data["marks"]) == 1
    assert "<script>alert" not in reply.text
    odd = ["0:0000", "4:0000", "x:0000", "1", "1:x", "1:0000:" + "x" * 9000, "²:0000", "1:../..", ":", ""]
    data = told(logged_in.get(f"/page/{jars}/1", params={"place": odd}))
    assert [(place["page"], place["ordinal"]) for place in data["places"]] == [(1, "0000")]


def test_an_address_does_not_grow_without_end() -> None:
    places = [viewer.Place(page=n, ordinal="0000", quotes=(f"{n} " * 400,)) for n in range(1, 60)]
    address = viewer.address("0" * 16, 1, places=places)
    assert len(address) < 12_000
    assert address.count("place=") == viewer.MAX_PLACES


async def test_a_click_on_a_citation_opens_the_viewer_with_the_places_of_that_message(app, chat, jars) -> None:
    paths = {
        f"/cite/{jars}/1/0000": [LINES[1]],
        f"/cite/{jars}/3/0000": [LINES[12]],
        "/cite/0123456789abcdef/1/0000": ["x"],
    }
    quotes = {"type": "assistant_message", "metadata": {"question": "?", "answer": "A.", "quotes": paths}}
    await app.on_chat_resume({"steps": [quotes]})
    first = f"/cite/{jars}/1/0000"
    for text in (f"A. “{LINES[1]}” and “{LINES[12]}”", f"A. “{LINES[1]}”"):
        await app.on_window_message({"type": "scholion:cite", "path": first, "text": text})
    both, one = (sidebar["elements"][0]["props"]["address"] for sidebar in chat.of("set_sidebar_elements"))
    assert both.count("place=") == 2
    assert "place=3%3A0000%3ASentence+12" in both
    assert "place=" not in one


def test_what_goes_wrong_with_the_disk_is_a_sentence(logged_in, shelf_library, jars, monkeypatch) -> None:
    def failing(*_) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shelf_library, "pages", failing)
    reply = logged_in.get(f"/viewer/{jars}/search?q=jars")
    assert reply.status_code == 507
    assert reply.json()["detail"].startswith("The disk with the library reports an error.")
    assert logged_in.get(f"/viewer/{jars}/search").json()["detail"].startswith("Scholion did not understand")
