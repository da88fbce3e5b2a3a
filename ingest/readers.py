"""A page of a PDF → its lines in the content stream's order, by pdfium or by pypdf."""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pypdfium2.raw as pdfium

from ingest.lines import UNREAD, Line, Style, clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypdf import PageObject

# Fonts lie about their weight (StemV is often a default), so the name decides, and the flag where it is set.
_BOLD = re.compile(r"[bB]old|BOLD|[bB]lack|[hH]eavy|-B[dD]|CMBX|SFBX|-Medi|[dD]emi|\.B\b")
_ITALIC = re.compile(r"[iI]tal|ITAL|[oO]bli|[sS]lant|CMTI|SFTI|(?:-|Pro|Std)It\b|\.I\b")
_FORCE_BOLD, _ITALIC_FLAG = 1 << 18, 1 << 6

_CITATION = re.compile(r"[\[(]?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*[\])]?[,.;]?")
_NOTE = re.compile(r"[a-hk](?:,\s*[a-hk])*")
_UNIT = re.compile(r"(?:^|[\s\d(/·×])(?:[munkcdµμ]?m|[munkµμ]?g|[mµμ]?[lL]|s|h|ha|min|d|yr|mol|Pa|°C|K)$")
_DIGITS = str.maketrans("0123456789+-−–", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
_MARK_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MARK_LETTERS = str.maketrans("abcdefghk", "ᵃᵇᶜᵈᵉᶠᵍʰᵏ")
_SEEN = "\x00"
_ASCENT = 0.7  # of the font size: what capitals and letters like "d" reach above the baseline
_UNREAD = dict.fromkeys([*range(9), *range(14, 32), 0x7F, 0xFFFE, 0xFFFF], UNREAD)
_LABEL = re.compile(r"[\[(]?(?:\d{1,3}(?:\.\d{1,2})*|[A-Za-z]|[ivxIVX]{2,4})[\])]?[.:]?|\W{1,2}")


@dataclass(slots=True)
class _Run:
    """Characters of one text object, which share a face, a size and a baseline."""

    text: str
    left: float
    right: float
    y: float
    style: Style
    angle: int
    box: tuple[float, float, float, float]
    space: str
    """White space before it: "real" where the file has it, "seen" where pdfium thinks so, else empty."""
    font: int = 0
    rise: float = 0.0
    """How far its tallest letter reaches above the baseline, in points; 0 where the stated size is to be believed."""
    stated: float = 0.0


def pdfium_lines(page: Any, number: int, *, textpage: Any) -> list[Line]:
    """The lines of a pypdfium2 page; those set in another direction than most of it are marked as turned."""
    runs = _true_sizes(list(_runs(textpage)))
    left, bottom, right, top = page.get_cropbox()
    directions: Counter[int] = Counter()
    for run in runs:
        directions[run.angle] += len(run.text)
    main = directions.most_common(1)[0][0] if runs else 0
    extent = right - left if main % 180 else top - bottom
    origin = {0: bottom, 90: -right, 180: -top, 270: left}[main]
    lines = []
    for group in _grouped(runs):
        line = _line(group, number, page_height=extent or 792.0, origin=origin, turned=group[0].angle != main)
        if line.text:
            lines.append(line)
    return lines


def _true_sizes(runs: list[_Run]) -> list[_Run]:
    """The runs with the sizes that a reader sees: bitmap fonts (Type 3) may count in any unit, such as pixels."""
    rises: dict[int, float] = {}
    for run in runs:
        rises[run.font] = max(rises.get(run.font, 0.0), run.rise)
    return [
        replace(run, style=run.style._replace(size=round(_true_size(run.stated, rises[run.font]), 1)))
        if run.rise
        else run
        for run in runs
    ]


def _true_size(stated: float, rise: float) -> float:
    """The stated size, unless letters of another size reach so far above the baseline; 0 for an unknown rise."""
    size = rise / _ASCENT
    return size if size and not 0.55 < size / max(stated, 1e-3) < 1.7 else stated


def n_without_letters(textpage: Any) -> int:
    """How many characters of the page are codes of which their font does not say what they mean."""
    raw = textpage.raw
    return sum(pdfium.FPDFText_HasUnicodeMapError(raw, i) == 1 for i in range(pdfium.FPDFText_CountChars(raw)))


def plain_lines(textpage: Any, number: int, *, page_size: tuple[float, float]) -> list[Line]:
    """The text of a pypdfium2 page row by row, of unknown places, where its lines cannot be told."""
    return rows_as_lines(textpage.get_text_range().splitlines(), number, face="unknown", page_size=page_size)


def rows_as_lines(rows: Sequence[str], number: int, *, face: str, page_size: tuple[float, float]) -> list[Line]:
    """Rows of text set below each other; an empty row leaves the gap that parts paragraphs."""
    width, height = page_size
    style, lines = Style(face, 10.0, bold=False, italic=False), []
    for i, row in enumerate(rows):
        text = clean(row).strip()
        if text:
            y = height * 0.88 - i * 12.0
            box = (0.1 * width, y, 0.9 * width, y + 10)
            lines.append(
                Line(
                    page=number, text=text, x=box[0], x_end=box[2], y=y, style=style, spans=((0, style),),
                    page_height=height, box=box,
                )
            )  # fmt: skip
    return lines


_object_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
    ctypes.cast(pdfium.FPDFText_GetTextObject, ctypes.c_void_p).value or 0
)
"""FPDFText_GetTextObject with plain numbers for pointers: it is called for every character."""


