"""How search scales: libraries of 10,000 to 1,000,000 chunks, one and ten users, embedded Chroma or a server.

    python bench/scale.py [--chunks 10000 100000] [--keep DIR] [--chroma http://127.0.0.1:8000] [--questions 300]
    python bench/scale.py --chunks 100000 1000000 --keep DIR --build       # build them, where they are not there yet
    python bench/scale.py --chunks 100000 1000000 --keep DIR --alone       # measure, without the ten searchers

The text is real: SciFact's abstracts and QASPER's papers (train and dev). If they are not enough, the same papers are
repeated three times with one word in seven replaced by another word of the corpus; then follow the passages of the
sets for reading (encyclopedia, medicine, news), and then all of it again and again with words replaced. The first 5,000
chunks have MiniLM's vectors; every other chunk has a noisy copy of one (cosine about .8), because embedding all would
take half an hour. Times and memory do not depend on that; the ranking does, and no quality is measured here. Questions
are QASPER dev's and SciFact's, really embedded.

Tables are filled in bulk, the index by the library itself from its tables, as after a loss or on an empty server; the
last 100 papers go through `Library.add`. Each library is measured in a process of its own. With a first library that
is smaller, the ratio to its search in everything is printed for each scope.

It is a long file because what is built and how it is measured belong together.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import logging
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
logging.disable(logging.CRITICAL)

from ingest import IngestSettings, Library, embedder_from  # noqa: E402
from ingest.paper import Chunk, Page, Paper, ParsedPaper  # noqa: E402
from rag.retrieval.retrieve import Retriever  # noqa: E402
from rag.words import split_sentences  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(os.environ.get("SCHOLION_DATA") or ROOT.parent / "shared" / "data")
EMBEDDED = 5000
WORDS = 110  # per chunk: about 160 tokens
TOP_K = 6
BUILT = "built-by-the-bench"
"""A file in each library that is complete."""
TAGGED = 5000
AT_ONCE = 20_000
"""Chunks of one transaction while tables are filled."""


def texts() -> Iterator[tuple[str, list[str]]]:
    """(title, paragraphs) of every document, with the longer QASPER papers spread among the abstracts."""
    papers = []
    for part in ("train", "dev"):
        with gzip.open(DATA / "qasper" / f"{part}.json.gz", "rt", encoding="utf-8") as file:
            papers += [
                (p["title"], [p["abstract"], *(t for s in p["full_text"] for t in s["paragraphs"] if t.strip())])
                for p in json.load(file).values()
            ]
    with gzip.open(DATA / "scifact" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        abstracts = [(row["title"], [row["text"]]) for row in map(json.loads, file)]
    mixed = papers + abstracts
    random.Random(1).shuffle(mixed)
    yield from mixed
    dice, words = random.Random(2), [word for _, paragraphs in mixed for p in paragraphs for word in p.split()]

    for title, paragraphs in papers * 3:
        yield (
            title,
            [re.sub(r"\S+", lambda m: dice.choice(words) if dice.random() < 1 / 7 else m[0], p) for p in paragraphs],
        )
    more = list(passages())
    yield from more
    rng, others = np.random.default_rng(3), np.array(words, dtype=object)
    while True:
        for title, paragraphs in papers + more:
            changed = []
            for paragraph in paragraphs:
                said = np.array(paragraph.split(), dtype=object)
                places = np.flatnonzero(rng.random(len(said)) < 1 / 7)
                said[places] = others[rng.integers(0, len(others), len(places))]
                changed.append(" ".join(said))
            yield title, changed


def passages() -> Iterator[tuple[str, list[str]]]:
    """The passages of the sets for reading, each once, 40 in a document, those of one title together."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted((DATA / "reading").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                named = [(p["title"], p["text"]) for p in row.get("passages") or ()]
                named += [(row.get("title") or row.get("focus") or "", text) for text in row.get("positives") or ()]
                for title, text in named:
                    if len(text.split()) >= 20:
                        found.setdefault(title or path.name.partition(".")[0], {})[text] = None
    every = [(title, text) for title, texts in found.items() for text in texts]
    for start in range(0, len(every), 40):
        yield every[start][0], [text for _, text in every[start : start + 40]]


