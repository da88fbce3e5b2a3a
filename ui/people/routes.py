"""For several people: sharing papers, and a page without the links that somebody may not follow."""

from __future__ import annotations

from typing import Any

from rag.texts import _
from ui import core
from ui.people import rules
from ui.people.view import View

MANAGED = ("/settings", "/health", "/compare")
"""Pages for administrators."""


def followed(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the links in the header that who asks may follow."""
    return links if rules.may_manage() else [link for link in links if link["url"] not in MANAGED]


def share(ids: list[str], *, on: bool) -> str:
    """Let all see these papers, or no more; returns a sentence for the page."""
    library = core.library()
    if not isinstance(library, View):
        raise rules.NoSuchThingError("There are no accounts, so nothing is shared.", "See docs/people.md.")
    rules.check_papers("share", ids)
    library.share(ids, on=on)
    return _("Everybody sees it now.") if on else _("Only you see it now, unless somebody else shares it.")
