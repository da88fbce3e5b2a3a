"""The nouns of an answer, and the events that a question causes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from rag.costs.accounting import total

if TYPE_CHECKING:
    from ingest import Chunk, Paper
    from rag.costs.accounting import Energy, Trace, Usage
    from rag.message import Locality

Mode = Literal["draft", "auto", "refine"]
"""draft: the local model only. auto: the larger model where the evidence is weak. refine: always the larger model."""

Kind = Literal["fact", "summary", "comparison", "papers"]
"""What a question wants: one statement, a whole paper in short, papers beside each other, or which papers there are."""

Support = Literal["supported", "weak", "unsupported"]

PARTIALLY_SUPPORTED: Final = "weak"
"""The verdict in the middle. Its value is older than its name: JSON, chats and links (`#weak`) have it."""

QUOTED_ANSWER = "quotation"
"""The `model` of a draft that none wrote: a sentence of a paper, word for word."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which papers a question is asked of."""

    papers: tuple[Paper, ...]
    whole: bool = False
    """Whether they are the whole library."""
    tag: str | None = None
    """The tag by which they were chosen."""
    named: bool = False
    """Whether the question itself names them."""

    @property
    def paper_ids(self) -> list[str] | None:
        """The papers to search in; None: all."""
        return None if self.whole else [paper.id for paper in self.papers]

    def narrowed(self, papers: tuple[Paper, ...]) -> Scope:
        """The papers among these that the question names."""
        return Scope(papers, named=True)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as retrieved for one question."""

    marker: int
    """1-based: the number by which the answer cites it."""
    chunk: Chunk
    paper: Paper
    score: float
    """Higher is better; comparable within one question."""
    sources: tuple[str, ...]
    """Which searches found it: "dense", "lexical"; "reader" where the reader has put it in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a model wrote. A refinement is a draft whose `refines` is set."""

    text: str
    model: str
    usage: Usage | None
    """None where the server did not say, for example after Stop."""
    seconds: float
    first_token_seconds: float | None
    finish_reason: str | None
    mean_logprob: float | None
    """Mean natural-log probability of the output tokens; None where the server gives none."""
    low_logprob: float | None = None
    """The 10th percentile of the same."""
    refines: Draft | None = None
    """The draft that it was to improve."""
    locality: Locality = "machine"
    cost: float | None = None
    """US dollars; None: unknown."""
    energy: Energy | None = None
    """What it took on this machine; None: written elsewhere, or not measured."""


Change = tuple[Literal["same", "struck", "added"], str]
"""Words of a difference: in both texts, only in what was written, only in what was to be quoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A resolved marker: a passage, the page and the words on it."""

    marker: int
    passage: Passage
    page: int
    quote: str
    """A verbatim slice of the passage, on one page."""
    verified: bool
    """Whether `quote` stands word for word in the stored text of `page`."""
    diff: tuple[Change, ...] = ()
    """What differs from the closest words of the page; empty where it is verified or nothing comes close."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the answer, without its markers."""

    text: str
    support: Support | None
    """None: not judged."""
    markers: tuple[int, ...]
    reasons: tuple[str, ...] = ()
    """What speaks against it, one short clause each; empty where nothing does."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A marker that was changed because of what the passages say."""

    sentence: int
    """Which of the answer's sentences, 0-based."""
    was: int | None
    """The model's own marker; None: it gave none."""
    to: int | None
    """The marker that stands there now; None: dropped, no passage carries the sentence or another one does."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """What the model put between quotation marks, checked against the passages that it was shown."""

    sentence: int
    """Which of the answer's sentences it begins in, 0-based."""
    text: str
    marker: int | None
    """Of the passage that says it, or comes closest; None: none comes close."""
    verified: bool
    """Whether it stands there word for word."""
    diff: tuple[Change, ...] = ()
    """What differs from the passage; empty where it is verified or nothing comes close."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two passages that disagree about the same quantity or claim."""

    kind: Literal["number", "negation"]
    about: str
    """What they speak of, in the words that both have."""
    markers: tuple[int, int]
    quotes: tuple[str, str]
    """The two sentences, each a verbatim slice of its passage."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How far the evidence carries the answer: a number in [0, 1] and its reason in words."""

    score: float
    """The probability that a draft like this is right; see `rag.verify.confidence`."""
    reason: str
    """One sentence for the user."""
    signals: dict[str, float | None]
    vetoes: tuple[str, ...] = ()
    """What speaks against it whatever the score: codes of `rag.verify.confidence.vetoes`, the most telling first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one question, with everything needed to check it."""

    question: str
    text: str
    """With markers like [1]; Markdown."""
    passages: tuple[Passage, ...]
    """What the model was shown; for an abstention, the closest that there is."""
    trace: Trace
    abstained: bool = False
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    corrections: tuple[Correction, ...] = ()
    """What became of markers of the model's own that did not hold."""
    quotations: tuple[Quotation, ...] = ()
    """What stands between quotation marks in it, in its order."""
    conflicts: tuple[Conflict, ...] = ()
    """Where its passages disagree about what it speaks of."""
    confidence: Confidence | None = None
    drafts: tuple[Draft, ...] = field(default=())
    shown: int = 0
    """Which of the drafts the text comes from, 0-based."""
    sent_to: str | None = None
    """The model elsewhere to which a request was let out, whatever came of it; None: nothing left this machine."""
    notice: str | None = None
    """Something the user should know about how this answer came about, one sentence."""
    kind: Kind = "fact"
    scope: Scope | None = None
    """The papers that were asked; None: not said."""
    searched: str | None = None
    """A follow-up question as it was searched for; None: as it was asked."""

    @property
    def cost(self) -> float | None:
        """US dollars for all drafts; None: that of one is unknown, or a request elsewhere was answered by none."""
        if self.sent_to and all(draft.locality == "machine" for draft in self.drafts):
            return None
        return total(draft.cost for draft in self.drafts)

    @property
    def escalated(self) -> bool:
        """Whether a larger model was asked and answered; a quoted answer was written by none."""
        return len(self.drafts) > 1 and self.drafts[-1].model != QUOTED_ANSWER

    @property
    def stayed(self) -> bool:
        """Whether nothing was sent elsewhere, and everything was written on this machine."""
        return self.sent_to is None and all(draft.locality == "machine" for draft in self.drafts)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages stand; no model has been asked anything yet, not even how many of them it has room for."""

    passages: tuple[Passage, ...]
    """All that were found; `Answer.passages` are those that were read."""
    searched: str | None = None
    """A follow-up question as it was searched for, with the chat's words; None: as it was asked."""
    scope: Scope | None = None
    kind: Kind = "fact"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of text of draft number `draft` (0-based)."""

    text: str
    draft: int


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft is complete."""

    draft: Draft
    confidence: Confidence | None


@dataclass(frozen=True, slots=True)
class Escalated:
    """A larger model is being asked, and why."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The end: nothing follows."""

    answer: Answer


Event = Retrieved | TextDelta | Drafted | Escalated | Answered


def with_notice(answer: Answer, notice: str | None, *, trace: Trace | None = None) -> Answer:
    """The answer with one more thing that the user should know; `trace` is closed where it is given."""
    notices = " ".join(filter(None, (answer.notice, notice)))
    return replace(answer, notice=notices or None, trace=trace.finish() if trace else answer.trace)
