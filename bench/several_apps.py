"""Fifty users of two app processes, one of which is killed now and then: is anything lost or doubled, and who notices?

    python bench/several_apps.py [--minutes 5] [--kills 5] [--users 50] [--seed 1] [--one]

Real are Postgres, `chroma run`, nginx with the configuration of docs/scale.md, and both processes with accounts,
search, reader, parser and checks; the model is a stub that writes 20 words a second. Half of the users ask, and vote on
some answers; half add papers and tag them, every second one after sharing it (bench/several_users.py). At random
moments, a random process is killed with SIGKILL and started again after three seconds.

At the end the work that was left is waited for, the processes are stopped, and what the users were told is compared
with what is there: each paper once, finished, with its chunks in the tables and their vectors in Chroma; each question
and each answer once in its owner's chat; each vote and each tag once. Errors are counted by what was said, apart for
those that were with a process when it was killed. Times are from the first try to success, also if some failed between:
*before* ended before the first kill, *during* overlaps the ten seconds after a kill, *after* is the rest. `--one` has
one process and the same load. They are wall-clock times: run it on a quiet machine. The exit status is 1 if something
was lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "bench")]
logging.disable(logging.CRITICAL)

from several_users import PASSWORD, WHOLE, Told, User  # noqa: E402

from chroma_server import Server as ChromaServer  # noqa: E402
from ingest import IngestSettings, Library  # noqa: E402
from nginx import Nginx, for_several  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from served import Served, app_root  # noqa: E402
from ui.people.passwords import hashed  # noqa: E402
from ui.people.store import People  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER = (
    "The adapter takes 83.9 MB in all [1]. Each of its weights is stored with sixteen bits, and the file has a header "
    "of a few kilobytes. The base model stays as it is, so several adapters may share one copy in memory."
)
PACE = 0.05
DOWN_SECONDS, DURING_SECONDS = 3.0, 10.0
LEFT_SECONDS = 180.0
"""How long the work that was left may take."""
UNFINISHED = ("queued", "parsing", "embedding")
STEPS = """
    SELECT s."id", s."type", s."output", s."metadata", t."userIdentifier"
    FROM steps s JOIN threads t ON t."id" = s."threadId" JOIN users u ON u."id" = t."userId"
    WHERE s."type" IN ('user_message', 'assistant_message')
