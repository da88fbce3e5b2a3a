"""Catalogue: takes a question, returns what the library's records say, or None if it is about what papers say.

It is a long file because each kind of question has its reply in it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.verbatim import stands_in
from rag.answer import Citation, Passage
from rag.catalogue import note_questions, words
from rag.catalogue.asked import MOST_AT_ONCE, NAMES, ONE, WHICH, WHICH_ONE, Asked, Reply, is_person, looks_named
from rag.catalogue.citing import citing, of_paper, of_words
from rag.catalogue.described import Described, asks_of_described, described
from rag.catalogue.grammar import ALL_FIELDS, Request, core, read
from rag.catalogue.mentions import find_mentions, wanted_words, without_general
from rag.catalogue.notes import notes_reply
from rag.retrieval.forms import MARKS, NAMED, fold, is_by
from rag.retrieval.naming import place_alone, title_fragment, title_of
from rag.words import counted, split_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ingest import Library, Paper
    from rag.answer import Scope
    from rag.catalogue.asked import Cited, History
    from rag.catalogue.grammar import Field
    from rag.catalogue.mentions import Mentions


NEW = 5
"""How many papers "what is new" shows."""

WIDER = 3
"""How many times as many papers a name alone may be found in: "Soxhlet" for "Soxhlet apparatus", not "DNA" for "DNA
markers"."""

MOST_CITED = 60
"""Pages that get a marker with a quote; if there are more, only the first page of each paper."""

_COMPARE = re.compile(
    r"(?:please )?(?:(?:can|could) you )?(?:compare|contrast|vergleiche|vergleichen sie|сравни|сравнете) "
    r"(?P<a>.+?),? (?:and|with|to|und|mit|и|с|със) (?P<b>.+)"
)

_FIRST_MARKER = re.compile(r"\[\d{1,3}\]")

_NO_PERSON = frozenset("year years date title titles author authors topic journal relevance jahr autor titel".split())
"""Sort key of a list."""

_NOT_A_WORD = re.compile(
    r"(?:any|other|others|some|how|why|that|whether|what|which|a lot|their|its|each|one|anything|something|it|this"
    r"|these|them|me|both|more|such|no|of|in|for|dass|wie|warum|ob|какво|как|защо|дали)\b"
)


