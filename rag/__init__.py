"""Question → passages → draft → answer that can be checked. Asynchronous. Reads the library, never writes papers."""

from rag.answer import (
    Answer,
    Answered,
    Citation,
    Draft,
    Drafted,
    Escalated,
    Event,
    Passage,
    Queued,
    Retrieved,
    Searched,
    TextDelta,
)
from rag.assistant import Assistant
from rag.papers.papers import Papers
from rag.settings import RagSettings

__all__ = [
    "Answer",
    "Answered",
    "Assistant",
    "Citation",
    "Draft",
    "Drafted",
    "Escalated",
    "Event",
    "Papers",
    "Passage",
    "Queued",
    "RagSettings",
    "Retrieved",
    "Searched",
    "TextDelta",
]