def documents(n_chunks: int) -> Iterator[tuple[ParsedPaper, list[Chunk]]]:
    """One-page papers cut at sentence ends, `n_chunks` chunks in total."""
    left = n_chunks
    for number, (title, paragraphs) in enumerate(texts()):
        pieces: list[str] = []
        piece: list[str] = []
        for sentence in (s for paragraph in paragraphs for s in split_sentences(paragraph)):
            piece += sentence.split()
            if len(piece) >= WORDS * 0.8:
                pieces.append(" ".join(piece[: 2 * WORDS]))
                piece = []
        if piece:
            pieces.append(" ".join(piece))
        pieces = pieces[:left]
        left -= len(pieces)
        name = hashlib.sha256(f"{number}".encode()).hexdigest()[:16]
        paper = Paper(id=name, title=title or "Untitled", n_pages=1, file_name=f"{name}.pdf", abstract=paragraphs[0])
        chunks, at = [], 0
        for i, text in enumerate(pieces):
            chunks.append(
                Chunk(
                    id=f"{name}:{i:04d}", paper_id=name, ordinal=i, text=text, start=at, end=at + len(text),
                    first_page=1, last_page=1, section=None, n_tokens=len(text.split()),
                )
            )  # fmt: skip
            at += len(text) + 1
        yield ParsedPaper(paper, (Page(1, "\n".join(pieces)),)), chunks
        if not left:
            return


