"""Question and passages in; out come the words that answer, how likely they do, and of what kind the answer is."""

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
