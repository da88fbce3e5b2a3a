"""What kind of question it is, and which papers it names: by rule, because a rule can be read and tested.

Unsure means a fact question about the papers that were chosen, which changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingest.names import is_body
from rag.retrieval.followups import follow_up
from rag.retrieval.pages import MAX_PAPERS, AskedPage, asked_page, papers_with
from rag.words import content_words, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ingest import Paper
    from rag.answer import Kind, Scope

NAMED = "ƥ"
"""Stands in a question for each paper that it names."""

TITLE_WORDS = 5
"""So many words of a title, from its beginning, name the paper; fewer only in quotation marks or before "paper"."""

MAX_COMPARED = 8
"""More papers are not compared: each would get no more than a passage."""

MAX_NAMED = 4
"""An author and year that fit more papers name none of them."""

CHOOSE_ONE = "To summarise a paper, choose it in the Library or name it in the question."
CHOOSE_FEWER = f"To compare papers, choose at most {MAX_COMPARED} in the Library."

_OF_ONE = re.compile(r"\b(?:(?:this|that|the) (?:paper|article|study|publication|preprint|manuscript)|it)\b")
_POLITE = r"(?:please |kindly )?(?:(?:can|could|would|will) you )?(?:please )?"
_NOUN = r"(?:papers?|articles?|stud(?:y|ies)|publications?|preprints?|manuscripts?)"
_MANY_NOUN = r"(?:papers|articles|studies|publications|preprints)"
_SET = r"(?:all |both )?(?:of )?(?:these|those|the|my|both|all)(?: \d+| two| three| four| five| chosen| selected)?"
_ONE_OR_MORE = (
    rf"(?:(?:this|that) {_NOUN}|{_SET} {_NOUN}|(?:the )?(?:{_NOUN} )?{NAMED}(?:(?:,| and|, and) {NAMED})*|it|them|they)"
)
_SEVERAL = (
    rf"(?:{_SET} {_MANY_NOUN}|them|{NAMED}(?:,? (?:and|with|to|or|versus|vs\.?|against) {NAMED}|, {NAMED})+"
    rf"|the {NAMED} (?:and|or) the {NAMED})"
)

_SUMMARY = re.compile(
    rf"{_POLITE}(?:(?:briefly |shortly )?(?:summari[sz]e|sum up|outline)"
    r"|(?:give|write|make|provide)(?: me)?(?: an?| the)?(?: short| brief| quick| concise)? "
    r"(?:summary|overview|synopsis) of"
    r"|what(?: is|'s) the (?:gist|summary|main (?:idea|point|message)|key (?:idea|point|message)|bottom line) of"
    rf"|tl;?dr:?) {_ONE_OR_MORE}"
    r"(?: (?:each|briefly|please|for me|in (?:an? |\w+ )?(?:few |short )?(?:words?|sentences?|paragraphs?)))*"
    rf"|what (?:is|are|was|were) {_ONE_OR_MORE} (?:all )?about"
    rf"|what (?:are|is|were) (?:the )?(?:main|key|central|principal|most important) "
    rf"(?:findings?|results?|contributions?|conclusions?|takeaways?|claims?|messages?) (?:of|in|from) {_ONE_OR_MORE}"
    rf"|(?:main|key) (?:findings|results|contributions|conclusions|takeaways) of {_ONE_OR_MORE}"
    rf"|what (?:do|does|did) (?!it |them |they ){_ONE_OR_MORE} (?:find|show|conclude|say|argue|claim|propose)"
)
_COMPARISON = re.compile(
    rf"{_POLITE}(?:compare|contrast) {_SEVERAL}\b.*"
    rf"|{_POLITE}(?:compare|contrast) .* (?:of|in|across|between) (?!them){_SEVERAL}"
    rf"|(?:how|in what way) (?:do|does|did) (?!them){_SEVERAL} (?:compare|differ|relate|contrast)\b.*"
    rf"|how (?:does|do|did) {NAMED} (?:compare (?:to|with)|differ from|relate to) {NAMED}\b.*"
    r"|(?:what(?: is|'s| are)|explain|describe) the (?:main |key )?(?:differences?|similarit(?:y|ies)) "
    rf"(?:between|of|among) (?!them){_SEVERAL}\b.*"
    rf"|what do (?!them){_SEVERAL} "
    r"(?:have in common|disagree|agree|(?:say|report|find|conclude|claim) (?:about|on|for))\b.*"
    rf"|(?:do|does|did) (?!them){_SEVERAL} (?:agree|disagree|contradict|differ)\b.*"
)
_MENTION = (
    r"(?:mentions?|uses?|used|discuss(?:es)?|reports?|address(?:es)?|stud(?:y|ies)|deals? with|talks? about|covers?"
    r"|propos(?:es?|ed)|evaluat(?:es?|ed)|investigat(?:es?|ed)|examin(?:es?|ed)|describes?|considers?|contains?"
    r"|(?:is|are) about|appl(?:y|ies)|introduc(?:es?|ed)|measur(?:es?|ed)|works? with|shows?|finds?|found|argues?"
    r"|claims?|recommends?|says?|tests?|tested|say|rely on|relies on|focus(?:es)? on)"
)
_WHERE = r"(?: here| in (?:my|the|this) (?:library|collection)| of mine| i have)?"
_WHICH = rf"(?:which|what|how many)(?: of)?(?: the| these| those| my| all)? {_NOUN}{_WHERE}"
_PAPERS = re.compile(
    rf"{_WHICH} (?:do |does )?(?!they\b|the authors\b){_MENTION}\b.*"
    rf"|in (?:which|what|how many)(?: of)?(?: the| these| those| my)? {_NOUN}{_WHERE} "
    r"(?:is|are|was|were|does|do|did)\b.*"
    rf"|{_POLITE}(?:list|find|show|give)(?: me)?(?: all| every| the| any)*(?: of)?(?: the| my)? {_MANY_NOUN}{_WHERE} "
    r"(?:that|which|about|on|using|mentioning|discussing|with|where)\b.*"
    rf"|(?:are|is) there (?:any |an? |other )*{_NOUN}{_WHERE} (?:that|which|about|on|using|mentioning|discussing)\b.*"
    rf"|(?:do|does) any(?: of)?(?: the| these| those| my)? {_NOUN}{_WHERE} {_MENTION}\b.*"
)
_ASKS_NAMED = re.compile(
    rf"(?:what|which|how|why|where|when|whether|who)\b[^,;]*? (?:do|does|did|is|are|was|were|has|have|can|could) "
    rf"(?:the )?(?:{_NOUN} (?:by|of|from) )?{NAMED}(?! (?:better|worse) than).*"
    rf"|(?:do|does|did|is|are|was|were|has|have) (?:the )?(?:{_NOUN} (?:by|of) )?{NAMED}.*"
    rf"|.*\baccording to (?:the )?(?:{_NOUN} (?:by|of) )?{NAMED}.*"
    rf"|in (?:the )?(?:{_NOUN} (?:by|of) )?{NAMED}\b.*|.*\b(?:used|reported|described|mentioned|shown|found) in "
    rf"(?:the )?(?:{_NOUN} (?:by|of) )?{NAMED}|{NAMED}.*"
    rf"|what (?:is|are|was|were) the (?:[\w-]+ ){{1,3}}(?:of|in) (?:the )?(?:{_NOUN} (?:by|of) )?{NAMED}"
    rf"|{_POLITE}(?:summari[sz]e|explain|describe|outline) (?:[\w-]+ ){{0,4}}{NAMED}.*"
)
_MARKS = "\"“”„‘’'«»"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a question is taken: what is searched for, in which papers, and in which way."""

    question: str
    kind: Kind
    scope: Scope
    searched: str | None = None
    """The follow-up in words that stand alone; None for a question that is searched for as it was asked."""
    notice: str | None = None
    """What the user should know, one sentence."""
    topical: bool = True
    """Whether it says what a comparison is about; "Compare these papers" does not."""
    pages: Mapping[str, tuple[int, int]] | None = None
    """The first and last page that are asked, 1-based, for each paper of the scope by its id; None: all of them."""

    @property
    def text(self) -> str:
        """What is searched for."""
        return self.searched or self.question


