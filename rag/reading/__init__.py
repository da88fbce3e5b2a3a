"""The reader: takes a question and passages, returns the words that answer, their probability and the answer's kind."""

from rag.reading.calibration import ReaderCalibration
from rag.reading.reader import Reader, trained_reader
from rag.reading.readings import Reading, Span

__all__ = [
    "Reader",
    "ReaderCalibration",
    "Reading",
    "Span",
    "trained_reader",
]
