"""Find every occurrence of a word or phrase in the papers, letter for letter, with the full-text index and the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.paper import PAGE_BREAK, pages_of
from ingest.sentences import sentence_spans
from rag.retrieval.forms import MARKS, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Chunk, Library, Paper

MOST_CHUNKS = 1_000_000
"""A limit that no library reaches: all hits are wanted."""

ACRONYM = 5
"""A word of at most this many capitals is searched for in capitals only: WHO is not "who"."""

MOST_FORMS = 8
"""Ways to write a phrase that are searched for, at most."""

_SEAM = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
"""Where a name has a capital inside: "GraphPad"."""
_NAME = re.compile(r"[A-Z]|\d")
_COINED = re.compile(r"[\d+]|[a-z][A-Z]")
"""A name that hardly stands for anything else: "Pantheon+", "ImageNet"."""
_GENERAL = re.compile(
    r"apparatus|assays?|algorithms?|analys[ei]s|coefficients?|cells?"
    r"|(?P<data>corp(?:us|ora)|data(?: ?sets?| ?bases?)?)|extractors?|frameworks?|ind(?:ex|ices)|librar(?:y|ies)"
    r"|markers?|methods?|models?|packages?|scales?|scores?|software|statistics?|systems?|techniques?|tests?|tools?",
    re.IGNORECASE,
)
"""Nouns that say of what kind a name is; papers often leave them out."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One occurrence of a word on a page."""

    page: int
    chunk: Chunk
    quote: str
    """The sentence around it, as far as it is on this page: a verbatim slice of the chunk."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """The occurrences of a word in one paper."""

    paper: Paper
    count: int
    hits: tuple[Hit, ...]
    """The first occurrence on each page, in order."""


def wanted_words(text: str) -> str:
    """The words to search for, without quotation marks, "the word" and, unless quoted, an article."""
    if (whole := text.strip())[:1] in MARKS:
        return whole.strip(MARKS).strip(" .,;")
    text = whole.strip(MARKS).strip()
    text = re.sub(
        r"^(?:the |das |den |die )?(?:words?|terms?|phrase|name|expression|wort|wörter|begriff|думата|термина|израза) ",
        "",
        text,
        flags=re.IGNORECASE,
    )
    return re.sub(r"^(?:an?|the) (?=\w)", "", text).strip().strip(MARKS).strip(" .,;")


def find_mentions(library: Library, words: str, papers: Sequence[Paper], *, exact: bool = True) -> list[Mentions]:
    """The papers, in the given order, whose text contains these words side by side; reference lists are left out.

    Case, accents and kinds of hyphen do not matter; parts of words and other word forms do not match. If not `exact`,
    it does not matter either whether parts of a compound are joined: "GraphPad", "Graph pad", "graph-pad".
    """
    pattern = _pattern(words, exact=exact)
    phrases = _phrases(words, exact=exact)
    if not pattern or not phrases:
        return []
    ids = [paper.id for paper in papers]
    names = {name for phrase in phrases for name, _ in library.search_words(phrase, MOST_CHUNKS, paper_ids=ids)}
    found = library.chunks(sorted(names))
    by_paper: dict[str, list[Chunk]] = {}
    for chunk in sorted(found.values(), key=lambda chunk: chunk.ordinal):
        by_paper.setdefault(chunk.paper_id, []).append(chunk)
    told = (_in_paper(library, paper, by_paper.get(paper.id, ()), pattern) for paper in papers)
    return [mentions for mentions in told if mentions]


def without_general(words: str) -> str | None:
    """The name alone where a general noun follows it, "Soxhlet" of "Soxhlet apparatus"; None for other words."""
    name, _, last = words.rpartition(" ")
    own = name.rpartition(" ")[2]
    general = _GENERAL.fullmatch(last)
    if not general or not _NAME.search(own) or len(own) < 3:  # the T of "T cells"
        return None
    return name if not general["data"] or _COINED.search(own) else None  # "HIV data" says less than "HIV"


def _phrases(words: str, *, exact: bool) -> list[str]:
    """Phrases for the full-text index; if not `exact`, with each compound split and joined, at most eight."""
    forms: list[list[str]] = [[]]
    for word in words.split():
        parts = re.findall(r"\w+", word if exact else _SEAM.sub("-", word))
        options = [parts] if exact or len(parts) < 2 else [parts, ["".join(parts)]]
        forms = [[*form, *option] for form in forms for option in options][:MOST_FORMS]
    return [f'"{" ".join(form)}"' for form in forms if form]


def _in_paper(library: Library, paper: Paper, chunks: Sequence[Chunk], pattern: _Words) -> Mentions | None:
    count, hits = 0, dict[int, Hit]()
    starts: list[int] = []
    for chunk in chunks:
        places = pattern.places(chunk.text)
        count += len(places)
        if places and not starts:
            starts = _page_starts(library, paper.id)
        for start, end in places:
            page, _ = pages_of(starts, chunk.start + start, chunk.start + end)
            if page not in hits:
                hits[page] = Hit(page, chunk, _sentence(chunk, start, page, starts))
    return Mentions(paper, count, tuple(hits[page] for page in sorted(hits))) if count else None


def _page_starts(library: Library, paper_id: str) -> list[int]:
    starts, at = [], 0
    for page in library.pages(paper_id):
        starts.append(at)
        at += len(page.text) + len(PAGE_BREAK)
    return starts


def _sentence(chunk: Chunk, at: int, page: int, starts: Sequence[int]) -> str:
    start, end = next(((a, b) for a, b in sentence_spans(chunk.text) if a <= at < b), (0, len(chunk.text)))
    low = starts[page - 1] - chunk.start
    high = starts[page] - len(PAGE_BREAK) - chunk.start if page < len(starts) else len(chunk.text)
    return chunk.text[max(start, low) : min(end, high)].strip()


@dataclass(frozen=True, slots=True)
class _Words:
    pattern: re.Pattern[str]
    capitals: bool

    def places(self, text: str) -> list[tuple[int, int]]:
        """Half-open ranges of `text` where the words occur."""
        if text.isascii():  # like most chunks: offsets stay the same
            plain = text if self.capitals else text.lower()
            return [match.span() for match in self.pattern.finditer(plain)]
        pieces = [char if self.capitals else fold(char) for char in text]
        origin = [n for n, piece in enumerate(pieces) for _ in piece]
        return [
            (origin[match.start()], origin[match.end() - 1] + 1) for match in self.pattern.finditer("".join(pieces))
        ]


def _part(part: str, *, exact: bool) -> str:
    """The pattern of one word; if not `exact`, a hyphen may be missing, but not a minus or one between two numbers."""
    before, *after = re.split("-+", part)
    made = re.escape(before)
    for piece in after:
        soft = not exact and before and piece and not (before[-1].isdigit() and piece[0].isdigit())
        made += (r"[-‐‑]?\s?" if soft else r"[-‐‑]+\s?") + re.escape(piece)
        before = piece
    return made


def _pattern(words: str, *, exact: bool) -> _Words | None:
    letters = [char for char in words if char.isalpha()]
    capitals = 1 < len(letters) <= ACRONYM and all(char.isupper() for char in letters)
    seamed = words if exact else _SEAM.sub("-", words)
    said = seamed if capitals else fold(seamed)
    gap = r"\s+" if exact else r"(?:\s+|[-‐‑]\s?)"
    parts = [_part(part, exact=exact) for part in said.split()]
    if not parts:
        return None
    before = r"(?<!\w)" if re.match(r"\w", said) else ""
    after = r"(?!\w)" if re.search(r"\w$", said) else ""
    return _Words(re.compile(before + gap.join(parts) + after), capitals)
