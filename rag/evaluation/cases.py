"""The nouns of an evaluation: QuestionSet, Case, what is expected of it, its Result, and the Run of them all."""

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
"""What stands between two units in a document's text."""

JUDGE: Final = "rag.verify.support: words, numbers, names, negation; no language model"
"""Who says whether passages carry a sentence: ALCE's own judge is an NLI model, so its figures are not ours."""


def paper_id_of(document_id: str) -> str:
    """The id of the paper that a document of a public corpus becomes: 16 hexadecimal digits, as every paper's."""
    return sha256(document_id.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Document:
    """A text of a public corpus, which becomes a paper of a temporary library; each unit becomes one chunk."""

    id: str
    title: str
    units: tuple[str, ...]
    """Not empty, each text once."""
    sections: tuple[str | None, ...] = ()
    """One for each unit, or nothing."""

    @property
    def paper_id(self) -> str:
        """See `paper_id_of`."""
        return paper_id_of(self.id)

    @property
    def text(self) -> str:
        """All units, joined by `UNIT_BREAK`."""
        return UNIT_BREAK.join(self.units)

    def spans(self) -> list[tuple[int, int]]:
        """The half-open range of each unit in the document's text."""
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
        """Whether the passage is of this paper and has a part of these pages or of this range."""
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
    """Keys of targets; None where it was not asked for. A piece that is no unit of the paper has a key of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question with what is expected of it."""

    id: str
    question: str
    group: str
    """What its luck is shared with: the paper that it is about."""
    paper_ids: tuple[str, ...] | None = None
    """Search these papers only."""
    targets: tuple[Target, ...] = ()
    """Nothing: what a search should find is not known."""
    references: tuple[Reference, ...] = ()
    answerable: bool | None = None
    """None where annotators disagree, or nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Questions, and the corpus that they are asked of; a set of one's own has none but the library."""

    name: str
    kind: Kind
    cases: tuple[Case, ...]
    documents: tuple[Document, ...] = ()
    digest: str
    """Of the files' bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A passage that was found, as a report shows it."""

    title: str
    place: str
    """Its pages, or its section."""
    text: str
    """Its beginning."""
    score: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """How an answer's citations carry it, counted anew from the answer and the stored pages."""

    n_markers: int
    """In the text after the check."""
    n_valid: int
    """Markers that name a passage which the model was shown."""
    n_judged: int
    """Sentences that claim something which could be checked."""
    n_supported: int
    n_weak: int
    """Partially supported; results of every version have the short name."""
    citation_recall: float | None
    """Of the judged sentences; None where there are none, as for an abstention."""
    citation_precision: float | None
    n_exact: int
    """Citations whose quote stands word for word in the paper, on whichever page."""
    n_right_page: int
    """Citations whose quote stands word for word on the cited page."""
    n_quotations: int
    """Of the model's own."""
    n_verbatim: int
    """Quotations that stand word for word in a passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerResult:
    """What the assistant answered to one question."""

    text: str
    """Without markers."""
    abstained: bool
    markers: tuple[int, ...]
    """As the model wrote them."""
    shown: tuple[int, ...]
    """Markers of the passages that it was shown."""
    cited: tuple[str, ...]
    """Keys of the passages that the checked answer cites."""
    n_citations: int
    n_verified: int
    """Citations whose quote stands on its page."""
    n_sentences: int
    n_cited_sentences: int
    model: str | None
    """None where none was asked."""
    input_tokens: int | None
    output_tokens: int | None
    seconds: float | None
    stages: Mapping[str, float]
    """Seconds by the name of the span."""
    attribution: Attribution | None = None
    """None: not measured, in a run of before it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case: everything that the report is made from. One line of `cases.jsonl`."""

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
    """Keys, for each annotator; None where it was not asked for."""
    ranked: tuple[str, ...] = ()
    """Best first: the key of the target that a passage holds, or the id of its chunk."""
    top: tuple[Shown, ...] = ()
    on_topic: bool | None = None
    """False: the search alone would abstain."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the search."""
    answer: AnswerResult | None = None
    error: str | None = None
    """In the user's words; the rest then says nothing."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The result from its JSON."""
        answer = row["answer"] and _answer(row["answer"])
        top = tuple(Shown(**shown) for shown in row["top"])
        evidence = row["evidence"] and tuple(tuple(keys) for keys in row["evidence"])
        return cls(**{**_tuples(row), "answer": answer, "top": top, "evidence": evidence})


def _answer(row: Mapping[str, Any]) -> AnswerResult:
    attribution = row.get("attribution") and Attribution(**row["attribution"])
    return AnswerResult(**{**_tuples(row), "attribution": attribution})


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class Run:
    """A folder with a run: what was asked of what, and a result for each case that is finished."""

    folder: Path
    settings: Mapping[str, Any]
    """What decides the results; a run goes on only with the same ones."""
    about: Mapping[str, Any]
    """What else is to be known: when, on what machine, how many."""
    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name
