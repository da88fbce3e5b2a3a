"""What an answer took: Usage, Span, Trace, and its cost. A total with an unknown part is unknown."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Measured = Literal["counter", "estimated", "none"]
"""counter: difference of the hardware's own energy counters. estimated: watts of the settings × seconds."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion, as the model's server counted them."""

    input_tokens: int
    """All of the prompt, what was cached included."""
    output_tokens: int
    """All that was written, what a model only thought included."""
    cached_tokens: int | None = None
    """Of the input: read from the server's cache; None: it did not say."""
    reasoning_tokens: int | None = None
    """Of the output: thought and not shown; None: it did not say."""


@dataclass(frozen=True, slots=True)
class Span:
    """One timed step."""

    name: str
    seconds: float


@dataclass(slots=True)
class Trace:
    """The timed steps of one question, in order, and the time since it began."""

    spans: list[Span] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    """Of the whole, without the time that the reader of the answer took; None until `finish` is called."""
    held: float = 0.0
    """Seconds that the reader took so far."""

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Time the block. Never put a `yield` to a reader inside: it would count the reader's time."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - began)

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Leave the block's time out of the total: the reader's turn between two events."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.held += time.monotonic() - began

    def add(self, name: str, seconds: float) -> None:
        """Add a step that was timed elsewhere."""
        self.spans.append(Span(name, seconds))

    def finish(self) -> Trace:
        """Close the trace: `seconds` is the time since it began, without the reader's."""
        self.seconds = time.monotonic() - self.started - self.held
        return self


@dataclass(frozen=True, slots=True)
class Energy:
    """What an answer took from the socket."""

    wh: float | None
    """Watt-hours; None: unknown."""
    measured: Measured
    source: str = ""
    """Which counters, or which setting."""


def total(parts: Iterable[float | None]) -> float | None:
    """Return the sum; None where a part is unknown. Of nothing, 0."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)


def cost_words(usd: float | None) -> str:
    """Return `$0.0041`, `$12.30`, `free`, `less than $0.0001` or `unknown cost`: two digits that matter."""
    if usd is None:
        return "unknown cost"
    if usd <= 0:
        return "free"
    if usd < 0.0001:
        return "less than $0.0001"
    if usd >= 0.995:
        return f"${usd:,.2f}"
    return f"${float(f'{usd:.2g}'):.4f}".rstrip("0").ljust(5, "0")
