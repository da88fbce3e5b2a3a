"""DOIs, arXiv ids and ISBNs, as they are printed and as bibliographies and addresses write them."""

from __future__ import annotations

import pytest

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from ingest.__main__ import main
from ingest.identifiers import (
    arxiv_id_in_doi,
    arxiv_id_in_name,
    doi_in_field,
    find_dois,
    find_isbns,
    isbn13,
    isbn_in_doi,
    isbn_in_field,
    printed_arxiv_id,
    stamped_arxiv_id,
    typed_arxiv_id,
    typed_doi,
    year_in_doi,
    year_of_arxiv_id,
)
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

SICI = "10.1002/(SICI)1096-9861(19960129)365:1<113::AID-CNE9>3.0.CO;2-6"
METEOROLOGICAL = "10.1175/1520-0493(1974)102<0001:ABOTM>2.0.CO;2"


@pytest.mark.parametrize(
    ("text", "dois"),
    [
        (f"DOI: {SICI}", [SICI]),
        (f"({SICI}).", [SICI]),
        (f"{SICI}; {METEOROLOGICAL}, and", [SICI, METEOROLOGICAL]),
        ("10.1002/(SICI)1096-9861(19960129)365:1\n<113::AID-CNE9>3.0.CO;2-6", [SICI]),
        ("10.1002/(SICI)1096-9861(19960129)365:1<113::AID-\nCNE9>3.0.CO;2-6", [SICI]),
        ("10.1002/(SICI)1096-9861(19960129)365:1<113::AID-CNE9>3.0.\nCO;2-6", [SICI]),
        ("10.1002/(SICI)1096-9861(19960129)365:1&lt;113::AID-CNE9&gt;3.0.CO;2-6", [SICI]),
        (
            "https://doi.org/10.1002/%28SICI%291096-9861%2819960129%29365%3A1%3C113%3A%3AAID-CNE9%3E3.0.CO%3B2-6",
            [SICI],
        ),
        ("https://onlinelibrary.wiley.com/doi/abs/10.1002/a%3Cb%3E?download=true", ["10.1002/a<b>"]),
        ("10.1890/1051-0761(1997)007[0043:EOAPOS]2.0.CO;2.", ["10.1890/1051-0761(1997)007[0043:EOAPOS]2.0.CO;2"]),
        ("10.1000/50%increase and 10.1000/a%25b", ["10.1000/50%increase", "10.1000/a%25b"]),
        ("https://doi.org/10.1000/a%25b", ["10.1000/a%b"]),
        ("<p>10.1000/xyz</p> 10.1000/ab<br>", ["10.1000/xyz", "10.1000/ab"]),
    ],
)
def test_dois_with_angle_brackets_and_percent_signs_are_whole(text, dois):
    assert find_dois(text) == dois


@pytest.mark.parametrize(
    "field",
    [
        SICI,
        SICI.replace("<", "{$<$}").replace(">", "{$>$}"),
        SICI.replace("<", r"{\textless}").replace(">", r"{\textgreater}"),
        SICI.replace("<", r"\textless{}").replace(">", r"\textgreater{}"),
        SICI.replace("<", r"\<").replace(">", r"\>"),
        SICI.replace("<", "&lt;").replace(">", "&gt;"),
        "https://doi.org/10.1002/(SICI)1096-9861(19960129)365:1%3C113::AID-CNE9%3E3.0.CO;2-6",
    ],
)
def test_dois_in_bibliographies_lose_only_latexs_writing(field):
    assert doi_in_field(field) == SICI


def test_percent_signs_in_bibliographies():
    assert doi_in_field(r"10.1000/50\%x{\_}y") == "10.1000/50%x_y"
    assert doi_in_field("10.1000/50%x") == "10.1000/50%x"
    assert doi_in_field("doi:none") is None


@pytest.mark.parametrize(
    ("doi", "year"),
    [
        (SICI, 1996),
        (METEOROLOGICAL, 1974),
        ("10.1016/j.x.2019.05.001", 2019),
        ("10.1000/1234", None),
        ("10.1890/1051-0761(1997)007[0043:E]2.0.CO;2", 1997),
    ],
)
def test_years_in_dois(doi, year):
    assert year_in_doi(doi) == year


