"""What is known of a paper from its file alone."""

from __future__ import annotations

import json
import unicodedata
from time import process_time
from typing import NamedTuple

import pytest

from ingest.layout import Layout
from ingest.metadata import DocumentInfo, describe, find_dois, read_xmp
from ingest.paper import Page
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

TITLE = "A Title of Several Words Here"
BODY = [
    "Abstract",
    "We show that twenty words are enough for an abstract to be taken as one, and that",
    "what follows it is left out of it, as a reader would leave it out.",
    "Keywords: nothing, much",
    "1 Introduction",
    *["This is the running text of the paper, which goes on for a while at one size."] * 6,
]


class Drawn(NamedTuple):
    """What `describe` asks of a line."""

    text: str
    x: float
    x_end: float
    y: float
    size: float
    bold: bool


def line(text: str, *, x: float = 100, y: float, size: float = 10, bold: bool = False) -> Drawn:
    return Drawn(text, x, x + 0.5 * size * len(text), y, size, bold)


def first_page(*rows: str | list[str], bold: int | None = None) -> list[Drawn]:
    """A page: the title, then rows of one or more columns; of every `bold` rows the first is bold."""
    lines = [line(TITLE, y=720, size=16, bold=True)]
    for number, row in enumerate([*rows, *BODY]):
        is_bold = bold is not None and number < len(rows) and number % bold == 0
        for place, text in enumerate([row] if isinstance(row, str) else row):
            lines.append(line(text, x=100 + 180 * place, y=700 - 14 * number, bold=is_bold))
    return lines


def layout(*pages: list[Drawn]) -> Layout:
    """A layout whose title is the largest lines of the first page and whose paragraphs are lines."""
    largest = max(drawn.size for drawn in pages[0])
    title = [drawn for drawn in pages[0] if drawn.size == largest]
    return Layout(
        pages=tuple(Page(n, "\n".join(drawn.text for drawn in page)) for n, page in enumerate(pages, start=1)),
        headings=(),
        title=" ".join(drawn.text for drawn in title),
        title_lines=tuple(title),
        first_page=tuple(pages[0]),
    )


def described(*rows: str | list[str], info: DocumentInfo | None = None, file_name: str = "a.pdf", **how):
    return describe(layout(first_page(*rows, **how)), info or DocumentInfo(), file_name=file_name)


AFFILIATED = "1 Department of Physics, University of X, Country"


