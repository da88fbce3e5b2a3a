"""Follow a Zotero library: its tags, collections and notes come to our papers, and what a person decided here stays.

A tag that was removed here is not set again, and one that was removed in Zotero is taken off if it came from there. A
title that was corrected in Zotero is corrected here if it is still the one that came from there; so is all else that
describes a paper.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ingest.from_zotero import FromZotero, Item
from ingest.tags import MAX_TAG_CHARS, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ingest.library import Library
    from ingest.paper import Paper


def follow(library: Library, said: Mapping[str, FromZotero]) -> list[dict[str, Any]]:
    """Bring papers up to date with what Zotero says now; return the rows that the command line prints.

    Args:
        library: which this process owns.
        said: by paper; `set_here` is not read.
    """
    new: dict[str, list[str]] = defaultdict(list)
    gone: dict[str, list[str]] = defaultdict(list)
    kept: dict[str, FromZotero] = {}
    for paper_id, now in said.items():
        before = library.from_zotero(paper_id)
        has = _folded(library.tags_of(paper_id))
        wanted = {tag.casefold(): tag for tag in map(_fitting, now.tags) if tag}
        added = [tag for tag in wanted.values() if tag.casefold() not in has | _folded(before.tags)]
        for tag in added:
            new[tag].append(paper_id)
        for tag in before.set_here:
            if tag.casefold() in has - wanted.keys():
                gone[tag].append(paper_id)
        if added:  # kept before they are set: a run that ends in between must not take them for a person's
            library.keep_from_zotero(
                paper_id, replace(before, set_here=tuple(dict.fromkeys((*before.set_here, *added))))
            )
        if facts := _changed(library.paper(paper_id), before.item, now.item):
            library.describe(paper_id, **facts)
        set_here = (*(tag for tag in before.set_here if tag.casefold() in wanted.keys() & has), *added)
        after = FromZotero(tuple(wanted.values()), set_here, now.notes, now.item)
        if after != before:
            kept[paper_id] = after
    rows = [("tagged", library.tag(ids, tag), ids) for tag, ids in sorted(new.items())]
    rows += [("untagged", library.untag(ids, tag), ids) for tag, ids in sorted(gone.items())]
    for paper_id, after in kept.items():
        library.keep_from_zotero(paper_id, after)
    return [{"tag": tag, "status": status, "papers": ids, "error": None} for status, tag, ids in rows]


def _changed(paper: Paper, before: Item, now: Item) -> dict[str, Any]:
    """What Zotero says otherwise than before, where the paper is as it said before."""
    names = ("title", "authors", "year", "doi", "arxiv_id", "isbn", "publication")
    facts = {
        name: value
        for name in names
        if (value := getattr(now, name)) and getattr(before, name) == getattr(paper, name) != value
    }
    return facts | ({"families": now.families} if "authors" in facts else {})


def _fitting(tag: str) -> str:
    """The tag as ours are: on one line, and not too long; empty if it has nothing that shows."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in tag).split())
    return clean(flat[:MAX_TAG_CHARS]) if flat else ""


def _folded(tags: Iterable[str]) -> set[str]:
    return {tag.casefold() for tag in tags}
