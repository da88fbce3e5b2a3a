"""Portfolios: the cover page is no paper, and the PDFs that are attached to it can be added."""

from __future__ import annotations

import json

import pypdfium2
import pytest
from pypdf import PdfReader, PdfWriter

from fake_embedder import HashEmbedder
from ingest import IngestSettings, Library, ingest_pdf
from ingest.__main__ import main
from ingest.errors import NoTextError, PortfolioError, UserFacingError
from ingest.parse import parse_pdf
from ingest.portfolio import attached_names, refuse_cover, save_attached
from pdfs import Text, column, write_pdf
from places import SAMPLES

PAPERS = sorted(SAMPLES.glob("*.pdf"))[:2]


def portfolio(path, cover, attached, *, collection=True):
    writer = PdfWriter(clone_from=PdfReader(cover))
    for name, data in attached:
        writer.add_attachment(name, data)
    if collection:
        from pypdf.generic import DictionaryObject, NameObject

        writer.root_object[NameObject("/Collection")] = DictionaryObject(
            {NameObject("/Type"): NameObject("/Collection")}
        )
    writer.write(path)
    return path


@pytest.fixture
def cover(tmp_path):
    return write_pdf(tmp_path / "cover.pdf", [Text(72, 700, "For the best experience, open this PDF portfolio.")])


@pytest.mark.parametrize("collection", [True, False])
def test_a_cover_with_attached_pdfs_is_refused_and_they_are_named(tmp_path, cover, collection):
    files = [(f"{i} paper.pdf", paper.read_bytes()) for i, paper in enumerate(PAPERS)]
    path = portfolio(tmp_path / "a.pdf", cover, [*files, ("notes.txt", b"hello")], collection=collection)
    with pytest.raises(PortfolioError, match=r"is a cover page with 2 PDFs attached: 0 paper\.pdf, 1 paper\.pdf"):
        parse_pdf(path)
    (tmp_path / "out").mkdir()
    saved = save_attached(path, tmp_path / "out")
    assert sorted(place.read_bytes() for place in saved) == sorted(paper.read_bytes() for paper in PAPERS)


def test_a_paper_with_a_supplement_attached_is_a_paper(tmp_path):
    path = portfolio(tmp_path / "a.pdf", PAPERS[0], [("supplement.pdf", PAPERS[1].read_bytes())])
    assert parse_pdf(path).paper.title


ABSTRACT = "Rewetting raised emissions of methane and lowered carbon dioxide emissions substantially"


@pytest.mark.parametrize("collection", [True, False])
def test_a_short_paper_with_a_supplement_is_a_paper(tmp_path, collection):
    lines = column(60, 760, [ABSTRACT] * 20)
    path = write_pdf(tmp_path / "abstract.pdf", lines)
    files = [("supplement.pdf", PAPERS[1].read_bytes())]
    assert "methane" in parse_pdf(portfolio(tmp_path / "a.pdf", path, files, collection=collection)).text


def test_a_short_paper_in_chinese_with_a_supplement_is_a_paper():
    with pypdfium2.PdfDocument.new() as document:
        document.new_page(612, 792)
        document.new_attachment("supplement.pdf").set_data(b"%PDF-1.4")
        refuse_cover(document, "我们在三个排水的泥炭地上测量甲烷和二氧化碳的排放" * 20, "a.pdf")
        with pytest.raises(PortfolioError):
            refuse_cover(document, "请打开附件。", "a.pdf")


@pytest.mark.parametrize("tesseract", [True, False])
def test_a_scan_with_a_supplement_is_a_paper(tmp_path, monkeypatch, tesseract):
    from test_ocr import scan_of

    page = pypdfium2.PdfDocument(PAPERS[0])[0]
    (tmp_path / "bare.pdf").write_bytes(scan_of(page, dpi=72))
    pypdfium2.PdfDocument(tmp_path / "bare.pdf").save(tmp_path / "scan.pdf")  # with a table of its objects
    path = portfolio(
        tmp_path / "a.pdf", tmp_path / "scan.pdf", [("supplement.pdf", PAPERS[1].read_bytes())], collection=False
    )
    if tesseract:
        monkeypatch.setattr("ingest.reread.read_page", lambda *_, **__: "\n".join([ABSTRACT] * 25))
        assert "methane" in parse_pdf(path).text
    else:
        monkeypatch.setattr("shutil.which", lambda _: None)
        with pytest.raises(NoTextError, match="Install Tesseract"):
            parse_pdf(path)


def test_attached_files_that_are_no_pdfs_are_not_offered(tmp_path, cover):
    path = portfolio(tmp_path / "a.pdf", cover, [("data.csv", b"1,2"), ("fake.pdf", b"<html>")])
    assert attached_names(path) == ()
    with pytest.raises(UserFacingError, match="No PDF is attached"):
        save_attached(path, tmp_path)


@pytest.mark.parametrize("name", ["../../evil.pdf", "C:\\temp\\evil", "/etc/passwd", "a\x00b\n.pdf", "..", "x" * 400])
def test_no_name_of_an_attachment_leaves_the_folder(tmp_path, cover, name):
    path = portfolio(tmp_path / "a.pdf", cover, [(name, PAPERS[0].read_bytes()), (name, PAPERS[1].read_bytes())])
    folder = tmp_path / "out"
    folder.mkdir()
    saved = save_attached(path, folder)
    assert {place.resolve().parent for place in saved} == {folder.resolve()}
    assert len(set(saved)) == len(saved) >= 1


def test_the_report_names_what_is_attached_and_the_copy_is_kept(tmp_path, cover):
    path = portfolio(tmp_path / "a.pdf", cover, [("one.pdf", PAPERS[0].read_bytes())])
    library = Library(IngestSettings(library=tmp_path / "library"))
    report = ingest_pdf(path, library=library, embedder=HashEmbedder())
    assert (report.status, list(report.attached)) == ("failed", ["one.pdf"])
    assert "python -m ingest add --attached" in report.error
    assert attached_names(library.quarantine_path(report.paper_id)) == ("one.pdf",)
    assert library.papers() == []
    library.close()


def test_the_command_line_adds_what_is_attached(tmp_path, cover, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    small = write_pdf(tmp_path / "small.pdf", column(60, 700, ["A paper of a few words about methane and peat."] * 3))
    path = portfolio(tmp_path / "a.pdf", cover, [("small.pdf", small.read_bytes())])
    assert main(["add", "--json", "--attached", str(path)]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["status"] == "added"


def test_pages_that_could_not_be_read_are_told_when_the_paper_is_added(tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    library = Library(IngestSettings(library=tmp_path / "library"))
    report = ingest_pdf(shared_data / "cases" / "mixed.pdf", library=library, embedder=HashEmbedder())
    assert report.status == "added"
    (note,) = report.notes
    assert note.startswith("Pages 2 to 4 could not be read")
    assert "apt install tesseract-ocr" in note
    assert "remove the paper and add it again" in note
    from ui.uploads import _result

    assert "Pages 2 to 4 could not be read" in _result(report)
    library.close()
