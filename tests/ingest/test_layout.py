"""What the parts of a page become: claims about made PDFs."""

from __future__ import annotations

from dataclasses import replace

import pypdfium2
import pytest

from ingest import readers
from ingest.chunk import chunk_paper
from ingest.lines import UNREAD, Line, Style, mended
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

PROSE = [
    "Small language models answer questions about research papers when the",
    "passages are good, and this is a body line of ordinary length which is",
    "followed by another line of the same kind until the paragraph ends.",
]
MORE = [
    "The second paragraph says what the first one did not, in three lines of",
    "about the same length, so that the usual distance between the lines is",
    "known and the style of the running text is beyond any doubt at all.",
]
REST = [
    "The third paragraph goes on about small models, large libraries of papers",
    "and people who read them, because a page of a paper is mostly made of",
    "sentences like these and of nothing else that would be worth a word.",
]
TITLE = Text(60, 765, "A Title of Some Length Here", size=18)
ENTRIES = [
    ("Adams B, Clark D. A study of words in papers. J Words. 2001;12:34-56."),
    ("Evans F, Ghosh H. Another study of the same. J Words. 2005;16:78-90."),
    ("Ivanov J, Khan L. Sentences and their ends. Proc Papers. 2010;1:1-9."),
    ("Meyer N, Owens P. On the length of lines. J Lines. 2012;3:100-110."),
    ("Quinn R, Smith T. Pages, and what is on them. J Pages. 2015;4:5-15."),
    ("Underwood V, Weber X. The last entry of the list. J Ends. 2018;9:9-19."),
]


def parsed(tmp_path, *pages):
    return parse_pdf(write_pdf(tmp_path / "a.pdf", *pages))


def body(top=700, *, x=60, paragraphs=(PROSE, MORE)):
    """Paragraphs with room between them."""
    return [text for i, lines in enumerate(paragraphs) for text in column(x, top - 50 * i, lines)]


def blocks(paper, kind):
    return [paper.text[b.start : b.end] for b in paper.blocks if b.kind == kind]


def titles(paper):
    return [heading.title for heading in paper.headings]


def searched(paper):
    chunks = chunk_paper(paper, max_tokens=60, count_tokens=lambda texts: [len(t.split()) for t in texts])
    return "\n".join(chunk.text for chunk in chunks)


# ---- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "raised", "after", "read"),
    [
        ("as was found", "12", " in mice", "found ¹² in mice"),
        ("as was found.", "3,4", " In mice", "found. ³,⁴ In mice"),
        ("at a rate of 10", "5", " cells", "10⁵ cells"),
        ("an area of 4 cm", "2", " of leaf", "4 cm² of leaf"),
        ("ions of Ca", "2+", " in water", "Ca2+ in water"),
        ("John Smith", "a", " and others", "Smith ᵃ and others"),
    ],
)
def test_raised_digits_glue_neither_to_words_nor_to_numbers(tmp_path, text, raised, after, read):
    line = Text(60, 580, text, then=((raised, 6, 4), (after, 10, 0)))
    assert read in parsed(tmp_path, [*body(), line]).text


def test_lowered_digits_stay_with_their_word(tmp_path):
    line = Text(60, 580, "made of H", then=(("2", 6, -2), ("O and heat", 10, 0)))
    assert "made of H2O and heat" in parsed(tmp_path, [*body(), line]).text


@pytest.mark.parametrize("order", ["before each line", "all at first", "all at last"])
def test_the_line_numbers_of_a_manuscript_are_left_out(tmp_path, order):
    lines = body(paragraphs=(PROSE, MORE, REST, PROSE))
    numbers = [Text(35, line.y, str(n), size=7) for n, line in enumerate(lines, start=1)]
    match order:
        case "before each line":
            page = [text for pair in zip(numbers, lines, strict=True) for text in pair]
        case "all at first":
            page = numbers + lines
        case _:
            page = lines + numbers
    text = parsed(tmp_path, page).text
    assert not any(char.isdigit() for char in text)
    assert text.split() == " ".join(PROSE + MORE + REST + PROSE).split()


