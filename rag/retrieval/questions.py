"""Decide by rule what kind of question was asked and which papers it names: a rule can be read and tested.

If a rule is unsure, it is a fact question about the chosen papers, which changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rag.retrieval.comparisons import asked_of_each, described_papers
from rag.retrieval.followups import follow_up
from rag.retrieval.forms import IN_SHORT, NAMED, POLITE, SHORT
from rag.retrieval.naming import Plain, find_names, listed_in, marked_text, title_of
from rag.retrieval.pages import MAX_PAPERS, AskedPage, asked_page, papers_with
from rag.retrieval.topics import described_topic, reply_topic, tells_of_named
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest import Paper
    from rag.answer import Kind, Scope
    from rag.retrieval.followups import FollowUp
    from rag.retrieval.naming import Name

MAX_COMPARED = 8
"""No more papers are compared: each would get at most one passage."""

MAX_NAMED = 4
"""If an author and year fit more papers than this, they name none of them."""

WHICH_PAPER = "Which paper do you mean?"
CHOOSE_ONE = "To summarise a paper, choose it in the Library or name it in the question."
CHOOSE_FEWER = f"Choose at most {MAX_COMPARED} in the Library, or name two in the question."

_OF_ONE = re.compile(r"\b(?:(?:this|that|the) (?:paper|article|study|publication|preprint|manuscript)|it)\b")
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

_ONLY_A_NAME = re.compile(rf"(?:i mean )?(?:the )?(?:one |{_NOUN} )?(?:by |of |from |on |about )?{NAMED}(?: please)?")

_SUMMARY = re.compile(
    rf"{IN_SHORT}{POLITE}(?:(?:briefly |shortly )?(?:summari[sz]e|sum up|outline)"
    r"|(?:give|write|make|provide)(?: me)?(?: an?| the)?(?: short| brief| quick| concise| main| key)? "
    r"(?:summary|overview|synopsis|gist|points|message|ideas?) of"
    r"|what(?: is|'s) the (?:gist|summary|main (?:idea|point|message)|key (?:idea|point|message)|bottom line) of"
    rf"|tl;?dr(?: of)?:?) {_ONE_OR_MORE}"
    r"(?: (?:each|briefly|please|for me|in (?:an? |\w+ )?(?:few |short )?(?:words?|sentences?|paragraphs?)))*"
    rf"|{IN_SHORT}what (?:is|are|was|were) {_ONE_OR_MORE} (?:all )?about(?:,? {SHORT})?"
    rf"|what (?:are|is|were) (?:the )?(?:main|key|central|principal|most important) "
    rf"(?:findings?|results?|contributions?|conclusions?|takeaways?|claims?|messages?) (?:of|in|from) {_ONE_OR_MORE}"
    rf"|(?:main|key) (?:findings|results|contributions|conclusions|takeaways) of {_ONE_OR_MORE}"
    rf"|what (?:do|does|did) (?!it |them |they ){_ONE_OR_MORE} (?:find|show|conclude|say|argue|claim|propose)"
)
_COMPARISON = re.compile(
    rf"{POLITE}(?:compare|contrast) {_SEVERAL}\b.*"
    rf"|{POLITE}(?:compare|contrast) .* (?:of|in|across|between) (?!them){_SEVERAL}"
    rf"|(?:how|in what way) (?:do|does|did) (?!them){_SEVERAL} (?:compare|differ|relate|contrast)\b.*"
    rf"|how (?:does|do|did) {NAMED} (?:compare (?:to|with)|differ from|relate to) {NAMED}\b.*"
    r"|(?:what(?: is|'s| are)|explain|describe) the (?:main |key )?(?:differences?|similarit(?:y|ies)) "
    rf"(?:between|of|among) (?!them){_SEVERAL}\b.*"
    rf"|what do (?!them){_SEVERAL} "
    r"(?:have in common|disagree|agree|(?:say|report|find|conclude|claim) (?:about|on|for))\b.*"
    rf"|(?:do|does|did) (?!them){_SEVERAL} (?:agree|disagree|contradict|differ)\b.*"
    rf"|(?:vergleiche?n? (?:sie )?|(?:сравни|сравнете) ){NAMED},? (?:und|mit|и|с|със) {NAMED}\b.*"
)
_COMPARES = re.compile(
    r"\b(?:compar(?:e[ds]?|ing|ison)|contrast\w*|differ(?:s|ed|ences?|ently|ent)?|similar(?:ities|ity|ly)?|versus|vs|alike"
    r"|as opposed to|agree|disagree|contradict\w*|both|which of|in common"
    r"|unterschied\w*|vergleich\w*|сравн\w+|разлик\w+"
    r"|(?:\w+er|more|less|better|worse) (?:[\w-]+ ){0,3}than"
    r"|(?:and|while|whereas|but) (?:for |in |by |of |at )?(?:which|what|how|whom?|when|where))\b"
    rf"|{NAMED}[^,;]*,? (?:and|or|while|whereas) (?:[^,;]* )?{NAMED}"
)
"""A question with one of these that names two papers compares them, in whatever words."""
_PAIR = re.compile(
    rf"{NAMED},? (?:and|or|with|to|from|than|versus|vs\.?|against) (?:the )?(?:(?:{_NOUN} )?(?:by|of) )?{NAMED}"
)
_ASKS_OTHERS = re.compile(
    r"\b(?:which|what|other|any|more|further|recent) (?:other |more )?(?:people|groups)\b"
    r"|\b(?:which|what|how many|other|any|more|further|recent) (?:other |more )?"
    r"(?:papers|articles|studies|publications|works|authors|researchers)\b|\b(?:any|some)(?:one|body)\b"
    r"|^who (?:else |has |have )*(?:compare[sd]?|contrast(?:s|ed)?|(?:dis)?agree[sd]?|contradict(?:s|ed)?)\b"
)
"""It asks who or which papers compare, so that those named are no more than what it is about."""
_THING = re.compile(
    rf"(?<!do )(?<!does )(?<!did ){NAMED} (?:(?:[\w-]+ )?|(?:rank sum|signed rank) )(?:(?:[tzf]-)?tests?|distributions?"
    r"|laws?|equations?|theorems?|lemmas?|ind(?:ex(?:es)?|ices)|numbers?|coefficients?|constants?|modul(?:us|i)|filters?|kernels?"
    r"|process(?:es)?|transforms?|criteri(?:on|a)|inequality|corrections?|estimators?|priors?|statistics?|syndrome|disease)\b"
)
"""A bare name before one of these names a thing: "Fisher's exact test"."""
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
    rf"|{POLITE}(?:list|find|show|give)(?: me)?(?: all| every| the| any)*(?: of)?(?: the| my)? {_MANY_NOUN}{_WHERE} "
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
    rf"|{POLITE}(?:summari[sz]e|explain|describe|outline) (?:[\w-]+ ){{0,4}}{NAMED}.*"
)
_ASKS_BARE = re.compile(
    rf"(?:what|which|how|why|where|when)\b[^,;]*? (?:do|does|did) {NAMED} (?:say|find|report|conclude|use|show|propose"
    r"|argue|claim|measure|define|recommend|describe|suggest|study|test|evaluate|compare|mean|write|discuss)\b.*"
    rf"|(?:.* )?according to {NAMED}\b.*"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a question is understood: what to search for, in which papers, and in which way."""

    question: str
    kind: Kind
    scope: Scope
    searched: str | None = None
    """The follow-up rewritten to stand alone; None if the question is searched for as asked."""
    notice: str | None = None
    """What the user should know, in one sentence."""
    topical: bool = True
    """Whether the question says what to compare; "Compare these papers" does not."""
    pages: Mapping[str, tuple[int, int]] | None = None
    """First and last page asked about, 1-based, by paper id; None for all pages."""
    compared: tuple[tuple[Paper | str, str], ...] = ()
    """Two papers that are compared, each with what it is asked; one that the question only describes is told by what it
    is about and still to be searched for."""
    sought: str | None = None
    """What the paper is about that the question describes and does not name; it is still to be searched for."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """What is asked of each paper compared, by its id, without the others' names; a paper that is missing is asked the
    question as it is."""
    unclear: str | None = None
    """What the user is asked in return, because the question does not say which papers it means; then nothing is
    searched."""

    @property
    def text(self) -> str:
        """The words to search for."""
        return self.searched or self.question


def plan(question: str, *, scope: Scope, history: Sequence[tuple[str, str]] = ()) -> Plan:
    """Decide how to understand a question about the papers in `scope`, in a chat with this history."""
    if page := asked_page(" ".join(question.split())):
        return _page_plan(question, page, scope, history)
    return _plan(question, scope, history)


def _page_plan(question: str, page: AskedPage, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan:
    """Restrict a question about a page to that page, if only a few papers have it."""
    names, marked = _mentioned(page.rest, scope.papers, history)
    named = _papers_of(names, scope.papers) or _asked_before(scope.papers, history)
    scope = scope.narrowed(named) if named else scope
    having = papers_with(page, scope.papers)
    if 0 < len(having) <= MAX_PAPERS:
        papers = tuple(paper for paper in scope.papers if paper.id in having)
        scope = scope if len(papers) == len(scope.papers) else scope.narrowed(papers)
        whole = replace(page, rest=marked).is_whole(NAMED)
        return Plan(question, "summary" if whole else "fact", scope, notice=_fitting_more(names), pages=having)
    taken = _plan(question, scope, history)
    n = f"page {page.first}" if page.first == page.last else f"pages {page.first} to {page.last}"
    told = f"{len(having)} papers have a {n}. Name the paper to ask that page alone." if having else ""
    of = "The paper has" if len(scope.papers) == 1 else "None of the papers has"
    told = told or (f"{of} no {n}." if len(scope.papers) == 1 else f"{of} a {n}.") * bool(scope.papers)
    return replace(taken, notice=" ".join(filter(None, (taken.notice, told))) or None)


def _plan(question: str, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan:
    if told := _told_which(question, scope, history):
        return told
    every = scope
    follows = follow_up(question, history)
    listed = listed_in(history[-1][1], scope.papers) if history else []
    names, marked = _asked_names(question, scope.papers, listed)
    named = _papers_of(names, scope.papers)
    more = _fitting_more(names)
    if not named and follows:
        named, _ = named_papers(follows.of, scope.papers)  # "What does Smith 2019 say about X?" - "And about Y?"
    if named:
        scope = scope.narrowed(named)
    kind = kind_of(marked, n_papers=len(scope.papers))
    if kind == "fact" and (described := _described(question, scope, history)):
        return described
    if kind == "fact" and not follows and (described := _two_described(question, every, history)):
        return described
    searched = follows.text if follows and kind in ("fact", "papers") else None
    if unsure := _too_many(question, kind, scope, marked, follows):
        return replace(unsure, searched=unsure.searched or searched)
    asked = _asked_of_names(names, marked) if kind == "comparison" else {}
    return Plan(question, kind, scope, searched, more, topical=bool(_topic(marked)), asked=asked)


def _asked_of_names(names: Sequence[Name], marked: str) -> dict[str, str]:
    """What a comparison asks of each paper that it names, by the paper's id."""
    questions = asked_of_each(_plain(marked)) or ()
    if len(questions) != len(names):
        return {}
    return {paper.id: asked for name, asked in zip(names, questions, strict=True) for paper in name.papers}