def _runs(textpage: Any) -> Iterator[_Run]:
    raw, address = textpage.raw, ctypes.cast(textpage.raw, ctypes.c_void_p).value
    n_chars = pdfium.FPDFText_CountChars(raw)
    if n_chars <= 0:
        return
    buffer = (ctypes.c_ushort * (n_chars + 1))()
    n_got = pdfium.FPDFText_GetText(raw, 0, n_chars, buffer) - 1
    text = bytes(buffer)[: 2 * n_got].decode("utf-16-le", "surrogatepass")
    if len(text) != n_chars:  # a character outside the first plane, or without a code, shifts the indices
        text = "".join(chr(pdfium.FPDFText_GetUnicode(raw, i) or 0xFFFD) for i in range(n_chars))
    faces: dict[int, tuple[str, bool, bool]] = {}
    space = ""
    for start, end, owner in _objects(address, n_chars):
        piece = text[start:end]
        if owner and (inner := piece.strip()):
            at = start + len(piece) - len(piece.lstrip())
            space += piece[: at - start]
            yield _run(raw, inner, at, faces, space="real" if space.strip(_SEEN) else space and "seen")
            space = piece[len(piece.rstrip()) :]
        else:
            space += piece if owner else _SEEN


def _objects(textpage: int | None, n_chars: int) -> Iterator[tuple[int, int, int | None]]:
    """The half-open ranges of characters that come from one text object, and the object; None for made-up spaces."""
    start, owner = 0, _object_of(textpage, 0)
    while start < n_chars:
        end, step = start + 1, 16
        while step:  # most objects hold many characters, and each look costs
            if end + step <= n_chars and owner and _object_of(textpage, end + step - 1) == owner:
                end += step
            else:
                step //= 2
        yield start, end, owner
        start, owner = end, _object_of(textpage, end) if end < n_chars else None


def _run(raw: Any, text: str, start: int, faces: dict[int, tuple[str, bool, bool]], *, space: str) -> _Run:
    last = start + len(text) - 1
    if text[-1] in "\x02\ufffe" and pdfium.FPDFText_IsHyphen(raw, last) == 1:
        text = f"{text[:-1]}-"  # how pdfium marks a hyphen at a line's end
    text = text.translate(_UNREAD)
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(raw, start, matrix)
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(raw, start, x, y)
    size = pdfium.FPDFText_GetFontSize(raw, start) * math.hypot(matrix.c, matrix.d)
    name, bold, italic, font = _face(raw, start, faces)
    angle = round(math.degrees(math.atan2(matrix.b, matrix.a)) / 90) % 4 * 90
    first_box, last_box = _box(raw, start), _box(raw, last)
    box = (
        min(first_box[0], last_box[0]),
        min(first_box[1], last_box[1]),
        max(first_box[2], last_box[2]),
        max(first_box[3], last_box[3]),
    )
    if (box[2] - box[0] if angle % 180 else box[3] - box[1]) < 0.1 * size:
        box = _with_height(box, size, angle, text)
    rise, stated = 0.0 if name else _rise(raw, start, text, angle), size
    size = _true_size(stated, rise)
    left, right, along = _turned(x.value, y.value, box, angle)
    if (right - left) > 0.6 * size * len(text) and angle == 0:
        text = _with_cells(raw, start, text, size)
    style = Style(name, round(size, 1), bold, italic)
    return _Run(_whole(text), left, right, along, style, angle, box, space, font, rise, stated)


