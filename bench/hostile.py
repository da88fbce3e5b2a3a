"""Run every file of ../shared/data/hostile through the sandbox and into a library: outcome, seconds, message.

Bars: each file ends within 30 s, either as a readable paper or with its own clear sentence; the memory of this process
grows by less than 200 MB (in the library part, after the first sample paper was added); and nothing is half-added.
`--sandbox-only` skips the library; `--json FILE` writes the rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.errors import EncryptedPdfError, UserFacingError  # noqa: E402 - the project first
from ingest.repair import verify  # noqa: E402
from ingest.sandbox import Parser  # noqa: E402

HOSTILE = ROOT.parent / "shared" / "data" / "hostile"
ORDINARY = ROOT / "docs" / "papers" / "lora-for-terms.pdf"
MAX_SECONDS = 30.0
MAX_GROWTH_MB = 200.0


def peak_mb() -> float:
    """Peak resident memory of this process, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def through_the_sandbox(files: list[Path]) -> list[dict]:
    rows = []
    with Parser() as parser:
        parser.warm_up()
        for path in files:
            pid, began = parser.pid, time.monotonic()
            row = {"file": path.name, "outcome": "readable", "message": "", "hint": ""}
            try:
                parsed = parser.parse(path)
                row |= {"pages": len(parsed.pages), "characters": len(parsed.text)}
            except UserFacingError as error:
                row |= {"outcome": type(error).__name__, "message": error.message, "hint": error.hint}
            row |= {"seconds": round(time.monotonic() - began, 3), "child_lost": parser.pid != pid}
            rows.append(row)
            print(f"{row['seconds']:7.3f} s  {row['outcome']:20} {path.name}  {row['message'].replace(path.name, '…')}")
    return rows


def faults_of(rows: list[dict], passwords: dict[str, str]) -> list[str]:
    faults = [f"{row['file']} took {row['seconds']} s" for row in rows if row["seconds"] > MAX_SECONDS]
    for row in rows:
        if row["outcome"] == "readable":
            continue
        said = f"{row['message']} {row['hint']}"
        if row["file"] not in row["message"] or not row["hint"] or "\n" in said or len(said) > 400:
            faults.append(f"{row['file']}: no clear sentence: {said!r}")
        if passwords.get(row["file"]) and row["outcome"] != EncryptedPdfError.__name__:
            faults.append(f"{row['file']} needs a password and is not called encrypted: {said}")
    return faults


def into_a_library(files: list[Path]) -> tuple[list[str], dict]:
    """Add all files to an empty library; returns faults and measurements."""
    from ingest import IngestSettings, embedder_from, ingest_pdf, open_library

    embedder = embedder_from(None)
    faults, statuses, slowest = [], Counter(), (0.0, "")
    with tempfile.TemporaryDirectory() as folder:
        settings = IngestSettings(library=Path(folder) / "library", _env_file=None)
        with open_library(settings) as library:
            # first an ordinary paper, so that model and index are in memory before anything is measured
            ingest_pdf(ORDINARY, library=library, embedder=embedder)
            before = peak_mb()
            for path in files:
                began = time.monotonic()
                report = ingest_pdf(path, library=library, embedder=embedder)
                seconds = time.monotonic() - began
                slowest = max(slowest, (seconds, path.name))
                statuses[report.status] += 1
                if seconds > MAX_SECONDS:
                    faults.append(f"{path.name} took {seconds:.1f} s to add")
                if report.status == "failed" and path.name not in (report.error or ""):
                    faults.append(f"{path.name}: the report does not say what happened: {report.error}")
            kept = {paper.id for paper in library.papers()}
            copies = {path.stem for path in (settings.library / "papers").glob("*.pdf")}
            if kept != copies:
                faults.append(f"papers without a copy or copies without a paper: {sorted(kept ^ copies)}")
            faults += [f"verify: {problem.paper_id} {problem.what}" for problem in verify(library)]
            empty = [paper.file_name for paper in library.papers() if not library.n_chunks(paper.id)]
            faults += [f"{name} was added without text" for name in empty]
    growth = peak_mb() - before
    if growth > MAX_GROWTH_MB:
        faults.append(f"memory grew by {growth:.0f} MB while adding")
    return faults, {"statuses": dict(statuses), "slowest": slowest, "growth_mb": growth, "papers": len(kept)}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sandbox-only", action="store_true")
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    if not HOSTILE.is_dir():
        print(f"skipped: the files are not here: {HOSTILE}")
        return 0
    files = sorted(HOSTILE.glob("*.pdf"))
    with (HOSTILE / "manifest.csv").open(encoding="utf-8") as manifest:
        rows_there = list(csv.DictReader(manifest))
    # an empty user password opens a file if only its owner's password is known
    locked = {
        row["file"]: row["known_password"] for row in rows_there if row["pypdf_7_1_outcome"] == "FileNotDecryptedError"
    }

    before = peak_mb()
    rows = through_the_sandbox(files)
    growth = peak_mb() - before
    faults = faults_of(rows, locked)
    if growth > MAX_GROWTH_MB:
        faults.append(f"memory grew by {growth:.0f} MB")
    outcomes = Counter(row["outcome"] for row in rows)
    seconds = sorted((row["seconds"], row["file"]) for row in rows)
    print(f"\n{len(rows)} files: {outcomes['readable']} readable, {len(rows) - outcomes['readable']} refused")
    print("  " + ", ".join(f"{name} {n}" for name, n in outcomes.most_common()))
    print(f"  all of them {sum(s for s, _ in seconds):.1f} s; slowest {seconds[-1][0]} s ({seconds[-1][1]}), bar 30 s")
    print(f"  children lost: {sum(row['child_lost'] for row in rows)}")
    print(f"  peak memory of this process: {before:.0f} MB before, +{growth:.1f} MB, bar +{MAX_GROWTH_MB:.0f} MB")

    if not chosen.sandbox_only:
        more, figures = into_a_library(files)
        faults += more
        print(f"into a library: {figures['statuses']}, {figures['papers']} papers kept")
        print(
            f"  slowest {figures['slowest'][0]:.1f} s ({figures['slowest'][1]}); memory +{figures['growth_mb']:.1f} MB"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    for fault in faults:
        print(f"MISSED: {fault}")
    print("all bars met" if not faults else f"{len(faults)} bars missed")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
