"""Text and passages in; out come its citations, what each sentence has for it, and how sure one may be of it all."""

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