class Catalogue:
    """Answers from the records of one library. It reads the database, so run it in a thread."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def answer(self, question: str, *, scope: Scope, history: History = (), cited: Cited = ()) -> Reply | None:
        """The reply to a question about the library and its papers; None if the question is about what papers say.

        Args:
            question: in the user's words.
            scope: the papers searched in this chat.
            history: earlier (question, answer) pairs of this chat, oldest first.
            cited: (paper id, page) of each citation of the last answer, in order.
        """
        return _Answering(self._library, question, scope, history, cited).reply()

    def described(self, question: str, *, scope: Scope) -> Described | None:
        """What is asked about a paper that is described; None if nothing is."""
        if not asks_of_described(question):
            return None
        asked = Asked(self._library, question, scope, (), ())
        found = described(asked.marked) or described(asked.plain.text)
        if found and found.topic == NAMED:
            papers = {paper.id for name in asked.names for paper in name.papers}
            found = replace(found, topic=papers.pop()) if len(papers) == 1 else None
        return found if len(scope.papers) > 1 else None

    def facts(self, paper_id: str, fields: Sequence[Field]) -> Reply:
        """What the records say about one paper."""
        return Reply(words.facts(self._library, self._library.paper(paper_id), fields))


class _Answering(Asked):
    """The reply functions, by verb."""

    def reply(self) -> Reply | None:
        if again := self._chosen():
            return again
        if unclear := self._comparison():
            return unclear
        for about, topic in note_questions.read(core(self.marked)):
            if told := notes_reply(self, about, topic):
                return told
        for request in read(self.plain.text, self.marked):
            if reply := self._answered(request):
                return reply
        return None

    def _answered(self, request: Request) -> Reply | None:  # noqa: PLR0911 - one verb a line
        match request.verb:
            case "facts":
                return self._facts(request)
            case "mentions":
                return self._mentions(request)
            case "cites":
                return self._cites(request)
            case "by":
                return self._by(request)
            case "page":
                return self._page()
        if not self.papers:
            return self.empty()
        match request.verb:
            case "years":
                return self._years(request)
            case "count":
                return Reply(self._count())
            case "list":
                return self._list(request)
            case _:
                return self._newest(request)

    # -- one paper ---------------------------------------------------------------------------------------------------

    def _chosen(self) -> Reply | None:
        """Read "the second one", or a bare name that we asked for, as the previous question about this paper."""
        if not self.history or len(self.names) != 1 or len(self.names[0].papers) != 1:
            return None
        asked, said = self.history[-1]
        wanted = said.rstrip().endswith(WHICH_ONE) or said == WHICH
        if not (wanted and NAMES.fullmatch(self.marked)) and not (self.listed and place_alone(self.plain.text)):
            return None
        before = _Answering(self.library, asked, self.scope, self.history[:-1], ())
        requests = [r for r in read(before.plain.text, before.marked) if r.verb == "facts"] if wanted else []
        fields, place = (requests[0].fields, requests[0].place) if requests else (ALL_FIELDS, None)
        return Reply(words.facts(self.library, self.names[0].papers[0], fields, place=place))

    def _facts(self, request: Request) -> Reply | None:
        found = self.subject(request.subject, alone=request.subject is None, loose=request.loose)
        if found is None or isinstance(found, Reply):
            return found
        if "bibtex" in request.fields:
            told = (
                f"{counted(len(found), 'paper')} as BibTeX:"
                if len(found) > 1
                else f"{words.quoted(found[0])} as BibTeX:"
            )
            others = [field for field in request.fields if field != "bibtex"]
            first = f"{words.facts(self.library, found[0], others)}\n\n" if others and len(found) == 1 else ""
            return Reply(f"{first}{told}{words.bibtex(found)}")
        if len(found) == 1:
            return Reply(words.facts(self.library, found[0], request.fields, place=request.place))
        if len(found) > MOST_AT_ONCE:
            return Reply(f"{WHICH}\n\n{self.listing(found)}")
        lines = []
        for paper in found:
            told = words.facts(self.library, paper, request.fields[:3], place=request.place)
            lines.append(words.flat(f"{words.entry(paper)}: {told.removeprefix(words.quoted(paper)).strip()}"))
        return Reply(words.numbered(lines))

    def _comparison(self) -> Reply | None:
        """What to ask before comparing papers: which one is meant, or that one is not in the library."""
        match = _COMPARE.fullmatch(self.marked)
        if not match or not self.names:
            return None
        for name in self.names:
            if len(name.papers) > 1 and not name.by_words:
                return self.which(name.text, name.papers)
        for side in (match["a"], match["b"]):
            if NAMED not in side and side[:1] not in MARKS and looks_named(self.said(side)):
                return Reply(f"No paper {self.here} matches “{self.said(side)}”, so there is nothing to compare.")
        return None

    # -- words and references ----------------------------------------------------------------------------------------

    def _mentions(self, request: Request) -> Reply | None:
        said = self.said(request.words or "")
        wanted = wanted_words(said)
        is_quoted = said.strip()[:1] in MARKS
        if not wanted or (not is_quoted and _NOT_A_WORD.match(fold(wanted))):
            return None
        if request.named and not is_quoted and not any(char.isupper() or char.isdigit() for char in wanted):
            return None
        papers = self.papers
        if request.subject:
            found = self.subject(request.subject)
            if found is None or isinstance(found, Reply):
                return found
            papers = found
        if not papers:
            return self.empty()
        told, found_mentions = self._search(wanted, papers, is_quoted=is_quoted, widened=not request.negated)
        if not found_mentions and not is_quoted and (request.strict or len(wanted.split()) > 1):
            return None  # a topic rather than a word: papers may use other words for it
        return self._mention_reply(told, found_mentions, papers, request)

    def _search(
        self, wanted: str, papers: Sequence[Paper], *, is_quoted: bool, widened: bool
    ) -> tuple[str, list[Mentions]]:
        found = find_mentions(self.library, wanted, papers, exact=is_quoted)
        if widened and not is_quoted and (name := without_general(wanted)):
            wider = find_mentions(self.library, name, papers, exact=False)
            if len(found) < len(wider) <= WIDER * max(1, len(found)):
                return f"“{name}” (with or without “{wanted[len(name) :].strip()}”)", wider
        if found or is_quoted:
            return f"“{wanted}”", found
        parts = [part.strip(MARKS + " ") for part in re.split(r",? (?:and|or|und|oder|и|или) |, ", wanted)]
        if len(parts) < 2 or not all(parts):
            return f"“{wanted}”", found
        any_ = bool(re.search(r" (?:or|oder|или) ", wanted))
        each = [find_mentions(self.library, part, papers, exact=False) for part in parts]
        ids = [{mentions.paper.id for mentions in one} for one in each]
        kept = set.union(*ids) if any_ else set.intersection(*ids)
        merged = [mentions for one in each for mentions in one if mentions.paper.id in kept]
        named = words.joined([f"“{part}”" for part in parts], last="or" if any_ else "and")
        return named, merged

    def _mention_reply(self, told: str, found: Sequence[Mentions], papers: Sequence[Paper], request: Request) -> Reply:
        by_paper: dict[str, list[Mentions]] = {}
        for mentions in found:
            by_paper.setdefault(mentions.paper.id, []).append(mentions)
        n, total = len(by_paper), len(papers)
        if request.negated:
            without = [paper for paper in papers if paper.id not in by_paper]
            if not without:
                every = f"{words.quoted(papers[0])} mentions" if total == 1 else f"All of {self.of(papers)} mention"
                return Reply(f"{every} {told}.")
            do = "does" if len(without) == 1 else "do"
            head = f"{counted(len(without), 'paper')} of {total} {do} not mention {told}"
            return Reply(f"{head} in exactly this form:\n\n{self.listing(without)}")
        if not by_paper:
            none = (
                f"{words.quoted(papers[0])} does not mention" if total == 1 else f"None of {self.of(papers)} mentions"
            )
            return Reply(f"{none} {told} in exactly this form; reference lists were not searched.")
        cite_all = sum(len(mentions.hits) for mentions in found) <= MOST_CITED
        lines, passages, citations = [], list[Passage](), list[Citation]()
        for ordered in (by_paper[paper.id] for paper in papers if paper.id in by_paper):
            parts = []
            for mentions in ordered:
                pages = []
                for at, hit in enumerate(mentions.hits):
                    marked = ""
                    if (cite_all or at == 0) and len(passages) < 999:
                        passages.append(Passage(len(passages) + 1, hit.chunk, mentions.paper, 1.0, ("words",)))
                        citations.append(self._cited(passages[-1], hit.page, hit.quote))
                        marked = f" [{len(passages)}]"
                    pages.append(f"{mentions.paper.page_name(hit.page)}{marked}")
                noun = "page" if len(pages) == 1 else "pages"
                parts.append(f"{counted(mentions.count, 'time')}, {noun} {', '.join(pages)}")
            lines.append(f"{words.entry(ordered[0].paper)}: {'; '.join(parts)}")
        if total == 1:
            where = lines[0].removeprefix(words.entry(papers[0])).lstrip(": ")
            text = f"{words.quoted(papers[0])} mentions {told} {where}."
            return Reply(text, tuple(passages), tuple(citations))
        head = f"{n} of {self.of(papers)} mention{'s' if n == 1 else ''} {told}"
        return Reply(f"{head}:\n\n{words.numbered(lines)}", tuple(passages), tuple(citations))

    def _cited(self, passage: Passage, page: int, quote: str) -> Citation:
        pages = self._pages.setdefault(passage.paper.id, {})
        if not pages:
            pages |= {stored.number: stored.text for stored in self.library.pages(passage.paper.id)}
        there = pages.get(page, "")
        return Citation(
            marker=passage.marker, passage=passage, page=page, quote=quote, verified=stands_in(quote, there)
        )

    def _cites(self, request: Request) -> Reply | None:  # noqa: PLR0911 - one outcome a line
        text = request.words or ""
        if not self.papers:
            return self.empty()
        if ONE.fullmatch(text) or (NAMES.fullmatch(text) and len(self.names) == 1 and self.names[0].sure):
            one = self.subject(text)
            if one is None or isinstance(one, Reply):
                return one
            return self._cite_reply(request, words.quoted(one[0]), of_paper(one[0]), but=one[0].id)
        said = self.said(text)
        is_quoted = said.strip()[:1] in MARKS
        if NAMED in text or (not is_quoted and _NOT_A_WORD.match(fold(said))):
            return None
        by_title = title_fragment(said, self.papers)
        if len(by_title) == 1:
            return self._cite_reply(request, words.quoted(by_title[0]), of_paper(by_title[0]), but=by_title[0].id)
        if (made := of_words(said)) is None:
            return None
        is_work = is_quoted or looks_named(said) or is_person(said)
        return self._cite_reply(request, f"“{said.strip(MARKS + ' ')}”", made, is_work=is_work)

    def _cite_reply(  # noqa: PLR0911 - one outcome a line
        self,
        request: Request,
        told: str,
        cites: Callable[[str], bool],
        *,
        but: str | None = None,
        is_work: bool = True,
    ) -> Reply | None:
        found, without = citing(self.library, self.papers, cites=cites, but=but)
        if not found and not is_work:
            return None  # "which studies cite a lack of power?" is about what they say
        checked = [paper for paper in self.papers if paper.id != but and paper not in without]
        if not checked:
            return Reply(f"No paper {self.here} has a reference list in which to look for {told}.")
        unknown = (
            f"\n\n{counted(len(without), 'paper')} could not be checked, because the library has no reference list for "
            f"{'it' if len(without) == 1 else 'them'}."
            if without
            else ""
        )
        n, total = len(found), len(self.papers)
        if request.negated:
            ids = {paper.id for paper, _ in found}
            rest = [paper for paper in checked if paper.id not in ids]
            if not rest:
                return Reply(f"Every paper {self.here} that could be checked cites {told}.{unknown}")
            do = "does" if len(rest) == 1 else "do"
            return Reply(
                f"{counted(len(rest), 'paper')} of {total} {do} not cite {told}:\n\n{self.listing(rest)}{unknown}"
            )
        if not found:
            if total == 1:
                return Reply(f"{words.quoted(self.papers[0])} does not cite {told}.")
            return Reply(f"None of {self.of(self.papers)} cites {told}.{unknown}")
        lines = [f"{words.entry(paper)}: {entry}" for paper, entry in found]
        head = f"{n} of {self.of(self.papers)} cite{'s' if n == 1 else ''} {told}"
        return Reply(f"{head}:\n\n{words.numbered(lines)}{unknown}")

    def _page(self) -> Reply | None:
        if not self.history:
            return None
        by_id = {paper.id: paper for paper in self.papers}
        before = _Answering(self.library, self.history[-1][0], self.scope, self.history[:-1], ())
        if requests := [r for r in read(before.plain.text, before.marked) if r.verb == "mentions"]:
            return before._answered(requests[0])
        pages: dict[str, list[int]] = {}
        for paper_id, page in self.cited or self._pages_of(self.history[-1][1]):
            if paper_id in by_id and page not in pages.setdefault(paper_id, []):
                pages[paper_id].append(page)
        return Reply(_on_pages([(by_id[paper_id], found) for paper_id, found in pages.items()])) if pages else None

    def _pages_of(self, answer: str) -> Iterator[tuple[str, int]]:
        """Pages that contain a sentence of the answer word for word."""
        said = [re.sub(r"[*_>“”]", "", _FIRST_MARKER.sub("", sentence)).strip() for sentence in split_sentences(answer)]
        for sentence in said:
            if len(sentence.split()) >= 4:
                for mentions in find_mentions(self.library, sentence.rstrip("."), self.papers):
                    yield from ((mentions.paper.id, hit.page) for hit in mentions.hits)

    # -- the library -------------------------------------------------------------------------------------------------

    def _by(self, request: Request) -> Reply | None:
        said = self.said(request.words or "").strip(MARKS + " ")
        person, year = said, None
        if dated := re.fullmatch(r"(.+?),? (?:in |from |of )?\(?((?:19|20)\d\d)\)?", said):
            person, year = dated[1], int(dated[2])
        person = re.sub(r",? et al\.?$|(?<=\w)'s$", "", person)
        people = re.split(r",? (?:and|&|und|и) ", person)
        found = [paper for paper in self.papers if _is_by_all(paper, people)]
        if not found:
            if request.strict or not is_person(person) or fold(person) in _NO_PERSON:
                return None
            if elsewhere := [] if self.scope.whole else [p for p in self.library.papers() if _is_by_all(p, people)]:
                n = counted(len(elsewhere), "paper")
                listed = self.listing(elsewhere)
                return Reply(f"No paper that this chat asks is by “{person}”, but {n} of the library:\n\n{listed}")
            if len(people) > 1:
                return Reply(f"No paper {self.here} is by “{person}”.")
            return Reply(f"No paper {self.here} has an author called “{person}”.")
        if year:
            found = [paper for paper in found if paper.year == year]
            if not found:
                return Reply(f"No paper by “{person}” {self.here} is from {year}.")
        told = f"{counted(len(found), 'paper')} {self.here} {'is' if len(found) == 1 else 'are'} by “{person}”"
        names = {words.flat(a) for paper in found for a in paper.authors if is_by(_written_by(paper, a), person)}
        also = "" if len(names) <= 1 else f"\n\nThe authors of this name are {words.joined(sorted(names))}."
        return Reply(f"{told}:\n\n{self.listing(found)}{also}")

    def _years(self, request: Request) -> Reply:
        first, last = request.years
        found = [p for p in self.papers if p.year and (first or 0) <= p.year <= (last or 9999)]
        unknown = sum(paper.year is None for paper in self.papers)
        if first == last:
            when = f"from {first}"
        elif first and last:
            when = f"from {first} to {last}"
        else:
            when = f"from {first} or later" if first else f"from {last} or earlier"
        more = f"\n\nThe library has no year for {counted(unknown, 'paper')}." if unknown else ""
        if not found:
            return Reply(f"No paper {self.here} is {when}.{more}")
        verb = "is" if len(found) == 1 else "are"
        found.sort(key=lambda paper: paper.year or 0)
        return Reply(f"{counted(len(found), 'paper')} {self.here} {verb} {when}:\n\n{self.listing(found)}{more}")

    def _count(self) -> str:
        n = len(self.papers)
        if self.scope.whole:
            return f"Your library has {counted(n, 'paper')}."
        return f"This chat asks {counted(n, 'paper')}; your library has {len(self.library.papers())}."

    def _list(self, request: Request) -> Reply:
        papers = list(self.papers)
        match request.order:
            case "year":
                papers.sort(key=lambda paper: -(paper.year or 0))
            case "oldest":
                papers.sort(key=lambda paper: paper.year or 9999)
            case "title":
                papers.sort(key=lambda paper: fold(title_of(paper)))
            case "authors":
                papers.sort(key=lambda paper: fold(paper.authors[0].split()[-1] if paper.authors else "\uffff"))
        return Reply(f"{self._count()}\n\n{self.listing(papers)}")

    def _newest(self, request: Request) -> Reply:
        if request.order:
            known = sorted(
                (p for p in self.papers if p.year), key=lambda p: p.year or 0, reverse=request.order == "year"
            )
            if not known:
                return Reply("The library has no year for any of these papers.")
            same = [paper for paper in known if paper.year == known[0].year]
            unknown = len(self.papers) - len(known)
            more = f"\n\nThe library has no year for {counted(unknown, 'paper')}." if unknown else ""
            which = "newest" if request.order == "year" else "oldest"
            noun = "paper is" if len(same) == 1 else "papers are"
            the = "The" if self.scope.whole else "Of the papers that this chat asks, the"
            return Reply(f"{the} {which} {noun} from {known[0].year}:\n\n{self.listing(same)}{more}")
        added = self.library.added_at()
        newest = sorted(self.papers, key=lambda paper: added.get(paper.id, ""), reverse=True)[:NEW]
        lines = [
            f"{words.entry(paper)}{f': added on {at[:10]}' if (at := added.get(paper.id)) else ''}" for paper in newest
        ]
        last = "Added last" if self.scope.whole else "Of the papers that this chat asks, added last"
        return Reply(f"{last}, the newest first:\n\n{words.numbered(lines)}")


def _is_by_all(paper: Paper, people: Sequence[str]) -> bool:
    return is_by(paper, " and ".join(people)) or all(is_by(paper, person) for person in people)


def _written_by(paper: Paper, author: str) -> Paper:
    return replace(paper, authors=(author,))


def _on_pages(found: Sequence[tuple[Paper, Sequence[int]]]) -> str:
    lines = []
    for paper, pages in found:
        noun = "page" if len(pages) == 1 else "pages"
        lines.append(f"{noun} {words.joined([paper.page_name(page) for page in pages])} of {words.quoted(paper)}")
    return (
        f"It is on {lines[0]}."
        if len(lines) == 1
        else "The passages are on:\n\n" + "\n".join(f"- {line}" for line in lines)
    )
