"""Calibrate confidence on labelled drafts with a small logistic regression, and store the result in a file."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from ingest import write_atomically
from rag.evaluation.metrics import UNANSWERABLE, answer_f1
from rag.verify.confidence import Calibration
from rag.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

_log = logging.getLogger(__name__)

FEATURES: Final = ("carried", "new_words_read", "specific")
"""The signals whose sign was stable in five-fold cross-validation over the papers of QASPER train
(docs/confidence.md)."""

WITH_LOGPROBS: Final = ("mean_logprob", *FEATURES)

RIGHT_AT: Final = 0.5
"""A draft counts as right if its token F1 against any annotator's answer reaches this."""

LABEL: Final = f"token F1 of at least {RIGHT_AT} against any of the answers"

ENOUGH: Final = 100
"""Minimum number of labelled drafts. With fewer, a ranking of drafts cannot be told from chance: at 100, an AUROC of
.70 is measured as anything from .59 to .80."""

ENOUGH_OF_EACH: Final = 5
"""Minimum number of right drafts, and of wrong ones: a regression needs both."""

STRENGTH: Final = 1.0
"""scikit-learn's C: the inverse strength of the L2 penalty on the weights."""

FOLDS: Final = 5

WANTED: Final = 0.5
"""Drafts are kept, and not sent to the larger model, if at least this share of them is right."""

FIRST_LOOK: Final = 10
"""Size of the smallest set of drafts that is tested."""

