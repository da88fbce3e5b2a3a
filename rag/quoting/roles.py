"""Sentences that tell what a paper does and finds, by the phrases that mark its aim and its results.

These are two of the rhetorical roles of argumentative zoning (Teufel and Moens 2002), told by cue phrases and by the
labels of structured abstracts. A paper is summed up by such sentences, not by its first ones: those are background.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rag.quoting.no_answer import is_apparatus
from rag.retrieval.retrieve import MIN_SENTENCE
from rag.words import content_words, split_sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag.answer import Passage

Role = Literal["aim", "result"]

FEW: Final = 3
"""Up to this many papers, each is told by its aim and its results; of more, by one sentence each."""

LONGEST: Final = 500
"""Characters of a sentence. What is longer is a table or a list that was read as one."""

_THIS: Final = (
    r"(?:we|i|here|th(?:is|e (?:present|current))(?: \w+){0,2} (?:papers?|stud(?:y|ies)|articles?|works?|reviews?"
    r"|reports?|thesis|tutorials?|workshops?|modules?|courses?|packages?|surveys?|notes?|lessons?|book|project))"
)
_AIM: Final = re.compile(
    rf"\b{_THIS}\b.{{0,60}}?\b(?:present|propose|introduce|describe|develop|investigat|examin|stud(?:y|ied|ies)\b"
    r"|evaluat|assess|explor|address|review|aim|analy[sz]|determin|compar|consider|provide|offer|teach|cover|focus"
    r"|conduct|was|were|intend|seek|sought)\w*"
    r"|\b(?:aims?|purpose|objectives?|goals?) (?:of|was|is|were|are)\b|\bwith (?:a view to|the aim of)\b",
    re.IGNORECASE,
)
_DONE: Final = re.compile(
    r"\b(?:was|were) (?:conducted|undertaken|designed|carried out|performed|investigated|studied|evaluated|assessed"
    r"|examined|sequenced|reviewed|compared)\b",
    re.IGNORECASE,
)
"""What was done, which says the aim if nothing says it better."""
_RESULT: Final = re.compile(
    r"\b(?:results?|findings?|we|analys[ei]s|data|evidence|experiments?|stud(?:y|ies)|it (?:was|is|has been))\b.{0,60}?"
    r"\b(?:show|found|find\b|suggest|indicat|demonstrat|reveal|observ|confirm|conclud)\w*|^\W*(?:in conclusion|overall|"
    r"thus|therefore|hence|taken together|to conclude)\b|\bconcluded?\b"
    r"|\b(?:showed|demonstrated|revealed|exhibited|outperform\w*)\b",
    re.IGNORECASE,
)
_OUTCOME: Final = re.compile(
    r"\b(?:significant(?:ly)?|outperform\w*|improve[sd]?|improvements?|increase[sd]?|decrease[sd]?|reduce[sd]?|higher"
    r"|lower|greater|better|best|highest|lowest|maximum|achiev\w+|effective\w*|superior|more \w+ than|less \w+ than"
    r"|no (?:difference|effect)|correlat\w+|reported)\b|\d\s*%|\bp\s*[<=]",
    re.IGNORECASE,
)
_NOT_YET: Final = re.compile(
    r"\b(?:aims?|purpose|objectives?|goals?) (?:of|was|is|were|are|to)\b|\bto (?:determine|assess|evaluate|investigate"
    r"|examine|compare|explore|test) (?:whether|if|the)\b|\b(?:further|future)(?: [\w-]+){0,2} (?:research|work)\b"
    r"|\b(?:further|future) studies\b|\bhas(?: not)? been\b|\bhave(?: not)? been\b"
    r"|\b(?:little|not) (?:is )?known\b|\byet to be\b",
    re.IGNORECASE,
)
"""Words of an aim, of what others did, or of what is still to be done."""
_LABEL: Final = re.compile(
    r"\W*(?P<label>background|introduction|context|importance|rationale|objectives?|aims?|purpose|(?:materials? and )?"
    r"methods?|methodology|design|setting|patients|results?|main results|findings|conclusions?|discussion"
    r"|interpretation|significance|abstract|summary)(?:\s*[.:]\s*|\s+[—–-]\s+)",
    re.IGNORECASE,
)
_BY_LABEL: Final[dict[str, Role]] = {
    "objective": "aim",
    "aim": "aim",
    "purpose": "aim",
    "result": "result",
    "main result": "result",
    "finding": "result",
    "conclusion": "result",
    "interpretation": "result",
}
_CONCLUSION: Final = re.compile(r".*\b(?:conclusions?|concluding|fazit)\b", re.IGNORECASE)
_ASKS_RESULTS: Final = re.compile(
    r"\b(?:findings?|results?|conclusions?|takeaways?|outcomes?|find|found|show|shown|conclude|bottom line)\b",
    re.IGNORECASE,
)
_NO_SENTENCE: Final = re.compile(
    r"©|\bcopyright\b|\bcreative commons\b|\bdoi\b|\bhttps?:|\bkey ?words?\b"
    r"|\bcorresponding authors?\b|\bcorrespondence (?:to|should)\b|\baccepted\b.*\d{4}|\S@\S|\(\w+ et al\.$|:$",
    re.IGNORECASE,
)


_OF_FIGURE: Final = re.compile(
    r"\W*(?:Fig(?:ures?|s?\.)|Tables?|Schemes?|FIG(?:S?\.|URES?)|TABLES?) ?\d|.*\b(?:FIG\.|FIGURE|TABLE) ?\d"
)
"""A caption, or what stands in a figure or a table: it sums up no paper."""


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence with the role that its words give it."""

    text: str
    role: Role | None
    strength: int
    """Of two with the same role, the one that says more: a phrase of a finding counts two, words of an outcome one."""


