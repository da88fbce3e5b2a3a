"""The search for words in Postgres beside SQLite's: the same results? how fast? And how long a move takes.

    python bench/word_search.py [--questions 400] [--file ../shared/data/qasper/dev.json.gz …]

QASPER's papers become a library (with vectors of a hash, which play no part here); then its catalogue is moved to a
Postgres that this script starts, and back: all that a library says of itself must be the same each time. Each question
is searched for in everything and in its own paper, as the product does. Beside both, what Postgres itself offers:
`to_tsvector('english')` ranked by `ts_rank_cd`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
logging.disable(logging.CRITICAL)

from fake_embedder import HashEmbedder  # noqa: E402
from ingest import IngestSettings, Library, open_library  # noqa: E402
from ingest.moving import move  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from rag.answer import Passage  # noqa: E402
from rag.evaluation.corpora import load  # noqa: E402
from rag.evaluation.corpus_library import corpus_library  # noqa: E402
from rag.retrieval.retrieve import CANDIDATES, match_expression  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rag.evaluation.cases import Case, QuestionSet

Hits = list[list[str]]
_ASKED = """
    SELECT string_agg(plainto_tsquery('english', word)::text, ' | ') FROM unnest(?::text[]) AS word
    WHERE plainto_tsquery('english', word)::text <> ''"""
_OWN = """
    SELECT c.id FROM chunks c WHERE c.english @@ ?::text::tsquery SCOPE
    ORDER BY ts_rank_cd(c.english, ?::text::tsquery) DESC, c.row LIMIT ?"""


def ms(seconds: Sequence[float]) -> str:
    """p50 / p95 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    return f"{cuts[9] * 1000:.1f} / {cuts[18] * 1000:.1f} ms"


def timed(search: Callable[[Case], list[str]], cases: Sequence[Case]) -> tuple[Hits, str]:
    """What each question finds, and how long it takes the second time, when the frequencies are known."""
    for case in cases:
        search(case)
    found, seconds = [], []
    for case in cases:
        start = time.perf_counter()
        found.append(search(case))
        seconds.append(time.perf_counter() - start)
    return found, ms(seconds)


def overlap(one: Hits, other: Hits) -> tuple[float, float]:
    """The mean share of the first 20 that both have, and the share of questions with the same 20 in the same order."""
    shares = [
        len({*a[:20]} & {*b[:20]}) / max(1, len({*a[:20]} | {*b[:20]}))
        for a, b in zip(one, other, strict=True)
        if a or b
    ]
    return statistics.mean(shares), statistics.mean(a[:20] == b[:20] for a, b in zip(one, other, strict=True))


def hit(library: Library, cases: Sequence[Case], found: Hits) -> float:
    """The share of questions with a target among the first 5."""
    hits = []
    for case, names in zip(cases, found, strict=True):
        if case.targets:
            chunks = library.chunks(names[:5])
            hits.append(
                any(
                    t.is_in(Passage(1, chunk, library.paper(chunk.paper_id), 0.0, ()))
                    for t in case.targets
                    for chunk in chunks.values()
                )
            )
    return statistics.mean(hits)


def searches(library: Library) -> dict[str, Callable[[Case], list[str]]]:
    """The search for words in everything, and in the question's own paper."""

    def words(case: Case, **scope: Any) -> list[str]:
        match = match_expression(case.question)
        return [name for name, _ in library.search_words(match, CANDIDATES, **scope)] if match else []

    return {"everything": words, "own paper": lambda case: words(case, paper_ids=case.paper_ids)}


def of_postgres(library: Library) -> dict[str, Callable[[Case], list[str]]]:
    """The same by what Postgres offers."""
    db = library._db  # noqa: SLF001
    with db:
        db.execute("UPDATE facts SET value = value")  # begins the transaction
        db.execute("ALTER TABLE chunks ADD COLUMN english tsvector")
        db.execute("UPDATE chunks SET english = setweight(to_tsvector('english', coalesce(section, '')), 'A') || "
                   "to_tsvector('english', text)")  # fmt: skip
        db.execute("CREATE INDEX ON chunks USING gin (english)")

    def words(case: Case, *scope: str) -> list[str]:
        said = [word.strip('"') for word in match_expression(case.question).split(" OR ")]
        if not said[0]:
            return []
        (tsquery,) = db.execute(_ASKED, (said,)).fetchone()
        sql = _OWN.replace("SCOPE", "AND c.paper_id = ?" if scope else "")
        return [row[0] for row in db.execute(sql, (tsquery, *scope, tsquery, CANDIDATES))] if tsquery else []

    return {"everything": words, "own paper": lambda case: words(case, *case.paper_ids)}


