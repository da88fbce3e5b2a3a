"""The blended figure: the answers of the drafter and of a larger model or an oracle, as cases for a threshold."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from rag.answer import Answered, Drafted
from rag.comparison.routing import Case
from rag.evaluation.metrics import UNANSWERABLE, answer_f1
from rag.verify.attempts import declines
from rag.verify.citations import without_markers
from rag.verify.confidence import ESCALATING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from rag.answer import Answer, Confidence, Event
    from rag.evaluation.cases import Case as Asked
    from rag.expert import AskedBy

NEVER = 1.0
"""The score of what no threshold sends on: "not in your papers", from the reader or the model itself."""


class Drafts(Protocol):
    """Answers a question; implemented by the `Assistant`."""

    def ask(self, question: str, *, paper_ids: Sequence[str] | None = None) -> AsyncGenerator[Event, None]:
        """The events in mode `draft`; the last is `Answered`."""


class Refines(Protocol):
    """Has the larger model improve an answer; implemented by the `Assistant`."""

    def refine(self, answer: Answer, *, asked_by: AskedBy) -> AsyncGenerator[Event, None]:
        """The events; the last is `Answered`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer, as stored."""

    text: str
    abstained: bool
    seconds: float | None
    usd: float | None
    score: float = NEVER
    """The confidence, one less if a veto sends the answer on at every threshold."""
    characters: int = 0
    """Of the model's draft."""

    def as_row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Stands for a larger model that is right in a stated share of the questions: a simulation, not a model.

    A right answer has quality 1, a wrong one 0. Which questions it gets right depends on their ids alone, so the same
    questions give the same figures.
    """

    accuracy: float
    seconds: float | None = None
    usd: float | None = None

    def quality(self, name: str) -> float:
        """The quality of its answer to the question with this id."""
        drawn = int.from_bytes(sha256(f"oracle\n{name}".encode()).digest()[:8], "big") / 2**64
        return float(drawn < self.accuracy)


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The answer in mode `draft`, and what `auto` with a larger model has before it decides.

    In mode `draft` a quotation replaces a draft that does not hold. `auto` judges that draft itself and sends it on.
    """

    shown: Answer
    judged: Answer
    """With the confidence by which `auto` decides, and the draft that the larger model is given."""


async def first_attempt(case: Asked, assistant: Drafts) -> First:
    """Ask in mode `draft`.

    Raises:
        UserFacingError: it failed.
    """
    drafts: Drafted | None = None
    async with aclosing(assistant.ask(case.question, paper_ids=case.paper_ids)) as events:
        async for event in events:
            if isinstance(event, Drafted):
                drafts = event
            elif isinstance(event, Answered):
                shown = event.answer
    if drafts is None or drafts.decides is not drafts.confidence:  # no draft, or a quotation in every mode
        return First(shown=shown, judged=shown)
    judged = replace(shown, drafts=shown.drafts[:1], shown=0, confidence=drafts.decides)
    return First(shown=shown, judged=judged)


def drafted(answer: Answer, *, sure: Confidence | None = None) -> Given:
    """What `draft` shows, with the score by which `auto` decides.

    Args:
        answer: in mode `draft`.
        sure: the confidence by which `auto` decides; None for the answer's own.
    """
    sure = sure or answer.confidence
    vetoes = set(sure.vetoes) if sure else set()
    score = NEVER
    if sure and not answer.abstained and not (vetoes and not ESCALATING & vetoes):
        score = sure.score - bool(vetoes)
    return Given(
        text=without_markers(answer.text),
        abstained=answer.abstained or declines(answer.text),
        seconds=answer.trace.seconds,
        usd=_usd(answer.drafts),
        score=score,
        characters=len(answer.drafts[0].text) if answer.drafts else 0,
    )


async def refined(answer: Answer, assistant: Refines, asked_by: AskedBy) -> Given | None:
    """What `refine` shows of an answer with a draft; None if the larger model gave nothing."""
    before = len(answer.drafts)
    async with aclosing(assistant.refine(answer, asked_by=asked_by)) as events:
        async for event in events:
            if isinstance(event, Answered):
                better = event.answer
    if len(better.drafts) == before:
        return None
    return replace(drafted(better), seconds=better.trace.seconds, usd=_usd(better.drafts[before:]), characters=0)


def _usd(drafts: Sequence[Any]) -> float | None:
    known = [draft.cost for draft in drafts]
    return None if None in known else float(sum(known))


def quality(given: Given, golds: Sequence[str]) -> float | None:
    """Answer F1; an abstention counts as QASPER counts it. None if no answer is known."""
    return answer_f1(UNANSWERABLE if given.abstained else given.text, golds)


def routed(
    asked: Iterable[Asked],
    drafts: Mapping[str, Given],
    *,
    expert: Mapping[str, Given] | None = None,
    oracle: Oracle | None = None,
) -> list[Case]:
    """The questions for which both answers are known, for `rag.comparison.routing`.

    Args:
        asked: questions with expected answers.
        drafts: by question.
        expert: a larger model's answers, by question.
        oracle: instead of it.
    """
    made = []
    for case in asked:
        golds = [reference.text for reference in case.references]
        draft = drafts.get(case.id)
        small = quality(draft, golds) if draft else None
        if draft is None or small is None:
            continue
        larger = Given(text="", abstained=False, seconds=None, usd=None)
        if draft.score == NEVER and draft.abstained:  # no mode asks a larger model then
            large, larger = small, replace(larger, seconds=0.0, usd=0.0)
        elif oracle:
            large, larger = oracle.quality(case.id), replace(larger, seconds=oracle.seconds, usd=oracle.usd)
        elif expert and case.id in expert:
            larger = expert[case.id]
            large = quality(larger, golds) or 0.0
        else:
            continue
        made.append(
            Case(
                group=case.group,
                score=draft.score,
                small=small,
                large=large,
                characters=draft.characters,
                small_seconds=draft.seconds,
                more_seconds=larger.seconds,
                small_usd=draft.usd,
                more_usd=larger.usd,
            )
        )
    return made
