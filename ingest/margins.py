"""Text around the page's own: line numbers of manuscripts, running heads and feet, page numbers, stamps."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.lines import Line

_PAGE_NUMBER = re.compile(r"\W*(?:page\s*)?(?:\d{1,5}|[ivxlc]{1,6})\s*(?:(?:of|/)\s*\d{1,5})?\W*", re.IGNORECASE)
_STAMP = re.compile(
    r"\b(?:content )?(?:downloaded|accessed|retrieved|delivered|printed)\s+(?:from|by|on|at|to|for)\b"
    r"|\blicensed use limited to\b|\bcopyright clearance center\b|\bfor personal use only\b",
    re.IGNORECASE,
)
_LEADING = re.compile(r"(\d{1,4})(?: \| |\s+|$)")
_TRAILING = re.compile(r"(?:^| \| |\s+)(\d{1,4})$")
_STEPS = (1, 5, 2, 10)
_DIGITS_WIDTH = 16.0
"""Points by which the numbers in one margin may differ in position: they are flush left or right."""


# ---- line numbers ---------------------------------------------------------------------------------------------------


class _Number(NamedTuple):
    """A number at the beginning or end of a line that may be a line number."""

    value: int
    line: int
    """Index of its line on the page."""
    x: float
    y: float
    cut: int
    """Where the rest of the line begins; for a trailing number, where it ends."""


def without_line_numbers(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages without line numbers, which manuscripts print beside each or every fifth line, in either margin."""
    found = [_line_numbers(lines) for lines in pages]
    full = [bool(numbers) for lines, numbers in zip(pages, found, strict=True) if len(lines) >= 10]
    if sum(full) < 0.5 * len(full):
        return [list(lines) for lines in pages]  # a numbered list, on some pages only
    return [_without(lines, numbers) for lines, numbers in zip(pages, found, strict=True)]


def _line_numbers(lines: Sequence[Line]) -> dict[int, tuple[int, int]]:
    """Lines with such a line number → where the rest begins and ends; (0, 0) if nothing remains."""
    cuts: dict[int, tuple[int, int]] = {}
    for pattern, leading in ((_LEADING, True), (_TRAILING, False)):
        numbers = []
        for i, line in enumerate(lines):
            if found := pattern.search(line.text) if not leading else pattern.match(line.text):
                cut = found.end() if leading else found.start()
                numbers.append(_Number(int(found[1]), i, line.x if leading else line.x_end, line.y, cut))
        for margin in _margins(numbers):
            chain = _chain(margin)
            if chain and _counts_lines(chain, lines, leading=leading):
                for number in chain:
                    whole = len(lines[number.line].text)
                    start, end = cuts.get(number.line, (0, whole))
                    cuts[number.line] = (max(start, number.cut), end) if leading else (start, min(end, number.cut))
    return cuts


def _margins(numbers: Iterable[_Number]) -> list[list[_Number]]:
    """The numbers in vertically aligned groups, each from top to bottom."""
    groups: list[list[_Number]] = []
    for number in sorted(numbers, key=lambda n: n.x):
        if groups and number.x - groups[-1][0].x < _DIGITS_WIDTH:
            groups[-1].append(number)
        else:
            groups.append([number])
    return [sorted(group, key=lambda n: -n.y) for group in groups if len(group) >= 4]


def _chain(numbers: Sequence[_Number]) -> list[_Number]:
    """The longest run of numbers that increase by the same step; up to two in a row may be missing."""
    best: list[_Number] = []
    for step in _STEPS:
        runs: list[list[_Number]] = []
        for number in numbers:
            fitting = [run for run in runs if number.value - run[-1].value in (step, 2 * step, 3 * step)]
            if fitting:
                max(fitting, key=len).append(number)
            else:
                runs.append([number])
        longest = max(runs, key=len)
        steady = sum(b.value - a.value == step for a, b in pairwise(longest)) >= 0.7 * (len(longest) - 1)
        if len(longest) >= (8 if step == 1 else 4) and steady and len(longest) > len(best):
            best = longest
    return best


def _counts_lines(chain: Sequence[_Number], lines: Sequence[Line], *, leading: bool) -> bool:
    """Whether a run of numbers counts lines of running text, not table rows or list entries."""
    taken = {number.line: number for number in chain}
    prose = {
        i: line
        for i, line in enumerate(lines)
        if len((rest := _rest(line.text, taken.get(i), leading=leading)).split()) >= 3
        and len(rest) >= 14
        and " | " not in rest
    }
    heights = [(line.y, 0.6 * line.size) for line in prose.values()]
    beside = [n for n in chain if n.line in prose or any(abs(y - n.y) < room for y, room in heights)]
    if len(beside) < 0.6 * len(chain):
        return False
    edge, top, bottom = chain[0].x, chain[0].y + 1, chain[-1].y - 1
    others = [
        line
        for i, line in prose.items()
        if i not in taken and bottom <= line.y <= top and not any(abs(line.y - n.y) < 0.6 * line.size for n in chain)
    ]
    across = [line for line in others if line.x < edge + 4 and line.x_end > edge - 4]
    column = [line for line in others if (line.x >= edge + 4 if leading else line.x_end <= edge - 4)]
    step = Counter(b.value - a.value for a, b in pairwise(chain)).most_common(1)[0][0]
    if step == 1:
        return len(column) + len(across) <= 0.4 * len(chain)
    return len(column) >= len(chain) and len(across) <= 0.1 * len(column)


