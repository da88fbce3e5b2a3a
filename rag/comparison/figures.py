"""The figures of a comparison: percentiles of times, tokens, cost and quality of each model; and checks of the clocks.

A figure that is not known is None, never 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from rag.comparison.nouns import STAGES
from rag.costs.accounting import total
from rag.evaluation.metrics import UNANSWERABLE, answer_f1, estimate, percentiles
from rag.verify.attempts import declines
from rag.verify.citations import without_markers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rag.comparison.nouns import Call, Comparison, Question, State
    from rag.evaluation.metrics import Estimate

AT = (50.0, 95.0)
"""Percentiles of each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median and the 95th percentile of a figure."""

    p50: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Whether the measurement can be trusted."""

    stages_off: float | None
    """The largest difference between the sum of the stages and the whole, as a share of the whole."""
    tokens_agree: bool | None
    """Whether prompt and completion tokens equal the server's own count in all calls; None if it gives none."""
    first_token_off: float | None
    """The median difference between the time to the first token and the server's own, as a share of that."""
    n_prompts: int
    """Different inputs for one question; 1 if all models read the same."""
    n_cached: int
    """Calls in which the server had part of the prompt in its cache, so that its first token came early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one model, with or without passages, cold or warm."""

    model: str
    retrieval: bool
    state: State
    n: int
    failed: int
    stages: dict[str, float | None]
    """Medians."""
    to_first_token: Spread | None
    first_token: Spread | None
    gap: Spread | None
    tokens_per_second: Spread | None
    seconds: Spread | None
    input_tokens: float | None
    output_tokens: float | None
    usd: float | None
    """Mean of a call; None if one is unknown."""
    wh: float | None
    measured: str
    memory: int | None
    memory_of: str
    went_to: tuple[str, ...]
    sent_bytes: int | None
    quality: Estimate | None
    """Answer F1 against the expected answers, by QASPER's rules."""
    abstained: float | None
    """Share of unanswerable questions that it declined to answer."""
    checks: Checks

    def as_row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def figures(run: Comparison) -> list[Figures]:
    """The figures of each model, in the order of the run; what was not asked is left out."""
    by_id = {question.id: question for question in run.questions}
    found = []
    for retrieval in (False, True):
        for state in ("warm", "cold"):
            for model in run.models:
                calls = [c for c in run.calls if (c.model, c.retrieval, c.state) == (model, retrieval, state)]
                if calls:
                    found.append(_of(calls, by_id))
    return found


def _of(calls: Sequence[Call], questions: dict[str, Question]) -> Figures:
    done = [call for call in calls if call.error is None]
    first = calls[0]
    return Figures(
        model=first.model,
        retrieval=first.retrieval,
        state=first.state,
        n=len(done),
        failed=len(calls) - len(done),
        stages={name: _middle(call.stages.get(name) for call in done) for name in STAGES},
        to_first_token=_spread(done, lambda call: call.to_first_token),
        first_token=_spread(done, lambda call: call.first_token),
        gap=_spread_of([gap for call in done for gap in call.gaps]),
        tokens_per_second=_spread(done, lambda call: call.tokens_per_second),
        seconds=_spread(done, lambda call: call.seconds),
        input_tokens=_middle(call.input_tokens for call in done),
        output_tokens=_middle(call.output_tokens for call in done),
        usd=_mean([call.usd for call in done]),
        wh=_mean([call.wh for call in done]),
        measured=next((call.measured for call in done if call.measured != "none"), "none"),
        memory=max((call.memory for call in done if call.memory is not None), default=None),
        memory_of=next((call.memory_of for call in done if call.memory_of), ""),
        went_to=tuple(dict.fromkeys(call.went_to for call in done if call.went_to)),
        sent_bytes=None if any(c.sent_bytes is None for c in done) else sum(c.sent_bytes or 0 for c in done),
        quality=_quality(done, questions),
        abstained=_abstained(done, questions),
        checks=checks(done),
    )


def checks(calls: Sequence[Call]) -> Checks:
    """Compare our clocks and counts with each other and with the server's own."""
    off = [
        abs(whole - call.seconds) / call.seconds
        for call in calls
        if call.seconds and (whole := total(call.stages.get(name) for name in STAGES)) is not None
    ]
    told = [call for call in calls if call.server and call.input_tokens is not None]
    first = [
        (call.first_token - call.server["reading_seconds"]) / call.server["reading_seconds"]
        for call in told
        if call.server and call.first_token is not None and call.server["reading_seconds"] > 0
    ]
    inputs = {(call.question, call.retrieval): set[str]() for call in calls}
    for call in calls:
        inputs[call.question, call.retrieval].add(call.prompt)
    return Checks(
        stages_off=max(off) if off else None,
        tokens_agree=all(_agrees(call) for call in told) if told else None,
        first_token_off=median(first) if first else None,
        n_prompts=max((len(found) for found in inputs.values()), default=0),
        n_cached=sum(bool(call.cached_tokens) for call in calls),
    )


def _agrees(call: Call) -> bool:
    assert call.server
    read = call.server["read_tokens"] + (call.server["cached_tokens"] or 0)
    return (read, call.server["written_tokens"]) == (call.input_tokens, call.output_tokens)


def _quality(calls: Sequence[Call], questions: dict[str, Question]) -> Estimate | None:
    """One value for each question: its repeats are not independent."""
    values: dict[str, list[float]] = {}
    for call in calls:
        if (f1 := quality_of(call.text, questions[call.question])) is not None:
            values.setdefault(call.question, []).append(f1)
    return estimate([sum(each) / len(each) for each in values.values()], list(values))


def quality_of(text: str, question: Question) -> float | None:
    """Answer F1 of a text; None if no answer is known."""
    said = UNANSWERABLE if declines(text) else without_markers(text)
    return answer_f1(said, question.golds)


def _abstained(calls: Sequence[Call], questions: dict[str, Question]) -> float | None:
    about = [call for call in calls if questions[call.question].answerable is False]
    return sum(declines(call.text) for call in about) / len(about) if about else None


def _spread(calls: Sequence[Call], of: Callable[[Call], float | None]) -> Spread | None:
    return _spread_of([value for call in calls if (value := of(call)) is not None])


def _spread_of(values: Sequence[float]) -> Spread | None:
    found = percentiles(values, at=AT)
    return Spread(p50=found[0], p95=found[1], n=len(values)) if found else None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    whole = total(values)
    return None if whole is None or not values else whole / len(values)


def flat_rows(run: Comparison) -> Iterator[dict[str, Any]]:
    """One row for each call, for a spreadsheet."""
    for call in run.calls:
        yield {
            "model": call.model,
            "question": call.question,
            "retrieval": call.retrieval,
            "state": call.state,
            "repeat": call.repeat,
            "order": call.place,
            **{f"{name} s": call.stages.get(name) for name in STAGES},
            "total s": call.seconds,
            "tokens/s": call.tokens_per_second,
            "prompt tokens": call.input_tokens,
            "completion tokens": call.output_tokens,
            "cached tokens": call.cached_tokens,
            "usd": call.usd,
            "wh": call.wh,
            "energy is": call.measured,
            "memory bytes": call.memory,
            "went to": call.went_to,
            "bytes sent away": call.sent_bytes,
            "text": call.text,
            "error": call.error,
        }
