"""Where a paper was published, as its first page prints it: the running head, or the reference to the paper itself.

A pattern counts only where it must belong to the paper: at the head or foot of its first page, or right after its own
title ("How to cite this article"). A reference to another work names another title.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ingest.lines import squash
from ingest.paper import Publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_JOURNAL: Final = r"(?P<journal>[A-Z][^\W\d_]*\.?(?:(?: & |[ ,:’'/-]{1,2})[^\W\d_]+\.?){0,13})"
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)"
_PAGES: Final = r"(?P<pages>[A-Za-z]?\d+(?: ?[-‐‑–] ?[A-Za-z]?\d+)?)"
_ISSUE: Final = r"(?: ?\((?P<issue>[^()]{1,20})\))?"
_NOT_PAGES: Final = (
    r"(?![\d-]|\w| ?(?:pages|papers|pp\b|January|February|March|April|May|June|July|August|September|October|November"
    r"|December))"
)
# a head of Springer Nature: Pyne et al. BMC Plant Biology (2018) 18:69; until 2012 without brackets, 2010, 5:3
_BY_AUTHOR: Final = re.compile(
    rf"^(?P<who>[^\W\d_][\w’' ‑-]{{1,30}}?)(?: et al\.| and [^\W\d_][\w’' ‑-]{{1,30}}?)? {_JOURNAL},? \(?{_YEAR}\)?,?"
    rf" (?P<volume>\d{{1,4}})(?!\d){_ISSUE}: ?{_PAGES}{_NOT_PAGES}"
)
# a foot of Springer: J Food Sci Technol (2015) 52:697 to 707
_SPRINGER: Final = re.compile(rf"^{_JOURNAL} \({_YEAR}\) (?P<volume>\d{{1,4}})(?!\d){_ISSUE}: ?{_PAGES}$")
# Hindawi Journal of Analytical Methods in Chemistry Volume 2018, Article ID 7264892
_HINDAWI: Final = re.compile(rf"Hindawi(?: Publishing Corporation)? {_JOURNAL},? Volume {_YEAR}, Article ID {_PAGES}")
# Iranian Journal of Reproductive Medicine Vol.9. No.3. pp: 177 to 186, Summer 2011
_VOLUME: Final = re.compile(
    rf"^{_JOURNAL},? Vol(?:ume|\.)? ?(?P<volume>\d{{1,4}})(?!\d)[.,;]? ?(?:\(?(?:No|Issue|Iss)\.? ?(?P<issue>\d+)\)?)?"
    rf"(?:[.,;]? ?(?:pp?|pages)[.:]* ?{_PAGES})?(?:[^\n]{{0,30}}?\b{_YEAR}\b)?"
)
# Wiley's Ecology and Evolution 2016; 6: 7671 to 7682, and Bentham's Journal, 2016, 10, (Suppl-1, M9) 214 to 226
_BY_YEAR: Final = re.compile(
    rf"^(?:\d+ )?{_JOURNAL},? {_YEAR}[;,] ?(?P<volume>\d{{1,4}})(?!\d)"
    rf"(?:{_ISSUE} ?: ?|, ?(?:\([^()]{{1,20}}\),? ?)?(?=\w+ ?[-‐‑–]|\d+; ?doi)){_PAGES}{_NOT_PAGES}"
)
_AFTER_TITLE: Final = re.compile(
    rf"[”\"’]?[.,]?\s{{1,3}}{_JOURNAL}[.,]? (?:{_YEAR} ?[;,]? ?)?(?:[Vv]ol(?:ume|\.)? ?)?"
    rf"(?P<volume>\d{{1,4}})(?!\d){_ISSUE} ?[:,] ?{_PAGES}(?!\w)"
)
_IN_REFERENCE: Final = re.compile(r"[.):]\s?[“\"‘]?$")
"""What stands before the title in a reference: an author's initial, or the year. Nothing stands before a heading."""
_EDGE: Final = 6
"""Lines at the head and at the foot of a page that may be running heads."""
_SHORTEST: Final = 4
"""Letters of a journal's name, at least."""
_MOST: Final = 400
"""Characters of a line that are read."""
_NO_JOURNAL: Final = re.compile(
    r"https?|www\.|\bet al\b|\b(?:received|accepted|revised|copyright|doi|available|correspond\w*|ltd|limited|inc|gmbh"
    r"|press|thesis|workshop|conference|symposium|university)\b|(?:^|[ ,])(?-i:[A-Z]{1,2})[.,](?: |$)",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"^(?:(?:original|research|review|short|regular|full|case|mini) ?)*(?:articles?|papers?|communications?|reports?"
    r"|letters?)\b[ :|]*|^open access\b[ :|]*",
    re.IGNORECASE,
)
_MONTH: Final = re.compile(
    r",? (?:January|February|March|April|May|June|July|August|September|October|November|December|Spring|Summer|Autumn"
    r"|Winter|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?$"
)


