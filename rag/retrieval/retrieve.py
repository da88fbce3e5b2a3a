"""Dense and lexical search combined: the passages for one question."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ingest import UserFacingError
from ingest.vectors import EXACT, nearest_inside
from rag.answer import Passage
from rag.retrieval.definitions import definition_in, term_asked
from rag.retrieval.ranker import ranker_for
from rag.retrieval.typos import unknown_words
from rag.words import content_words, query_words, split_sentences, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ingest import Embedder, Library
    from ingest.embed import Vectors
    from rag.reading.reader import Reader
    from rag.reading.readings import Reading
    from rag.retrieval.terms import Terms

_log = logging.getLogger(__name__)

CANDIDATES = 100
"""Chunks taken from each search."""

HAVING = 60
"""Passages with a term among which its definition is looked for."""

READ = 24
"""Candidates read by the reader."""

MOST_OF_ONE_PAPER = 3
"""Passages shown per paper when several papers are searched, as long as other papers have candidates."""

SAME = 0.97
"""Passages with at least this cosine are duplicates (a preprint and its article, a repeated paragraph): show one."""

MIN_SENTENCE = 25
"""Characters; shorter pieces are headings, labels and fragments of formulas."""

WORDS_WEIGHT = 0.5
"""Weight of the share of the question's words in a sentence, relative to its cosine (at most 1)."""

FLOOR_AT_ONE, FLOOR_PER_TENFOLD = 0.08, 0.09
"""Minimum cosine of the best chunk for a question to be on topic:

    floor = FLOOR_AT_ONE + FLOOR_PER_TENFOLD·log10(chunks)

It grows with the number of chunks, because the best of many unrelated chunks is closer than the best of few. One in
twenty answerable questions of QASPER train is below it (`bench/floor.py`).
"""

RELEVANT = 6.5
"""The relevance of a passage from which a question is on topic whatever its cosine: a short one, "what is the positive
control", is far from every passage. With reader@6dfe70fb, three quarters of the 298 questions of
`bench/calibrate_reader.py` that no paper answers stay below 6.39; another reader needs another figure."""


def match_expression(question: str, extra: Sequence[str] = ()) -> str:
    """The question as an FTS5 query: its words quoted and joined by OR; "" if it has none.

    Args:
        question: in the user's words.
        extra: further words and phrases to search for; a phrase matches only adjacent words.
    """
    phrases = (" ".join(words_of(phrase)) for phrase in extra)
    return " OR ".join(f'"{term}"' for term in dict.fromkeys((*query_words(question), *phrases)) if term)