def vectors_for(folder: Path, n: int) -> Iterator[np.ndarray]:
    """n vectors in parts: MiniLM's for the first chunks, cached in `folder`; noisy copies for the rest."""
    path = folder / "vectors.npy"
    if not path.is_file():
        chunks = [c.text for _, part in documents(EMBEDDED) for c in part]
        np.save(path, embedder_from(None).embed_documents(chunks))
    real, dice = np.load(path), np.random.default_rng(1)
    of = dice.integers(0, len(real), n)
    for start in range(0, n, EMBEDDED):
        rows = real[of[start : start + EMBEDDED]]
        rows += dice.normal(0, 0.75 / np.sqrt(rows.shape[1]), rows.shape).astype(np.float32)
        if not start:
            rows = real[: len(rows)]
        yield (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def questions(folder: Path, n: int) -> tuple[list[str], np.ndarray]:
    """n questions, half from QASPER dev and half from SciFact, and their vectors."""
    with gzip.open(DATA / "qasper" / "dev.json.gz", "rt", encoding="utf-8") as file:
        asked = [qa["question"] for p in json.load(file).values() for qa in p["qas"]]
    with gzip.open(DATA / "scifact" / "queries.jsonl.gz", "rt", encoding="utf-8") as file:
        claims = [json.loads(line)["text"] for line in file]
    dice = random.Random(3)
    chosen = dice.sample(asked, n // 2) + dice.sample(claims, n - n // 2)
    dice.shuffle(chosen)
    path = folder / f"questions-{n}.npy"
    if not path.is_file():
        embedder, seconds, rows = embedder_from(None), [], []
        embedder.embed_query("warm")
        for question in chosen:
            start = time.perf_counter()
            rows.append(embedder.embed_query(question))
            seconds.append(time.perf_counter() - start)
        print(f"the query's embedding: {percentiles(seconds)}", flush=True)
        np.save(path, np.stack(rows))
    return chosen, np.load(path)


def build(folder: Path, n_chunks: int, settings: IngestSettings) -> None:
    """Build a library in bulk through its tables; the last 100 papers go through `Library.add`, as in the product."""
    library = Library(settings)
    library.own()
    db = library._db  # noqa: SLF001 the bulk path
    with db:
        db.execute("INSERT INTO facts VALUES ('embedder', ?)", (Named.name,))
    start, now, left, single = time.perf_counter(), datetime.now(UTC).isoformat(), n_chunks, []
    vectors = (row for part in vectors_for(folder, n_chunks) for row in part)
    waiting: list[tuple[ParsedPaper, list[Chunk], list[np.ndarray]]] = []
    n_waiting = 0
    for parsed, chunks in documents(n_chunks):
        waiting.append((parsed, chunks, list(islice(vectors, len(chunks)))))
        n_waiting += len(chunks)
        left -= len(chunks)
        if n_waiting >= AT_ONCE or not left:
            single = waiting[-100:] if not left else []
            store(library, waiting[: len(waiting) - len(single)], now)
            if (done := n_chunks - left) // 100_000 > (done - n_waiting) // 100_000:
                print(f"  {done:,} chunks, {time.perf_counter() - start:.0f} s", flush=True)
            waiting, n_waiting = [], 0
    print(f"  bulk: tables and words {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    n = library.vectors.count()
    seconds = time.perf_counter() - start
    print(f"  index of {n:,} vectors, filled from the tables: {seconds:.0f} s, {n / seconds:.0f} a second", flush=True)
    blank = folder / "blank.pdf"
    blank.write_bytes(b"%PDF-1.4\n")
    start, n, longest = time.perf_counter(), 0, 0.0
    for parsed, chunks, rows in single:
        began = time.perf_counter()
        library.add(parsed, chunks, np.stack(rows), embedder=Named.name, pdf=blank)
        longest = max(longest, time.perf_counter() - began)
        n += len(chunks)
    seconds = time.perf_counter() - start
    print(
        f"  Library.add: {len(single)} papers, {n} chunks in {seconds:.1f} s, {n / seconds:.0f} chunks/s, "
        f"the longest {longest:.1f} s",
        flush=True,
    )
    library.close()
    (library.folder / BUILT).touch()


def store(library: Library, papers: list[tuple[ParsedPaper, list[Chunk], list[np.ndarray]]], now: str) -> None:
    """One transaction with all rows of these papers."""
    with library._db as db:  # noqa: SLF001 the bulk path
        for parsed, chunks, rows in papers:
            p = parsed.paper
            db.execute(
                "INSERT INTO papers (id, title, authors, abstract, n_pages, file_name, refs, added_at, finished_at)"
                " VALUES (?, ?, '[]', ?, 1, ?, ?, ?, ?)",
                (p.id, p.title, p.abstract, p.file_name, json.dumps([parsed.text[:200]] * 40), now, now),
            )
            db.execute("INSERT INTO pages VALUES (?, 1, ?)", (p.id, parsed.text))
            db.executemany(
                'INSERT INTO chunks (id, paper_id, ordinal, text, start, "end", first_page, last_page, section,'
                " n_tokens, vector) VALUES (?, ?, ?, ?, ?, ?, 1, 1, NULL, ?, ?)",
                [
                    (c.id, c.paper_id, c.ordinal, c.text, c.start, c.end, c.n_tokens, row.tobytes())
                    for c, row in zip(chunks, rows, strict=True)
                ],
            )


class Named:
    """A stand-in for the embedder: the bench embeds its questions in advance."""

    name = "bench-embedder@0"


def percentiles(seconds: list[float]) -> str:
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms"


def timed(work: Callable[[int], object], n: int) -> tuple[list[float], list[object], list[float]]:
    """Wall-clock seconds, results, and CPU seconds, which other programs disturb less."""
    seconds, results, processor = [], [], []
    for i in range(n):
        start, used = time.perf_counter(), time.process_time()
        results.append(work(i))
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return seconds, results, processor


def rss() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def size(path: Path) -> float:
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) / 1e6 if path.exists() else 0.0


def measure(
    settings: IngestSettings, asked: list[str], vectors: np.ndarray, *, alone: bool
) -> dict[str, list[np.ndarray]]:
    """Print the figures of one library; return p50 and p95 of each scope, by the clock and in processor time."""
    before = rss()
    library = Library(settings)
    library.own()
    start = time.perf_counter()
    library.vectors.search(vectors[0], TOP_K)
    print(f"  open (fill Chroma where it is empty) and first search: {time.perf_counter() - start:.2f} s", flush=True)
    retriever = Retriever(library, Named())  # type: ignore[arg-type]
    ids = [p.id for p in library.papers()]
    long = [name for name in ids if library.n_chunks(name) >= 20]
    dice, n = random.Random(4), len(asked)
    tagged = dice.sample(ids, min(TAGGED, len(ids)))
    if "many" not in library.tags():
        library.tag(tagged, "many")
    scopes: dict[str, list[list[str] | None]] = {
        "everything": [None] * n,
        "one paper": [[dice.choice(long)] for _ in range(n)],
        "10 papers": [dice.sample(long, 10) for _ in range(n)],
        "100 papers": [dice.sample(ids, min(100, len(ids))) for _ in range(n)],
        "1,000 papers": [dice.sample(ids, min(1000, len(ids))) for _ in range(n)],
        f"a tag of {len(tagged):,}": [[]] * n,
        "half of the papers": [dice.sample(ids, len(ids) // 2) for _ in range(10)] * (n // 10 + 1),
    }
    print(f"  {library.n_chunks():,} chunks of {len(ids):,} papers", flush=True)

    def search(scope: str, i: int) -> list[tuple[str, float]]:
        papers = scopes[scope][i] if "tag" not in scope else [paper.id for paper in library.tagged("many")]
        found = retriever.search(asked[i], vectors[i], k=TOP_K, paper_ids=papers)
        return [(p.chunk.id, p.score) for p in found.passages]

    first, *_ = timed(lambda i: search("everything", i), n)
    print(f"  everything, each question for the first time: {percentiles(first)}", flush=True)
    each: dict[str, tuple[list[float], list[object], list[float]]] = {}
    for scope in scopes:
        timed(lambda i, s=scope: search(s, i), 20)
        each[scope] = timed(lambda i, s=scope: search(s, i), n)
        seconds, _, processor = each[scope]
        print(f"  {scope}: {percentiles(seconds)}; processor {percentiles(processor)}", flush=True)
    steps(library, asked, vectors)
    print(f"  memory of the process: {rss():.0f} MB, {rss() - before:.0f} MB of them since the library was opened")
    catalogue, chroma = size_of(library, "library.db"), size(library.folder / "chroma")
    print(f"  on disk: library.db {catalogue:.0f} MB, chroma {chroma:.0f} MB", flush=True)
    if not alone:
        together(search, each)
    library.close()
    return {scope: [np.percentile(each[scope][at], (50, 95)) for at in (0, 2)] for scope in scopes}


def together(
    search: Callable[[str, int], object], each: dict[str, tuple[list[float], list[object], list[float]]]
) -> None:
    """Ten searchers at once."""
    print(f"  two threads hash {two_cores():.2f} times as fast as one, now, on this machine")
    for scope in ("everything", "10 papers"):
        for pause in (0.5, 0.0):
            used = time.process_time()
            seconds, lost = crowd(lambda i, s=scope: search(s, i), each[scope][1], pause=pause)
            took = (time.process_time() - used) / len(seconds) * 1000
            p95 = float(np.percentile(seconds, 95) / np.percentile(each[scope][0], 95))
            how = "a question every half second each" if pause else "without any pause"
            print(
                f"  ten searchers, {how}, {scope}: {percentiles(seconds)}, p95 {p95:.1f} × alone; {lost} differ;"
                f" processor {took:.1f} ms a search, alone {np.mean(each[scope][2]) * 1000:.1f}",
                flush=True,
            )


def size_of(library: Library, name: str) -> float:
    return sum(p.stat().st_size for p in library.folder.glob(f"{name}*")) / 1e6


def steps(library: Library, asked: list[str], vectors: np.ndarray) -> None:
    """Time of each part of a search over everything."""
    from rag.retrieval.retrieve import CANDIDATES, match_expression

    n = len(asked)
    dense, hits, _ = timed(lambda i: library.vectors.search(vectors[i], CANDIDATES), n)
    lexical, *_ = timed(lambda i: library.search_words(match_expression(asked[i]), CANDIDATES), n)
    text, *_ = timed(lambda i: library.chunks([name for name, _ in hits[i]]), n)  # type: ignore[attr-defined]
    rows, *_ = timed(lambda i: library.vectors_of([name for name, _ in hits[i]]), n)  # type: ignore[attr-defined]
    if "half" not in library.tags():
        library.tag([paper.id for paper in library.papers()[::2]], "half")
    library.is_first(f"time {time.time()}")  # a change
    first, *_ = timed(lambda _: library.papers(), 1)
    papers, *_ = timed(lambda _: library.papers(), 50)
    tagged, *_ = timed(lambda _: library.tagged("half"), 50)
    for name, seconds in (
        ("dense", dense),
        ("words", lexical),
        ("100 chunks", text),
        ("100 vectors", rows),
        ("all papers, after a change", first),
        ("all papers, again", papers),
        ("the papers of a tag of half", tagged),
    ):
        print(f"    {name}: {percentiles(seconds)}", flush=True)


def two_cores() -> float:
    """Speed-up from a second thread for independent work: the upper bound for concurrent searches."""
    block = bytes(1_000_000)

    def burn() -> None:
        for _ in range(300):
            hashlib.sha256(block)  # releases the GIL

    took = []
    for n in (1, 2):
        threads = [threading.Thread(target=burn) for _ in range(n)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took.append((time.perf_counter() - start) / n)
    return took[0] / took[1]


def crowd(work: Callable[[int], object], expected: list[object], *, pause: float) -> tuple[list[float], int]:
    """Ten threads, each through a fifth of the questions from a different start; times, and number of wrong results."""
    n, seconds, wrong, lock = len(expected), [], [], threading.Lock()
    gate, dice = threading.Barrier(10), [random.Random(t) for t in range(10)]

    def one(offset: int) -> None:
        gate.wait()
        for j in range(n // 5):
            i = (offset * n // 10 + j) % n
            time.sleep(dice[offset].uniform(0, 2 * pause))
            start = time.perf_counter()
            result = work(i)
            with lock:
                seconds.append(time.perf_counter() - start)
                if result != expected[i]:
                    wrong.append(i)

    threads = [threading.Thread(target=one, args=(t,)) for t in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, len(wrong) + 10 * (n // 5) - len(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the libraries are kept, and found again")
    parser.add_argument("--build", action="store_true", help="only build those that are not there")
    parser.add_argument("--alone", action="store_true", help="without the ten searchers")
    parser.add_argument("--chroma", help="the URL of a Chroma server; embedded where not given")
    parser.add_argument("--questions", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            print(f"load before it began: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        asked, vectors = questions(folder, options.questions)
        first: dict[str, list[np.ndarray]] = {}
        for n_chunks in options.chunks:
            at = folder / (f"lib-{n_chunks // 1000}k" if n_chunks < 1_000_000 else f"lib-{n_chunks / 1e6:g}m")
            settings = IngestSettings(library=at, **({"chroma": options.chroma} if options.chroma else {}))
            print(f"{n_chunks:,} chunks, Chroma {'at ' + options.chroma if options.chroma else 'embedded'}", flush=True)
            if not (at / BUILT).exists():
                if (at / "library.db").exists():
                    parser.error(f"{at} was not built to its end: remove it")
                build(folder, n_chunks, settings)
            if options.build:
                continue
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
                found = alone.submit(measure, settings, asked, vectors, alone=options.alone).result()
            if first:
                for scope, here in found.items():
                    clock, used = (mine / theirs for mine, theirs in zip(here, first["everything"], strict=True))
                    print(
                        f"  {scope}: {clock[0]:.2f} × p50, {clock[1]:.2f} × p95 of everything in the first library;"
                        f" processor {used[0]:.2f} ×, {used[1]:.2f} ×",
                        flush=True,
                    )
            first = first or found


if __name__ == "__main__":
    main()
