"""The noun: a highlight or a note that somebody made in a PDF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["highlight", "underline", "strikeout", "squiggly", "note", "text"]

MAX_TEXT = 4_000
"""Characters of a note or of marked words."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the page as it is displayed, from its upper left corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One highlight or note."""

    page: int
    """1-based."""
    kind: Kind
    """A "note" stands on its own, "text" was written on the page."""
    quote: str = ""
    """The marked words, on one line; empty where none are marked or the page is a picture."""
    note: str = ""
    """What was written; empty where nothing was."""
    author: str = ""
    boxes: tuple[Box, ...] = ()
    """Where it stands: a box for each marked line."""
