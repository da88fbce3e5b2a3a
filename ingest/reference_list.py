"""Find the lines of the reference list, and where each entry begins."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ingest.known_headings import CAPTION, is_known, is_references

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


_LONGEST_ENTRY = 30
"""Maximum lines of an entry, including those of a page's head."""
_SHOWN = 0.5
"""Minimum share of a list's entries that contain a year, a DOI or an address."""
_SOURCE = re.compile(r"\b(?:1[89]|20)\d\d[a-z]?\b|\b10\.\d{4,9}/|https?:|\bin press\b|\bn\.\s?d\.", re.IGNORECASE)


_AFTER_LIST = re.compile(
    r"(?-i:(?=[A-Z©]))(?:(?:conflicts? of interests?|competing interests?|publisher[’']s note|submit your|how to cite|"
    r"cite this article|supporting information)\b|disclaimer:|edited by:|reviewed by:|received:|copyright ©|©)",
    re.IGNORECASE,
)
"""Begins with a capital: text that continues in lower case is a title over two lines."""


class References(NamedTuple):
    """The lines of the reference lists and those that begin an entry, as indices."""

    lines: frozenset[int]
    starts: frozenset[int]


NO_REFERENCES = References(frozenset(), frozenset())


def find_references(lines: Sequence[Line], heads: Sequence[Head]) -> References:
    """The entries under each heading for references, or if there is none, a numbered list at the end."""
    members: set[int] = set()
    starts: set[int] = set()
    for first, end in _regions(lines, heads):
        got = _entries(lines, range(first, end))
        if _share_of_sources(lines, got) < _SHOWN:
            continue  # a table with a column of that name
        members |= got.lines
        starts |= got.starts
    if not starts:
        got = _unheaded(lines)
        if not got.starts:
            got = _hanging_at_the_end(lines)
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
        labels = _numbered_starts(lines, range(i + 1, len(lines)))
        later = (
            h.first
            for h in heads
            if h.first > i
            and (h.level == 1 or (own and h.level <= own.level) or is_known(_title(lines, h)))
            and not _goes_on(lines, labels, h.first)
            and (is_known(_title(lines, h)) or not _within_entry(lines, h))
        )
        regions.append((i + 1, next(later, len(lines))))
    return regions


def _goes_on(lines: Sequence[Line], labels: dict[int, int], at: int) -> bool:
    """Whether the list's numbers continue soon after a line: a journal in italics there is not a heading."""
    before = max((i for i in labels if i <= at), default=None)
    after = min((i for i in labels if i > at), default=None)
    if before is None or after is None or after - before > _LONGEST_ENTRY:
        return False
    # an appendix that counts from where the list ended would be indented or set otherwise
    same_edge = abs(lines[after].size - lines[before].size) < 0.3
    return same_edge and 0 < labels[after] - labels[before] <= 2


def _within_entry(lines: Sequence[Line], head: Head) -> bool:
    """Whether an apparent heading is set like an entry's next line: a journal in italics."""
    line, before = lines[head.first], lines[head.first - 1]
    close = 0 < before.y - line.y < 1.4 * line.size and abs(before.size - line.size) < 0.3
    return close and head.first == head.last and head.length < len(line.text) and not line.bold


def _title(lines: Sequence[Line], head: Head) -> str:
    return lines[head.first].text[: head.length if head.first == head.last else None].strip()


def _entries(lines: Sequence[Line], region: range) -> References:
    """The lines and beginnings of entries in a region; figures and other text in between are left out."""
    # up to what a publisher prints below the list
    labels = _numbered_starts(lines, region)
    closing = (i for i in region[6:] if _AFTER_LIST.match(lines[i].text) and not _goes_on(lines, labels, i))
    below = next(closing, region.stop)
    region = range(region.start, below)
    if not region:
        return NO_REFERENCES
    starts = set(_numbered_starts(lines, region))
    captions: set[int] = set()
    if len(starts) < 2:
        captions = _caption_lines(lines, region)
        starts = _unnumbered_starts(lines, [i for i in region if i not in captions])
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
        elif (
            i in captions
            or CAPTION.match(line.text)
            or abs(line.size - size) > 0.8
            or (" | " in line.text and not follows)
        ):
            inside = False
        elif not inside and abs(line.size - size) < 0.3 and round(line.x) in edges:
            inside = True  # after a page's head, or a figure
        elif inside:
            edges.add(round(line.x))
        if inside:
            members.add(i)
    return References(frozenset(members), frozenset(starts & members))


def _caption_lines(lines: Sequence[Line], region: range) -> set[int]:
    """The lines of captions within a region: from "Fig. 4" on as long as the lines follow each other closely."""
    found: set[int] = set()
    for i in region:
        line, before = lines[i], lines[i - 1]
        follows = 0 < before.y - line.y < 1.5 * line.size and abs(before.size - line.size) < 0.4
        if CAPTION.match(line.text) or (i - 1 in found and follows and before.page == line.page):
            found.add(i)
    return found


def _share_of_sources(lines: Sequence[Line], got: References) -> float:
    """Share of entries that say when or where they were published; 1 for a list of one or two."""
    ordered = [*sorted(got.starts), max(got.lines, default=0) + 1]
    texts = [" ".join(lines[k].text for k in range(a, min(b, a + 12)) if k in got.lines) for a, b in pairwise(ordered)]
    return sum(bool(_SOURCE.search(text)) for text in texts) / len(texts) if len(texts) > 2 else 1.0


def _numbered_starts(lines: Sequence[Line], region: range) -> dict[int, int]:
    """Lines labelled 1, 2, 3 … in order, and their numbers; a label may be missing here and there."""
    starts: dict[int, int] = {}
    last = 0
    for i in region:
        label = _LABELLED.match(lines[i].text)
        number = int(label[1]) if label else 0
        if label and last < number <= last + 2 and (starts or number == 1):
            starts[i] = last = number
    return starts


def _unnumbered_starts(lines: Sequence[Line], region: Sequence[int]) -> set[int]:
    """Lines at the column's left edge where the others hang, or else those that begin with an author after an end."""
    if not region:
        return set()
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


def _columns(lines: Sequence[Line], region: Sequence[int]) -> list[list[int]]:
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


def _hanging_at_the_end(lines: Sequence[Line]) -> References:
    """The hanging entries with which a document ends, if there are at least three and all say when or where.

    Each begins at the column's edge with an author or a title, and its other lines are indented.
    """
    members: list[int] = []
    starts: list[int] = []
    entry: list[int] = []
    edge: float | None = None
    for i in range(len(lines) - 1, max(-1, len(lines) - 600), -1):
        line = lines[i]
        entry.append(i)
        opens = _AUTHOR.match(line.text) or (starts and edge is not None and abs(line.x - edge) < 2.5)
        hangs = all(5 < lines[k].x - line.x < 45 for k in entry[:-1])
        if opens and hangs and _SOURCE.search(" ".join(lines[k].text for k in reversed(entry))):
            if not any(5 < lines[k].x - line.x < 45 for k in entry[:-1]) and not starts:
                break
            members += entry
            starts.append(i)
            edge, entry = line.x, []
        elif len(entry) > 12:
            break
    good = len(starts) >= 3 and sum(bool(_AUTHOR.match(lines[i].text)) for i in starts) > 0.5 * len(starts)
    return References(frozenset(members), frozenset(starts)) if good else References(frozenset(), frozenset())
