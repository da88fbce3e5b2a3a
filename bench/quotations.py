"""Quotations made from the pages of 40 papers: true ones must be verified, those with one changed word never.

    python bench/quotations.py [--papers N] [--n N]

Each is a run of 5 to 25 words of a page's stored text. "Set otherwise" uses other quotation marks, dashes, ligatures,
soft hyphens, line breaks and words broken at line ends. "One word" replaces a word by another one of the page; "not"
inserts that word; "number" changes a digit; "left out" drops a word without a mark.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import Chunk, Paper  # noqa: E402 the line above makes it importable
from ingest.errors import UserFacingError  # noqa: E402
from ingest.parse import parse_pdf  # noqa: E402
from ingest.verbatim import normalised  # noqa: E402
from rag.answer import Passage  # noqa: E402
from rag.verify.quotations import check  # noqa: E402

PAPERS = ROOT.parent / "shared" / "data" / "papers"
SEED = 20261122


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=1000, help="quotations of each kind")
    options.add_argument("--papers", type=int, default=40)
    chosen = options.parse_args()
    n = chosen.n
    draw, pages = random.Random(SEED), []
    for path in sorted(PAPERS.glob("*.pdf"))[-chosen.papers :]:
        try:
            pages += [page.text for page in parse_pdf(path).pages if len(page.text.split()) > 100]
        except UserFacingError as error:
            print(f"left out  {path.stem}: {error}")
    kinds = {"as it stands": same, "set otherwise": otherwise, "one word": one_word, "not": negated, "number": number,
             "left out": left_out}  # fmt: skip
    print("| kind | quotations | verified | with the place where they differ | ms, median |\n|---|---|---|---|---|")
    for kind, made in kinds.items():
        found, milliseconds = [], []
        while len(found) < n:
            text = draw.choice(pages)
            words, length = text.split(), draw.randint(5, 25)
            at = draw.randrange(len(words) - length)
            quotation = made(words[at : at + length], words, draw)
            if quotation is None or (made not in (same, otherwise) and normalised(quotation) in normalised(text)):
                continue  # nothing to change, or the changed text also occurs on the page
            began = time.perf_counter()
            found.append(check(quotation, [passage(text)], sentence=0))
            milliseconds.append(1000 * (time.perf_counter() - began))
        verified, shown = sum(q.verified for q in found), sum(bool(q.diff) for q in found)
        print(f"| {kind} | {len(found)} | {verified} | {shown} | {sorted(milliseconds)[n // 2]:.1f} |", flush=True)


def passage(text):
    chunk = Chunk(id="0:0000", paper_id="0", ordinal=0, text=text, start=0, end=len(text), first_page=1, last_page=1,
                  section=None, n_tokens=1)  # fmt: skip
    return Passage(1, chunk, Paper(id="0", title="", n_pages=1, file_name=""), 1.0, ())


def same(words, _, __):
    return " ".join(words)


def otherwise(words, _, draw):
    text = " ".join(words).replace("fi", "ﬁ").replace("fl", "ﬂ").replace("–", "-").replace("−", "-")
    text = text.replace("“", '"').replace("”", '"').replace("’", "'")
    out = []
    for word in text.split(" "):
        if word.isalpha() and word.islower() and len(word) > 6 and draw.random() < 0.3:
            out += [word[:3], draw.choice(["-\n", "\u00ad"]), word[3:]]
        else:
            out.append(word)
        out.append(draw.choice([" ", "  ", "\n", "\u00a0"]))
    return "".join(out).strip()


def one_word(words, page, draw):
    at, new = draw.randrange(len(words)), draw.choice(page)
    if normalised(new) == normalised(words[at]) or not any(map(str.isalnum, new + words[at])):
        return None
    return " ".join([*words[:at], new, *words[at + 1 :]])


def negated(words, _, draw):
    at = draw.randrange(1, len(words))
    return None if "not" in words[at - 1 : at + 1] else " ".join([*words[:at], "not", *words[at:]])


def number(words, _, draw):
    places = [i for i, word in enumerate(words) if word.isdecimal()]
    if not places:
        return None
    at = draw.choice(places)
    return " ".join([*words[:at], str(int(words[at]) + draw.randint(1, 9)), *words[at + 1 :]])


def left_out(words, _, draw):
    at = draw.randrange(1, len(words) - 1)
    return " ".join(words[:at] + words[at + 1 :]) if words[at].isalpha() else None


if __name__ == "__main__":
    main()