"""


class App(Served):
    """One process, with everything real but the model."""

    def command(self) -> list[str]:
        return ["-m", "ui"]


def report(told: Told, name: str, *, what: Sequence[str] = ("sources", "answered", "added", "tag", "vote")) -> None:
    """A table of the times and the errors."""
    first = min((at for at, _ in told.kills), default=float("inf"))

    def phase(began: float, ended: float) -> str:
        if any(began < at + DURING_SECONDS and ended > at for at, _ in told.kills):
            return "during"
        return "before" if ended <= first else "after"

    print(f"\n| {name}, p50 / p95 s (n) | before | during | after |\n|---|--:|--:|--:|")
    for kind in what:
        cells = []
        for wanted in ("before", "during", "after"):
            seconds = [
                ended - began for one, began, ended in told.times if one == kind and phase(began, ended) == wanted
            ]
            if seconds:
                p50, p95 = np.percentile(seconds, [50, 95])
                cells.append(f"{p50:.2f} / {p95:.2f} ({len(seconds)})")
            else:
                cells.append("none")
        print(f"| {kind} | {' | '.join(cells)} |")
    for flight, title in ((True, "in flight on the process that was killed"), (False, "all others")):
        found = {(tried, said): n for (tried, said, was), n in told.errors.items() if was is flight}
        print(f"\nErrors, {title}: {sum(found.values())}")
        for (tried, said), n in sorted(found.items(), key=lambda one: -one[1]):
            print(f"  {n} × {tried}: {said[:200]}")
    for said, n in told.refused.items():
        print(f"  {n} × a page that connected: {said[:200]}")


def compared(told: Told, library: Library, people: People, steps: list[Any], feedbacks: list[Any]) -> Counter[str]:
    """What of all that was told is lost or doubled."""
    wrong: Counter[str] = Counter()

    def check(what: str, found: int, *, of: str) -> None:
        if found != 1:
            wrong[fault := f"{what} {'lost' if not found else 'doubled'}"] += 1
            print(f"{fault}: {of}, {found} times")

    papers = {paper.id: paper for paper in library.papers()}
    titles = Counter(paper.title for paper in papers.values())
    vectors = library.vectors.ids()
    for paper, (title, _) in told.papers.items():
        check("papers", titles[title] if paper in papers else 0, of=title)
        chunks = library.chunk_ids([paper])
        check("papers' chunks", int(bool(chunks) and library.ledger.is_finished(paper)), of=title)
        check("papers' vectors", int(vectors.issuperset(chunks)), of=title)
    wrong["vectors of nothing"] = len(vectors - set(library.chunk_ids()))

    owners = {person.id: person.name for person in people.all()}
    questions = [(step["output"], owners[step["userIdentifier"]]) for step in steps if step["type"] == "user_message"]
    for name, user in told.asked.items():
        check("questions", sum(text.endswith(f"({name})") and owner == user for text, owner in questions), of=name)
    whole = {step["id"]: step for step in steps if step["type"] == "assistant_message" and WHOLE.search(step["output"])}
    about = Counter(
        json.loads(step["metadata"] or "{}").get("question", "").rpartition("(")[2] for step in whole.values()
    )
    for step, name in told.answered.items():
        check("answers", about[f"{name})"] if step in whole else 0, of=f"{name}, {step}")

    for step, value in told.votes.items():
        stored = [row["value"] for row in feedbacks if row["forId"] == step]
        check("votes", len(stored), of=step)
        wrong["votes with another value"] += stored not in ([], [value])
    ids = {person.name: person.id for person in people.all()}
    for paper, (tag, user) in told.tags.items():
        own = people.held(paper)[ids[user]].tags if ids[user] in people.held(paper) else ()
        check("tags", [*library.tags_of(paper), *own].count(tag), of=tag)
        check("papers held", int(ids[user] in people.held(paper)), of=tag)
        check("papers shared", int(people.is_shared(paper) == (paper in told.shared)), of=tag)
    return +wrong


class Team:
    """Everything that runs."""

    def __init__(self, folder: Path, *, one: bool, users: int, stack: ExitStack) -> None:
        self.folder = folder
        root, library = app_root(folder / "root"), folder / "library"
        library.mkdir()
        self.database = PostgresServer(connections=100)
        stack.callback(self.database.close)
        self.database.start()
        chroma = ChromaServer(folder / "chroma")
        stack.callback(chroma.kill)
        stub = [sys.executable, ROOT / "tests" / "support" / "paced_engine.py", str(PACE), ANSWER]
        engine = subprocess.Popen(
            [str(part) for part in stub], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.callback(engine.kill)
        assert engine.stdout
        self.nginx = Nginx(folder / "nginx")
        self.nginx.folder.mkdir()
        stack.callback(self.nginx.stop)
        self.url = f"https://127.0.0.1:{self.nginx.port}"
        self.settings = {
            "SCHOLION_CATALOGUE": asyncio.run(self.database.create()),
            "SCHOLION_CHATS": asyncio.run(self.database.create()),
            "SCHOLION_CHROMA": chroma.url,
            "SCHOLION_DRAFTER": engine.stdout.readline().strip(),
            "SCHOLION_DRAFTER_SLOTS": "16",
            "SCHOLION_PEOPLE": "passwords",
            "SCHOLION_ADDRESS": self.url,
        } | ({} if one else {"SCHOLION_SEVERAL": "1"})
        people, kept = People(library), hashed(PASSWORD)
        for n in range(users):
            people.add(f"user{n:02}", password=kept)
        people.close()
        self.apps = {}
        for name in "12":
            app = self.apps[name] = App(library=library, root=root)
            app.log = folder / f"app-{name}.log"
            app.settings = self.settings
            stack.callback(app.stop, signal.SIGKILL)
        self.nginx.start(for_several(), to=[app.port for app in self.apps.values()])
        if one:
            del self.apps["2"]
        for app in self.apps.values():
            app.start()

    @property
    def library(self) -> Path:
        """Its folder."""
        return self.folder / "library"

    def open(self) -> Library:
        """The library, to be read."""
        return Library(
            IngestSettings(
                library=self.library,
                catalogue=self.settings["SCHOLION_CATALOGUE"],
                chroma=self.settings["SCHOLION_CHROMA"],
            )
        )

    async def rows(self, query: str) -> list[Any]:
        """Of the chats."""
        import asyncpg

        connection = await asyncpg.connect(self.settings["SCHOLION_CHATS"])
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    def left(self) -> int:
        """How many files are not finished."""
        library = self.open()
        try:
            return len(library.ledger.entries(*UNFINISHED))
        finally:
            library.close()


async def kills(team: Team, told: Told, *, moments: list[float], chance: random.Random, began: float) -> None:
    """Kill a process at each of the moments, and start it again."""
    for moment in moments:
        await asyncio.sleep(began + moment - time.monotonic())
        name = chance.choice(sorted(team.apps))
        told.kills.append((time.monotonic(), name))
        await asyncio.to_thread(team.apps[name].stop, signal.SIGKILL)
        await asyncio.sleep(DOWN_SECONDS)
        await asyncio.to_thread(team.apps[name].start)
        print(f"{moment:.0f} s: killed {name}, which answers again after {time.monotonic() - told.kills[-1][0]:.0f} s")


async def run(team: Team, options: argparse.Namespace) -> Told:
    """The users and the kills."""
    told, chance = Told(), random.Random(options.seed)
    seconds = options.minutes * 60
    part = 0.9 * seconds / max(1, options.kills)
    moments = [(n + 0.25 + chance.uniform(0, 0.5)) * part for n in range(options.kills)]
    users = [User(team.url, f"user{n:02}", told, seed=options.seed * 1000 + n) for n in range(options.users)]
    papers = team.folder / "papers"
    papers.mkdir()
    try:
        for at in range(0, len(users), 5):
            await asyncio.gather(*(user.sign_in() for user in users[at : at + 5]))
            await asyncio.gather(*(user.visit() for user in users[at : at + 5]))
        await users[1].ask()  # the models are loaded
        told.times.clear()
        began = time.monotonic()
        jobs = [
            user.asks(began + seconds) if n % 2 else user.adds(began + seconds, papers) for n, user in enumerate(users)
        ]
        await asyncio.gather(kills(team, told, moments=moments, chance=chance, began=began), *jobs)
        heard = {user.name: set(re.findall(r"\((user\d\d) \d+\)", str(user.heard))) for user in users}
        mixed = sum(bool(names - {name}) for name, names in heard.items())
        print(f"{options.users} users, {time.monotonic() - began:.0f} s; users who heard others' questions: {mixed}")
    finally:
        for user in users:
            await user.close()
    return told


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", action="store_true", help="one process, with the same load")
    parser.add_argument("--logs", type=Path, help="a folder for the logs of the processes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        load = os.getloadavg()[0]
        team = Team(Path(name), one=options.one, users=options.users, stack=stack)
        try:
            told = asyncio.run(run(team, options))
            end = time.monotonic() + LEFT_SECONDS
            while (left := team.left()) and time.monotonic() < end:
                time.sleep(1)
            for app in team.apps.values():
                app.stop()
        finally:
            if options.logs:
                options.logs.mkdir(parents=True, exist_ok=True)
                for path in (*Path(name).glob("*.log"), *Path(name).glob("nginx/*.log")):
                    (options.logs / path.name).write_bytes(path.read_bytes())
        verified = subprocess.run(
            [sys.executable, "-m", "ingest", "verify"],
            cwd=ROOT,
            env=os.environ | {"SCHOLION_LIBRARY": str(team.library)} | team.settings,
            capture_output=True,
            text=True,
            check=False,
        )
        library, people = team.open(), People(team.library)
        steps = asyncio.run(team.rows(STEPS))
        feedbacks = asyncio.run(team.rows('SELECT "forId", "value" FROM feedbacks'))
        wrong = compared(told, library, people, steps, feedbacks)
        if left:
            wrong["files not finished"] = left
        if verified.returncode:
            wrong["verify"] = 1
        library.close()
        people.close()
    report(told, "one process" if options.one else "two processes")
    print(
        f"\nTold: {len(told.asked)} questions, {len(told.answered)} answers, {len(told.votes)} votes, "
        f"{len(told.papers)} papers, {len(told.tags)} tags; {len(told.kills)} kills; load at the start {load:.1f}"
    )
    print(f"verify: {(verified.stdout + verified.stderr).strip()}")
    print(f"lost or doubled: {dict(wrong) or 'nothing'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
