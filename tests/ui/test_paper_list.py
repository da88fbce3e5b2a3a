"""The filter and the order of the Library's list."""

from __future__ import annotations

import pytest

from ingest import Listed, Paper
from ingest.paper import QualityReport
from ui.web.paper_list import filtered, in_order, rows

PAPERS = [
    ("a", "An anti\u2011diabetic effect of Ocimum", ("Pierre Cohén",), 2014, "tulsi_review.pdf", ("thesis",)),
    ("b", "Antidiabetic plants", ("Ada Miller",), None, "cohen-2014.pdf", ("to read", "Thesis 2")),
    ("c", "The Straße of Łódź", (), 1999, "c.pdf", ()),
    ("d", "Anti diabetic teas: a survey", ("Zoë van der Burg", "Ada Miller"), 2020, "10.1016_j.pdf", ()),
]


@pytest.fixture
def listed():
    return [
        Listed(
            paper=Paper(id=name, title=title, authors=authors, year=year, n_pages=1, file_name=file),
            added_at=f"2026-01-0{number}",
            tags=tags,
            report=None,
            corrected=(),
        )
        for number, (name, title, authors, year, file, tags) in enumerate(PAPERS, start=1)
    ]


@pytest.fixture
def all_rows(listed):
    return rows(listed, local_only=set(), samples=set(), hidden=set())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abcd"),
        ("anti-diabetic", "abd"),
        ("anti\u2010diabetic", "abd"),
        ("antidiabetic", "ab"),
        ('"anti diabetic"', "ad"),
        ("cohen 2014", "ab"),
        ("COHÉN", "ab"),
        ("zoe burg", "d"),
        ("strasse lodz", "c"),
        ("tulsi_rev", "a"),
        ("tag:thesis", "ab"),
        ("TAG:THESIS cohén", "ab"),
        ('tag:"thesis 2"', "b"),
        ("tag:read", ""),
        ("2014 miller", "b"),
        ("no such thing", ""),
        ("  \t ", "abcd"),
        ("tag:", "abcd"),
        ('"', ""),
    ],
)
def test_the_filter_forgives_accents_hyphens_and_order(all_rows, query, found) -> None:
    assert "".join(row.id for row in filtered(all_rows, query)) == found


@pytest.mark.parametrize(
    ("sort", "down", "order"),
    [
        ("title", False, "dabc"),
        ("authors", False, "dabc"),
        ("year", False, "cadb"),
        ("year", True, "dacb"),
        ("added", True, "dcba"),
    ],
)
def test_the_order_has_the_unknown_last(all_rows, sort, down, order) -> None:
    assert "".join(row.id for row in in_order(all_rows, sort, down=down)) == order


def test_hidden_papers_are_no_duplicates_of_others(listed) -> None:
    twin = Listed(
        paper=Paper(id="e", title=PAPERS[0][1].upper(), authors=("P. Cohén",), year=2014, n_pages=1, file_name="e.pdf"),
        added_at="2026-02-01",
        tags=(),
        report=None,
        corrected=(),
    )
    said = {row.id: row.notes for row in rows([*listed, twin], local_only=set(), samples=set(), hidden=set())}
    assert said["e"] == (f"This is likely the same paper as “{PAPERS[0][1]}” (tulsi_review.pdf).",)
    assert len(said["a"]) == 1
    alone = rows([*listed, twin], local_only=None, samples={"a"}, hidden={"e"})
    assert (alone[0].notes, alone[0].sample, alone[0].local_only) == ((), True, None)


def test_the_quality_of_the_text_is_told_in_words(listed) -> None:
    report = QualityReport(
        n_pages=9, n_words=1, n_columns=1, n_headings=1, n_references=1, second_engine_pages=0, garbled_share=0.0,
        flagged_sentences=1, pages_without_text=(2, 5, 7), ocr_pages=(2, 3), unreadable_pages=(5,), ocr_error="",
    )  # fmt: skip
    paper = Listed(paper=listed[0].paper, added_at="2026", tags=(), report=report, corrected=("year",))
    (row,) = rows([paper], local_only=set(), samples=set(), hidden=set())
    assert row.notes == (
        "Page 5 could not be read: it is a picture, or its letters make no words.",
        "Pages 2 and 3 were read by OCR, which makes mistakes: compare what you quote.",
        "Page 7 has no text.",
        "1 sentence addresses a language model.",
    )
    assert row.corrected == "You corrected the year."
