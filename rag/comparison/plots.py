"""Plots of a comparison as SVG text: the stages of each model as bars, and curves of quality over cost or time."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 760
LEFT, RIGHT, BAR, GAP = 250, 70, 20, 12
LETTER = 7.2
"""Width of a letter, to shorten names that do not fit."""

STYLE = """
.stage0 { fill: #7aa6d8; } .stage1 { fill: #b9b3a5; } .stage2 { fill: #e2b84f; } .stage3 { fill: #7fb069; }
.whisker { stroke: var(--dim); stroke-width: 1.4; }
.line.s2 { stroke: #7a5bb5; } .line.s3 { stroke: var(--dim); stroke-dasharray: 5 4; }
.dot.s2 { fill: #7a5bb5; } .dot.s3 { fill: var(--dim); }
.chosen { fill: none; stroke: var(--good); stroke-width: 2.4; }
"""
"""CSS for these plots; added to the report's."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One model's bar."""

    name: str
    parts: tuple[float, ...]
    """Stacked, from left to right."""
    high: float | None = None
    """The 95th percentile of the whole, drawn as a whisker."""


@dataclass(frozen=True, slots=True)
class Line:
    """A named curve or, with one point, a dot."""

    name: str
    points: tuple[tuple[float, float], ...]
    joined: bool = True


def bars(rows: Sequence[Bar], *, parts: Sequence[str], unit: str) -> str:
    """Horizontal bars with a legend of their parts."""
    top = max([sum(row.parts) for row in rows] + [row.high or 0.0 for row in rows]) or 1.0
    height = 34 + len(rows) * (BAR + GAP) + 34

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / top

    out = []
    at = float(LEFT)
    for n, name in enumerate(parts):
        out.append(f'<rect class="stage{n}" x="{at:.1f}" y="6" width="11" height="11" rx="2"/>')
        out.append(f'<text x="{at + 16:.1f}" y="16">{escape(name)}</text>')
        at += 34 + LETTER * len(name)
    for n, row in enumerate(rows):
        y, begin = 34 + n * (BAR + GAP), 0.0
        out.append(f'<text class="end" x="{LEFT - 10}" y="{y + 14}">{escape(_short(row.name))}</text>')
        for stage, value in enumerate(row.parts):
            wide = max(x(begin + value) - x(begin), 0.4)
            out.append(f'<rect class="stage{stage}" x="{x(begin):.1f}" y="{y}" width="{wide:.1f}" height="{BAR}"/>')
            begin += value
        if row.high is not None:
            middle = y + BAR / 2
            out.append(
                f'<path class="whisker" fill="none" d="M{x(begin):.1f} {middle}H{x(row.high):.1f}'
                f'M{x(row.high):.1f} {middle - 5}V{middle + 5}"/>'
            )
        end = max(begin, row.high or 0.0)
        out.append(f'<text x="{x(end) + 6:.1f}" y="{y + 14}">{begin:.3g} {escape(unit)}</text>')
    said = "; ".join(f"{row.name} {sum(row.parts):.3g} {unit}" for row in rows)
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height - 20}" role="img" aria-label="{escape(said)}">'
        f"{''.join(out)}</svg>"
    )


def curve(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    chosen: tuple[float, float, str] | None = None,
) -> str:
    """Curves over a shared x, with single points as dots, and one point ringed and named."""
    width, height, left, right, top, bottom = WIDTH, 340, 60, 20, 16, 46
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    low_x, high_x = min(xs), max(xs)
    low_y, high_y = min(ys), max(ys)
    pad = (high_y - low_y) * 0.08 or 0.05
    low_y, high_y = low_y - pad, high_y + pad

    def x(value: float) -> float:
        return left + (width - left - right) * (value - low_x) / ((high_x - low_x) or 1.0)

    def y(value: float) -> float:
        return height - bottom - (height - top - bottom) * (value - low_y) / (high_y - low_y)

    out = []
    for n in range(5):
        value = low_y + (high_y - low_y) * n / 4
        kind = "axis" if n == 0 else "grid"
        out.append(f'<line class="{kind}" x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        out.append(f'<text class="tick end" x="{left - 8}" y="{y(value) + 4:.1f}">{value:.2f}</text>')
        at = low_x + (high_x - low_x) * n / 4
        out.append(f'<text class="tick middle" x="{x(at):.1f}" y="{height - bottom + 17}">{at:.3g}</text>')
    for n, line in enumerate(lines):
        if line.joined and len(line.points) > 1:
            path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line.points)
            out.append(f'<polyline class="line s{n % 4}" points="{path}"/>')
        else:
            for a, b in line.points:
                out.append(f'<circle class="dot s{n % 4}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4.5"/>')
        at_y = height - bottom - 12 - 18 * (len(lines) - 1 - n)
        if line.joined and len(line.points) > 1:
            out.append(
                f'<line class="line s{n % 4}" x1="{width - 286}" x2="{width - 266}" y1="{at_y - 4}" y2="{at_y - 4}"/>'
            )
        else:
            out.append(f'<circle class="dot s{n % 4}" cx="{width - 276}" cy="{at_y - 4}" r="4.5"/>')
        out.append(f'<text class="over" x="{width - 258}" y="{at_y}">{escape(line.name)}</text>')
    if chosen:
        a, b, name = chosen
        side = ("end", -12) if x(a) > width / 2 else ("", 12)
        out.append(f'<circle class="chosen" cx="{x(a):.1f}" cy="{y(b):.1f}" r="8"/>')
        out.append(f'<text class="over {side[0]}" x="{x(a) + side[1]:.1f}" y="{y(b) + 20:.1f}">{escape(name)}</text>')
    out.append(f'<text class="label middle" x="{(left + width - right) / 2}" y="{height - 8}">{escape(x_label)}</text>')
    out.append(f'<text class="label" x="{left}" y="{top - 4}">{escape(y_label)}</text>')
    said = "; ".join(f"{line.name} up to {max(b for _, b in line.points):.2f}" for line in lines)
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}">{"".join(out)}</svg>'
    )


def _short(name: str) -> str:
    most = int((LEFT - 14) / LETTER)
    return name if len(name) <= most else name[: most - 1] + "…"