def _rest(text: str, number: _Number | None, *, leading: bool) -> str:
    return text if number is None else text[number.cut :] if leading else text[: number.cut]


def _without(lines: Sequence[Line], cuts: dict[int, tuple[int, int]]) -> list[Line]:
    out = []
    for i, line in enumerate(lines):
        start, end = cuts.get(i, (0, len(line.text)))
        if start == 0 and end == len(line.text):
            out.append(line)
        elif text := line.text[start:end].strip():
            spans = [(max(0, at - start), style) for at, style in line.spans if at < end]
            spans = [s for s, after in zip(spans, [*spans[1:], (10**9, None)], strict=True) if after[0] > 0]
            x_end = line.x_end if end == len(line.text) else min(line.x_end, line.x + 0.52 * line.size * len(text))
            out.append(replace(line, text=text, spans=tuple(spans), x_end=x_end))
    return out


# ---- heads, feet and stamps -----------------------------------------------------------------------------------------


def is_stamp(text: str) -> bool:
    """Whether a line at the edge of a page says who downloaded the file, and when."""
    return bool(_STAMP.search(text))


def running_lines(pages: Sequence[Sequence[Line]]) -> set[Line]:
    """Heads, feet, page numbers and stamps: in the outer tenth of the page, and alike on several pages.

    Table rows there can also be alike except for their figures; but they are as close to the next row as lines of text
    are, and none of their figures follows the page number.
    """
    edge = [line for lines in pages for line in lines if line.height > 0.91 or line.height < 0.09]
    where: dict[tuple[str, bool], set[int]] = defaultdict(set)
    places: dict[tuple[str, int], set[int]] = defaultdict(set)
    alike: dict[tuple[str, bool], list[Line]] = defaultdict(list)
    for line in edge:
        key = _shape(line), line.height > 0.5
        where[key].add(line.page)
        places[key[0], round(line.y / 3)].add(line.page)
        alike[key].append(line)
    needed = max(2, min(3, math.ceil(len(pages) * 0.4)))
    found = {
        line
        for line in edge
        if len(where[_shape(line), line.height > 0.5]) >= needed
        or len(places[_shape(line), round(line.y / 3)]) >= 2
        or _PAGE_NUMBER.fullmatch(line.text)
    }
    found -= _rows_of_tables(found, pages, alike)
    stamped = (line for lines in pages for line in lines if line.height > 0.88 or line.height < 0.12)
    return found | {line for line in stamped if is_stamp(line.text)}


def _rows_of_tables(
    found: set[Line], pages: Sequence[Sequence[Line]], alike: dict[tuple[str, bool], list[Line]]
) -> set[Line]:
    """Those of the lines found that follow the page's text without a gap and do not contain page numbers."""
    rows: set[Line] = set()
    for lines in pages:
        text = [line for line in lines if line not in found]
        for top in (True, False):
            outer = [line for line in lines if line in found and (line.height > 0.5) == top]
            # from the text outwards: a line close to a row is a row
            for line in sorted(outer, key=lambda x: x.y if top else -x.y):
                close = [other for other in text if _is_close(line, other, top=top)]
                level = [x for x in lines if x is not line and abs(x.y - line.y) < 0.5]
                cells = level or any(" | " in other.text for other in (line, *close))
                if close and cells and not _counts_pages(alike[_shape(line), top]):
                    rows.add(line)
                    text.append(line)
    return rows


def _is_close(line: Line, other: Line, *, top: bool) -> bool:
    gap = line.y - other.y if top else other.y - line.y
    return (
        0 <= gap < 2.0 * line.size
        and abs(line.size - other.size) < 0.4
        and (gap < 0.5 or (line.x < other.x_end and other.x < line.x_end))
    )


def _counts_pages(lines: Sequence[Line]) -> bool:
    """Whether a number in lines that differ only in figures is the page number, counted from any start."""
    fields = [[int(number) for number in re.findall(r"\d{1,6}", line.text)] for line in lines]
    columns = zip(*fields, strict=False)
    return len({line.page for line in lines}) > 1 and any(
        len({number - line.page for number, line in zip(column, lines, strict=False)}) == 1 for column in columns
    )


def _shape(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text.lower())
