"""Sharing papers, where there are several people."""

from __future__ import annotations

from rag.texts import _
from ui import core
from ui.people import rules
from ui.people.view import View


def share(ids: list[str], *, on: bool) -> str:
    """Let all see these papers, or no more; returns a sentence for the page."""
    library = core.library()
    if not isinstance(library, View):
        raise rules.NoSuchThingError("There are no accounts, so nothing is shared.", "See docs/people.md.")
    rules.check_papers("share", ids)
    library.share(ids, on=on)
    return _("Everybody sees it now.") if on else _("Only you see it now, unless somebody else shares it.")
