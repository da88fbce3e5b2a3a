"""The bibliography beside or above a paper, and the entry that means its file; folders with links and companions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from watchfiles import Change

from fake_embedder import HashEmbedder
from ingest import __main__ as commands
from ingest import ingest_pdf, open_library
from ingest.__main__ import main as ingest
from ingest.bibtex import parse_bibtex
from ingest.entry import Entry
from ingest.pipeline import pdf_files
from ingest.sidecar import _place, find_entry, sidecar_entries
from pdfs import Text, column, write_pdf

COMPANION = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "


def pdf(path, title="Untitled Draft Number Seven"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ["This is the running text of the paper, which goes on for a while."] * 8
    return write_pdf(path, [Text(72, 720, title, 18), *column(72, 600, rows)])


def entry_for(path):
    return find_entry(path, sidecar_entries(path), title="nothing", doi=None)


@pytest.mark.parametrize(
    "field",
    [
        "files/12/Full Text PDF.pdf",
        "Full Text PDF:files/12/Full Text PDF.pdf:application/pdf",
        ":files/12/Full Text PDF.pdf:application/pdf",
        "Snapshot:files/13/index.html:text/html;Full Text PDF:files/12/Full Text PDF.pdf:application/pdf",
        "files/9/Supplement.pdf;files/12/Full Text PDF.pdf",
        r"files\\12\\Full Text PDF.pdf",
        r":C\:\\Users\\me\\Zotero Export\\files\\12\\Full Text PDF.pdf:application/pdf",
        r"C:\Users\me\files\12\Full Text PDF.pdf",
        "files/12/Full%20Text%20PDF.pdf",
        "file:///home/me/files/12/Full%20Text%20PDF.pdf",
        "{:files/12/Full Text PDF.pdf:PDF}",
    ],
)
def test_an_entry_finds_its_file_below_the_bibliography(tmp_path, field):
    path = pdf(tmp_path / "My Library" / "files" / "12" / "Full Text PDF.pdf")
    other = pdf(tmp_path / "My Library" / "files" / "14" / "Full Text PDF.pdf")
    bib = f"@article{{a, title={{The Right One}}, year={{2019}}, doi={{10.5555/x.1}}, file={{{field}}}}}\n"
    bib += "@article{b, title={Another}, file={Full Text PDF:files/15/Full Text PDF.pdf:application/pdf}}\n"
    (tmp_path / "My Library" / "My Library.bib").write_text(bib, encoding="utf-8")
    found = entry_for(path)
    assert found is not None
    assert (found.title, found.year, found.doi) == ("The Right One", 2019, "10.5555/x.1")
    assert entry_for(other) is None, "a name that any file has says nothing"


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("files/1/Smith; Jones - 2019.pdf", "Smith; Jones - 2019.pdf"),
        (r"files/1/Title\: a subtitle.pdf", "Title: a subtitle.pdf"),
        ("files/1/Title: a subtitle.pdf", "Title: a subtitle.pdf"),
        ("files/1/100% of it.pdf", "100% of it.pdf"),
        (r"files/1/M{\'e}thane.pdf", "Méthane.pdf"),
        (r"files/1/a{\_}b.pdf", "a_b.pdf"),
    ],
)
def test_names_with_the_signs_of_the_syntax(tmp_path, field, name):
    path = pdf(tmp_path / "files" / "1" / name)
    (tmp_path / "x.bib").write_text(f"@misc{{a, title={{T}}, file={{{field}}}}}", encoding="utf-8")
    assert entry_for(path) is not None


def test_a_path_that_leads_to_another_file_means_that_one(tmp_path):
    one, two = pdf(tmp_path / "files" / "1" / "smith.pdf"), pdf(tmp_path / "smith.pdf")
    (tmp_path / "x.bib").write_text("@misc{a, title={T}, file={files/1/smith.pdf}}", encoding="utf-8")
    assert entry_for(one) is not None
    assert entry_for(two) is None


def test_the_paper_is_described_as_its_entry_says(tmp_path, library):
    path = pdf(tmp_path / "export" / "files" / "12" / "Full Text PDF.pdf")
    (tmp_path / "export" / "export.bib").write_text(
        "@article{a, title={Methane emission of rewetted peatland}, author={García Márquez, Gabriel}, year={2019},\n"
        "doi={10.1002/(SICI)1096-9861(19960129)365:1<113::AID-CNE9>3.0.CO;2-6}, isbn={978-0-262-03561-3},\n"
        "file={Full Text PDF:files/12/Full Text PDF.pdf:application/pdf}}",
        encoding="utf-8",
    )
    report = ingest_pdf(path, library=library, embedder=HashEmbedder())
    paper = library.paper(report.paper_id)
    assert (paper.title, paper.year, paper.isbn) == ("Methane emission of rewetted peatland", 2019, "9780262035613")
    assert paper.doi == "10.1002/(SICI)1096-9861(19960129)365:1<113::AID-CNE9>3.0.CO;2-6"
    assert paper.short_cite == "García Márquez 2019"
    assert library.describe(paper.id, authors=("Ann B Jones",)).short_cite == "Jones 2019"


def test_arxiv_ids_of_both_kinds_in_entries():
    fields = [
        ("eprint = {hep-th/9901001}, archivePrefix = {arXiv}", "hep-th/9901001"),
        ("eprint = {math/0309136v2}, eprinttype = {arxiv}", "math/0309136"),
        ("eprint = {math.GT/0309136v2}", "math.GT/0309136"),
        ("arxivId = {1706.03762}", "1706.03762"),
        ("url = {https://arxiv.org/pdf/hep-th/9901001v1}", "hep-th/9901001"),
        ("journal = {arXiv preprint arXiv:1706.03762}", "1706.03762"),
        ("eprint = {12345678}, eprinttype = {pubmed}", None),
    ]
    for field, arxiv in fields:
        [entry], _ = parse_bibtex(f"@misc{{a, title = {{T}}, {field}}}")
        assert entry.arxiv_id == arxiv, field


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    home, elsewhere = tmp_path / "papers", tmp_path / "elsewhere"
    pdf(home / "a.pdf"), pdf(elsewhere / "deep" / "b.pdf")
    (home / "linked").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "back").symlink_to(home, target_is_directory=True)
    (home / "self").symlink_to(home, target_is_directory=True)
    (home / "gone.pdf").symlink_to(tmp_path / "nowhere.pdf")
    assert [path.relative_to(home).as_posix() for path in pdf_files([home])] == ["a.pdf", "linked/deep/b.pdf"]


def test_the_pdfs_of_a_folder_that_is_moved_into_a_watched_one_are_added(tmp_path, settings, monkeypatch):
    (tmp_path / "watched").mkdir()
    pdf(tmp_path / "new" / "sub" / "a.pdf")
    pdf(tmp_path / "new" / "b.pdf", "Untitled Draft Number Eight")
    monkeypatch.setenv("SCHOLION_LIBRARY", str(settings.library))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())

    def changes(folder, **_):
        yield set()
        (tmp_path / "new").rename(folder / "moved")
        yield {(Change.added, str(folder / "moved"))}
        (folder / "moved" / "b.pdf").unlink()
        yield {(Change.modified, str(folder / "moved")), (Change.deleted, str(folder / "moved" / "b.pdf"))}

    monkeypatch.setattr("watchfiles.watch", changes)
    taken = []
    run = commands._run
    monkeypatch.setattr(
        commands, "_run", lambda library, files, options: taken.append(files) or run(library, files, options)
    )
    assert ingest(["watch", str(tmp_path / "watched")]) == 0
    assert [[path.name for path in files] for files in taken] == [["b.pdf", "a.pdf"]]
    with open_library(settings) as library:
        assert len(library.papers()) == 2


def test_what_macos_leaves_is_passed_over_silently(tmp_path, settings, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(settings.library))
    monkeypatch.setattr("ingest.__main__.embedder_from", lambda _: HashEmbedder())
    home = tmp_path / "papers"
    real = pdf(home / "x.pdf")
    for name in ("._x.pdf", "__MACOSX/._x.pdf", "__MACOSX/y.pdf", ".DS_Store"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(COMPANION)
    shutil.copy(real, home / "._real.pdf")  # whatever its name, it is a PDF
    assert pdf_files([home]) == [home / "._real.pdf", real]
    assert ingest(["add", str(home), str(home / "._x.pdf"), str(home / ".DS_Store")]) == 0
    said = capsys.readouterr()
    assert "._x.pdf" not in said.out + said.err
    assert ingest(["add", str(home / "._x.pdf")]) == 1
    assert "no PDF among them" in capsys.readouterr().err


def test_a_folder_with_an_entry_that_cannot_be_looked_at_loses_no_other(tmp_path, monkeypatch):
    paths = [pdf(tmp_path / name) for name in ("a.pdf", "b.pdf", "deep/c.pdf")]
    (tmp_path / "aa").mkdir()
    real = Path.is_dir

    def is_dir(self):
        if self.name in ("aa", "a.pdf"):
            raise PermissionError(13, "Permission denied")  # as Python 3.11 does for what it may not look at
        return real(self)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert pdf_files([tmp_path]) == paths[1:]


@pytest.mark.parametrize(
    "field",
    [
        "file://host/share/x.pdf",
        "FILE://host/share/x.pdf",
        "file:////host/share/x.pdf",
        "//host/share/x.pdf",
        r"\\host\share\x.pdf",
        r"\/host/share/x.pdf",
        "file:\\\\host\\share\\x.pdf",
    ],
)
def test_no_path_of_an_entry_leads_to_another_machine(tmp_path, field):
    entry = Entry(key="a", files=(field,), source=tmp_path / "x.bib")
    assert _place(field, entry) is None


def test_paths_of_this_machine_are_followed(tmp_path):
    entry = Entry(key="a", source=tmp_path / "x.bib")
    for field in ("file:///a/x.pdf", "file://localhost/a/x.pdf", "file:/a/x.pdf", "/a/x.pdf"):
        assert _place(field, entry) == Path("/a/x.pdf")
    assert _place(r"files\1\x.pdf", entry) == tmp_path / "files" / "1" / "x.pdf"


def test_many_bibliographies_in_reach_are_read_once(tmp_path, monkeypatch):
    for n in range(12):
        (tmp_path / f"{n}.bib").write_text(f"@misc{{a{n}, title={{Title {n}}}}}", encoding="utf-8")
    read = []
    monkeypatch.setattr("ingest.sidecar.read_bibtex", lambda path: read.append(path) or [])
    for n in range(5):
        sidecar_entries(tmp_path / f"paper {n}.pdf")
    assert len(read) == 12


LONG = "A general theory of peat formation in boreal mires"


def by_title(said, doi, *, title, own):
    entry = Entry(key="b", title=said, doi=doi)
    return find_entry(Path("p.pdf"), [entry], title=title, doi=own) is entry


@pytest.mark.parametrize("said", ["Introduction", f"{LONG}: a review"])
def test_an_entry_with_another_doi_is_another_paper(said):
    own = said.partition(":")[0]
    assert not by_title(said, "10.1000/b", title=own, own="10.1000/a")
    assert by_title(said, None, title=own, own="10.1000/a")
    assert by_title(said, "10.1000/b", title=own, own=None)
    assert not by_title(said, "10.48550/arXiv.1706.03762", title=own, own="10.48550/arXiv.1706.03763")


@pytest.mark.parametrize(
    "preprint",
    [
        "10.48550/arXiv.1706.03762",
        "10.1101/2020.01.02.123456",
        "10.21203/rs.3.rs-1/v1",
        "10.31234/osf.io/abcde",
        "10.2139/ssrn.1234567",
        "10.26434/chemrxiv-2021-abcde",
        "10.20944/preprints202101.0001.v1",
        "10.36227/techrxiv.1234567",
        "10.5281/zenodo.1234567",
    ],
)
def test_an_article_and_its_preprint_are_one_paper(preprint):
    assert by_title(LONG, "10.1000/b", title=LONG, own=preprint)
    assert by_title(LONG, preprint, title=f"{LONG}: a review", own="10.1000/b")


@pytest.mark.parametrize(
    ("said", "title", "is_it"),
    [
        (f"{LONG}: Part II", f"{LONG}: Part I", False),
        (f"{LONG}: Part II", LONG, False),
        (f"{LONG}. III", LONG, False),
        (f"{LONG} 2", LONG, False),
        (f"{LONG}, Teil 2", LONG, False),
        (f"{LONG}: participation of mosses", LONG, True),
        (LONG, f"{LONG}: in five mires", True),
    ],
)
def test_another_part_is_another_paper(said, title, is_it):
    assert by_title(said, None, title=title, own=None) is is_it
