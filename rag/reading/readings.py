"""What the reader finds in a passage, and how it is decoded from the network's output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float32]

Kind = Literal["span", "list", "yes", "no", "explanation", "none"]
KINDS: Final[tuple[Kind, ...]] = ("span", "list", "yes", "no", "explanation", "none")
"""What kind of answer a passage gives; "none" if it gives no answer."""

LONGEST: Final = 40
"""Maximum length of a span, in tokens."""

MOST: Final = 8
"""Spans kept per passage; lists rarely have more items."""


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate answer: text[start:end] of a passage."""

    start: int
    end: int
    score: float
    """Log odds against "no answer here"; comparable across the passages of one question."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, text[start:end], with the probability that it contains the answer."""

    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader found in one passage for one question."""

    relevance: float
    """Log odds that the passage answers the question; passages are re-ranked by it."""
    spans: tuple[Span, ...]
    """Best first, without overlaps. Empty only if nothing of the passage could be read."""
    none: float
    """The probability that no span of the passage is the answer."""
    kind: Kind
    kind_probability: float
    sentences: tuple[Sentence, ...]
    """In text order. Sentences beyond the truncation point are missing."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tokens of a passage as the network saw them."""

    starts: Sequence[int]
    """Where each token begins in the passage, in characters."""
    ends: Sequence[int]
    begins_word: Sequence[bool]
    ends_word: Sequence[bool]


def sigmoid(x: float) -> float:
    """The logistic function."""
    return float(0.5 * (1.0 + np.tanh(0.5 * x)))


def spans_of(start: Numbers, end: Numbers, pieces: Pieces) -> tuple[tuple[Span, ...], float]:
    """Decode the best non-overlapping spans, and the probability that there is no answer.

    Every span of whole words, up to LONGEST tokens, competes with "no answer here" in one softmax over start + end.

    Args:
        start: logits of the first token: "no answer here", then one per token.
        end: the same for the last token.
        pieces: the offsets of the tokens.
    """
    null = float(start[0] + end[0])
    first, last = start[1:].astype(np.float64), end[1:].astype(np.float64)
    n = len(first)
    scores = np.full((n, min(n, LONGEST)), -np.inf)  # row: first token; column: length − 1
    begins, ends = np.asarray(pieces.begins_word, dtype=bool), np.asarray(pieces.ends_word, dtype=bool)
    for length in range(scores.shape[1]):
        stop = n - length
        possible = begins[:stop] & ends[length:]
        scores[:stop, length] = np.where(possible, first[:stop] + last[length:] - null, -np.inf)
    if not np.isfinite(scores).any():
        return (), 1.0
    top = max(0.0, float(scores.max()))
    none = float(np.exp(-top) / (np.exp(-top) + np.exp(scores - top).sum()))
    chosen: list[Span] = []
    while len(chosen) < MOST:
        at, length = divmod(int(scores.argmax()), scores.shape[1])
        best = float(scores[at, length])
        if not np.isfinite(best):
            break
        chosen.append(Span(pieces.starts[at], pieces.ends[at + length], best))
        scores[at : at + length + 1] = -np.inf  # spans that start inside the chosen one
        for row in range(max(0, at - LONGEST), at):
            scores[row, at - row :] = -np.inf  # spans that reach into it
    return tuple(chosen), none


def kind_of(logits: Numbers) -> tuple[Kind, float]:
    """The most likely kind and its probability."""
    odds = np.exp(logits.astype(np.float64) - logits.max())
    best = int(odds.argmax())
    return KINDS[best], float(odds[best] / odds.sum())
