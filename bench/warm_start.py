"""How long a start takes with a library that is there: from the command to the first answer of `/healthz`.

    python bench/warm_start.py [--rounds 5] [--beside CHECKOUT]

The library has the sample papers. With another checkout of Scholion (an older commit, whose packages are those of this
environment), each round starts both, in turn, and the ratio of the two is told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300.0


def start(checkout: Path, library: Path) -> float:
    """Seconds until the page answers; the process is ended again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ui", "--no-browser", "--port", str(port)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SCHOLION_")}
    env |= {"SCHOLION_LIBRARY": str(library), "PYTHONPATH": str(checkout)}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=checkout, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=1):
                    return time.perf_counter() - began
            except OSError:
                if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                    raise SystemExit(f"{checkout} did not start.") from None
                time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="another checkout")
    options = parser.parse_args()
    checkouts = [ROOT, *([options.beside.resolve()] if options.beside else [])]
    names = dict(zip(checkouts, ("this", "other"), strict=False))
    took: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
    folder = Path(tempfile.mkdtemp())
    try:
        for checkout in checkouts:
            first = start(checkout, folder / names[checkout])
            print(f"{names[checkout]}: first start, with the samples {first:.1f} s", flush=True)
        for _ in range(options.rounds):
            for checkout in checkouts:
                took[checkout].append(start(checkout, folder / names[checkout]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for checkout, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"{names[checkout]}: median {middle:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")
    if options.beside:
        ratios = [mine / theirs for mine, theirs in zip(took[ROOT], took[checkouts[1]], strict=True)]
        print(f"this / other: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
