"""The figures of one answer: what a chat stores of its times, tokens, energy and cost, and how they are read back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rag.answer import QUOTED_ANSWER
from rag.costs.accounting import total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag.answer import Answer, Draft
    from rag.costs.accounting import Trace

KEY: Final = "figures"
"""Under this name in a message's metadata."""

STAGES: Final = {
    "search": ("prepare", "embed", "retrieve"),
    "reading": ("read",),
    "first word": ("prompt", "queue", "first token"),
    "draft": ("decode",),
    "check": ("check",),
    "refinement": ("refine",),
}
"""What is shown → the spans of a trace that belong to it. Time outside all spans is called `other`."""
OTHER: Final = "other"

_DRAFT_SPAN: Final = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one model wrote for an answer; None for what was not measured."""

    model: str
    here: bool | None
    """Whether it was written on this machine."""
    larger: bool
    """Whether it refined a draft."""
    seconds: float | None
    first_seconds: float | None
    """From the request to the first word."""
    input_tokens: int | None
    output_tokens: int | None
    usd: float | None
    wh: float | None
    measured: str | None
    """How the energy is known: "counter" or "estimated"."""

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of writing, without the time to the first word."""
        if self.seconds is None or self.first_seconds is None or not self.output_tokens:
            return None
        writing = self.seconds - self.first_seconds
        return self.output_tokens / writing if writing > 0 and self.output_tokens > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one answer; None for what was not measured."""

    seconds: float | None = None
    """From the question to the checked answer, without the user's own time."""
    first_word: float | None = None
    """From the question to the first word on the page."""
    stages: Mapping[str, float] | None = None
    """Seconds of each stage that took place; with `other` they add up to `seconds`. None if nothing was measured."""
    confidence: float | None = None
    stayed: bool | None = None
    """Whether nothing of it left this machine; None if unknown."""
    kind: str | None = None
    larger_shown: bool | None = None
    """Whether the shown text is the larger model's."""
    lost: bool = False
    """Whether a request was sent elsewhere and no text came back, or it did not finish, so that its cost is unknown."""
    written: tuple[Written, ...] = ()
    """What models wrote for this answer; quotations and drafts of an earlier answer are left out."""

    @property
    def usd(self) -> float | None:
        """US dollars; None if a part is unknown, or if no model wrote."""
        return None if self.lost or not self.written else total(part.usd for part in self.written)

    @property
    def spent(self) -> float | None:
        """As `usd`, but 0 if no model wrote."""
        return self.usd if self.written or self.lost else 0.0

    @property
    def wh(self) -> float | None:
        """Watt-hours; None if a part is unknown, or if no model wrote."""
        return total(part.wh for part in self.written) if self.written else None

    @property
    def draft(self) -> Written | None:
        """What the drafter wrote."""
        return next((part for part in self.written if not part.larger), None)

    @property
    def larger(self) -> Written | None:
        """What the larger model wrote."""
        return next((part for part in self.written if part.larger), None)


def written_for(answer: Answer) -> list[Draft]:
    """What models wrote for this answer; where an earlier answer's draft is refined, that draft is not part of it."""
    drafted = any(span.name == _DRAFT_SPAN for span in answer.trace.spans)
    return [draft for draft in answer.drafts if draft.model != QUOTED_ANSWER and (drafted or draft.refines is not None)]


def figures_of(answer: Answer, *, first_word: float | None) -> dict[str, Any]:
    """What a chat stores of an answer: numbers and names of models, as JSON.

    Args:
        answer: complete, its trace finished.
        first_word: seconds from the question to the first word, as the page saw it; None if it saw none.
    """
    written = written_for(answer)
    shown = answer.drafts[answer.shown] if answer.drafts else None
    sure = answer.confidence
    return {
        "seconds": _short(answer.trace.seconds),
        "first_word": _short(first_word),
        "stages": _stages(answer.trace),
        "confidence": _short(sure.score) if sure and sure.signals.get("calibrated") != 0.0 else None,
        "stayed": answer.stayed,
        "kind": answer.kind,
        "larger_shown": shown is not None and shown.refines is not None and shown.model != QUOTED_ANSWER,
        "lost": answer.sent_to is not None and all(draft.locality == "machine" for draft in answer.drafts),
        "written": [_row(draft) for draft in written],
    }


