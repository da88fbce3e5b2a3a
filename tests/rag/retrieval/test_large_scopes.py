"""Half of a large library is searched as all of it is: no paper is read for it, and no chunk looked up for its scope.

What is counted is the work of SQLite, in steps of its virtual machine, and the papers that are read: neither depends on
how busy the machine is.
"""

from __future__ import annotations

import numpy as np
import pytest

from big_library import ABOUT, QUESTION, TOPIC, fill
from fake_embedder import HashEmbedder
from ingest import IngestSettings, open_library
from ingest.tags import Tags
from rag import Assistant, RagSettings
from rag.answer import Scope
from rag.catalogue.catalogue import Catalogue
from rag.retrieval.retrieve import Retriever
from rag.retrieval.terms import Terms

PAPERS = 160
"""Of ten chunks each; half of them has more than are searched one by one."""


@pytest.fixture(autouse=True)
def _what_is_large(monkeypatch):
    monkeypatch.setattr("ingest.word_index.ENOUGH", 500)
    monkeypatch.setattr("rag.retrieval.retrieve.EXACT", 500)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    with open_library(IngestSettings(library=tmp_path_factory.mktemp("large"))) as library:
        ids = fill(library, HashEmbedder(), papers=PAPERS)
        library.tag(ids[::2], "half")
        yield library


@pytest.fixture
def read(monkeypatch):
    """The ids of the papers that are read from the tables."""
    from ingest import kept, library, overview

    seen = []

    def as_paper(row):
        seen.append(row[0])
        return overview.as_paper(row)

    monkeypatch.setattr(library, "as_paper", as_paper)
    monkeypatch.setattr(kept, "as_paper", as_paper)
    return seen


def steps(library, work) -> int:
    """Steps that SQLite takes for this, in hundreds."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    library._db.set_progress_handler(count, 100)
    try:
        work()
    finally:
        library._db.set_progress_handler(None, 0)
    return counted


def search(library, paper_ids=None):
    embedder = HashEmbedder()
    found = Retriever(library, embedder).search(QUESTION, embedder.embed_query(QUESTION), k=6, paper_ids=paper_ids)
    return [(p.chunk.id, p.score, p.sources) for p in found.passages]


def test_half_of_the_papers_take_as_many_steps_as_all(large, read) -> None:
    ids = [paper.id for paper in large.tagged("half")]
    assert len(ids) == PAPERS // 2
    search(large), search(large, ids)
    whole, scoped = steps(large, lambda: search(large)), steps(large, lambda: search(large, ids))
    named = steps(large, lambda: large.chunk_ids(ids))
    assert whole > 0
    assert scoped <= 1.5 * whole, f"{scoped} for half, {whole} for all, {named} only to name the chunks of half"
    read.clear()
    search(large, ids)
    assert len(read) <= 6, "only those that are shown"


def test_a_scope_finds_the_same_as_if_its_chunks_were_named(large, monkeypatch) -> None:
    ids = [paper.id for paper in large.tagged("half")]
    quick = search(large, ids)
    assert {name.partition(":")[0] for name, *_ in quick} <= set(ids)
    words = large.search_words('"barrel" OR "kept" OR "days"', 100, paper_ids=ids)
    monkeypatch.setattr("ingest.vectors.DEEPEST", 0)
    index = large._words
    assert index._best_in(index._pruned('"barrel" OR "kept" OR "days"'), 100, ids) == words
    assert search(large, ids) == quick


def test_chunks_of_papers_that_were_stored_in_pieces_are_found(large) -> None:
    kept = large._kept
    every = np.array([row for (row,) in large._db.execute("SELECT row FROM chunks ORDER BY row")])
    paper = f"{7:016x}"
    mine = np.isin(every, [row for (row,) in large._db.execute("SELECT row FROM chunks WHERE paper_id = ?", (paper,))])
    with large._db as db:
        db.execute("UPDATE chunks SET paper_id = ? WHERE row IN (3, 900)", (paper,))
        try:
            assert list(every[kept.within([paper], every)]) == sorted([3, 900, *every[mine]])
            assert not kept.within(["unknown"], every).any()
            assert kept.within([f"{n:016x}" for n in range(PAPERS)], every).all()
            assert list(kept.within([paper], np.array([0, -5, 10**9]))) == [False] * 3
        finally:
            db.rollback()
    assert (kept.within([paper], every) == mine).all()
    assert len(kept.within([paper], np.array([], dtype=np.int64))) == 0


def test_a_scope_with_few_matches_is_searched_to_its_end(large) -> None:
    ids = [f"{n:016x}" for n in range(50, PAPERS)]  # none of which mentions the topic
    assert large.search_words('"zymurgy"', 100, paper_ids=ids) == []
    some = large.search_words('"zymurgy"', 100, paper_ids=[f"{n:016x}" for n in range(9, PAPERS)])
    assert {name.partition(":")[0] for name, _ in some} == {f"{9:016x}"}


def test_a_word_that_is_everywhere_is_left_to_meaning_but_counted_and_not_rare(large, monkeypatch) -> None:
    embedder, ids = HashEmbedder(), [f"{n:016x}" for n in range(PAPERS)]
    retriever, question = Retriever(large, embedder), f"What is {TOPIC}?"
    for everywhere in (False, True):
        if everywhere:
            for name, value in {"MANY": 10, "RANKED": 5, "ENOUGH_OF_MANY": 1}.items():
                monkeypatch.setattr(f"ingest.word_index.{name}", value)
        for scope in (None, ids):
            found = retriever.search(question, embedder.embed_query(question), k=6, paper_ids=scope).passages
            assert any("lexical" in passage.sources for passage in found) is not everywhere
        said = Catalogue(large).answer(
            f"Which papers mention “{TOPIC}”?", scope=Scope(tuple(large.papers()), whole=True)
        )
        assert len({citation.marker for citation in said.citations}) == ABOUT, said.text
        assert not Terms(large)._is_rare(TOPIC, None)


def test_a_second_question_reads_no_paper_whatever_it_asks(large, read) -> None:
    assistant = Assistant(library=large, embedder=HashEmbedder(), settings=RagSettings(), drafter=None)
    ids = [paper.id for paper in large.papers()][: PAPERS // 2]
    terms = Terms(large)
    for _ in range(2):
        read.clear()
        assert len(assistant._scope(None, None).papers) == PAPERS
        assert len(assistant._scope(None, "half").papers) == PAPERS // 2
        assert len(assistant._scope(ids, None).papers) == PAPERS // 2
        assert len(assistant._scope(ids, "half").papers) == PAPERS // 4
        assert terms.index(ids) is terms.index(list(ids))
    assert read == []


def test_the_tags_of_a_library_are_listed_without_reading_a_papers_row(large) -> None:
    plan = []
    for statement in ("names", "all"):
        seen = []
        large._db.set_trace_callback(seen.append)
        getattr(Tags(lambda: large._db), statement)()
        large._db.set_trace_callback(None)
        (query,) = seen
        plan += [row[3] for row in large._db.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plan
    assert not [line for line in plan if "papers" in line and "INDEX" not in line], plan