KEPT: Final = 0.25
"""The share of drafts kept if no set reaches `WANTED`. This is a budget, not a guarantee."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A draft with its signals and its label."""

    signals: Mapping[str, float | None]
    vetoes: tuple[str, ...]
    right: bool
    group: str
    """Drafts of one group (a paper) are not independent."""

    def as_row(self) -> dict[str, Any]:
        """The draft as a JSON object. `vetoes` are called `gates` there, as in files of earlier versions."""
        return {"gates" if name == "vetoes" else name: value for name, value in asdict(self).items()}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a draft from its JSON (`as_row`)."""
        return cls(row["signals"], tuple(row["gates"]), row["right"], row["group"])


def is_right(text: str, golds: Sequence[str]) -> bool:
    """Whether a draft reaches `RIGHT_AT` against any answer. Never, if no annotator found an answer in the paper."""
    return (answer_f1(text, [gold for gold in golds if gold != UNANSWERABLE]) or 0.0) >= RIGHT_AT


def fit(rows: Sequence[Labelled], features: Sequence[str]) -> Weights:
    """Fit a logistic regression with an L2 penalty on all weights except the intercept, by Newton's method.

    Signals are standardised first; unknown ones are set to the mean.
    """
    x = np.array([[_value(row.signals.get(name)) for name in features] for row in rows], dtype=np.float64)
    x = x.reshape(len(rows), len(features))  # also without rows
    known = ~np.isnan(x)
    sizes = np.maximum(known.sum(0), 1)
    means = np.where(known, x, 0.0).sum(0) / sizes
    centred = np.where(known, x - means, 0.0)
    scales = np.sqrt((centred**2).sum(0) / sizes)
    scales[scales < 1e-9] = 1.0
    beta = _newton(centred / scales, np.array([row.right for row in rows], dtype=np.float64))
    return Weights(
        features=tuple(features),
        means=_floats(means),
        scales=_floats(scales),
        coefficients=_floats(beta[1:]),
        intercept=float(beta[0]),
    )


def _newton(x: Array, y: Array) -> Array:
    """Intercept and weights that maximise the penalised likelihood; shape (1 + features,)."""
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.full(design.shape[1], 1.0 / STRENGTH)
    penalty[0] = 1e-6  # without it, the intercept is infinite if all labels are equal
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(penalty)
        step = np.linalg.solve(curvature, design.T @ (y - p) - penalty * beta)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def held_out(rows: Sequence[Labelled], features: Sequence[str]) -> list[float]:
    """The cross-validated probability of each row: `FOLDS` folds, and no group is in two of them."""
    names = sorted({row.group for row in rows})
    fold = {name: i % FOLDS for i, name in enumerate(names)}
    found = [0.0] * len(rows)
    for n in range(FOLDS):
        weights = fit([row for row in rows if fold[row.group] != n], features)
        for i, row in enumerate(rows):
            if fold[row.group] == n:
                found[i] = weights.probability(row.signals)
    return found


def calibrated(rows: Sequence[Labelled], *, model: str, data: str, date: str) -> Calibration:
    """The calibration: both sets of weights, the ceiling for vetoed drafts, and the threshold for `auto`.

    Args:
        rows: labelled drafts of one model.
        model: the model's name as its server reports it.
        data: what the questions were, for the record.
        date: today's date, for the record.
    """
    vetoed = [row for row in rows if row.vetoes]
    said = held_out(rows, WITH_LOGPROBS)
    passed = [(probability, row.right) for probability, row in zip(said, rows, strict=True) if not row.vetoes]
    threshold, reason = choose_threshold(passed, of=len(rows))
    return Calibration(
        model=model,
        data=data,
        date=date,
        n=len(rows),
        n_right=sum(row.right for row in rows),
        label=LABEL,
        vetoed=round((sum(row.right for row in vetoed) + 0.5) / (len(vetoed) + 1), 6),
        threshold=threshold,
        threshold_reason=reason,
        with_logprobs=fit(rows, WITH_LOGPROBS),
        without_logprobs=fit(rows, FEATURES),
    )


def choose_threshold(passed: Sequence[tuple[float, bool]], *, of: int) -> tuple[float, str]:
    """The threshold for `auto`, and one sentence on how it was chosen.

    The threshold is the lowest probability above which at least `WANTED` of the drafts are right, by a one-sided 95 %
    bound (Clopper and Pearson 1934). The search starts at the surest drafts and stops at the first failure, so that the
    bound stays valid. If there is no such set, the surest `KEPT` of all drafts are kept.

    Args:
        passed: (held-out probability, right) of each draft without a veto.
        of: number of all drafts.
    """
    ordered = sorted(passed, key=lambda pair: -pair[0])
    sure, right = 0, 0
    for n, (_, was_right) in enumerate(ordered, start=1):
        right += was_right
        if n >= FIRST_LOOK:
            if share_bound(right, n) < WANTED:
                break
            sure = n
    if sure:
        kept = sum(was_right for _, was_right in ordered[:sure])
        return _rounded(ordered[sure - 1][0]), (
            f"The drafts above it are right at least {WANTED:.0%} of the time ({kept} of {sure}, one-sided 95 % bound)."
        )
    n = min(len(ordered), max(1, round(KEPT * of)))
    if not n:
        return 1.0, "Every draft had a warning sign, so all are passed to the larger model."
    kept = sum(was_right for _, was_right in ordered[:n])
    return _rounded(ordered[n - 1][0]), (
        f"No set of drafts was right at least {WANTED:.0%} of the time, so the surest {KEPT:.0%} are kept "
        f"({kept} of {n} right, against {sum(right for _, right in passed)} of {of} drafts)."
    )


def share_bound(right: int, n: int) -> float:
    """One-sided 95 % lower bound of a proportion, from `right` of n cases (Clopper and Pearson 1934)."""
    if not right:
        return 0.0
    low, high = 0.0, right / n
    for _ in range(40):
        middle = (low + high) / 2
        tail = sum(math.comb(n, k) * middle**k * (1 - middle) ** (n - k) for k in range(right, n + 1))
        low, high = (middle, high) if tail < 0.05 else (low, middle)
    return low


def too_few(rows: Sequence[Labelled]) -> str | None:
    """Why the drafts are too few to calibrate on, in one sentence; None if there are enough."""
    right = sum(row.right for row in rows)
    if len(rows) < ENOUGH:
        return f"{len(rows)} of the drafts could be compared with an answer; at least {ENOUGH} are needed."
    if min(right, len(rows) - right) < ENOUGH_OF_EACH:
        return (
            f"{right} of {len(rows)} drafts were right; {ENOUGH_OF_EACH} right and {ENOUGH_OF_EACH} wrong are needed."
        )
    return None


# -- files -------------------------------------------------------------------------------------------------------------


def save(calibration: Calibration, path: Path) -> None:
    """Write the file atomically."""
    write_atomically(path, json.dumps(calibration.as_row(), indent=1, ensure_ascii=False) + "\n")


def _value(value: float | None) -> float:
    return np.nan if value is None else value


def _rounded(probability: float) -> float:
    """Rounded down, so that the draft itself stays above the threshold."""
    return math.floor(probability * 1e6) / 1e6


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)
