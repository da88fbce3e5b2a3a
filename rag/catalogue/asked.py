"""What a question about the records refers to: papers that it names, papers of the chat, and what to ask if unclear."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag.catalogue import words
from rag.catalogue.grammar import is_bare
from rag.retrieval.naming import (
    MARKS,
    NAMED,
    NOUN,
    Name,
    Plain,
    find_names,
    listed_in,
    marked_text,
    title_fragment,
    titles_in,
)
from rag.retrieval.people import fold, is_by
from rag.words import STOP_WORDS, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Library, Paper
    from rag.answer import Citation, Passage, Scope

    History = Sequence[tuple[str, str]]
    Cited = Sequence[tuple[str, int]]

MOST_AT_ONCE = 8
"""Facts are given for at most this many papers at once; more are listed, and the user names one."""

MOST_LISTED = 200


WHICH = "Which paper do you mean? Name it in the question, or choose one in the Library."
WHICH_ONE = "Which one do you mean?"

ONE = re.compile(
    rf"(?:it|this|that|this one|that one|its|(?:this|that|the|my|our|your) (?:first |last )?{NOUN}"
    rf"|es|das|dies|dieses|diese|(?:das|der|die|dem|den|des|dieses|diese|dieser|diesem|diesen|mein|meine) {NOUN}"
    rf"|това|тази|този|го|я|(?:това|тази|този) {NOUN}|статията|публикацията|изследването|доклад(?:а|ът)|обзор(?:а|ът))"
)
_MANY = re.compile(
    r"(?:they|them|these|those|both|all|all of (?:them|these)|(?:(?:all )?(?:these|those)|both|the) (?:\w+ )?"
    r"(?:papers|articles|studies|publications)|sie|diese|beide|(?:diese|die|alle) (?:paper|artikel|studien|arbeiten)"
    r"|те|тях|тези|(?:тези )?(?:статии|статиите|публикации))"
)
_PRONOUN = re.compile(r"(?:they|them|these|those|both|all|sie|diese|beide|alle|те|тях|тези)")
"""Means papers only after an answer from the records; elsewhere it is the samples, the drugs or the rats."""

_PUBLICATION = re.compile(  # words for a paper itself, and hardly for its subject, unlike "the study"
    r"\b(?:paper|article|publication|preprint|manuscript|review|report|artikel|aufsatz|veroffentlichung|publikation|beitrag"
    r"|стати\w+|публикаци\w+|доклад\w*|обзор\w*)s?\b"
)
_ALL = re.compile(
    r"(?:all(?: of)?(?: my| the)? papers|(?:all )?my papers|(?:the|my) (?:whole |entire )?library|everything"
    r"|alle(?: meine)? (?:paper|artikel)|(?:meine |die )?bibliothek|всички(?: мои| моите)? статии|библиотеката)"
)
NAMES = re.compile(rf"(?:the )?{NAMED}(?:(?:,| and|, and| or| und| и) (?:the )?{NAMED})*")
_LOOKS_QUOTED = re.compile(
    rf"(?:the )?{NOUN}(?: (?:by|of|from|called|titled|with the title))? [{MARKS}].+[{MARKS}]"
    rf"|[{MARKS}]\W*\w+(?:\W+\w+){{2,}}\W*[{MARKS}]"
)
_LOOKS_DATED = re.compile(
    rf"(?:(?:the )?{NOUN} (?:by|of|from) )?(?P<who>.+?)"
    r"(?:(?P<others>,? et al\.?),? ?\(?(?:(?:19|20)\d\d[a-z]?)?\)?|,? \(?(?:19|20)\d\d[a-z]?\)?)",
    re.IGNORECASE,
)
_PARTICLES = frozenset(
    "van von der den de del della di da dos du la le el al bin ibn ter ten zu zur and und et и & y".split()
)
_SEASONS = frozenset(  # not a name before a year: "March 2020"
    "january february march april may june july august september october november december spring summer autumn fall"
    " winter januar februar marz mai juni juli oktober dezember fruhling sommer herbst".split()
)
_ARTICLES = frozenset("the a an der die das den this that these those dieser diese dieses".split())


def is_person(said: str) -> bool:
    """Whether words as the user wrote them look like family names: capitalised, but not all in capitals throughout."""
    named = [word for word in re.split(r"[\s,]+", said.strip()) if word and word not in _PARTICLES]
    return 0 < len(named) <= 6 and all(
        re.fullmatch(r"[^\W\d_][\w'’.-]*", word)
        and word[0].isupper()
        and (word.endswith(".") or len(word) == 1 or not word.isupper())
        and fold(word) not in _ARTICLES | _SEASONS
        for word in named
    )


def looks_named(said: str) -> bool:
    """Whether words as the user wrote them can hardly mean anything but a paper, known or not.

    That is a file name, a title in quotation marks, or an author with a year or "et al.", but not a topic or a single
    quoted word.
    """
    if re.fullmatch(r"\S+\.pdf", said, re.IGNORECASE) or _LOOKS_QUOTED.fullmatch(said.casefold()):
        return True
    if not (dated := _LOOKS_DATED.fullmatch(said)):
        return False
    who = dated["who"]
    if dated["others"]:  # unmistakable: "smith et al."
        return len(who.split()) <= 4 and not set(fold(who).split()) & (STOP_WORDS | _ARTICLES) - _PARTICLES
    return len(who.split()) <= 5 and is_person(who)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer from the records."""

    text: str
    """Plain text: titles in “…”, numbered lists, BibTeX between two lines of backticks."""
    passages: tuple[Passage, ...] = ()
    citations: tuple[Citation, ...] = ()


