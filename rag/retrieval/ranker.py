"""How far a passage bears on a question: one score in [0, 1] that means the same in every library.

A sum of what is known of a pair: how alike the vectors are, how much of the best possible BM25 score the passage has,
how long it is, and what kind of section it stands in. On the vectors of the embedded model a map of low rank, learned
from questions and their evidence, is added to the likeness: it costs one product with the question's vector.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.embed import Vectors

FEATURES = ("likeness", "words", "length", "related", "closing", "appendix")
"""Cosine; share of the best possible BM25 score; ln(1 + words); three kinds of sections as 0 or 1."""

_RELATED = re.compile(r"related|background|previous work|prior work|literature", re.IGNORECASE)
_CLOSING = re.compile(r"conclu|discussion|future work|summary|limitation", re.IGNORECASE)
_APPENDIX = re.compile(r"acknowledg|appendi|supplement|funding|contributions|competing|conflict", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ranker:
    """A linear model of relevance, and a logistic curve that turns its sum into a probability."""

    weights: Vectors
    """One for each of FEATURES."""
    down: Vectors
    """Shape (rank, dimension): of the question's vector."""
    up: Vectors
    """Shape (rank, dimension): of the passage's. Rank 0 where nothing was learned for an embedder."""
    slope: float
    offset: float

    def mapped(self, vector: Vectors) -> Vectors:
        """The vector, shape (dimension,), whose product with a passage's is all that its likeness adds to the sum."""
        result: Vectors = self.weights[0] * vector
        if len(self.down):
            result = result + self.up.T @ (self.down @ vector)
        return result.astype(np.float32)

    def scores(
        self,
        vector: Vectors,
        vectors: Vectors,
        *,
        words: Sequence[float],
        texts: Sequence[str],
        sections: Sequence[str | None],
    ) -> Vectors:
        """The probability that each passage holds evidence, were one passage in two evidence, shape (n,).

        Args:
            vector: the question's, shape (dimension,).
            vectors: the passages', shape (n, dimension).
            words: each passage's part of the best possible BM25 score, 0 to 1.
            texts: the passages.
            sections: the headings that they stand under.
        """
        rest = np.array([features(*row) for row in zip(words, texts, sections, strict=True)], dtype=np.float32)
        sums = vectors @ self.mapped(vector) + rest.reshape(len(texts), -1) @ self.weights[1:]
        scores: Vectors = (1 / (1 + np.exp(-(self.slope * sums + self.offset)))).astype(np.float32)
        return scores


def features(words: float, text: str, section: str | None) -> tuple[float, ...]:
    """FEATURES but the first."""
    kinds = (float(bool(section and pattern.search(section))) for pattern in (_RELATED, _CLOSING, _APPENDIX))
    return (words, math.log1p(len(text.split())), *kinds)


PLAIN = Ranker(
    weights=np.array([0.45, 0.55, 0, 0, 0, 0], dtype=np.float32),
    down=np.zeros((0, 0), dtype=np.float32),
    up=np.zeros((0, 0), dtype=np.float32),
    slope=8.0,
    offset=-3.5,
)
"""For embedders that nothing was learned for: a convex sum of the two searches. Its curve is not calibrated."""


@cache
def ranker_for(embedder: str) -> Ranker:
    """The ranker that was trained on this embedder's vectors (its name with the digest of its weights), else PLAIN."""
    with np.load(Path(__file__).with_name("ranker.npz")) as file:
        if str(file["embedder"]) != embedder:
            return PLAIN
        return Ranker(
            weights=file["weights"].astype(np.float32),
            down=file["down"].astype(np.float32),
            up=file["up"].astype(np.float32),
            slope=float(file["slope"]),
            offset=float(file["offset"]),
        )
