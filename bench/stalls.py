"""How long the event loop stalls during an answer: 200 papers, mode refine, a larger model elsewhere.

    python bench/stalls.py [--papers 200] [--answers 10]

Half of the papers are `local only`, and log, redaction list and glossary are long. Models and embedder are fakes,
because their work is done elsewhere. A *stall* is one callback of the loop: until it ends, no other chat, Stop button
or page is served. Stalls are wall-clock times, so run it on a quiet machine; the CPU time of the loop's thread is shown
too. The first answer, which mines the papers, is listed separately.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import big_library  # noqa: E402
from fake_embedder import HashEmbedder  # noqa: E402
from ingest import IngestSettings, open_library  # noqa: E402
from loop_time import held  # noqa: E402
from rag.privacy import destination  # noqa: E402


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--papers", type=int, default=200)
    parser.add_argument("--answers", type=int, default=10)
    options = parser.parse_args()
    plain = destination._one  # noqa: SLF001
    destination._one = lambda address: "remote" if address == "127.0.0.2" else plain(address)  # noqa: SLF001
    with (
        tempfile.TemporaryDirectory() as folder,
        open_library(IngestSettings(library=Path(folder))) as library,
    ):
        began = time.perf_counter()
        big_library.fill(library, HashEmbedder(), papers=options.papers)
        big_library.guard(library)
        print(f"{options.papers} papers in {time.perf_counter() - began:.0f} s", flush=True)
        asyncio.run(measure(library, answers=options.answers))


async def measure(library, *, answers: int) -> None:
    """The first answer, then the others together."""
    async with big_library.asked_elsewhere(library) as (assistant, _):
        print("| answers | stalls | p50 | p95 | longest, ms | longest, ms of the processor | an answer takes, s |")
        print("|---|---|---|---|---|---|---|")
        for name, n in (("the first", 1), (f"the next {answers}", answers)):
            began = time.perf_counter()
            async with held() as holds:
                for _ in range(n):
                    assert (await big_library.refined(assistant)).sent_to
            seconds = (time.perf_counter() - began) / n
            clock = [hold.clock for hold in holds]
            p50, p95 = np.percentile(clock, (50, 95))
            most = max(hold.processor for hold in holds)
            print(f"| {name} | {len(holds)} | {p50:.2f} | {p95:.2f} | {max(clock):.1f} | {most:.1f} | {seconds:.2f} |")
            print(f"  where: {max(holds, key=lambda hold: hold.clock).what}", file=sys.stderr)


if __name__ == "__main__":
    main()
