"""Relevance of a passage to a question: one score in [0, 1] that is comparable across libraries.

The score is a logistic function of a weighted sum: cosine similarity, the share of the best possible BM25 score, the
passage's length, and its kind of section. For the embedded model's vectors, a low-rank map learned from questions and
their evidence is added to the similarity. It costs one product with the question's vector.
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
    """A linear relevance model with a logistic function that turns its sum into a probability."""

    weights: Vectors
    """One weight per feature."""
    down: Vectors
    """Shape (rank, dimension): applied to the question's vector."""
    up: Vectors
    """Shape (rank, dimension): applied to the passage's vector. Rank 0 if nothing was learned for the embedder."""
    slope: float
    offset: float

    def mapped(self, vector: Vectors) -> Vectors:
        """The vector, shape (dimension,), whose product with a passage's vector is the similarity part of the sum."""
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
        """The probability that each passage contains evidence, if half of all passages did; shape (n,).

        Args:
            vector: the question's vector, shape (dimension,).
            vectors: the passages' vectors, shape (n, dimension).
            words: each passage's share of the best possible BM25 score, in [0, 1].
            texts: the passages.
            sections: the passages' headings.
        """
        rest = np.array([features(*row) for row in zip(words, texts, sections, strict=True)], dtype=np.float32)
        sums = vectors @ self.mapped(vector) + rest.reshape(len(texts), -1) @ self.weights[1:]
        scores: Vectors = (1 / (1 + np.exp(-(self.slope * sums + self.offset)))).astype(np.float32)
        return scores


def features(words: float, text: str, section: str | None) -> tuple[float, ...]:
    """All FEATURES except the first."""
    kinds = (float(bool(section and pattern.search(section))) for pattern in (_RELATED, _CLOSING, _APPENDIX))
    return (words, math.log1p(len(text.split())), *kinds)


PLAIN = Ranker(
    weights=np.array([0.45, 0.55, 0, 0, 0, 0], dtype=np.float32),
    down=np.zeros((0, 0), dtype=np.float32),
    up=np.zeros((0, 0), dtype=np.float32),
    slope=8.0,
    offset=-3.5,
)
"""For embedders without trained weights: a convex combination of the two searches. Its scores are not calibrated."""


@cache
def ranker_for(embedder: str) -> Ranker:
    """The ranker trained for this embedder (identified by its name with a digest of its weights), else PLAIN."""
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
