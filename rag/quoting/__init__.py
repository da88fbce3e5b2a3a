"""Answers in the papers' own words: readings and passages in, quoted answers out, chosen or the draft left to stand."""

from rag.quoting.compose import Composer
from rag.quoting.extract import Extract

__all__ = [
    "Composer",
    "Extract",
]
