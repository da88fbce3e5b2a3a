"""Preferred spellings: replace terms in model output by the team's spelling from the glossary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rag.retrieval.glossary import GlossaryEntry

_QUOTED = re.compile(r"“[^”\n]*(?:”|$)|\"[^\"\n]*(?:\"|$)|«[^»\n]*(?:»|$)|`[^`\n]*(?:`|$)", re.MULTILINE)
_VOWEL = re.compile(r"[aeioAEIO](?![A-Z])|[uU](?!n[ai]|s)(?![A-Z])|[AEFHILMNORSX](?=[A-Z]{1,5}\b)")
"""What takes the article "an": judged by sound, as far as the spelling shows it."""
_BEGINS = re.compile(r"(?:^|[.!?]\s+|\n\s*)$")


def as_preferred(text: str, entries: Iterable[GlossaryEntry]) -> str:
    """The text with the glossary's terms in the team's spelling.

    Quotations and parts of words stay unchanged. A term at the start of a sentence is capitalised.
    """
    wanted = {name.casefold(): e.preferred for e in entries if e.preferred for name in (*e.names, e.preferred)}
    if not wanted:
        return text
    longest_first = sorted(wanted, key=len, reverse=True)  # otherwise "LM" would match inside "LLM"
    names = "|".join(map(re.escape, longest_first))
    pattern = re.compile(rf"(?<![\w-])(?P<article>an? )?(?P<name>{names})(?![\w-])", re.IGNORECASE)
    kept = [found.span() for found in _QUOTED.finditer(text)]

    def written(found: re.Match[str]) -> str:
        name, article = found["name"], found["article"] or ""
        new = wanted[name.casefold()]
        quoted = any(a < found.end() and found.start() < b for a, b in kept)
        if quoted or new in {name, name[:1].lower() + name[1:]}:
            return found[0]
        if article:
            return f"{article[0]}{'n' if _VOWEL.match(new) else ''} {new}"
        return new[:1].upper() + new[1:] if _BEGINS.search(text, 0, found.start()) else new

    return pattern.sub(written, text)