def _too_many(question: str, kind: Kind, scope: Scope, marked: str, follows: FollowUp | None) -> Plan | None:
    """What becomes of a summary or a comparison that does not say of which papers; None if it is clear."""
    n = len(scope.papers)
    plain = _plain(question)
    if kind == "summary" and not scope.named and (n > MAX_COMPARED or (n > 1 and _OF_ONE.search(plain))):
        if follows:  # "What is it about?" in the middle of a chat
            return Plan(question, "fact", scope, follows.text)
        if n <= MAX_COMPARED:
            told = f"You have not said which of the {n} papers you mean, so here is a sentence from each. {CHOOSE_ONE}"
            return Plan(question, kind, scope, notice=told)
        one = f"{WHICH_PAPER} {CHOOSE_ONE}"
        many = f"{n} papers are too many to summarise. {CHOOSE_FEWER}"
        return Plan(question, kind, scope, unclear=one if _OF_ONE.search(plain) else many)
    if n > MAX_COMPARED and kind == "fact" and kind_of(marked, n_papers=MAX_COMPARED) == "comparison":
        if follows or _topic(marked):  # passages of some of them may say it
            return Plan(question, "fact", scope, notice=f"{n} papers were searched. To compare papers: {CHOOSE_FEWER}")
        return Plan(question, "comparison", scope, unclear=f"{n} papers are too many to compare. {CHOOSE_FEWER}")
    return None