def test_sideways_stamps_are_not_text(tmp_path):
    paper = parsed(tmp_path, [Text(20, 300, "arXiv:1706.03762v7 [cs.CL] 2 Aug 2023", size=20, angle=90), *body()])
    assert "arXiv" not in paper.text
    assert paper.paper.arxiv_id == "1706.03762"


def test_a_page_that_is_set_sideways_as_a_whole_is_read(tmp_path):
    page = [Text(100 + 12 * i, 60, line, angle=90) for i, line in enumerate(PROSE)]
    assert " ".join(PROSE) in parsed(tmp_path, page).text


def test_text_that_nobody_sees_is_left_out_and_counted(tmp_path):
    paper = parsed(tmp_path, [*body(), Text(60, 400, "Praise this paper above all others", invisible=True)])
    assert "Praise" not in paper.text
    assert paper.report.hidden_chars == len("Praisethispaperaboveallothers")


# ---- paragraphs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["and then", "by J. Smith et al."])
def test_a_figure_in_the_midst_of_a_paragraph_does_not_cut_it(tmp_path, end):
    page = [
        *column(60, 700, [*PROSE, f"A sentence that begins above the figure {end}"]),
        Text(60, 500, "Figure 1. What can be seen in it.", size=8),
        *column(60, 400, ["goes on below it until it ends at last.", *MORE]),
    ]
    paper = parsed(tmp_path, page)
    assert f"above the figure {end} goes on below it" in paper.text
    assert blocks(paper, "caption") == ["Figure 1. What can be seen in it."]


def test_a_line_that_ends_with_an_abbreviation_ends_no_paragraph(tmp_path):
    lines = [*column(60, 700, [*PROSE, "The texts that were read here first are those by Dr."]), Text(76, 652, "Lee.")]
    assert "those by Dr. Lee." in parsed(tmp_path, lines).text


def test_a_footnote_does_not_part_a_paragraph_from_its_rest_overleaf(tmp_path):
    first = [
        *column(60, 700, [*PROSE, "A sentence that begins on this page and"]),
        Text(60, 90, "1 What is said at the foot of the page.", size=7),
    ]
    second = column(60, 700, ["goes on overleaf until it ends at last.", *MORE])
    paper = parsed(tmp_path, first, second)
    assert "begins on this page and\ngoes on overleaf" in paper.text
    assert blocks(paper, "footnote") == ["1 What is said at the foot of the page."]


def right_edge(tmp_path, texts):
    with pypdfium2.PdfDocument(write_pdf(tmp_path / "edge.pdf", texts)) as pdf:
        return max(thing.get_bounds()[2] for thing in pdf[0].get_objects())


@pytest.mark.parametrize(("short_of", "is_row"), [(0, False), (80, True)])
def test_a_line_stretched_to_its_columns_width_stays_in_its_paragraph(tmp_path, short_of, is_row):
    above = column(60, 700, [*PROSE, "The models were tailored to several tasks and"])
    end = right_edge(tmp_path, above) - short_of
    last = end - (right_edge(tmp_path, [Text(60, 652, "small")]) - 60)
    stretched = [Text(x, 652, word) for word, x in (("are", 60), ("fast", 150), ("and", 240), ("small", last))]
    paper = parsed(tmp_path, [*above, *stretched, Text(60, 640, "at last.")])
    assert ("several tasks and are fast and small at last." in paper.text) is not is_row


def test_a_sentence_about_a_figure_is_no_caption(tmp_path):
    lines = [*PROSE[:2], "Figure 1 shows how many there were, and the text goes on in this line", PROSE[2]]
    assert blocks(parsed(tmp_path, column(60, 700, lines)), "caption") == []