@pytest.mark.parametrize(
    ("stamp", "arxiv"),
    [
        ("arXiv:1706.03762v7  [cs.CL]  2 Aug 2023", "1706.03762"),
        ("arXiv:0704.0001v2 [hep-ph] 24 Jul 2007", "0704.0001"),
        ("arXiv:hep-th/9901001v3  14 Jan 1999", "hep-th/9901001"),
        ("arXiv:math.GT/0309136 v2   8 Sep 2003", "math.GT/0309136"),
        ("arXiv:math/0309136v1 [math.GT] 8 Sep 2003", "math/0309136"),
        ("arXiv:cond-mat/9912345v1 1 Dec 1999", "cond-mat/9912345"),
        ("see arXiv:1706.03762 for a proof", None),
        ("arXiv:9999.99999v1 [cs.CL]", None),
    ],
)
def test_arxivs_stamps_of_both_kinds(stamp, arxiv):
    assert stamped_arxiv_id(stamp) == arxiv


def test_a_preprint_number_stands_on_a_line_of_its_own():
    assert printed_arxiv_id("IASSNS-HEP-99/1\nhep-th/9901001\nA Title") == "hep-th/9901001"
    assert printed_arxiv_id("e-print: math.gt/0309136v2") == "math.GT/0309136"
    assert printed_arxiv_id("as shown in hep-th/9901001 by others") is None
    assert printed_arxiv_id("and/0309136") is None


@pytest.mark.parametrize(
    ("stem", "arxiv"),
    [
        ("1706.03762v7", "1706.03762"),
        ("arXiv-2101.00001", "2101.00001"),
        ("hep-th_9901001v2", "hep-th/9901001"),
        ("math.GT_0309136", "math.GT/0309136"),
        ("math0309136v1", "math/0309136"),
        ("smith-0309136", None),
        ("1799.12345", None),
    ],
)
def test_arxiv_ids_in_file_names(stem, arxiv):
    assert arxiv_id_in_name(stem) == arxiv


def test_arxivs_dois_and_years():
    assert arxiv_id_in_doi("10.48550/arXiv.1706.03762") == "1706.03762"
    assert arxiv_id_in_doi("10.48550/arxiv.math.gt/0309136") == "math.GT/0309136"
    assert arxiv_id_in_doi("10.1000/1706.03762") is None
    assert [year_of_arxiv_id(name) for name in ("hep-th/9108001", "math.GT/0309136", "2101.00001")] == [
        1991,
        2003,
        2021,
    ]


@pytest.mark.parametrize(
    ("typed", "doi"),
    [
        ("10.1000/xyz", "10.1000/xyz"),
        (" https://doi.org/10.1000/xyz ", "10.1000/xyz"),
        ("http://dx.doi.org/10.1000/a%3Cb?x=1", "10.1000/a<b"),
        ("doi.org/10.1000/xyz", "10.1000/xyz"),
        ("DOI: 10.1000/x(1)", "10.1000/x(1)"),
        ("doi:https://doi.org/10.1000.10/xyz", "10.1000.10/xyz"),
        ("nine", None),
        ("10.1000/x y", None),
        ("", None),
    ],
)
def test_a_typed_doi_comes_without_its_address(typed, doi):
    assert typed_doi(typed) == doi


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("arXiv:1706.03762v7", "1706.03762"),
        ("1706.03762", "1706.03762"),
        ("https://arxiv.org/abs/1706.03762v7", "1706.03762"),
        ("https://arxiv.org/pdf/1706.03762.pdf", "1706.03762"),
        ("arxiv: math.gt/0309136", "math.GT/0309136"),
        ("nine", None),
        ("1799.03762", None),
    ],
)
def test_a_typed_arxiv_id_comes_without_its_version(typed, name):
    assert typed_arxiv_id(typed) == name


def test_isbns_are_labelled_and_their_check_digits_are_right():
    text = "ISBN-13: 978-0-262-03561-3 (hbk)\nISBN 0-262-03561-8\nISBN: 0 306 40615 2\nISBN 978-0-262-03561-4"
    assert find_isbns(text) == ["9780262035613", "9780306406157"]
    assert find_isbns("call 978-0-262-03561-3 now") == [], "a number without its label may be any"
    assert isbn13("0-8044-2957-X") == "9780804429573"
    assert isbn_in_field("978-3-319-24574-4, 9783319245737") == "9783319245744"
    assert isbn_in_field("978 3 319 24574 4") == "9783319245744"
    assert isbn_in_doi("10.1007/978-3-319-24574-4_28") == "9783319245744"
    assert isbn_in_doi("10.1007/s00125-019-4906-1") is None


