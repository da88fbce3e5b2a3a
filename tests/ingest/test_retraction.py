"""A retracted paper is seen and marked wherever it is named; the same paper from another file is told."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from ingest.__main__ import main
from ingest.bibliography import write_bibtex
from ingest.known_headings import is_notice
from ingest.library import open_library as opened
from ingest.parse import parse_pdf
from ingest.settings import IngestSettings
from pdfs import Text, column, write_pdf

LINES = [
    "We report a trial in which willow lowered the pressure of adults within twelve weeks of the year,",
    "and we say so in lines of ordinary length that go on until the paragraph ends at last.",
]


def paper(path: Path, *more: Text, title: str = "Willow lowers the pressure of adults", notice: str = "") -> Path:
    page = [
        Text(60, 740, title, size=18),
        Text(60, 715, "Igor Salm and Wendy Moor"),
        Text(60, 690, "Abstract", bold=True),
        *column(60, 675, LINES),
        Text(60, 630, "1 Introduction", bold=True),
        *column(60, 615, [*LINES, *LINES, *([notice] if notice else [])]),
    ]
    return write_pdf(path, [*more, *page])


@pytest.mark.parametrize(
    "how",
    [
        {"more": [Text(300, 200, "RETRACTED", size=60, angle=90)]},
        {"more": [Text(100, 300, "RETRACTED", size=60)]},
        {"more": [Text(60, 770, "RETRACTED ARTICLE", size=9)]},
        {"title": "RETRACTED: Willow lowers the pressure of adults"},
        {"notice": "This article has been retracted by its authors on 3 May 2019."},
    ],
)
def test_a_stamp_or_a_notice_is_seen_and_the_stamp_is_no_text(tmp_path, how):
    parsed = parse_pdf(paper(tmp_path / "a.pdf", *how.pop("more", []), **how))
    assert parsed.paper.retracted
    assert parsed.paper.marked_title == "RETRACTED: Willow lowers the pressure of adults"
    assert parsed.paper.short_cite == "Salm and Moor (retracted)"
    assert "title" in how or "RETRACTED" not in parsed.text
    assert "retracted" in write_bibtex([parsed.paper]).casefold()


@pytest.mark.parametrize(
    "line", ["One paper of these was retracted in 2010.", "Retracted", "Retracted articles are a matter of their own.",
     "We ask what readers do when this article has been retracted", "We ask whether editors have retracted this paper"]
)  # fmt: skip
def test_a_paper_about_retraction_is_not_retracted(tmp_path, line):
    assert not parse_pdf(paper(tmp_path / "a.pdf", notice=line)).paper.retracted
    assert not is_notice("Retraction: why it happens", line)


@pytest.mark.parametrize("label", [Text(300, 200, "WITHDRAWN", size=8, angle=90), Text(300, 200, "WITHDRAWN", size=18)])
def test_those_who_left_a_trial_retract_no_paper(tmp_path, label):
    assert not parse_pdf(paper(tmp_path / "a.pdf", label)).paper.retracted


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("RETRACTED: Willow", ""),
        ("Retraction note to: Willow", ""),
        ("Retraction: Willow", "The authors retract this article, as its data were made up."),
        ("Willow", "Authors\nThe Editor-in-Chief and the publisher have\nretracted this article [1]."),
        ("Willow", "Authors\nThis article has been\nretracted at the request of its authors."),
    ],
)
def test_titles_and_sentences_that_tell_of_a_retraction(title, text):
    assert is_notice(title, text)


def test_the_mark_can_be_taken_off_and_put_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    with opened(IngestSettings(library=tmp_path / "library")) as library:
        stamped = paper(tmp_path / "a.pdf", Text(100, 300, "RETRACTED", size=60))
        paper_id = ingest_pdf(stamped, library=library, embedder=HashEmbedder()).paper_id
    for option, retracted in (("--not-retracted", False), ("--retracted", True)):
        assert main(["set", "--json", paper_id, option]) == 0
        assert json.loads(capsys.readouterr().out)["retracted"] is retracted
        with opened(IngestSettings(library=tmp_path / "library")) as library:
            assert library.paper(paper_id).retracted is retracted


def test_half_a_pair_of_surrogates_costs_no_paper(tmp_path):
    with opened(IngestSettings(library=tmp_path / "library")) as library:
        report = ingest_pdf(paper(tmp_path / "a.pdf"), library=library, embedder=HashEmbedder())
        kept = library.describe(report.paper_id, title="A study \ud83d of things", authors=("M\ud83d",))
        kept = library.paper(kept.id)
        assert (kept.title, kept.authors) == ("A study \ufffd of things", ("M\ufffd",))


def test_the_library_keeps_that_a_paper_is_retracted(tmp_path):
    with opened(IngestSettings(library=tmp_path / "library")) as library:
        ingest_pdf(
            paper(tmp_path / "a.pdf", Text(100, 300, "RETRACTED", size=60)), library=library, embedder=HashEmbedder()
        )
        (kept,) = library.papers()
        assert kept.retracted
        assert library.describe(kept.id, title="Another title").marked_title == "RETRACTED: Another title"


def test_a_library_of_an_older_version_knows_of_no_retraction(tmp_path):
    with opened(IngestSettings(library=tmp_path / "library")) as library:
        ingest_pdf(paper(tmp_path / "a.pdf"), library=library, embedder=HashEmbedder())
    with sqlite3.connect(tmp_path / "library" / "library.db") as db:
        for column in ("isbn", "families", "page_labels", "retracted"):
            db.execute(f"ALTER TABLE papers DROP COLUMN {column}")
        db.execute("PRAGMA user_version=3")
    with opened(IngestSettings(library=tmp_path / "library")) as library:
        assert [one.retracted for one in library.papers()] == [False]


def test_the_same_paper_from_another_file_is_told(tmp_path):
    with opened(IngestSettings(library=tmp_path / "library")) as library:
        stamps = [
            Text(60, 30, f"Downloaded from x.example.org by {who} on 03 March 2024", size=8) for who in ("A", "B")
        ]
        reports = [
            ingest_pdf(paper(tmp_path / f"{n}.pdf", stamp), library=library, embedder=HashEmbedder())
            for n, stamp in enumerate(stamps)
        ]
        other = ingest_pdf(
            paper(tmp_path / "c.pdf", title="Willow raises the pressure of children"),
            library=library,
            embedder=HashEmbedder(),
        )
    assert [report.status for report in (*reports, other)] == ["added"] * 3
    assert [report.like for report in (reports[0], other)] == [None, None]
    assert reports[1].like == "“Willow lowers the pressure of adults” (0.pdf)"
    assert "likely the same paper" in reports[1].like_sentence
