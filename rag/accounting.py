"""What an answer took: Usage, Span, Trace. A total with an unknown part is unknown."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion, as the model's server counted them."""

    input_tokens: int
    output_tokens: int


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
