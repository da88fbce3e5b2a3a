"""Mark sentences of 40 papers on their pages: how many are located, how fast, and ten pictures to look at.

    python bench/highlight.py [--papers N] [--sentences N] [--pictures FOLDER]

The sentences are drawn with a fixed seed from the stored page texts, 40 characters or longer. "Marked words" are judged
from positions only: the text that pdfium gives for the marked rectangles, letters and digits only.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.errors import UserFacingError  # noqa: E402 the line above makes it importable
from ingest.locate import locate  # noqa: E402
from ingest.ocr import png  # noqa: E402
from ingest.parse import parse_pdf  # noqa: E402
from ingest.picture import DPI, open_page, page_picture  # noqa: E402

PAPERS = ROOT.parent / "shared" / "data" / "papers"
SEED = 20261122
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"“])|\n+")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--papers", type=int, default=40)
    options.add_argument("--sentences", type=int, default=500)
    options.add_argument("--pictures", type=Path)
    chosen = options.parse_args()
    drawn = sentences(sorted(PAPERS.glob("*.pdf"))[: chosen.papers], chosen.sentences)
    found, exact, milliseconds, agreed = [], 0, [], []
    for path, number, sentence in drawn:
        began = time.perf_counter()
        marks = locate(path, number, sentence)
        milliseconds.append(1000 * (time.perf_counter() - began))
        if marks is None:
            print(f"not located  {path.stem} p. {number}: {sentence[:110]!r}")
            continue
        found.append((path, number, sentence, marks))
        exact += marks.exact
        agreed.append(agreement(path, number, sentence, marks))
        if not marks.exact or agreed[-1] < 0.9:
            kind = "exact" if marks.exact else f"share {marks.share:.2f}"
            print(f"{kind}, words {agreed[-1]:.2f}  {path.stem} p. {number}: {sentence[:110]!r}")
    n = len(drawn)
    print(f"sentences {n}, located {len(found)} ({len(found) / n:.3f}), exactly {exact} ({exact / n:.3f})")
    p50, p95, p100 = np.percentile(milliseconds, [50, 95, 100])
    print(f"locate: p50 {p50:.0f} ms, p95 {p95:.0f} ms, longest {p100:.0f} ms")
    good = sum(share >= 0.9 for share in agreed)
    print(f"marked words hold 90 % of the sentence's words: {good} of {len(agreed)}; median {np.median(agreed):.3f}")
    elsewhere(drawn)
    pictures(drawn)
    if chosen.pictures:
        draw(random.Random(SEED).sample(found, min(10, len(found))), chosen.pictures)


def sentences(paths, n):
    """`n` random (path, page number, sentence) from all sentences of all pages."""
    drawn = []
    for path in paths:
        try:
            parsed = parse_pdf(path)
        except UserFacingError as error:
            print(f"left out  {path.stem}: {error}")
            continue
        for page in parsed.pages:
            parts = (part.strip() for part in SENTENCE.split(page.text))
            drawn += [(path, page.number, part) for part in parts if len(part) >= 40]
    return random.Random(SEED).sample(drawn, min(n, len(drawn)))


def elsewhere(drawn):
    """Each sentence on a page of another paper, where nothing should be marked."""
    wrong, milliseconds = 0, []
    for (_, _, sentence), (path, number, _) in zip(drawn, [*drawn[7:], *drawn[:7]], strict=True):
        began = time.perf_counter()
        marks = locate(path, number, sentence)
        milliseconds.append(1000 * (time.perf_counter() - began))
        if marks:
            wrong += 1
            print(f"marked elsewhere, share {marks.share:.2f}  {path.stem} p. {number}: {sentence[:110]!r}")
    p50, p95 = np.percentile(milliseconds, [50, 95])
    print(f"on another random page: marked {wrong} of {len(drawn)}; p50 {p50:.0f} ms, p95 {p95:.0f} ms")


def pictures(drawn):
    """Drawing time and size of the first 50 pages."""
    milliseconds, sizes = [], []
    for path, number, _ in drawn[:50]:
        began = time.perf_counter()
        sizes.append(len(page_picture(path, number)) / 1000)
        milliseconds.append(1000 * (time.perf_counter() - began))
    p50, p95 = np.percentile(milliseconds, [50, 95])
    print(
        f"pictures: p50 {p50:.0f} ms, p95 {p95:.0f} ms; median {np.median(sizes):.0f} kB, largest {max(sizes):.0f} kB"
    )


def agreement(path, number, sentence, marks):
    """The share of the sentence's words that pdfium reads in the marked rectangles; for unrotated pages."""
    with open_page(path, number) as page:
        left, bottom, *_ = page.get_cropbox()
        textpage = page.get_textpage()
        text = "".join(
            textpage.get_text_bounded(r[0] + left, r[1] + bottom, r[2] + left, r[3] + bottom) for r in marks.rectangles
        )
        textpage.close()
    read = letters(text)
    words = [word for word in map(letters, sentence.split()) if len(word) > 2]
    return sum(word in read for word in words) / max(1, len(words))


def letters(text):
    plain = text.replace("ﬁ", "fi").replace("ﬂ", "fl").replace("ﬀ", "ff").casefold()
    return "".join(filter(str.isalnum, plain))


def draw(found, folder):
    """The pages with their marks, and the sentences next to them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, (path, number, sentence, marks) in enumerate(found):
        pixels = decoded(page_picture(path, number))
        scale = pixels.shape[0] / marks.height
        for left, bottom, right, top in marks.rectangles:
            rows = slice(round((marks.height - top) * scale), round((marks.height - bottom) * scale))
            columns = slice(round(left * scale), round(right * scale))
            pixels[rows, columns, 2] = pixels[rows, columns, 2] * 0.35
        (folder / f"{index}.png").write_bytes(png(pixels))
        (folder / f"{index}.txt").write_text(f"{path.stem} p. {number} exact={marks.exact}\n{sentence}\n")
        print(f"{folder / f'{index}.png'} at {DPI} dpi: {path.stem} p. {number}: {sentence}")


def decoded(file):
    """The pixels (height × width × 3) of one of our own PNG files, which use no filters."""
    width, height, _, colour = struct.unpack(">IIBB", file[16:26])
    length = struct.unpack(">I", file[33:37])[0]
    rows = np.frombuffer(zlib.decompress(file[41 : 41 + length]), np.uint8).reshape(height, -1)[:, 1:]
    if colour:
        return rows.reshape(height, width, 3).copy()
    return np.repeat(rows[..., None], 3, axis=2)


if __name__ == "__main__":
    main()
