"""Page names as printed: the file's own page labels (ISO 32000-2, 12.4.2), else its running page numbers."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.lines import Line

_MOST = 16
"""Maximum characters of a label; a longer one is not a page number."""
_SHARE = 0.6
"""Minimum share of pages with the expected number before numbers in margins count as page numbers."""
_EDGE = 0.12
"""Share of the page's height, from its top and bottom, in which a running number may be."""
_MAX_LINE = 160
"""Characters; a longer line is not a line in a margin."""

_LABEL = re.compile(r"[^\W_](?:[\w .+:/–-]*[\w+])?")
_TOKEN = re.compile(r"(?P<prefix>[A-Z]{1,2}-?|e)?(?P<number>[1-9]\d{0,5})|(?P<roman>[ivxl]{1,8}|[IVXL]{1,8})")
_ROMAN = re.compile(r"(?:xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_VALUE = {"i": 1, "v": 5, "x": 10, "l": 50}

_Run = tuple[str, int]
"""Prefix, "i" for lower-case and "I" for upper-case Roman numbers, and number minus position."""


def page_labels(stated: Sequence[str], pages: Sequence[Sequence[Line]]) -> tuple[str, ...]:
    """The name of each page, "" if unknown; empty if all names are just the position in the file.

    Args:
        stated: the file's labels, one per page; empty if it has none.
        pages: the lines of each page, including running heads and feet.
    """
    own = [" ".join(label.split()) for label in stated]
    own = [label if len(label) <= _MOST and _LABEL.fullmatch(label) else "" for label in own]
    known = [label for label in own if label]
    positions = [str(number) for number in range(1, len(pages) + 1)]
    if len(own) == len(pages) and own != positions and len(set(known)) > _SHARE * len(pages):
        return tuple(own)
    return _printed(pages)


def _printed(pages: Sequence[Sequence[Line]]) -> tuple[str, ...]:
    """The page numbers in the margins, if they run through the document."""
    runs: dict[_Run, list[int]] = defaultdict(list)
    for position, lines in enumerate(pages, start=1):
        for run in {(kind, number - position) for kind, number in _numbers(lines)}:
            runs[run].append(position)
    needed = max(2, math.ceil(_SHARE * len(pages)))
    # if a manuscript and a journal both number the pages, use the journal's
    body = max(runs, key=lambda run: (len(runs[run]), run[1] != 0), default=("", 0))
    if len(runs.get(body, ())) < needed or body == ("", 0):
        return ()
    labels = [""] * len(pages)
    _put(labels, body, runs[body])
    front = {run: [at for at in found if not labels[at - 1]] for run, found in runs.items() if run[0] in ("i", "I")}
    if front and len(front[best := max(front, key=lambda run: len(front[run]))]) >= 2:
        _put(labels, best, front[best])
    return tuple(labels)


def _put(labels: list[str], run: _Run, found: Sequence[int]) -> None:
    """Label from one page before the first printed number to one after the last: title pages often have none."""
    kind, offset = run
    for position in range(max(1, found[0] - 1), min(len(labels), found[-1] + 1) + 1):
        number = position + offset
        if number >= 1 and not labels[position - 1]:
            labels[position - 1] = _roman(number, kind) if kind in ("i", "I") else f"{kind}{number}"


def _numbers(lines: Sequence[Line]) -> set[tuple[str, int]]:
    """Candidates for the page number: first and last word of each part of a line in the margins."""
    found = set()
    for line in lines:
        if line.turned or _EDGE < line.height < 1 - _EDGE or len(line.text) > _MAX_LINE:
            continue
        for part in re.split(r"[|•·\t]", line.text):
            words = [word for word in (word.strip("[](){}.,;:–—-*") for word in part.split()) if word]
            words = words[1:] if words and words[0].lower() in ("page", "p", "seite") else words
            for word in words[:1] + words[-1:]:
                if not (token := _TOKEN.fullmatch(word)):
                    continue
                if token["number"]:
                    found.add((token["prefix"] or "", int(token["number"])))
                elif _ROMAN.fullmatch(small := token["roman"].lower()):
                    found.add(("i" if token["roman"] == small else "I", _arabic(small)))
    return found


def _arabic(roman: str) -> int:
    values = [_VALUE[char] for char in roman]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _roman(number: int, kind: str) -> str:
    written = "l" * (number // 50)
    tens, ones = divmod(number % 50, 10)
    written += ("", "x", "xx", "xxx", "xl")[tens]
    written += ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")[ones]
    return written if kind == "i" else written.upper()
