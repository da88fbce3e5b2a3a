"""Which lines are the list of references, and where each entry begins."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ingest.headings import CAPTION, is_known, is_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.headings import Head
    from ingest.lines import Line

_LABELLED = re.compile(r"[\[(]?(\d{1,3})(?:[\])]|\.|:|(?=\s))[.:]?(?:\s+|(?=[A-Z])|$)")
_AUTHOR = re.compile(
    r"(?:(?:de|van|von|der|den|da|di|del|la|le|el|al)[\s-]+)*[A-Z][^\W\d_'’-]*(?:['’ -][^\W\d_]+){0,3},?\s+"
    r"(?:[A-Z][A-Za-z]?\.?[\s,-]*){1,4}(?:[,.;:&(]|and\b|$)"
    r"|[A-Z][^\W\d_]+,\s+[A-Z][^\W\d_]+"
)
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d[a-z]?\b")


class References(NamedTuple):
    """The lines of the reference lists and those among them that begin an entry, as indices."""

    lines: frozenset[int]
    starts: frozenset[int]


NO_REFERENCES = References(frozenset(), frozenset())


def find_references(lines: Sequence[Line], heads: Sequence[Head]) -> References:
    """The entries under each heading for references, or where there is none, a numbered list at the end."""
    members: set[int] = set()
    starts: set[int] = set()
    for first, end in _regions(lines, heads):
        got = _entries(lines, range(first, end))
        members |= got.lines
        starts |= got.starts
    if not starts:
        got = _unheaded(lines)
        members, starts = set(got.lines), set(got.starts)
    return References(frozenset(members), frozenset(starts))


def _regions(lines: Sequence[Line], heads: Sequence[Head]) -> list[tuple[int, int]]:
    """From after each heading for references to the next heading that is not inside the list."""
    by_line = {head.first: head for head in heads}
    regions = []
    for i, line in enumerate(lines):
        if not is_references(line.text) or i + 2 >= len(lines):
            continue
        own = by_line.get(i)
        if not own and not any(_LABELLED.match(x.text) or _AUTHOR.match(x.text) for x in lines[i + 1 : i + 3]):
            continue
        later = (
            h.first
            for h in heads
            if h.first > i and (h.level == 1 or (own and h.level <= own.level) or is_known(_title(lines, h)))
        )
        regions.append((i + 1, next(later, len(lines))))
    return regions


def _title(lines: Sequence[Line], head: Head) -> str:
    return lines[head.first].text[: head.length if head.first == head.last else None].strip()


def _entries(lines: Sequence[Line], region: range) -> References:
    """The members and beginnings of entries within a region; figures and other text in between are left out."""
    if not region:
        return NO_REFERENCES
    starts = _numbered_starts(lines, region)
    if len(starts) < 2:
        starts = _unnumbered_starts(lines, region)
    if not starts:
        return NO_REFERENCES
    sizes = Counter(round(lines[i].size * 2) / 2 for i in starts)
    size = sizes.most_common(1)[0][0]
    members: set[int] = set()
    edges: set[int] = set()  # where continued lines begin
    inside = False
    for i in region:
        line, before = lines[i], lines[i - 1]
        follows = 0 < before.y - line.y < 1.7 * line.size and abs(before.size - line.size) < 0.4
        if i in starts:
            inside = True
        elif CAPTION.match(line.text) or abs(line.size - size) > 0.8 or (" | " in line.text and not follows):
            inside = False
        elif not inside and abs(line.size - size) < 0.3 and round(line.x) in edges:
            inside = True  # after a page's head, or a figure
        elif inside:
            edges.add(round(line.x))
        if inside:
            members.add(i)
    return References(frozenset(members), frozenset(starts & members))


def _numbered_starts(lines: Sequence[Line], region: range) -> set[int]:
    """Lines with the labels 1, 2, 3 … in order; one label may be missing here and there."""
    starts: set[int] = set()
    last = 0
    for i in region:
        label = _LABELLED.match(lines[i].text)
        number = int(label[1]) if label else 0
        if label and last < number <= last + 2 and (starts or number == 1):
            starts.add(i)
            last = number
    return starts


def _unnumbered_starts(lines: Sequence[Line], region: range) -> set[int]:
    """Lines at the column's left edge where the others hang, or else those that begin with an author after an end."""
    columns = _columns(lines, region)
    hanging = [(i, lines[i].x - min(lines[j].x for j in column)) for column in columns for i in column]
    out = [i for i, indent in hanging if indent < 2.5]
    indented = [i for i, indent in hanging if 5 < indent < 45]
    if len(indented) > 0.25 * len(hanging) and len(out) > 0.15 * len(hanging):
        return {i for i in out if not lines[i].text[:1].islower()}
    return {region[0]} | {
        i
        for i in region[1:]
        if _AUTHOR.match(lines[i].text)
        and (lines[i - 1].text.endswith((".", "]", ")")) or _YEAR.search(lines[i - 1].text[-8:]))
    }


def _columns(lines: Sequence[Line], region: range) -> list[list[int]]:
    columns: list[list[int]] = []
    for i in region:
        last = lines[i - 1] if columns else None
        if last is None or last.page != lines[i].page or lines[i].y > last.y + last.size:
            columns.append([])
        columns[-1].append(i)
    return columns


def _unheaded(lines: Sequence[Line]) -> References:
    """The longest list of numbered entries with years in the last 60 % of the document, if it has at least five."""
    best = NO_REFERENCES
    late = range(int(0.4 * len(lines)), len(lines))
    first = [i for i in late if (label := _LABELLED.match(lines[i].text)) and int(label[1]) == 1]
    for i in first[-8:]:  # each costs a walk to the end
        got = _entries(lines, range(i, len(lines)))
        if len(got.starts) < 5 or len(got.starts) <= len(best.starts) or i not in got.starts:
            continue
        ordered = [*sorted(got.starts), max(got.lines) + 1]
        texts = [" ".join(lines[k].text for k in range(a, min(b, a + 6))) for a, b in pairwise(ordered)]
        if sum(bool(_YEAR.search(text)) for text in texts) >= 0.7 * len(texts):
            best = got
    return best
