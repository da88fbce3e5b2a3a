"""The nouns of the reader: what it found in one passage, and how that follows from the network's numbers."""

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
"""What kind of answer a passage gives; "none": it gives none."""

LONGEST: Final = 40
"""Word pieces of the longest span."""

MOST: Final = 8
"""Spans kept of one passage; a list rarely has more items."""


@dataclass(frozen=True, slots=True)
class Span:
    """Words of a passage that may be the answer: text[start:end]."""

    start: int
    end: int
    score: float
    """Log odds against "no answer here": comparable between the passages of a question."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, text[start:end], and the probability that it carries the answer."""

    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader found in one passage for one question."""

    relevance: float
    """Log odds that the passage answers the question; re-ranking sorts by it."""
    spans: tuple[Span, ...]
    """The best first; no two overlap. Empty only if nothing of the passage could be read."""
    none: float
    """The probability that no span of the passage is the answer."""
    kind: Kind
    kind_probability: float
    sentences: tuple[Sentence, ...]
    """In the order of the text; the part of the passage that was too long to be read has none."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The word pieces of one passage, as the network read them."""

    starts: Sequence[int]
    """Where each piece begins in the passage."""
    ends: Sequence[int]
    begins_word: Sequence[bool]
    ends_word: Sequence[bool]


def sigmoid(x: float) -> float:
    """The logistic function."""
    return float(0.5 * (1.0 + np.tanh(0.5 * x)))


def spans_of(start: Numbers, end: Numbers, pieces: Pieces) -> tuple[tuple[Span, ...], float]:
    """The best spans that do not overlap, and the probability of none.

    Args:
        start: a logit for "no answer here", then one for each piece.
        end: the same for the last piece.
        pieces: where the pieces are.

    Every span of whole words up to LONGEST pieces competes with "no answer here" in one softmax over start + end.
    """
    null = float(start[0] + end[0])
    first, last = start[1:].astype(np.float64), end[1:].astype(np.float64)
    n = len(first)
    scores = np.full((n, min(n, LONGEST)), -np.inf)  # row: first piece; column: length − 1
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
        scores[at : at + length + 1] = -np.inf  # begins inside
        for row in range(max(0, at - LONGEST), at):
            scores[row, at - row :] = -np.inf  # reaches into it
    return tuple(chosen), none


def kind_of(logits: Numbers) -> tuple[Kind, float]:
    """The likeliest kind and its probability."""
    odds = np.exp(logits.astype(np.float64) - logits.max())
    best = int(odds.argmax())
    return KINDS[best], float(odds[best] / odds.sum())
