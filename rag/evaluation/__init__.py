"""Evaluation: takes a question set, runs it, and reports the results with their uncertainty."""

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
