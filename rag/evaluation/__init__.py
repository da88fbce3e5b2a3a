"""How good it is: a question set in, a run of it out, and the report that says what the figures are worth."""

from rag.evaluation.calibrate import calibrated
from rag.evaluation.cases import Case, QuestionSet, Result, Run
from rag.evaluation.report import Report
from rag.evaluation.run import evaluate

__all__ = [
    "Case",
    "QuestionSet",
    "Report",
    "Result",
    "Run",
    "calibrated",
    "evaluate",
]
