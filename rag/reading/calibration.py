"""What the reader's figures have meant on questions that it was not trained on."""

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
    """Its name with the digest of its weights."""
    data: str
    """The questions, none of whose papers it was trained on."""
    date: str
    n: int
    """Its answers, and how many of them were right."""
    n_right: int
    search: float
    """The weight of the search's log odds beside the reader's relevance, where passages are put in order."""
    there: Weights
    """Of `Extract.features`: how likely it is that the passages answer the question at all."""
    floor: float
    """The probability of that below which the answer is said not to be in the papers."""
    check: float
    """The probability below which the user is asked to check the answer."""
    weights: Weights
    """Of `Extract.features`: how likely an answer with them is right."""


def calibration_of(path: Path = CALIBRATION) -> ReaderCalibration:
    """The calibration in a file."""
    row = json.loads(path.read_text(encoding="utf-8"))
    for name in ("weights", "there"):
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row[name].items()}
        row[name] = Weights(**fields)
    return ReaderCalibration(**row)
