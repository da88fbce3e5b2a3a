"""The data classes of an answer, and the events of a question."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from rag.costs.accounting import total

if TYPE_CHECKING:
    from ingest import Chunk, Paper
    from rag.costs.accounting import Energy, Trace, Usage
    from rag.message import Locality

Mode = Literal["draft", "auto", "refine"]
"""draft: local model only. auto: the larger model if the evidence is weak. refine: always the larger model."""

Kind = Literal["fact", "summary", "comparison", "papers", "library"]
"""What a question asks for: one fact, a summary of a paper, a comparison of papers, which papers there are, or what the
library's records say, without any model (`rag.catalogue`)."""

Support = Literal["supported", "weak", "unsupported"]

PARTIALLY_SUPPORTED: Final = "weak"
"""The middle verdict. Its value is older than its name: JSON, chats and links (`#weak`) use it."""

ABSTENTION = "This is not in your papers."
"""The text of an answer that abstains; nothing recognises an abstention by these words (`Answer.abstained`)."""

QUOTED_ANSWER = "quotation"
"""The `model` of a draft that no model wrote: a verbatim sentence of a paper."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The papers a question is asked of."""

    papers: tuple[Paper, ...]
    whole: bool = False
    """Whether this is the whole library."""
    tag: str | None = None
    """The tag they were chosen by."""
    named: bool = False
    """Whether the question itself names them."""

    @property
    def paper_ids(self) -> list[str] | None:
        """The papers to search; None for all."""
        return None if self.whole else [paper.id for paper in self.papers]

    def narrowed(self, papers: tuple[Paper, ...]) -> Scope:
        """The subset of papers that the question names."""
        return Scope(papers, named=True)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as retrieved for one question."""

    marker: int
    """The number the answer cites it by, from 1."""
    chunk: Chunk
    paper: Paper
    score: float
    """Higher is better; comparable within one question."""
    sources: tuple[str, ...]
    """The searches that found it: "dense", "lexical"; and "reader" if the reader ranked it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A model's text. A refinement is a draft with `refines` set."""

    text: str
    model: str
    usage: Usage | None
    """None if the server did not report it, for example after Stop."""
    seconds: float
    first_token_seconds: float | None
    finish_reason: str | None
    mean_logprob: float | None
    """Mean natural-log probability of the output tokens; None if the server reports none."""
    low_logprob: float | None = None
    """The 10th percentile of the same."""
    refines: Draft | None = None
    """The draft it was meant to improve."""
    locality: Locality = "machine"
    cost: float | None = None
    """US dollars; None if unknown."""
    energy: Energy | None = None
    """Energy used on this machine; None if it was written elsewhere or not measured."""


