"""Title, authors, year, DOI and abstract of the 40 papers of ../shared/data/papers, right or wrong for each paper.

What counts as right:
- title: the publisher's, ignoring case, accents, punctuation and spaces.
- authors: the same family names (last word, folded) in the same order; "full" is the share with the same full names.
- DOI: the first one in pypdfium2's raw text of the first two pages, or for the Journal of Open Source Education the one
  in the file name. Papers that print none are left out.
- year: as printed on the page, read by eye (`YEARS`), or for that journal the DOI's registration, from "Published:".
- abstract: it begins with the same 40 letters, ignoring labels of structured abstracts. JATS has none for 17 papers.

Run: python bench/metadata.py [--papers DIR] [--wrong]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pypdfium2
from pypdf import PdfReader

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingest import metadata, parse

if TYPE_CHECKING:
    from ingest.layout import Layout
    from ingest.metadata import Description, DocumentInfo

DATA = Path(os.environ.get("SCHOLION_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
PAPERS = DATA / "papers"
YEARS = {
    "PMC2832770": 2010, "PMC4445982": 2015, "PMC4562040": 2015, "PMC4575751": 2011, "PMC4889806": 2016,
    "PMC4911752": 2016, "PMC4930629": 2016, "PMC4945999": 2016, "PMC5376420": 2017, "PMC5745208": 2017,
    "PMC5758638": 2017, "PMC5771181": 2017, "PMC5806308": 2018, "PMC5884149": 2018, "PMC5891864": 2018,
    "PMC5914031": 2018, "PMC5981179": 2018, "PMC5987334": 2018, "PMC5987647": 2018, "PMC6079351": 2018,
    "PMC6093152": 2016, "PMC6200556": 2018, "PMC6215600": 2018, "PMC6281068": 2018,
}  # fmt: skip
FIELDS = ("title", "authors", "full", "doi", "year", "abstract")


def folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def opening(path: Path) -> str:
    """The raw text of the first two pages, by a library that the parser does not use for text."""
    document = pypdfium2.PdfDocument(path)
    return "\n".join(document[n].get_textpage().get_text_range() for n in range(min(2, len(document))))


def true_doi(path: Path, text: str) -> str | None:
    if path.stem.startswith("10.21105."):
        return path.stem.replace("10.21105.", "10.21105/")
    text = re.sub(r"[\u2010\u2011\u2012\u2013\ufffe\x02]", "-", text)
    found = re.search(r"10\.\d{4,9}/[^\s|]+", text)
    return found[0].rstrip(".,;)") if found else None


def true_year(path: Path, text: str) -> int | None:
    published = re.search(r"Published: \d\d \w+ (\d{4})", text)
    return int(published[1]) if published else YEARS.get(path.stem)


def begins(abstract: str) -> str:
    """The first 40 letters, without the labels of a structured abstract."""
    labels = r"abstract|background|objectives?|objective\(s\)|aims?|purpose|introduction|context"
    bare = re.sub(rf"^\W*(?:(?:{labels})(?=[\W:.A-Z])[\W]*)+", "", abstract.strip(), count=1, flags=re.IGNORECASE)
    return folded(bare)[:40]


def described(path: Path, *, source: str) -> Description:
    """`describe` applied to the layout that the parser passes to it.

    If the parser does not pass XMP or the whole text of the opening yet, they are read here.
    """
    kept: list[tuple[Layout, DocumentInfo]] = []

    def keep(layout: Layout, info: DocumentInfo, *, file_name: str) -> Description:
        kept.append((layout, info))
        return metadata.describe(layout, info, file_name=file_name)

    parse.describe = keep
    try:
        parse.parse_pdf(path)
    finally:
        parse.describe = metadata.describe
    layout, info = kept[-1]
    if source == "all" and not info.xmp:
        info = with_xmp(path, info)
    elif source == "page":
        info = metadata.DocumentInfo(opening=info.opening)
    return metadata.describe(layout, info, file_name="paper.pdf" if source == "page" else path.name)


def with_xmp(path: Path, info: DocumentInfo) -> DocumentInfo:
    reader = PdfReader(path)
    packet = reader.trailer["/Root"].get("/Metadata")
    return metadata.DocumentInfo(
        title=info.title,
        author=info.author,
        created=info.created,
        subject=info.subject or str((reader.metadata or {}).get("/Subject") or ""),
        xmp=packet.get_object().get_data() if packet is not None else b"",
        opening=info.opening or tuple(page.extract_text() for page in reader.pages[:2]),
    )


def judged(path: Path, truth: dict, got: Description) -> dict[str, bool | None]:
    """Right, wrong, or None if there is nothing to compare with."""
    text = opening(path)
    doi, year = true_doi(path, text), true_year(path, text)
    family = [[folded(name.split()[-1]) for name in names] for names in (truth["authors"], got.authors)]
    full = [[folded(name) for name in names] for names in (truth["authors"], got.authors)]
    abstract = truth["abstract"]
    return {
        "title": folded(truth["title"]) == folded(got.title),
        "authors": family[0] == family[1],
        "full": full[0] == full[1],
        "doi": folded(got.doi or "") == folded(doi) if doi else None,
        "year": got.year == year if year else None,
        "abstract": begins(got.abstract or "") == begins(abstract) if abstract else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=Path, default=PAPERS)
    parser.add_argument("--wrong", action="store_true", help="show what was found and what is true where they differ")
    parser.add_argument(
        "--source",
        choices=["all", "parser", "page"],
        default="all",
        help="parser: only what parse.py passes today; page: without anything that the file states of itself",
    )
    arguments = parser.parse_args()
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    rows = [json.loads(line) for line in (arguments.papers / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    results, wrong = [], []
    print(f"{'paper':<22}" + "".join(f"{field:>10}" for field in FIELDS))
    for truth in sorted(rows, key=lambda row: row["pdf"]):
        path = arguments.papers / truth["pdf"]
        got = described(path, source=arguments.source)
        result = judged(path, truth, got)
        results.append(result)
        marks = {True: "right", False: "WRONG", None: "-"}
        print(f"{path.stem:<22}" + "".join(f"{marks[result[field]]:>10}" for field in FIELDS), flush=True)
        expected = truth | {"doi": true_doi(path, opening(path)), "year": true_year(path, opening(path))}
        wrong += [
            (path.stem, field, getattr(got, field), expected[field])
            for field in ("title", "authors", "doi", "year", "abstract")
            if result[field] is False or (field == "authors" and not result["full"])
        ]
    print(f"{'right of those known':<22}", end="")
    for field in FIELDS:
        known = [result[field] for result in results if result[field] is not None]
        print(f"{f'{sum(known)}/{len(known)}':>10}", end="")
    print()
    if arguments.wrong:
        for stem, field, found, expected in wrong:
            print(f"\n{stem} {field}\n  found {str(found)[:300]}\n  true  {str(expected)[:300]}")


if __name__ == "__main__":
    main()
