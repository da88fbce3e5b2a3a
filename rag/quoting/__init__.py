"""Answers in the papers' own words: takes readings and passages, returns a quoted answer or keeps the draft."""

from rag.quoting.compose import Composer
from rag.quoting.extract import Extract

__all__ = [
    "Composer",
    "Extract",
]
