"""How fast the viewer opens and draws a long document: what the server needs for each part of a page.

Run: python bench/viewer_pages.py [--pages 300] [--pdf FILE]    (without a file: a made one, with 50 lines a page)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingest.annotations import annotations_of
from ingest.document_map import document_map
from ingest.picture import page_picture
from ingest.text_layer import text_layer
from ui.web.viewer_routes import SMALL_DPI

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _made(folder: Path, n_pages: int) -> Path:
    from pdfs import column, write_pdf

    pages = [
        column(
            72, 720, [f"Line {k} of page {n} tells how jar {n * k} was opened, weighed and closed." for k in range(50)]
        )
        for n in range(1, n_pages + 1)
    ]
    return write_pdf(folder / "made.pdf", *pages)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = work()
    return 1000 * (time.perf_counter() - began), done


def _told(name: str, milliseconds: Sequence[float]) -> None:
    ordered = sorted(milliseconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(f"{name:24} median {ordered[len(ordered) // 2]:6.0f} ms   p95 {p95:6.0f} ms   n = {len(ordered)}")


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--pdf", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pdf = options.pdf or _made(Path(folder), options.pages)
        opened, known = _timed(lambda: document_map(pdf))
        _told(f"sizes of {len(known.sizes)} pages", [opened])
        _told("highlights and notes", [_timed(lambda: annotations_of(pdf))[0]])
        numbers = range(1, len(known.sizes) + 1, max(1, len(known.sizes) // 100))
        _told("picture of a page", [_timed(lambda n=n: page_picture(pdf, n))[0] for n in numbers])
        _told("small picture", [_timed(lambda n=n: page_picture(pdf, n, dpi=SMALL_DPI))[0] for n in numbers])
        _told("words of a page", [_timed(lambda n=n: text_layer(pdf, n))[0] for n in numbers])


if __name__ == "__main__":
    main()