CASES: dict[str, tuple[list[str | list[str]], list[str]]] = {
    "marks after commas": (
        ["Kit Ying Lam,1 Anna Pick Kiong Ling,2 and Yee How Say3*", AFFILIATED],
        ["Kit Ying Lam", "Anna Pick Kiong Ling", "Yee How Say"],
    ),
    "marks before names": (
        ["1Reshma Kochikar Pai, 2Sham S Bhat, 3Afreen Salman"],
        ["Reshma Kochikar Pai", "Sham S Bhat", "Afreen Salman"],
    ),
    "raised marks": (
        ["*Hazrat Bilal ¹, Waseem Akram ²,†", AFFILIATED],
        ["Hazrat Bilal", "Waseem Akram"],
    ),
    "raised letters": (
        ["John Smithᵃ, Jane Doeᵇ,*", "ᵃ Department of Physics, University of X"],
        ["John Smith", "Jane Doe"],
    ),
    "letters": (
        ["John Smith a, Jane Doe b,*, Li Wei a,b", "a Department of Physics, University of X"],
        ["John Smith", "Jane Doe", "Li Wei"],
    ),
    "letters glued on": (
        ["John Smitha, Jane Doeb, Li Weia", "a Department of Physics, University of X", "b Institute of Y"],
        ["John Smith", "Jane Doe", "Li Wei"],
    ),
    "bullets": (
        ["Aparna H Gopalkrishna1 • Seshagiri M2* • Shashidara R4"],
        ["Aparna H Gopalkrishna", "Seshagiri M", "Shashidara R"],
    ),
    "degrees": (
        ["John Smith MD, PhD, Jane Doe, MPH, Prof. Karl Müller; Dr. Ana García"],
        ["John Smith", "Jane Doe", "Karl Müller", "Ana García"],
    ),
    "societies": (
        ["John A. Smith, Member, IEEE, and Jane Doe, Senior Member, IEEE"],
        ["John A. Smith", "Jane Doe"],
    ),
    "ORCID": (
        ["John Smith1 0000-0002-1825-0097, Jane Doe (https://orcid.org/0000-0001-5109-3700)"],
        ["John Smith", "Jane Doe"],
    ),
    "suffixes": (
        ["Martin King, Jr., Henry Gates III"],
        ["Martin King Jr.", "Henry Gates III"],
    ),
    "capitals": (
        ["JOHN A. SMITH AND MARÍA DE LA CRUZ"],
        ["John A. Smith", "María de la Cruz"],
    ),
    "loose accents": (
        ["Jos´e Garc´ıa, J¨urgen M¨uller and Luc Arau´jo"],
        ["José García", "Jürgen Müller", "Luc Araújo"],
    ),
    "particles": (
        ["Mohammed Al-Fayed, Ahmed ibn Saud, Sinéad O’Connor, Jan-Peter 't Hooft"],
        ["Mohammed Al-Fayed", "Ahmed ibn Saud", "Sinéad O’Connor", "Jan-Peter 't Hooft"],
    ),
    "other alphabets": (
        ["Nguyễn Văn Anh, Łukasz Żółć"],
        ["Nguyễn Văn Anh", "Łukasz Żółć"],
    ),
    "Chinese": (
        ["张伟1，李娜2、王芳", "清华大学"],
        ["张伟", "李娜", "王芳"],
    ),
    "a collaboration": (
        ["John Smith1, Jane Doe2, The ATLAS Collaboration"],
        ["John Smith", "Jane Doe", "The ATLAS Collaboration"],
    ),
    "names over line ends": (
        ["John Smith1, Jane Doe2, Marc van", "der Berg3, Anna", "Karenina4", AFFILIATED],
        ["John Smith", "Jane Doe", "Marc van der Berg", "Anna Karenina"],
    ),
    "one per line": (
        ["John A. Smith", "Jane B. Doe", "Marie-Claire de la Tour"],
        ["John A. Smith", "Jane B. Doe", "Marie-Claire de la Tour"],
    ),
    "one per block": (
        ["John A. Smith", "University of X", "john@x.edu", "Jane B. Doe", "University of Y"],
        ["John A. Smith", "Jane B. Doe"],
    ),
    "side by side": (
        [["John Smith", "Jane Doe"], ["Dept. of CS", "Dept. of EE"], ["Kuala Lumpur, Malaysia", "City, Country"]],
        ["John Smith", "Jane Doe"],
    ),
    "affiliation on the line": (
        ["John Smith, University of X, USA"],
        ["John Smith"],
    ),
    "places are no names": (
        ["John Smith1 and Jane Doe2", "1Kuala Lumpur, Malaysia"],
        ["John Smith", "Jane Doe"],
    ),
    "subtitle and date": (
        ["An empirical study of several hundred things", "by John Smith and Jane Doe", "May 3, 2020"],
        ["John Smith", "Jane Doe"],
    ),
    "initials at a line's end": (
        ["Ethan P. White ¹,², Andrew J. Marx ¹, and S. K.", "Morgan Ernest ¹", AFFILIATED],
        ["Ethan P. White", "Andrew J. Marx", "S. K. Morgan Ernest"],
    ),
    "an initial alone at a line's end": (
        ["Anna Berg1, Carl Dahl2, J.", "Ek3 and B. N.", "Falk4", AFFILIATED],
        ["Anna Berg", "Carl Dahl", "J. Ek", "B. N. Falk"],
    ),
    "many over four lines": (
        ["Anna Berg1, Carl Dahl1, Eva Falk2, Ida", "Jung3, Karl Lind3, Maria Nord4, Olof", "Palm4,", "and Zara Ås7"],
        ["Anna Berg", "Carl Dahl", "Eva Falk", "Ida Jung", "Karl Lind", "Maria Nord", "Olof Palm", "Zara Ås"],
    ),
    "signs of equal work": (
        ["Anna Berg1☯, Carl Dahl1,2☯¤a, Eva Falk3‡*", AFFILIATED],
        ["Anna Berg", "Carl Dahl", "Eva Falk"],
    ),
    "ORCID's sign": (
        ["Anna BergID1, Carl Dahl ID2*, Eva Falk iD 3", AFFILIATED],
        ["Anna Berg", "Carl Dahl", "Eva Falk"],
    ),
    "addresses on the line": (
        ["Anna Berg ANNA@X.EDU", "University of X, Country", "Carl Dahl CARL@Y.ORG", "Department of Y"],
        ["Anna Berg", "Carl Dahl"],
    ),
    "side by side as one": (
        ["Gilles Blanchard Nicole Kraemer", "blanchard@x.de kraemer@y.de"],
        ["Gilles Blanchard", "Nicole Kraemer"],
    ),
    "side by side over two affiliations": (
        [
            "Gilles Blanchard Nicole K. Kraemer",
            ["Mathematics Institute", "Weierstrass Institute"],
            ["Potsdam", "Berlin"],
        ],
        ["Gilles Blanchard", "Nicole K. Kraemer"],
    ),
    "one with four names": (
        ["Ana Maria Silva Santos", "ana@x.br"],
        ["Ana Maria Silva Santos"],
    ),
    "without affiliations": (
        ["Ada Lovelace and Alan M. Turing", "March 2020"],
        ["Ada Lovelace", "Alan M. Turing"],
    ),
    "dates above": (
        ["Received: 3 May 2019 / Accepted: 4 June 2019", "Anna Berg · Carl Dahl"],
        ["Anna Berg", "Carl Dahl"],
    ),
    "a report": (
        ["Prepared by: Ada Lovelace and Alan Turing"],
        ["Ada Lovelace", "Alan Turing"],
    ),
    "bullets that say nothing": (
        ["Anna Berg \ufffd Carl Dahl \ufffd", "Eva Falk", AFFILIATED],
        ["Anna Berg", "Carl Dahl", "Eva Falk"],
    ),
    "nobody": (
        ["Proceedings of the 12th Conference on Things, 2020"],
        [],
    ),
    "an organization": (
        ["World Health Organization"],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_authors_are_read_from_the_lines_under_the_title(case):
    rows, authors = CASES[case]
    assert described(*rows).authors == tuple(authors)


@pytest.mark.parametrize(
    ("rows", "authors"),
    [
        (
            ["Author(s): Anna Smith", "Source: Journal of Peat, Vol. 14, No. 2 (Apr., 2019), pp. 101-109"],
            ["Anna Smith"],
        ),
        (
            ["Author(s): Anna Smith, Bernd Jones and", "Carla Weber", "Published by: The Peat Society"],
            ["Anna Smith", "Bernd Jones", "Carla Weber"],
        ),
        (["Authors: Smith, Anna; Jones, Bernd", "Department of Bogs, University of X"], ["Anna Smith", "Bernd Jones"]),
        (["Review by: ANNA SMITH", "Source: Peat"], ["Anna Smith"]),
        (["Stable URL: https://www.jstor.org/stable/12345", "Accessed: 03-05-2024 10:10 UTC"], []),
        (["Source: Journal of Peat", "Stable URL: http://www.jstor.org/stable/12345"], []),
    ],
)
def test_a_cover_sheet_says_which_line_has_the_authors(rows, authors):
    assert described(*rows).authors == tuple(authors)


def test_authors_in_blocks_are_told_from_affiliations_by_how_they_are_set():
    rows = ["John A. Smith", "Mars Rover Team Berlin", "Jane B. van der Doe", "Lunar Lander Team Paris"]
    assert described(*rows, bold=2).authors == ("John A. Smith", "Jane B. van der Doe")


def test_a_column_beside_the_title_holds_no_authors():
    page = [
        line("A Title of Several Words", x=200, y=720, size=16),
        line("Which Goes On Below", x=200, y=700, size=16),
        line("Petra Editor", x=40, y=685),
        line("John Smith and Jane Doe", x=200, y=680),
        line("Paul Reviewer", x=40, y=672),
    ]
    assert describe(layout(page), DocumentInfo(), file_name="a.pdf").authors == ("John Smith", "Jane Doe")


def test_behind_a_cover_sheet_the_authors_are_on_the_second_page():
    cover = [line(TITLE, y=720, size=16), line("Smith et al. Journal of Tests (2015) 16:413", y=600)]
    second = [line(text, y=700 - 14 * n) for n, text in enumerate([TITLE + ".", "John Smith1 and Jane Doe2", *BODY])]
    assert describe(layout(cover, second), DocumentInfo(), file_name="a.pdf").authors == ("John Smith", "Jane Doe")


# ---- what the file states -------------------------------------------------------------------------------------------


def packet(inside: str) -> bytes:
    return f'<?xpacket?><rdf:RDF><rdf:Description rdf:about="">{inside}</rdf:Description></rdf:RDF>'.encode()


def people(*names: str) -> str:
    return f"<dc:creator><rdf:Seq>{''.join(f'<rdf:li>{name}</rdf:li>' for name in names)}</rdf:Seq></dc:creator>"


def test_xmp_is_read_with_its_entities_lists_and_attributes():
    xmp = read_xmp(
        packet(
            '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">The psbA&amp;#x2010;trnH</rdf:li></rdf:Alt></dc:title>'
            + people("Lam, Kit Ying", "Concei&#xe7;&#xe3;o")
            + "<dc:identifier>doi:10.1155/2016/4104595</dc:identifier>"
            + "<prism:publicationDate>2016-05-19</prism:publicationDate>"
        )
    )
    assert (xmp.title, xmp.creators) == ("The psbA‐trnH", ("Lam, Kit Ying", "Conceição"))
    assert (xmp.doi, xmp.year) == ("10.1155/2016/4104595", 2016)
    assert read_xmp(b'<rdf:Description prism:doi="10.1000/182"/>').doi == "10.1000/182"
    assert read_xmp(packet(people("A B")).decode().encode("utf-16")).creators == ("A B",)


@pytest.mark.parametrize("damaged", [b"", b"\xff\xfe\x00", b"<dc:title>", b"<dc:creator><rdf:li>x", b"\0" * 999])
def test_a_damaged_packet_says_nothing(damaged):
    assert not read_xmp(damaged).title
    assert not read_xmp(damaged).creators


def test_many_openings_in_a_packet_take_linear_time():
    assert not read_xmp(b"<dc:title><dc:creator>" * 20_000).title


@pytest.mark.parametrize(
    "author",
    [
        "John Smith; Jane B. Doe",
        "Smith, John; Doe, Jane B.",
        "John Smith, Jane B. Doe",
        "John Smith and Jane B. Doe",
        "Smith, John and Doe, Jane B.",
        "John Smith & Jane B. Doe",
    ],
)
def test_stated_authors_are_read_in_any_form(author):
    rows = ["set in a way that nobody could take for two names: JohnSmith,", "Smith and also Doe"]
    assert described(*rows, info=DocumentInfo(author=author)).authors == ("John Smith", "Jane B. Doe")


def test_stated_entities_are_read_whatever_stands_for_the_ampersand():
    stated = DocumentInfo(author="Gabriele J#_#x00FC;rges, Eike Reich")
    assert described("set so that nobody reads it: Jürges", "Reich", info=stated).authors == (
        "Gabriele Jürges",
        "Eike Reich",
    )


def test_stated_authors_count_only_if_the_page_shows_them():
    typist = DocumentInfo(author="Compaq Customer")
    assert described("John Smith and Jane Doe", info=typist).authors == ("John Smith", "Jane Doe")
    assert described(info=typist).authors == ()


def test_a_corresponding_author_alone_does_not_hide_the_others():
    stated = DocumentInfo(author="Jane Doe", xmp=packet(people("Jane Doe")))
    assert described("John Smith† and Jane Doe*", info=stated).authors == ("John Smith", "Jane Doe")


def test_a_fuller_statement_fills_what_the_page_hides():
    stated = DocumentInfo(xmp=packet(people("Smith, John", "Doe, Jane")))
    assert described("John Smith, University of X with Doe", info=stated).authors == ("John Smith", "Jane Doe")


def test_the_stated_title_wins_only_where_the_page_shows_it():
    stated = DocumentInfo(title="4104595.dvi", xmp=packet("<dc:title>A Title of Several Words Hére</dc:title>"))
    assert described(info=stated).title == "A Title of Several Words Hére"
    assert described(info=DocumentInfo(title="Another Paper of Ours Entirely")).title == TITLE
    assert described(info=DocumentInfo(title="A Title")).title == TITLE


def test_a_label_above_the_title_is_no_part_of_it():
    page = [line("Research Article", y=735, size=16), *first_page("John Smith")]
    assert describe(layout(page), DocumentInfo(), file_name="a.pdf").title == TITLE


# ---- DOI, arXiv id, year --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "dois"),
    [
        ("see https://doi.org/10.21105/jose.00090.", ["10.21105/jose.00090"]),
        ("(doi:10.1016/S0140-6736(05)17927-3)", ["10.1016/S0140-6736(05)17927-3"]),
        ("doi: 10.1186/s12934‑018‑1017‑5", ["10.1186/s12934-018-1017-5"]),
        ("doi:10.1186/s12864-\n015-1640-z\nNext", ["10.1186/s12864-015-1640-z"]),
        ("DOI 10.1155/ 2016/4104595, and 10.1000/182;", ["10.1155/2016/4104595", "10.1000/182"]),
        ("version 10.1234 and 110.1234/x", []),
    ],
)
def test_dois_are_found_whole_and_without_the_sentence_around_them(text, dois):
    assert find_dois(text) == dois


def test_the_papers_doi_is_not_one_that_it_cites():
    cites = "Data at 10.5281/zenodo.123 and method of Doe, 10.1000/doe."
    assert described("doi: 10.1000/own.1", cites).doi == "10.1000/own.1"
    assert described(cites, "DOI: 10.1000/own.1").doi == "10.1000/own.1"
    assert described("Data at https://doi.org/10.5281/zenodo.123").doi is None
    assert described(cites + " 10.1000/own.1", file_name="10.1000_own.1.pdf").doi == "10.1000/own.1"
    assert described("References", "doi: 10.1000/cited").doi is None


@pytest.mark.parametrize("heading", ["References", "7 References", "7. References", "VII. References"])
def test_the_isbn_of_a_cited_book_is_not_the_papers(heading):
    book = "Doe J. Fens. ISBN 978-0-306-40615-7."
    assert described("Text", heading, book).isbn is None
    assert described("Text", book).isbn == "9780306406157"


def test_a_doi_in_a_running_head_or_in_xmp_is_found():
    assert (
        described(info=DocumentInfo(opening=("https://doi.org/10.1371/journal.pone.1",))).doi
        == "10.1371/journal.pone.1"
    )
    stated = packet("<prism:doi>10.1000/own.1</prism:doi>")
    assert described(info=DocumentInfo(xmp=stated)).doi == "10.1000/own.1"
    assert described("doi: 10.1000/printed", info=DocumentInfo(xmp=stated)).doi == "10.1000/printed"


def test_an_arxiv_id_is_the_papers_own():
    stamp = DocumentInfo(opening=("arXiv:1706.03762v5 [cs.CL] 6 Dec 2017\ntext",))
    assert (described(info=stamp).arxiv_id, described(info=stamp).year) == ("1706.03762", 2017)
    assert described(info=DocumentInfo(opening=("arXiv:math.GT/0309136 [math.GT]",))).arxiv_id == "math.GT/0309136"
    assert described("as in arXiv:1706.03762 by Vaswani").arxiv_id is None
    assert described(file_name="2101.00001v2.pdf").arxiv_id == "2101.00001"
    assert described(file_name="2199.00001.pdf").arxiv_id is None


@pytest.mark.parametrize(
    ("row", "year"),
    [
        ("Received: 9 December 2009; Accepted: 23 May 2010; Published: 3 January 2011", 2011),
        ("Received 17 November 2015; Accepted 14 April 2016", 2016),
        ("Submitted: 03 April 2020 Published: 23 May 2024", 2024),
        ("Published online: 29-12-2017", 2017),
        ("articles published between 1999 and 2005. © The Author(s). 2018 Open Access", 2018),
        ("J Dent Res 2016; 10(2):92-98", 2016),
        ("Journal of Medicine Vol.9. No.3. pp: 177-186, Summer 2011", 2011),
        ("room 2019 of the building", None),
    ],
)
def test_the_year_is_that_of_publication(row, year):
    assert described(row).year == year


def test_a_production_date_counts_only_where_the_page_shows_the_year():
    info = DocumentInfo(created="D:20190504120000Z")
    assert described("room 2019 of the building", info=info).year == 2019
    assert described(info=info).year is None


# ---- the abstract ---------------------------------------------------------------------------------------------------


def test_the_abstract_ends_before_keywords_and_introduction():
    abstract = described("John Smith").abstract
    assert abstract
    assert abstract.startswith("We show that twenty words")
    assert abstract.endswith("would leave it out.")


def test_an_abstract_without_a_label_follows_the_front_matter(tmp_path):
    page = [
        Text(60, 740, TITLE, size=18),
        Text(60, 710, "John Smith"),
        Text(60, 690, "Copyright 2018 John Smith. Use is permitted if the work is properly cited.", size=8),
        *column(60, 660, ["Holy basil is a plant that many people know and of which rather few people have",
            "written as fully as we shall now do in this short paper of ours, so we begin."]),
        Text(60, 600, "1 Introduction", size=12, bold=True),
        *column(60, 580, BODY[5:]),
    ]  # fmt: skip
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", page)).paper
    assert paper.title == TITLE
    assert (paper.abstract or "").startswith("Holy basil is a plant")
    assert (paper.abstract or "").endswith("so we begin.")


@pytest.mark.parametrize("text", ["a" * 60_000, "." * 60_000, "10.1234/" * 7_000, "A. B, " * 10_000, "M.D. " * 10_000])
def test_a_hostile_page_costs_no_time(text):
    started = process_time()  # what other programs take does not count
    described(text, info=DocumentInfo(title=text, author=text, opening=(text, "\n".join(text))))
    assert process_time() - started < 4


# ---- the papers themselves ------------------------------------------------------------------------------------------


def folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def test_titles_and_authors_of_real_papers_are_right(shared_data):
    rows = [json.loads(row) for row in (shared_data / "papers" / "truth.jsonl").read_text("utf-8").splitlines()]
    titles = authors = 0
    for row in rows:
        paper = parse_pdf(shared_data / "papers" / row["pdf"]).paper
        titles += folded(paper.title) == folded(row["title"])
        families = [[folded(name.split()[-1]) for name in names] for names in (paper.authors, row["authors"])]
        authors += families[0] == families[1]
        if row["pdf"].startswith("10.21105."):
            assert paper.doi == row["pdf"].removesuffix(".pdf").replace("10.21105.", "10.21105/")
    assert len(rows) == 40
    assert (titles, authors) >= (39, 38)
    assert authors >= 38
