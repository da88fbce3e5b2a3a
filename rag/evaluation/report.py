"""The report of a run: measures with intervals, stages, papers, the worst cases, and a comparison with another run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from rag.errors import RunError
from rag.evaluation.measures import Measure, answer_f1_of, measures, seconds_of
from rag.evaluation.metrics import (
    Abstentions,
    Difference,
    Estimate,
    abstentions,
    estimate,
    hit_at,
    paired,
    percentiles,
    recall_at,
    reciprocal_rank,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rag.evaluation.cases import Result, Run

CURVE_AT = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 50, 100)
"""Values of k for the recall curve, up to the run's own k."""

WORST = 10
"""Cases of each sort that the report lists, at most."""

POOR = 0.2
"""An answer with an F1 below this is listed as poor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure of two runs, over the cases that both have."""

    measure: Measure
    ours: float
    theirs: float
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """How the questions about one paper scored."""

    group: str
    n: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the report contains."""

    run: Run
    measures: tuple[tuple[Measure, Estimate | None], ...]
    """The estimate is None if the measure is known for no case, like marker validity if the model writes no markers."""
    recall: tuple[tuple[int, Estimate, Estimate], ...]
    """(k, recall@k, hit@k)."""
    search_abstentions: Abstentions
    """Of the search alone: it found nothing relevant to the question."""
    answer_abstentions: Abstentions | None
    seconds: tuple[float, ...]
    """Total seconds of each case."""
    stages: Mapping[str, tuple[float, ...]]
    """Stage → seconds at the 50th, 95th and 99th percentile, and the maximum."""
    papers: tuple[PaperRow, ...]
    """Papers with the largest loss first, the sum of 1 - reciprocal rank; empty if each question has its own paper."""
    worst: tuple[Result, ...]
    """At most `WORST` each: not found, wrong abstentions, poor answers."""
    errors: tuple[Result, ...]
    tokens: tuple[int, int] | None
    """Total tokens (in, out); None if nothing was answered or an answer's tokens are unknown."""
    other: Run | None = None
    compared: tuple[Compared, ...] = ()
    n_common: int = 0

    @property
    def n(self) -> int:
        """Number of cases without an error."""
        return len(self.run.results) - len(self.errors)


def report(run: Run, *, other: Run | None = None) -> Report:
    """The report of a run, optionally compared with another.

    Raises:
        RunError: the two runs have no case in common.
    """
    good = [result for result in run.results if result.error is None]
    measured = measures(run)
    compared, n_common = _compared(measured, good, other) if other else ((), 0)
    return Report(
        run=run,
        measures=tuple((f, _estimate(f.of, good)) for f in measured),
        recall=tuple(_curve(good, run.settings["k"])),
        search_abstentions=abstentions((r.answerable, r.on_topic is False) for r in good if r.answerable is not None),
        answer_abstentions=abstentions(
            (r.answerable, r.answer.abstained) for r in good if r.answerable is not None and r.answer
        )
        if run.settings["answers"] is not None
        else None,
        seconds=tuple(s for r in good if (s := seconds_of(r)) is not None),
        stages=_stages(good),
        papers=tuple(_papers(good, measured)),
        worst=tuple(_worst(good)),
        errors=tuple(result for result in run.results if result.error is not None),
        tokens=_tokens(good),
        other=other,
        compared=compared,
        n_common=n_common,
    )


def _estimate(of: Callable[[Result], float | None], results: Iterable[Result]) -> Estimate | None:
    known = [(value, result.group) for result in results if (value := of(result)) is not None]
    return estimate([value for value, _ in known], [group for _, group in known])


def _curve(results: Sequence[Result], k: int) -> Iterable[tuple[int, Estimate, Estimate]]:
    for n in sorted({n for n in CURVE_AT if n < k} | {k}):
        recall = _estimate(lambda r, n=n: recall_at(r.ranked, r.relevant, n), results)  # type: ignore[misc]
        hit = _estimate(lambda r, n=n: hit_at(r.ranked, r.relevant, n), results)  # type: ignore[misc]
        if recall and hit:
            yield n, recall, hit


def _stages(results: Sequence[Result]) -> dict[str, tuple[float, ...]]:
    times: dict[str, list[float]] = defaultdict(list)
    for result in results:
        for name, seconds in (result.answer.stages if result.answer else result.stages).items():
            times[name].append(seconds)
    times["in all"] = [s for result in results if (s := seconds_of(result)) is not None]
    return {name: found for name, seconds in times.items() if (found := percentiles(seconds, at=(50, 95, 99, 100)))}