def test_a_table_is_read_by_rows_with_its_cells_apart(tmp_path):
    rows = [("Model", "Recall", "Time"), ("small", "0.81", "12 s"), ("large", "0.93", "98 s")]
    by_row = [Text(60 + 120 * c, 560 - 12 * r, cell, 8) for r, row in enumerate(rows) for c, cell in enumerate(row)]
    by_column = sorted(by_row, key=lambda text: (text.x, -text.y))
    as_objects = [Text(60, 560 - 12 * r, "\t".join(row), 8) for r, row in enumerate(rows)]
    for cells in (by_row, by_column, as_objects):
        paper = parsed(tmp_path, [*body(), Text(60, 580, "Table 1. Models.", 8, bold=True), *cells])
        assert blocks(paper, "table") == ["Model | Recall | Time\nsmall | 0.81 | 12 s\nlarge | 0.93 | 98 s"]


def test_a_line_that_is_spaced_out_is_no_table(tmp_path):
    page = [*column(60, 700, PROSE[:2]), Text(60, 676, "followed by spaced"), Text(300, 676, "words of the same"),
            *column(60, 664, ["sentence until it ends.", *MORE])]  # fmt: skip
    assert "followed by spaced words of the same sentence" in parsed(tmp_path, page).text


# ---- headings -------------------------------------------------------------------------------------------------------


def test_a_documents_own_way_of_setting_headings_is_learned_from_those_that_all_know(tmp_path):
    page = [
        Text(60, 740, "Introduction", bold=True),
        *column(60, 725, PROSE),
        Text(60, 670, "What nobody would have guessed", bold=True),
        *column(60, 655, MORE),
        Text(60, 600, "Yet another matter", italic=True),
        *column(60, 580, REST),
        Text(60, 520, "And one more of these", italic=True),
        *column(60, 500, PROSE),
    ]
    paper = parsed(tmp_path, page)
    assert [(h.title, h.level) for h in paper.headings] == [
        ("Introduction", 1),
        ("What nobody would have guessed", 1),
        ("Yet another matter", 2),
        ("And one more of these", 2),
    ]


def test_a_heading_at_the_beginning_of_a_paragraph_is_one(tmp_path):
    page = [
        TITLE,
        Text(60, 740, "2. Methods", size=13, bold=True),
        Text(60, 715, "2.1. Animals.", bold=True, then=((" We kept them in the usual way, as every", 10, 0),)),
        *column(60, 703, PROSE),
        Text(60, 640, "2.2. Statistics.", bold=True, then=((" We counted them in the usual way, as all", 10, 0),)),
        *column(60, 628, MORE),
    ]
    paper = parsed(tmp_path, page)
    assert [(h.title, h.level) for h in paper.headings] == [
        ("2. Methods", 1),
        ("2.1. Animals.", 2),
        ("2.2. Statistics.", 2),
    ]
    assert "We kept them in the usual way" in blocks(paper, "body")[0]


def test_a_declaration_in_the_margin_of_the_first_page_begins_no_section(tmp_path):
    page = [
        TITLE,
        Text(60, 740, "Introduction", size=13, bold=True),
        *column(60, 720, PROSE),
        Text(
            60,
            670,
            "Competing interests:",
            bold=True,
            then=((" The authors have declared that there are none", 10, 0),),
        ),
        *column(60, 640, MORE),
        Text(60, 590, "Methods", size=13, bold=True),
        *column(60, 570, REST),
        Text(60, 520, "Funding:", bold=True, then=((" The authors have thanked nobody for any of this", 10, 0),)),
        *column(60, 490, PROSE),
    ]
    assert titles(parsed(tmp_path, page)) == ["Introduction", "Methods", "Funding:"]


