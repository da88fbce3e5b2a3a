"""A Zotero library is read whole, and nothing in its folder is changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fake_embedder import HashEmbedder
from ingest import files
from ingest.__main__ import main
from ingest.entry import Entry
from ingest.library import open_library
from ingest.paper import Publication
from ingest.settings import IngestSettings
from ingest.zotero import ZoteroError, ZoteroPdf, entry_beside, zotero_pdfs
from pdfs import column, write_pdf
from zotero_library import ZoteroLibrary


def pdf(folder: Path, about: str) -> bytes:
    lines = [f"Sentence {n} tells how {about} were opened and closed." for n in range(20)]
    return write_pdf(folder / "made.pdf", column(72, 720, lines)).read_bytes()


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_five_hundred_items_with_all_that_happens_in_them_are_read(tmp_path) -> None:
    made = ZoteroLibrary(tmp_path / "Zotero")
    for n in range(500):
        item = made.item(
            ("journalArticle", "conferencePaper", "book", "preprint")[n % 4],
            title=f"Über <i>Torfmoose</i> № {n}",
            date=f"{2000 + n % 20}-03-00 März",
            DOI=f"10.1000/{n}",
            people=(("José", "García Márquez"), ("", "WHO")),
            tags=("важно",) if n % 2 else (),
            collections=("Dissertation",) if n % 5 == 0 else (),
            publicationTitle="Journal of Peat",
            pages="101–109",
        )
        made.stored(item, f"naïve – {n}.pdf", b"%PDF-" if n % 10 else None)
        if n == 7:
            made.delete(item)
    found = zotero_pdfs(made.done())
    assert len(found) == 499
    assert sum(one.is_there for one in found) == 449
    first = found[0]
    assert first.entry.title == "Über Torfmoose № 0"
    assert first.entry.authors == ("José García Márquez", "WHO")
    assert first.entry.families == ("García Márquez", "WHO")
    assert (first.entry.year, first.entry.doi) == (2000, "10.1000/0")
    assert first.entry.publication == Publication(kind="article-journal", container="Journal of Peat", pages="101-109")
    assert (first.collections, first.tags) == (("Dissertation",), ())
    assert found[1].tags == ("важно",)
    there = next(one for one in found if one.is_there)
    assert entry_beside(there.path) == there.entry


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("/elsewhere/x.pdf", "/elsewhere/x.pdf"),
        ("attachments:a/x.pdf", "/base/a/x.pdf"),
        ("C:\\papers\\x.pdf", None),
        ("storage:../../x.pdf", None),
        ("storage:..", None),
        ("attachments:../../x.pdf", None),
        ("attachments:/etc/x.pdf", None),
        ("x.pdf", None),
    ],
)
def test_a_path_leads_where_its_form_allows(tmp_path, said, place) -> None:
    made = ZoteroLibrary(tmp_path / "Zotero")
    made.linked(made.item(title="Linked"), said)
    found = zotero_pdfs(made.done(), base=Path("/base"))
    assert [str(one.path) for one in found] == ([place] if place else [])
    if said == "attachments:a/x.pdf":
        assert zotero_pdfs(tmp_path / "Zotero") == []


def test_the_command_adds_what_is_there_and_changes_nothing_of_zotero(tmp_path, monkeypatch, capsys) -> None:
    made = ZoteroLibrary(tmp_path / "Zotero")
    jars, peat = pdf(tmp_path, "jars"), pdf(tmp_path, "bogs of peat")
    item = made.item(
        title="Jars of Peat", people=(("Ann", "Smith"),), date="2019", tags=("to read",), collections=("Thesis",)
    )
    made.stored(item, "Full Text PDF.pdf", jars)
    made.stored(made.item(title="Jars again"), "Full Text PDF.pdf", jars)  # a duplicate
    made.stored(made.item(title="Not here"), "gone.pdf", None)
    outside = tmp_path / "papers" / "peat.pdf"
    outside.parent.mkdir()
    outside.write_bytes(peat)
    made.linked(made.item(title="Bogs", people=(("Bob", "Jones"),), date="2020", collections=("Thesis",)), str(outside))
    folder = made.done()
    before = state(folder)
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    for _ in range(2):
        assert main(["zotero", str(folder)]) == 0
    assert "1 not on this machine: Not here" in capsys.readouterr().err
    assert state(folder) == before
    with open_library(IngestSettings(library=tmp_path / "library")) as library:
        papers = {paper.title: paper for paper in library.papers()}
        assert sorted(papers) == ["Bogs", "Jars of Peat"]
        assert (papers["Jars of Peat"].authors, papers["Jars of Peat"].year) == (("Ann Smith",), 2019)
        assert (papers["Bogs"].authors, papers["Bogs"].year) == (("Bob Jones",), 2020)
        assert sorted(library.tags()["Thesis"]) == sorted(paper.id for paper in papers.values())
        assert library.tags()["to read"] == [papers["Jars of Peat"].id]


def test_what_is_no_zotero_library_is_told(tmp_path) -> None:
    with pytest.raises(ZoteroError, match="no Zotero library"):
        zotero_pdfs(tmp_path)
    (tmp_path / "zotero.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 30)
    with pytest.raises(ZoteroError, match="Close Zotero"):
        zotero_pdfs(tmp_path)
    (tmp_path / "storage" / "K").mkdir(parents=True)
    assert entry_beside(tmp_path / "storage" / "K" / "x.pdf") is None


def test_a_file_without_an_item_is_known_by_nothing_but_its_tags(tmp_path) -> None:
    made = ZoteroLibrary(tmp_path / "Zotero")
    path = made.stored(None, "1706.03762.pdf", b"%PDF-")
    (found,) = zotero_pdfs(made.done())
    assert (found.path, found.entry.title, found.entry.authors) == (path, "", ())
    assert entry_beside(path) is None


@pytest.mark.parametrize("moment", ["before", "after"])
def test_one_file_that_cannot_be_read_costs_the_others_nothing(tmp_path, monkeypatch, capsys, moment) -> None:
    made = ZoteroLibrary(tmp_path / "Zotero")
    made.stored(made.item(title="Jars of Peat", tags=("jars",)), "a.pdf", pdf(tmp_path, "jars"))
    closed = made.stored(made.item(title="Bogs", tags=("bogs",)), "b.pdf", pdf(tmp_path, "bogs of peat"))
    made.stored(made.item(title="Moss", tags=("moss",)), "c.pdf", pdf(tmp_path, "much moss"))
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    read = files.paper_id

    def refuse(path):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr("ingest.__main__.paper_id", refuse)
    if moment == "before":
        monkeypatch.setattr("ingest.pipeline.paper_id", refuse)
    assert main(["zotero", str(made.done())]) == 1
    assert "“Bogs” cannot be opened;" in capsys.readouterr().err
    with open_library(IngestSettings(library=tmp_path / "library")) as library:
        assert set(library.tags()) == {"jars", "moss"}


def test_a_file_in_a_closed_folder_is_not_there(monkeypatch) -> None:
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert not ZoteroPdf(path=Path("x"), entry=Entry(key="x"), collections=(), tags=()).is_there
