"""Choose the calibration for a model: the user's own or the shipped one."""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path
from typing import Final

from rag.verify.confidence import Calibration

_log = logging.getLogger(__name__)

FILE: Final = "confidence.json"
"""Name of the shipped file beside this module, and of the user's own in a library's folder."""


@cache
def shipped() -> Calibration:
    """The calibration of the embedded model."""
    return Calibration.from_row(json.loads(Path(__file__).with_name(FILE).read_text(encoding="utf-8")))


def calibration_for(model: str, *, library: Path) -> Calibration:
    """The user's own calibration if it is usable and belongs to this model, else the shipped one.

    An unusable file does not prevent an answer: it is logged once, and again whenever the file changes.

    Args:
        model: the model's name as its server reports it.
        library: the library's folder.
    """
    path = library / FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return shipped()
    except OSError as error:
        raw, own = str(error).encode(), None
    else:
        own = _usable(raw)
    if own is None:
        _tell_once(path, raw)
    return own if own and own.model == model else shipped()


def _usable(raw: bytes) -> Calibration | None:
    """The calibration in a file; None if the file is damaged or its numbers do not give probabilities."""
    try:
        own = Calibration.from_row(json.loads(raw))
        sets = (own.with_logprobs, own.without_logprobs)
        likely = [weights.probability(dict.fromkeys(weights.features, 1.0)) for weights in sets]
        figures = [*likely, own.vetoed + 0.0, own.threshold + 0.0]
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
    return own if isinstance(own.model, str) and all(0 <= figure <= 1 for figure in figures) else None


@cache
def _tell_once(path: Path, _content: bytes) -> None:
    _log.warning(
        "%s is damaged, so Scholion uses its built-in weights. "
        "Remove the file, or run `python -m rag calibrate` again.",
        path,
    )