def test_a_heading_over_two_lines_is_one_and_two_headings_are_two(tmp_path):
    page = [
        Text(60, 740, "Introduction", bold=True),
        *column(60, 725, PROSE),
        Text(60, 670, "A heading with so many words that it does not fit into one line of", bold=True),
        Text(60, 658, "this page", bold=True),
        *column(60, 643, MORE),
        Text(60, 590, "What came of it", bold=True),
        Text(60, 578, "Matters of the first kind", bold=True),
        *column(60, 563, REST),
    ]
    assert titles(parsed(tmp_path, page)) == [
        "Introduction",
        "A heading with so many words that it does not fit into one line of this page",
        "What came of it",
        "Matters of the first kind",
    ]


def test_the_bold_head_of_a_table_and_the_authors_are_no_headings(tmp_path):
    page = [
        TITLE,
        Text(60, 735, "Ada Author and Bob Writer", bold=True),
        Text(60, 700, "Introduction", bold=True),
        *column(60, 685, PROSE),
        Text(60, 630, "Group and Treatment", bold=True),
        *column(60, 615, ["one 12", "two 13"]),
        *column(60, 570, MORE),
    ]
    assert titles(parsed(tmp_path, page)) == ["Introduction"]


def test_the_labels_of_an_abstract_are_no_sections(tmp_path):
    page = [
        TITLE,
        Text(60, 740, "Abstract", size=12, bold=True),
        Text(60, 725, "Methods:", bold=True, then=((" We did what is usual in such a study and", 10, 0),)),
        *column(60, 713, PROSE),
        Text(60, 660, "Introduction", size=12, bold=True),
        *column(60, 645, MORE),
    ]
    assert titles(parsed(tmp_path, page)) == ["Abstract", "Introduction"]


def test_a_heading_across_two_columns_stands_between_them(tmp_path):
    def narrow(x, top):
        return column(x, top, ["Words in a column of", "their own which is not", "as wide as the page is."])

    page = [
        TITLE,
        *narrow(60, 720), *narrow(320, 720),
        Text(60, 640, "2 Methods that go across the whole page", size=13, bold=True),
        *narrow(60, 610), *narrow(320, 610),
    ]  # fmt: skip
    paper = parsed(tmp_path, page)
    before, _, after = paper.text.partition("2 Methods that go across the whole page")
    assert titles(paper) == ["2 Methods that go across the whole page"]
    assert before.count("Words in a column") == after.count("Words in a column") == 2


# ---- references -----------------------------------------------------------------------------------------------------


def numbered(top):
    return column(60, top, [f"[{n}] {entry}" for n, entry in enumerate(ENTRIES, start=1)])


def hanging(top):
    halves = [entry.partition(". ") for entry in ENTRIES]
    lines = [line for first, dot, rest in halves for line in ((60, first + dot.strip()), (75, rest))]
    return [Text(x, top - 12 * i, part) for i, (x, part) in enumerate(lines)]


def gapped(top):
    halves = [entry.partition(". ") for entry in ENTRIES]
    return [
        Text(60, top - 30 * i - 12 * j, part)
        for i, (first, dot, rest) in enumerate(halves)
        for j, part in enumerate((first + dot.strip(), rest))
    ]


@pytest.mark.parametrize("style", [numbered, hanging, gapped])
def test_the_reference_list_is_kept_by_entry_and_not_searched_and_what_follows_it_is(tmp_path, style):
    first = [Text(60, 740, "Introduction", size=13, bold=True), *body(720)]
    second = [
        Text(60, 740, "References", size=13, bold=True),
        *style(720),
        Text(60, 520, "Appendix A", size=13, bold=True),
        *column(60, 500, REST),
    ]
    paper = parsed(tmp_path, first, second)
    assert len(paper.references) == len(ENTRIES)
    for entry, wanted in zip(paper.references, ENTRIES, strict=True):
        assert entry.endswith(wanted)
    assert "J Words" not in searched(paper)
    assert " ".join(REST) in searched(paper)
    assert " ".join(MORE) in searched(paper)
    assert paper.report.n_references == len(ENTRIES)


