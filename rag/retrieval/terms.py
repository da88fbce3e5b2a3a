"""Domain terms in a question: abbreviations mined from the papers, and the team's glossary."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

from rag.retrieval.abbreviations import Abbreviation, mine
from rag.retrieval.glossary import Glossary, GlossaryEntry
from rag.words import STOP_WORDS, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ingest import Library

MAX_MEANINGS = 3
"""Long forms used per abbreviation; those defined in most papers."""

MAX_WORDS = 12
"""Words and phrases added to a question, at most."""

RARE = 1
"""In chunks: an abbreviation found in more of them needs no expansion."""

MAX_DEFINITIONS = 8
"""Definitions in a prompt, at most."""

_TOKEN = re.compile(r"\w+(?:[-/.’']\w+)*")


@dataclass(frozen=True, slots=True)
class Meaning:
    """One long form of an abbreviation, with the papers that define it."""

    short: str
    long: str
    """In its most frequent spelling."""
    papers: tuple[tuple[str, int], ...]
    """(paper id, number of definitions there), most frequent first."""
    ordinary: bool
    """Whether the lower-case short form is also an ordinary word in these papers, like "aim" and AIM."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a term means, for the model."""

    term: str
    text: str | None
    """None if the glossary only has a spelling."""
    preferred: str | None = None
    """How to write it."""


@dataclass(frozen=True, slots=True)
class Match:
    """A term found in a question."""

    asked: str
    """As written in the question."""
    words: tuple[str, ...]
    """Its other names."""
    definition: Definition | None


