"""What the reader's scores mean, measured on questions it was not trained on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rag.weights import Weights

CALIBRATION: Final = Path(__file__).with_name("reader.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderCalibration:
    """Written by `bench/calibrate_reader.py`."""

    reader: str
    """The reader's name with a digest of its weights."""
    data: str
    """The questions used; the reader was trained on none of their papers."""
    date: str
    n: int
    """Number of answers; `n_right` of them were right."""
    n_right: int
    search: float
    """Weight of the search's log odds, added to the reader's relevance when passages are ordered."""
    there: Weights
    """Over `Extract.features`: gives the probability that the passages answer the question at all."""
    floor: float
    """If the probability from `there` is below this, the answer is said not to be in the papers."""
    floor_yes_no: float
    """The same for a question that asks for yes or no, whose passages say less plainly that they answer."""
    check: float
    """If the probability from `weights` is below this, the user is asked to check the answer."""
    weights: Weights
    """Over `Extract.features`: gives the probability that the extract is right."""


def calibration_of(path: Path = CALIBRATION) -> ReaderCalibration:
    """Load the calibration from a file."""
    row = json.loads(path.read_text(encoding="utf-8"))
    for name in ("weights", "there"):
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row[name].items()}
        row[name] = Weights(**fields)
    return ReaderCalibration(**row)
