"""What pages are called: by the file's own labels, else by the numbers in their margins."""

from __future__ import annotations

import pytest
from pypdf import PdfWriter
from pypdf.constants import PageLabelStyle

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from ingest.__main__ import main as ingest
from ingest.paper import Paper
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

BODY = [f"This is line {word} of the running text on a page." for word in ("one", "two", "three", "four", "five")]


def document(path, numbers, *, heads=("Peat Journal", "Kowal and Lindqvist")):
    """Pages with these numbers in their margins, outside, beside running heads; None: a page without."""
    pages = []
    for place, number in enumerate(numbers):
        head = heads[place % 2]
        row = f"{head}   {number}" if place % 2 else f"{number}   {head}"
        margin = [] if number is None else [Text(72, 760, row)]
        pages.append([*margin, Text(72, 700, "A Title of Several Words", 18), *column(72, 600, BODY)])
    return write_pdf(path, *pages)


def labelled(path, *ranges, n=4):
    """A PDF with page labels: (first page, last page, options of `set_page_label`), counted from 0."""
    writer = PdfWriter(clone_from=document(path, [None] * n))
    for first, last, options in ranges:
        writer.set_page_label(first, last, **options)
    writer.write(path)
    return path


def labels(path):
    return parse_pdf(path).paper.page_labels


DECIMAL, ROMAN = PageLabelStyle.DECIMAL, PageLabelStyle.LOWERCASE_ROMAN


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ([(0, 3, {"style": DECIMAL, "start": 1123})], ("1123", "1124", "1125", "1126")),
        ([(0, 1, {"style": ROMAN}), (2, 3, {"style": DECIMAL})], ("i", "ii", "1", "2")),
        ([(0, 3, {"style": DECIMAL, "prefix": "S-"})], ("S-1", "S-2", "S-3", "S-4")),
        ([(0, 3, {"style": DECIMAL})], ()),
        ([(0, 3, {"prefix": "](javascript:x)"})], ()),
    ],
)
def test_the_files_own_labels_are_believed(tmp_path, ranges, told):
    assert labels(labelled(tmp_path / "a.pdf", *ranges)) == told


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([1123, 1124, 1125, 1126], ("1123", "1124", "1125", "1126")),
        ([None, 1124, 1125], ("1123", "1124", "1125")),  # the title page has none
        ([None, 698, 699, None, 701, 702], ("697", "698", "699", "700", "701", "702")),
        (["S12", "S13", "S14"], ("S12", "S13", "S14")),
        (["i", "ii", "iii", 1, 2, 3, 4, 5], ("i", "ii", "iii", "1", "2", "3", "4", "5")),
        ([None, None, 1, 2, 3, 4, 5, 6], ("", "", "1", "2", "3", "4", "5", "6")),
        ([1, 2, 3, 4], ()),
        ([2019, 2019, 2019, 2019], ()),  # a year
        ([31, 7, 112, 56], ()),
        ([None, None, None, 45], ()),
    ],
)
def test_numbers_in_the_margins_count_where_they_run(tmp_path, numbers, told):
    found = labels(document(tmp_path / "a.pdf", numbers))
    if told and told[1] == "":
        assert found[2:] == told[2:], "one page before the first number may be counted on"
    else:
        assert found == told


def test_a_page_is_named_as_printed_and_by_its_place_in_the_file():
    paper = Paper(id="a" * 16, title="T", n_pages=4, file_name="a.pdf", page_labels=("ii", "1", "", "7"))
    assert [paper.page_name(number) for number in (1, 2, 3, 4)] == ["ii (1)", "1 (2)", "3", "7 (4)"]
    assert paper.page_name(1, 2) == "ii-1 (1-2)"
    assert paper.page_name(2, 2) == "1 (2)"
    plain = Paper(id="a" * 16, title="T", n_pages=4, file_name="a.pdf")
    assert (plain.page_name(3), plain.page_name(3, 4), plain.page_label(3)) == ("3", "3-4", None)
    assert (paper.pages_called("II"), paper.pages_called("1"), paper.pages_called("3")) == ([1], [2], [3])
    assert paper.pages_called("9") == []


def test_labels_are_kept_and_shown(tmp_path, settings, library, monkeypatch, capsys):
    path = document(tmp_path / "a.pdf", [1123, 1124, 1125])
    report = ingest_pdf(path, library=library, embedder=HashEmbedder())
    assert library.paper(report.paper_id).page_labels == ("1123", "1124", "1125")
    assert [page.number for page in library.pages(report.paper_id)] == [1, 2, 3], "what is stored goes by the file"
    library.close()
    monkeypatch.setenv("SCHOLION_LIBRARY", str(settings.library))
    assert ingest(["show", report.paper_id]) == 0
    assert "--- page 1124 (2) ---" in capsys.readouterr().out