def _with_height(
    box: tuple[float, float, float, float], size: float, angle: int, text: str
) -> tuple[float, float, float, float]:
    """The box of text whose glyphs this machine does not have, as high as capitals are."""
    if not any(map(str.isalnum, text)):
        return box
    left, bottom, right, top = box
    high = _ASCENT * size
    boxes = {0: (left, bottom, right, bottom + high), 90: (right - high, bottom, right, top)}
    return (boxes | {180: (left, top - high, right, top), 270: (left, bottom, left + high, top)})[angle]


def _rise(raw: Any, start: int, text: str, angle: int) -> float:
    """How far the tallest of the letters reaches above the baseline, in points."""
    highest = 0.0
    for i in [i for i, char in enumerate(text) if char.isalnum()] or range(len(text)):
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(raw, start + i, x, y)
        left, bottom, right, top = _box(raw, start + i)
        rises = {0: top - y.value, 90: x.value - left, 180: y.value - bottom, 270: right - x.value}
        highest = max(highest, rises[angle])
    return highest


def _whole(text: str) -> str:
    """The text with one character for each two halves of one beyond the first plane, as pdfium counts them."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _with_cells(raw: Any, start: int, text: str, size: float) -> str:
    """The text with " | " for its wide gaps: TeX sets a table's row as one object."""
    out, at = "", 0
    for match in re.finditer(r"\s+", text):
        gap = _box(raw, start + match.end())[0] - _box(raw, start + match.start() - 1)[2] if match.start() else 0.0
        out += text[at : match.start()] + (" | " if gap > 1.5 * size else " ")
        at = match.end()
    return out + text[at:]


def _box(raw: Any, index: int) -> tuple[float, float, float, float]:
    left, right, bottom, top = ctypes.c_double(), ctypes.c_double(), ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharBox(raw, index, left, right, bottom, top)
    return left.value, bottom.value, right.value, top.value


def _face(raw: Any, index: int, faces: dict[int, tuple[str, bool, bool]]) -> tuple[str, bool, bool, int]:
    """Name, boldness and slant of the font at a character, and a number for the font itself."""
    font = pdfium.FPDFTextObj_GetFont(pdfium.FPDFText_GetTextObject(raw, index))
    key = ctypes.cast(font, ctypes.c_void_p).value or 0
    if key not in faces:
        buffer, flags = ctypes.create_string_buffer(128), pdfium.FPDFFont_GetFlags(font)
        pdfium.FPDFFont_GetBaseFontName(font, buffer, 128)
        # subsets have a prefix of their own, in some publishers' files without the plus sign
        name = re.sub(r"^[A-Za-z]{6}(?:\+|(?=Adv(?:TT|OT|P|EPS)))", "", buffer.value.decode("utf-8", "replace"))
        faces[key] = _named_face(name, flags)
    return *faces[key], key


def _named_face(name: str, flags: int = 0) -> tuple[str, bool, bool]:
    return (
        name,
        bool(_BOLD.search(name)) or bool(flags > 0 and flags & _FORCE_BOLD),
        bool(_ITALIC.search(name)) or bool(flags > 0 and flags & _ITALIC_FLAG),
    )


def _turned(x: float, y: float, box: tuple[float, float, float, float], angle: int) -> tuple[float, float, float]:
    """Left, right and baseline as they would be if the text stood upright."""
    match angle:
        case 90:
            return min(y, box[1]), box[3], -x
        case 180:
            return -max(x, box[2]), -box[0], -y
        case 270:
            return -max(y, box[3]), -box[1], x
    return min(x, box[0]), box[2], y


def _grouped(runs: Sequence[_Run]) -> Iterator[list[_Run]]:
    """Runs that follow each other on one line; a superscript is part of the line, whatever pdfium says."""
    group: list[_Run] = []
    for run in runs:
        if group and not _same_line(group, run):
            yield group
            group = []
        group.append(run)
    if group:
        yield group


def _same_line(group: list[_Run], run: _Run) -> bool:
    tallest = max(group, key=lambda r: r.style.size)
    size, last = max(tallest.style.size, run.style.size, 1.0), group[-1]
    gap, rise = run.left - last.right, abs(run.y - tallest.y)
    if run.angle != last.angle or gap < -0.6 * size:
        return False
    if rise <= 0.15 * size:
        return True
    differ = min(tallest.style.size, run.style.size) < 0.88 * size
    return differ and rise <= 0.6 * size and gap < 0.8 * size


