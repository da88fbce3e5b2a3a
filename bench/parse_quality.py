"""How well papers are parsed: PDFs against their publishers' XML, compared with plain pypdf.

    python bench/parse_quality.py [--papers FOLDER] [--ours] [--misses] [PAPER …]

The folder has PDFs and `truth.jsonl`: `papers` (40, the default) or `papers2` (8 that were once parsed badly) in the
shared data or in `$SCHOLION_DATA`. A paper whose XML has no sections counts for titles and references only.

What is compared, and how:

- Words are runs of letters and runs of digits after NFKC and case folding. So ligatures, dashes and quotes are ignored,
  and "found12" in the XML (with a glued citation mark) equals "found 12". A word left broken at a hyphen, or joined
  where the hyphen is real, counts as lost.
- Body: every paragraph of the XML's sections, including statements. `words` is the multiset recall of its words in the
  whole text; `shingles` that of its runs of three words, which wrong order and interleaved columns destroy.
- Order: a paragraph is found if half of its runs of five words are there; its position is the median of those that
  occur once. The score is the share of adjacent pairs, both found, that are in order.
- Headings: every part of the XML's section paths whose words occur in the PDF's text layer in that order; numbers
  before a heading are ignored on both sides. Precision ignores what the XML keeps outside its body (`_OUTSIDE`:
  abstract, references, statements and so on) and headings that are paragraphs of their own in the XML: these are in the
  PDF but not among the true titles.
- References: excluded correctly if the number of entries is within 10 % (or one) of the XML's, and at most 5 % of the
  different strings in the text layer that look like a publication ("2010;12:34") are left in the chunks; those on the
  first page, where a paper cites itself, do not count.
- Lost: paragraphs found in the text but neither in the chunks nor as a heading.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import pypdfium2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
DATA = Path(os.environ.get("SCHOLION_DATA") or ROOT.parent / "shared" / "data") / "papers"

_WORD = re.compile(r"[^\W\d_]+|\d+")
_PLACE = re.compile(
    r"(?:19|20)\d\d\s*[;,:.]\s*\d{1,4}\s*(?:\([^)]{1,12}\))?\s*[:,]\s*[eEsS]?\d+"
    r"|\b\d{1,4}\s*(?:\(\d{1,4}\))?\s*[:,]\s*(?:pp\.\s*)?\d{1,5}\s*[-–]\s*\d{1,5}\s*[.,(]+\s*(?:19|20)\d\d"
    r"|\b\d{1,4}\s*(?:\(\d{1,4}\))?\s*[:,]\s*\d{1,5}\s*[-–]\s*\d{1,5}\.",
    re.IGNORECASE,
)
_OUTSIDE = re.compile(
    r"(?:abstracts?|graphical abstract|highlights|key ?words.*|objectives?|purpose|aims?|design|setting|"
    r"trial registration|"
    r"electronic supplementary material|supplementa.*|supporting information.*|additional (?:file|information).*|"
    r"article info|references.*|bibliography|literature cited|acknowledge?ments?.*|funding.*|financial .*|"
    r"(?:conflicts?|declarations?) of .*|competing interests?|disclosures?.*|declarations?|ethic.*|consent.*|"
    r"(?:data|code) (?:availability|accessibility).*|availability of .*|"
    r"authors? ?s? (?:contributions?|information|details).*|authorship|abbreviations|publisher s note|orcid.*|"
    r"how to cite.*|appendi.*|citation|open access|edited by|reviewed by|received|copyright.*|correspondence|"
    r"corresponding author|license)"
)
_NUMBER = re.compile(r"^(?:\d{1,2}(?:\.\d{1,2})*\.?|[IVX]{1,4}\.|[A-H]\.)\s+(?=\S)")


def words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text.replace("\u00ad", "")).casefold())


def shingles(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def recall(wanted: list[Any], found: list[Any]) -> float:
    want, have = Counter(wanted), Counter(found)
    return sum(min(n, have[item]) for item, n in want.items()) / max(1, len(wanted))


def places(paragraphs: list[list[str]], text: list[str]) -> list[float | None]:
    """Position of each paragraph in the text, in words; None if it is not found."""
    where: dict[tuple[str, ...], list[int]] = {}
    for i, shingle in enumerate(shingles(text, 5)):
        where.setdefault(shingle, []).append(i)
    found: list[float | None] = []
    for paragraph in paragraphs:
        runs = shingles(paragraph, 5)
        hits = [where[run][0] for run in runs if len(where.get(run, ())) == 1]
        there = sum(run in where for run in runs) >= max(1, len(runs) / 2)
        found.append(statistics.median(hits) if there and hits else None)
    return found


def body_figures(row: dict[str, Any], text: str) -> dict[str, float]:
    paragraphs = [words(p) for section in row["sections"] for p in section["paragraphs"]]
    tokens, body = words(text), [word for p in paragraphs for word in p]
    long = [p for p in paragraphs if len(p) >= 8]
    at = places(long, tokens)
    pairs = [(a, b) for a, b in pairwise(at) if a is not None and b is not None]
    return {
        "words": recall(body, tokens),
        "shingles": recall([s for p in paragraphs for s in shingles(p, 3)], shingles(tokens, 3)),
        "pairs": len(pairs),
        "ordered": sum(a < b for a, b in pairs),
    }


def heading_key(title: str) -> str:
    return " ".join(words(_NUMBER.sub("", title.strip())))


def true_headings(row: dict[str, Any], shown: str) -> Counter[str]:
    """Each section title of the XML that the PDF shows, once per position in the tree."""
    paths = dict.fromkeys(
        tuple(parts[: i + 1])
        for section in row["sections"]
        for parts in [section["section"].split(" / ")]
        for i in range(len(parts))
    )
    titles = (heading_key(path[-1]) for path in paths)
    return Counter(t for t in titles if t and f" {t} " in shown)


def heading_figures(row: dict[str, Any], found: list[str], shown: str) -> dict[str, Any]:
    want = true_headings(row, shown)
    rest, wrong = Counter(want), []
    as_paragraph = {heading_key(p) for section in row["sections"] for p in section["paragraphs"]}
    for title in map(heading_key, found):
        same = (
            title
            if rest[title]
            else next((t for t in rest if rest[t] and SequenceMatcher(None, t, title).ratio() > 0.9), None)
        )
        if same:
            rest[same] -= 1
        elif (
            title not in want
            and title not in as_paragraph
            and not _OUTSIDE.fullmatch(title)
            and title != " ".join(words(row["title"]))
        ):
            wrong.append(title)
    missed = list(rest.elements())
    if not row["sections"]:
        wrong = []  # nothing is known of them
    return {"hit": want.total() - len(missed), "want": want.total(), "wrong": wrong, "missed": missed}


def measure(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    from ingest.chunk import chunk_paper
    from ingest.parse import parse_pdf

    path = folder / row["pdf"]
    start = time.process_time()
    parsed = parse_pdf(path)
    seconds = time.process_time() - start
    chunks = chunk_paper(parsed, max_tokens=160, count_tokens=lambda texts: [len(t) // 4 + 1 for t in texts])
    searched = "\n\n".join(chunk.text for chunk in chunks)
    raw_pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path)]
    raw = "\n".join(raw_pages)
    shown = f" {' '.join(words(raw))} "
    paragraphs = [p for s in row["sections"] for p in s["paragraphs"] if len(words(p)) >= 8]
    in_text = places([words(p) for p in paragraphs], words(parsed.text))
    in_chunks = places([words(p) for p in paragraphs], words(searched))
    lost = [p for p, a, b in zip(paragraphs, in_text, in_chunks, strict=True) if a is not None and b is None]
    titles = {heading_key(heading.title) for heading in parsed.headings}
    lost = [p for p in lost if heading_key(p) not in titles]
    n_references = len(getattr(parsed, "references", ()))
    own = set(_PLACE.findall(raw_pages[0]))
    leaked = len(set(_PLACE.findall(searched)) - own) / max(1, len(set(_PLACE.findall(raw)) - own))
    return {
        "pages": parsed.paper.n_pages,
        "seconds": seconds,
        "title": words(parsed.paper.title) == words(row["title"]),
        "found_title": parsed.paper.title,
        **body_figures(row, parsed.text),
        "in_chunks": body_figures(row, searched)["words"],
        **heading_figures(row, [h.title for h in parsed.headings], shown),
        "n_references": n_references,
        "leaked": leaked,
        "out": abs(n_references - row["n_refs"]) <= max(1, 0.1 * row["n_refs"]) and leaked <= 0.05,
        "lost": lost,
        "text": parsed.text,
    }


def plain(row: dict[str, Any], folder: Path) -> dict[str, float]:
    """The same body measures for pypdf's plain text."""
    import logging

    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    start = time.process_time()
    reader = pypdf.PdfReader(folder / row["pdf"])
    text = "\n".join(page.extract_text() for page in reader.pages)
    seconds = time.process_time() - start
    title = words(str((reader.metadata and reader.metadata.title) or "")) == words(row["title"])
    return {"seconds": seconds, "title": title, **body_figures(row, text)}


