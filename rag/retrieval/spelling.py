"""Preferred spellings: what the team's glossary wants a term to be called, put into what a model wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rag.retrieval.glossary import GlossaryEntry

_QUOTED = re.compile(r"“[^”\n]*(?:”|$)|\"[^\"\n]*(?:\"|$)|«[^»\n]*(?:»|$)|`[^`\n]*(?:`|$)", re.MULTILINE)
_VOWEL = re.compile(r"[aeioAEIO](?![A-Z])|[uU](?!n[ai]|s)(?![A-Z])|[AEFHILMNORSX](?=[A-Z]{1,5}\b)")
"""What "an" stands before: by sound, as far as letters tell it."""
_BEGINS = re.compile(r"(?:^|[.!?]\s+|\n\s*)$")


def as_preferred(text: str, entries: Iterable[GlossaryEntry]) -> str:
    """The text with each term of the glossary as the team writes it.

    What stands between quotation marks stays as the paper has it, and so does a word that is only part of another. At
    the beginning of a sentence a term has a capital.
    """
    wanted = {name.casefold(): e.preferred for e in entries if e.preferred for name in (*e.names, e.preferred)}
    if not wanted:
        return text
    longest_first = sorted(wanted, key=len, reverse=True)  # else "LM" would be found in the "LLM" that is wanted
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