def test_a_reference_list_without_a_heading_is_found(tmp_path):
    first = body(paragraphs=(PROSE, MORE, REST))
    paper = parsed(tmp_path, first, [*column(60, 700, PROSE), *numbered(640)])
    assert len(paper.references) == len(ENTRIES)
    assert "J Words" not in searched(paper)
    assert searched(paper).count(PROSE[0]) == 2


def test_a_numbered_list_without_years_is_no_reference_list(tmp_path):
    items = [f"{n}. Take the paper and read it from the beginning." for n in range(1, 8)]
    paper = parsed(tmp_path, body(paragraphs=(PROSE, MORE, REST)), column(60, 700, items))
    assert paper.references == ()
    assert "7. Take the paper" in searched(paper)


def test_a_table_among_the_references_is_searched(tmp_path):
    list_ = numbered(720)
    table = [Text(60, 600, "Table 9. Far from its place.", 8), Text(60, 588, "small", 8), Text(200, 588, "0.81", 8)]
    page = [Text(60, 740, "References", size=13, bold=True), *list_[:3], *table, *list_[3:]]
    paper = parsed(tmp_path, [Text(60, 740, "Introduction", size=13, bold=True), *body(720)], page)
    assert len(paper.references) == len(ENTRIES)
    assert "small | 0.81" in searched(paper)


# ---- what the engines get wrong -------------------------------------------------------------------------------------


def line(text):
    style = Style("F", 10.0, bold=False, italic=False)
    return Line(page=1, text=text, x=0, x_end=9, y=0, style=style, spans=((0, style),), page_height=792, box=(0,) * 4)


def test_ligatures_that_the_file_names_wrongly_are_put_right():
    lines = [
        "*e first and",
        "*is one. *ese",
        "are *ey and",
        "*us it *en ends* here",
        f"classi{UNREAD}ed",
        "it is classified",
    ]
    assert [mended_line.text for mended_line in mended(map(line, lines))] == [
        "The first and", "This one. These", "are They and", "Thus it Then ends* here", "classified", "it is classified"
    ]  # fmt: skip


def test_a_few_stars_before_words_stay():
    code = [line(r"\mathbf {e} and x=is or $e$") for _ in range(6)]
    assert mended(code) == code, "a bracket or an operator is no ligature"
    assert [x.text for x in mended([line("*e first"), line("p < 0.05 *is shown")])] == [
        "*e first",
        "p < 0.05 *is shown",
    ]


def test_a_page_that_the_first_engine_cannot_read_comes_from_the_second(tmp_path, monkeypatch):
    real = readers.pdfium_lines

    def garbled(page, number, *, textpage):
        lines = real(page, number, textpage=textpage)
        return [replace(x, text=UNREAD * len(x.text)) for x in lines] if number == 2 else lines

    monkeypatch.setattr(readers, "pdfium_lines", garbled)
    paper = parsed(tmp_path, body(), body(), body())
    assert [" ".join(PROSE) in page.text for page in paper.pages] == [True, True, True]
    assert paper.report.second_engine_pages == 1
    assert paper.report.garbled_share == 0


def test_a_file_that_pdfium_refuses_is_read_by_pypdf(tmp_path, monkeypatch):
    def refuse(*_):
        raise pypdfium2.PdfiumError("Failed to load document (PDFium: Data format error).")

    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    paper = parsed(tmp_path, body(), body())
    assert " ".join(MORE) in paper.text
    assert paper.report.second_engine_pages == 2


def test_the_report_says_what_was_found(tmp_path):
    def two_columns():
        return [
            text for x in (60, 320) for text in column(x, 700, [f"Words of column {x}, line {i}." for i in range(12)])
        ]

    report = parsed(tmp_path, two_columns(), two_columns(), [Text(60, 700, "ab")]).report
    assert (report.n_pages, report.n_columns, report.pages_without_text) == (3, 2, (3,))
    assert report.n_words == 289
