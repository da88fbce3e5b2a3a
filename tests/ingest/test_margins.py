"""What stands around a page's text is no part of it, and what only looks so is."""

from __future__ import annotations

import re

import pytest

from ingest.chunk import chunk_paper
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf

WORDS = (
    "small models answer questions about research papers when the passages are good and every line of a paper "
    "is made of words like these which say nothing that would be worth a second look by anybody at all"
).split()


def prose(n: int, *, width: int = 9, start: int = 0) -> list[str]:
    """Lines of running text without figures."""
    return [" ".join(WORDS[(start + 5 * i + k) % len(WORDS)] for k in range(width)) for i in range(n)]


def text_of(tmp_path, *pages) -> str:
    return parse_pdf(write_pdf(tmp_path / "a.pdf", *pages)).text


# ---- line numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("side", [30, 560])
@pytest.mark.parametrize("order", ["before", "after", "first", "last"])
def test_line_numbers_at_either_margin_are_left_out(tmp_path, step, side, order):
    pages, count = [], 0
    for page in range(2):
        lines = column(80, 720, prose(40, start=page))
        pairs = []
        for line in lines:
            count += 1
            pairs.append((line, [Text(side, line.y, str(count), 7)] if count % step == 0 else []))
        numbers = [number for _, found in pairs for number in found]
        match order:
            case "before":
                pages.append([text for line, found in pairs for text in (*found, line)])
            case "after":
                pages.append([text for line, found in pairs for text in (line, *found)])
            case "first":
                pages.append([*numbers, *lines])
            case _:
                pages.append([*lines, *numbers])
    text = text_of(tmp_path, *pages)
    assert not re.search(r"\d|\|", text)
    assert len(text.split()) == 2 * 40 * 9


@pytest.mark.parametrize("step", [1, 5])
def test_line_numbers_outside_of_two_columns_are_left_out(tmp_path, step):
    left, right = column(70, 720, prose(40, width=4)), column(330, 720, prose(40, width=4, start=3))
    numbered = [
        text
        for x, lines, first in ((45, left, 1), (560, right, 41))
        for n, line in enumerate(lines, start=first)
        for text in (line, *([Text(x, line.y, str(n), 7)] if n % step == 0 else []))
    ]
    text = text_of(tmp_path, numbered)
    assert not re.search(r"\d|\|", text)
    assert len(text.split()) == 2 * 40 * 4


def test_a_numbered_list_and_the_numbers_of_a_tables_rows_stay(tmp_path):
    items = [Text(60, 720 - 12 * n, f"{n} {line}") for n, line in enumerate(prose(12), start=1)]
    listed = text_of(tmp_path, [*items], column(80, 720, prose(40)), column(80, 720, prose(40)))
    assert "12 " + prose(12)[-1] in listed
    rows = [
        Text(x, 720 - 12 * n, cell) for n in range(1, 31) for x, cell in ((60, str(n)), (120, "barley"), (220, "9.5"))
    ]
    assert "7 barley | 9.5" in text_of(tmp_path, rows)


# ---- heads, feet, stamps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stamp",
    [
        "Downloaded from journals.example.org by guest on 03 March 2024",
        "Downloaded by University of X on May 3, 2021. For personal use only.",
        "Authorized licensed use limited to: Univ of X. Downloaded on May 03,2021 at 12:00:00 UTC. Restrictions apply.",
    ],
)
def test_a_download_stamp_is_no_text_even_on_a_single_page(tmp_path, stamp):
    page = [Text(120, 36, stamp, 8), *column(80, 700, prose(20))]
    assert text_of(tmp_path, page).split() == " ".join(prose(20)).split()


def test_who_downloaded_data_is_text(tmp_path):
    line = "The figures were downloaded from the archive of the project on the third day."
    assert line in text_of(tmp_path, column(80, 500, [*prose(10), line]))


# ---- tables over pages ----------------------------------------------------------------------------------------------

HEAD = ("Trial", "Protein (%)", "Rain (mm)")


def table(first: int, last: int, *, top: float, head: bool = False, by_column: bool = False) -> list[Text]:
    rows = [(f"T{n:02} Ahorn", f"{9 + n / 10:.1f}", str(300 + 7 * n)) for n in range(first, last + 1)]
    rows = [HEAD, *rows] if head else rows
    cells = [(c, Text(72 + 120 * c, top - 14 * r, cell, 9)) for r, row in enumerate(rows) for c, cell in enumerate(row)]
    return [cell for _, cell in (sorted(cells, key=lambda pair: pair[0]) if by_column else cells)]


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("pages", [2, 3, 4])
def test_no_row_of_a_table_is_lost_at_the_pages_ends(tmp_path, pages, by_column):
    drawn, at = [], 1
    for page in range(pages):
        top = 600 if not page else 742
        n = int((top - 66) // 14)
        drawn.append(
            [
                Text(72, 772, "Barley Trials Report", 8),
                Text(300, 20, str(page + 1), 8),
                *([] if page else column(72, 700, prose(4))),
                *table(at, at + n - 1, top=top, head=not page, by_column=by_column),
            ]
        )
        at += n
    text = text_of(tmp_path, *drawn)
    assert re.findall(r"T(\d+) Ahorn", text) == [f"{n:02}" for n in range(1, at)]
    assert "Report" not in text


def test_a_passage_of_a_table_is_whole_rows_under_their_column_headings(tmp_path):
    first = [*column(72, 700, prose(4)), *table(1, 38, top=600, head=True)]
    second = [*table(39, 60, top=742), *column(72, 300, prose(4))]
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", first, second))
    chunks = chunk_paper(parsed, max_tokens=100, count_tokens=lambda texts: [len(t) // 3 + 1 for t in texts])
    rows = 0
    for chunk in chunks:
        assert parsed.text[chunk.start : chunk.end] == chunk.text
        lines = [line for line in chunk.text.split("\n") if " | " in line]
        assert all(line.count(" | ") == 2 for line in lines), "no row is cut"
        assert not lines or lines[0] == " | ".join(HEAD)
        rows += sum("Ahorn" in line for line in lines)
    assert rows == 60


def test_a_row_with_a_full_stop_in_it_is_not_cut(tmp_path):
    rows = [(f"Bacillus spp. No. {n}", f"{n}.5", "spp. All") for n in range(1, 30)]
    cells = [Text(60 + 160 * c, 600 - 12 * r, cell, 9) for r, row in enumerate(rows) for c, cell in enumerate(row)]
    parsed = parse_pdf(write_pdf(tmp_path / "a.pdf", [*column(60, 700, prose(4)), *cells]))
    chunks = chunk_paper(parsed, max_tokens=40, count_tokens=lambda texts: [len(t) // 4 + 1 for t in texts])
    lines = [line for chunk in chunks for line in chunk.text.split("\n") if "Bacillus" in line]
    assert lines == [" | ".join(row) for row in rows]
