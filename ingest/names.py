"""People's names: which part is the family name, and which names belong to organisations.

Authors are kept as the page or the bibliography prints them, given names first. The family name comes from the
bibliography ("García Márquez, Gabriel"); otherwise a rule takes the last word with the particles before it, or the
whole name of an organisation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARTICLES = frozenset(
    "van von vom vander vande der den de da di do du dos das del della dello degli dalla la le les los las el al bin "
    "ibn ben bint ter ten te zu zum zur af av 't ’t ‘t d' d’ y e i und".split()
)
_SUFFIX = re.compile(r"(?:jr|jnr|sr|snr)\.?|I{2,3}|IV|VI{0,3}|2nd|3rd|4th", re.IGNORECASE)
_BODY = re.compile(
    r"\b(?:consortium|collaborations?|investigators?|initiative|network|groups?|teams?|committee|commission|"
    r"organi[sz]ations?|associations?|societ(?:y|ies)|institutes?|universit(?:y|ies)|agency|council|foundation|"
    r"cent(?:re|er)s?|ministry|department|office|bureau|bank|union|federation|alliance|programme|project|panel|"
    r"task force|nations|authority|academy|laborator(?:y|ies))\b",
    re.IGNORECASE,
)


def is_body(name: str) -> bool:
    """Whether a name is that of a group or an institution and not a person's: "The Peat authors" too."""
    words = name.split()
    return len(words) > 1 and (bool(_BODY.search(name)) or (words[0] == "The" and words[-1].islower()))


def family_of(name: str) -> str:
    """The family name by rule: "van der Burg", "Smith" of "John Smith Jr.", all of "World Health Organization"."""
    words = name.split()
    if len(words) < 2 or is_body(name):
        return " ".join(words)
    end = len(words)
    while end > 2 and _SUFFIX.fullmatch(words[end - 1].rstrip(",")):
        end -= 1
    start = end - 1
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 1
    return " ".join(words[start:end]).rstrip(",")


def families_of(authors: Sequence[str], said: Sequence[str] = ()) -> tuple[str, ...]:
    """The family name of each author: as stated if that fits the authors, else by rule."""
    if len(said) == len(authors):
        return tuple(
            family if family and family in name else family_of(name) for name, family in zip(authors, said, strict=True)
        )
    return tuple(map(family_of, authors))


def parted(name: str, family: str) -> tuple[str, str, str]:
    """Given names, family name and suffix of a name that contains the family name: ("John", "Smith", "Jr.")."""
    words, sought = name.split(), family.split()
    for start in range(len(words) - len(sought), -1, -1):
        end = start + len(sought)
        if words[start:end] == sought and all(_SUFFIX.fullmatch(word) for word in words[end:]):
            return " ".join(words[:start]), " ".join(sought), " ".join(words[end:])
    return "", " ".join(words), ""


def given_first(text: str) -> tuple[str, str]:
    """A name written either way, as (name with given names first, family name): "Smith, Jr., John"."""
    pieces = [" ".join(piece.split()) for piece in text.split(",")]
    match [piece for piece in pieces if piece]:
        case []:
            return "", ""
        case [whole]:
            return whole, family_of(whole)
        case [family, given] if _SUFFIX.fullmatch(given):  # "John Smith, Jr."
            return f"{family} {given}", family_of(f"{family} {given}")
        case [family, given]:
            return f"{given} {family}", family
        case [family, suffix, *given]:
            return " ".join([*given, family, suffix]), family
    raise AssertionError("a list is empty, has one item or more")
