"""A running Zotero says what its files say; what changes there is followed, and what was decided here stays."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fake_embedder import HashEmbedder
from fake_zotero import running
from ingest.__main__ import main
from ingest.annotation import Annotation
from ingest.library import Library, open_library
from ingest.settings import IngestSettings
from ingest.zotero import marked, noted, zotero_pdfs
from ingest.zotero_api import Zotero
from pdfs import column, write_pdf
from zotero_library import ZoteroLibrary


@pytest.fixture
def full(tmp_path) -> Path:
    """Five hundred items with all that happens in them."""
    made = ZoteroLibrary(tmp_path / "Zotero")
    for n in range(500):
        item = made.item(
            ("journalArticle", "conferencePaper", "book", "preprint")[n % 4],
            title=f"Über <i>Torfmoose</i> № {n}",
            date=f"{2000 + n % 20}-03-00 März",
            DOI=f"10.1000/{n}",
            people=(("José", "García Márquez"), ("", "WHO")),
            role="author" if n % 7 else "editor",
            tags=("важно", "Abk. <b>") if n % 2 else (),
            collections=("Dissertation", "Čtení", "Given up") if n % 5 == 0 else (),
            publicationTitle="Journal of Peat",
            pages="101–109",
            extra="arXiv: 1706.03762" if n % 9 == 0 else "",
        )
        if n % 11 == 0:
            made.linked(item, f"/papers/{n}.pdf")
            made.linked(item, f"attachments:peat/{n}.pdf")
            made.linked(item, "attachments:../../etc/passwd.pdf")
        path = made.stored(item, f"naïve – {n}.pdf", b"%PDF-" if n % 10 else None)
        if n % 20 == 1:
            made.note(item, "<h1>Plan</h1><p>Read&nbsp;it <b>twice</b>,<br/>then &lt;ask&gt;.</p>")
            made.mark(made.attachment(path), "highlight", page=3, text="bogs  of peat", comment="why?")
            made.mark(made.attachment(path), "note", page=1, comment="see p. 4")
            made.mark(made.attachment(path), "ink", page=2)
            made.delete(made.mark(made.attachment(path), "underline", page=2, text="gone"))
            made.mark(made.attachment(path), "highlight", page=2, text="marked in the file", external=True)
        if n % 50 == 7:
            made.delete(item)
    made.stored(None, "1706.03762.pdf", b"%PDF-")
    made.delete_collection("Given up")
    return made.done()


def test_a_running_zotero_says_what_its_files_say(full) -> None:
    base = Path("/base")
    read = zotero_pdfs(full, base=base)
    with running(full) as server:
        zotero = Zotero(server.server_port)
        assert zotero.folder() == full
        asked = zotero.pdfs(full, base=base)
    assert len(read) > 550
    assert sum(bool(one.notes) for one in read if "storage" in one.path.parts) == 25
    assert asked is not None
    assert {one.path: one for one in asked} == {one.path: one for one in read}
    assert {method for method, _ in server.asked} == {"GET"}


def test_notes_come_with_their_pages(full) -> None:
    found = zotero_pdfs(full)[2]
    assert found.notes == (
        Annotation(page=1, kind="note", note="Plan\nRead it twice,\nthen <ask>."),
        Annotation(page=1, kind="note", note="see p. 4"),
        Annotation(page=3, kind="highlight", quote="bogs of peat", note="why?"),
    )
    assert noted("<p> </p>") == []


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<style>p { color: red }</style><p>Lids</p><script>tell('x < y')</script>", "Lids"),
        ("a<b and c>d, if x < y", "a<b and c>d, if x < y"),
        ('a <b>bold</b> <a href="x" rel=nofollow>link</a><br/>&lt;end', "a bold link\n<end"),
    ],
)
def test_a_note_is_told_in_its_words(html, text) -> None:
    assert [one.note for one in noted(html)] == [text]


def test_a_mark_without_the_number_of_its_page_is_left_out() -> None:
    for page in ("true", "1.5", '"1"', "-1", "null"):
        assert marked("note", "", "Why?", "", f'{{"pageIndex": {page}}}') == []


def test_a_database_of_an_older_zotero_is_read(full) -> None:
    new = {one.path: one for one in zotero_pdfs(full)}
    with closing(sqlite3.connect(full / "zotero.sqlite")) as db, db:
        db.execute("DROP TABLE deletedCollections")
        db.execute("ALTER TABLE itemAnnotations DROP COLUMN isExternal")
    old = zotero_pdfs(full)
    assert [one.path for one in old] == list(new)
    assert any("Given up" in one.collections for one in old)
    assert {"Dissertation", "Čtení"} == {name for one in new.values() for name in one.collections}


def test_a_zotero_that_does_not_answer_programs_is_read_from_its_files(full) -> None:
    with running(full, refused=True) as server:
        assert Zotero(server.server_port).folder() is None
        assert Zotero(server.server_port).pdfs(full) is None
    assert Zotero(server.server_port).folder() is None, "none runs"


class Shelf:
    """A small Zotero library with one paper, and the commands on it."""

    def __init__(self, tmp_path: Path) -> None:
        lines = [f"Sentence {n} tells how jars were opened and closed." for n in range(20)]
        content = write_pdf(tmp_path / "made.pdf", column(72, 720, lines)).read_bytes()
        made = ZoteroLibrary(tmp_path / "Zotero")
        self.item = made.item(title="Jars of Peat", tags=("to read", "peat"), collections=("Thesis",))
        path = made.stored(self.item, "jars.pdf", content)
        made.stored(None, "the same.pdf", content)
        made.note(self.item, "<p>Ask Ann about the lids.</p>")
        made.mark(made.attachment(path), "highlight", page=1, text="how jars were opened")
        self.folder = made.done()
        self.settings = IngestSettings(library=tmp_path / "library")

    def changed(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.folder / "zotero.sqlite")) as db, db:
            db.execute(statement, values)

    def run(self, *arguments: str) -> None:
        assert main(list(arguments)) == 0

    def tags(self) -> list[str]:
        with open_library(self.settings) as library:
            (paper,) = library.papers()
            return library.tags_of(paper.id)


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Shelf:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    made = Shelf(tmp_path)
    made.run("zotero", str(made.folder))
    return made


def test_a_tag_that_was_removed_here_is_not_set_again(shelf, capsys) -> None:
    assert shelf.tags() == ["peat", "Thesis", "to read"]
    with open_library(shelf.settings) as library:
        (paper,) = library.papers()
    shelf.run("untag", "to read", paper.id)
    shelf.run("tag", "mine", paper.id)
    shelf.run("zotero", str(shelf.folder))
    assert shelf.tags() == ["mine", "peat", "Thesis"]
    shelf.run("tag", "to read", paper.id)
    shelf.changed("DELETE FROM itemTags")
    shelf.run("zotero", str(shelf.folder))
    assert shelf.tags() == ["mine", "Thesis", "to read"], "what a person set stays"


def test_tags_and_collections_are_followed(shelf, capsys) -> None:
    shelf.changed("UPDATE collections SET collectionName = 'Chapter 2'")
    shelf.changed("UPDATE tags SET name = 'PEAT' WHERE name = 'peat'")
    capsys.readouterr()
    shelf.run("zotero", str(shelf.folder))
    assert shelf.tags() == ["Chapter 2", "peat", "to read"]
    said = capsys.readouterr().out
    assert "tagged 1 paper: Chapter 2\nuntagged 1 paper: Thesis" in said


def test_what_describes_a_paper_is_followed_unless_it_was_corrected_here(shelf) -> None:
    def titled(title: str) -> str:
        shelf.changed("UPDATE itemDataValues SET value = ?", title)
        shelf.run("zotero", str(shelf.folder))
        with open_library(shelf.settings) as library:
            return library.papers()[0].title

    assert titled("Jars of Bog Peat") == "Jars of Bog Peat"
    with open_library(shelf.settings) as library:
        (paper,) = library.papers()
    shelf.run("set", paper.id, "--title", "My Jars")
    assert titled("Jars once more") == "My Jars"


def test_a_run_that_ended_early_is_made_good(shelf, monkeypatch) -> None:
    shelf.changed("UPDATE collections SET collectionName = 'Chapter 2'")
    shelf.changed("UPDATE itemDataValues SET value = 'Jars of Bog Peat'")
    with monkeypatch.context() as patched:
        patched.setattr(Library, "untag", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            main(["zotero", str(shelf.folder)])
    assert shelf.tags() == ["Chapter 2", "peat", "Thesis", "to read"]
    shelf.run("zotero", str(shelf.folder))
    assert shelf.tags() == ["Chapter 2", "peat", "to read"]
    shelf.changed("UPDATE collections SET collectionName = 'Chapter 3'")
    shelf.run("zotero", str(shelf.folder))
    assert shelf.tags() == ["Chapter 3", "peat", "to read"], "that one came from Zotero is not forgotten"


def test_what_only_the_running_zotero_knows_describes_a_new_paper(shelf, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "second"))
    found = zotero_pdfs(shelf.folder)
    now = [replace(one, entry=replace(one.entry, title="Just Typed")) if one.entry.title else one for one in found]
    monkeypatch.setattr(Zotero, "folder", lambda _: shelf.folder)
    monkeypatch.setattr(Zotero, "pdfs", lambda *_, **__: now)
    shelf.run("zotero")
    with open_library(IngestSettings(library=tmp_path / "second")) as library:
        assert [paper.title for paper in library.papers()] == ["Just Typed"]
        assert [one.corrected for one in library.overview()] == [("title",)]


def test_notes_stand_beside_those_of_the_file_and_are_followed(shelf) -> None:
    def notes() -> list[tuple[int, str, str, str]]:
        with open_library(shelf.settings) as library:
            (paper,) = library.papers()
            return [(one.page, one.kind, one.quote, one.note) for one in library.annotations(paper.id)]

    marked = (1, "highlight", "how jars were opened", "")
    assert notes() == [(1, "note", "", "Ask Ann about the lids."), marked]
    shelf.changed("UPDATE itemNotes SET note = '<p>Ann knows.</p>'")
    shelf.run("zotero", str(shelf.folder))
    assert notes() == [(1, "note", "", "Ann knows."), marked]
    with open_library(shelf.settings) as library:
        (paper,) = library.papers()
        library.keep_annotations(paper.id, [Annotation(page=1, kind="highlight", quote="how jars were opened")])
        assert len(library.annotations(paper.id)) == 2, "one that is in the file and in Zotero is told once"
        library.remove(paper.id)
        assert library.from_zotero(paper.id).notes == ()


def test_the_running_zotero_is_asked_only_for_its_own_library(shelf, monkeypatch, tmp_path) -> None:
    before = hashlib.sha256((shelf.folder / "zotero.sqlite").read_bytes()).hexdigest()
    other = ZoteroLibrary(tmp_path / "other")
    other.stored(other.item(title="Elsewhere"), "a.pdf", b"%PDF-")
    with running(shelf.folder) as server:
        monkeypatch.setattr("ingest.__main__.Zotero", lambda: Zotero(server.server_port))
        with monkeypatch.context() as patched:
            patched.setattr("ingest.__main__.zotero_pdfs", lambda *_, **__: pytest.fail("Zotero was not asked"))
            shelf.run("zotero")  # it says itself where its folder is
            shelf.run("zotero", str(shelf.folder))
        asked = len(server.asked)
        monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "second"))
        main(["zotero", str(other.done())])
        assert {path for _, path in server.asked[asked:]} <= {
            "/api/users/0/items?itemType=attachment&limit=100",
            *(path for _, path in server.asked if path.endswith("/file/view/url")),
        }
    assert hashlib.sha256((shelf.folder / "zotero.sqlite").read_bytes()).hexdigest() == before
