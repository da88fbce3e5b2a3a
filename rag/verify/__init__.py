"""Takes a text and its passages; returns citations, the support of each sentence and the confidence."""

from rag.verify.attempts import Attempt, not_worse
from rag.verify.calibration import calibration_for
from rag.verify.citations import Cited, cite
from rag.verify.confidence import Calibration, score
from rag.verify.support import judge

__all__ = [
    "Attempt",
    "Calibration",
    "Cited",
    "calibration_for",
    "cite",
    "judge",
    "not_worse",
    "score",
]
