"""Search in a document as a person expects it: accents, ligatures, case and hyphens at line ends make no difference."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ingest.locate import characters, lines_of
from ingest.picture import open_page
from ingest.verbatim import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ingest.locate import Rectangle
    from ingest.paper import Page

MAX_WORDS = 200
"""Characters that are searched for, at most."""

MAX_HITS = 2_000
"""Hits that are listed, at most."""

AROUND = 60
"""Characters of the text that are shown on each side of a hit."""

_MOST_PAIRS = 100_000  # hits times places of a page, compared in 0.2 s; of more, the order decides
_CONTEXT = 40  # characters by which a hit in the stored text is recognised on the page
_DASHES = {"Pd"}
_NOTHING = {"Cc", "Cf", "Cn", "Co", "Cs", "Mn"}
_BROKEN = "\x02\ufffe"  # pdfium's hyphen at a line's end


@dataclass(frozen=True, slots=True)
class Hit:
    """One place of the words that were looked for."""

    page: int
    """1-based."""
    before: str
    words: str
    """As the page has them."""
    after: str


class _Folded(NamedTuple):
    text: str
    at: list[int]
    """For each of its characters, the index of the one that it comes from."""


def search(pages: Iterable[Page], words: str) -> tuple[list[Hit], bool]:
    """All hits in the stored pages, in order, at most MAX_HITS, and whether there are more."""
    wanted = _wanted(words)
    hits: list[Hit] = []
    if not wanted:
        return hits, False
    for page in pages:
        for start, end in _places(_fold(page.text), wanted):
            if len(hits) == MAX_HITS:
                return hits, True
            hits.append(
                Hit(page.number, _before(page.text, start), _flat(page.text[start:end]), _after(page.text, end))
            )
    return hits, False


def marks_of_hits(pdf_path: Path, number: int, words: str, stored: str) -> list[list[Rectangle]]:
    """Where each hit of a page stands on it; an empty list for one that cannot be found there.

    Args:
        pdf_path: the PDF.
        number: the page's 1-based number.
        words: what was looked for.
        stored: the page's stored text; the result has an entry for each of its first MAX_HITS hits.

    Raises:
        PictureError: the page cannot be read.
    """
    wanted = _wanted(words)
    text = _fold(stored)
    hits = _spans(text.text, wanted)[:MAX_HITS]
    if not hits:
        return []
    with open_page(pdf_path, number) as page:
        textpage = page.get_textpage()
        try:
            chars = characters(textpage)
            drawn = _fold(chars)
            there = _spans(drawn.text, wanted)
            pairs = _paired(text.text, hits, drawn.text, there, len(wanted))
            return [
                []
                if place is None
                else lines_of(page, textpage, chars, [(drawn.at[place], drawn.at[place + len(wanted) - 1] + 1)])
                for place in pairs
            ]
        finally:
            textpage.close()


def _paired(text: str, hits: Sequence[int], drawn: str, there: Sequence[int], length: int) -> list[int | None]:
    """For each hit the place on the page whose surroundings are most alike, each place once; of very many in order."""
    left = list(there)
    if len(hits) * len(left) > _MOST_PAIRS:
        return [*left[: len(hits)], *[None] * (len(hits) - len(left))]
    pairs: list[int | None] = []
    for hit in hits:
        if not left:
            pairs.append(None)
            continue
        best = max(left, key=lambda place: _alike(text, hit, drawn, place, length))
        left.remove(best)
        pairs.append(best)
    return pairs


def _alike(text: str, hit: int, drawn: str, place: int, length: int) -> int:
    """How many characters before and behind both places are the same."""
    before = _same(text[max(0, hit - _CONTEXT) : hit][::-1], drawn[max(0, place - _CONTEXT) : place][::-1])
    after = _same(text[hit + length : hit + length + _CONTEXT], drawn[place + length : place + length + _CONTEXT])
    return before + after


def _same(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _wanted(words: str) -> str:
    return _fold(" ".join(words[:MAX_WORDS].split())).text.strip()


def _places(folded: _Folded, wanted: str) -> list[tuple[int, int]]:
    """The half-open ranges of the text where the words stand."""
    return [(folded.at[at], folded.at[at + len(wanted) - 1] + 1) for at in _spans(folded.text, wanted)]


def _spans(text: str, wanted: str) -> list[int]:
    places: list[int] = []
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        places.append(at)
        at = text.find(wanted, at + len(wanted))
    return places


def _fold(chars: Sequence[str]) -> _Folded:
    """Letters alone, in one case, with single spaces; a hyphen joins, and at a line's end the lines too."""
    text: list[str] = []
    at: list[int] = []
    joins = False  # a hyphen stood there: a line's end behind it is none
    for index, char in enumerate(chars):
        if char.isspace():
            if joins and char in "\r\n":
                joins = True
            elif text and text[-1] != " ":
                text.append(" ")
                at.append(index)
                joins = False
            continue
        letters = _letters(char)
        if letters is None:
            joins = bool(text) and text[-1].isalpha()
            continue
        if letters:
            joins = False
        for letter in letters:
            text.append(letter)
            at.append(index)
    return _Folded("".join(text), at)


@cache
def _letters(char: str) -> str | None:
    """What a character is in a comparison; None for a hyphen or a dash."""
    if char in _BROKEN or char == "\N{SOFT HYPHEN}":
        return None
    same = unicodedata.normalize("NFKD", plain(char))
    if same and all(unicodedata.category(c) in _DASHES or c.isspace() for c in same):
        return None
    return "".join(c for c in same.casefold() if unicodedata.category(c) not in _NOTHING | _DASHES)


def _before(text: str, start: int) -> str:
    cut = text[max(0, start - AROUND) : start]
    if start > AROUND:
        cut = "… " + cut.partition(" ")[2]
    return _flat(cut, ends=True)


def _after(text: str, end: int) -> str:
    cut = text[end : end + AROUND]
    if end + AROUND < len(text):
        cut = cut.rpartition(" ")[0] + " …"
    return _flat(cut, ends=True)


def _flat(text: str, *, ends: bool = False) -> str:
    """On one line; with `ends`, a space at an end stays."""
    flat = " ".join(text.split())
    if not ends or not flat:
        return flat
    return f"{' ' if text[0].isspace() else ''}{flat}{' ' if text[-1].isspace() else ''}"
