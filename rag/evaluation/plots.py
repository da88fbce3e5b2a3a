"""Plots as SVG text: an interval, curves with bands, a histogram. Colours come from the page's CSS classes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Scale = Callable[[float], float]  # value → coordinate

WIDTH, HEIGHT = 640, 260
"""Size of a plot in its own coordinates; the page scales it."""

LEFT, RIGHT, TOP, BOTTOM = 48, 16, 14, 42
"""Margins around the plotting area."""

BINS = 24
"""Number of bins of a histogram."""

LOG_FROM = 20
"""A curve that goes beyond this x has a logarithmic axis, because the left end matters most."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A named series of points."""

    name: str
    points: tuple[Point, ...]


def interval(point: Point, *, start: float = 0.0, end: float = 1.0) -> str:
    """A dot at `point.y` on a line from `start` to `end`, with its interval as a bar; `x` is ignored."""
    width, height = 150, 18

    def at(value: float) -> float:
        return 6 + (width - 12) * (min(max(value, start), end) - start) / (end - start)

    zero = f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="1" y2="{height - 1}"/>' if start < 0 < end else ""
    bar = ""
    if point.low is not None and point.high is not None:
        x, w = at(point.low), max(at(point.high) - at(point.low), 2)
        bar = f'<rect class="bar" x="{x:.1f}" y="{height / 2 - 3}" width="{w:.1f}" height="6" rx="3"/>'
    rail = f'<line class="rail" x1="6" x2="{width - 6}" y1="{height / 2}" y2="{height / 2}"/>'
    dot = f'<circle class="dot" cx="{at(point.y):.1f}" cy="{height / 2}" r="4"/>'
    return f'<svg class="interval" viewBox="0 0 {width} {height}" aria-hidden="true">{rail}{zero}{bar}{dot}</svg>'


def curves(
    lines: Sequence[Curve],
    *,
    x_label: str,
    top: float = 1.0,
    ticks: Sequence[float] | None = None,
    legend: Literal["top", "bottom"] = "bottom",
) -> str:
    """Curves of shares over x, each with its band.

    Args:
        lines: the curves.
        x_label: what x is.
        top: upper end of the y axis.
        ticks: labelled values of x; None for those of all points.
        legend: whether the legend is at the top right or the bottom right.
    """
    last = max(point.x for line in lines for point in line.points)
    scale = log10 if last > LOG_FROM else float
    first = min(point.x for line in lines for point in line.points)
    span = scale(last) - scale(first) or 1.0

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (scale(value) - scale(first)) / span

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value / top, 1.0)

    parts = list(_shares(y, top))
    parts += [_tick(x(value), f"{value:g}") for value in ticks or sorted({p.x for line in lines for p in line.points})]
    for n, line in enumerate(lines):
        parts.append(_band(line, n, x, y))
        path = " ".join(f"{x(p.x):.1f},{y(p.y):.1f}" for p in line.points)
        parts.append(f'<polyline class="line s{n}" points="{path}"/>')
        parts += [f'<circle class="dot s{n}" cx="{x(p.x):.1f}" cy="{y(p.y):.1f}" r="2.6"/>' for p in line.points]
        at = TOP + 14 + 18 * n if legend == "top" else HEIGHT - BOTTOM - 14 - 18 * (len(lines) - 1 - n)
        parts.append(f'<line class="line s{n}" x1="{WIDTH - 210}" x2="{WIDTH - 190}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{WIDTH - 184}" y="{at + 4}">{escape(line.name)}</text>')
    described = "; ".join(f"{line.name} up to {line.points[-1].y:.2f}" for line in lines)
    return _plot(parts, x_label, described)


def histogram(values: Sequence[float], *, marks: Sequence[tuple[str, float]], x_label: str) -> str:
    """Counts of values in `BINS` equal bins, with named vertical lines; the last bin includes all larger values."""
    top = _round_up(max(min(max(values), 1.6 * max(mark for _, mark in marks)), 1e-9))
    counts = [0] * BINS
    for value in values:
        counts[min(int(value / top * BINS), BINS - 1)] += 1

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(value / top, 1.0)

    def y(count: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * count / max(counts)

    width = (WIDTH - LEFT - RIGHT) / BINS
    parts = [
        f'<rect class="column" x="{x(top * n / BINS) + 1:.1f}" y="{y(count):.1f}" width="{width - 2:.1f}" '
        f'height="{HEIGHT - BOTTOM - y(count):.1f}" rx="1.5"/>'
        for n, count in enumerate(counts)
        if count
    ]
    parts += [_tick(x(top * n / 4), f"{top * n / 4:.4g}") for n in range(5)]
    parts += [f'<text class="tick end" x="{LEFT - 8}" y="{y(c) + 4:.1f}">{c}</text>' for c in (0, max(counts))]
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0)}" y2="{y(0)}"/>')
    for n, (name, value) in enumerate(marks):
        side, shift = ("over end", -5) if x(value) > WIDTH - 130 else ("over", 5)
        parts.append(f'<line class="mark" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{y(0)}"/>')
        parts.append(f'<text class="{side}" x="{x(value) + shift:.1f}" y="{TOP + 10 + 16 * n}">{escape(name)}</text>')
    over = sum(value > top for value in values)
    return _plot(parts, x_label + (f"; {over} above" if over else ""), f"{len(values)} values")


def _shares(y: Scale, top: float) -> Iterator[str]:
    for value in (0, 0.25 * top, 0.5 * top, 0.75 * top, top):
        at = f'y1="{y(value):.1f}" y2="{y(value):.1f}"'
        yield f'<line class="{"axis" if value == 0 else "grid"}" x1="{LEFT}" x2="{WIDTH - RIGHT}" {at}/>'
        yield f'<text class="tick end" x="{LEFT - 8}" y="{y(value) + 4:.1f}">{value:g}</text>'


def _band(line: Curve, n: int, x: Scale, y: Scale) -> str:
    sure = [(p.x, p.low, p.high) for p in line.points if p.low is not None and p.high is not None]
    there = [f"{x(at):.1f},{y(high):.1f}" for at, _, high in sure]
    back = [f"{x(at):.1f},{y(low):.1f}" for at, low, _ in reversed(sure)]
    return f'<polygon class="band s{n}" points="{" ".join(there + back)}"/>' if sure else ""


def _tick(x: float, text: str) -> str:
    return f'<text class="tick middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}">{escape(text)}</text>'


def _plot(parts: Sequence[str], x_label: str, described: str) -> str:
    label = f'<text class="label middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}">{escape(x_label)}</text>'
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described)}">'
        f"{''.join(parts)}{label}</svg>"
    )


def _round_up(value: float) -> float:
    """The next number that is 1, 1.2, 1.6, 2, 3, 4, 6 or 8 times a power of ten, so that its quarters are readable."""
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if step * power >= value * 0.9999)
