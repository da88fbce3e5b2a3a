"""Pages per second: the whole pipeline, a plain baseline and the embedder alone, in turn, in one run.

    python bench/ingest_speed.py [FOLDER] [--rounds 2]

The baseline: pypdf's text, a recursive splitter of 1,000 characters with an overlap of 200 (LangChain's order of
separators: paragraph, line, word, character), sentence-transformers in fp32 with default settings, `collection.add`.
Both use all-MiniLM-L6-v2. Each part runs in its own process, so that peak memory can be attributed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
logging.disable(logging.CRITICAL)


def split(
    text: str, size: int = 1000, overlap: int = 200, separators: tuple[str, ...] = ("\n\n", "\n", " ", "")
) -> list[str]:
    """Recursive character splitting with overlap, like LangChain's RecursiveCharacterTextSplitter."""
    separator = next((s for s in separators if s == "" or s in text), "")
    rest = separators[separators.index(separator) + 1 :] if separator else ()
    parts = text.split(separator) if separator else list(text)
    chunks: list[str] = []
    held: list[str] = []

    def join(pieces: list[str]) -> str:
        return separator.join(pieces).strip()

    for part in parts:
        if len(part) > size:
            if held:
                chunks.append(join(held))
                held = []
            chunks += split(part, size, overlap, rest or ("",))
            continue
        if held and len(separator.join([*held, part])) > size:
            chunks.append(join(held))
            while held and (len(separator.join(held)) > overlap or len(separator.join([*held, part])) > size):
                held.pop(0)
        held.append(part)
    if held:
        chunks.append(join(held))
    return [chunk for chunk in chunks if chunk]


def plain(files: list[Path]) -> dict[str, float]:
    import chromadb
    from pypdf import PdfReader
    from sentence_transformers import SentenceTransformer

    from ingest.embed import embedded_model

    model = SentenceTransformer(str(embedded_model()), device="cpu")
    model.encode(["warm up"])
    with tempfile.TemporaryDirectory() as folder:
        collection = chromadb.PersistentClient(folder).create_collection("plain", embedding_function=None)
        began, pages, n = time.monotonic(), 0, 0
        for file in files:
            reader = PdfReader(file)
            pages += len(reader.pages)
            text = "\n".join(page.extract_text() for page in reader.pages)
            chunks = split(text.encode("utf-8", "ignore").decode())
            vectors = model.encode(chunks)
            collection.add(ids=[f"{file.stem}:{i}" for i in range(len(chunks))], embeddings=vectors, documents=chunks)
            n += len(chunks)
        seconds = time.monotonic() - began
    return {"pages": pages, "chunks": n, "seconds": seconds}


def ours(files: list[Path], keep: Path | None = None) -> dict[str, float]:
    from ingest import Ingest, IngestSettings, Source, embedder_from, open_library

    embedder = embedder_from(None)
    embedder.embed_query("warm up")
    with tempfile.TemporaryDirectory() as folder, open_library(IngestSettings(library=Path(folder))) as library:
        began = time.monotonic()
        reports = list(Ingest(library=library, embedder=embedder).run(Source(file, file.name) for file in files))
        seconds = time.monotonic() - began
        texts = [[c.text for c in library.chunks(library.chunk_ids([p.id])).values()] for p in library.papers()]
        if keep:
            keep.write_text(json.dumps(texts))
    return {
        "pages": sum(report.pages or 0 for report in reports),
        "chunks": sum(report.chunks or 0 for report in reports),
        "failed": sum(report.status == "failed" for report in reports),
        "seconds": seconds,
    }


def alone(chunks: Path) -> dict[str, float]:
    """The embedder alone, on the same chunks, paper by paper."""
    from ingest import embedder_from

    embedder = embedder_from(None)
    papers = json.loads(chunks.read_text())
    embedder.embed_query("warm up")
    began = time.monotonic()
    for texts in papers:
        embedder.embed_documents(texts)
    return {"chunks": sum(map(len, papers)), "seconds": time.monotonic() - began}


def in_child(part: str, files: list[Path], chunks: Path) -> dict[str, float]:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import ingest_speed as s, json; from pathlib import Path\n"
        f"files = [Path(f) for f in {[str(f) for f in files]!r}]; chunks = Path({str(chunks)!r})\n"
    )
    call = {"plain": "s.plain(files)", "ours": "s.ours(files, chunks)", "alone": "s.alone(chunks)"}[part]
    code += f"out = {call}; print(json.dumps({{**out, 'peak_mb': s.peak_mb()}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> float:
    """Peak resident memory in MB: this process plus the largest of its children."""
    own, children = (
        resource.getrusage(who).ru_maxrss / 1000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(own + children)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "papers")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.pdf"))
    if not files:
        print(f"no PDFs in {options.folder}: nothing measured")
        return
    os.environ["HF_HUB_OFFLINE"] = "1"
    rates: dict[str, list[float]] = {"plain": [], "ours": [], "alone": []}
    with tempfile.TemporaryDirectory() as folder:
        chunks = Path(folder) / "chunks.json"
        for number in range(options.rounds):
            for part in ("plain", "ours", "alone"):
                out = in_child(part, files, chunks)
                unit = "chunks" if part == "alone" else "pages"
                rates[part].append(out[unit] / out["seconds"])
                shown = re.sub(r"[{}\"]", "", json.dumps({k: round(v, 1) for k, v in out.items()}))
                print(f"round {number + 1} {part:6} {rates[part][-1]:6.2f} {unit}/s   ({shown})", flush=True)
                if part == "ours":
                    ours_chunks = out["chunks"] / out["seconds"]
            print(
                f"round {number + 1} ours/plain {rates['ours'][-1] / rates['plain'][-1]:.2f} x, "
                f"ours/embedder alone {ours_chunks / rates['alone'][-1]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
