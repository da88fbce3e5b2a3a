"""Counters, gauges and histograms, and their text as Prometheus reads it (exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_LOCK = Lock()
"""Held for one addition at a time; they come from the event loop and from threads."""


class Metric:
    """A counter or a gauge: a number for each combination of its labels' values.

    Args:
        name: of the metric; a counter's ends in `_total`.
        text: what it says, on one line.
        labels: their names.
        kind: whether it only rises.
    """

    def __init__(
        self, name: str, text: str, *, labels: Sequence[str] = (), kind: Literal["counter", "gauge"] = "counter"
    ) -> None:
        self.name, self.text, self.kind = name, text, kind
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: str, n: float = 1.0) -> None:
        """Add to the number for these values of the labels."""
        with _LOCK:
            self._values[values] = self._values.get(values, 0.0) + n

    def set(self, *values: str, to: float) -> None:
        """Replace that number."""
        with _LOCK:
            self._values[values] = to

    def lines(self) -> Iterator[str]:
        """The lines of the text."""
        yield from _head(self.name, self.text, self.kind)
        with _LOCK:
            found = sorted(self._values.items())
        for values, n in found:
            yield f"{self.name}{_labels(self._labels, values)} {_number(n)}"


class Histogram:
    """How often something took how many seconds, for each value of its label, if it has one."""

    def __init__(self, name: str, text: str, *, bounds: Sequence[float], label: str | None = None) -> None:
        self.name, self.text = name, text
        self._bounds, self._label = tuple(bounds), label
        self._seen: dict[str, tuple[list[int], float]] = {} if label else {"": ([0] * (len(self._bounds) + 1), 0.0)}

    def observe(self, seconds: float, value: str = "") -> None:
        """Count one."""
        with _LOCK:
            counts, total = self._seen.get(value) or ([0] * (len(self._bounds) + 1), 0.0)
            counts[bisect_left(self._bounds, seconds)] += 1
            self._seen[value] = (counts, total + seconds)

    def lines(self) -> Iterator[str]:
        """The lines of the text; each bucket counts those below it too."""
        yield from _head(self.name, self.text, "histogram")
        with _LOCK:
            seen = sorted((value, list(counts), total) for value, (counts, total) in self._seen.items())
        names = (self._label,) if self._label else ()
        for value, counts, total in seen:
            values = (value,) if self._label else ()
            n = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                n += count
                yield f"{self.name}_bucket{_labels((*names, 'le'), (*values, _number(bound)))} {n}"
            yield f"{self.name}_sum{_labels(names, values)} {_number(total)}"
            yield f"{self.name}_count{_labels(names, values)} {n}"


def text_of(metrics: Sequence[Metric | Histogram]) -> str:
    """All of them, as they are served."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _head(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
