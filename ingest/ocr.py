"""Pages without a text layer: which ones they are, and what the Tesseract program reads on them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import time
import zlib
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ingest.environment import for_child
from ingest.errors import UserFacingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MIN_LETTERS = 40
"""A page with fewer letters has no usable text layer, if it shows more than those letters."""

MIN_COVER = 0.5
"""Share of a page that pictures must cover for it to count as a scan."""

MIN_INK = 0.004
"""The part of a page that ink must cover for it to show something: a hundred letters do. Bitmap fonts without a table,
outlines and small pictures of text are read so."""

INK_SECONDS = 0.5
"""Of this process: a page that takes longer to draw small is a chart of very many strokes, and not read. Outlines of
the letters of a whole page take 0.05 s."""

DPI = 200
"""Best results for Tesseract's time; 300 gained nothing on papers."""

MAX_PIXELS = 30_000_000
"""Larger pages (posters) are rendered at a lower resolution: A4 at 200 dpi has 4 million."""

INSTALL = (
    "Install Tesseract (Debian and Ubuntu: `sudo apt install tesseract-ocr`; macOS: `brew install tesseract`; "
    "Windows: `winget install UB-Mannheim.TesseractOCR`) and add the file again."
)
"""What to tell the user if pages need OCR and the program is missing."""

_INK_SCALE = 0.3  # pixels per point: the share of ink is the same at a small size
_IMAGE = 3  # FPDF_PAGEOBJ_IMAGE
_CONTRAST = 60  # steps of 255 between ink and paper


class OcrError(UserFacingError):
    """A page could not be recognised; the rest of the paper is unaffected."""

    status = 422


def _nothing() -> None:
    return


before_page: Callable[[], None] = _nothing
"""Called before each page is recognised: a sandbox sets it to ask for more time."""


def available() -> bool:
    """Whether the `tesseract` program is on the PATH."""
    return shutil.which("tesseract") is not None


def languages() -> list[str]:
    """Languages that Tesseract has data for, by its own names ("eng", "deu"); empty if it is missing."""
    program = shutil.which("tesseract")
    if program is None:
        return []
    try:
        listed = subprocess.run(
            [program, "--list-langs"], capture_output=True, timeout=10, check=False, env=_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [name for name in listed.stdout.decode(errors="replace").split("\n")[1:] if name and name != "osd"]


def _environment() -> dict[str, str]:
    # Tesseract's threads wait for each other, four times as long on a busy machine
    return for_child("TESSDATA_PREFIX", OMP_THREAD_LIMIT="1")


def needs_ocr(page: pypdfium2.PdfPage, text: str) -> bool:
    """Whether the page shows more than its text says: fewer than MIN_LETTERS letters, and a picture or much ink.

    Args:
        page: the page, open.
        text: what was read from its text layer.
    """
    if has_letters(text, MIN_LETTERS):
        return False
    return is_scan(page) or _ink(page) > MIN_INK


def is_scan(page: pypdfium2.PdfPage) -> bool:
    """Whether pictures cover most of the page."""
    return picture_cover(page) > MIN_COVER


def _ink(page: pypdfium2.PdfPage) -> float:
    """Share of the page that differs from its most common grey; 0 if drawing it takes too long."""
    points = page.get_size()
    scale = min(_INK_SCALE, (500_000 / max(1.0, points[0] * points[1])) ** 0.5)
    width, height = (max(1, round(side * scale)) for side in points)
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, pdfium.FPDFBitmap_Gray)
    started = time.thread_time()
    try:
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
        status = draw(bitmap, page, lambda: time.thread_time() - started > INK_SECONDS)
        if status != pdfium.FPDF_RENDER_DONE or time.thread_time() - started > INK_SECONDS:
            return 0.0
        grey = bitmap.to_numpy().reshape(height, -1)[:, :width].astype(int)
    finally:
        bitmap.close()
    paper = np.bincount(grey.ravel(), minlength=256).argmax()
    return float((abs(grey - paper) > _CONTRAST).mean())