def unfinished(*, stayed: bool) -> dict[str, Any]:
    """What a chat stores of an answer that did not finish.

    Args:
        stayed: whether nothing of it can have left this machine.
    """
    return {"stayed": stayed or None, "lost": True}


def read_figures(stored: Any, *, record: Any = None) -> Figures:
    """The figures of a stored answer. Anything that is not a plain number or name counts as not measured.

    Args:
        stored: the output of `figures_of`, or None for an answer from before figures were stored.
        record: then `{"model", "seconds", "usage"}` of the draft that the chat kept for a refinement, if it did.
    """
    if not isinstance(stored, dict):
        old = _written(record, larger=False) if isinstance(record, dict) else None
        return Figures(written=(old,) if old and old.model != QUOTED_ANSWER else ())
    stages = stored.get("stages")
    seconds = {name: number(stages.get(name)) for name in (*STAGES, OTHER)} if isinstance(stages, dict) else {}
    rows = stored.get("written")
    parts = [_written(row, larger=row.get("larger") is True) for row in rows if isinstance(row, dict)] if isinstance(
        rows, list
    ) else []  # fmt: skip
    return Figures(
        seconds=number(stored.get("seconds")),
        first_word=number(stored.get("first_word")),
        stages={name: value for name, value in seconds.items() if value is not None} or None,
        confidence=number(stored.get("confidence")),
        stayed=_truth(stored.get("stayed")),
        kind=_name(stored.get("kind")),
        larger_shown=_truth(stored.get("larger_shown")),
        lost=stored.get("lost") is True,
        written=tuple(part for part in parts if part),
    )


def number(value: Any) -> float | None:
    """The value if it is a finite number that is not negative; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _stages(trace: Trace) -> dict[str, float] | None:
    took: dict[str, float] = {}
    of = {span: stage for stage, spans in STAGES.items() for span in spans}
    for span in trace.spans:
        stage = of.get(span.name, OTHER)
        took[stage] = took.get(stage, 0.0) + max(0.0, span.seconds)  # a server may count its own time otherwise
    if trace.seconds is not None and (rest := trace.seconds - sum(took.values())) > 0:
        took[OTHER] = took.get(OTHER, 0.0) + rest
    return {stage: round(seconds, 4) for stage, seconds in took.items()} or None


def _row(draft: Draft) -> dict[str, Any]:
    usage, energy = draft.usage, draft.energy
    return {
        "model": draft.model,
        "here": draft.locality == "machine",
        "larger": draft.refines is not None,
        "seconds": _short(draft.seconds),
        "first_seconds": _short(draft.first_token_seconds),
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens} if usage else None,
        "usd": draft.cost,
        "wh": energy.wh if energy else None,
        "measured": energy.measured if energy and energy.wh is not None else None,
    }


def _written(row: dict[str, Any], *, larger: bool) -> Written | None:
    model, usage = _name(row.get("model")), row.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    if model is None:
        return None
    tokens = [number(usage.get(name)) for name in ("input_tokens", "output_tokens")]
    read, wrote = (None if count is None else int(count) for count in tokens)
    return Written(
        model=model,
        here=_truth(row.get("here")),
        larger=larger,
        seconds=number(row.get("seconds")),
        first_seconds=number(row.get("first_seconds")),
        input_tokens=read,
        output_tokens=wrote,
        usd=number(row.get("usd")),
        wh=number(row.get("wh")),
        measured=_name(row.get("measured")),
    )


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _name(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
