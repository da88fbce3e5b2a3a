"""Rules for questions about a page: "What does page 1124 say?", "What is measured on p. xii of Smith 2019?"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Paper

PAGE = "ƿ"
"""Placeholder for the page named in a question."""

MAX_PAPERS = 4
"""If more papers than this have such a page, it is not clear which one is meant."""

_DIGITS = r"[a-z]{0,2}-?[1-9]\d{0,5}"
_ROMAN = r"(?:[vxlc]|[ivxlc]{2,8}|(?-i:i)(?=[?!.,;:]*$|,? (?:of|in|from|say|about)\b))"
_PHRASE = re.compile(
    r"\b(?<!web )(?<!home )(?<!landing )(?:the )?"
    rf"(?:(?:pages?(?: (?:number|no\.?))?|pg\.?) ?(?P<first>{_DIGITS}|(?<=[ .]){_ROMAN})"
    rf"(?: ?(?:-|–|—|to|and|through) ?(?P<last>{_DIGITS}|{_ROMAN}))?"
    rf"|(?<![\d.])(?-i:pp?)\.(?P<first_p>(?: ?[1-9]\d{{0,5}}| {_DIGITS}| {_ROMAN}(?!\.)))"
    rf"(?: ?(?:-|–|—|to|and|through) ?(?P<last_p>{_DIGITS}|{_ROMAN}(?!\.)))?)"
    r"(?![\w%]|[.,]\d| (?:error|variant|lineage|strain|mutation)\b)(?P<of>(?:,? (?:of|in|from) (?=\S))?)",
    re.IGNORECASE,
)
_OF_THE_PAPER = r"(?: (?:of|in) (?:this|that|the|my) (?:paper|article|study|book|document|pdf|file))?"
_THE_PAPER = r"(?:it|they|(?:this|that|the|my) (?:paper|article|study|book|document|pdf|file))"
_SAY = r"(?:say|state|contain|describe|show|discuss|report|present|cover|tell us)"
_POLITE = r"(?:please |kindly )?(?:(?:can|could|would|will) you )?(?:please )?"
_WHOLE = re.compile(
    rf"what (?:do|does|did) {PAGE}{_OF_THE_PAPER} {_SAY}|what (?:do|does|did) {_THE_PAPER} {_SAY} (?:on|at|in) {PAGE}"
    rf"|what (?:is|'s|are|was|stands|can be found|does it say|do they say|does (?:this|the) (?:paper|article) say)"
    rf"(?: there)?(?: written| said| stated| described| shown| discussed| reported)? (?:on|at|in) {PAGE}{_OF_THE_PAPER}"
    rf"|what(?: is|'s) {PAGE}{_OF_THE_PAPER} about"
    rf"|{_POLITE}(?:summari[sz]e|sum up|outline|explain|describe|show|read|quote|cite|give)(?: me)?"
    rf"(?: (?:the )?(?:text|content|contents|words))?(?: (?:of|on|from))? {PAGE}{_OF_THE_PAPER}"
    rf"|(?:and |what about |how about )?(?:on )?{PAGE}{_OF_THE_PAPER}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AskedPage:
    """The page that a question names."""

    first: str
    """As printed."""
    last: str
    """Equal to `first` for a single page."""
    rest: str
    """The question with `PAGE` instead of the page."""

    def is_whole(self, paper: str | None = None) -> bool:
        """Whether just the whole page is asked for; `paper` is the placeholder for papers named in `rest`."""
        text = self.rest
        if paper is not None:
            text = re.sub(rf",? (?:of|in|from) (?:the )?{paper}|\b{paper}'s ", "", text).replace(paper, "this paper")
        return bool(_WHOLE.fullmatch(" ".join(text.split()).rstrip("?.! ")))


def asked_page(question: str) -> AskedPage | None:
    """The page that a question names; None if it names none, or several that are not a range."""
    found = list(_PHRASE.finditer(question))
    if len(found) != 1:
        return None
    first = (found[0]["first"] or found[0]["first_p"]).strip()
    last = found[0]["last"] or found[0]["last_p"] or first
    rest = question[: found[0].start()] + PAGE + found[0]["of"] + question[found[0].end() :]
    return AskedPage(first, last, rest)


def papers_with(asked: AskedPage, papers: Sequence[Paper]) -> dict[str, tuple[int, int]]:
    """The papers that have the page, by id, with the positions (from 1) of the first and last page asked for.

    Papers with such a printed page label take precedence over those that merely have that many pages.
    """
    ranges = {paper.id: found for paper in papers if (found := _positions(asked, paper))}
    called = {asked.first.casefold(), asked.last.casefold()}
    printed = {
        paper.id: ranges[paper.id]
        for paper in papers
        if paper.id in ranges and called <= {label.casefold() for label in paper.page_labels}
    }
    return printed or ranges


def _positions(asked: AskedPage, paper: Paper) -> tuple[int, int] | None:
    firsts, lasts = paper.pages_called(asked.first), paper.pages_called(asked.last)
    after = [last for last in lasts if firsts and last >= firsts[0]]
    return (firsts[0], after[0]) if after else None
