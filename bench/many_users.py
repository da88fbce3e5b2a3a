"""Fifty users at once over real websockets: half ask, half upload papers; the drafter is a fake that writes 20 words/s.

    python bench/many_users.py [--users 50] [--questions 2] [--seed 0]

Each user has an own browser session. Who asks waits 5 to 25 s between questions, like a person who reads; who uploads
adds two small papers, one after the other. Search, reader and checks are the real ones. *sources* is the time from
sending a question until its passages are in the page, *answered* until its answer is complete; *added* that from an
upload until the chat says that the paper is there. Nothing of one user may be heard by another, and no error may be
told. These are wall-clock times: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from pdfs import column, write_pdf  # noqa: E402
from served import Page, WithDraft, app_root, heard, new_id, send  # noqa: E402

QUESTIONS = (
    "How large is the file of the rank-16 adapter on all seven matrices?",
    "With the strict gate, what percentage of the drafts that are let through is right?",
    "From how many monthly users on does a company have to ask Meta for its own licence?",
    "How many hours of writing do 512 training examples take at five minutes each?",
)


async def asks(page: Page, name: str, number: int, chance: random.Random) -> list[tuple[float | None, float | None]]:
    """For each question the seconds until its passages are there, and until its answer is complete."""
    times: list[tuple[float | None, float | None]] = []
    await asyncio.sleep(chance.uniform(0, 15))
    for n in range(number):
        began = time.monotonic()
        before = await send(page, f"{chance.choice(QUESTIONS)} ({name})")
        found = await heard(page, re.compile(r"passages? from \d"), before)
        sources = time.monotonic() - began
        complete = await heard(page, re.compile("stayed on this machine|not in your papers"), before)
        times.append((sources, time.monotonic() - began) if found and complete else (None, None))
        if n + 1 < number:
            await asyncio.sleep(chance.uniform(5, 25))
    return times


async def adds(page: Page, session: str, name: str, folder: Path, chance: random.Random) -> list[float | None]:
    times: list[float | None] = []
    await asyncio.sleep(chance.uniform(0, 15))
    for n in range(2):
        lines = [f"Line {k} of the notes of {name}, part {n}, about soil, seeds and water." for k in range(30)]
        path = write_pdf(folder / f"{name}-{n}.pdf", column(72, 720, lines), title=f"Notes {n} of {name}")
        began = time.monotonic()
        stored = await page.upload(session, path.read_bytes())
        before = await send(page, "", (stored.json()["id"],))
        times.append(time.monotonic() - began if await heard(page, re.compile("in your library:"), before) else None)
    return times


def told(what: str, times: list[float | None]) -> None:
    there = [one for one in times if one is not None]
    lost = len(times) - len(there)
    if there:
        p50, p95 = np.percentile(there, [50, 95])
        print(f"{what}: {len(there)}, p50 {p50:.2f} s, p95 {p95:.2f} s, longest {max(there):.2f} s; lost {lost}")
    else:
        print(f"{what}: none; lost {lost}")


async def run(options: argparse.Namespace, folder: Path) -> None:
    said = folder / "answer.txt"
    said.write_text("The adapter takes 83.9 MB [1]. " + "It is stored with 16 bits for each weight. " * 6)
    server = WithDraft(said, delay=0.05, library=folder / "library", root=app_root(folder / "root")).start()
    pages, jobs = [], []
    try:
        warm, session = await Page(server.url).sign_in(), new_id()
        await warm.connect(session)
        await heard(warm, re.compile("passages? from"), await send(warm, QUESTIONS[0]))
        for n in range(options.users):
            page, session, chance = await Page(server.url).sign_in(), new_id(), random.Random(options.seed * 1000 + n)
            await page.connect(session)
            pages.append(page)
            name = f"user-{n:02}"
            job = asks(page, name, options.questions, chance) if n % 2 else adds(page, session, name, folder, chance)
            jobs.append(job)
        began = time.monotonic()
        results = await asyncio.gather(*jobs)
        print(f"{options.users} users, {time.monotonic() - began:.0f} s")
        asked = [one for n, times in enumerate(results) if n % 2 for one in times]
        told("sources", [sources for sources, _ in asked])
        told("answered", [complete for _, complete in asked])
        told("added", [one for n, times in enumerate(results) if not n % 2 for one in times])
        names = {f"user-{n:02}" for n in range(options.users)}
        mixed = [
            n
            for n, page in enumerate(pages)
            if (names - {f"user-{n:02}"}) & set(re.findall(r"user-\d\d", str(page.heard)))
        ]
        print(f"users who heard of others: {len(mixed)}")
        errors = sum(bool(re.search(r"'isError': True|went wrong", str(page.heard))) for page in pages)
        print(f"users who were told of an error: {errors}")
    finally:
        for page in pages:
            await page.close()
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--questions", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    main()
