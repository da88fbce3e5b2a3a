"""Usage, spans, trace and cost of an answer. A total with an unknown part is unknown."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Measured = Literal["counter", "estimated", "none"]
"""counter: difference of hardware energy counters. estimated: configured watts × seconds."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion, as counted by the model's server."""

    input_tokens: int
    """The whole prompt, including cached tokens."""
    output_tokens: int
    """Everything generated, including reasoning."""
    cached_tokens: int | None = None
    """Input tokens read from the server's cache; None if not reported."""
    reasoning_tokens: int | None = None
    """Output tokens spent on hidden reasoning; None if not reported."""


@dataclass(frozen=True, slots=True)
class Span:
    """One timed step."""

    name: str
    seconds: float


@dataclass(slots=True)
class Trace:
    """The timed steps of one question, in order, with the total time."""

    spans: list[Span] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    """Total time, excluding time the consumer was slow; None until `finish` is called."""
    held: float = 0.0
    """Seconds the consumer has taken so far."""

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Time the block. Never `yield` to a consumer inside it: the consumer's time would count."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - began)

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Exclude the block from the total: it is the consumer's time between two events."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.held += time.monotonic() - began

    def add(self, name: str, seconds: float) -> None:
        """Add a step that was timed elsewhere."""
        self.spans.append(Span(name, seconds))

    def finish(self) -> Trace:
        """Close the trace: `seconds` becomes the time since its start, without the consumer's."""
        self.seconds = time.monotonic() - self.started - self.held
        return self


@dataclass(frozen=True, slots=True)
class Energy:
    """Electrical energy used for an answer."""

    wh: float | None
    """Watt-hours; None if unknown."""
    measured: Measured
    source: str = ""
    """Which counters or setting it comes from."""


def total(parts: Iterable[float | None]) -> float | None:
    """The sum; None if any part is unknown. 0 for no parts."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)
