"""How long the search over all chats takes with 1,000 chats of ten questions and answers: at most 300 ms for p95."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
import uuid
from pathlib import Path

CHATS, TURNS, SEARCHES = 1000, 10, 100
BOUND = 0.3


def filled(file: Path) -> str:
    """Write the chats straight into the file; returns the user's id."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghilmnoprstuvy", k=rng.randint(3, 10))) for _ in range(4000)]
    user = str(uuid.uuid4())
    with sqlite3.connect(file) as db:
        db.execute("INSERT INTO users VALUES (?, 'bench', '{}', '')", (user,))
        for chat in range(CHATS):
            name = str(uuid.uuid4())
            db.execute(
                'INSERT INTO threads ("id", "createdAt", "name", "userId", "userIdentifier") VALUES (?, ?, ?, ?, ?)',
                (name, f"{chat:06d}", " ".join(rng.choices(words, k=8)), user, "bench"),
            )
            for turn in range(TURNS):
                for kind, n in (("user_message", 12), ("assistant_message", 200), ("tool", 200)):
                    db.execute(
                        'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "output", "createdAt") '
                        "VALUES (?, 'x', ?, ?, 0, ?, ?)",
                        (str(uuid.uuid4()), kind, name, " ".join(rng.choices(words, k=n)), f"{chat:06d}-{turn:02d}"),
                    )
    return user


async def main() -> int:
    from chainlit.types import Pagination, ThreadFilter

    from ui.history import ChatHistory, UploadFolder

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.db"
        history = ChatHistory(file, UploadFolder(Path(folder) / "uploads"))
        user = filled(file)
        failed, began = False, time.perf_counter()
        await history.list_threads(Pagination(first=20), ThreadFilter(userId=user, search="first"))
        print(f"the first search, which reads all messages: {(time.perf_counter() - began) * 1000:.0f} ms")
        for what, search in {"all chats": None, "two words": "nothing here", "accents": "Ärger"}.items():
            seconds = []
            for _ in range(SEARCHES if search is None else SEARCHES // 2):
                began = time.perf_counter()
                await history.list_threads(Pagination(first=20), ThreadFilter(userId=user, search=search))
                seconds.append(time.perf_counter() - began)
            p95 = statistics.quantiles(seconds, n=20)[-1]
            failed |= p95 > BOUND
            size = file.stat().st_size / 1e6
            print(f"{what:10} p50 {statistics.median(seconds) * 1000:4.0f} ms, p95 {p95 * 1000:4.0f} ms, {size:.0f} MB")
        await history.close()
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
