"""How well a small model with a router does: the cost-quality curve, APGR, CPT, regression rate and baselines. Pure.

The definitions are those of RouteLLM (Ong et al. 2024, arXiv 2406.18665):

    PGR(x)  = (Q(x) - Q_small) / (Q_large - Q_small)            performance gap recovered when a share x is routed
    APGR    = (AUC(Q) - Q_small) / (Q_large - Q_small)          AUC over x from 0 to 1 by trapezoids
    CPT(p)  = the smallest x with PGR(x) >= p                   between two points of the curve: linear

Random routing has an APGR of 0.5 and a CPT(p) of p. All are None if the two models are equally good.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from math import isclose
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORKSHOP_CHARACTERS = 600
"""The workshop's rule: refine a draft of at least this many characters."""

ROUNDING = 1e-9
"""Two models whose quality differs by no more are equally good: the order of a sum can make such a difference."""

RESAMPLES = 1000
SEED = 20261122


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question, answered by both models."""

    group: str
    """Cases of one group are not independent: the paper that the question is about."""
    score: float
    """Whoever has the lowest goes to the large model first."""
    small: float
    """Quality of the small model's answer, from 0 to 1."""
    large: float
    characters: int = 0
    """Of the small model's draft."""
    small_seconds: float | None = None
    more_seconds: float | None = None
    """What the large model takes on top of the draft."""
    small_usd: float | None = None
    more_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """The blend when a share of the questions goes to the large model."""

    share: float
    quality: float
    threshold: float | None = None
    """Scores below it go there; None where all or a stated share does."""


def curve(cases: Sequence[Case], score: Callable[[Case], float] | None = None) -> list[Point]:
    """The blend at every threshold, from nobody to everybody. Cases with the same score go together.

    Args:
        cases: at least one.
        score: whose order to use; None for the cases' own.
    """
    key = score or (lambda case: case.score)
    ordered = sorted(cases, key=key)
    n = len(ordered)
    whole = sum(case.small for case in ordered)
    points = [Point(0.0, whole / n, key(ordered[0]))]
    for i, case in enumerate(ordered):
        whole += case.large - case.small
        if i + 1 == n or key(ordered[i + 1]) != key(case):
            points.append(Point((i + 1) / n, whole / n, key(ordered[i + 1]) if i + 1 < n else None))
    return points


def recovered(quality: float, points: Sequence[Point]) -> float | None:
    """PGR of a quality on this curve, whose ends are the two models."""
    small, large = points[0].quality, points[-1].quality
    return None if isclose(large, small, rel_tol=0.0, abs_tol=ROUNDING) else (quality - small) / (large - small)


def apgr(points: Sequence[Point]) -> float | None:
    """The average performance gap recovered."""
    area = sum((b.share - a.share) * (a.quality + b.quality) / 2 for a, b in pairwise(points))
    return recovered(area, points)


def cpt(points: Sequence[Point], wanted: float) -> float | None:
    """The call-performance threshold: the smallest share of calls that recovers this much of the gap."""
    before: tuple[float, float] | None = None
    for point in points:
        now = recovered(point.quality, points)
        if now is None:
            return None
        if now >= wanted:
            if before is None or now == before[1]:
                return point.share
            share, had = before
            return share + (point.share - share) * (wanted - had) / (now - had)
        before = (point.share, now)
    return None


def random_routing(points: Sequence[Point]) -> list[Point]:
    """The same two models with questions chosen by chance: a straight line."""
    return [points[0], points[-1]]


def longest_first(case: Case) -> float:
    """The order of the length baseline: the longest draft goes first."""
    return -float(case.characters)


def gain_first(case: Case) -> float:
    """The order of a router that knows both answers: an upper bound for every router."""
    return case.small - case.large


def workshop_rule(cases: Sequence[Case], *, characters: int = WORKSHOP_CHARACTERS) -> Point:
    """The blend if every draft of at least so many characters is refined."""
    asked = [case.characters >= characters for case in cases]
    quality = sum(case.large if to else case.small for case, to in zip(cases, asked, strict=True)) / len(cases)
    return Point(sum(asked) / len(cases), quality)


def regression_rate(cases: Sequence[Case], *, right: float = 0.5, below: float | None = None) -> float | None:
    """Of the drafts that were right and went to the large model, the share that it made wrong; None without any.

    Args:
        cases: the questions.
        right: the quality from which an answer counts as right.
        below: only cases with a lower score went there; None for all.
    """
    had = [case for case in cases if case.small >= right and (below is None or case.score < below)]
    return sum(case.large < right for case in had) / len(had) if had else None


def recommended(points: Sequence[Point], *, wanted: float, most: float = 1.0) -> Point | None:
    """The first threshold that recovers this much of the gap with at most so many calls; None if there is none."""
    for point in points:
        share = recovered(point.quality, points)
        if share is None or point.share > most:
            return None
        if share >= wanted and point.threshold is not None and 0 <= point.threshold <= 1:
            return point
    return None


def in_digits(threshold: float) -> str:
    """The threshold with three digits, rounded up: what it was chosen for has a score below it."""
    return str(Decimal(repr(threshold)).quantize(Decimal("0.001"), ROUND_CEILING))


def spent(cases: Sequence[Case], below: float | None, *, money: bool) -> float | None:
    """The mean cost in US dollars, or the mean seconds, of an answer at a threshold; None if a part is unknown.

    The draft is always paid for: C(x) = C_draft + x * C_refine.

    Args:
        cases: the questions.
        below: cases with a lower score go to the large model; None for all.
        money: US dollars instead of seconds.
    """
    total = 0.0
    for case in cases:
        first, more = (case.small_usd, case.more_usd) if money else (case.small_seconds, case.more_seconds)
        goes = below is None or case.score < below
        if first is None or (goes and more is None):
            return None
        total += first + (more or 0.0) * goes
    return total / len(cases)


def interval(cases: Sequence[Case], figure: Callable[[Sequence[Case]], float | None]) -> tuple[float, float] | None:
    """A 95 % percentile bootstrap interval of a figure that draws whole groups; None for fewer than two groups.

    Draws in which the figure has no value are left out; if those are half of them, there is no interval.
    """
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    if len(groups) < 2:
        return None
    members, random = list(groups.values()), np.random.default_rng(SEED)
    found = []
    for _ in range(RESAMPLES):
        drawn = [case for at in random.integers(len(members), size=len(members)) for case in members[at]]
        if (value := figure(drawn)) is not None:
            found.append(value)
    if len(found) < RESAMPLES / 2:
        return None
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
