"""BM25 as in SQLite's FTS5 (Robertson and Zaragoza 2009): what the searches for words share."""

from __future__ import annotations

import math
from typing import Final

K1: Final = 1.2
"""No word can score more than its rarity times K1 + 1."""

B: Final = 0.75
"""How much a long chunk counts less."""


def rarity(n: int, total: int) -> float:
    """The inverse document frequency of a word that is in `n` of `total` chunks."""
    return max(1e-6, math.log((max(0, total - n) + 0.5) / (n + 0.5)))  # another thread may have added the n-th just now