def _papers(results: Sequence[Result], measured: Sequence[Measure]) -> list[PaperRow]:
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.relevant:
            groups[result.group].append(result)
    if len(groups) < 2 or all(len(group) == 1 for group in groups.values()):
        return []
    chosen = [f for f in measured if f.name in ("Hit@1", "Hit@5", "Answer F1") or f.name.startswith(("MRR", "nDCG"))]
    rows = []
    for name, group in groups.items():
        known = {f.name: [v for r in group if (v := f.of(r)) is not None] for f in chosen}
        values = {measure: mean(found) if found else None for measure, found in known.items()}
        rows.append(PaperRow(group=name, n=len(group), values=values))
    lost = {
        name: sum(1 - (reciprocal_rank(r.ranked, r.relevant) or 0.0) for r in group) for name, group in groups.items()
    }
    return sorted(rows, key=lambda row: (-lost[row.group], row.group))


def _worst(results: Sequence[Result]) -> list[Result]:
    """Cases whose first right passage is not at the top, worst first; then wrong abstentions, then poor answers."""
    rank = {r.id: reciprocal_rank(r.ranked, r.relevant) for r in results}
    low = [r for r in results if (found := rank[r.id]) is not None and found < 1]
    low = sorted(low, key=lambda r: (rank[r.id] or 0.0, answer_f1_of(r) or 0.0, r.id))[:WORST]
    refusals = [r for r in results if (wrongly_refused(r) or wrongly_answered(r)) and r not in low]
    refusals = sorted(refusals, key=lambda r: (not wrongly_refused(r), r.id))[:WORST]
    poor = {r.id: f1 for r in results if r.answerable and (f1 := answer_f1_of(r)) is not None and f1 < POOR}
    answers = [r for r in results if r.id in poor and r not in low + refusals]
    return low + refusals + sorted(answers, key=lambda r: (poor[r.id], r.id))[:WORST]


def abstained(result: Result) -> bool:
    """Whether the assistant abstained; if it was not asked, whether the search alone would."""
    return result.answer.abstained if result.answer else result.on_topic is False


def wrongly_refused(result: Result) -> bool:
    """Whether the assistant abstained from an answerable question."""
    return result.answerable is True and abstained(result)


def wrongly_answered(result: Result) -> bool:
    """Whether the assistant did not abstain from an unanswerable question."""
    return result.answerable is False and not abstained(result)


def first_right(result: Result) -> int | None:
    """The rank of the first right passage, or None."""
    found = reciprocal_rank(result.ranked, result.relevant)
    return round(1 / found) if found else None


def _tokens(results: Sequence[Result]) -> tuple[int, int] | None:
    answers = [result.answer for result in results if result.answer and result.answer.model]
    read, written = [a.input_tokens for a in answers], [a.output_tokens for a in answers]
    if not answers or None in read or None in written:
        return None
    return sum(n or 0 for n in read), sum(n or 0 for n in written)


def _compared(measured: Sequence[Measure], ours: Sequence[Result], other: Run) -> tuple[tuple[Compared, ...], int]:
    theirs = {r.id: r for r in other.results if r.error is None}
    common = [(r, theirs[r.id]) for r in ours if r.id in theirs and r.question == theirs[r.id].question]
    if not common:
        raise RunError(
            f"The runs have no questions in common: {other.folder} used other questions.",
            "Give a run of the same questions.",
        )
    rows = []
    alike = all((r.answer is None) == (s.answer is None) for r, s in common)
    for measure in measured:
        if measure.unit == "s" and not alike:
            continue  # times of a search and of an answer are not comparable
        known = [
            (a, b, r.group) for r, s in common if (a := measure.of(r)) is not None and (b := measure.of(s)) is not None
        ]
        first, second, groups = (list(column) for column in zip(*known, strict=True)) if known else ([], [], [])
        if difference := paired(first, second, groups):
            rows.append(Compared(measure=measure, ours=mean(first), theirs=mean(second), difference=difference))
    return tuple(rows), len(common)


def as_json(done: Report) -> dict[str, Any]:
    """The report as JSON for the command line; unknown values are null."""
    refused = done.answer_abstentions or done.search_abstentions
    return {
        "folder": str(done.run.folder),
        "settings": dict(done.run.settings),
        "cases": len(done.run.results),
        "errors": [{"id": result.id, "error": result.error} for result in done.errors],
        "figures": {measure.name: asdict(found) if found else None for measure, found in done.measures},
        "recall": [{"k": k, "recall": recall.mean, "hit": hit.mean} for k, recall, hit in done.recall],
        "abstentions": asdict(refused) | {"right_share": refused.right_share, "false_share": refused.false_share},
        "seconds": {
            name: dict(zip(("p50", "p95", "p99", "max"), times, strict=True)) for name, times in done.stages.items()
        },
        "tokens": dict(zip(("input", "output"), done.tokens, strict=True)) if done.tokens else None,
        "compared": [
            {"figure": c.measure.name, "this": c.ours, "other": c.theirs, **asdict(c.difference)} for c in done.compared
        ],
    }
