"""One process owns a library: while the app runs, the command line works through it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.client import HTTPConnection

import pytest

from ingest import IngestSettings, open_library
from pdfs import column, write_pdf
from places import ROOT
from zotero_library import ZoteroLibrary

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]  # they share the server of the browser tests


def command(server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        cwd=ROOT,
        env=os.environ | {"SCHOLION_LIBRARY": str(server.library), "HTTP_PROXY": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_add_and_remove_go_through_the_running_app(server, tmp_path) -> None:
    lines = [f"Line {n} of a note on how the old clock in the tower was repaired in winter." for n in range(20)]
    path = write_pdf(tmp_path / "clock.pdf", column(72, 720, lines))
    bad = tmp_path / "bad.pdf"
    bad.write_text("<html>")
    added = command(server, "add", str(path), str(bad), "--json")
    rows = [json.loads(line) for line in added.stdout.splitlines()]
    assert [row["status"] for row in rows] == ["added", "failed"]
    assert [row["file"] for row in rows] == [str(path), str(bad)]
    assert added.returncode == 1
    listed = json.loads(command(server, "list", "--json").stdout)
    assert rows[0]["paper_id"] in {row["paper_id"] for row in listed}
    removed = command(server, "remove", rows[0]["paper_id"], "--json")
    assert json.loads(removed.stdout)["status"] == "removed"
    verified = command(server, "verify")
    assert verified.returncode == 1
    assert server.url in verified.stderr, "verify needs the library for itself and says who has it"


def test_nobody_else_may_give_orders(server) -> None:
    for headers in ({}, {"Authorization": "Bearer guess"}):
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/library", body='{"do": "remove", "ids": ["x"]}', headers=headers)
        assert connection.getresponse().status == 401
        connection.close()
    mode = (server.library / "owner.json").stat().st_mode & 0o777
    assert mode == 0o600


def test_tags_go_through_the_running_app(server) -> None:
    paper_id = json.loads(command(server, "list", "--json").stdout)[0]["paper_id"]
    tagged = command(server, "tag", "through the app", paper_id, "--json")
    assert json.loads(tagged.stdout)["status"] == "tagged"
    listed = json.loads(command(server, "list", "--tag", "through the app", "--json").stdout)
    assert [row["paper_id"] for row in listed] == [paper_id]
    assert command(server, "tag", "through the app", "ffffffff").returncode == 1
    assert command(server, "untag", "through the app", paper_id).returncode == 0
    assert json.loads(command(server, "tags", "--json").stdout) == {}


def test_zotero_is_followed_through_the_running_app(server, tmp_path) -> None:
    made = ZoteroLibrary(tmp_path / "Zotero")
    item = made.item(title="A sample", tags=("from Zotero",))
    made.stored(item, "sample.pdf", next((ROOT / "docs/papers").glob("*.pdf")).read_bytes())
    made.note(item, "<p>Read this first.</p>")
    followed = command(server, "zotero", str(made.done()), "--json")
    rows = [json.loads(line) for line in followed.stdout.splitlines()]
    assert [row["status"] for row in rows] == ["skipped", "tagged"]
    paper_id = rows[0]["paper_id"]
    with open_library(IngestSettings(library=server.library)) as library:
        assert library.tags_of(paper_id) == ["from Zotero"]
        assert [note.note for note in library.annotations(paper_id)] == ["Read this first."]
    assert command(server, "untag", "from Zotero", paper_id).returncode == 0