def line(name: str, r: dict[str, Any], p: dict[str, Any] | None, row: dict[str, Any]) -> str:
    precision = r["hit"] / max(1, r["hit"] + len(r["wrong"]))
    ours = (
        f"{name:24.24} {'yes' if r['title'] else 'NO':>5} {r['words']:.3f} {r['shingles']:.3f} "
        f"{r['ordered']:3}/{r['pairs']:<3} {r['hit']:3}/{r['want']:<3} {precision:.2f} "
        f"{r['n_references']:4}/{row['n_refs']:<4} {r['leaked']:4.2f} {'yes' if r['out'] else 'NO':>3} "
        f"{r['in_chunks']:.3f} {len(r['lost']):3} {1000 * r['seconds'] / r['pages']:5.1f}"
    )
    if not p:
        return ours
    return f"{ours} | {p['words']:.3f} {p['shingles']:.3f} {p['ordered']:3}/{p['pairs']:<3}"


def summary(name: str, results: list[dict[str, Any]], pages: int) -> str:
    def total(key: str) -> int:
        return sum(r[key] for r in results)

    known = [r for r in results if r["words"]] or results
    text = (
        f"{name}: titles {total('title')}/{len(results)}; "
        f"words mean {statistics.mean(r['words'] for r in known):.4f}, "
        f"worst {min(r['words'] for r in known):.3f}; "
        f"shingles {statistics.mean(r['shingles'] for r in known):.4f}; "
        f"order {total('ordered') / max(1, total('pairs')):.4f} of {total('pairs')} pairs"
    )
    if "hit" in results[0]:
        hit, wrong = total("hit"), sum(len(r["wrong"]) for r in results)
        text += (
            f"; headings recall {hit / total('want'):.3f}, precision {hit / (hit + wrong):.3f}; "
            f"references out {total('out')}/{len(results)}; body words in chunks "
            f"{statistics.mean(r['in_chunks'] for r in known):.4f}; "
            f"paragraphs lost {sum(len(r['lost']) for r in results)}"
        )
    return f"{text}; {1000 * sum(r['seconds'] for r in results) / pages:.1f} ms CPU per page"


