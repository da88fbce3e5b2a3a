"""The data classes of an evaluation: QuestionSet, Case, its expected results, its Result, and the Run."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rag.answer import Passage

Kind = Literal["beir", "qasper", "own"]

UNIT_BREAK = "\n\n"
"""Separates units in a document's text."""

JUDGE: Final = "rag.verify.support: words, numbers, names, negation; no language model"
"""What judges whether passages support a sentence. ALCE uses an NLI model, so its numbers are not comparable."""


def paper_id_of(document_id: str) -> str:
    """The paper id for a document of a public corpus: 16 hex digits, as for every paper."""
    return sha256(document_id.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Document:
    """A text of a public corpus. It becomes a paper of a temporary library, and each unit becomes one chunk."""

    id: str
    title: str
    units: tuple[str, ...]
    """Not empty and without duplicates."""
    sections: tuple[str | None, ...] = ()
    """One per unit, or empty."""

    @property
    def paper_id(self) -> str:
        """See `paper_id_of`."""
        return paper_id_of(self.id)

    @property
    def text(self) -> str:
        """All units, joined by `UNIT_BREAK`."""
        return UNIT_BREAK.join(self.units)

    def spans(self) -> list[tuple[int, int]]:
        """[start, end) of each unit in the document's text."""
        spans, at = [], 0
        for unit in self.units:
            spans.append((at, at + len(unit)))
            at += len(unit) + len(UNIT_BREAK)
        return spans


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that a search should find: a paper, pages of it, or a range of its text."""

    key: str
    paper_id: str
    grade: float = 1.0
    pages: tuple[int, int] | None = None
    span: tuple[int, int] | None = None

    def is_in(self, passage: Passage) -> bool:
        """Whether the passage is from this paper and overlaps these pages or this range."""
        chunk = passage.chunk
        return (
            chunk.paper_id == self.paper_id
            and (self.pages is None or (chunk.first_page <= self.pages[1] and self.pages[0] <= chunk.last_page))
            and (self.span is None or (chunk.start < self.span[1] and self.span[0] < chunk.end))
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """One annotator's answer."""

    text: str
    evidence: frozenset[str] | None = None
    """Keys of targets; None if evidence was not asked for. Evidence that is not a unit of the paper has its own key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question and what is expected of it."""

    id: str
    question: str
    group: str
    """Cases of one group are not independent: the paper that the question is about."""
    paper_ids: tuple[str, ...] | None = None
    """Search only these papers."""
    targets: tuple[Target, ...] = ()
    """Empty if it is not known what a search should find."""
    references: tuple[Reference, ...] = ()
    answerable: bool | None = None
    """None if the annotators disagree or it is not stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Questions and the corpus they are about. The user's own questions have no documents, only the library."""

    name: str
    kind: Kind
    cases: tuple[Case, ...]
    documents: tuple[Document, ...] = ()
    digest: str
    """Digest of the files' bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A passage that was found, as shown in a report."""

    title: str
    place: str
    """Its pages or its section."""
    text: str
    """The first characters of its text."""
    score: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """How well citations support an answer, counted from the answer and the stored pages."""

    n_markers: int
    """Markers in the text after verification."""
    n_valid: int
    """Markers of passages that the model was shown."""
    n_judged: int
    """Sentences with a claim that could be checked."""
    n_supported: int
    n_weak: int
    """Partially supported sentences; the name is the one in results of every version."""
    citation_recall: float | None
    """Share of the judged sentences; None if there are none, as for an abstention."""
    citation_precision: float | None
    n_exact: int
    """Citations whose quote is in the paper verbatim, on any page."""
    n_right_page: int
    """Citations whose quote is on the cited page verbatim."""
    n_quotations: int
    """Quotations by the model itself."""
    n_verbatim: int
    """Quotations that are in a passage verbatim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerResult:
    """The assistant's answer to one question."""

    text: str
    """Without markers."""
    abstained: bool
    markers: tuple[int, ...]
    """As the model wrote them."""
    shown: tuple[int, ...]
    """Markers of the passages the model was shown."""
    cited: tuple[str, ...]
    """Keys of the passages that the verified answer cites."""
    n_citations: int
    n_verified: int
    """Citations whose quote is on its page."""
    n_sentences: int
    n_cited_sentences: int
    model: str | None
    """None if no model was asked."""
    input_tokens: int | None
    output_tokens: int | None
    seconds: float | None
    stages: Mapping[str, float]
    """Seconds by span name."""
    attribution: Attribution | None = None
    """None in runs from before it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one case: everything the report needs. One line of `cases.jsonl`."""

    id: str
    question: str
    group: str
    answerable: bool | None
    expected: tuple[str, ...]
    """The targets in words."""
    relevant: Mapping[str, float]
    """Key of a target → grade."""
    golds: tuple[str, ...]
    """The annotators' answers."""
    evidence: tuple[tuple[str, ...], ...] | None
    """Keys for each annotator; None if evidence was not asked for."""
    ranked: tuple[str, ...] = ()
    """Best first: for each passage the key of the target it contains, or the id of its chunk."""
    top: tuple[Shown, ...] = ()
    on_topic: bool | None = None
    """False if the search alone would abstain."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the search, by stage."""
    answer: AnswerResult | None = None
    error: str | None = None
    """In the user's words; if it is set, ignore the other results."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a result from its JSON."""
        answer = row["answer"] and _answer(row["answer"])
        top = tuple(Shown(**shown) for shown in row["top"])
        evidence = row["evidence"] and tuple(tuple(keys) for keys in row["evidence"])
        return cls(**{**_tuples(row), "answer": answer, "top": top, "evidence": evidence})


def _answer(row: Mapping[str, Any]) -> AnswerResult:
    attribution = row.get("attribution") and Attribution(**row["attribution"])
    return AnswerResult(**{**_tuples(row), "attribution": attribution})


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class Run:
    """A run in its folder: its settings, and a result for each finished case."""

    folder: Path
    settings: Mapping[str, Any]
    """What determines the results. A run can only be resumed with the same settings."""
    about: Mapping[str, Any]
    """Other facts: when, on which machine, how many."""
    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name