def _told_which(question: str, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan | None:
    """The summary of the paper that the user names or describes when asked which one is meant; else None."""
    if not history or not history[-1][1].startswith(WHICH_PAPER):
        return None
    names, marked = _mentioned(question, scope.papers, history)
    named = _papers_of(names, scope.papers)
    if len(named) == 1 and _ONLY_A_NAME.fullmatch(_plain(marked)):
        return Plan(question, "summary", scope.narrowed(named))
    asks = question.rstrip().endswith("?") or kind_of(marked, n_papers=len(scope.papers)) != "fact"
    topic = None if asks else reply_topic(_plain(question))
    return Plan(question, "summary", scope, sought=topic) if topic and not named else None


def _described(question: str, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan | None:
    """The summary of one paper that is described: "the holy basil genome paper", "the paper by Lee and others on X"."""
    names, marked = _mentioned(question, scope.papers, history)
    named = _papers_of(names, scope.papers)
    if len(named) == 1 and tells_of_named(_plain(marked)):
        return Plan(question, "summary", scope.narrowed(named))
    if any(not name.by_words for name in names):
        return None
    topic = described_topic(_plain(question)) if len(scope.papers) > 1 else None
    return Plan(question, "summary", scope, sought=topic) if topic else None


def _two_described(question: str, scope: Scope, history: Sequence[tuple[str, str]]) -> Plan | None:
    """The comparison of two papers, described or named by words of the title: "the HEK-293 paper versus Lee 2020"."""
    if len(scope.papers) < 2:
        return None
    names, marked = _mentioned(question, scope.papers, history)
    found = described_papers(_plain(marked))
    if found is None or not _compares_named(found.text):
        return None
    named = iter([name.papers[0] for name in names if len(name.papers) == 1])
    papers = [topic or next(named, None) for topic in found.topics]
    asked = found.asked() or (question, question)
    compared = tuple((paper, its) for paper, its in zip(papers, asked, strict=True) if paper)
    topical = bool(_topic(found.text))
    return Plan(question, "fact", scope, topical=topical, compared=compared) if len(compared) == len(papers) else None


def kind_of(question: str, *, n_papers: int) -> Kind:
    """The kind of a question about this many papers; papers that it names may appear in it as `NAMED`."""
    text = _plain(question)
    if _SUMMARY.fullmatch(text):
        return "summary"
    if n_papers > 1 and _PAPERS.fullmatch(text):
        return "papers"
    if 1 < n_papers <= MAX_COMPARED and (_COMPARISON.fullmatch(text) or _compares_named(text)):
        return "comparison"
    return "fact"


def _compares_named(marked: str) -> bool:
    return marked.count(NAMED) > 1 and bool(_COMPARES.search(marked)) and not _ASKS_OTHERS.search(marked)


def named_papers(
    question: str, papers: Sequence[Paper], *, listed: Sequence[Paper] = ()
) -> tuple[tuple[Paper, ...], str]:
    """The papers that the question asks about by name (`rag.retrieval.naming`), and the question with `NAMED` for them.

    A paper that is only mentioned is not asked about: "Which papers build on Smith 2019?", "better than Smith 2019". If
    a name fits no paper, or too many, no paper counts as named.

    Args:
        question: in the user's words.
        papers: the candidates.
        listed: the list that was shown last, for "the second one".
    """
    names, marked = _asked_names(question, papers, listed)
    return _papers_of(names, papers), marked


def _mentioned(
    question: str, papers: Sequence[Paper], history: Sequence[tuple[str, str]]
) -> tuple[tuple[Name, ...], str]:
    """The names of papers in a question, including positions in the last list, and the question with `NAMED` for each.

    If too many papers fit, none is named.
    """
    plain = Plain(question)
    names = tuple(find_names(plain, papers, listed=listed_in(history[-1][1], papers) if history else ()))
    if len({paper.id for name in names for paper in name.papers}) > MAX_NAMED:
        return (), plain.text
    return names, marked_text(plain, names)


def _asked_before(papers: Sequence[Paper], history: Sequence[tuple[str, str]]) -> tuple[Paper, ...]:
    """Papers that the last question asked about by name; "And page 4?" keeps those of the question before."""
    for place in range(len(history) - 1, -1, -1):
        asked, before = history[place][0], history[:place]
        page = asked_page(" ".join(asked.split()))
        if page is None:
            listed = listed_in(before[-1][1], papers) if before else ()
            named = named_papers(asked, papers, listed=listed)[0]
            if named or not follow_up(asked, before):
                return named
        elif named := _papers_of(_mentioned(page.rest, papers, before)[0], papers):
            return named
    return ()


def _asked_names(question: str, papers: Sequence[Paper], listed: Sequence[Paper]) -> tuple[tuple[Name, ...], str]:
    plain = Plain(question)
    found = []
    for bare, short in ((False, False), (True, False), (True, True)):
        names = tuple(
            name
            for name in find_names(plain, papers, listed=listed, bare=bare, short=short)
            if not name.by_words or (len(name.papers) == 1 and len(content_words(name.text)) > 2)
        )
        if not names or len({paper.id for name in names for paper in name.papers}) > MAX_NAMED:
            continue
        marked = marked_text(plain, names)
        if _PAPERS.fullmatch(marked) or (bare and _THING.search(marked)):
            continue
        found.append((bare, short, names, marked))
    for _, _, names, marked in found:  # in "the papers by Smith and Jones", Jones is a bare name
        pair = marked.count(NAMED) == 2 and _PAIR.search(marked)  # a third one is who is asked
        if pair and _compares_named(marked) and len({name.papers for name in names}) > 1:
            return names, marked
    for bare, short, names, marked in found:
        if _COMPARISON.fullmatch(marked) or (_compares_named(marked) and len({name.papers for name in names}) > 1):
            return names, marked
        if not short and (_ASKS_BARE if bare else _ASKS_NAMED).fullmatch(marked):
            return names, marked
        if not bare and _SUMMARY.fullmatch(marked):
            return names, marked
    return (), question


def _papers_of(names: Sequence[Name], papers: Sequence[Paper]) -> tuple[Paper, ...]:
    ids = {paper.id for name in names for paper in name.papers}
    return tuple(paper for paper in papers if paper.id in ids)


def _fitting_more(names: Sequence[Name]) -> str | None:
    """What to say if a name fits several papers, which are then all searched; None if no name does."""
    told = [
        f"“{name.text}” fits {len(name.papers)} papers, and all of them were asked: "
        f"{'; '.join(title_of(paper) for paper in name.papers)}."
        for name in names
        if len(name.papers) > 1
    ]
    return " ".join(told) or None


def _topic(question: str) -> set[str]:
    """Stems of the words that say what to compare; empty for "Compare these papers"."""
    return content_words(question) - content_words(
        "compare comparison contrast difference differ differences similarity similarities common agree disagree "
        "versus vs both "
        "contradict relate paper papers article articles study studies publications two three four five chosen "
        f"selected please main key explain describe {NAMED}"
    )


def _plain(question: str) -> str:
    """The question in lower case without accents, on one line, without punctuation at its end."""
    return Plain(question).text
