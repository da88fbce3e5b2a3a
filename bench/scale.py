"""How search scales: libraries of 10,000 and 100,000 chunks, one and ten concurrent users, embedded Chroma or a server.

    python bench/scale.py [--chunks 10000 100000] [--folder DIR] [--chroma http://127.0.0.1:8000] [--questions 300]

The text is real: SciFact's abstracts and QASPER's papers (train and dev). If they are not enough, the same papers are
repeated with one word in seven replaced by another word of the corpus. The first 5,000 chunks have MiniLM's vectors;
every other chunk has a noisy copy of one (cosine about .8), because embedding all would take half an hour. Times and
memory do not depend on that; the ranking does, and no quality is measured here. Questions are QASPER dev's and
SciFact's, really embedded. The libraries in DIR are kept and reused; a server is filled from them by the library
itself.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import logging
import os
import random
import re
import resource
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
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

DATA = ROOT.parent / "shared" / "data"
EMBEDDED = 5000
WORDS = 110  # per chunk: about 160 tokens
TOP_K = 6


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


def vectors_for(folder: Path, n: int) -> np.ndarray:
    """Shape (n, 384): MiniLM's vectors for the first chunks, cached in `folder`; noisy copies for the others."""
    path = folder / "vectors.npy"
    if not path.is_file():
        chunks = [c.text for _, part in documents(EMBEDDED) for c in part]
        np.save(path, embedder_from(None).embed_documents(chunks))
    real, dice = np.load(path), np.random.default_rng(1)
    rows = real[dice.integers(0, len(real), n)]
    rows += dice.normal(0, 0.75 / np.sqrt(rows.shape[1]), rows.shape).astype(np.float32)
    rows[: min(n, EMBEDDED)] = real[:n]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


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


def build(folder: Path, n_chunks: int, rows: np.ndarray, settings: IngestSettings) -> None:
    """Build a library in bulk through its tables; the last 100 papers go through `Library.add`, as in the product."""
    library = Library(settings)
    library.own()
    library._claim_for("bench-embedder@0")  # noqa: SLF001 the bulk path

    start, at = time.perf_counter(), 0
    everything = list(documents(n_chunks))
    bulk, single = everything[:-100], everything[-100:]
    now = datetime.now(UTC).isoformat()
    names: list[str] = []
    with library._db as db:  # noqa: SLF001
        for parsed, chunks in bulk:
            p = parsed.paper
            db.execute(
                "INSERT INTO papers (id, title, authors, abstract, n_pages, file_name, refs, added_at, finished_at)"
                " VALUES (?, ?, '[]', ?, 1, ?, ?, ?, ?)",
                (p.id, p.title, p.abstract, p.file_name, json.dumps([parsed.text[:200]] * 40), now, now),
            )
            db.execute("INSERT INTO pages VALUES (?, 1, ?)", (p.id, parsed.text))
            db.executemany(
                'INSERT INTO chunks (id, paper_id, ordinal, text, start, "end", first_page, last_page, section,'
                " n_tokens, vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        c.id,
                        c.paper_id,
                        c.ordinal,
                        c.text,
                        c.start,
                        c.end,
                        1,
                        1,
                        None,
                        c.n_tokens,
                        rows[at + i].tobytes(),
                    )
                    for i, c in enumerate(chunks)
                ],
            )
            names += [c.id for c in chunks]
            at += len(chunks)
    tables = time.perf_counter() - start
    start = time.perf_counter()
    library.vectors.add(names, rows[: len(names)])
    print(f"  bulk: tables and words {tables:.0f} s, vectors {time.perf_counter() - start:.0f} s", flush=True)
    blank = folder / "blank.pdf"
    blank.write_bytes(b"%PDF-1.4\n")
    start, n = time.perf_counter(), 0
    for parsed, chunks in single:
        library.add(parsed, chunks, rows[at : at + len(chunks)], embedder="bench-embedder@0", pdf=blank)
        at += len(chunks)
        n += len(chunks)
    seconds = time.perf_counter() - start
    print(f"  Library.add: {len(single)} papers, {n} chunks in {seconds:.1f} s, {n / seconds:.0f} chunks/s", flush=True)
    library.close()


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


def measure(settings: IngestSettings, asked: list[str], vectors: np.ndarray) -> None:
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
    scopes = {
        "everything": [None] * n,
        "one paper": [[dice.choice(long)] for _ in range(n)],
        "10 papers": [dice.sample(long, 10) for _ in range(n)],
        "100 papers": [dice.sample(ids, 100) for _ in range(n)],
        "half of the papers": [dice.sample(ids, len(ids) // 2) for _ in range(n)],
    }

    def search(scope: str, i: int) -> list[tuple[str, float]]:
        found = retriever.search(asked[i], vectors[i], k=TOP_K, paper_ids=scopes[scope][i])
        return [(p.chunk.id, p.score) for p in found.passages]

    alone: dict[str, tuple[list[float], list[object], list[float]]] = {}
    for scope in scopes:
        timed(lambda i, s=scope: search(s, i), 20)
        alone[scope] = timed(lambda i, s=scope: search(s, i), n if scope != "half of the papers" else n // 4)
        seconds, _, processor = alone[scope]
        print(f"  {scope}: {percentiles(seconds)}; processor {percentiles(processor)}", flush=True)
    steps(library, asked, vectors)
    print(f"  memory of the process: {rss():.0f} MB, {rss() - before:.0f} MB of them since the library was opened")
    catalogue, chroma = size_of(library, "library.db"), size(library.folder / "chroma")
    print(f"  on disk: library.db {catalogue:.0f} MB, chroma {chroma:.0f} MB")
    print(f"  two threads hash {two_cores():.2f} times as fast as one, now, on this machine")
    for scope in ("everything", "10 papers"):
        for pause in (0.5, 0.0):
            used = time.process_time()
            seconds, lost = crowd(lambda i, s=scope: search(s, i), alone[scope][1], pause=pause)
            each = (time.process_time() - used) / len(seconds) * 1000
            p95 = float(np.percentile(seconds, 95) / np.percentile(alone[scope][0], 95))
            how = "a question every half second each" if pause else "without any pause"
            print(
                f"  ten searchers, {how}, {scope}: {percentiles(seconds)}, p95 {p95:.1f} × alone; {lost} differ;"
                f" processor {each:.1f} ms a search, alone {np.mean(alone[scope][2]) * 1000:.1f}",
                flush=True,
            )
    library.close()


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
    library.tag([paper.id for paper in library.papers()[::2]], "half")
    first, *_ = timed(lambda _: library.papers(), 1)  # after a change
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
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--chroma", help="the URL of a Chroma server; embedded where not given")
    parser.add_argument("--questions", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            print(f"load before it began: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        asked, vectors = questions(folder, options.questions)
        for n_chunks in options.chunks:
            at = folder / f"{n_chunks}"
            settings = IngestSettings(library=at, **({"chroma": options.chroma} if options.chroma else {}))
            print(f"{n_chunks:,} chunks, Chroma {'at ' + options.chroma if options.chroma else 'embedded'}", flush=True)
            if not (at / "library.db").exists():
                build(folder, n_chunks, vectors_for(folder, n_chunks), settings)
            measure(settings, asked, vectors)


if __name__ == "__main__":
    main()