def printed_publication(
    pages: Sequence[str], title: str, year: int | None, authors: Sequence[str] = ()
) -> Publication | None:
    """What the first page says of journal, volume, issue and pages; None where it does not say it in a known form.

    Args:
        pages: the text of the first pages with their running heads.
        title: the paper's.
        year: of publication, if known; another year belongs to another work.
        authors: a head that begins with an author must begin with one of these.
    """
    first = pages[0] if pages else ""
    lines = [" ".join(line[:_MOST].split()) for line in first[: 100 * _MOST].split("\n") if line.strip()]
    head, foot = lines[:_EDGE], lines[-_EDGE:]
    found = list(_after_title(pages, title))
    for line in dict.fromkeys([*head, *foot]):
        if (match := _BY_AUTHOR.search(line)) and any(squash(match["who"]) in squash(name) for name in authors):
            found.append((match, 0))
        found += [(match, 1) for pattern in (_SPRINGER, _VOLUME) if (match := pattern.search(line))]
    dated = [match for line in head if (match := _BY_YEAR.search(line))]
    found += [(match, 0) for match in dated if "," not in _MONTH.sub("", match["journal"])]
    found += [(match, 0) for part in (head, foot) if (match := _HINDAWI.search(" ".join(part)))]
    return next((told for match, leeway in found if (told := _told(match, year, leeway))), None)


def _after_title(pages: Sequence[str], title: str) -> Iterator[tuple[re.Match[str], int]]:
    """What stands after the paper's own title in a reference to it."""
    for text in pages[:2]:
        flat = " ".join(text[: 100 * _MOST].split())
        for place in re.finditer(re.escape(" ".join(title.split()).rstrip(".")), flat, re.IGNORECASE):
            if _IN_REFERENCE.search(flat[max(0, place.start() - 3) : place.start()]) and (
                match := _AFTER_TITLE.match(flat, place.end())
            ):
                yield match, 1


def is_short_for(short: str, name: str) -> bool:
    """Whether one name of a journal abbreviates the other, as "Microb Cell Fact" does "Microbial Cell Factories"."""
    small = {"of", "the", "and", "in", "for", "on"}
    parts, whole = (
        [word for word in re.findall(r"[^\W\d_]+", text.casefold()) if word not in small] for text in (short, name)
    )
    return len(parts) == len(whole) and all(b.startswith(a) for a, b in zip(parts, whole, strict=True))


def _told(match: re.Match[str], year: int | None, leeway: int) -> Publication | None:
    said = match.groupdict()
    journal = _LABEL.sub("", _MONTH.sub("", said["journal"].strip(" ,:-"))).removesuffix(".")
    if year and said.get("year") and abs(int(said["year"]) - year) > leeway:  # online in December, printed in January
        return None
    if len(re.findall(r"[^\W\d_]", journal)) < _SHORTEST or _NO_JOURNAL.search(journal):
        return None
    pages = said.get("pages")
    return Publication(
        kind="article-journal",
        container=journal,
        volume=said.get("volume") or said.get("year"),
        issue=said.get("issue"),
        pages=re.sub(r" ?[‐‑–-] ?", "-", pages) if pages else None,
    )
