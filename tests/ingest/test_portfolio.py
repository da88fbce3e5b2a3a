"""Portfolios: the cover page is no paper, and the PDFs that are attached to it can be added."""

from __future__ import annotations

import json

import pypdfium2
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ByteStringObject, NameObject

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
        from pypdf.generic import DictionaryObject

        writer.root_object[NameObject("/Collection")] = DictionaryObject(
            {NameObject("/Type"): NameObject("/Collection")}
        )
    writer.write(path)
    return path


def renamed(path, index, utf_16):
    """Give an attachment a name of these bytes, which pypdf itself would not write."""
    writer = PdfWriter(clone_from=PdfReader(path))
    spec = writer.root_object["/Names"]["/EmbeddedFiles"]["/Names"][2 * index + 1].get_object()
    spec[NameObject("/F")] = spec[NameObject("/UF")] = ByteStringObject(b"\xfe\xff" + utf_16)
    writer.write(path)


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
    saved, refused = save_attached(path, tmp_path / "out", max_mb=200)
    assert refused == []
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
    assert attached_names(path, max_mb=200) == ()
    with pytest.raises(UserFacingError, match="No PDF is attached"):
        save_attached(path, tmp_path, max_mb=200)


@pytest.mark.parametrize("name", ["../../evil.pdf", "C:\\temp\\evil", "/etc/passwd", "a\x00b\n.pdf", "..", "x" * 400])
def test_no_name_of_an_attachment_leaves_the_folder(tmp_path, cover, name):
    path = portfolio(tmp_path / "a.pdf", cover, [(name, PAPERS[0].read_bytes()), (name, PAPERS[1].read_bytes())])
    folder = tmp_path / "out"
    folder.mkdir()
    saved, _ = save_attached(path, folder, max_mb=200)
    assert {place.resolve().parent for place in saved} == {folder.resolve()}
    assert len(set(saved)) == len(saved) >= 1
    assert all(len(place.name.encode()) < 200 for place in saved)


def test_attachments_of_one_name_do_not_overwrite_each_other(tmp_path, cover):
    data = [b"%PDF-1.7 " + str(n).encode() for n in range(6)]
    names = ["a.pdf", "a (3).pdf", "b/a.pdf", "a (2).pdf"]
    first = portfolio(tmp_path / "1.pdf", cover, list(zip(names, data, strict=False)))
    second = portfolio(tmp_path / "2.pdf", cover, list(zip(["a.pdf", "c/a.pdf"], data[4:], strict=True)))
    (tmp_path / "out").mkdir()
    saved = [place for path in (first, second) for place in save_attached(path, tmp_path / "out", max_mb=200)[0]]
    assert sorted(place.read_bytes() for place in saved) == data


def test_an_attachment_whose_name_is_no_text_costs_only_its_name(tmp_path, cover):
    path = portfolio(tmp_path / "a.pdf", cover, [(f"{n}.pdf", b"%PDF-1.7 " + n.encode()) for n in "abc"])
    renamed(path, 1, b"\xd8\x3d" + ".pdf".encode("utf-16-be"))
    (tmp_path / "out").mkdir()
    saved, _ = save_attached(path, tmp_path / "out", max_mb=200)
    assert [place.name for place in saved] == ["a.pdf", "attached 2.pdf", "c.pdf"]


def test_a_name_of_many_bytes_is_cut_between_its_letters(tmp_path, cover):
    path = portfolio(tmp_path / "a.pdf", cover, [(f"{n}.pdf", b"%PDF-1.7 " + n.encode()) for n in "ab"])
    for index in range(2):
        renamed(path, index, f"{'文' * 100}.pdf".encode("utf-16-be"))
    (tmp_path / "out").mkdir()
    saved, _ = save_attached(path, tmp_path / "out", max_mb=200)
    assert [place.name for place in saved] == [f"{'文' * 60}.pdf", f"{'文' * 60} (2).pdf"]


@pytest.mark.parametrize("fault", [pypdfium2.PdfiumError("broken"), UnicodeDecodeError("utf-16-le", b"", 0, 1, "x")])
def test_an_attachment_that_cannot_be_got_costs_no_other(tmp_path, cover, monkeypatch, fault):
    path = portfolio(tmp_path / "a.pdf", cover, [(f"{n}.pdf", b"%PDF-1.7 " + n.encode()) for n in "abc"])
    real = pypdfium2.PdfDocument.get_attachment

    def get(self, index):
        if index == 1:
            raise fault
        return real(self, index)

    monkeypatch.setattr(pypdfium2.PdfDocument, "get_attachment", get)
    assert attached_names(path, max_mb=200) == ("a.pdf", "c.pdf")


def test_an_attachment_beyond_the_limit_is_named_and_not_saved(tmp_path, cover):
    big = b"%PDF-1.7 " + b"\0" * 3_000_000
    path = portfolio(
        tmp_path / "a.pdf", cover, [("big.pdf", big), ("zeros.bin", big[9:]), ("small.pdf", b"%PDF-1.7 a")]
    )
    (tmp_path / "out").mkdir()
    saved, refused = save_attached(path, tmp_path / "out", max_mb=2)
    assert [place.name for place in saved] == ["small.pdf"]
    (said,) = map(str, refused)
    assert said.startswith("The attached big.pdf was not added: it has more than 2 MB. Raise SCHOLION_MAX")
    assert attached_names(path, max_mb=2) == ("big.pdf", "small.pdf")


def test_the_report_names_what_is_attached_and_the_copy_is_kept(tmp_path, cover):
    path = portfolio(tmp_path / "a.pdf", cover, [("one.pdf", PAPERS[0].read_bytes())])
    library = Library(IngestSettings(library=tmp_path / "library"))
    report = ingest_pdf(path, library=library, embedder=HashEmbedder())
    assert (report.status, list(report.attached)) == ("failed", ["one.pdf"])
    assert "python -m ingest add --attached" in report.error
    assert attached_names(library.quarantine_path(report.paper_id), max_mb=200) == ("one.pdf",)
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


def small_portfolio(folder, cover, name, words):
    paper = write_pdf(folder / "small.pdf", column(60, 700, [f"A paper of a few words about {words} and peat."] * 3))
    return portfolio(folder / name, cover, [("small.pdf", paper.read_bytes())])


def test_a_file_without_attachments_costs_no_other(tmp_path, cover, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    paths = [cover, *(small_portfolio(tmp_path, cover, f"{name}.pdf", name) for name in ("methane", "moss"))]
    assert main(["add", "--json", "--attached", *map(str, paths)]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["status"] for row in rows] == ["failed", "added", "added"]
    assert rows[0]["error"].startswith("No PDF is attached to cover.pdf.")


def test_a_bibliography_in_the_common_folder_for_temporary_files_describes_no_attachment(
    tmp_path, cover, monkeypatch, capsys
):
    common = tmp_path / "tmp"
    common.mkdir()
    (common / "x.bib").write_text("@misc{a, title={Written by a stranger}, file={small.pdf}}", encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(common))
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "home" / "library"))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    path = small_portfolio(tmp_path, cover, "a.pdf", "methane")
    assert main(["add", "--json", "--attached", str(path)]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["title"] != "Written by a stranger"
    assert list((tmp_path / "home" / "library" / "incoming").iterdir()) == [], "nothing is left of it"


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
