"""Learn from labelled drafts how sure to be of a model's next ones: a small logistic regression, and its file."""

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
"""Those that kept their sign with every fifth of the papers left out of QASPER train (docs/confidence.md)."""

WITH_LOGPROBS: Final = ("mean_logprob", *FEATURES)

RIGHT_AT: Final = 0.5
"""The token F1 against any annotator's answer from which a draft counts as right."""

LABEL: Final = f"token F1 of at least {RIGHT_AT} against any of the answers"

ENOUGH: Final = 100
"""Labelled drafts below which an order of drafts cannot be told from chance: at 100, an AUROC of .70 is measured as
anything from .59 to .80."""

ENOUGH_OF_EACH: Final = 5
"""Right and wrong drafts that there must be, each: a regression needs both."""

STRENGTH: Final = 1.0
"""Of the fit against the penalty on the weights, scikit-learn's C."""

FOLDS: Final = 5

WANTED: Final = 0.5
"""The share of right drafts from which on a draft is kept rather than handed to the larger model."""

FIRST_LOOK: Final = 10
"""Drafts in the smallest set whose share is looked at."""

KEPT: Final = 0.25
"""The share of drafts that is kept where none reach `WANTED`: a budget, no promise."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One draft with its signals, and what became of it."""

    signals: Mapping[str, float | None]
    vetoes: tuple[str, ...]
    right: bool
    group: str
    """What its luck is shared with: the paper."""

    def as_row(self) -> dict[str, Any]:
        """The draft as a line of JSON; there `vetoes` are called `gates`, as in the files of earlier versions."""
        return {"gates" if name == "vetoes" else name: value for name, value in asdict(self).items()}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The draft from its line (`as_row`)."""
        return cls(row["signals"], tuple(row["gates"]), row["right"], row["group"])


def is_right(text: str, golds: Sequence[str]) -> bool:
    """Whether a draft reaches `RIGHT_AT` against any answer; never where no annotator found one in the paper."""
    return (answer_f1(text, [gold for gold in golds if gold != UNANSWERABLE]) or 0.0) >= RIGHT_AT


def fit(rows: Sequence[Labelled], features: Sequence[str]) -> Weights:
    """The weights of a logistic regression with an L2 penalty on all but the intercept, by Newton's method.

    Signals are standardised first; unknown ones are taken for the mean.
    """
    x = np.array([[_value(row.signals.get(name)) for name in features] for row in rows], dtype=np.float64)
    x = x.reshape(len(rows), len(features))  # where there are no rows as well
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
    penalty[0] = 1e-6  # where all are wrong there is no finite intercept
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
    """Each row's probability by weights that have seen no row of its group, in `FOLDS` folds."""
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
    """What the drafts teach: both sets of weights, the ceiling for drafts with a veto, and the threshold for `auto`.

    Args:
        rows: labelled drafts of one model.
        model: as its server reports it.
        data: what they were asked, for the record.
        date: of today, for the record.
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
    """Where to draw the line in `auto`, and how it was drawn, one sentence.

    The lowest probability from which on the drafts are right at least `WANTED` of the time, by a one-sided 95 % bound
    (Clopper and Pearson 1934), looking from the surest on and stopping at the first failure, which keeps the bound's
    promise. Where no such set exists, the surest `KEPT` of all drafts are kept.

    Args:
        passed: (held-out probability, right) of the drafts without a veto.
        of: all drafts.
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
    """The one-sided 95 % lower bound of a share of which `right` of n cases were seen (Clopper and Pearson 1934)."""
    if not right:
        return 0.0
    low, high = 0.0, right / n
    for _ in range(40):
        middle = (low + high) / 2
        tail = sum(math.comb(n, k) * middle**k * (1 - middle) ** (n - k) for k in range(right, n + 1))
        low, high = (middle, high) if tail < 0.05 else (low, middle)
    return low


def too_few(rows: Sequence[Labelled]) -> str | None:
    """Why so few drafts teach nothing, one sentence; None where they are enough."""
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
    """Write the file as a whole or not at all."""
    write_atomically(path, json.dumps(calibration.as_row(), indent=1, ensure_ascii=False) + "\n")


def _value(value: float | None) -> float:
    return np.nan if value is None else value


def _rounded(probability: float) -> float:
    """A little below, so that the draft itself stays above."""
    return math.floor(probability * 1e6) / 1e6


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)
