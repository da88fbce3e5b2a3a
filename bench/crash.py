"""kill -9 at random moments during ingest; after each, the next start must leave nothing lost, duplicated or orphaned.

    python bench/crash.py [FOLDER] [--kills 100] [--seed 1]

Each round starts `python -m ingest add FOLDER`, kills it at a random moment, and then does what the next start does:
own the library, resume, and `verify`. A complete library is compared, chunk by chunk and vector by vector, with one
that was built without interruption. Then the next library is started, until all kills are used.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
logging.disable(logging.CRITICAL)

from ingest import Ingest, IngestSettings, Library, Source, embedder_from  # noqa: E402
from ingest.repair import verify  # noqa: E402


def contents(library: Library) -> dict[str, bytes]:
    """Text and vector of each chunk by id; Chroma and SQLite must hold the same ids."""
    ids = library.chunk_ids()
    chunks, vectors = library.chunks(ids), library.vectors_of(ids)
    assert library.vectors.ids() == set(ids), "Chroma and SQLite hold the same ids"
    return {name: chunks[name].text.encode() + vectors[name].tobytes() for name in ids}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "papers")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=14.0, help="seconds: the latest moment of a kill")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.pdf"))
    dice, embedder = random.Random(options.seed), embedder_from(None)
    failures, kills, libraries, carried_on = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        peace = Library(IngestSettings(library=Path(name) / "peace"))
        reports = list(Ingest(library=peace, embedder=embedder).run(Source(file, file.name) for file in files))
        finished = [report for report in reports if report.status == "added"]
        expected = contents(peace)
        print(f"in peace: {len(finished)} of {len(files)} papers, {len(expected)} chunks", flush=True)
        folder = Path(name) / "victim"
        while kills < options.kills:
            process = subprocess.Popen(
                [sys.executable, "-m", "ingest", "add", str(options.folder), "--json"],
                cwd=ROOT,
                env=os.environ | {"SCHOLION_LIBRARY": str(folder)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            end = time.monotonic() + dice.uniform(0.2, options.longest)
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.01)
            was_killed = process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += was_killed
            library = Library(IngestSettings(library=folder))
            resumed = list(Ingest(library=library, embedder=embedder).resume())
            carried_on += len(resumed)
            problems = verify(library)
            ids = library.chunk_ids()
            wrong = [name for name, value in contents(library).items() if expected.get(name) != value]
            bad = bool(problems or wrong or len(ids) != len(set(ids)))
            failures += bad
            done = len(library.papers())
            library.close()
            if bad or kills % 10 == 0:
                print(f"kill {kills}: {done} papers, problems {problems}, {len(wrong)} chunks differ", flush=True)
            if done == len(finished):
                libraries += 1
                library = Library(IngestSettings(library=folder))
                same = contents(library) == expected
                failures += not same
                library.close()
                print(
                    f"library {libraries} complete after {kills} kills: {'equal' if same else 'NOT equal'}", flush=True
                )
                shutil.rmtree(folder)
        peace.close()
    print(f"{kills} kills, {libraries} libraries completed, {carried_on} papers carried on, {failures} failures")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