def report(
    library: Library, cases: Sequence[Case], by: dict[str, Any], first: dict[str, Hits] | None
) -> dict[str, Hits]:
    """Print one line a scope; `first` is what to compare with."""
    found = {}
    for scope, search in by.items():
        found[scope], took = timed(search, cases)
        line = f"  {scope:10}  hit@5 {hit(library, cases, found[scope]):.3f}  {took}"
        if first:
            shared, same = overlap(first[scope], found[scope])
            line += f"  top 20 shared {shared:.4f}, the same list for {same:.4f} of the questions"
        print(line, flush=True)
    return found


def all_of(sets: Sequence[QuestionSet]) -> QuestionSet:
    """Several files of questions as one; a paper that is in two of them counts once."""
    documents = {document.id: document for one in sets for document in one.documents}
    cases = tuple(case for one in sets for case in one.cases)
    return replace(sets[0], cases=cases, documents=tuple(documents.values()))


def fingerprint(library: Library) -> dict[str, str]:
    """A digest of each thing that a library says of itself."""
    ids = library.chunk_ids()
    chunks, vectors = library.chunks(ids), library.vectors_of(ids)
    said = {
        "papers": [asdict(listed) for listed in library.overview()],
        "pages": {paper.id: [asdict(page) for page in library.pages(paper.id)] for paper in library.papers()},
        "chunks": {name: asdict(chunks[name]) for name in sorted(ids)},
        "vectors": {name: vectors[name].tobytes() for name in sorted(ids)},
        "ledger": sorted(map(repr, library.ledger.entries())),
        "tags": library.tags(),
    }
    return {name: sha256(repr(value).encode()).hexdigest()[:12] for name, value in said.items()}


def same(before: dict[str, str], now: dict[str, str]) -> None:
    """Print whether all is as it was before the first move; end if not."""
    different = [name for name in before if before[name] != now[name]]
    if different:
        raise SystemExit(f"  different: {', '.join(different)}")
    print(f"  equal: {', '.join(f'{name} {digest}' for name, digest in now.items())}", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400)
    dev = ROOT.parent / "shared" / "data" / "qasper" / "dev.json.gz"
    parser.add_argument("--file", type=Path, nargs="+", default=[dev], help="QASPER files, read as one")
    options = parser.parse_args()
    questions = all_of([load(file) for file in options.file])
    cases = [case for case in questions.cases if case.targets]
    cases = random.Random(7).sample(cases, min(options.questions, len(cases)))
    server, folder = PostgresServer(), Path(tempfile.mkdtemp())
    try:
        server.start()
        url = asyncio.run(server.create())
        start = time.perf_counter()
        with corpus_library(questions, folder, embedder=HashEmbedder()) as library:
            place = library.folder
            n = library.n_chunks()
            took = time.perf_counter() - start
            print(f"{len(library.papers())} papers, {n} chunks, {len(cases)} questions; added in {took:.0f} s")
            print("SQLite, FTS5")
            first = report(library, cases, searches(library), None)
            before = fingerprint(library)
        size = (place / "library.db").stat().st_size / 1e6
        there = IngestSettings(library=place, catalogue=url)
        start, address = time.perf_counter(), there.catalogue_database
        assert address
        done = move(place, address, to="postgres", tell=str)
        print(f"moved to Postgres in {time.perf_counter() - start:.1f} s: {done.rows}")
        with open_library(there) as library:
            print("Postgres, the words of FTS5 and BM25")
            report(library, cases, searches(library), first)
            same(before, fingerprint(library))
            (there_mb,) = library._db.execute("SELECT pg_database_size(current_database()) / 1e6").fetchone()  # noqa: SLF001
            print(f"library.db {size:.0f} MB, the database {float(there_mb):.0f} MB")
        start = time.perf_counter()
        move(place, address, to="sqlite", tell=str)
        print(f"moved back in {time.perf_counter() - start:.1f} s")
        with open_library(IngestSettings(library=place)) as library:
            same(before, fingerprint(library))
        move(place, address, to="postgres", tell=str)
        with open_library(there) as library:
            print("Postgres, to_tsvector('english') and ts_rank_cd")
            report(library, cases, of_postgres(library), first)
    finally:
        server.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
