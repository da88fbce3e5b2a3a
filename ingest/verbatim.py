"""Whether words occur exactly in a text, regardless of ligatures, hyphens, dashes, quotation marks and line breaks."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from ingest.lines import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_DASHES = dict.fromkeys("‐‑‒–−⁃﹣－", "-") | dict.fromkeys("—―﹘", " - ")  # the long ones separate words
_QUOTES = dict.fromkeys("‘’‚‛′`´", "'") | dict.fromkeys("“”„‟″«»", '"')
_MEANT = ("<super>", "<sub>", "<fraction>")
"""Compatibility characters with another meaning than their plain forms: 10² is not 102."""

_NUMBER_GOES_ON = re.compile(r"[.,]\d|-(?!\w)")
"""Read outwards: the rest of 13.5, or the minus of -3.5; the hyphen of "top-5" is none."""

_READINGS = ("", "-", "- ")
"""What a hyphen at the end of a line may be: in a broken word, in "user-generated", in "intra- or interspecific"."""

_UNDECIDED = "\x00"
_BROKEN = re.compile(r"(?<=[^\W\d_])-[ \t]*\n\s*(?=[^\W\d_])")


@cache
def plain(char: str) -> str:
    """What replaces a character for comparison: letters for a ligature, one kind of dash and of quotation mark.

    Control and format characters, including the soft hyphen, are removed; every space becomes a plain one; line breaks
    stay.
    """
    if char == "\n":
        return char
    if char.isspace():
        return " "
    if char == "\N{SOFT HYPHEN}":
        return ""
    same = clean(char)
    if char and not unicodedata.decomposition(char).startswith(_MEANT):
        same = unicodedata.normalize("NFKC", same)
    return "".join(
        _DASHES.get(c) or _QUOTES.get(c, c) for c in same if unicodedata.category(c) not in {"Cc", "Cf", "Cs"}
    )


def normalised(text: str, *, broken: str = "") -> str:
    """The text as it is compared: see `plain`; single spaces, one case.

    Args:
        text: of a page, or words that may be on one.
        broken: replaces a hyphen at the end of a line; which reading is right cannot be decided here.
    """
    same = unicodedata.normalize("NFC", "".join(map(plain, text)))
    return " ".join(_BROKEN.sub(broken, same).split()).casefold()


def stands_in(words: str, text: str) -> bool:
    """Whether the words occur in the text in one piece, as the same whole words after `normalised`."""
    return stand_in_order([words], text)


def stand_in_order(parts: Sequence[str], text: str) -> bool:
    """Whether each part occurs in the text as in `stands_in`, after the previous one."""
    patterns = [_pattern(part) for part in parts]
    return any(_all_in(patterns, normalised(text, broken=broken)) for broken in (_READINGS if "\n" in text else [""]))


def _pattern(words: str) -> re.Pattern[str]:
    """A pattern for the words in a normalised text, with each hyphen at the end of a line in any reading."""
    pieces = normalised(words, broken=_UNDECIDED).split(_UNDECIDED)
    return re.compile(f"(?:{'|'.join(_READINGS)})".join(map(re.escape, pieces)))


def _all_in(patterns: Sequence[re.Pattern[str]], among: str) -> bool:
    at: int | None = 0
    for pattern in patterns:
        at = _end(pattern, among, at) if at is not None and pattern.pattern else None
    return bool(patterns) and at is not None


def _end(pattern: re.Pattern[str], among: str, start: int) -> int | None:
    """End of the first occurrence from `start` on that is not part of a longer word."""
    while found := pattern.search(among, start):
        before = among[found.start() - 1 :: -1] if found.start() else ""
        if not (_goes_on(before, found[0]) or _goes_on(among[found.end() :], found[0][::-1])):
            return found.end()
        start = found.start() + 1
    return None


def _goes_on(beyond: str, edge: str) -> bool:
    """Whether the word or number at the edge is longer than the one searched for; both are read outwards from there."""
    if not beyond or not edge[0].isalnum():
        return False
    return beyond[0].isalnum() or bool(edge[0].isdigit() and _NUMBER_GOES_ON.match(beyond))
