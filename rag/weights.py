"""A small logistic regression: its weights, and the probability they give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression over standardised signals."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    """Means of the calibration data; an unknown signal is set to the mean."""
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    """One per feature, for its standardised value."""
    intercept: float

    def contributions(self, signals: Mapping[str, float | None]) -> dict[str, float]:
        """What each feature adds to the log odds, relative to a draft with average values."""
        rows = zip(self.features, self.means, self.scales, self.coefficients, strict=True)
        return {
            name: 0.0 if (value := signals.get(name)) is None else weight * (value - mean) / scale
            for name, mean, scale, weight in rows
        }

    def probability(self, signals: Mapping[str, float | None]) -> float:
        """The probability that a draft with these signals is right, in (0, 1)."""
        return _logistic(self.intercept + sum(self.contributions(signals).values()))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