@pytest.mark.parametrize(
    ("field", "isbn"),
    [
        ("9780306406157 9780262035613", "9780306406157"),
        ("978-0-306-40615-7 978-0-262-03561-3", "9780306406157"),
        ("978 0 306 40615 7 978 0 262 03561 3", "9780306406157"),
        ("0-306-40615-2 978-0-262-03561-3", "9780306406157"),
        ("9780306406158 9780262035613", "9780262035613"),
        ("ISBN-13: 978-3-16-148410-0", "9783161484100"),
        ("ISBN 978-3-16-148410-0", "9783161484100"),
        ("ISBN-10 0306406152", "9780306406157"),
        ("ISBN978-3-16-148410-0", "9783161484100"),
        ("978-0-306-40615-71", None),
        ("978-0-306-40615-8", None),
    ],
)
def test_an_isbn_field_may_hold_several_and_a_label(field, isbn):
    assert isbn_in_field(field) == isbn


def test_a_book_is_known_by_its_isbn_and_a_paper_that_cites_one_is_not(tmp_path):
    title, body = Text(72, 700, "A Book of Several Words", 20), ["This is the running text of the book."] * 12
    copyright_page = column(72, 600, ["Copyright 2016 by The Press", "ISBN 978-0-262-03561-3 (hardcover)"])
    pages = [[title], [], [*copyright_page], [*column(72, 600, body)]]
    assert parse_pdf(write_pdf(tmp_path / "book.pdf", *pages)).paper.isbn == "9780262035613"
    cites = ["References", "Goodfellow I. Deep Learning. MIT Press, 2016. ISBN 978-0-262-03561-3."]
    paper = write_pdf(tmp_path / "paper.pdf", [title, *column(72, 600, [*body, *cites])], [*column(72, 600, cites[1:])])
    assert parse_pdf(paper).paper.isbn is None


@pytest.mark.parametrize(
    ("text", "dois"),
    [
        ("10.1371/journal.pone.0012345.\n1 Department of Botany", ["10.1371/journal.pone.0012345"]),
        ("10.1371/journal.pone.0012345.\n12 School of Botany", ["10.1371/journal.pone.0012345"]),
        ("10.1371/journal.pone.0012345.\n1Department of Botany", ["10.1371/journal.pone.0012345"]),
        ("10.1371/journal.pone.\n0012345 was read", ["10.1371/journal.pone.0012345"]),
        ("10.1016/j.cell.2019.05.\n031\nand", ["10.1016/j.cell.2019.05.031"]),
        ("10.1016/j.cell.2019.\n05.031 and", ["10.1016/j.cell.2019.05.031"]),
        ("10.1007/s00134-\n020 and", ["10.1007/s00134-020"]),
    ],
)
def test_a_doi_that_ends_its_line_goes_on_in_the_next_but_not_with_a_heading(text, dois):
    assert find_dois(text) == dois


def test_set_takes_a_pasted_address_and_refuses_what_is_none(library, settings, tmp_path, monkeypatch, capsys):
    page = [Text(72, 720, "A Draft Paper Number One", 18), *column(72, 600, ["This is the running text of it."] * 8)]
    name = ingest_pdf(write_pdf(tmp_path / "a.pdf", page), library=library, embedder=HashEmbedder()).paper_id
    library.close()
    monkeypatch.setenv("SCHOLION_LIBRARY", str(settings.library))
    assert main(["set", name, "--doi", "https://doi.org/10.1000/xyz", "--arxiv-id", "arXiv:1706.03762v7"]) == 0
    paper = library.paper(name)
    assert (paper.doi, paper.arxiv_id) == ("10.1000/xyz", "1706.03762")
    for wrong in (["--doi", "nine"], ["--arxiv-id", "nine"], ["--title", " "], ["--year", "19"]):
        with pytest.raises(SystemExit) as stopped:
            main(["set", name, *wrong])
        assert stopped.value.code == 2
    assert library.paper(name) == paper
    assert main(["set", name, "--doi", "", "--arxiv-id", ""]) == 0
    assert (library.paper(name).doi, library.paper(name).arxiv_id) == (None, None)
