"""PDFs as TeX made them with bitmap fonts: Type 3, each glyph a small picture, words without spaces between them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pypdfium2

from pdfs import Text, write_pdf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DPI = 300
SIZE = 10.0
"""Points of the letters on the page."""

OT1 = {"ff": 11, "fi": 12, "fl": 13, "ffi": 14, "ffl": 15, "–": 123, "—": 124, "”": 34, "“": 92, "ß": 25, "ı": 16}
T1 = {"ff": 27, "fi": 28, "fl": 29, "ffi": 30, "ffl": 31, "–": 21, "—": 22, "“": 16, "”": 17, "ß": 255, "ö": 246}
OML = {"α": 11, "β": 12, "λ": 21, "μ": 22, ",": 59, ".": 58, "<": 60, ">": 62}


class Glyph(NamedTuple):
    rows: np.ndarray
    """Whether there is ink: height × width."""
    left: int
    bottom: int
    advance: int
    """Pixels of DPI."""


@cache
def glyph(letters: str) -> Glyph:
    """The letters as pdfium draws them in Helvetica; a capital M for what Helvetica does not have."""
    drawable = letters if letters.isascii() or letters in "–—“”ßö" else "M"
    path = _scratch() / "glyph.pdf"
    document = pypdfium2.PdfDocument(write_pdf(path, [Text(100, 400, drawable, SIZE)]).read_bytes())
    page = document[0]
    grey = page.render(scale=DPI / 72, grayscale=True).to_numpy().reshape(-1, round(612 * DPI / 72))
    ink = grey < 128
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    origin_x, origin_y = round(100 * DPI / 72), round((792 - 400) * DPI / 72)
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left = int(columns[0]) - origin_x
    return Glyph(cut, left, origin_y - int(rows[-1]) - 1, left + cut.shape[1] + 3)


@cache
def _scratch() -> Path:
    import tempfile
    from pathlib import Path

    return Path(tempfile.mkdtemp())


def write_type3(
    path: Path,
    *pages: list[str],
    name: Callable[[int], str] = "a{}".format,
    codes: dict[str, int] = OT1,
    way: str = "dvips",
    to_unicode: bool = False,
    font_name: str = "",
    over: bytes = b"",
    turned: int = 0,
) -> Path:
    """A PDF of lines in one bitmap font.

    Args:
        path: where to write.
        pages: the lines of each page.
        name: a glyph's name from its code.
        codes: the codes of what is not ASCII, as one of TeX's encodings has them.
        way: "dvips": font size 1 in units of pixels; "pdftex": font size 10 and a font matrix for it.
        to_unicode: whether the font says what its codes mean.
        font_name: as its descriptor has it.
        over: content drawn after the text.
        turned: the page's /Rotate.
    """
    used: dict[int, str] = {}
    contents = [_content(lines, codes, used, way) for lines in pages]
    contents = [b"%s\n%s" % (content, over) for content in contents]
    scale = 72 / DPI  # points a pixel
    matrix = scale if way == "dvips" else scale / SIZE
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    procs, widths, names = {}, {}, []
    for code, letters in sorted(used.items()):
        g = glyph(letters)
        procs[code] = len(objects) + 1
        objects.append(_stream(_proc(g)))
        widths[code] = g.advance
        names.append(b"%d /%s" % (code, name(code).encode()))
    first, last = min(used), max(used)
    more = b""
    if to_unicode:
        objects.append(_stream(_cmap(used)))
        more += b"/ToUnicode %d 0 R " % len(objects)
    if font_name:
        objects.append(b"<< /Type /FontDescriptor /Flags 4 /FontName /%s >>" % font_name.encode())
        more += b"/FontDescriptor %d 0 R " % len(objects)
    # in dvips' files a unit of the font is a pixel, and the text matrix makes points of it
    shown = 1.0 if way == "dvips" else matrix
    objects.append(
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 -20 60 60] /FontMatrix [%g 0 0 %g 0 0] "
        b"/FirstChar %d /LastChar %d "
        b"/Widths [%s] /CharProcs << %s >> /Encoding << /Type /Encoding /Differences [%s] >> /Resources << >> %s>>"
        % (
            shown, shown, first, last,
            b" ".join(b"%d" % widths.get(code, 0) for code in range(first, last + 1)),
            b" ".join(b"/%s %d 0 R" % (name(code).encode(), number) for code, number in procs.items()),
            b" ".join(names), more,
        )
    )  # fmt: skip
    font, kids = len(objects), []
    for content in contents:
        objects.append(_stream(content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate %d /Contents %d 0 R "
            b"/Resources << /Font << /F 1 0 R >> >> >>".replace(b"1 0 R", b"%d 0 R" % font)
            % (turned, len(objects))
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table, start = b"".join(b"%010d 00000 n \n" % offset for offset in offsets), len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(out)
    return path


def _content(lines: list[str], codes: dict[str, int], used: dict[int, str], way: str) -> bytes:
    out, scale = [], 72 / DPI
    for i, line in enumerate(lines):
        y = 720 - 12 * i
        matrix, size = (b"%g 0 0 %g 60 %d" % (scale, scale, y), 1) if way == "dvips" else (b"1 0 0 1 60 %d" % y, SIZE)
        unit = 1000.0 if way == "dvips" else 1000 * scale / SIZE  # a pixel in TJ's thousandths of the font size
        words = []
        for word in line.split():
            shown, at = b"", 0
            while at < len(word):
                letters = next((word[at : at + n] for n in (3, 2, 1) if word[at : at + n] in codes), word[at])
                code = codes[letters] if letters in codes else ord(letters)
                used[code] = letters
                shown += b"%02X" % code
                at += len(letters)
            words.append(b"<%s>" % shown)
        gap = b" %g " % (-12 * unit)  # a third of an em, as TeX has it
        out.append(b"BT /F %g Tf %s Tm [%s] TJ ET" % (size, matrix, gap.join(words)))
    return b"\n".join(out)


def _proc(g: Glyph) -> bytes:
    height, width = g.rows.shape
    bits = np.packbits(g.rows, axis=1).tobytes()
    return b"%d 0 %d %d %d %d d1 q %d 0 0 %d %d %d cm BI /W %d /H %d /IM true /BPC 1 /D [1 0] ID %s EI Q" % (
        g.advance, g.left, g.bottom, g.left + width, g.bottom + height,
        width, height, g.left, g.bottom, width, height, bits,
    )  # fmt: skip


def _cmap(used: dict[int, str]) -> bytes:
    rows = b"\n".join(b"<%02X> <%s>" % (c, letters.encode("utf-16-be").hex().encode()) for c, letters in used.items())
    return (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def "
        b"1 begincodespacerange <00> <FF> endcodespacerange %d beginbfchar\n%s\nendbfchar endcmap end end"
        % (len(used), rows)
    )


def _stream(body: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body)