def floor(n_chunks: int) -> float:
    """The cosine that the best of this many chunks must reach for the question to be on topic."""
    return FLOOR_AT_ONE + FLOOR_PER_TENFOLD * math.log10(max(1, n_chunks))


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one search."""

    passages: tuple[Passage, ...]
    on_topic: bool
    """Whether anything relevant was found; if not, the passages are merely the closest ones."""
    readings: tuple[Reading, ...] = ()
    """One reading for each of the first passages that the reader read; empty if it read none."""
    reading_seconds: float | None = None
    """Time the reader took; None if it read none."""


class Retriever:
    """Finds passages in one library."""

    def __init__(
        self, library: Library, embedder: Embedder, *, terms: Terms | None = None, reader: Reader | None = None
    ) -> None:
        self._library = library
        self._embedder = embedder
        self._terms = terms
        self._reader = reader

    def embed(self, question: str) -> Vectors:
        """The question's vector, shape (dimension,)."""
        return self._embedder.embed_query(question)

    def warm_up(self) -> None:
        """Load the embedder and the reader, so that the first question does not wait for them."""
        self.embed("warm up")
        self._readings("warm up", ["warm up"])

    def search(
        self,
        question: str,
        vector: Vectors,
        *,
        k: int,
        paper_ids: Sequence[str] | None = None,
        within: Collection[str] | None = None,
        read: bool = False,
        tell: Callable[[tuple[Passage, ...]], None] | None = None,
    ) -> Found:
        """The k best passages, best first, numbered from 1.

        Args:
            question: for the lexical search.
            vector: its embedding, for the dense search.
            k: maximum number of passages.
            paper_ids: search only these papers.
            within: ids of chunks of these papers; nothing else is found.
            read: have the reader, if there is one, re-rank the first `READ`.
            tell: called with the k best as the search ranks them, before the reader reads.

        Raises:
            LibraryMismatchError: the library was built with another embedder.
            GlossaryError: the glossary cannot be read.
        """
        self._library.check_embedder(self._embedder.name)
        ranker = ranker_for(self._embedder.name)
        wanted = None if within is None else set(within)
        mapped = ranker.mapped(vector)
        near, n_searched = self._nearest(mapped / np.linalg.norm(mapped), paper_ids, wanted)
        dense = dict(near)
        match = match_expression(question, self._terms.expand(question, paper_ids).words if self._terms else ())
        by_words = match and not self._library.is_everywhere(match, paper_ids=paper_ids)
        lexical = dict(self._library.search_words(match, CANDIDATES, paper_ids=paper_ids)) if by_words else {}
        if wanted is not None:
            lexical = {name: score for name, score in lexical.items() if name in wanted}
        best = self._library.highest_score(match_expression(question), paper_ids=paper_ids) or 1.0
        chunks = self._library.chunks({*dense, *lexical})
        rows = self._library.vectors_of(list(chunks))
        names = [name for name in chunks if name in rows]  # another thread may have removed a paper in the meantime
        if not names:
            return Found((), on_topic=False)
        vectors = np.stack([rows[name] for name in names])
        scores = ranker.scores(
            vector,
            vectors,
            words=[lexical.get(name, 0.0) / best for name in names],
            texts=[chunks[name].text for name in names],
            sections=[chunks[name].section for name in names],
        )
        order = sorted(range(len(names)), key=lambda i: (-scores[i], names[i]))
        one_paper = paper_ids is not None and len(set(paper_ids)) == 1

        def best_of(order: Sequence[int], read_by_reader: Collection[int] = ()) -> tuple[Passage, ...]:
            chosen = _varied(
                [chunks[names[i]].paper_id for i in order], vectors[order], k=k, per_paper=k if one_paper else None
            )
            shown = {chunks[names[order[j]]].paper_id for j in chosen}
            papers = {paper.id: paper for paper in self._library.papers(shown)}
            return tuple(
                Passage(
                    marker=marker,
                    chunk=chunks[names[i]],
                    paper=papers[chunks[names[i]].paper_id],
                    score=float(scores[i]),
                    sources=(
                        *(s for s, hits in (("dense", dense), ("lexical", lexical)) if names[i] in hits),
                        *(["reader"] if i in read_by_reader else []),
                    ),
                )
                for marker, i in enumerate((order[j] for j in chosen), start=1)
                if chunks[names[i]].paper_id in papers
            )

        if tell and read and self._reader:
            tell(best_of(order))
        began = time.monotonic()
        readings = self._readings(question, [chunks[names[i]].text for i in order[:READ]]) if read else ()
        reading_seconds = time.monotonic() - began if readings else None
        of_chunk = dict(zip(order, readings, strict=False))
        if self._reader and of_chunk:
            odds = np.clip(scores, 1e-6, 1 - 1e-6)
            odds = self._reader.calibration.search * np.log(odds / (1 - odds))
            order[:READ] = sorted(of_chunk, key=lambda i: -(of_chunk[i].relevance + float(odds[i])))
        passages = best_of(order, of_chunk)
        on_topic = bool((vectors @ vector).max() >= floor(n_searched))
        by_name = {names[i]: reading for i, reading in of_chunk.items()}
        kept = tuple(by_name[p.chunk.id] for p in passages if p.chunk.id in by_name)
        on_topic |= any(reading.relevance >= RELEVANT for reading in kept)
        return Found(passages, on_topic, kept, reading_seconds)

    def _nearest(
        self, vector: Vectors, paper_ids: Sequence[str] | None, wanted: set[str] | None
    ) -> tuple[list[tuple[str, float]], int]:
        """The nearest chunks by meaning, and how many were searched.

        Of a large scope, the ids of its chunks are not even read: more of all are asked for, and a chunk's id names
        its paper.
        """
        index, total = self._library.vectors, self._library.n_chunks()
        if paper_ids is None and wanted is None:
            return index.search(vector, CANDIDATES), total
        if wanted is None and paper_ids is not None:
            n = self._library.n_chunks_of(paper_ids)
            if n > EXACT:
                papers = set(paper_ids)
                found = nearest_inside(
                    index, vector, CANDIDATES, share=n / total, inside=lambda name: name.partition(":")[0] in papers
                )
                if found:
                    return found, n
        among = self._library.chunk_ids(paper_ids)
        if wanted is not None:
            among = [name for name in among if name in wanted]
        return index.search(vector, CANDIDATES, among=among), len(among)

    def lacks_word(self, question: str) -> bool:
        """Whether no paper of the library has one of the question's words."""
        return bool(unknown_words(question, stands=lambda word: bool(self._library.search_words(f'"{word}"', 1))))

    def defining(self, found: Found, question: str, *, paper_ids: Sequence[str] | None) -> Found:
        """What was found, with the passage that defines the term asked for, if none of those found does."""
        if (term := term_asked(question)) is None or not 0 < len(found.readings) == len(found.passages):
            return found
        if any(definition_in(passage.chunk.text, term) for passage in found.passages):
            return found
        names = [
            name for name, _ in self._library.search_words(f'"{" ".join(words_of(term))}"', HAVING, paper_ids=paper_ids)
        ]
        told = [
            (defined, chunk)
            for chunk in self._library.chunks(names).values()
            if (defined := definition_in(chunk.text, term))
        ]
        if not told:
            return found
        _, chunk = max(told, key=lambda pair: pair[0])
        papers = self._library.papers([chunk.paper_id])
        readings = self._readings(question, [chunk.text]) if papers else ()
        if not readings:
            return found
        score = min(passage.score for passage in found.passages)  # the search ranked it below them
        passage = Passage(len(found.passages) + 1, chunk, papers[0], score, ("lexical", "reader"))
        return replace(found, passages=(*found.passages, passage), readings=(*found.readings, *readings))

    def _readings(self, question: str, texts: Sequence[str]) -> Sequence[Reading]:
        """The reader's readings; empty if there is no reader or it fails, and then the search's order is kept.

        One question that it fails on costs that question only. A reader that cannot be loaded is not tried again.
        """
        if self._reader is None:
            return ()
        try:
            return self._reader.read(question, texts)
        except Exception as error:  # noqa: BLE001 an optional step: its fault costs this step, not the answer
            _log.exception("The reader failed; the passages stay as the search ranks them")
            if isinstance(error, UserFacingError):
                self._reader = None
            return ()

    def sentences(self, question: str, vector: Vectors, passages: Sequence[Passage], *, n: int) -> list[str]:
        """The n sentences of the passages most relevant to the question, best first, by cosine and shared words."""
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


def _varied(papers: Sequence[str], vectors: Vectors, *, k: int, per_paper: int | None) -> list[int]:
    """Indices of the k best, in rank order, without near-duplicates and not too many from one paper.

    If there are too few, candidates beyond `per_paper` are added, and duplicates last.
    """
    most = per_paper or max(MOST_OF_ONE_PAPER, -(-k // 2))
    chosen: list[int] = []
    crowded: list[int] = []
    repeated: list[int] = []
    for i, paper in enumerate(papers):
        if len(chosen) == k:
            break
        if chosen and (vectors[chosen] @ vectors[i]).max() > SAME:
            repeated.append(i)
        elif sum(papers[j] == paper for j in chosen) >= most:
            crowded.append(i)
        else:
            chosen.append(i)
    return sorted((chosen + crowded + repeated)[:k])
