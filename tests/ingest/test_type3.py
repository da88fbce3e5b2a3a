"""Papers that TeX set in bitmap fonts: their sizes, their codes, and the pages that only OCR can read."""

from __future__ import annotations

import pytest

from ingest import ocr
from ingest.errors import NoTextError
from ingest.glyph_names import OML, OMS, OT1, T1, letters_of
from ingest.parse import parse_pdf
from pdfs import Text, write_pdf
from type3 import T1 as T1_CODES
from type3 import write_type3

LINES = [
    "The efficient method of difference was first defined in the office",
    "of our institute; we find that the flow of water is affected by soil",
    "and that all of the fields show a decline of the measured carbon flux.",
] * 5
WITH_TESSERACT = pytest.mark.skipif(not ocr.available(), reason="Tesseract is not installed")
SCHEMES = {
    "decimal": "a{}".format, "hexadecimal": "G{:02X}".format, "bare": "{}".format, "bare hexadecimal": "{:02x}".format,
    "dvipdfm": "x{:02X}".format, "four digits": "C{:04d}".format,
}  # fmt: skip


@pytest.mark.parametrize("way", ["dvips", "pdftex"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_names_that_are_codes_tell_the_letters(tmp_path, way, scheme):
    parsed = parse_pdf(write_type3(tmp_path / "a.pdf", LINES, LINES[1:], way=way, name=SCHEMES[scheme]))
    assert parsed.text.count("The efficient method of difference was first defined in the office of our institute;") > 3
    assert parsed.report.hidden_chars == 0
    assert parsed.report.garbled_share == 0
    assert parsed.report.lost == ()
    assert parsed.report.ocr_pages == ()


@pytest.mark.parametrize("way", ["dvips", "pdftex"])
def test_a_font_that_says_its_letters_but_counts_in_pixels_is_not_hidden(tmp_path, way):
    parsed = parse_pdf(write_type3(tmp_path / "a.pdf", LINES, way=way, to_unicode=True))
    assert parsed.report.hidden_chars == 0
    assert "we find that the flow of water is affected" in parsed.text
    assert " | " not in parsed.text


def test_the_eight_bit_encoding_of_tex_is_told_from_the_older_one(tmp_path):
    lines = ["Die größte Differenz fand sich im öffentlichen Teil des Moores und"] * 8
    assert "größte Differenz" in parse_pdf(write_type3(tmp_path / "a.pdf", lines, codes=T1_CODES)).text
    assert "efficient" in parse_pdf(write_type3(tmp_path / "b.pdf", LINES, codes=T1_CODES)).text


@pytest.mark.parametrize("trick", ["covered", "tiny"])
def test_hidden_text_in_a_bitmap_font_stays_hidden(tmp_path, trick):
    cover = b"1 g 0 0 612 792 re f" if trick == "covered" else b""
    path = write_type3(tmp_path / "a.pdf", LINES, to_unicode=True, over=cover)
    if trick == "tiny":
        path.write_bytes(path.read_bytes().replace(b"0.24 0 0 0.24 60", b"0.02 0 0 0.02 60"))
    with pytest.raises(NoTextError):
        parse_pdf(path)


def test_letters_are_not_given_up_for_a_copy_that_says_nothing(tmp_path, monkeypatch):
    empty = write_pdf(tmp_path / "empty.pdf", [])
    monkeypatch.setattr("ingest.reread.with_letters", lambda _: empty.read_bytes())
    monkeypatch.setattr("ingest.reread._is_coded", lambda *_: True)
    parsed = parse_pdf(write_type3(tmp_path / "a.pdf", LINES, to_unicode=True))
    assert "we find that the flow of water is affected" in parsed.text


@WITH_TESSERACT
@pytest.mark.parametrize(
    "name",
    ["q{}z".format, lambda code: f"glyph-{code * 7}", "w{0:o}v".format],
)
def test_names_that_say_nothing_leave_the_page_to_ocr(tmp_path, name):
    shuffled = {char: 33 + (ord(char) * 7) % 90 for char in "abcdefghijklmnopqrstuvwxyzT;."}
    parsed = parse_pdf(write_type3(tmp_path / "a.pdf", LINES, name=name, codes=shuffled))
    assert parsed.report.ocr_pages == (1,)
    assert "method of difference was" in parsed.text


def test_without_ocr_such_a_page_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    shuffled = {char: 33 + (ord(char) * 7) % 90 for char in "abcdefghijklmnopqrstuvwxyzT;."}
    with pytest.raises(NoTextError, match=r"letters make no words.*Install Tesseract"):
        parse_pdf(write_type3(tmp_path / "a.pdf", LINES, name="q{}z".format, codes=shuffled))


@WITH_TESSERACT
def test_a_page_of_outlines_or_a_small_picture_is_read_by_ocr(tmp_path):
    import pypdfium2
    from test_ocr import scan_of

    words = [Text(60, 720 - 14 * i, line, size=11) for i, line in enumerate(LINES)]
    document = pypdfium2.PdfDocument(write_pdf(tmp_path / "a.pdf", words))
    (tmp_path / "b.pdf").write_bytes(scan_of(document[0], height=0.45, dpi=200))  # no scan: less than half of the page
    parsed = parse_pdf(tmp_path / "b.pdf")
    assert parsed.report.ocr_pages == (1,)


def test_letters_of_names():
    assert letters_of({1: "a65", 2: "a110", 3: "a12"}) == {1: "A", 2: "n", 3: "fi"}
    assert letters_of({68: "68", 101: "101"}) == {68: "D", 101: "e"}
    assert letters_of({0x68: "68", 0x6F: "6f"}) == {0x68: "h", 0x6F: "o"}
    assert letters_of({0: "alpha", 1: "f_i", 2: "uni00E9", 3: ".notdef"}) == {0: "α", 1: "fi", 2: "é"}
    assert letters_of({12: "a12"}, font_name="CMMI10") == {12: "β"}
    assert letters_of({12: "a12", 0: "a0"}, font_name="CMSY7") == {12: "⊙", 0: "−"}
    assert letters_of({28: "a28"}, font_name="ecrm1000") == {28: "fi"}
    assert letters_of({0: "a0", 106: "a106", 20: "a20"}) == {0: "−", 106: "|", 20: "≤"}
    assert letters_of({11: "a11", 58: "a58", 59: "a59", 120: "a120"}) == {11: "α", 58: ".", 59: ",", 120: "x"}


def test_tex_encodings_have_their_letters_in_place():
    assert (OT1[29], OT1[31], OT1[16], OT1[25], OT1[123]) == ("Æ", "Ø", "ı", "ß", "–")
    assert (T1[22], T1[16], T1[159], T1[191], T1[255], T1[160]) == ("—", "“", "§", "£", "ß", "ă")
    assert (OML[33], OML[39], OML[22], OML[43], OML[96]) == ("ω", "φ", "μ", "⇁", "ℓ")
    assert (OMS[64], OMS[49], OMS[106], OMS[127], OMS[112]) == ("ℵ", "∞", "|", "♠", "√")
