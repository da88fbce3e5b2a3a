"""The passages for each kind of question, from the searches of `Retriever` and the order of the paper itself."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.answer import Passage
from rag.retrieval.languages import language_of
from rag.retrieval.naming import unquoted_title
from rag.retrieval.questions import CHOOSE_ONE, WHICH_PAPER
from rag.retrieval.retrieve import READ, Found, Retriever
from rag.retrieval.topics import says, topic_of_papers
from rag.retrieval.typos import doubtful, mended, reworded
from rag.words import content_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ingest import Chunk, Library, Paper
    from ingest.embed import Vectors
    from rag.retrieval.questions import Plan

CANDIDATES = 200
"""Passages searched for the best one of each paper."""

MAX_PAPERS = 12
"""Papers listed, at most."""

WHOLE_PAGE = 10
"""Passages for a question about a whole page, at most."""

HALF = 0.5
"""Share of the words of a description that the title and the abstract of its paper have, at least."""

DESCRIBED = 8
"""Passages searched for the paper that a question describes."""

_ABSTRACT = re.compile(r"\W*(?:[\divx]+\W+)?(?:abstract|summary|zusammenfassung)\b", re.IGNORECASE)
_CONCLUSION = re.compile(
    r"\W*(?:[\divx]+\W+)?(?:.*\bconclusions?\b|concluding remarks|discussion|summary and|fazit)", re.IGNORECASE
)
_BACK_MATTER = re.compile(
    r"\W*(?:[a-z\divx]+\W+)?(?:references|bibliography|acknowledg|appendix|appendices|supplement|funding|conflicts? of"
    r"|competing interests|author contributions|data availability|ethics|abbreviations)",
    re.IGNORECASE,
)


def gather(
    plan: Plan,
    vector: Vectors,
    *,
    retriever: Retriever,
    library: Library,
    k: int,
    tell: Callable[[tuple[Passage, ...]], None] | None = None,
) -> Found:
    """The passages for a question, numbered from 1; the k nearest for a question of fact.

    Args:
        plan: how the question was understood.
        vector: the embedding of `plan.text`.
        retriever: does the searches.
        library: has the papers' passages in text order.
        k: maximum number of passages, but at least one for each paper compared or listed.
        tell: as for `Retriever.search`; called for a question of fact only.
    """
    papers = plan.scope.papers
    if plan.pages is not None:
        return on_pages(plan, plan.pages, vector, retriever=retriever, library=library, k=k)
    match plan.kind:
        case "summary" if papers:
            return _numbered(outline(library, paper, k=max(2, k // len(papers))) for paper in papers)
        case "comparison":
            return _compared(plan, vector, retriever=retriever, library=library, each=max(1, k // len(papers)))
        case "papers":
            return best_of_each(plan, vector, retriever=retriever)
        case _:
            found = retriever.search(plan.text, vector, k=k, paper_ids=plan.scope.paper_ids, read=True, tell=tell)
            return retriever.defining(found, plan.text, paper_ids=plan.scope.paper_ids)


def understood(plan: Plan, *, retriever: Retriever, library: Library) -> Plan:
    """The plan with the paper that it describes, or without typing errors, as far as a search tells them."""
    if topic := plan.sought:
        if paper := paper_about(topic, retriever=retriever, paper_ids=plan.scope.paper_ids):
            return replace(
                plan, scope=plan.scope.narrowed((paper,)), notice=f"Taken to mean “{unquoted_title(paper)}”."
            )
        return replace(plan, unclear=f"{WHICH_PAPER} None of your papers is clearly about “{topic}”. {CHOOSE_ONE}")
    if plan.compared and (compared := _compared_papers(plan, retriever=retriever)):
        return compared
    if plan.unclear or plan.searched or language_of(plan.question):
        return plan
    return _without_errors(plan, retriever=retriever, library=library)


def _without_errors(plan: Plan, *, retriever: Retriever, library: Library) -> Plan:
    def stands(word: str) -> bool:
        return bool(library.search_words(f'"{word}"', 1))  # wherever: another paper may be asked about the same thing

    if not (wrong := doubtful(plan.question, stands=stands)):
        return plan
    found = retriever.search(plan.question, retriever.embed(plan.question), k=READ, paper_ids=plan.scope.paper_ids)
    texts = [text for passage in found.passages for text in (passage.chunk.text, passage.paper.title)]
    if not (read := mended(plan.question, wrong, texts)):
        return plan
    text, words = read
    told = ", ".join(f"{was} → {instead}" for was, instead in words.items())
    notice = f"Not in your papers, so read as the nearest word: {told}."
    asked = {paper_id: reworded(its, words) for paper_id, its in plan.asked.items()}
    return replace(plan, searched=text, asked=asked, notice=" ".join(filter(None, (plan.notice, notice))))


def _compared_papers(plan: Plan, *, retriever: Retriever) -> Plan | None:
    """The comparison of the two papers that the question describes; None if they are not found, or are one."""
    ids = plan.scope.paper_ids
    asked: dict[str, str] = {}
    papers = []
    for told, question in plan.compared:
        paper = paper_about(told, retriever=retriever, paper_ids=ids) if isinstance(told, str) else told
        if paper is None or paper.id in asked:
            return None
        asked[paper.id] = question
        papers.append(paper)
    a, b = papers
    notice = f"Taken to mean “{unquoted_title(a)}” and “{unquoted_title(b)}”."
    return replace(plan, kind="comparison", scope=plan.scope.narrowed((a, b)), asked=asked, notice=notice)


def paper_about(topic: str, *, retriever: Retriever, paper_ids: Sequence[str] | None) -> Paper | None:
    """The paper that words describe: where a search finds them first and often, in its text, title and abstract.

    None if no passage is on the topic, or if title and abstract of the best paper have fewer than half of its words.
    """
    found = retriever.search(topic, retriever.embed(topic), k=DESCRIBED, paper_ids=paper_ids)
    asked, scores = content_words(topic), dict[str, float]()
    papers = {passage.paper.id: passage.paper for passage in found.passages}
    for passage in found.passages:
        scores[passage.paper.id] = scores.get(passage.paper.id, 0.0) + 1 / (1 + passage.marker)
    shares = {
        paper.id: len(asked & content_words(f"{paper.title} {paper.abstract or ''}")) / max(1, len(asked))
        for paper in papers.values()
    }
    best = max(scores, key=lambda name: scores[name] + shares[name], default=None)
    return papers[best] if best and found.on_topic and shares[best] >= HALF else None


def _compared(plan: Plan, vector: Vectors, *, retriever: Retriever, library: Library, each: int) -> Found:
    """As many passages of each paper: those on what is compared, or its outline if the question does not say."""
    papers = plan.scope.papers
    if not plan.topical:
        return _numbered(outline(library, paper, k=each) for paper in papers)
    vectors = {asked: retriever.embed(asked) for asked in set(plan.asked.values())} | {plan.text: vector}
    found = [
        retriever.search(asked, vectors[asked], k=each, paper_ids=[paper.id], read=True)
        for paper in papers
        for asked in [plan.asked.get(paper.id, plan.text)]
    ]
    together = _numbered((f.passages for f in found), on_topic=any(f.on_topic for f in found))
    if any(len(f.readings) != len(f.passages) for f in found):
        return together
    readings = tuple(reading for f in found for reading in f.readings)
    return replace(together, readings=readings, reading_seconds=sum(f.reading_seconds or 0.0 for f in found))


def on_pages(
    plan: Plan,
    pages: Mapping[str, tuple[int, int]],
    vector: Vectors,
    *,
    retriever: Retriever,
    library: Library,
    k: int,
) -> Found:
    """The passages on these pages: all in text order if the whole page is asked for, else the k nearest."""
    chunks = library.chunks(library.chunk_ids(list(pages))).values()
    there = [chunk for chunk in chunks if _overlaps(chunk, *pages[chunk.paper_id])]
    if plan.kind != "summary" and there:
        within = [chunk.id for chunk in there]
        found = retriever.search(plan.text, vector, k=k, paper_ids=list(pages), within=within, read=True)
        return replace(found, on_topic=bool(found.passages))
    each = max(2, max(k, WHOLE_PAGE) // max(1, len(pages)))
    groups = []
    for paper in plan.scope.papers:
        own = sorted((chunk for chunk in there if chunk.paper_id == paper.id), key=lambda chunk: chunk.ordinal)
        groups.append(
            [
                Passage(marker=n, chunk=chunk, paper=paper, score=1 / n, sources=("outline",))
                for n, chunk in enumerate(own[:each], start=1)
            ]
        )
    return _numbered(groups)


def _overlaps(chunk: Chunk, first: int, last: int) -> bool:
    return chunk.first_page <= last and first <= chunk.last_page


def outline(library: Library, paper: Paper, *, k: int) -> tuple[Passage, ...]:
    """An outline of the paper, most important first: abstract, conclusion, the beginning of each section.

    The score is 1 / rank in this order. If k exceeds the number of sections, further passages follow in text order.
    """
    chunks = sorted(library.chunks(library.chunk_ids([paper.id])).values(), key=lambda chunk: chunk.ordinal)
    body = [chunk for chunk in chunks if not _BACK_MATTER.match(chunk.own_section(paper) or "")] or chunks
    heads = [chunk for before, chunk in zip([None, *body], body, strict=False) if _begins(before, chunk)]
    conclusions = [chunk for chunk in heads if chunk.section and _CONCLUSION.match(chunk.section)]
    order = dict.fromkeys(
        chunk.id for chunk in (*_abstract(paper, body), *conclusions[-1:], *heads, *body[:k]) if chunk
    )
    by_id = {chunk.id: chunk for chunk in body}
    return tuple(
        Passage(marker=n, chunk=by_id[name], paper=paper, score=1 / n, sources=("outline",))
        for n, name in enumerate(list(order)[:k], start=1)
    )


def best_of_each(plan: Plan, vector: Vectors, *, retriever: Retriever) -> Found:
    """The best passage of each paper relevant to the question: those with its words first, each best paper first."""
    found = retriever.search(plan.text, vector, k=CANDIDATES, paper_ids=plan.scope.paper_ids)
    topic = topic_of_papers(plan.text)
    having, best = dict[str, Passage](), dict[str, Passage]()
    for passage in found.passages:
        (having if says(passage.chunk.text, topic) else best).setdefault(passage.paper.id, passage)
    best = having | {name: passage for name, passage in best.items() if name not in having}
    kept = []
    for passage in list(best.values())[:MAX_PAPERS]:
        if passage.paper.id in having:
            kept.append(passage)
            continue
        alone = retriever.search(plan.text, vector, k=1, paper_ids=[passage.paper.id])
        if alone.on_topic:
            kept.append(passage)
    if not kept:
        return Found(found.passages[:MAX_PAPERS], on_topic=False)
    return _numbered([kept])


def _numbered(groups: Iterable[Sequence[Passage]], *, on_topic: bool = True) -> Found:
    passages = [passage for group in groups for passage in group]
    return Found(
        tuple(replace(p, marker=n) for n, p in enumerate(passages, start=1)), on_topic=on_topic and bool(passages)
    )


def _abstract(paper: Paper, body: Sequence[Chunk]) -> list[Chunk]:
    """The passages of the abstract, at most two; the first passage if none is recognised as such."""
    marked = [chunk for chunk in body[:6] if chunk.section and _ABSTRACT.match(chunk.section)]
    if not marked and paper.abstract:
        said = " ".join(paper.abstract.split())
        marked = [chunk for chunk in body[:6] if " ".join(chunk.text.split())[:60] in said or said[:60] in chunk.text]
    return (marked or list(body[:1]))[:2]


def _begins(before: Chunk | None, chunk: Chunk) -> bool:
    return before is None or before.section != chunk.section
