"""Forms of names: of people and bodies without accents, and what stands for a paper in a question."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Paper

NAMED = "ƥ"
"""Stands in a question for each name of a paper."""

NOUN = (
    r"(?:papers?|articles?|stud(?:y|ies)|publications?|preprints?|manuscripts?"
    r"|(?:(?:mini|systematic|literature)[ -]?)?reviews?|reports?|survey|thesis|chapter"
    r"|corrigendum|artikels?|studien?|arbeit|aufsatz|veroffentlichung|publikation|beitrag|ubersicht"
    r"|статията|статия|публикацията|публикация|изследването|изследване|доклада|докладът|обзора|обзорът|труда)"
)
POLITE = r"(?:please |kindly )?(?:(?:can|could|would|will) you )?(?:please )?"
"""How a request may begin."""

SHORT = r"(?:in short|in brief|briefly|shortly|in a nutshell|in (?:one|a|two|three|a few) (?:sentences?|words?|lines?))"
IN_SHORT = rf"(?:{SHORT}[,:]? )?"
"""How a question for a summary may begin."""

MARKS = "\"“”„‘’'«»"

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "’": "'", "‘": "'", "ʼ": "'"}
    | dict.fromkeys("‐‑‒–—−", "-")
    | {"\N{SOFT HYPHEN}": ""}
)
_SUFFIX = frozenset("jr sr jnr snr ii iii iv phd md dds msc bsc mph dr prof mr mrs ms".split())
_OF_NAMES = frozenset("of the for and on in to de la du".split())


def fold(text: str) -> str:
    """Small letters without accents; typographic hyphens and apostrophes become plain ones."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold().translate(_LETTERS)


@lru_cache(maxsize=65_536)
def folded_words(text: str) -> tuple[str, ...]:
    """The words of a text, folded; marks and underscores divide them."""
    return tuple(re.findall(r"[^\W_]+", fold(text)))


@lru_cache(maxsize=65_536)
def family_forms(name: str) -> tuple[str, ...]:
    """How the author of this name may be called, folded: "burg", "van der burg", "sven van der burg", …, last first.

    A body has its whole name and its initials: "world health organization", "who".
    """
    family, comma, given = name.partition(",")
    if comma and fold(given).strip(" .") not in _SUFFIX:
        name = f"{given} {family}"
        tail = len(fold(family).split())
    else:
        tail = 1
    raw = [word for word in re.split(r"[\s,]+", re.sub(r"(?<=\w)\.(?=\w)", ". ", name)) if word]
    words = [fold(word).strip(".") for word in raw]
    capitals = [word[0].upper() for word in raw if fold(word).strip(".") not in _OF_NAMES and word[0].isalpha()]
    while len(words) > 1 and (words[-1] in _SUFFIX or len(words[-1]) <= 1):
        words.pop()
    if not words or not words[-1]:
        return ()
    forms = [" ".join(words[at:]) for at in range(len(words) - tail, -1, -1)]
    if tail > 1:
        forms.insert(0, words[-1])
    if len(words) > 2:
        forms.append(f"{words[0]} {words[-1]}")
    if len(capitals) >= 3 and is_body(raw):
        forms.append("".join(capitals).casefold())
    umlauts = fold("".join({"ä": "ae", "ö": "oe", "ü": "ue"}.get(char, char) for char in name.casefold()))
    if umlauts != fold(name):
        forms.append(umlauts.split()[-1].strip("."))
    return tuple(dict.fromkeys(form for form in forms if len(form) > 1))


def is_by(paper: Paper, person: str) -> bool:
    """Whether one of its authors is called so: by family name or in full, with and without accents."""
    wanted = folded_words(person)
    return any(folded_words(form) == wanted for author in paper.authors for form in family_forms(author))


def is_body(words: Sequence[str]) -> bool:
    """Whether one of the words says that this is a body, such as an institute, and no person."""
    return any(
        re.fullmatch(
            r"organi[sz]ation|committee|consortium|group|society|association|agency|institute|network|collaboration"
            r"|council|commission|foundation|department|ministry|university|union|initiative|team|office|cent(?:er|re)s?",
            fold(word),
        )
        for word in words
    )


@lru_cache(maxsize=65_536)
def last_words(author: str) -> frozenset[str]:
    """The words by which one of the forms of a name ends."""
    return frozenset(words[-1] for form in family_forms(author) if (words := folded_words(form)))
