"""How publishers set their papers: made pages in their manner, and what is read from them."""

from __future__ import annotations

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, NameObject

from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

LINES = [
    "Small language models answer questions about research papers when the",
    "passages are good, and this is a body line of ordinary length which is",
    "followed by another line of the same kind until the paragraph ends.",
]
TITLE = Text(60, 765, "A Title of Some Length Here", size=18)


def titles(paper):
    return [heading.title for heading in paper.headings]


def with_outline(path, *entries):
    """The PDF with an outline: (title, page, depth) each."""
    writer, above = PdfWriter(clone_from=PdfReader(path)), {}
    for title, page, depth in entries:
        above[depth] = writer.add_outline_item(title, page - 1, parent=above.get(depth - 1))
    writer.write(path)
    return path


def paragraphs(top, *parts, x=60):
    """Headings, given as `Text` without a place, and paragraphs below each other."""
    drawn = []
    for part in parts:
        if isinstance(part, Text):
            top -= 8
            drawn.append(part._replace(x=x, y=top))
            top -= 20
        else:
            drawn += column(x, top, part)
            top -= 12 * len(part) + 4
    return drawn


def head(text, **how):
    return Text(0, 0, text, **how)


# ---- headings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", ["Plant material", "i) Staining of the sections", "The third matter of the study"])
def test_headings_that_only_the_outline_tells_are_found(tmp_path, plain):
    page = paragraphs(
        740, head("Methods", bold=True), LINES, plain.split("\n"), LINES, head("Results", bold=True), LINES
    )
    path = write_pdf(tmp_path / "a.pdf", [TITLE, *page])
    assert plain not in titles(parse_pdf(path))
    with_outline(path, ("Methods", 1, 0), (plain, 1, 1), ("Results", 1, 0))
    paper = parse_pdf(path)
    assert titles(paper) == ["Methods", plain, "Results"]


def test_what_looks_like_a_heading_is_none_where_the_outline_is_deep_and_does_not_name_it(tmp_path):
    page = paragraphs(
        740, head("Methods", bold=True), LINES, head("Soil", bold=True), LINES, head("Gel AB", bold=True), LINES,
        head("Results", bold=True), LINES,
    )  # fmt: skip
    path = write_pdf(tmp_path / "a.pdf", [TITLE, *page])
    assert "Gel AB" in titles(parse_pdf(path))
    with_outline(path, ("Methods", 1, 0), ("Soil", 1, 1), ("Results", 1, 0))
    assert titles(parse_pdf(path)) == ["Methods", "Soil", "Results"]


@pytest.mark.parametrize("entries", [[("OLE_LINK1", 1, 0)] * 4, [("Figure 1", 1, 0), ("Table 1", 1, 1)], []])
def test_an_outline_of_something_else_is_left_alone(tmp_path, entries):
    page = paragraphs(740, head("Methods", bold=True), LINES, head("Soil", bold=True), LINES)
    path = with_outline(write_pdf(tmp_path / "a.pdf", [TITLE, *page]), *entries)
    assert titles(parse_pdf(path)) == ["Methods", "Soil"]


def test_headings_that_only_room_sets_apart_are_found_where_there_are_several(tmp_path):
    def apart(top, text):
        return [Text(60, top, text), *column(60, top - 24, LINES)]

    names = ["Plant material", "Extraction of the leaves", "Analysis of data"]
    page = [Text(60, 740, "Introduction", bold=True), *column(60, 724, LINES), Text(60, 660, "Methods", bold=True)]
    page += [text for n, name in enumerate(names) for text in apart(632 - 84 * n, name)]
    found = titles(parse_pdf(write_pdf(tmp_path / "a.pdf", [TITLE, *page])))
    assert found == ["Introduction", "Methods", *names]
    one = [Text(60, 740, "Methods", bold=True), *column(60, 724, LINES), *apart(660, "An example")]
    assert titles(parse_pdf(write_pdf(tmp_path / "b.pdf", [TITLE, *one]))) == ["Methods"]


