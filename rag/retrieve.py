"""Dense and lexical search, fused; the passages for one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.answer import Passage
from rag.citations import split_sentences
from rag.words import content_words, query_words, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest import Embedder, Library
    from ingest.embed import Vectors
    from rag.terms import Terms

CANDIDATES = 100
"""How many chunks each search contributes to the fusion."""

DENSE_WEIGHT = 0.45
"""Share of the dense score in the fused score: the best of our trials on COVID-QA (MRR .605, rank fusion .518)."""

MIN_SENTENCE = 25
"""Characters; shorter pieces are headings, labels and remains of formulas."""

WORDS_WEIGHT = 0.5
"""Weight of the share of the question's words in a sentence, beside its cosine of at most 1."""

FLOOR = 0.25
"""Below this cosine a chunk that shares no word with the question says nothing about it (all-MiniLM-L6-v2)."""


def match_expression(question: str, extra: Sequence[str] = ()) -> str:
    """The question as an FTS5 query: its words, quoted, any of them; "" where it has none.

    Args:
        question: in the user's words.
        extra: words and phrases that are searched for too; a phrase counts where its words stand side by side.
    """
    phrases = (" ".join(words_of(phrase)) for phrase in extra)
    return " OR ".join(f'"{term}"' for term in dict.fromkeys((*query_words(question), *phrases)) if term)


def fuse(dense: Mapping[str, float], lexical: Mapping[str, float]) -> list[tuple[str, float]]:
    """All ids with their fused score, best first: a convex sum of the min-max scaled scores.

    Args:
        dense: a cosine for every candidate.
        lexical: BM25 scores; a candidate that is missing has 0, the score of sharing no word.
    """
    d = _scaled(dense, low=min(dense.values(), default=0.0))
    w = _scaled(lexical, low=0.0)
    scores = {name: DENSE_WEIGHT * d[name] + (1 - DENSE_WEIGHT) * w.get(name, 0.0) for name in d}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _scaled(scores: Mapping[str, float], *, low: float) -> dict[str, float]:
    width = max(scores.values(), default=0.0) - low
    return {name: (score - low) / width if width > 0 else 1.0 for name, score in scores.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one search."""

    passages: tuple[Passage, ...]
    on_topic: bool
    """Whether anything was found that bears on the question; if not, the passages are only the closest there are."""


class Retriever:
    """Finds passages in one library."""

    def __init__(self, library: Library, embedder: Embedder, *, terms: Terms | None = None) -> None:
        self._library = library
        self._embedder = embedder
        self._terms = terms

    def embed(self, question: str) -> Vectors:
        """The question's vector, shape (dimension,)."""
        return self._embedder.embed_query(question)

    def search(self, question: str, vector: Vectors, *, k: int, paper_ids: Sequence[str] | None = None) -> Found:
        """The k best passages, best first, numbered from 1.

        Args:
            question: for the lexical search.
            vector: its embedding, for the dense search.
            k: how many at most.
            paper_ids: search these papers only.

        Raises:
            LibraryMismatchError: the library was built with another embedder.
            GlossaryError: the glossary cannot be read.
        """
        self._library.check_embedder(self._embedder.name)
        among = None if paper_ids is None else self._library.chunk_ids(paper_ids)
        dense = dict(self._library.vectors.search(vector, CANDIDATES, among=among))
        match = match_expression(question, self._terms.expand(question, paper_ids).words if self._terms else ())
        lexical = dict(self._library.search_words(match, CANDIDATES, paper_ids=paper_ids)) if match else {}
        cosines = dense | self._cosines([name for name in lexical if name not in dense], vector)
        chunks = self._library.chunks(cosines)
        papers = {paper.id: paper for paper in self._library.papers()}
        ranked = [(name, score) for name, score in fuse(cosines, lexical) if name in chunks]
        passages = tuple(
            Passage(
                marker=marker,
                chunk=chunks[name],
                paper=papers[chunks[name].paper_id],
                score=score,
                sources=tuple(s for s, hits in (("dense", dense), ("lexical", lexical)) if name in hits),
            )
            for marker, (name, score) in enumerate(ranked[:k], start=1)
        )
        best = max((cosines[passage.chunk.id] for passage in passages), default=0.0)
        return Found(passages, on_topic=best >= FLOOR)

    def sentences(self, question: str, vector: Vectors, passages: Sequence[Passage], *, n: int) -> list[str]:
        """The n sentences of the passages that bear most on the question, best first: by cosine and shared words."""
        found = [(p, s) for p in passages for s in split_sentences(p.chunk.text) if len(s) >= MIN_SENTENCE]
        if not found:
            return [p.chunk.text for p in passages[:n]]
        cosines = self._embedder.embed_documents([sentence for _, sentence in found]) @ vector
        asked = content_words(question)
        scores = [
            float(cosine) + WORDS_WEIGHT * len(asked & content_words(s)) / max(1, len(asked)) - 0.02 * p.marker
            for cosine, (p, s) in zip(cosines, found, strict=True)
        ]
        order = sorted(range(len(found)), key=lambda i: -scores[i])
        return [found[i][1] for i in order[:n]]

    def _cosines(self, ids: Sequence[str], vector: Vectors) -> dict[str, float]:
        return {name: float(row @ vector) for name, row in self._library.vectors_of(ids).items()}
