"""The Library page's requests: who may ask, each change, removal with undo, and adding many files."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.testclient import TestClient

from fake_embedder import HashEmbedder, SlowEmbedder
from ingest import IngestSettings, ingest_pdf, open_library
from pdfs import column, write_pdf
from places import SAMPLES
from served import Served, app_root
from ui.web import adding, removals
from waiting import until

NOBODY = "0123456789abcdef"


def small_pdf(path, about: str, *, lines: int = 12):
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f"Line {n} tells more about {about} and how they were measured." for n in range(lines)]
    return write_pdf(path, column(72, 720, [f"On {about}", "", *texts]))


@pytest.fixture
def client(app):
    from chainlit.server import app as server

    return TestClient(server, base_url="http://localhost:8000")  # not as a context manager: leaving it ends the process


@pytest.fixture
def page(client, assistant, shelf_library, monkeypatch):
    """A browser that has opened the page, with jobs and removals of its own."""
    from ui import core

    assistant.embedder = HashEmbedder()
    mine, waiting = adding.Adding(), removals.Removals(lambda: shelf_library, seconds=3600)
    monkeypatch.setattr(adding, "adding", lambda: mine)
    monkeypatch.setattr(core, "removals", lambda: waiting)
    assert client.post("/auth/header").status_code == 200
    client.waiting = waiting
    yield client
    mine.stop()
    waiting.forget()


@pytest.fixture
def two(page, shelf_library, tmp_path):
    """Two papers; their ids."""
    paths = [small_pdf(tmp_path / name, about) for name, about in (("seeds.pdf", "seeds"), ("clocks.pdf", "clocks"))]
    return [ingest_pdf(path, library=shelf_library, embedder=HashEmbedder()).paper_id for path in paths]


def listed(page, q: str = "", **more) -> list[dict]:
    return page.get("/library/papers", params={"q": q, **more}).json()["papers"]


def facts(**changed):
    plain = {"title": "Seeds", "authors": "", "year": None, "doi": "", "arxiv_id": "", "isbn": "", "retracted": False}
    return plain | changed


CHANGES = {
    "describe": {"id": NOBODY, "facts": facts()},
    "tag": {"ids": [NOBODY], "tag": "x"},
    "local-only": {"ids": [NOBODY], "on": True},
    "remove": {"ids": [NOBODY]},
    "choose": {"ids": [NOBODY]},
    "again": {"ids": [NOBODY]},
}
OTHERS = {
    "undo": {"key": "x"},
    "samples": {"do": "remove"},
    "unread": {"do": "forget"},
    "add": {"files": [["a.pdf", 1]]},
    "add/close": {"key": "x"},
    "add/cancel": {"key": "x"},
    "leave": {"keys": []},
}


@pytest.mark.parametrize("path", ["/library", "/library/papers", "/library/add"])
def test_the_page_and_its_list_are_only_for_who_has_opened_the_chat(client, shelf_library, path) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("name", [*CHANGES, *OTHERS])
def test_nobody_else_changes_anything(client, shelf_library, name) -> None:
    assert client.post(f"/library/{name}", json=(CHANGES | OTHERS)[name]).status_code == 401
    assert client.post("/library/file/x/0", files={"file": b"x"}).status_code == 401


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("paper_id", [NOBODY, "../x", "the first eight"])
def test_a_foreign_id_or_the_beginning_of_one_changes_nothing(page, two, name, paper_id) -> None:
    wrong = two[0][:8] if paper_id == "the first eight" else paper_id
    body = json.loads(json.dumps(CHANGES[name]).replace(NOBODY, wrong))
    reply = page.post(f"/library/{name}", json=body)
    assert reply.status_code == 404
    assert "no longer in your library" in reply.json()["detail"]
    assert {paper["id"] for paper in listed(page)} == set(two)


@pytest.mark.parametrize("name", [*CHANGES, *OTHERS])
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ids": 7}', b'{"more": 1}', b"\xff", b'{"ids": [[1]]}'])
def test_what_is_not_understood_gets_one_sentence(page, name, body) -> None:
    reply = page.post(f"/library/{name}", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["detail"] == "Scholion did not understand this page. Reload it and try again."


def test_a_wrong_address_or_form_is_not_an_error_of_ours(page, caplog) -> None:
    replies = [
        page.get("/library/papers", params={"down": "perhaps"}),
        page.post("/library/file/x/first", files={"file": b"x"}),
        page.post("/library/file/x/0"),
        page.post("/library/companion/x", files={"file": b"x"}),
    ]
    assert [reply.status_code for reply in replies] == [422] * 4
    assert {reply.json()["detail"] for reply in replies} == {
        "Scholion did not understand this page. Reload it and try again."
    }
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_page_is_ours_alone(page) -> None:
    text = page.get("/library").text
    assert "/public/library.js" in text
    assert "http" not in text.replace("https://doi.org", "")


def test_a_paper_is_listed_with_what_is_to_be_checked(page, two, shelf_library) -> None:
    shelf_library.describe(two[0], title="seeds", year=2990, doi="10.1/X", retracted=True)
    shelf_library.describe(two[1], title="Clocks at sea", authors=("Ada Miller",), year=1987, doi="10.1/x")
    seeds, clocks = (next(row for row in listed(page) if row["id"] == paper_id) for paper_id in two)
    assert seeds["notes"] == [
        "This paper is retracted.",
        "This is likely the same paper as “Clocks at sea” (clocks.pdf).",
        "The title is doubtful. Correct it if it is wrong.",
        "The year is doubtful. Correct it if it is wrong.",
        "The authors are unknown.",
    ]
    assert (clocks["authors"], clocks["year"], clocks["pages"], clocks["file"]) == (
        ["Ada Miller"],
        1987,
        1,
        "clocks.pdf",
    )
    assert datetime.fromisoformat(clocks["added"]).tzinfo == UTC
    assert clocks["local_only"] is False
    assert seeds["corrected"] == "You corrected the year, DOI and retraction."


def test_corrections_are_kept_and_named_also_when_the_paper_is_read_again(page, two, shelf_library) -> None:
    said = facts(
        title=" Keeping  Seeds ", authors="van der Burg, Sven; Ada Miller", year=1987, doi="https://doi.org/10.1/x"
    )
    assert page.post("/library/describe", json={"id": two[0], "facts": said}).json() == {"said": "Saved."}
    paper = shelf_library.paper(two[0])
    assert (paper.title, paper.year, paper.doi) == ("Keeping Seeds", 1987, "10.1/x")
    assert paper.authors == ("Sven van der Burg", "Ada Miller")
    assert paper.family_names == ("van der Burg", "Miller")
    shelf_library.tag([two[0]], "kept")

    assert page.post("/library/again", json={"ids": [two[0]]}).status_code == 200
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    assert page.get("/library/add").json()["job"]["summary"] == "1 paper read again."
    assert shelf_library.paper(two[0]) == paper
    (row,) = listed(page, "keeping")
    assert row["corrected"] == "You corrected the title, authors, year and DOI."
    assert row["tags"] == ["kept"]
    unchanged = page.post(
        "/library/describe", json={"id": two[0], "facts": said | {"authors": "; ".join(row["authors"])}}
    )
    assert unchanged.json() == {"said": "Nothing was changed."}
    assert shelf_library.paper(two[0]).family_names == ("van der Burg", "Miller")


def test_a_paper_that_cannot_be_read_again_stays(page, two, shelf_library) -> None:
    shelf_library.pdf_path(two[0]).write_bytes(b"%PDF-1.7 broken")
    page.post("/library/again", json={"ids": [two[0]]})
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    assert page.get("/library/add").json()["job"]["items"][0]["state"] == "refused"
    assert {paper["id"] for paper in listed(page)} == set(two)
    assert shelf_library.pdf_path(two[0]).is_file()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"title": " "}, "The title is empty"),
        ({"year": 20}, "four digits"),
        ({"doi": "nine"}, "not a DOI"),
        ({"arxiv_id": "nine"}, "not an arXiv id"),
        ({"isbn": "9780306406158"}, "not an ISBN"),
    ],
)
def test_a_correction_that_cannot_be_right_is_refused(page, two, shelf_library, wrong, sentence) -> None:
    before = shelf_library.paper(two[0])
    reply = page.post("/library/describe", json={"id": two[0], "facts": facts(**wrong)})
    assert reply.status_code == 400
    assert sentence in reply.json()["detail"]
    assert shelf_library.paper(two[0]) == before


def test_papers_are_tagged_and_untagged_together(page, two) -> None:
    assert page.post("/library/tag", json={"ids": two, "tag": " old  things "}).json() == {"tag": "old things"}
    assert [row["tags"] for row in listed(page)] == [["old things"]] * 2
    page.post("/library/tag", json={"ids": two[:1], "tag": "old things", "take": True})
    assert [row["id"] for row in listed(page, 'tag:"old things"')] == two[1:]
    assert page.post("/library/tag", json={"ids": two, "tag": "  "}).json()["detail"].startswith("The tag is empty")


def test_a_papers_text_is_kept_on_this_machine_and_freed_again(page, two, shelf_library) -> None:
    from rag.privacy import Gate

    page.post("/library/local-only", json={"ids": two[:1], "on": True})
    assert Gate(shelf_library.folder).allowed(two) == set(two[1:])
    assert [row["local_only"] for row in listed(page, sort="added", down=False)] == [True, False]
    page.post("/library/local-only", json={"ids": two[:1], "on": False})
    assert Gate(shelf_library.folder).allowed(two) == set(two)
    (shelf_library.folder / "privacy.json").write_text("{}")
    said = page.get("/library/papers").json()
    assert "privacy policy" in said["error"]
    assert {row["local_only"] for row in said["papers"]} == {None}


# ---- removing -------------------------------------------------------------------------------------------------------


def test_a_removed_paper_comes_back_with_undo_and_goes_when_the_page_is_left(page, two, shelf_library) -> None:
    said = page.post("/library/remove", json={"ids": two[:1]}).json()
    assert said["papers"] == 1
    assert [row["id"] for row in listed(page)] == two[1:]
    assert shelf_library.pdf_path(two[0]).is_file(), "nothing is deleted yet"
    assert page.post("/library/undo", json={"key": said["key"]}).json() == {"papers": 1}
    assert len(listed(page)) == 2
    late = page.post("/library/undo", json={"key": said["key"]})
    assert (late.status_code, late.json()["detail"]) == (400, "It is too late to undo this. Add the files again.")

    key = page.post("/library/remove", json={"ids": two[:1]}).json()["key"]
    page.post("/library/leave", json={"keys": [key]})
    assert [paper.id for paper in shelf_library.papers()] == two[1:]
    assert not shelf_library.kept_path(two[0]).exists()


def test_a_page_that_is_left_takes_no_undo_from_another_page(page, two, shelf_library) -> None:
    here, there = (page.post("/library/remove", json={"ids": [one]}).json()["key"] for one in two)
    assert page.post("/library/leave", json={"keys": [here, "x"]}).status_code == 200
    assert [paper.id for paper in shelf_library.papers()] == two[1:]
    assert page.post("/library/undo", json={"key": there}).json() == {"papers": 1}
    assert [row["id"] for row in listed(page)] == two[1:]


def test_when_the_time_is_up_the_paper_is_removed(two, shelf_library) -> None:
    made = removals.Removals(lambda: shelf_library, seconds=0.01)
    made.put_off(two[:1])
    assert until(lambda: not made.waiting() and not shelf_library.papers(two[:1]))
    made.forget()
    assert [paper.id for paper in shelf_library.papers()] == two[1:]


def test_a_paper_that_is_added_again_before_its_time_is_up_is_kept(page, two, shelf_library, tmp_path) -> None:
    key = page.post("/library/remove", json={"ids": two[:1]}).json()["key"]
    job = send(page, {"seeds.pdf": (tmp_path / "seeds.pdf").read_bytes()})
    assert job["items"][0]["state"] == "there"
    page.post("/library/leave", json={"keys": [key]})
    assert {paper.id for paper in shelf_library.papers()} == set(two)


def test_a_paper_that_waits_to_be_removed_is_there_after_a_crash(tmp_path) -> None:
    server = Served(library=tmp_path / "library", root=app_root(tmp_path / "root"))
    with open_library(IngestSettings(library=server.library)) as library:
        paper_id = ingest_pdf(small_pdf(tmp_path / "a.pdf", "seeds"), library=library, embedder=HashEmbedder()).paper_id
    try:
        with httpx.Client(base_url=server.start().url, timeout=60, trust_env=False) as browser:
            browser.post("/auth/header")
            assert browser.post("/library/remove", json={"ids": [paper_id]}).status_code == 200
            assert listed(browser) == []
            server.stop(signal.SIGKILL)
            server.start()
            assert [row["id"] for row in listed(browser)] == [paper_id]
    finally:
        server.stop()
    assert (server.library / "papers" / f"{paper_id}.pdf").is_file()


# ---- adding ---------------------------------------------------------------------------------------------------------


def announce(page, names, **more) -> str:
    reply = page.post("/library/add", json={"files": [[name, 10] for name in names], **more})
    assert reply.status_code == 200, reply.text
    return reply.json()["job"]["id"]


def send(page, files: dict[str, bytes], *, companions: dict[str, bytes] | None = None, **more) -> dict:
    """Add files through the routes as the page does; the job when it is over."""
    key = announce(page, files, **more)
    for name, content in (companions or {}).items():
        assert page.post(f"/library/companion/{key}", data={"name": name}, files={"file": content}).status_code == 200
    for number, content in enumerate(files.values()):
        assert page.post(f"/library/file/{key}/{number}", files={"file": content}).status_code == 200
    page.post("/library/add/close", json={"key": key})
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    return page.get("/library/add").json()["job"]


def test_many_files_are_added_and_each_has_its_line(page, shelf_library, tmp_path) -> None:
    texts = ("roses", "tulips", "lilies", "oaks")
    files = {f"garden/{name}/paper.pdf": small_pdf(tmp_path / f"{name}.pdf", name).read_bytes() for name in texts}
    files["garden/page.pdf"] = b"<html><body>Sign in to read this article.</body></html>"
    files["garden/again.pdf"] = files["garden/roses/paper.pdf"]
    job = send(page, files, passed_over=3)
    states = [item["state"] for item in job["items"]]
    assert states == ["added", "added", "added", "added", "refused", "there"]
    assert "page.pdf is not a PDF, despite its name." in job["items"][4]["said"]
    assert job["summary"] == (
        "4 papers added, 1 already there, 1 refused. 3 other files passed over: only PDFs are added."
    )
    assert {item["paper"] for item in job["items"]} - {None} == {paper.id for paper in shelf_library.papers()}
    assert not list((shelf_library.folder / "incoming").iterdir()), "nothing is left of the uploads"


def test_a_bibliography_in_the_folder_describes_its_papers(page, shelf_library, tmp_path) -> None:
    pdf = small_pdf(tmp_path / "a.pdf", "bees").read_bytes()
    bib = "@article{k, title={How Bees Dance}, author={Frisch, Karl}, year={1967}, file={files/1/Full Text PDF.pdf}}"
    job = send(page, {"export/files/1/Full Text PDF.pdf": pdf}, companions={"export/My Library.bib": bib.encode()})
    assert job["items"][0]["state"] == "added"
    (paper,) = shelf_library.papers()
    assert (paper.title, paper.authors, paper.year) == ("How Bees Dance", ("Karl Frisch",), 1967)


@pytest.mark.parametrize(
    "name", ["../../evil.pdf", "/etc/x.pdf", "C:\\a\\..\\b.pdf", "....//x.pdf", "\u202ex.pdf", ".pdf"]
)
def test_no_name_of_an_upload_leads_outside_its_folder(page, shelf_library, tmp_path, name) -> None:
    before = {path for path in tmp_path.rglob("*") if "library" not in path.parts}
    job = send(page, {name: b"no PDF"}, companions={f"{name}.bib": b"@x{y}"})
    assert job["items"][0]["state"] == "refused"
    assert {path for path in tmp_path.rglob("*") if "library" not in path.parts} == before
    assert not list((shelf_library.folder / "incoming").iterdir())


def test_what_was_not_announced_or_is_too_large_or_no_bibliography_is_not_taken(page, shelf_library) -> None:
    reply = page.post("/library/add", json={"files": [["big.pdf", 10**12], ["a.pdf", 9]]}).json()["job"]
    assert reply["items"][0]["state"] == "refused"
    assert "larger than 200 MB" in reply["items"][0]["said"]
    key = reply["id"]
    for address in (f"/library/file/{key}/0", f"/library/file/{key}/2", f"/library/file/{NOBODY}/1"):
        assert page.post(address, files={"file": b"x"}).status_code == 400
    assert page.post(f"/library/companion/{key}", data={"name": "x.sh"}, files={"file": b"x"}).status_code == 400
    busy = page.post("/library/add", json={"files": [["b.pdf", 1]]})
    assert "already" in busy.json()["detail"]
    page.post("/library/add/close", json={"key": key})
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    assert page.get("/library/add").json()["job"]["items"][1]["said"] == "It was not uploaded. Add it again."
    assert "no PDF" in page.post("/library/add", json={"files": []}).json()["detail"]


def test_a_page_that_is_gone_does_not_hold_the_library_up(page, shelf_library) -> None:
    job = adding.adding().start([("a.pdf", 1)], upload_mb=1, patience=0.01)
    assert until(lambda: job.finished)
    assert job.items[0].state == "refused"


def test_cancel_keeps_what_was_added_and_stops_the_rest(page, assistant, shelf_library, tmp_path) -> None:
    assistant.embedder = slow = SlowEmbedder(stops_after=1)
    names = ("roses", "tulips", "lilies", "oaks", "elms")
    files = [small_pdf(tmp_path / f"{name}.pdf", name).read_bytes() for name in names]
    key = announce(page, [f"{name}.pdf" for name in names])
    page.post(f"/library/file/{key}/0", files={"file": files[0]})
    assert until(lambda: page.get("/library/add").json()["job"]["items"][0]["state"] == "added")
    for number, content in list(enumerate(files))[1:]:
        page.post(f"/library/file/{key}/{number}", files={"file": content})
    assert slow.stopped.wait(60), "the second paper is being embedded"
    seen = page.get("/library/add").json()["job"]
    assert not seen["finished"], "a second visit of the page sees the running job"
    page.post("/library/add/cancel", json={"key": key})
    assert page.get("/library/add").json()["job"]["stopping"]
    slow.go_on.set()
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    job = page.get("/library/add").json()["job"]
    states = [item["state"] for item in job["items"]]
    assert states[0] == "added"
    assert states[-1] == "stopped"
    assert "refused" not in states
    assert {item["paper"] for item in job["items"]} - {None} == {paper.id for paper in shelf_library.papers()}
    assert page.post(f"/library/file/{key}/4", files={"file": files[4]}).status_code == 400


def test_a_job_that_is_cancelled_while_it_waits_for_another_is_stopped(page, shelf_library, tmp_path) -> None:
    shelf_library.one_ingest.acquire()  # as while a PDF of the chat is being added
    try:
        key = announce(page, ["a.pdf"])
        content = small_pdf(tmp_path / "a.pdf", "seeds").read_bytes()
        assert page.post(f"/library/file/{key}/0", files={"file": content}).status_code == 200
        page.post("/library/add/cancel", json={"key": key})
        assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    finally:
        shelf_library.one_ingest.release()
    job = page.get("/library/add").json()["job"]
    assert [item["state"] for item in job["items"]] == ["stopped"]
    assert job["summary"] == "0 papers added, 1 stopped."


def test_a_file_that_comes_when_its_job_ends_leaves_nothing_behind(page, shelf_library, monkeypatch) -> None:
    key, copy = announce(page, ["a.pdf"]), adding.copy_upload

    def late(file, path) -> int:
        page.post("/library/add/cancel", json={"key": key})
        assert until(lambda: page.get("/library/add").json()["job"]["finished"])
        path.parent.mkdir(parents=True, exist_ok=True)
        return copy(file, path)

    monkeypatch.setattr(adding, "copy_upload", late)
    assert page.post(f"/library/file/{key}/0", files={"file": b"%PDF-1.7"}).status_code == 400
    assert not list((shelf_library.folder / "incoming").rglob("*"))


def test_a_long_name_in_another_script_is_taken(page, shelf_library, tmp_path) -> None:
    content = small_pdf(tmp_path / "a.pdf", "seeds").read_bytes()
    job = send(page, {f"{'種' * 110}/{'の' * 110}.pdf": content})
    assert [item["state"] for item in job["items"]] == ["added"], job


def test_only_files_may_be_large(page) -> None:
    large = b"x" * 18 * 1024 * 1024
    assert page.post("/library/tag", content=large).status_code == 413
    assert page.post(f"/library/file/{NOBODY}/0", files={"file": large}).status_code == 400, (
        "it was read, and not wanted"
    )


def test_two_jobs_at_once_are_one_and_a_refusal(page, shelf_library) -> None:
    announce(page, ["a.pdf"])
    replies = []
    threads = [
        threading.Thread(target=lambda: replies.append(page.post("/library/add", json={"files": [["b.pdf", 1]]})))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.status_code for reply in replies] == [400, 400]


def test_a_file_that_could_not_be_read_is_named_tried_again_and_forgotten(page, shelf_library) -> None:
    assert send(page, {"broken.pdf": b"%PDF-1.7 and then nothing"})["items"][0]["state"] == "refused"
    (unread,) = page.get("/library/papers").json()["unread"]
    assert (unread["file"], unread["state"]) == ("broken.pdf", "failed")
    assert "broken.pdf" in unread["said"]
    page.post("/library/unread", json={"do": "retry"})
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    assert page.get("/library/add").json()["job"]["items"][0]["state"] == "refused"
    assert page.post("/library/unread", json={"do": "forget"}).json() == {"files": 1}
    assert page.get("/library/papers").json()["unread"] == []
    assert not list((shelf_library.folder / "quarantine").iterdir())


# ---- samples and scope ----------------------------------------------------------------------------------------------


def test_the_samples_are_added_and_removed_with_undo(page, shelf_library, monkeypatch) -> None:
    monkeypatch.setattr("ui.samples.FOLDER", SAMPLES)
    assert page.get("/library/papers").json()["samples"] == {"there": 0, "missing": 4}
    assert page.post("/library/samples", json={"do": "add"}).status_code == 200
    assert until(lambda: page.get("/library/add").json()["job"]["finished"])
    assert page.get("/library/papers").json()["samples"] == {"there": 4, "missing": 0}
    said = page.post("/library/samples", json={"do": "remove"}).json()
    assert said["papers"] == 4
    assert listed(page) == []
    page.post("/library/undo", json={"key": said["key"]})
    assert len(listed(page)) == 4


def test_a_choice_of_the_page_of_its_own_is_the_next_chats(app, page, two, chat) -> None:
    from ui import scope

    page.post("/library/choose", json={"ids": two[:1]})
    scope.take_waiting()
    assert scope.in_words() == "1 chosen paper"
    scope.choose([])
    scope.take_waiting()
    assert scope.in_words() == "all papers", "it is taken once"