@pytest.mark.parametrize(
    ("number", "name", "then"),
    [
        ("3.2.", "Marrubium Genus.", "Marrubium"),
        ("4.1.", "The Study Area.", "Bahir Dar"),
        ("2.3.1.", "Ocimum vulgare.", "O"),
    ],
)
def test_a_numbered_heading_ends_at_its_stop_where_the_sentence_goes_on_in_italics(tmp_path, number, name, then):
    lead = Text(0, 0, f"{number} {name} {then}", italic=True, then=((" is a matter of flowering plants that", 10, 0),))
    page = paragraphs(740, head("3. Results", bold=True), LINES, lead, LINES)
    found = titles(parse_pdf(write_pdf(tmp_path / "a.pdf", [TITLE, *page])))
    assert found == ["3. Results", f"{number} {name}"]


@pytest.mark.parametrize("name", ["2.1 Data", "2.1.1 Soil", "2.10. Sex"])
def test_a_numbered_heading_of_one_short_word_is_one(tmp_path, name):
    page = paragraphs(740, head("2 Methods", bold=True), LINES, head(name, bold=True), LINES)
    assert titles(parse_pdf(write_pdf(tmp_path / "a.pdf", [TITLE, *page]))) == ["2 Methods", name]


def test_what_a_publisher_prints_below_the_references_is_none_of_them(tmp_path):
    hanging = [
        text
        for i, name in enumerate(["Berg, A.", "Dahl, C.", "Ek, D.", "Falk, E.", "Holm, G."])
        for text in (Text(60, 720 - 24 * i, f"{name}, & Lind, K. (20{10 + i}). On the length of lines and", 8),
                     Text(72, 710 - 24 * i, "of their ends. Journal of Lines, 3, 1-9.", 8))
    ]  # fmt: skip
    below = [
        "Conflict of Interest Statement: The authors declare that there is none.",
        "Copyright © 2019 Berg and Dahl.",
    ]
    page = [Text(60, 740, "References", bold=True), *hanging, *column(60, 590, below, size=8)]
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page))
    assert len(paper.references) == 5
    assert "there is none" in paper.text


def test_roles_of_authors_and_labels_of_files_are_no_sections(tmp_path):
    page = paragraphs(
        740, head("Introduction", bold=True, size=14), LINES, head("Results", bold=True, size=14), LINES,
        head("Supporting information", bold=True, size=14), head("S1 Fig. The sites.", bold=True), LINES,
        head("Author Contributions", bold=True, size=14),
        Text(0, 0, "Data curation:", bold=True, then=((" Anna Berg, Carl Dahl.", 10, 0),)),
        Text(0, 0, "Methodology:", bold=True, then=((" Anna Berg, Eva Falk.", 10, 0),)),
    )  # fmt: skip
    found = titles(parse_pdf(write_pdf(tmp_path / "a.pdf", [TITLE, *page])))
    assert found == ["Introduction", "Results", "Supporting information", "Author Contributions"]


def test_the_labels_of_an_abstract_on_lines_of_their_own_are_no_sections(tmp_path):
    page = paragraphs(
        740, head("Abstract", size=14), head("Background", bold=True), LINES, head("Methods", bold=True), LINES,
        head("Results", bold=True), LINES, head("Introduction", bold=True, size=14), LINES,
        head("Results", bold=True, size=14), LINES,
    )  # fmt: skip
    found = titles(parse_pdf(write_pdf(tmp_path / "a.pdf", [TITLE, *page])))
    assert found == ["Abstract", "Introduction", "Results"]


@pytest.mark.parametrize(
    "line", ["conflicts of interest in biomedical research. JAMA", "Competing interests in medicine. JAMA"]
)
def test_a_title_over_two_lines_that_reads_as_a_statement_ends_no_list(tmp_path, line):
    rows = [
        row
        for n in range(1, 13)
        for row in (
            [entry(n)] if n != 7 else ["7. Bekelman, J. Scope and impact of financial", f"{line} 2003, 289, 454-465."]
        )
    ]
    page = [Text(60, 740, "References", bold=True), *column(60, 720, rows, size=9)]
    assert len(parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page)).references) == 12