def draw(bitmap: pypdfium2.PdfBitmap, page: pypdfium2.PdfPage, is_late: Callable[[], bool]) -> int:
    """Draw the page on the whole bitmap, and stop when it is late: pdfium asks between objects. Returns its status."""
    pause = pdfium.IFSDK_PAUSE(version=1)
    pause.NeedToPauseNow = dict(pdfium.IFSDK_PAUSE._fields_)["NeedToPauseNow"](lambda _: is_late())
    turn = 0  # beside the page's own
    status: int = pdfium.FPDF_RenderPageBitmap_Start(
        bitmap.raw, page.raw, 0, 0, bitmap.width, bitmap.height, turn, pdfium.FPDF_ANNOT, pause
    )
    pdfium.FPDF_RenderPage_Close(page.raw)
    return status


def has_letters(text: str, at_least: int) -> bool:
    """Whether the text has at least this many letters; looks no further than needed."""
    return sum(1 for _ in islice(filter(str.isalpha, text), at_least)) == at_least


def picture_cover(page: pypdfium2.PdfPage) -> float:
    """Share of the page that pictures cover, 0 to 1. Overlaps count twice, up to 1: strips of a scan add up."""
    left, bottom, right, top = page.get_bbox()
    area = abs((right - left) * (top - bottom))
    covered = 0.0
    for picture in page.get_objects(filter=[_IMAGE], max_depth=4):
        x0, y0, x1, y1 = picture.get_bounds()
        covered += max(0.0, min(x1, right) - max(x0, left)) * max(0.0, min(y1, top) - max(y0, bottom))
    return min(1.0, covered / area) if area else 0.0


def read_page(page: pypdfium2.PdfPage, *, languages: str = "eng", seconds: float = 60.0) -> str:
    """What Tesseract reads on the page, in its reading order: lines, with an empty line between paragraphs.

    Args:
        page: the page, open.
        languages: Tesseract's names, joined by "+": "eng+deu".
        seconds: longest wait for the page, wall clock; three seconds are usual.

    Raises:
        OcrError: Tesseract is missing, lacks a language, took too long or failed.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise OcrError("A page is a scanned image and Tesseract is not installed.", INSTALL)
    before_page()
    picture = png(_rendered(page))
    command = [program, "-", "-", "--dpi", str(DPI), "--psm", "1", "-l", languages]
    try:
        done = subprocess.run(
            command,
            input=picture,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise OcrError(
            f"A scanned page was not recognised within {seconds:.0f} seconds.",
            "Add a version of the paper that has text.",
        ) from error
    except OSError as error:
        raise OcrError(f"Tesseract could not be started ({error.strerror}).", INSTALL) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        if "traineddata" in said or "language" in said:
            raise OcrError(
                f"Tesseract has no data for “{languages}”.",
                "Install its language data (Debian: `sudo apt install tesseract-ocr-deu` for German) or choose "
                "another language.",
            )
        why = " ".join(said.split())[-120:] or f"exit status {done.returncode}"
        raise OcrError(f"Tesseract failed on a scanned page ({why}).", "Add a version of the paper that has text.")
    return done.stdout.decode("utf-8", errors="replace").replace("\f", "").strip()


def _rendered(page: pypdfium2.PdfPage) -> NDArray[np.uint8]:
    """The page as grey values at DPI, height × width."""
    width, height = page.get_size()
    scale = min(DPI / 72, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        grey: NDArray[np.uint8] = bitmap.to_numpy().reshape(bitmap.height, -1)[:, : bitmap.width].copy()
    finally:
        bitmap.close()
    return grey


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The picture as a PNG file: grey (height × width) or red, green, blue (height × width × 3)."""
    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2  # PNG's colour types
    out = io.BytesIO(b"")
    out.write(b"\x89PNG\r\n\x1a\n")

    def chunk(kind: bytes, body: bytes) -> None:
        out.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))

    rows = bytearray()
    for row in pixels:
        rows += b"\0" + row.tobytes()
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    chunk(b"IDAT", zlib.compress(bytes(rows), 1))
    chunk(b"IEND", b"")
    return out.getvalue()
