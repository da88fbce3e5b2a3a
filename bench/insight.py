"""How long the insight page waits for the figures of many chats, in milliseconds: of the clock and of the processor.

    python bench/insight.py --chats 1000 --answers 3

The metadata of each answer is as long as a real one's (about 12 kB: quotes, passages' ids, the draft).
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
import time
from pathlib import Path

from rag.insight.summary import summed_up
from ui.insight import answers_of, as_csv
from ui.salvage import schema

STAGES = ("search", "reading", "first word", "draft", "check", "other")


def metadata(chance: random.Random) -> str:
    """Of one answer, with made-up figures."""
    words = " ".join(chance.choices(("cache", "adapter", "token", "memory", "draft"), k=60))
    stages = {name: round(chance.random(), 4) for name in STAGES}
    figures = {
        "seconds": sum(stages.values()),
        "first_word": 0.4,
        "stages": stages,
        "confidence": chance.random(),
        "stayed": True,
        "kind": "fact",
        "larger_shown": False,
        "lost": False,
        "written": [
            {"model": "SmolLM2 + answers", "here": True, "larger": False, "seconds": 1.5, "first_seconds": 0.3,
             "usage": {"input_tokens": 300, "output_tokens": 40}, "usd": None, "wh": 0.01, "measured": "estimated"}
        ],
    }  # fmt: skip
    record = {"question": words, "draft": {"text": words * 2, "model": "SmolLM2", "usage": None, "seconds": 1.5}}
    record["passages"] = [[n, f"0123456789abcdef:{n:04}", 0.5, ["dense", "lexical"]] for n in range(6)]
    quotes = {f"/cite/0123456789abcdef/{n}/0001": [words] * 3 for n in range(8)}
    return json.dumps({"question": words, "answer": words, "quotes": quotes, "record": record, "figures": figures})


def fill(file: Path, *, chats: int, answers: int) -> int:
    """Write a chat history; returns its size in bytes."""
    chance = random.Random(7)
    with sqlite3.connect(file) as db:
        db.executescript(schema())
        db.execute("INSERT INTO users VALUES ('u', 'local', '{}', '')")
        for chat in range(chats):
            at = f"2026-{1 + chat * 12 // chats:02}-10T10:00:00.000Z"
            db.execute(
                'INSERT INTO threads ("id", "createdAt", "name", "userId") VALUES (?, ?, ?, ?)',
                (f"chat-{chat}", at, f"Chat {chat}", "u"),
            )
            for n in range(answers):
                for kind in ("user_message", "tool", "assistant_message"):
                    db.execute(
                        'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "output", "metadata", '
                        '"createdAt") VALUES (?, ?, ?, ?, 0, ?, ?, ?)',
                        (f"{chat}-{n}-{kind}", "x", kind, f"chat-{chat}", "text " * 300,
                         metadata(chance) if kind == "assistant_message" else "{}", at),
                    )  # fmt: skip
    return file.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=3, help="per chat")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.db"
        size = fill(file, chats=options.chats, answers=options.answers)
        print(f"{options.chats} chats, {options.chats * options.answers} answers, {size / 1e6:.0f} MB")
        for name, work in (
            ("query", lambda: sum(1 for _ in answers_of(file, "local"))),
            ("query and summary", lambda: summed_up(answers_of(file, "local"))),
            ("CSV", lambda: as_csv(answers_of(file, "local"))),
        ):
            took, used = [], []
            for _ in range(5):
                began, computed = time.perf_counter(), time.process_time()
                work()
                took.append(time.perf_counter() - began)
                used.append(time.process_time() - computed)
            print(
                f"{name:18} best {min(took) * 1000:5.0f} ms, median {sorted(took)[2] * 1000:5.0f} ms, "
                f"of the processor {min(used) * 1000:5.0f} ms"
            )


if __name__ == "__main__":
    main()