def told_in(text: str, *, title: str = "") -> Iterator[Told]:
    """The sentences of a text in order, word for word, without the title and the labels of structured abstracts."""
    by_label: Role | None = None
    for sentence in split_sentences(text):
        said = sentence.strip()
        while label := _LABEL.match(said + " "):
            by_label = _BY_LABEL.get(label["label"].casefold().rstrip("s"))
            said = said[label.end() :].strip()
        flat = " ".join(said.split())
        if not MIN_SENTENCE <= len(flat) <= LONGEST or flat.endswith("?"):
            continue
        if (
            _NO_SENTENCE.search(flat)
            or _OF_FIGURE.match(flat)
            or is_apparatus(flat)
            or content_words(flat) <= content_words(title)
        ):
            continue
        finds, outcome = bool(_RESULT.search(flat)), bool(_OUTCOME.search(flat))
        strength = 2 * finds + outcome - 2 * bool(_NOT_YET.search(flat))
        if by_label == "result":
            strength += 1
        if by_label != "aim" and strength > 0:
            yield Told(said, "result", strength)
        elif by_label == "aim" or _AIM.search(flat):
            yield Told(said, "aim", 1)
        elif _DONE.search(flat):
            yield Told(said, "aim", 0)
        else:
            yield Told(said, None, 0)


def telling_sentences(passages: Sequence[Passage], *, n: int, question: str = "") -> list[str]:
    """At most n sentences that sum up the papers of an outline, shared evenly, in the order of each paper.

    One sentence tells a result, two tell the aim and a result, and more tell further results; if the question asks for
    findings, all tell results. What no sentence is marked for is filled from the beginning.

    Args:
        passages: of `outline`, for one or several papers: abstract first, then the conclusion.
        n: how many, but at least one for each paper.
        question: what was asked.
    """
    papers = list(dict.fromkeys(passage.paper.id for passage in passages))
    each = max(1, n // len(papers)) if papers else 0
    if 1 < len(papers) <= FEW:
        each = max(each, 2)
    kept: list[str] = []
    for paper_id in papers:
        own = [passage for passage in passages if passage.paper.id == paper_id]
        kept += _of_one(own, each, results_only=bool(_ASKS_RESULTS.search(question)))
    return kept


def _of_one(passages: Sequence[Passage], n: int, *, results_only: bool) -> list[str]:
    ends = [p for p in passages if p.chunk.section and _CONCLUSION.match(p.chunk.section)][:1]
    begins = [p for p in passages[:2] if p.chunk.section == passages[0].chunk.section]
    told = _of_abstract(begins) + [sentence for p in ends for sentence in told_in(p.chunk.text, title=p.paper.title)]
    if len(told) < n:  # an abstract without results still says more than a result from somewhere in the text
        told = [sentence for p in passages for sentence in told_in(p.chunk.text, title=p.paper.title)]
    told = told or _as_it_is(passages)
    subject = content_words(passages[0].paper.title)

    def of_title(sentence: Told) -> float:  # the title method of Edmundson (1969)
        return len(subject & content_words(sentence.text)) / max(1, len(subject))

    results = sorted((s for s in told if s.role == "result"), key=lambda s: -s.strength)
    aims = sorted((s for s in told if s.role == "aim"), key=lambda s: (-s.strength, -of_title(s)))
    others = told[told.index(aims[0]) :] if aims else sorted(told, key=of_title, reverse=True)
    chosen = aims[:1] if n > 1 and not results_only else []
    chosen += results[: n - len(chosen)]
    chosen += [sentence for sentence in (*aims, *others, *told) if sentence not in chosen][: max(0, n - len(chosen))]
    return [sentence.text for sentence in told if sentence in chosen][:n]


def _as_it_is(passages: Sequence[Passage]) -> list[Told]:
    """How a text begins that has no sentences we know: slides, or a language that is written without full stops."""
    pieces = (piece.strip()[:LONGEST] for p in passages for piece in split_sentences(p.chunk.text) or [p.chunk.text])
    return [Told(piece, None, 0) for piece in pieces if piece]


def _of_abstract(passages: Sequence[Passage]) -> list[Told]:
    """The sentences of the abstract where it is known; what stands before and after it on the page is left out."""
    told = [sentence for passage in passages for sentence in told_in(passage.chunk.text, title=passage.paper.title)]
    abstract = " ".join((passages[0].paper.abstract or "").split())
    return [sentence for sentence in told if " ".join(sentence.text.split()) in abstract] or told
