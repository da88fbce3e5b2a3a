"""The figures and tables of a paper, as its captions name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.known_headings import CAPTION, CAPTIONED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ingest.paper import Page

MAX_CAPTION = 300
"""Characters of a caption that are kept."""

_FULL = {"fig": "Figure", "figs": "Figure", "tab": "Table"}
_JOINED = re.compile(rf"({CAPTIONED})(.+)", re.IGNORECASE)
_CONTINUED = re.compile(r"[\s.:|(–—-]*cont(?:inued|\.|['’]d)", re.IGNORECASE)
_BEGINS = re.compile(r"(?!\.\d)[\s.:|–—-]*(?:$|[^\W_a-z]|\(|[\"“‘'])")
"""What follows the number in a caption; in a sentence about a figure a small letter does ("Figure 3 shows …")."""


@dataclass(frozen=True, slots=True)
class Caption:
    """One figure, table, scheme, … of a paper."""

    name: str
    """As it is cited: "Figure 3", "Supplementary Table II"."""
    text: str
    """The caption's words after the name, cut to MAX_CAPTION; empty if the page has none."""
    page: int
    """From 1: where its caption stands."""


def captions(pages: Iterable[Page]) -> list[Caption]:
    """One entry for each figure or table whose caption begins a paragraph, in the order of the pages.

    Parts that go on on further pages ("Table 1: Continued.") are not listed again.
    """
    found: dict[str, Caption] = {}
    for page in pages:
        for paragraph in map(str.strip, page.text.splitlines()):
            match = CAPTION.match(paragraph)
            if match is None:
                continue
            for name, rest in _parts(_name(match.group()), paragraph[match.end() :]):
                if _BEGINS.match(rest) and not _CONTINUED.match(rest):
                    text = rest.lstrip(" .:|–—-")[:MAX_CAPTION].strip()
                    found.setdefault(name.casefold(), Caption(name, text, page.number))
    return list(found.values())


def _parts(name: str, rest: str) -> Iterator[tuple[str, str]]:
    """The caption, and those that the page's text has joined to it: of the next number, like "… Fig. 4 A leaf"."""
    at = 0
    for match in CAPTION.finditer(rest):
        kind, _, number = name.rpartition(" ")
        following = _name(match.group())
        if number.isdigit() and following == f"{kind} {int(number) + 1}" and _BEGINS.match(rest[match.end() :]):
            yield name, rest[at : match.start()]
            name, at = following, match.end()
    yield name, rest[at:]


def _name(said: str) -> str:
    *before, number = said.replace(".", " ").split()
    if joined := _JOINED.fullmatch(number):  # "Fig3", "TableI"
        before, number = [*before, joined[1]], joined[2]
    if not before:
        return number
    kind = before[-1].lower()
    return " ".join((*(word.capitalize() for word in before[:-1]), _FULL.get(kind, kind.capitalize()), number.upper()))
