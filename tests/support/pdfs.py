"""Small PDFs for tests: lines of text at given positions."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ENCODING = b"<< /BaseEncoding /WinAnsiEncoding /Differences [1 /fi /fl] >>"


class Text(NamedTuple):
    x: float
    y: float
    text: str
    size: float = 10
    bold: bool = False
    italic: bool = False
    angle: int = 0
    """Degrees counter-clockwise: 0 or 90."""
    invisible: bool = False
    then: tuple[tuple[str, float, float], ...] = ()
    """What follows on the same line: text, size and rise."""
    white: bool = False


def write_pdf(path: Path, *pages: list[Text], title: str = "", rotate: int = 0) -> Path:
    """A PDF of US-letter pages with the texts drawn in the given order, displayed rotated clockwise by `rotate`."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (7 + 2 * i) for i in range(len(pages))), len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding %s >>" % ENCODING,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        b"<< /Title (%s) >>" % title.encode("cp1252"),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Oblique /Encoding /WinAnsiEncoding >>",
    ]
    for number, texts in enumerate(pages):
        content = b"".join(map(_drawn, texts))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate %d /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 6 0 R >> >> >>" % (rotate, 8 + 2 * number)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    out += b"trailer << /Size %d /Root 1 0 R /Info 5 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    path.write_bytes(out)
    return path


def _drawn(t: Text) -> bytes:
    face = b"F2" if t.bold else b"F3" if t.italic else b"F1"
    turn = b"0 1 -1 0" if t.angle else b"1 0 0 1"
    # a tab becomes a gap within one text object, as TeX sets table cells
    shown = b" -4000 ".join(b"(%s)" % _escaped(part) for part in t.text.split("\t"))
    out = b"BT %d g /%s %g Tf %d Tr %s %g %g Tm [%s] TJ\n" % (
        t.white, face, t.size, 3 if t.invisible else 0, turn, t.x, t.y, shown
    )  # fmt: skip
    for text, size, rise in t.then:
        out += b"/F1 %g Tf %g Ts (%s) Tj\n" % (size, rise, _escaped(text))
    return out + b"0 Ts ET\n"


def _escaped(text: str) -> bytes:
    text = text.replace("ﬁ", "\x01").replace("ﬂ", "\x02")
    return text.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")


def column(x: float, top: float, lines: list[str], *, size: float = 10, leading: float = 12) -> list[Text]:
    """Lines below each other."""
    return [Text(x, top - leading * i, line, size) for i, line in enumerate(lines)]
