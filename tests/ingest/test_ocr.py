"""Scanned pages are recognised as such, and read where Tesseract is installed."""

from __future__ import annotations

import random
import zlib
from time import process_time

import numpy as np
import pypdfium2
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, StreamObject

from ingest import ocr, sandbox
from ingest.errors import NoTextError, UnreadablePdfError
from ingest.parse import parse_pdf
from pdfs import Text, column, write_pdf
from places import SAMPLES
from waiting import PATIENCE

WITH_TESSERACT = pytest.mark.skipif(
    not ocr.available(), reason="Tesseract is not installed: `apt-get install tesseract-ocr`"
)


def scan_of(page: pypdfium2.PdfPage, *, dpi: int = 150, height: float = 1.0) -> bytes:
    """A PDF whose one page is a picture of the page, over the upper part of it that `height` says."""
    bitmap = page.render(scale=dpi / 72, grayscale=True)
    grey = bitmap.to_numpy().reshape(bitmap.height, -1)[:, : bitmap.width]
    return picture_page(np.ascontiguousarray(grey), height=height)


def picture_page(grey: np.ndarray, *, height: float = 1.0) -> bytes:
    packed = zlib.compress(grey.tobytes())
    content = b"q 612 0 0 %d 0 %d cm /Im Do Q" % (792 * height, 792 * (1 - height))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        % (grey.shape[1], grey.shape[0], len(packed), packed),
        b"<< /XObject << /Im 5 0 R >> >>",
    ]
    out = b"%PDF-1.5\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, body) for n, body in enumerate(objects, start=1))
    return out + b"trailer << /Size 7 /Root 1 0 R >>\n%%EOF\n"


def text_of(page: pypdfium2.PdfPage) -> str:
    return page.get_textpage().get_text_bounded()


@pytest.fixture(scope="module")
def paper() -> pypdfium2.PdfPage:
    document = pypdfium2.PdfDocument(SAMPLES / "lora-for-terms.pdf")
    return document[0]


def test_a_page_with_text_needs_no_recognition(paper):
    assert not ocr.needs_ocr(paper, text_of(paper))


def test_a_page_that_is_a_picture_needs_it(paper):
    page = pypdfium2.PdfDocument(scan_of(paper, dpi=72))[0]
    assert not text_of(page)
    assert ocr.needs_ocr(page, text_of(page))
    assert ocr.picture_cover(page) == pytest.approx(1.0)


def test_a_picture_of_text_on_a_part_of_the_page_needs_it_and_an_empty_page_does_not(paper, tmp_path):
    small = pypdfium2.PdfDocument(scan_of(paper, dpi=72, height=0.4))[0]
    assert ocr.needs_ocr(small, "")
    empty = pypdfium2.PdfDocument(write_pdf(tmp_path / "a.pdf", [Text(72, 700, "Page 1")]))[0]
    assert not ocr.needs_ocr(empty, "Page 1")


def test_a_scan_with_a_text_layer_is_not_read_again(paper):
    page = pypdfium2.PdfDocument(scan_of(paper, dpi=72))[0]
    assert not ocr.needs_ocr(page, text_of(paper))


@WITH_TESSERACT
def test_a_scan_is_read_in_its_columns_order(paper):
    page = pypdfium2.PdfDocument(scan_of(paper))[0]
    announced = []
    ocr.before_page, before = (lambda: announced.append(1)), ocr.before_page
    try:
        read = ocr.read_page(page, languages="eng", seconds=PATIENCE)
    finally:
        ocr.before_page = before
    truth = [word for word in text_of(paper).lower().split() if word.isalpha() and len(word) > 3]
    found = set(read.lower().replace("-\n", "").split())
    assert sum(word in found for word in truth) / len(truth) > 0.85
    assert "\f" not in read
    assert announced == [1]


@WITH_TESSERACT
def test_a_scan_is_read_inside_the_sandbox_too(paper, tmp_path, monkeypatch):
    (tmp_path / "scan.pdf").write_bytes(scan_of(paper))
    (tmp_path / "stand_in.py").write_text(
        "import pypdfium2\nfrom ingest import ocr, sandbox_child as sandbox\n"
        "def parse_pdf(path, *, file_name=None):\n"
        "    raise KeyError(ocr.read_page(pypdfium2.PdfDocument(path)[0])[:100])\n"
        "sandbox.parse_pdf = parse_pdf\n"
    )
    child = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import stand_in; _serve()"
    monkeypatch.setattr(sandbox, "_CHILD", sandbox._CHILD.replace("_serve()", child))
    with sandbox.Parser() as parser, pytest.raises(UnreadablePdfError) as caught:
        parser.parse(tmp_path / "scan.pdf", limits=sandbox.Limits(seconds_base=1))
    words = text_of(paper).split()[:3]
    assert all(word in caught.value.message for word in words)


@WITH_TESSERACT
def test_the_time_for_a_page_is_limited(paper):
    with pytest.raises(ocr.OcrError, match="within 0 seconds"):
        ocr.read_page(paper, languages="eng", seconds=0.05)


@WITH_TESSERACT
def test_a_missing_language_is_named(paper):
    assert "eng" in ocr.languages()
    with pytest.raises(ocr.OcrError, match=r"tlh.*tesseract-ocr"):
        ocr.read_page(paper, languages="tlh", seconds=PATIENCE)


