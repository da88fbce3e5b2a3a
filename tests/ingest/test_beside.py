"""What a bibliography or Zotero said of a paper stays when our own copy is read: again, after a crash, as a retry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalogue_places import settings_in
from fake_embedder import HashEmbedder
from ingest import ingest_pdf, open_library
from ingest.errors import UnreadablePdfError
from ingest.files import paper_id
from ingest.pipeline import Ingest, Source
from ingest.sandbox import Parser
from pdfs import Text, column, write_pdf
from zotero_library import ZoteroLibrary

TITLE = "Methane emission of rewetted peatland"
PRINTED = "Untitled Draft Number Seven"
FACTS = "author={García Márquez, Gabriel}, year={2019}, journal={Journal of Peat}, volume={14}, doi={10.1002/xyz}"
BY_FILE = f"@article{{a, title={{{TITLE}}}, {FACTS}, file={{a.pdf}}}}"
BY_TITLE = f"@article{{a, title={{{PRINTED}}}, {FACTS}}}"


@pytest.fixture(params=["sqlite", "postgres"])
def library(request, tmp_path):
    with open_library(settings_in(request.param, tmp_path / "library", request)) as opened:
        yield opened


def pdf(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ["This is the running text of the paper, which goes on for a while."] * 8
    return write_pdf(path, [Text(72, 720, PRINTED, 18), *column(72, 600, rows)])


def described(library):
    """All that the bibliography says of the only paper, and when it was added."""
    (paper,) = library.papers()
    return paper, library.added_at()[paper.id]


def read_again(library):
    (paper,) = library.papers()
    source = Source(library.pdf_path(paper.id), paper.file_name)
    (report,) = Ingest(library=library, embedder=HashEmbedder(), again=True).run([source])
    assert report.status == "added", report.error


@pytest.mark.parametrize("bib", [BY_FILE, BY_TITLE])
def test_reading_again_keeps_the_description_and_the_date(library, tmp_path, bib):
    path = pdf(tmp_path / "export" / "a.pdf")
    (tmp_path / "export" / "export.bib").write_text(bib, encoding="utf-8")
    ingest_pdf(path, library=library, embedder=HashEmbedder())
    before = described(library)
    assert before[0].short_cite == "García Márquez 2019"
    assert before[0].publication.container == "Journal of Peat"
    read_again(library)
    assert described(library) == before
    ingest_pdf(path, library=library, embedder=HashEmbedder())
    read_again(library)
    assert described(library) == before


def test_reading_again_keeps_what_zotero_says(library, tmp_path):
    zotero = ZoteroLibrary(tmp_path / "Zotero")
    item = zotero.item(title=TITLE, date="2019", people=(("A", "Smith"),), publicationTitle="Journal of Peat")
    path = zotero.stored(item, "a.pdf", pdf(tmp_path / "1.pdf").read_bytes())
    zotero.done()
    ingest_pdf(path, library=library, embedder=HashEmbedder())
    before = described(library)
    assert before[0].title == TITLE
    read_again(library)
    assert described(library) == before


@pytest.mark.parametrize("bib", [BY_FILE, BY_TITLE])
@pytest.mark.parametrize("moment", ["parse", "embed"])
def test_what_a_crash_cut_off_is_described_as_it_would_have_been(library, tmp_path, monkeypatch, bib, moment):
    path = pdf(tmp_path / "export" / "a.pdf")
    (tmp_path / "export" / "export.bib").write_text(bib, encoding="utf-8")

    def killed(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(
            Parser if moment == "parse" else HashEmbedder,
            {"parse": "parse", "embed": "embed_documents"}[moment],
            killed,
        )
        assert ingest_pdf(path, library=library, embedder=HashEmbedder()).status == "failed"
    if bib is BY_FILE:
        (tmp_path / "export" / "export.bib").unlink()
    (report,) = Ingest(library=library, embedder=HashEmbedder()).resume()
    assert report.status == "added"
    assert described(library)[0].short_cite == "García Márquez 2019"


def test_a_file_that_could_not_be_read_is_described_as_it_would_have_been(library, tmp_path, monkeypatch):
    path = pdf(tmp_path / "export" / "a.pdf")
    (tmp_path / "export" / "export.bib").write_text(BY_FILE, encoding="utf-8")

    def refuse(*_, **__):
        raise UnreadablePdfError("No.", "Never.")

    with monkeypatch.context() as patched:
        patched.setattr(Parser, "parse", refuse)
        ingest_pdf(path, library=library, embedder=HashEmbedder())
    assert library.quarantine_path(paper_id(path)).is_file()
    (report,) = Ingest(library=library, embedder=HashEmbedder()).retry()
    assert report.title == TITLE
    assert described(library)[0].doi == "10.1002/xyz"


def test_the_copy_of_a_file_without_an_entry_takes_none_from_above_the_library(library, tmp_path):
    ingest_pdf(pdf(tmp_path / "a.pdf"), library=library, embedder=HashEmbedder())
    before = described(library)
    (tmp_path / "other.bib").write_text(BY_TITLE, encoding="utf-8")
    read_again(library)
    assert described(library) == before


def test_a_paper_of_an_older_library_stays_described_as_it_was(library, tmp_path):
    path = pdf(tmp_path / "export" / "a.pdf")
    (tmp_path / "export" / "export.bib").write_text(BY_FILE, encoding="utf-8")
    ingest_pdf(path, library=library, embedder=HashEmbedder())
    before = described(library)
    with library._db as db:
        db.execute("DELETE FROM facts WHERE name <> 'embedder'")
    read_again(library)
    assert described(library) == before


def test_a_guess_of_an_older_library_is_made_anew(library, tmp_path):
    ingest_pdf(pdf(tmp_path / "a.pdf"), library=library, embedder=HashEmbedder())
    before = described(library)
    with library._db as db:
        db.execute("DELETE FROM facts WHERE name <> 'embedder'")
        db.execute("UPDATE papers SET title = 'a'")
    read_again(library)
    assert described(library) == before


def test_nothing_stays_of_a_paper_that_is_removed_or_given_up(library, tmp_path):
    path = pdf(tmp_path / "export" / "a.pdf")
    (tmp_path / "export" / "export.bib").write_text(BY_FILE, encoding="utf-8")
    name = ingest_pdf(path, library=library, embedder=HashEmbedder()).paper_id
    assert library.beside(name).entry
    library.remove(name)
    assert not library.beside(name).entry
    library.keep_beside(name, replace(library.beside(name), place=str(path)))
    library.discard(name)
    assert not library.beside(name).place


@pytest.mark.parametrize("moment", ["parse", "embed_documents"])
def test_a_paper_that_is_removed_while_it_is_read_again_leaves_nothing(library, tmp_path, monkeypatch, moment):
    name = ingest_pdf(pdf(tmp_path / "a.pdf"), library=library, embedder=HashEmbedder()).paper_id
    source = Source(library.pdf_path(name), "a.pdf")
    owner = Parser if moment == "parse" else HashEmbedder
    work = getattr(owner, moment)

    def removing(self, *arguments, **options):
        library.remove(name)
        return work(self, *arguments, **options)

    monkeypatch.setattr(owner, moment, removing)
    (report,) = Ingest(library=library, embedder=HashEmbedder(), again=True).run([source])
    assert (report.status, report.error) == ("failed", "a.pdf was removed while it was being read.")
    assert library.ledger.entries() == []
    assert library.papers() == []


def test_a_bibliography_that_was_mended_counts_when_the_file_is_added_again(library, tmp_path, monkeypatch):
    path, bib = pdf(tmp_path / "export" / "a.pdf"), tmp_path / "export" / "export.bib"
    bib.write_text(BY_TITLE.replace("2019", "1990"), encoding="utf-8")
    with monkeypatch.context() as broken:
        broken.setattr(HashEmbedder, "embed_documents", lambda *_: 1 / 0)
        assert ingest_pdf(path, library=library, embedder=HashEmbedder()).status == "failed"
    bib.write_text(BY_TITLE, encoding="utf-8")
    assert ingest_pdf(path, library=library, embedder=HashEmbedder()).status == "added"
    assert library.papers()[0].year == 2019