@pytest.mark.parametrize(
    "line",
    ["Edited by: John Smith, University of X", "Received: 3 May 2020", "Disclaimer: All claims are the authors’.",
     "Copyright © 2020 Berg and Dahl.", "© 2020 Berg and Dahl.", "Submit your next manuscript"],
)  # fmt: skip
def test_what_stands_below_the_list_is_none_of_its_last_entry(tmp_path, line):
    rows = [*map(entry, range(1, 9)), line]
    page = [Text(60, 740, "References", bold=True), *column(60, 720, rows, size=9)]
    references = parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page)).references
    assert len(references) == 8
    assert line not in " ".join(references)


def test_a_bookmark_that_leads_nowhere_costs_only_itself(tmp_path):
    plain = "Plant material"
    page = paragraphs(740, head("Methods", bold=True), LINES, [plain], LINES, head("Results", bold=True), LINES)
    path = with_outline(
        write_pdf(tmp_path / "a.pdf", [TITLE, *page]),
        ("Methods", 1, 0),
        ("Gone", 1, 1),
        (plain, 1, 1),
        ("Results", 1, 0),
    )
    writer = PdfWriter(clone_from=PdfReader(path))
    gone = writer.root_object["/Outlines"]["/First"]["/First"]
    writer._objects.append(DictionaryObject())  # no page of the document
    target = IndirectObject(len(writer._objects), 0, writer)
    key, holder = ("/Dest", gone) if "/Dest" in gone else ("/D", gone["/A"])
    holder[NameObject(key)] = ArrayObject([target, *holder[key][1:]])
    writer.write(path)
    assert titles(parse_pdf(path)) == ["Methods", plain, "Results"]


# ---- references -----------------------------------------------------------------------------------------------------


def entry(n):
    return f"{n}. Agarwal, H.; Berg, S. A review of something. J. Matter {2000 + n % 20}, {n}, {n}-{n + 9}."


def opening(tmp_path):
    return [
        TITLE,
        *paragraphs(740, head("1. Introduction", bold=True), LINES, LINES, head("2. Methods", bold=True), LINES),
    ]


def test_journals_in_italics_end_no_list_of_references(tmp_path):
    pages, n = [], 0
    for page in range(4):
        lines = [Text(60, 740, "References", bold=True)] if not page else []
        for row in range(24):
            n += 1
            lines.append(Text(60, 720 - 24 * row, f"{n}. Agarwal, H.; Berg, S. A review of something.", 9))
            name = "Biol. Int. J. Matter Sci." if n % 3 else "A Mol. Biomol. Spectrosc."
            lines.append(Text(80, 708 - 24 * row, name, 9, italic=True, then=((f" {2000 + n % 20}, {n}, 1-9.", 9, 0),)))
        pages.append(lines)
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), *pages))
    assert len(paper.references) == 96
    assert titles(paper) == ["1. Introduction", "2. Methods", "References"]


def test_a_table_with_a_column_called_references_is_no_list_of_them(tmp_path):
    rows = [Text(60, 600 - 12 * n, f"{n} Compound{n}", 9) for n in range(1, 20)]
    page = [*column(60, 740, LINES), Text(300, 612, "References", 9, bold=True), *rows]
    listed = [Text(60, 740, "References", bold=True), *column(60, 720, [entry(n) for n in range(1, 13)], size=9)]
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page, listed))
    assert [text.partition(".")[0] for text in paper.references] == [str(n) for n in range(1, 13)]
    assert "Compound7" in paper.text