Change = tuple[Literal["same", "struck", "added"], str]
"""One part of a word diff: same, struck (only in the written text) or added (only in the quoted source)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A resolved marker: a passage, a page and the words on it."""

    marker: int
    passage: Passage
    page: int
    quote: str
    """A verbatim slice of the passage, within one page."""
    verified: bool
    """Whether `quote` is in the stored text of `page` verbatim."""
    diff: tuple[Change, ...] = ()
    """Differences from the closest words on the page; empty if it is verified or nothing is close."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the answer, without markers."""

    text: str
    support: Support | None
    """None if it was not judged."""
    markers: tuple[int, ...]
    reasons: tuple[str, ...] = ()
    """What speaks against it, one short clause each; empty if nothing does."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A marker that was changed because of what the passages say."""

    sentence: int
    """Index of the answer's sentence, from 0."""
    was: int | None
    """The model's own marker; None if it gave none."""
    to: int | None
    """The new marker; None if it was dropped, because no passage supports the sentence or another marker does."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """A quotation by the model, checked against the passages it was shown."""

    sentence: int
    """Index of the answer's sentence it begins in, from 0."""
    text: str
    marker: int | None
    """Marker of the passage that contains it or is closest; None if none is close."""
    verified: bool
    """Whether the passage contains it verbatim."""
    diff: tuple[Change, ...] = ()
    """Differences from the passage; empty if it is verified or nothing is close."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two passages that disagree about the same quantity or claim."""

    kind: Literal["number", "negation"]
    about: str
    """The topic, in words that both contain."""
    markers: tuple[int, int]
    quotes: tuple[str, str]
    """The two sentences, each a verbatim slice of its passage."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How well the evidence supports the answer: a number in [0, 1] and a reason in words."""

    score: float
    """The probability that a draft like this is right; see `rag.verify.confidence`."""
    reason: str
    """One sentence for the user."""
    signals: dict[str, float | None]
    vetoes: tuple[str, ...] = ()
    """Codes of the vetoes against it (`rag.verify.confidence.vetoes`), most important first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one question, with everything needed to check it."""

    question: str
    text: str
    """Markdown with markers like [1]."""
    passages: tuple[Passage, ...]
    """What the model was shown; for an abstention, the closest passages."""
    trace: Trace
    abstained: bool = False
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    corrections: tuple[Correction, ...] = ()
    """What happened to the model's own markers that were wrong."""
    quotations: tuple[Quotation, ...] = ()
    """The quotations in it, in order."""
    conflicts: tuple[Conflict, ...] = ()
    """Conflicts between its passages on its topic."""
    confidence: Confidence | None = None
    drafts: tuple[Draft, ...] = field(default=())
    shown: int = 0
    """Index of the draft that the text comes from."""
    sent_to: str | None = None
    """The model elsewhere to which a request was sent, even if it failed; None if nothing left this machine."""
    notice: str | None = None
    """One sentence the user should know about how this answer was made."""
    kind: Kind = "fact"
    scope: Scope | None = None
    """The papers that were searched; None if unknown."""
    searched: str | None = None
    """A follow-up question as it was searched for; None if unchanged."""
    language: str | None = None
    """The question's language, if the available models do not read it and were not asked."""
    records: tuple[tuple[str, ...], ...] = ()
    """For papers that are compared, what the library knows of each: rows of cells, with the titles in the first row."""

    @property
    def cost(self) -> float | None:
        """US dollars for all drafts; None if one is unknown, or a request was sent elsewhere and no draft came back."""
        if self.sent_to and all(draft.locality == "machine" for draft in self.drafts):
            return None
        return total(draft.cost for draft in self.drafts)

    @property
    def escalated(self) -> bool:
        """Whether a larger model was asked and answered; a quoted answer does not count."""
        return len(self.drafts) > 1 and self.drafts[-1].model != QUOTED_ANSWER

    @property
    def stayed(self) -> bool:
        """Whether nothing was sent elsewhere and everything was written on this machine."""
        return self.sent_to is None and all(draft.locality == "machine" for draft in self.drafts)


@dataclass(frozen=True, slots=True)
class Searched:
    """The search is done, and the reader has to read other questions first. `Retrieved` follows with its order."""

    passages: tuple[Passage, ...]
    """As many as will be shown, in the search's order."""
    searched: str | None = None
    scope: Scope | None = None
    kind: Kind = "fact"


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages were found. No model has been asked yet, not even for its context window."""

    passages: tuple[Passage, ...]
    """All passages found; `Answer.passages` are those the model was shown."""
    searched: str | None = None
    """A follow-up question as it was searched for, with words from the chat; None if unchanged."""
    scope: Scope | None = None
    kind: Kind = "fact"


@dataclass(frozen=True, slots=True)
class Queued:
    """The drafter writes other answers first; told again whenever one of them has ended."""

    ahead: int
    """How many have to end before this one begins, from 1."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the text of draft number `draft` (from 0)."""

    text: str
    draft: int


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft is complete."""

    draft: Draft
    confidence: Confidence | None
    decides: Confidence | None = None
    """By which `auto` decides whether a larger model is asked: of the draft, or of the quotation in its place."""


@dataclass(frozen=True, slots=True)
class Escalated:
    """A larger model is being asked, with the reason."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The last event."""

    answer: Answer


Event = Searched | Retrieved | Queued | TextDelta | Drafted | Escalated | Answered


def with_notice(answer: Answer, notice: str | None, *, trace: Trace | None = None) -> Answer:
    """The answer with one more notice for the user; closes `trace` if given."""
    notices = " ".join(filter(None, (answer.notice, notice)))
    return replace(answer, notice=notices or None, trace=trace.finish() if trace else answer.trace)
