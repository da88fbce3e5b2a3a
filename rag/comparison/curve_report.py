"""The report of the blended figure: modes and baselines side by side, the curve, and the recommended threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag.comparison.plots import Line
from rag.comparison.plots import curve as drawn
from rag.comparison.routing import (
    WORKSHOP_CHARACTERS,
    apgr,
    cpt,
    curve,
    gain_first,
    in_digits,
    interval,
    longest_first,
    random_routing,
    recommended,
    recovered,
    regression_rate,
    spent,
    workshop_rule,
)
from rag.costs.words import cost_words
from rag.evaluation.report_page import UNKNOWN, Heading, Plot, Table, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rag.comparison.routing import Case, Point
    from rag.evaluation.report_page import Block

RIGHT = 0.5
"""The Answer F1 from which an answer counts as right, as in the calibration of confidence."""


def summary(cases: Sequence[Case], *, wanted: float, most: float) -> dict[str, Any]:
    """The figures as JSON."""
    points = curve(cases)
    best = recommended(points, wanted=wanted, most=most)
    asked = [
        {
            "share": point.share,
            "quality": point.quality,
            "threshold": point.threshold,
            "recovered": recovered(point.quality, points),
            "seconds": spent(cases, point.threshold, money=False),
            "usd": spent(cases, point.threshold, money=True),
        }
        for point in points
    ]
    return {
        "n": len(cases),
        "small": points[0].quality,
        "large": points[-1].quality,
        "apgr": apgr(points),
        "apgr_interval": interval(cases, lambda some: apgr(curve(some))),
        "cpt50": cpt(points, 0.5),
        "cpt80": cpt(points, 0.8),
        "regression_rate": regression_rate(cases, right=RIGHT),
        "recommended": best.threshold if best else None,
        "curve": asked,
    }


def blocks(cases: Sequence[Case], about: Mapping[str, str], *, wanted: float, most: float) -> Iterator[Block]:
    """The report, in order.

    Args:
        cases: the questions, answered by both.
        about: what was asked, of whom; `larger` names the larger model, `simulated` says so if it is none.
        wanted: the share of the gap that the recommended threshold recovers.
        most: the largest share of calls it may need.
    """
    points = curve(cases)
    small, large = points[0].quality, points[-1].quality
    yield Text(
        f"{len(cases)} questions with known answers. The drafter alone has an Answer F1 of {small:.3f}, "
        f"{about['larger']} {large:.3f}.",
        lead=True,
    )
    if about.get("simulated"):
        yield Text(f"This is a simulation: {about['simulated']}", lead=True)
    best = recommended(points, wanted=wanted, most=most)
    yield _advice(best, points, wanted=wanted, most=most)
    yield Heading("Quality against calls")
    length = curve(cases, longest_first)
    lines = [
        Line("auto, at every threshold", _xy(points)),
        Line("longest draft first", _xy(length)),
        Line("a router that knows both answers", _xy(curve(cases, gain_first))),
        Line("chosen by chance", _xy(random_routing(points))),
    ]
    ringed = (best.share, best.quality, _name(best)) if best else None
    label = "share of questions that the larger model is asked"
    yield Plot(drawn(lines, x_label=label, y_label="Answer F1", chosen=ringed))
    yield _methods(cases, points, length, best)
    yield Text(
        "PGR, APGR and CPT are RouteLLM's: the share of the gap between the two models that is recovered, its average "
        "over all shares of calls, and the share of calls that recovers 50 or 80 % of it. Routing by chance has 0.5, "
        f"50 % and 80 %. Regression: right drafts (F1 of at least {RIGHT}) that the larger model makes wrong."
    )
    yield from _costs(cases, points, best)
    yield Heading("How it was made")
    yield Table(("What", "Value"), tuple((name, value) for name, value in about.items() if value), (0, 1))
    yield Text(
        "The threshold was chosen on the questions that it is judged by, so expect a little less on new ones. Answers "
        "that say “not in your papers” are sent on by no threshold."
    )


def _advice(best: Point | None, points: Sequence[Point], *, wanted: float, most: float) -> Text:
    if recovered(points[0].quality, points) is None or points[-1].quality < points[0].quality:
        return Text("The larger model is not better here, so no threshold is worth its calls: use `draft`.", lead=True)
    if best is None:
        limit = f" with at most {most:.0%} of the calls" if most < 1 else ""
        return Text(
            f"No threshold recovers {wanted:.0%} of the gap{limit}. Use `refine`, or ask for less with --recover.",
            lead=True,
        )
    threshold = in_digits(best.threshold or 0.0)
    return Text(
        f"Recommended threshold: {threshold}. It recovers {wanted:.0%} of the gap and asks the larger model "
        f"for {best.share:.0%} of the questions. `python -m rag curve --set {threshold}` sets it.",
        lead=True,
    )


def _methods(cases: Sequence[Case], points: Sequence[Point], length: Sequence[Point], best: Point | None) -> Table:
    line, bound, rule = random_routing(points), curve(cases, gain_first), workshop_rule(cases)
    low_high = interval(cases, lambda some: apgr(curve(some)))
    between = f" ({low_high[0]:.2f} to {low_high[1]:.2f})" if low_high else ""
    chosen = best or points[-1]

    def row(name: str, point: Point | None, whole: Sequence[Point] | None, harmed: float | None, more: str = "") -> Any:
        return (
            name,
            UNKNOWN if point is None else f"{point.share:.0%}",
            UNKNOWN if point is None else f"{point.quality:.3f}",
            UNKNOWN if point is None else _share(recovered(point.quality, points)),
            UNKNOWN if whole is None else f"{_number(apgr(whole))}{more}",
            UNKNOWN if whole is None else _share(cpt(whole, 0.5)),
            UNKNOWN if whole is None else _share(cpt(whole, 0.8)),
            _share(harmed),
        )

    return Table(
        ("Method", "Asked", "Answer F1", "PGR", "APGR", "CPT(50)", "CPT(80)", "Regression"),
        (
            row("always small: draft", points[0], None, None),
            row("always large: refine", points[-1], None, regression_rate(cases, right=RIGHT)),
            row(
                "auto, recommended threshold" if best else "auto",
                chosen if best else None,
                points,
                regression_rate(cases, right=RIGHT, below=best.threshold) if best else None,
                between,
            ),
            row("chosen by chance", None, line, None),
            row("longest draft first", None, length, None),
            row(f"draft of {WORKSHOP_CHARACTERS} characters or more", rule, None, None),
            row("a router that knows both answers", None, bound, None),
        ),
    )


def _costs(cases: Sequence[Case], points: Sequence[Point], best: Point | None) -> Iterator[Block]:
    for money, name, unit in ((False, "Quality against time", "seconds for an answer, on average"),
                              (True, "Quality against money", "US dollars for 1,000 answers")):  # fmt: skip
        scale = 1000 if money else 1
        found = [(spent(cases, point.threshold, money=money), point) for point in points]
        known = [(value * scale, point.quality) for value, point in found if value is not None]
        if len(known) < len(found) or known[0][0] == known[-1][0]:
            continue
        yield Heading(name)
        ends = (known[0], known[-1])
        ringed = next(((a, b, _name(best)) for (a, b), p in zip(known, points, strict=True)
                       if best and p is best), None)  # fmt: skip
        yield Plot(
            drawn(
                [Line("auto, at every threshold", tuple(known)), Line("draft and refine", ends, joined=False)],
                x_label=unit,
                y_label="Answer F1",
                chosen=ringed,
            )
        )
    rows = [
        (name, _seconds(spent(cases, at, money=False)), cost_words(spent(cases, at, money=True)))
        for name, at in (("draft", -2.0), *([("auto, recommended", best.threshold)] if best else []), ("refine", None))
    ]
    yield Table(("Mode", "Seconds for an answer", "Cost of an answer"), tuple(rows))


def _name(best: Point) -> str:
    return f"threshold {in_digits(best.threshold or 0.0)}"


def _xy(points: Sequence[Point]) -> tuple[tuple[float, float], ...]:
    return tuple((point.share, point.quality) for point in points)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value + 0.0:.0%}".replace("-0%", "0%")


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"