@pytest.mark.parametrize("n", [3, 5, 9])
def test_a_short_hanging_list_without_numbers_or_heading_is_found(tmp_path, n):
    names = ["Becker, E. A.", "Darling, A. E.", "Falk, G.", "Hahn, I. J.", "Kruchten, A. E.", "Lund, M.", "Okie, J. G.",
             "Palm, Q.", "Sand, R. T."]  # fmt: skip
    entries = [
        line
        for i, name in enumerate(names[:n])
        for line in (
            Text(60, 600 - 30 * i, f"{name}, & Teal, T. ({2010 + i}). Data for the school of"),
            Text(75, 588 - 30 * i, "metagenomics. Journal of Schools, 3, 1-9. https://doi.org/10.5281/x"),
        )
    ]
    page = [Text(60, 740, "Acknowledgments", bold=True), *column(60, 720, LINES), *entries]
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page))
    assert len(paper.references) == n
    assert LINES[0] in paper.text


def test_prose_at_the_end_is_no_list_of_references(tmp_path):
    page = [*column(75, 740, ["Adams, B. (2001) has shown that"]), *column(60, 728, LINES), *column(75, 690, LINES)]
    assert parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page)).references == ()


def test_a_caption_among_references_without_numbers_is_none_of_them(tmp_path):
    hanging = [
        t
        for i, name in enumerate(["Adams B", "Clark D", "Evans F", "Ghosh H", "Khan L", "Meyer N"])
        for t in (Text(60, 700 - 40 * i, f"{name} ({2000 + i}) A study of words in papers", 8.5),
                  Text(72, 690 - 40 * i, "and their ends. J Words 12:34-56", 8.5))
    ]  # fmt: skip
    caption = [
        Text(60, 300 - 10 * i, t, 8.5)
        for i, t in enumerate(["Fig. 4 A plot of the sites; 1 Green,", "2 Solan, 3 Long Spike"])
    ]
    more = [
        Text(60, 240, "Owens P (2010) The last entry of this list", 8.5),
        Text(72, 230, "of words. J Ends 9:9-19", 8.5),
    ]
    page = [Text(60, 740, "References", bold=True), *hanging, *caption, *more]
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", opening(tmp_path), page))
    assert len(paper.references) == 7
    assert not any("Solan" in text for text in paper.references)


# ---- titles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("journal", "elsewhere"),
    [
        ("Alternative Medicine and Complementary Cures", "Alternative Medicine and Complementary Cures 2006, 6:3"),
        ("International Letters of Plant Matter", "International Letters of Plant Matter Volume 12, 2016"),
        ("Notes on Rivers, Vol. 12, No 3", "p. 33"),
    ],
)
def test_a_journals_name_is_no_title_though_it_is_set_larger(tmp_path, journal, elsewhere):
    page = [
        Text(60, 760, journal, size=20, bold=True),
        Text(60, 720, "The effect of two plants on the heart", size=15, bold=True),
        Text(60, 700, "Anna Berg and Carl Dahl"),
        Text(60, 40, elsewhere, size=8),
        *paragraphs(660, head("Abstract", bold=True), LINES, head("Introduction", bold=True), LINES),
    ]
    paper = parse_pdf(write_pdf(tmp_path / "a.pdf", page, title=journal)).paper
    assert (paper.title, paper.authors) == ("The effect of two plants on the heart", ("Anna Berg", "Carl Dahl"))


@pytest.mark.parametrize("sign", ["+", "*"])
def test_a_lost_ligature_is_put_right_whatever_sign_stands_for_it(tmp_path, sign):
    said = [f"{sign}e plant is known. {sign}is one is thyme.", f"{sign}ese are many. {sign}e leaves of thymus.",
            f"{sign}us it was. {sign}ymus is old. {sign}ere is more.", "a +b and x + y stay"]  # fmt: skip
    text = parse_pdf(write_pdf(tmp_path / "a.pdf", column(60, 700, [*LINES, *said]))).text
    assert "The plant is known. This one" in text
    assert "Thymus is old." in text
    assert "a +b and x + y stay" in text
