"""The viewer's view of a document: page sizes, words with their places, and search as a person expects it."""

from __future__ import annotations

import pypdf
import pytest
from pypdf.generic import RectangleObject

from ingest.document_map import document_map
from ingest.found_in_text import MAX_HITS, marks_of_hits, search
from ingest.paper import Page
from ingest.text_layer import text_layer
from pdfs import Text, column, write_pdf


def cropped(path, box, *, rotate=0):
    writer = pypdf.PdfWriter(clone_from=path)
    writer.pages[0].cropbox = RectangleObject(box)
    if rotate:
        writer.pages[0].rotate(rotate)
    writer.write(path)
    return path


def test_pages_have_the_size_in_which_they_are_displayed(tmp_path) -> None:
    text = column(72, 720, ["Garden seeds keep."])
    assert document_map(write_pdf(tmp_path / "a.pdf", text, text)).sizes == ((612, 792), (612, 792))
    assert document_map(write_pdf(tmp_path / "b.pdf", text, rotate=90)).sizes == ((792, 612),)
    path = cropped(write_pdf(tmp_path / "c.pdf", text), (50, 600, 350, 780), rotate=270)
    assert document_map(path).sizes == ((180, 300),)


def test_the_words_of_two_columns_follow_each_other(tmp_path) -> None:
    left, right = ["In the left col-", "umn stand these."], ["In the right column", "stand others."]
    path = write_pdf(tmp_path / "a.pdf", [*column(50, 720, left), *column(330, 720, right)])
    words = text_layer(path, 1)
    assert (
        " ".join(word.text for word in words) == "In the left col- umn stand these. In the right column stand others."
    )
    assert [word.text for word in words if word.ends_line] == ["col-", "these.", "column", "others."]
    first = words[0].box
    assert first[0] == pytest.approx(50 / 612, abs=0.005)
    assert first[1] < (792 - 720) / 792 < first[3]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_words_stand_where_the_turned_and_cropped_page_shows_them(tmp_path, rotate) -> None:
    path = cropped(write_pdf(tmp_path / "a.pdf", [Text(72, 720, "Garden seeds"), *column(72, 700, ["keep"])]),
                   (62, 600, 362, 780), rotate=rotate)  # fmt: skip
    words = text_layer(path, 1)
    assert {word.text for word in words} == {"Garden", "seeds", "keep"}
    across, down = 10 / 300, (780 - 722) / 180
    left, top, right, bottom = next(word.box for word in words if word.text == "Garden")
    near = {
        0: (left, (top + bottom) / 2),
        90: (top, 1 - (left + right) / 2),
        180: (1 - right, 1 - (top + bottom) / 2),
        270: (1 - bottom, (left + right) / 2),
    }[rotate]
    assert near == pytest.approx((across, down), abs=0.03)
    assert {word.turn for word in words} == {{0: 0, 90: 90, 180: 0, 270: 270}[rotate]}


def test_a_page_without_text_has_no_words(tmp_path) -> None:
    assert text_layer(write_pdf(tmp_path / "a.pdf", []), 1) == ()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("efficacy", "The eﬃcacy of it"),
        ("Zurich naive", "from Zürich  naïve"),
        ("zürich", "ZURICH"),
        ("generated", "of gener-\nated data"),
        ("user-generated", "of user-\ngenerated data"),
        ("user-generated", "of user\N{SOFT HYPHEN}generated data"),
        ("1990-1995", "in 1990–1995"),
        ("dry   jar", "a dry\njar"),
        ("intra or", "intra- or inter"),
        ("-", None),
        ("", None),
        ("therapist", None),
    ],
)
def test_accents_ligatures_and_hyphens_make_no_difference(words, text) -> None:
    hits, more = search([Page(1, text or "the rapist - no")], words)
    assert (len(hits), more) == (1 if text else 0, False)


def test_hits_have_their_page_and_what_stands_around_them() -> None:
    pages = [Page(1, "No hit."), Page(2, f"{'far away ' * 20}the dry jar stands here. {'And so on. ' * 20}")]
    (hit,), _ = search(pages, "DRY JAR")
    assert (hit.page, hit.words) == (2, "dry jar")
    assert hit.before.startswith("… ")
    assert hit.before.endswith("the ")
    assert hit.after.startswith(" stands here.")
    assert hit.after.endswith(" …")


def test_there_is_an_end_of_hits() -> None:
    hits, more = search([Page(1, "a " * (MAX_HITS + 5))], "a")
    assert (len(hits), more) == (MAX_HITS, True)


def test_each_hit_is_marked_on_the_page_and_running_heads_are_not_taken_for_it(tmp_path) -> None:
    lines = ["Seeds in jars, a study", "", "Dry seeds keep for years.", "Wet see-", "ds do not."]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, lines))
    stored = "Dry seeds keep for years. Wet seeds do not."
    first, second = marks_of_hits(path, 1, "seeds", stored)
    assert len(first) == 1
    assert first[0][1] < (792 - (720 - 24)) / 792 < first[0][3] + 0.01, "the third line, not the head"
    assert len(second) == 2, "both halves of a broken word"
    assert marks_of_hits(path, 1, "nowhere", stored) == []
    assert marks_of_hits(path, 1, "absent", "an absent word") == [[]]


def test_a_letter_that_stands_everywhere_is_marked_without_comparing_each_place_with_each(
    tmp_path, monkeypatch
) -> None:
    """The comparisons grow with the square of the hits, and all other pages wait for them."""
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, ["a e a e a e a e a e a e a e a e"] * 40))
    compared = 0

    def alike(*_: object) -> int:
        nonlocal compared
        compared += 1
        return 0

    monkeypatch.setattr("ingest.found_in_text._alike", alike)
    stored = "\n".join(["a e a e a e a e a e a e a e a e"] * 40)
    found = marks_of_hits(path, 1, "e", stored)
    assert len(found) == 320
    assert all(len(rectangles) == 1 for rectangles in found)
    assert compared < 20_000
    assert len(marks_of_hits(path, 1, "e", "e " * (MAX_HITS + 50))) == MAX_HITS
