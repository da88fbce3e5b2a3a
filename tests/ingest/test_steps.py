"""No fault of ours in an optional step costs a paper: each step is made to fail, and the paper is there without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

import ingest.parse
from fake_embedder import HashEmbedder
from ingest import IngestSettings, Library, ingest_pdf, open_library
from ingest.errors import EncryptedPdfError
from ingest.headings import find_headings
from ingest.layout import lay_out
from ingest.lines import UNREAD, mended
from ingest.notes import notes, pages
from ingest.parse import parse_pdf
from ingest.pipeline import Ingest, Source
from ingest.readers import rows_as_lines
from ingest.reference_list import find_references
from ingest.steps import Steps
from pdfs import Text, column, write_pdf

STEPS = {  # step → where its work is done
    "attached files": "ingest.parse.refuse_cover",
    "places of lines": "ingest.readers.pdfium_lines",
    "hidden text": "ingest.reread.visible_lines",
    "glyph names": "ingest.parse.named_letters",
    "second engine": "ingest.parse.by_second_engine",
    "OCR": "ingest.parse.recognise",
    "document information": "ingest.parse._info",
    "page labels": "ingest.parse._labels",
    "stamps": "ingest.layout._stamps",
    "outline": "ingest.layout.named_lines",
    "ligatures": "ingest.layout.mended",
    "line numbers": "ingest.layout.without_line_numbers",
    "running heads": "ingest.layout.running_lines",
    "type size": "ingest.layout._body_style",
    "hyphens": "ingest.layout.vocabulary_of",
    "title": "ingest.layout._title_lines",
    "headings": "ingest.layout.find_headings",
    "references": "ingest.layout.find_references",
    "paragraphs": "ingest.layout.find_pieces",
    "columns": "ingest.layout._n_columns",
    "tables": "ingest.blocks._rows",
    "words over two lines": "ingest.blocks.join",
    "layout": "ingest.parse.lay_out",
    "title and authors": "ingest.parse.describe",
    "orders to a model": "ingest.parse.flag_sentences",
}


class OurFaultError(Exception):
    """A fault of ours."""


def fail(*_: object, **__: object) -> None:
    raise OurFaultError


def page(number: int) -> list[Text]:
    return [
        Text(60, 740, "Peat and Methane in Three Rewetted Fens", size=18),
        Text(60, 700, "1 Introduction", size=12, bold=True),
        *column(60, 680, [f"We measured the methane of fen {number} for three years", "and that of drained land."]),
        Text(60, 640, "Table 1. Fluxes.", size=8),
        *[Text(60, 628 - 10 * i, f"fen {i}\t{i}.5\t7", size=8) for i in range(4)],
        Text(60, 560, "References", size=12, bold=True),
        *column(60, 540, ["[1] A. Smith, Peat, 2019.", "[2] B. Jones, Fens, 2020."]),
    ]  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_is_counted_and_the_paper_is_there(tmp_path, monkeypatch, step):
    path = write_pdf(tmp_path / "a.pdf", page(1), page(2))
    assert parse_pdf(path).report.lost == ()
    monkeypatch.setattr(STEPS[step], fail)
    parsed = parse_pdf(path)
    lost = {found.step: found for found in parsed.report.lost}
    assert set(lost) == {step}
    assert 1 <= lost[step].n_pages <= 20
    assert lost[step].why.startswith("OurFaultError, test_steps.py:")
    assert len(parsed.pages) == 2
    assert "methane of fen 2 for three years" in parsed.pages[1].text
    assert parsed.paper.title
    assert any(step in note and "the paper is there without it" in note for note in notes(parsed.report))


@pytest.mark.parametrize(
    ("step", "place", "times"),
    [("bibliography", "find_entry", 2), ("chunks by section", "chunk_paper", 1)],  # before the file is read, and after
)
def test_a_step_after_the_parser_that_fails_costs_no_paper_either(tmp_path, monkeypatch, step, place, times):
    import ingest.pipeline

    work, calls = getattr(ingest.pipeline, place), []

    def faulty(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        return fail() if len(calls) <= times else work(*arguments, **options)

    monkeypatch.setattr(ingest.pipeline, place, faulty)
    path = write_pdf(tmp_path / "a.pdf", page(1), page(2))
    library = Library(IngestSettings(library=tmp_path / "library"))
    report = ingest_pdf(path, library=library, embedder=HashEmbedder())
    assert report.status == "added", report.error
    assert len(library.pages(report.paper_id)) == 2
    assert [lost["step"] for lost in library.report(report.paper_id)["lost"]] == [step]
    library.close()
    assert any(step in note for note in report.notes)


def test_page_labels_that_fail_cost_no_paper(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.parse.page_labels", fail)
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", page(1), page(2)))
    assert parsed.paper.page_labels == ()
    assert [found.step for found in parsed.report.lost] == ["page labels"]


def test_a_stamp_counts_where_nothing_else_is_known_of_the_paper(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.parse.describe", fail)
    stamp = Text(100, 300, "RETRACTED", size=60)
    assert parse_pdf(write_pdf(tmp_path / "a.pdf", [stamp, *page(1)])).paper.retracted


@pytest.mark.parametrize("place", ["ingest.library.Library.like", "ingest.pipeline.notes"])
def test_a_fault_once_the_paper_is_stored_ends_no_run(tmp_path, monkeypatch, place):
    paths = [write_pdf(tmp_path / f"{n}.pdf", page(n), page(n + 1)) for n in (1, 5)]
    monkeypatch.setattr(place, fail)
    with open_library(IngestSettings(library=tmp_path / "library")) as library:
        work = Ingest(library=library, embedder=HashEmbedder())
        reports = list(work.run([Source(path, path.name) for path in paths]))
        assert [report.status for report in reports] == ["added", "added"]
        assert len(library.papers()) == 2
    if "like" in place:
        assert all("likely duplicates" in "".join(report.notes) for report in reports)


def test_a_step_that_fails_on_some_pages_counts_those(tmp_path, monkeypatch):
    work = ingest.reread.visible_lines
    monkeypatch.setattr(
        "ingest.reread.visible_lines", lambda p, lines, **o: fail() if "fen 2" in lines[2].text else work(p, lines, **o)
    )
    lost = parse_pdf(write_pdf(tmp_path / "a.pdf", page(1), page(2), page(3))).report.lost
    assert [(found.step, found.n_pages) for found in lost] == [("hidden text", 1)]


def test_too_little_memory_and_what_the_user_can_mend_are_no_faults_of_a_step():
    def raising(error: BaseException) -> None:
        raise error

    for error in (MemoryError(), EncryptedPdfError("a.pdf needs a password.")):
        with pytest.raises(type(error)):
            Steps().attempt("headings", lambda: None, raising, error)


def test_a_line_of_glyphs_without_letters_in_the_references_costs_nothing():
    entry = [
        (60, "Smith, A. (2019). Peat and"),
        (80, "methane. Journal of Fens, 3."),
        (60, UNREAD),
        (60, f" {UNREAD} "),
    ]
    rows = rows_as_lines(["References", *(text for _, text in entry * 4)], 1, face="F", page_size=(612.0, 792.0))
    lines = [replace(line, x=float(x)) for line, x in zip(rows, [60, *(x for x, _ in entry * 4)], strict=True)]
    steps = Steps()
    parts = lay_out([lines], steps=steps)
    assert steps.lost == ()
    assert len(parts.references) == 4
    assert UNREAD not in parts.pages[0].text
    heads = find_headings(mended(lines), lines[1].style, title=set())
    assert find_references(mended(lines), heads).starts  # and by itself it does not fail either


@pytest.mark.parametrize("x", [611.7, 610.9, 608.0])
@pytest.mark.parametrize("rotate", [0, 90])
def test_a_line_at_the_very_edge_of_the_page_is_looked_at(tmp_path, x, rotate):
    crowd = [Text(x, 700.5, "margin note one two three"), Text(x, 700.4, "margin note one two three four")]
    low = [Text(60, 0.4, "a foot that is cut off by the edge of the page"), Text(60, 0.3, "a foot that is cut off")]
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", page(1) + crowd + low, rotate=rotate))
    assert parsed.report.lost == ()


def test_page_numbers_in_words():
    assert pages([3]) == "Page 3"
    assert pages([2, 3, 4]) == "Pages 2 to 4"
    assert pages([1, 2, 5, 7, 8, 9]) == "Pages 1, 2, 5 and 7 to 9"
