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
        broken: what stands for a hyphen at a line's end: nothing in a broken word, "-" in user-generated, "- " behind
            "intra-" in "intra- or interspecific". Which it is cannot be seen here.
    """
    same = unicodedata.normalize("NFC", "".join(map(plain, text)))
    return " ".join(_BROKEN.sub(broken, same).split()).casefold()


def stands_in(words: str, text: str) -> bool:
    """Whether the words stand in the text in one piece: the same whole words after `normalised`."""
    return stand_in_order([words], text)


def stand_in_order(parts: Sequence[str], text: str) -> bool:
    """Whether each of the parts stands in the text as `stands_in` says, behind the one before it."""
    return any(_all_in(parts, among) for among in _ways(text))


def _ways(text: str) -> set[str]:
    return {normalised(text, broken=broken) for broken in ("", "-", "- ")} if "\n" in text else {normalised(text)}


def _all_in(parts: Sequence[str], among: str) -> bool:
    at = 0
    for part in parts:
        ends = [_end(way, among, at) for way in _ways(part)]
        found = [end for end in ends if end is not None]
        if not found:
            return False
        at = min(found)
    return bool(parts)


def _end(wanted: str, among: str, start: int) -> int | None:
    """Where the first place of the words from `start` on ends, none of them a part of a longer word."""
    at = among.find(wanted, start) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if not (_goes_on(among[at - 1 :: -1] if at else "", wanted) or _goes_on(among[end:], wanted[::-1])):
            return end
        at = among.find(wanted, at + 1)
    return None


def _goes_on(beyond: str, edge: str) -> bool:
    """Whether the word or number at the edge is longer than what was looked for; both are read outwards from there."""
    if not beyond or not edge[0].isalnum():
        return False
    return beyond[0].isalnum() or bool(edge[0].isdigit() and _NUMBER_GOES_ON.match(beyond))
