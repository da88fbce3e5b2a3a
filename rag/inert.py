"""Text of a paper that is to be shown as it is: on one line, with nothing in it that Markdown would act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag.sanitise import INVISIBLE, JOINER

if TYPE_CHECKING:
    from collections.abc import Collection

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_ADDRESS = re.compile(r":(?=/)|www(?=\.)|@(?!\s)", re.IGNORECASE)


def inert(text: str, *, limit: int | None = None) -> str:
    """`text` on one line, shortened to `limit` characters, with nothing in it that Markdown would act on."""
    flat = cut(text, limit=limit)
    broken = _ADDRESS.sub(lambda match: match[0] + JOINER, flat)
    return _PUNCTUATION.sub(r"\\\1", broken)


def cut(text: str, *, limit: int | None) -> str:
    """`text` on one line, shortened to `limit` characters at the end of a word."""
    flat = " ".join(INVISIBLE.sub(" ", text).split())
    if limit is not None and len(flat) > limit:
        flat = flat[:limit].rsplit(" ", 1)[0].rstrip(" ,;:.-") + " …"
    return flat


def table(rows: Collection[Collection[str]]) -> str:
    """Rows of cells as a table, the first row its head; empty where there are none."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(inert(cell) or ' ' for cell in row)} |" for row in rows]
    return "\n".join((lines[0], f"|{' --- |' * len(next(iter(rows)))}", *lines[1:]))