@dataclass(frozen=True, slots=True)
class Expansion:
    """What the terms add to a question."""

    matches: tuple[Match, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Words and phrases to search for in addition, at most `MAX_WORDS`."""
        return tuple(dict.fromkeys(word for match in self.matches for word in match.words))[:MAX_WORDS]

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """Definitions of the terms, without duplicates, at most `MAX_DEFINITIONS`."""
        return tuple(dict.fromkeys(m.definition for m in self.matches if m.definition))[:MAX_DEFINITIONS]


class Terms:
    """The terms of one library. Each paper is mined once, on first use. Thread-safe."""

    def __init__(self, library: Library, *, mined_by: Terms | None = None) -> None:
        """Read nothing yet; papers that the terms `mined_by` others have mined are not mined again."""
        self._library = library
        self._mined_by = mined_by
        self.glossary = Glossary(library.folder / "glossary.csv")
        self._mined: dict[str, tuple[Meaning, ...]] = {}
        self._whole: tuple[frozenset[str], Index] = (frozenset(), Index(()))
        self._scoped: tuple[frozenset[str], Index] = (frozenset(), Index(()))
        self._guard = Lock()
        self._warming = False

    def warm_up(self) -> None:
        """Mine all papers. Questions asked in the meantime do not wait; they use the papers mined so far."""
        self._warming = True
        try:
            for paper in self._library.papers():
                self._mine(paper.id)
        finally:
            self._warming = False

    def index(self, paper_ids: Iterable[str] | None = None) -> Index:
        """The abbreviations of these papers, or of all; unknown papers have none."""
        everything = frozenset(paper.id for paper in self._library.papers())
        if paper_ids is not None:
            scope = everything.intersection(paper_ids)
            last, index = self._scoped
            if last != scope:
                index = Index(m for name in sorted(scope) for m in self._mine(name))
                self._scoped = (scope, index)  # a chat asks the same papers again
            return index
        if (self._mined_by or self)._warming:  # noqa: SLF001 - one of us
            everything = everything.intersection((self._mined_by or self)._mined.copy())  # noqa: SLF001 - one of us
        known, index = self._whole
        if known != everything:
            with self._guard:
                self._mined = {name: mined for name, mined in self._mined.items() if name in everything}
            index = Index(m for name in sorted(everything) for m in self._mine(name))
            self._whole = (everything, index)
        return index

    def _mine(self, paper_id: str) -> tuple[Meaning, ...]:
        if self._mined_by:
            return self._mined_by._mine(paper_id)  # noqa: SLF001 - one of us
        with self._guard:
            if paper_id not in self._mined:
                text = "\n".join(page.text for page in self._library.pages(paper_id))
                self._mined[paper_id] = meanings_of(text, paper_id)
            return self._mined[paper_id]

    def expand(self, question: str, paper_ids: Sequence[str] | None = None) -> Expansion:
        """What the terms of the glossary and of these (or all) papers add to the search for a question.

        The papers' other names for a term are only searched for if the papers hardly use the form asked; otherwise this
        finds little more than the definition itself (docs/decisions/0004-terms.md).

        Raises:
            GlossaryError: the glossary cannot be read.
        """
        told, mined = self._find(question, paper_ids)
        return Expansion((*told, *(m if self._is_rare(m.asked, paper_ids) else replace(m, words=()) for m in mined)))

    def definitions(self, question: str, paper_ids: Sequence[str]) -> tuple[Definition, ...]:
        """The meanings of terms in a question, preferring those of these papers.

        Raises:
            GlossaryError: the glossary cannot be read.
        """
        told, mined = self._find(question, paper_ids)
        return Expansion((*told, *mined)).definitions

    def _find(self, question: str, paper_ids: Sequence[str] | None) -> tuple[list[Match], list[Match]]:
        """Matches from the glossary, and from the papers: these papers' meanings first, then the whole library's."""
        told, named = expand_by_glossary(question, self.glossary.entries())
        scoped = [] if paper_ids is None else self.index(paper_ids).find(question)
        known = named | {match.asked for match in scoped}
        others = [m for m in self.index().find(question) if m.asked not in known]
        return told, [*(m for m in scoped if m.asked not in named), *others]

    def _is_rare(self, asked: str, paper_ids: Sequence[str] | None) -> bool:
        phrase = f'"{" ".join(words_of(asked))}"'
        if self._library.is_everywhere(phrase, paper_ids=paper_ids):
            return False
        return len(self._library.search_words(phrase, RARE + 1, paper_ids=paper_ids)) <= RARE


def meanings_of(text: str, paper_id: str) -> tuple[Meaning, ...]:
    """The abbreviations of one paper, each with its most frequent long form there."""
    found: dict[str, list[Abbreviation]] = defaultdict(list)
    for abbreviation in mine(text):
        found[abbreviation.short].append(abbreviation)
    meanings = []
    for short, uses in found.items():
        (_, n), *_ = counts = Counter(_same(use.long) for use in uses).most_common()
        long = next(use.long for use in uses if _same(use.long) == counts[0][0])
        ordinary = short.casefold() in STOP_WORDS or f" {short.lower()} " in text
        meanings.append(Meaning(short, long, ((paper_id, n),), ordinary))
    return tuple(meanings)


class Index:
    """Abbreviations, searchable by short and long form."""

    def __init__(self, meanings: Iterable[Meaning]) -> None:
        grouped: dict[tuple[str, str], list[Meaning]] = defaultdict(list)
        for meaning in meanings:
            grouped[meaning.short, _same(meaning.long)].append(meaning)
        shorts: dict[str, list[Meaning]] = defaultdict(list)
        for same in grouped.values():
            shorts[same[0].short].append(_merged(same))
        self.shorts: Mapping[str, tuple[Meaning, ...]] = {
            short: tuple(sorted(found, key=lambda m: (-len(m.papers), -sum(n for _, n in m.papers), m.long)))
            for short, found in sorted(shorts.items())
        }
        """Short form → its meanings, those of most papers first."""
        self._folded: dict[str, list[str]] = defaultdict(list)
        self._longs: dict[str, list[tuple[tuple[str, ...], Meaning]]] = defaultdict(list)
        for short, found in self.shorts.items():
            self._folded[short.casefold()].append(short)
            for meaning in found:
                if stems := _stems(meaning.long):
                    self._longs[stems[0]].append((stems, meaning))

    def find(self, question: str) -> list[Match]:
        """The short forms and then the long forms found in a question."""
        matches = []
        for asked, short in self._asked_shorts(question).items():
            meanings = self.shorts[short][:MAX_MEANINGS]
            text = "; or ".join(meaning.long for meaning in meanings)
            matches.append(Match(asked, tuple(m.long for m in meanings), Definition(short, text)))
        for asked, same in self._asked_longs(question).items():
            shorts = [m for m in same if m.short not in (match.asked for match in matches)]
            if shorts:
                words = tuple(m.short for m in shorts if not m.ordinary)
                matches.append(Match(asked, words, Definition(shorts[0].short, shorts[0].long)))
        return matches

    def _asked_shorts(self, question: str) -> dict[str, str]:
        """Form asked → short form. Matching is case-sensitive, unless the question is all lower or all upper case."""
        found: dict[str, str] = {}
        blind = question in (question.lower(), question.upper())
        for token in _tokens(question):
            if blind:
                if sum(map(str.isalpha, token)) >= 3:
                    for short in self._folded.get(token.casefold(), ()):
                        if not any(meaning.ordinary for meaning in self.shorts[short]):
                            found.setdefault(token, short)
            elif token in self.shorts:
                found[token] = token
        return found

    def _asked_longs(self, question: str) -> dict[str, list[Meaning]]:
        """Form asked → its meanings; long forms inside longer ones are skipped."""
        tokens = list(re.finditer(r"\w+", question))
        stems = tuple(_stem(token[0].casefold()) for token in tokens)
        found: dict[str, list[Meaning]] = {}
        end = 0
        for i, stem in enumerate(stems):
            if i < end:
                continue
            fitting = [(long, m) for long, m in self._longs.get(stem, ()) if stems[i : i + len(long)] == long]
            if fitting:
                size = max(len(long) for long, _ in fitting)
                end = i + size
                asked = question[tokens[i].start() : tokens[end - 1].end()]
                found[asked] = [m for long, m in fitting if len(long) == size][:MAX_MEANINGS]
        return found


def expand_by_glossary(question: str, entries: Sequence[GlossaryEntry]) -> tuple[list[Match], set[str]]:
    """The glossary's terms in a question, and all their names. The team's definitions override the papers'."""
    matches: list[Match] = []
    named: set[str] = set()
    stems = f" {' '.join(_stems(question))} "
    tokens = set(_tokens(question))
    blind = question in (question.lower(), question.upper())
    folded = {token.casefold() for token in tokens if blind and sum(map(str.isalpha, token)) >= 3} - STOP_WORDS
    for entry in entries:
        for name in entry.names:
            if _is_abbreviation(name):
                stands = name in tokens or name.casefold() in folded
            else:
                stands = f" {' '.join(_stems(name))} " in stems
            if stands:
                definition = Definition(entry.preferred or entry.term, entry.definition, entry.preferred)
                others = tuple(n for n in entry.names if _same(n) != _same(name))
                matches.append(Match(name, others, definition if entry.definition or entry.preferred else None))
                named.update(entry.names)
                break
    return matches, named


def _is_abbreviation(name: str) -> bool:
    return " " not in name and sum(map(str.isupper, name)) >= 2


def _tokens(question: str) -> list[str]:
    """Words, parts of hyphenated words and pairs of words, each also without a plural s; in order."""
    words = _TOKEN.findall(question)
    parts = [part for word in words for part in (word, *re.split(r"[-/.’']", word))]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    singular = [t[:-1] for t in parts if t.endswith(("s", "S")) and len(t) > 2]
    return list(dict.fromkeys((*parts, *pairs, *singular)))


def _stems(text: str) -> tuple[str, ...]:
    return tuple(_stem(part) for word in words_of(text) for part in re.findall(r"\w+", word))


def _stem(word: str) -> str:
    """A case-folded word without its plural ending: "arteries" → "artery"."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _same(text: str) -> str:
    """A key that is equal for "Inter-simple sequence repeats" and "intersimple sequence repeat"."""
    return "".join(_stems(text))


def _merged(same: Sequence[Meaning]) -> Meaning:
    spellings = Counter(meaning.long for meaning in same)
    best = max(spellings.values())
    long = min((s for s, n in spellings.items() if n == best), key=lambda s: (s[:1].isupper(), len(s), s))
    papers = sorted((paper for meaning in same for paper in meaning.papers), key=lambda p: (-p[1], p[0]))
    return Meaning(same[0].short, long, tuple(papers), any(meaning.ordinary for meaning in same))