class Asked:
    """A question with everything that it may refer to."""

    def __init__(self, library: Library, question: str, scope: Scope, history: History, cited: Cited) -> None:
        self.library, self.scope, self.history, self.cited = library, scope, history, cited
        self.plain = Plain(question)
        self.papers = list(scope.papers)
        self._pages: dict[str, dict[int, str]] = {}
        self.listed = listed_in(history[-1][1], self.papers) if history else []
        self.names = find_names(self.plain, self.papers, listed=self.listed, bare=True)
        self.marked = marked_text(self.plain, self.names)

    def subject(  # noqa: PLR0911 - one way of naming a paper a line
        self, text: str | None, *, alone: bool = False, loose: bool = False
    ) -> list[Paper] | Reply | None:
        """The papers that the words mean; a reply if the user has to be asked; None if they mean no paper.

        Args:
            text: the words, folded; None if the paper is left to the chat.
            alone: whether the question has no words for the paper.
            loose: whether the question may also be about what papers say: then only an unmistakable name counts.
        """
        if text is None or ONE.fullmatch(text) or _MANY.fullmatch(text):
            unsure = loose and not (text and _PUBLICATION.search(text))
            if (unsure or (text and _PRONOUN.fullmatch(text)) or self._is_bare(alone)) and not self._told():
                return None
            return self._from_chat(many=bool(text and _MANY.fullmatch(text)), alone=alone)
        if NAMES.fullmatch(text):
            return self._named(self.names)
        if _ALL.fullmatch(text):
            return self.papers or None
        bare = text.strip(MARKS + " ")
        is_quoted = bool(re.fullmatch(rf"[{MARKS}].+[{MARKS}]", text))
        if loose and not (is_quoted and len(bare.split()) > 1):
            return None
        if found := title_fragment(bare, self.papers, quoted=is_quoted and not loose):
            return self._one_of(found, self.said(bare))
        leading = [paper for paper in self.papers if paper.authors and is_by(_only_first(paper), bare)]
        if leading and bare not in {"author", "authors"}:
            return self._one_of(tuple(leading), self.said(bare))
        said = self.said(text)
        if not loose and looks_named(said):
            inner = re.search(rf"[{MARKS}](.+)[{MARKS}]", said)
            return self._elsewhere(said) or self.nothing(inner[1] if inner else said)
        return None

    def _named(self, names: Sequence[Name]) -> list[Paper] | Reply:
        for name in names:
            if len(name.papers) > 1:
                return self.which(name.text, name.papers)
        return list({name.papers[0].id: name.papers[0] for name in names}.values())

    def _one_of(self, found: Sequence[Paper], said: str) -> list[Paper] | Reply:
        return list(found) if len(found) == 1 else self.which(said, found)

    def which(self, said: str, fitting: Sequence[Paper]) -> Reply:
        """Ask which of the matching papers is meant."""
        listed = words.numbered(words.entry(paper) for paper in fitting[:MOST_LISTED])
        return Reply(f"“{said.strip(MARKS)}” fits {len(fitting)} papers {self.here}:\n\n{listed}\n\n{WHICH_ONE}")

    def _elsewhere(self, text: str) -> list[Paper] | Reply | None:
        """A paper in the library that this chat does not search."""
        if self.scope.whole:
            return None
        names = find_names(Plain(text), self.library.papers(), bare=False)
        return self._named(names) if names else None

    def nothing(self, said: str) -> Reply:
        """Say that no paper has this name, and which papers an author of that name has written."""
        person = re.sub(r",? (?:et al\.?)?,? ?\(?(?:(?:19|20)\d\d[a-z]?)?\)?$|,? \(?(?:19|20)\d\d[a-z]?\)?$", "", said)
        by = [paper for paper in self.papers if is_by(paper, person)]
        near = (
            f" By an author of this name there {'is' if len(by) == 1 else 'are'}:\n\n{self.listing(by)}" if by else ""
        )
        return Reply(f"No paper {self.here} matches “{said}”.{near}")

    @property
    def here(self) -> str:
        """Where the searched papers are."""
        return "in your library" if self.scope.whole else "that this chat asks"

    def of(self, papers: Sequence[Paper]) -> str:
        """How many papers, for "None of …"; "these" if the question names some."""
        if len(papers) != len(self.papers):
            return f"these {len(papers)} papers"
        n = len(papers)
        return f"your {counted(n, 'paper')}" if self.scope.whole else f"the {counted(n, 'paper')} that this chat asks"

    def empty(self) -> Reply:
        """Say that there is no paper to ask about."""
        if n := len(self.library.papers()):
            return Reply(
                f"This chat asks none of your {counted(n, 'paper')}: choose some in the Library and ask again."
            )
        return Reply("Your library is empty: add a paper and ask again.")

    def _from_chat(self, *, many: bool, alone: bool) -> list[Paper] | Reply | None:
        """What "it" or an omitted name means: the only paper searched, or those of the last answer."""
        if len(self.papers) == 1:
            return self.papers
        if not self.papers:
            return self.empty()
        last = self.last()
        if last:
            return last
        if many:
            return self.papers if len(self.papers) <= MOST_AT_ONCE else Reply(WHICH)
        if alone and len(self.plain.text.split()) < 4:
            return None  # "when?", "the sources?": only the chat could say of what
        return Reply(WHICH)

    def _is_bare(self, alone: bool) -> bool:  # noqa: FBT001 - as `subject` has it
        return alone and is_bare(self.plain.text)

    def _told(self) -> list[Paper]:
        """Papers named in the last answer, as answers from the records name them."""
        return titles_in(self.history[-1][1], self.papers) if self.history else []

    def last(self) -> list[Paper]:
        """Papers that the last answer is about."""
        if not self.history:
            return []
        asked = self.history[-1][0]
        told = self._told()
        if not told:
            by_id = {paper.id: paper for paper in self.papers}
            told = [by_id[paper_id] for paper_id, _ in self.cited if paper_id in by_id]
        if not told:
            named = find_names(Plain(asked), self.papers, listed=self._listed_before(), bare=True)
            told = [paper for name in named if len(name.papers) == 1 for paper in name.papers]
        return list({paper.id: paper for paper in told}.values())

    def _listed_before(self) -> list[Paper]:
        return listed_in(self.history[-2][1], self.papers) if len(self.history) > 1 else []

    def listing(self, papers: Sequence[Paper]) -> str:
        """The papers as a numbered list, cut to a length that suits a chat."""
        listed = words.numbered(words.entry(paper) for paper in papers[:MOST_LISTED])
        rest = len(papers) - MOST_LISTED
        return f"{listed}\n\n… and {rest} more; the Library shows all." if rest > 0 else listed

    def said(self, folded: str) -> str:
        """Words of the folded question as the user wrote them."""
        at = self.plain.text.rfind(folded)
        return self.plain.said(at, at + len(folded)) if at >= 0 and folded else folded


def _only_first(paper: Paper) -> Paper:
    return replace(paper, authors=paper.authors[:1])