def _line(group: list[_Run], number: int, *, page_height: float, origin: float, turned: bool) -> Line:
    weights: Counter[Style] = Counter()
    for run in group:
        weights[run.style] += len(run.text.strip())
    style = weights.most_common(1)[0][0]
    base = next(run.y for run in group if run.style == style)
    text, marked = "", False
    spans: list[tuple[int, Style]] = []
    for i, run in enumerate(group):
        piece = " ".join(clean(run.text).split())
        if not piece:
            continue
        raised = run.style.size < 0.88 * style.size and run.y - base > 0.12 * style.size
        if text:
            gap = run.left - group[i - 1].right
            script = raised or group[i - 1].style.size < 0.88 * style.size
            separator = _separator(text, gap, style.size, space=run.space, script=script)
            if raised:
                piece, apart = _superscript(piece, text)
                separator = " " if apart else separator
            text += separator if i != 1 or not marked else " "
        elif raised and (marked := bool(_CITATION.fullmatch(piece) or _NOTE.fullmatch(piece))):
            piece = piece.translate(_MARK_DIGITS).translate(_MARK_LETTERS)
        if not spans or spans[-1][1] != run.style:
            spans.append((len(text), run.style))
        text += piece
    boxes = [run.box for run in group]
    return Line(
        page=number,
        text=text.strip(),
        x=min(run.left for run in group),
        x_end=max(run.right for run in group),
        y=base - origin,
        style=style,
        spans=tuple(spans),
        page_height=page_height,
        box=(min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)),
        turned=turned,
    )


def _separator(text: str, gap: float, size: float, *, space: str, script: bool) -> str:
    """What stands between two runs of a line: nothing, a space, or the border of a table's cells."""
    if gap > 1.5 * size and not _LABEL.fullmatch(text) and not script:
        return " | "
    if space == "real":
        return " "
    # pdfium sees white space at every change of height, so that next to a script only the gap counts
    return " " if gap > (0.05 if space and not script else 0.2) * size else ""


def _superscript(piece: str, before: str) -> tuple[str, bool]:
    """A raised piece as it is written, and whether a space sets it apart: 10⁵, cm², found ¹², Smith ᵃ.

    Raised digits are no digits of their own here: "10⁵" must not read as 105, nor a citation mark as a count.
    """
    if before[-1].isdigit() or _UNIT.search(before):
        marks = piece.translate(_DIGITS)
        return (piece if any(char.isalnum() and char.isascii() for char in marks) else marks), False
    if _CITATION.fullmatch(piece) and re.search(r"[^\W\d_]{3}$|[^\w\s(/+-]$", before):
        return piece.translate(_MARK_DIGITS), True
    if _NOTE.fullmatch(piece):
        return piece.translate(_MARK_LETTERS), before[-1].isalpha()
    return piece, False


def pypdf_lines(page: PageObject, number: int) -> list[Line]:
    """The lines of a pypdf page: the second engine, slower by a factor of ten, for what pdfium cannot read."""
    lines = _collect(page, number, orientation=0)
    if _n_chars(lines) < 40:
        # a page that was set or scanned sideways: take the direction that has most text
        turned = max((_collect(page, number, orientation=angle) for angle in (90, 180, 270)), key=_n_chars)
        if _n_chars(turned) > _n_chars(lines):
            return turned
    return lines


def _n_chars(lines: list[Line]) -> int:
    return sum(len(line.text) for line in lines)


def _collect(page: PageObject, number: int, *, orientation: int) -> list[Line]:
    box = page.mediabox
    height, bottom = float(box.height) or 792.0, float(box.bottom)
    lines: list[Line] = []
    fragments: list[_Run] = []

    def end_line() -> None:
        seen = [run for run in fragments if run.text.strip()]
        if seen:
            line = _line(seen, number, page_height=height, origin=bottom, turned=False)
            text = " ".join(clean("".join(run.text for run in fragments)).split())
            lines.append(replace(line, text=text, spans=((0, line.style),)))
        fragments.clear()

    def visit(text: str, cm: list[float], tm: list[float], font: dict[str, Any] | None, font_size: float) -> None:
        if not text:
            return
        # where the text matrix lands on the page (PDF 32000-1, 9.4.4)
        x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
        y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        scale = math.hypot(tm[2] * cm[0] + tm[3] * cm[2], tm[2] * cm[1] + tm[3] * cm[3])
        size = abs(font_size) * scale
        name, bold, italic = _named_face(str((font or {}).get("/BaseFont", "")).lstrip("/").split("+", 1)[-1])
        style = Style(name, round(size, 1), bold, italic)
        for i, part in enumerate(text.split("\n")):
            if i:
                end_line()
            right = x + 0.5 * size * len(part)
            fragments.append(_Run(part, x, right, y, style, 0, (x, y, right, y + size), space=""))

    page.extract_text(orientations=(orientation,), visitor_text=visit)
    end_line()
    return lines
