"""Whether words stand in a text exactly, whatever its ligatures, hyphens, dashes, quotation marks and line breaks."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from ingest.lines import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_DASHES = dict.fromkeys("‐‑‒–−⁃﹣－", "-") | dict.fromkeys("—―﹘", " - ")  # the long ones stand between words
_QUOTES = dict.fromkeys("‘’‚‛′`´", "'") | dict.fromkeys("“”„‟″«»", '"')
_MEANT = ("<super>", "<sub>", "<fraction>")
"""Compatibility forms that say something else than their plain characters: 10² is not 102."""

_NUMBER_GOES_ON = re.compile(r"[.,]\d|-(?!\w)")
"""Read outwards: the rest of 13.5, or the minus of -3.5; the hyphen of "top-5" is none."""

_READINGS = ("", "-", "- ")
"""What a hyphen at a line's end may be: of a broken word, of "user-generated", of "intra- or interspecific"."""

_UNDECIDED = "\x00"
_BROKEN = re.compile(r"(?<=[^\W\d_])-[ \t]*\n\s*(?=[^\W\d_])")


@cache
def plain(char: str) -> str:
    """What stands for a character in a comparison: letters for a ligature, one kind of dash and of quotation mark.

    Control and format characters, the soft hyphen among them, are nothing; a space is a plain one; a line break stays.
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
        text: of a page, or words that may stand on one.
        broken: what stands for a hyphen at a line's end; which of its readings is right cannot be seen here.
    """
    same = unicodedata.normalize("NFC", "".join(map(plain, text)))
    return " ".join(_BROKEN.sub(broken, same).split()).casefold()


def stands_in(words: str, text: str) -> bool:
    """Whether the words stand in the text in one piece: the same whole words after `normalised`."""
    return stand_in_order([words], text)


def stand_in_order(parts: Sequence[str], text: str) -> bool:
    """Whether each of the parts stands in the text as `stands_in` says, behind the one before it."""
    patterns = [_pattern(part) for part in parts]
    return any(_all_in(patterns, normalised(text, broken=broken)) for broken in (_READINGS if "\n" in text else [""]))


def _pattern(words: str) -> re.Pattern[str]:
    """What finds the words in a normalised text, each hyphen at a line's end in any of its readings."""
    pieces = normalised(words, broken=_UNDECIDED).split(_UNDECIDED)
    return re.compile(f"(?:{'|'.join(_READINGS)})".join(map(re.escape, pieces)))


def _all_in(patterns: Sequence[re.Pattern[str]], among: str) -> bool:
    at: int | None = 0
    for pattern in patterns:
        at = _end(pattern, among, at) if at is not None and pattern.pattern else None
    return bool(patterns) and at is not None


def _end(pattern: re.Pattern[str], among: str, start: int) -> int | None:
    """Where the first place of the words from `start` on ends, none of them a part of a longer word."""
    while found := pattern.search(among, start):
        before = among[found.start() - 1 :: -1] if found.start() else ""
        if not (_goes_on(before, found[0]) or _goes_on(among[found.end() :], found[0][::-1])):
            return found.end()
        start = found.start() + 1
    return None


def _goes_on(beyond: str, edge: str) -> bool:
    """Whether the word or number at the edge is longer than what was looked for; both are read outwards from there."""
    if not beyond or not edge[0].isalnum():
        return False
    return beyond[0].isalnum() or bool(edge[0].isdigit() and _NUMBER_GOES_ON.match(beyond))
