"""Marks: the words of a quote on a page, in made PDFs of US-letter size."""

from __future__ import annotations

import contextlib
import threading

import pytest

from ingest.locate import find, locate
from ingest.picture import MAX_PIXELS, PictureError, page_picture
from pdfs import Text, column, write_pdf

FILLER = [f"Line {n} tells how jar {n * 7} was opened and closed." for n in range(30)]
QUOTE = "Garden seeds keep for five years in a dry jar at four degrees."


def overlaps(rectangle, box) -> bool:
    return (
        rectangle[0] < box[2] and rectangle[2] > box[0] and rectangle[1] < box[3] and rectangle[3] > box[1]
    )  # fmt: skip


def test_a_line_is_marked_where_it_stands(tmp_path) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [*FILLER[:5], QUOTE, *FILLER[5:]]))
    marks = locate(path, 1, QUOTE)
    assert (marks.exact, marks.share, marks.width, marks.height) == (True, 1.0, 612, 792)
    ((left, bottom, right, top),) = marks.rectangles
    baseline = 720 - 5 * 12
    assert left == pytest.approx(72, abs=2)
    assert 300 < right < 400
    assert baseline - 4 < bottom < baseline
    assert baseline + 6 < top < baseline + 11


def test_each_line_of_a_quote_has_its_own_rectangle(tmp_path) -> None:
    lines = ["It is known that garden seeds", "keep for five years in a dry jar", "at four degrees. Others do not."]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [*lines, *FILLER]))
    marks = locate(path, 1, "garden seeds keep for five years in a dry jar at four degrees.")
    assert marks.exact
    assert len(marks.rectangles) == 3
    assert marks.rectangles[0][0] > 120, "it begins within the first line"
    assert marks.rectangles[1][0] == pytest.approx(72, abs=2)
    assert marks.rectangles[2][2] < 160, "it ends within the last line"


def test_a_title_with_lines_close_to_each_other_has_a_rectangle_for_each(tmp_path) -> None:
    title = column(72, 720, ["of endophytic bacteria isolated", "from jars that stood open"], size=30, leading=31)
    marks = locate(write_pdf(tmp_path / "a.pdf", title), 1, "bacteria isolated from jars that stood")
    assert len(marks.rectangles) == 2
    assert marks.rectangles[0][0] > 200


def test_a_quote_that_runs_into_the_next_column_is_marked_in_both(tmp_path) -> None:
    left, right = [*FILLER[:19], "Garden seeds keep for five"], ["years in a dry jar at four degrees.", *FILLER[:19]]
    path = write_pdf(tmp_path / "a.pdf", [*column(50, 720, left), *column(330, 720, right)])
    marks = locate(path, 1, QUOTE)
    assert marks.exact
    first, second = marks.rectangles
    assert first[2] < 320
    assert first[3] < 720 - 18 * 12
    assert second[0] > 320
    assert second[3] > 720


def test_lines_beside_each_other_in_two_columns_are_not_marked_as_one(tmp_path) -> None:
    left, right = ["Seeds were dried,", QUOTE[:31]], [QUOTE[31:], "Nothing else was done."]
    path = write_pdf(tmp_path / "a.pdf", [*column(50, 720, left + FILLER), *column(330, 720, right + FILLER)])
    assert all(r[2] - r[0] < 250 for r in locate(path, 1, "Nothing else was done.").rectangles)


def test_words_that_are_broken_at_a_line_s_end_are_found_joined_and_not(tmp_path) -> None:
    lines = ["Garden seeds keep for five years in ware-", "houses of the state-", "of-the-art kind."]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [*lines, *FILLER]))
    for quote in ("five years in warehouses of the state-of-the-art kind", "years in ware-houses of the state-of-the"):
        marks = locate(path, 1, quote)
        assert marks.exact, quote
        assert len(marks.rectangles) == 3


def test_ligatures_quotes_and_dashes_make_no_difference(tmp_path) -> None:
    line = "The ﬁrst ﬂower – the “quick” one – is ﬁne."
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [*FILLER, line]))
    for quote in (line, 'The first flower - the "quick" one - is fine.', "the first flower—the “quick” one"):
        assert locate(path, 1, quote).exact, quote


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_marks_are_turned_with_the_page(tmp_path, rotate: int) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [QUOTE, *FILLER]), rotate=rotate)
    marks = locate(path, 1, QUOTE)
    (box,) = marks.rectangles
    expected = {90: (717, 240, 730, 540), 180: (240, 63, 540, 75), 270: (63, 72, 75, 372)}[rotate]
    assert (marks.width, marks.height) == ((792, 612) if rotate % 180 else (612, 792))
    assert marks.exact
    assert overlaps(box, expected)
    assert (box[3] - box[1] > 200) is (rotate % 180 == 90), "the line runs along the turned page"


def test_sideways_text_is_one_rectangle_a_line(tmp_path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [Text(300, 100, QUOTE, angle=90), Text(312, 100, FILLER[0], angle=90)])
    (box,) = locate(path, 1, QUOTE).rectangles
    assert box[3] - box[1] > 200
    assert box[2] - box[0] < 20


