"""Papers as BibTeX, to take along: of the type and with the journal, volume and pages where they are known."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from ingest.latex import to_latex
from ingest.names import parted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.paper import Paper

_SMALL = frozenset(
    "a an the on of for in to and or with from by at as is are do does how what why towards toward using".split()
)


def write_bibtex(papers: Sequence[Paper]) -> str:
    """The papers as BibTeX entries in the given order, each with its own key such as `smith2021deep`.

    A key depends only on the paper, but papers with the same key get the first digits of their ids appended.
    """
    papers = list({paper.id: paper for paper in papers}.values())
    wanted = Counter(_key(paper) for paper in papers)
    short = {(_key(paper), paper.id[:6]) for paper in papers}
    digits = 6 if len(short) == len(papers) else None
    keyed = ((_key(paper), paper) for paper in papers)
    return "\n".join(
        _entry_text(key if wanted[key] == 1 else f"{key}-{paper.id[:digits]}", paper) for key, paper in keyed
    )


def _key(paper: Paper) -> str:
    def plain(text: str) -> str:
        ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        return re.sub(r"[^a-z0-9]", "", ascii_only)

    words = [plain(word) for word in re.split(r"[\s\-–—/:]+", paper.title)]
    word = next((word for word in words if word and word not in _SMALL), "")
    family = plain(paper.family_names[0]) if paper.authors else ""
    return f"{family or 'anon'}{paper.year or ''}{word}"


def _entry_text(key: str, paper: Paper) -> str:
    fields = {
        "title": _keeping_capitals(paper.title),
        "author": " and ".join(
            _written_name(name, family)
            for name, family in zip(paper.authors, paper.family_names, strict=True)
            if name.split()
        ),
    }
    if paper.year:
        fields["year"] = str(paper.year)
    if paper.doi and not re.search(r"[{}\\\s]", paper.doi):  # hyperref and biblatex use the field as it is
        fields["doi"] = paper.doi
    if paper.arxiv_id:
        fields |= {"eprint": to_latex(paper.arxiv_id), "archiveprefix": "arXiv"}
    if paper.isbn:
        fields["isbn"] = to_latex(paper.isbn)
    if paper.retracted:
        fields["note"] = "Retracted"
    kind, published = _published(paper)
    fields |= published
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{kind}{{{key},\n{lines}}}\n"


_KINDS = {
    "article-journal": ("article", "journal", "publisher"),
    "paper-conference": ("inproceedings", "booktitle", "publisher"),
    "chapter": ("incollection", "booktitle", "publisher"),
    "book": ("book", "series", "publisher"),
    "thesis": ("phdthesis", "series", "school"),
    "report": ("techreport", "series", "institution"),
}
"""BibTeX's type for one of CSL's, and its names for the container and the publisher."""
_NEEDED = {"article": "journal", "inproceedings": "booktitle", "incollection": "booktitle", "book": "publisher",
           "phdthesis": "school", "techreport": "institution"}  # fmt: skip


def _published(paper: Paper) -> tuple[str, dict[str, str]]:
    """The entry's type and what is known of where it was published; @misc where the type's own field is not known."""
    stated = paper.publication
    if stated is None:
        return "misc", {}  # which kind it is, a PDF does not say; @misc asks for no other field
    kind, container, publisher = _KINDS.get(stated.kind or "", ("misc", "howpublished", "publisher"))
    fields = {
        container: to_latex(stated.container or ""),
        publisher: to_latex(stated.publisher or ""),
        "volume": to_latex(stated.volume or ""),
        "number": to_latex(stated.issue or ""),
        "pages": "--".join(to_latex(page) for page in re.split(r"\s*[-–—]+\s*", paper.pages_in_print or "")),
    }
    fields = {name: value for name, value in fields.items() if value}
    return (kind if _NEEDED.get(kind, "") in fields or kind == "misc" else "misc"), fields


def _keeping_capitals(title: str) -> str:
    """The title, with braces around words whose capitals a bibliography style must not lower."""
    return " ".join(
        f"{{{to_latex(word)}}}" if any(c.isupper() for c in word[1:]) else to_latex(word) for word in title.split()
    )


def _written_name(name: str, family: str) -> str:
    """One author, family name first; in braces if the name must not be split, such as a group's."""
    given, family, suffix = parted(name, family)
    whole = not given or any(re.search(r",|(?:^|\s)(?:and|others)(?:\s|$)", part, re.IGNORECASE) for part in (name,))
    if whole:
        return f"{{{to_latex(name)}}}" if " " in " ".join(name.split()) or "," in name else to_latex(name)
    return ", ".join(to_latex(part) for part in (family, suffix, given) if part)