def main() -> int:
    parser = argparse.ArgumentParser(description="Reading quality over the development papers.")
    parser.add_argument("papers", nargs="*", help="parts of file names; all by default")
    parser.add_argument("--papers", dest="folder", type=Path, default=DATA, help="a folder, or its name in the data")
    parser.add_argument("--ours", action="store_true", help="leave plain pypdf out")
    parser.add_argument("--misses", action="store_true", help="also list what was missed")
    options = parser.parse_args()
    folder = options.folder if options.folder.is_dir() else DATA.parent / options.folder
    if not folder.is_dir():
        print(f"The development data is not here: {folder}")
        return 0
    rows = [json.loads(text) for text in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [r for r in rows if not options.papers or any(part in r["pdf"] for part in options.papers)]
    print(
        "paper                    title words 3-runs  order  headings prec refs     leak out chunks lost ms/p | pypdf"
    )
    results: list[dict[str, Any]] = []
    plains: list[dict[str, Any]] = []
    for row in rows:
        result = measure(row, folder)
        results.append(result)
        if not options.ours:
            plains.append(plain(row, folder))
        print(line(row["pdf"].removesuffix(".pdf"), result, plains[-1] if plains else None, row), flush=True)
        if options.misses:
            print_misses(row, result)
    pages = sum(r["pages"] for r in results)
    print(summary("Scholion", results, pages))
    if plains:
        print(summary("pypdf", plains, pages))
    return 0


def print_misses(row: dict[str, Any], r: dict[str, Any]) -> None:
    if not r["title"]:
        print("   title:", r["found_title"], "| wanted:", row["title"])
    body = Counter(w for s in row["sections"] for p in s["paragraphs"] for w in words(p))
    gone = body - Counter(words(r["text"]))
    print("   words:", ", ".join(f"{w}×{n}" if n > 1 else w for w, n in gone.most_common(24)))
    print("   headings missed:", r["missed"])
    print("   headings wrong:", r["wrong"])
    print("   lost:", [p[:60] for p in r["lost"]])


if __name__ == "__main__":
    sys.exit(main())