def test_without_tesseract_the_user_hears_what_to_install(paper, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert not ocr.available()
    assert ocr.languages() == []
    with pytest.raises(ocr.OcrError) as caught:
        ocr.read_page(paper, languages="eng", seconds=PATIENCE)
    assert "apt install tesseract-ocr" in caught.value.hint
    assert "brew install tesseract" in caught.value.hint


def test_a_huge_page_is_rendered_within_bounds(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", column(60, 700, ["x"]))
    path.write_bytes(path.read_bytes().replace(b"[0 0 612 792]", b"[0 0 14400 14400]"))
    grey = ocr._rendered(pypdfium2.PdfDocument(path)[0])
    assert grey.size <= ocr.MAX_PIXELS * 1.01


def test_the_png_is_the_picture(tmp_path):
    grey = np.arange(30, dtype=np.uint8).reshape(5, 6)
    data = ocr.png(grey)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompressobj().decompress(data[start:]), dtype=np.uint8).reshape(5, 7)
    assert (rows[:, 1:] == grey).all()
    assert (rows[:, 0] == 0).all()


@WITH_TESSERACT
def test_a_scanned_paper_is_read_and_its_pages_reported(paper, tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(scan_of(paper))
    parsed = parse_pdf(path)
    assert parsed.report.ocr_pages == (1,)
    words = {word.strip(".,;:()").lower() for word in text_of(paper).split() if len(word) > 5}
    read = {word.strip(".,;:()").lower() for word in parsed.text.split()}
    assert len(words & read) > 0.8 * len(words)


def test_a_scanned_paper_without_tesseract_says_what_to_install(paper, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    path = tmp_path / "scan.pdf"
    path.write_bytes(scan_of(paper))
    with pytest.raises(NoTextError, match="Install Tesseract"):
        parse_pdf(path)


def figure(path, *texts: Text, strokes: int, long: int = 1):
    """A page of polylines at random, and what is set on it."""
    chance, drawn = random.Random(1), [b"0.5 w"]
    for _ in range(strokes):
        points = [(chance.randrange(60, 550), chance.randrange(200, 720)) for _ in range(long + 1)]
        drawn += [b"%d %d %s" % (*point, b"l" if i else b"m") for i, point in enumerate(points)] + [b"S"]
    writer = PdfWriter(clone_from=PdfReader(write_pdf(path, list(texts))))
    contents, stream = writer.pages[0].get_contents(), StreamObject()
    stream.set_data((b"" if contents is None else contents.get_data()) + b"\n".join(drawn))
    writer.pages[0][NameObject("/Contents")] = writer._add_object(stream)
    writer.write(path)
    return path


def with_figure(path, *texts: Text, **how):
    """A page of text and one that is a figure."""
    writer = PdfWriter(
        clone_from=PdfReader(write_pdf(path, column(60, 700, ["A page of lines of text as usual."] * 9)))
    )
    writer.append(figure(path.with_name("figure.pdf"), *texts, **how))
    writer.write(path)
    return path


@WITH_TESSERACT
@pytest.mark.parametrize("texts", [[], [Text(60, 150, "Figure S3. Trace plots")]])
@pytest.mark.parametrize("strokes", [25, 60])
@pytest.mark.parametrize("noise", [None, "“/", "| \\ VoL i~ oe\n— 7 aN }} | Lf, WY Ss\n/ “ae _ <f x4 Vi rs |"])
def test_strokes_of_a_figure_are_no_text(tmp_path, monkeypatch, texts, strokes, noise):
    if noise:
        monkeypatch.setattr("ingest.reread.read_page", lambda *_, **__: "\n".join([noise, *(t.text for t in texts)]))
    path = with_figure(tmp_path / "a.pdf", *texts, strokes=strokes)
    page = pypdfium2.PdfDocument(path)[1]
    assert ocr.needs_ocr(page, text_of(page))
    parsed = parse_pdf(path)
    assert parsed.pages[1].text == "".join(text.text for text in texts)
    assert (parsed.report.ocr_pages, parsed.report.unreadable_pages) == ((), ())


def test_a_figure_is_not_told_as_unreadable_where_there_is_no_ocr(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    report = parse_pdf(with_figure(tmp_path / "a.pdf", Text(60, 150, "Figure S3. Trace plots"), strokes=60)).report
    assert report.unreadable_pages == ()


@pytest.mark.parametrize("read", ["# Vo\nA chart of the methane that each of the\nthree fens gave in a year", ""])
def test_what_the_page_says_stays_beside_what_ocr_reads(tmp_path, monkeypatch, read):
    monkeypatch.setattr("ingest.reread.read_page", lambda *_, **__: read)
    parsed = parse_pdf(with_figure(tmp_path / "a.pdf", Text(60, 150, "Figure S3. Trace plots"), strokes=60))
    assert "Figure S3. Trace plots" in parsed.pages[1].text
    assert ("three fens" in parsed.pages[1].text) == bool(read)
    assert parsed.report.ocr_pages == ((2,) if read else ())


def test_a_chart_of_very_many_strokes_is_not_drawn_to_the_end(tmp_path):
    path = figure(tmp_path / "a.pdf", Text(60, 150, "Figure S3. Trace plots"), strokes=400, long=1000)
    page = pypdfium2.PdfDocument(path)[0]
    started = process_time()
    assert not ocr.needs_ocr(page, text_of(page))
    assert process_time() - started < 5 * ocr.INK_SECONDS  # it asks every hundred paths
