"""The outline (bookmarks) of a PDF, and the lines that its entries name: if there is one, it is the best source."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.headings import Named
from ingest.lines import clean, squash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.lines import Line

_MAX_ENTRIES = 1000
_MAX_TITLE = 300
"""How many characters of an entry are compared."""
_NUMBER = re.compile(r"^\W*(?:(?:\d{1,2}(?:\.\d{1,2}){0,4}|[IVX]{1,5}|[A-H])[.)]\s*|\d{1,2}(?:\.\d{1,2}){0,4}\s+)")


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """One entry of a PDF's outline."""

    title: str
    page: int
    """Target page, 1-based."""
    depth: int
    """0 for the outermost."""


def read_outline(document: Any) -> tuple[OutlineEntry, ...]:
    """The outline of a pypdfium2 document; empty if it is missing or damaged."""
    entries: list[OutlineEntry] = []
    with contextlib.suppress(Exception):  # the outline is optional
        for item in document.get_toc(max_depth=8):
            target = item.get_dest()
            page = target.get_index() if target is not None else None  # also None if that page is missing
            title = " ".join(clean(item.get_title() or "").split())[:_MAX_TITLE]
            if page is not None and title:
                entries.append(OutlineEntry(title, page + 1, item.level))
            if len(entries) >= _MAX_ENTRIES:
                break
    return tuple(entries)


def named_lines(lines: Sequence[Line], outline: Sequence[OutlineEntry]) -> list[Named]:
    """The lines that the entries name, in line order; entries that match no line of their page are left out."""
    by_page: dict[int, list[int]] = {}
    for i, line in enumerate(lines):
        by_page.setdefault(line.page, []).append(i)
    keys = [_key(line.text) for line in lines]
    found: dict[int, Named] = {}
    at = -1
    for entry in outline:
        sought = _key(entry.title)
        if len(sought) < 3:
            continue
        hits = [hit for i in by_page.get(entry.page, ()) if i not in found and (hit := _named(lines, keys, i, sought))]
        after = [hit for hit in hits if hit[0] > at] or hits
        if after:
            # prefer a line of its own to the beginning of a sentence
            first, last, length = min(after, key=lambda hit: (hit[2] < len(lines[hit[1]].text), hit[0]))
            found[first] = Named(first, last, length, entry.depth)
            at = first
    return [found[i] for i in sorted(found)]


def _named(lines: Sequence[Line], keys: Sequence[str], first: int, sought: str) -> tuple[int, int, int] | None:
    """First line, last line and length in it of a title that begins at a line, if it does."""
    last, key = first, keys[first]
    if not key or not sought.startswith(key[: len(sought)]):
        return None
    while len(key) < len(sought) and last + 1 < len(lines) and last < first + 4:
        last += 1
        key = key.removesuffix("-") + squash(lines[last].text)
    if not key.startswith(sought):
        return None
    surplus = len(key) - len(sought)
    text = lines[last].text
    if not surplus:
        return first, last, len(text)
    end = len(text)
    while end and len(squash(text[end:])) < surplus:
        end -= 1
    if text[end - 1 : end].isalnum() and text[end : end + 1].isalnum():
        return None  # inside a word
    style = next((s for start, s in reversed(lines[last].spans) if start < max(1, end)), lines[last].style)
    after = next((s for start, s in reversed(lines[last].spans) if start <= end + 2), lines[last].style)
    if style == after:
        return None  # a sentence that begins with the same words
    while end < len(text) and text[end] in ".:":
        end += 1
    return first, last, end


def _key(text: str) -> str:
    return squash(_NUMBER.sub("", text))
