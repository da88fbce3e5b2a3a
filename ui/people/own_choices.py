"""Choices that each person makes for themselves; without accounts, those of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest import references
from ui.people import who

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.references import Style

STYLE = "style"


def chosen_style(folder: Path) -> Style | None:
    """The style of references that who asks chose; until then the library's."""
    name = who.people().choice(who.current(), STYLE) if who.is_on() else None
    if name is None:
        return references.chosen_style(folder)
    try:
        return references.find_style(name, folder) if name else None
    except references.StyleError:  # it is gone
        return None


def choose_style(name: str, folder: Path) -> Style | None:
    """Use this style from now on; none for references with numbers and pages. Returns it.

    Raises:
        StyleError: there is none of that name.
    """
    if not who.is_on():
        return references.choose_style(name, folder)
    style = references.find_style(name, folder) if name else None
    who.people().choose(who.current(), STYLE, style.name if style else "")
    return style