def plan(question: str, *, scope: Scope, history: Sequence[tuple[str, str]] = ()) -> Plan:
    """How to take a question that is asked of the papers in `scope`, in a chat with this history."""
    if page := asked_page(" ".join(question.split())):
        return _page_plan(question, page, scope, history)
    return _plan(question, scope, history)


def _page_plan(question: str, page: AskedPage, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan:
    """A question for a page is asked of that page alone, where the papers that have it are few."""
    named, marked = _mentioned(page.rest, scope.papers)
    scope = scope.narrowed(tuple(named)) if named else scope
    having = papers_with(page, scope.papers)
    if 0 < len(having) <= MAX_PAPERS:
        papers = tuple(paper for paper in scope.papers if paper.id in having)
        scope = scope if len(papers) == len(scope.papers) else scope.narrowed(papers)
        whole = replace(page, rest=marked).is_whole(NAMED)
        return Plan(question, "summary" if whole else "fact", scope, pages=having)
    taken = _plan(question, scope, history)
    n = f"page {page.first}" if page.first == page.last else f"pages {page.first} to {page.last}"
    told = f"{len(having)} papers have a {n}. Name the paper to ask that page alone." if having else ""
    of = "The paper has" if len(scope.papers) == 1 else "None of the papers has"
    told = told or (f"{of} no {n}." if len(scope.papers) == 1 else f"{of} a {n}.") * bool(scope.papers)
    return replace(taken, notice=" ".join(filter(None, (taken.notice, told))) or None)


def _plan(question: str, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan:
    follows = follow_up(question, history)
    named, marked = named_papers(question, scope.papers)
    if not named and follows:
        named, _ = named_papers(follows.of, scope.papers)  # "What does Smith 2019 say about X?" - "And about Y?"
    if named:
        scope = scope.narrowed(named)
    kind = kind_of(marked, n_papers=len(scope.papers))
    searched = follows.text if follows and kind in ("fact", "papers") else None
    n = len(scope.papers)
    if kind == "summary" and not scope.named and (n > MAX_COMPARED or (n > 1 and _OF_ONE.search(_plain(question)))):
        if follows:  # "What is it about?" in the middle of a chat
            return Plan(question, "fact", scope, follows.text)
        return Plan(question, "fact", scope, None, f"{n} papers were searched. {CHOOSE_ONE}")
    if n > MAX_COMPARED and kind == "fact" and kind_of(marked, n_papers=MAX_COMPARED) == "comparison":
        return Plan(question, "fact", scope, searched, f"{n} papers were searched. {CHOOSE_FEWER}")
    return Plan(question, kind, scope, searched, topical=bool(_topic(marked)))


def kind_of(question: str, *, n_papers: int) -> Kind:
    """The kind of a question that is asked of so many papers; a paper that it names may stand in it as `NAMED`."""
    text = _plain(question)
    if _SUMMARY.fullmatch(text):
        return "summary"
    if n_papers > 1 and _PAPERS.fullmatch(text):
        return "papers"
    if 1 < n_papers <= MAX_COMPARED and _COMPARISON.fullmatch(text):
        return "comparison"
    return "fact"


def named_papers(question: str, papers: Sequence[Paper]) -> tuple[tuple[Paper, ...], str]:
    """The papers that are asked by name, by title or by author and year, and the question with `NAMED` in their place.

    A paper that is only mentioned is not asked: "Which papers build on Smith 2019?", "better than Smith 2019".
    Asked by name with papers that are not there, or with too many that fit, no paper is named.
    """
    found, marked = _mentioned(question, papers)
    if not found:
        return (), question
    marked = re.sub(rf"(?:the )?{NAMED}(?:'s)? {_NOUN}\b|{_NOUN} {NAMED}", NAMED, marked).replace(f"{NAMED}'s", NAMED)
    marked = re.sub(rf"[{_MARKS}]?{NAMED}[{_MARKS}]?", NAMED, marked)
    asked = _COMPARISON.fullmatch(marked) or _SUMMARY.fullmatch(marked) or _ASKS_NAMED.fullmatch(marked)
    if not asked or _PAPERS.fullmatch(marked):
        return (), question
    return tuple(found), marked


def _mentioned(question: str, papers: Sequence[Paper]) -> tuple[list[Paper], str]:
    """The papers whose names stand in a question, and the plain question with `NAMED` in their place.

    Where too many fit, none is named.
    """
    marked, found = _plain(question), []
    words = set(words_of(marked))
    for paper in papers:
        for pattern in _mentions(paper, among=words):
            if pattern.search(marked):
                found.append((paper, pattern))
                break
    if len(found) > MAX_NAMED:
        found = []
    for _, pattern in found:
        marked = pattern.sub(NAMED, marked)
    return [paper for paper, _ in found], marked


def _topic(question: str) -> set[str]:
    """The stems of the words that say what a comparison is about; empty for "Compare these papers"."""
    return content_words(question) - content_words(
        "compare comparison contrast difference differ differences similarity similarities common agree disagree "
        "contradict relate paper papers article articles study studies publications two three four five chosen "
        f"selected please main key explain describe {NAMED}"
    )


def _mentions(paper: Paper, *, among: set[str]) -> Iterable[re.Pattern[str]]:
    """Patterns for the ways in which a plain question with these words may name a paper, the surest first."""
    words = words_of(_fold(paper.title))
    if not among.issuperset(words[:TITLE_WORDS]):
        words = []
    if len(words) >= TITLE_WORDS:
        rest = "".join(rf"(?:\W+{re.escape(word)}" for word in words[TITLE_WORDS:]) + ")?" * len(words[TITLE_WORDS:])
        yield re.compile(r"\b" + r"\W+".join(map(re.escape, words[:TITLE_WORDS])) + rest + r"\b")
    if words:
        title = r"\W+".join(map(re.escape, words))
        yield re.compile(rf"[{_MARKS}]{title}[{_MARKS}]" if len(words) > 1 else rf"(?!){title}")
        if len(words) < TITLE_WORDS:
            yield re.compile(rf"(?<=paper ){title}\b(?! {_NOUN})|\b{title}(?= paper\b)")
    name, colon, _ = paper.title.partition(":")
    if colon and len(name.split()) == 1 and len(name) > 2 and _fold(name) in among:
        yield re.compile(rf"\b{re.escape(_fold(name))}(?= paper\b)|(?<=paper ){re.escape(_fold(name))}\b")
    called = [_fold(name) for name in _called(paper)]
    called = [name for name in called if words_of(name) and among.issuperset(words_of(name))]
    if not called:
        return
    first = rf"(?:{'|'.join(map(re.escape, called))})(?:,? (?:jr|sr)\b\.?)?"
    others = r"(?:,? et al\.?,?|,? (?:and|&) (?:colleagues|others|co-authors)| (?:and|&)(?: [\w'-]+){1,4}?)"
    if paper.year:
        yield re.compile(rf"\b{first}(?:'s)?{others}?,? ?(?:'s )?[(\[]?{paper.year}[a-z]?\b[)\]]?")
    yield re.compile(rf"\b{first}(?:,? et al\.?|,? (?:and|&) (?:colleagues|co-authors))(?! ?,? ?[(\[]?(?:19|20)\d\d)")
    if is_body(paper.authors[0]):
        yield re.compile(rf"\b{re.escape(called[0])}\b(?! ?,? ?[(\[]?(?:19|20)\d\d)")


def _called(paper: Paper) -> list[str]:
    """What the first author is called: the whole family name, or one word of it: "García Márquez", "Márquez"."""
    if not paper.authors:
        return []
    family = paper.family_names[0]
    words = family.split()
    if family == paper.authors[0]:  # a group's
        return [family]
    return [family, *(word for word in words if word[0].isupper() and len(words) > 1)]


def _plain(question: str) -> str:
    """The question in small letters without accents, on one line, without the marks at its end."""
    return " ".join(_fold(question).split()).rstrip("?.! ")


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("’", "'"))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