def test_a_quote_over_the_page_s_end_is_marked_on_both_pages(tmp_path) -> None:
    first, second = [*FILLER, "In our trials garden seeds keep for"], ["five years in a jar at four degrees.", *FILLER]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, first), column(72, 720, second))
    quote = "In our trials garden seeds keep for five years in a jar at four degrees."
    for number in (1, 2):
        marks = locate(path, number, quote)
        assert not marks.exact
        assert 0.3 < marks.share < 0.7
        assert len(marks.rectangles) == 1


def test_a_changed_word_is_located_and_not_called_exact(tmp_path) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [*FILLER[:9], QUOTE, *FILLER[9:]]))
    marks = locate(path, 1, QUOTE.replace("five", "nine"))
    assert not marks.exact
    assert marks.share > 0.6
    (box,) = marks.rectangles
    assert box[3] == pytest.approx(720 - 9 * 12 + 8, abs=4)


def test_a_footnote_inside_a_sentence_is_not_marked(tmp_path) -> None:
    lines = [
        "Garden seeds keep for five years and",
        "1 Supported by the society of gardeners.",
        "in a dry jar at four.",
    ]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [*FILLER[:3], *lines, *FILLER[3:]]))
    marks = locate(path, 1, "Garden seeds keep for five years and in a dry jar at four.")
    assert not marks.exact
    assert len(marks.rectangles) == 2
    assert not any(overlaps(box, (72, 672, 300, 676)) for box in marks.rectangles)


@pytest.mark.parametrize(
    "quote", ["", "   ", "Nothing of this stands on any of the pages, not even in part.", "|–|", "x" * 9999]
)
def test_what_is_not_there_is_not_marked(tmp_path, quote: str) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [QUOTE, *FILLER]))
    assert locate(path, 1, quote) is None


def test_common_words_elsewhere_are_no_place(tmp_path) -> None:
    lines = [*FILLER, "In this paper we propose a new kind of jar."]
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, lines))
    assert locate(path, 1, "We measured rain in the north, as others did, in this paper we propose.") is None


def test_a_file_that_is_gone_or_broken_gives_no_marks(tmp_path) -> None:
    broken = tmp_path / "b.pdf"
    broken.write_bytes(b"%PDF-1.4\nnothing")
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, FILLER))
    for pdf, number in ((tmp_path / "none.pdf", 1), (broken, 1), (path, 2), (path, 0)):
        assert locate(pdf, number, FILLER[0]) is None
        with pytest.raises(PictureError):
            page_picture(pdf, number)


@pytest.mark.parametrize(
    "name",
    ["pdfjs_tests__issue11768_reduced", "pdfjs_tests__ContentStreamNoCycleType3insideType3", "qpdf_fuzz__69969.fuzz"],
)
def test_a_strange_file_gives_a_picture_or_its_sentence_and_no_fault(shared_data, name: str) -> None:
    path = shared_data / "hostile" / f"{name}.pdf"
    for number in (1, 2):
        with contextlib.suppress(PictureError):
            assert page_picture(path, number).startswith(b"\x89PNG")
        locate(path, number, "A sentence that stands on no page of it, and which is long enough.")


def test_characters_beyond_the_first_plane_make_no_difference() -> None:
    from ingest.locate import _characters

    halves = _characters([0xD835, 0xDC65, 0x3D, 0x31, 0, 0x7FFFFFFF, 0xD83D, 0xDE00, 0xD835])
    assert halves == ["𝑥", "", "=", "1", "\ufffd", "\ufffd", "😀", "", "\ud835"]
    for quote in ("𝑥=1", "x=1😀"):
        assert find(halves, quote)[:2] == ([(0, 4)], True)
    assert find(halves, "=1")[:2] == ([(2, 4)], True)


def test_ranges_are_those_of_the_characters_given() -> None:
    page = "The ﬁrst\r\nof these is ﬁne."
    ranges, exact, share = find(page, "first of these")
    assert (ranges, exact, share) == ([(4, page.index(" is"))], True, 1.0)


def test_a_huge_page_is_drawn_small_enough(tmp_path) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, FILLER))
    huge = tmp_path / "b.pdf"
    huge.write_bytes(path.read_bytes().replace(b"[0 0 612 792]", b"[0 0 9999 9e9]").replace(b"9e9", b"9e4"))
    for pdf in (path, huge):
        picture = page_picture(pdf, 1)
        assert picture.startswith(b"\x89PNG")
        width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
        assert width * height <= 1.01 * MAX_PIXELS


def test_a_page_that_takes_too_long_is_given_up(tmp_path, monkeypatch) -> None:
    from ingest import picture

    monkeypatch.setattr(picture, "MAX_SECONDS", -1.0)
    texts = [Text(x, y, "word") for x in range(50, 500, 10) for y in range(50, 700, 10)]
    with pytest.raises(PictureError, match="to display"):
        page_picture(write_pdf(tmp_path / "a.pdf", texts), 1)


def test_many_threads_may_ask_at_once(tmp_path) -> None:
    path = write_pdf(tmp_path / "a.pdf", column(72, 720, [QUOTE, *FILLER]))
    done = []

    def ask() -> None:
        done.append((len(page_picture(path, 1)), locate(path, 1, QUOTE)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 8
    assert len(set(done)) == 1
