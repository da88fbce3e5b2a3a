"""Which language a question is in, as far as letters and small words say so: the embedded models read English only."""

from __future__ import annotations

import re
from typing import Final

_GERMAN: Final = frozenset(
    "der die das den dem des und oder ist sind war waren wird werden wurde wurden welche welcher welches welchen wie "
    "was wer wo warum wann nicht ein eine einen einem einer eines mit von für auf bei über zu zum zur im am als auch "
    "hat haben kann können gibt es sich nach aus durch zwischen wirkt zeigt bedeutet".split()
)
_ENGLISH: Final = frozenset(
    "the of and or is are were will what which who how where why when not a an with from for on at over to in as also "
    "has have can does do did it its their they by between this that these than was die most".split()
)
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_LETTER = re.compile(r"[^\W\d_]")

NOTICE: Final = (
    "The embedded models only read English, and this question looks {language}. Ask in English, or see "
    "docs/languages.md for other languages."
)


def language_of(question: str) -> str | None:
    """German by its small words, Bulgarian by its Cyrillic letters; None for English and whatever is not known."""
    letters = _LETTER.findall(question)
    if letters and len(_CYRILLIC.findall(question)) > 0.5 * len(letters):
        return "Bulgarian"
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", question)]
    german, english = (sum(word in small for word in words) for small in (_GERMAN, _ENGLISH))
    marked = any(re.search("[äöüß]", word) for word in words)
    return "German" if german > english and german + marked >= 2 else None
