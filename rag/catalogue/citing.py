"""Find the papers in the library that cite a work, in their stored reference lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag.retrieval.naming import MARKS
from rag.retrieval.people import family_forms, fold
from rag.words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest import Library, Paper

TITLE_BEGINS = 60
"""How many letters and digits of a title's beginning are looked for in an entry; a shorter title is looked for in full.
"""

SHORTEST_TITLE = 20

_AUTHOR_YEAR = re.compile(
    r"(?:the )?(?P<who>[^\d]+?)(?:,? et al\.?|,? and colleagues|'s)?,? ?[(\[]?(?P<year>(?:19|20)\d\d)[a-z]?[)\]]?"
)
_LEAD = re.compile(
    r"(?:the |a |an )?(?:paper|article|study|work|works|book|report)s? (?:by|of|from|called|titled) |(?:the )"
)


def citing(
    library: Library, papers: Sequence[Paper], *, cites: Callable[[str], bool], but: str | None = None
) -> tuple[list[tuple[Paper, str]], list[Paper]]:
    """The papers whose reference list has a matching entry, with that entry, and the papers without a reference list.

    Args:
        library: has the reference lists.
        papers: whose lists to search.
        cites: whether an entry is the work.
        but: id of a paper to leave out: the cited one itself.
    """
    found, without = [], []
    for paper in papers:
        entries = library.references(paper.id)
        if not entries:
            without.append(paper)
        elif paper.id != but and (entry := next(filter(cites, entries), None)):
            found.append((paper, " ".join(entry.split())))
    return found, [paper for paper in without if paper.id != but]


def of_paper(cited: Paper) -> Callable[[str], bool]:
    """Whether an entry is this paper, by its DOI or title; a short title also needs an author or the year."""
    title = _letters(cited.title)
    doi = fold(cited.doi or "")
    families = {_letters(form) for author in cited.authors[:1] for form in family_forms(author)[:1]}

    def fits(entry: str) -> bool:
        if doi and re.search(rf"{re.escape(doi)}(?![\w/-])", fold(entry)):
            return True
        said = _letters(entry)
        if not title or title[:TITLE_BEGINS] not in said:
            return False
        return len(title) >= SHORTEST_TITLE or any(f in said for f in families) or str(cited.year) in said

    return fits


def of_words(text: str) -> Callable[[str], bool] | None:
    """Whether an entry has these authors and this year, or these words of a title; None if there are no words."""
    text = fold(text).strip().strip(MARKS)
    text = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
    if named := _AUTHOR_YEAR.fullmatch(text):
        parts = re.split(r",|&|\band\b|\bund\b|\bи\b", re.sub(r"\bet al\b\.?", "", named["who"]))
        words, year = [part.strip() for part in parts if part.strip()], named["year"]
    else:
        whole = re.sub(r",? et al\b\.?$", "", text).strip().strip(MARKS)
        words, year = [whole], None
    patterns = [re.compile(rf"(?<!\w){_spaced(word)}(?!\w)") for word in words if re.search(r"\w", word)]
    if not patterns:
        return None
    meaning = [word for word in re.findall(r"\w+", text) if word not in STOP_WORDS]

    def fits(entry: str) -> bool:
        said = fold(entry)
        if year is not None and not re.search(rf"(?<!\d){year}(?!\d)", said):
            return False
        if all(pattern.search(said) for pattern in patterns):
            return True
        return year is None and len(meaning) >= 4 and set(meaning) <= set(re.findall(r"\w+", said))

    return fits


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", fold(text))


def _spaced(words: str) -> str:
    return r"[\s-]+".join(re.escape(word) for word in re.split(r"[\s-]+", words))
