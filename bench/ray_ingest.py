"""Ray against the plain pipeline: the same papers with neither, with 1 and with 2 workers, in turn, in one run.

    python bench/ray_ingest.py [FOLDER] [--rounds 3]

Each part runs in its own process, with a library of its own, and is timed from the first paper to the last. Models are
loaded and Ray is started before, which is told apart as "start". The bar: with 1 worker, at most 10 % more time than
without Ray. The libraries must be equal: the digest is that of all ids, texts and vectors.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
logging.disable(logging.CRITICAL)

BAR = 1.10


def part(files: list[Path], workers: int) -> dict[str, float | str]:
    from ingest import Ingest, IngestSettings, Source, embedder_from, open_library
    from ingest.on_ray import RayWorkers

    began = time.monotonic()
    embedder = embedder_from(None)
    embedder.embed_query("warm up")
    team = None
    if workers:
        team = RayWorkers(
            "auto",
            embedder=None,
            name=embedder.name,
            options={"ocr_languages": "eng"},
            per_machine=workers,
            allow=lambda machines: sys.exit(f"{machines} are not this machine"),
        )
        for one in [team.embed(["warm up"]) for _ in range(2 * workers)]:
            one.result()
    start = time.monotonic() - began
    with tempfile.TemporaryDirectory() as folder, open_library(IngestSettings(library=Path(folder))) as library:
        work = Ingest(library=library, embedder=embedder, workers=team)
        began = time.monotonic()
        reports = list(work.run(Source(file, file.name) for file in files))
        seconds = time.monotonic() - began
        whole = hashlib.sha256()
        ids = library.chunk_ids()
        chunks, vectors = library.chunks(ids), library.vectors_of(ids)
        for name in sorted(ids):
            whole.update(name.encode() + chunks[name].text.encode() + vectors[name].tobytes())
    if team:
        team.close()
    return {
        "seconds": seconds,
        "start": start,
        "pages": sum(report.pages or 0 for report in reports),
        "added": sum(report.status == "added" for report in reports),
        "digest": whole.hexdigest()[:16],
    }


def in_child(files: list[Path], workers: int) -> dict[str, float | str]:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import ray_ingest, json; from pathlib import Path\n"
        f"print(json.dumps(ray_ingest.part([Path(f) for f in {[str(f) for f in files]!r}], {workers})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "papers")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.pdf"))
    if not files:
        print(f"no PDFs in {options.folder}: nothing measured")
        return 0
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed (make ray): nothing measured")
        return 0
    ratios: dict[int, list[float]] = {1: [], 2: []}
    digests = set()
    for number in range(1, options.rounds + 1):
        seconds = {}
        for workers in (0, 1, 2) if number % 2 else (2, 1, 0):
            out = in_child(files, workers)
            seconds[workers] = float(out["seconds"])
            digests.add(out["digest"])
            print(
                f"round {number}  {workers or 'no'} worker(s): {out['seconds']:.1f} s for {out['added']} papers of "
                f"{len(files)}, {out['pages']} pages; start {out['start']:.1f} s",
                flush=True,
            )
        for workers, found in ratios.items():
            found.append(seconds[workers] / seconds[0])
    for workers, found in ratios.items():
        print(f"{workers} worker(s) / no Ray: median {median(found):.2f} x ({min(found):.2f} to {max(found):.2f})")
    print(f"libraries: {'equal' if len(digests) == 1 else f'NOT equal: {digests}'}")
    met = median(ratios[1]) <= BAR
    print(f"the bar, at most {BAR:.2f} x with 1 worker: {'met' if met else 'NOT met'}")
    return int(len(digests) != 1 or not met)


if __name__ == "__main__":
    sys.exit(main())
