"""A library of many synthetic papers, filled through its own tables, and a question refined by a model elsewhere."""

from __future__ import annotations

import json
import os
import random
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from fake_embedder import HashEmbedder
from fakes import ScriptedChatModel
from ingest.paper import PAGE_BREAK
from listener import DONE, listening, piece, reply
from rag import Assistant, RagSettings
from rag.expert import AskedBy, Expert
from rag.privacy.gate import Gate
from rag.privacy.policy import save_policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ingest import Embedder, Library
    from listener import Listener
    from rag.answer import Answer

PAGES, PAGE_CHARS, CHUNK_CHARS = 10, 4_000, 700
TOPIC = "zymurgy"
"""Only the first `ABOUT` papers mention it."""
ABOUT = 10


def sentence(paper: int, n: int) -> str:
    """A sentence that occurs in one paper only."""
    return f"The {TOPIC} of barrel {paper} was kept at {n} degrees for {paper + n} days before it was measured."


QUESTION = f"For how many days was the {TOPIC} of the barrel kept, and what does NLA mean?"
POOR = f"The {TOPIC} of each barrel was kept for 999 days in Paris, and nobody measured it [1]. NLA is a cellar."
BETTER = f"{sentence(1, 2)} [1]"


def fill(library: Library, embedder: Embedder, *, papers: int = 200) -> list[str]:
    """Add the papers, each with ten pages of realistic length and one passage per page; returns their ids."""
    dice = random.Random(7)
    words = ["".join(dice.choices("abcdefghilmnoprstu", k=dice.randint(3, 10))) for _ in range(4_000)]
    library.own()
    library._claim_for(embedder.name)
    ids, names, texts, rows = [], [], [], []
    now = datetime.now(UTC).isoformat()
    for paper in range(papers):
        paper_id = f"{paper:016x}"
        ids.append(paper_id)
        pages = [_page(dice, words, paper, n) for n in range(PAGES)]
        begins = [sum(map(len, pages[:n])) + n * len(PAGE_BREAK) for n in range(PAGES)]
        for n, page in enumerate(pages):
            names.append(f"{paper_id}:{n:04}")
            texts.append(page[:CHUNK_CHARS])
            rows.append((names[-1], paper_id, n, texts[-1], begins[n], begins[n] + len(texts[-1]), n + 1, n + 1))
        with library._db as db:
            db.execute(
                "INSERT INTO papers (id, title, authors, n_pages, file_name, refs, added_at, finished_at)"
                " VALUES (?, ?, '[]', ?, ?, ?, ?, ?)",
                (paper_id, f"Paper {paper}", PAGES, f"{paper}.pdf", json.dumps([]), now, now),
            )
            db.executemany(
                "INSERT INTO pages VALUES (?, ?, ?)", [(paper_id, n, page) for n, page in enumerate(pages, start=1)]
            )
    vectors = embedder.embed_documents(texts)
    with library._db as db:
        db.executemany(
            'INSERT INTO chunks (id, paper_id, ordinal, text, start, "end", first_page, last_page, n_tokens, vector)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 120, ?)",
            [(*row, vector.tobytes()) for row, vector in zip(rows, vectors, strict=True)],
        )
    library.vectors.add(names, vectors)
    return ids


def _page(dice: random.Random, words: list[str], paper: int, n: int) -> str:
    said, size = [], 0
    if paper < ABOUT:
        said = [sentence(paper, n)]
    while size < PAGE_CHARS:
        long = dice.choices(words, k=3)
        short = "".join(word[0] for word in long).upper()
        plain = dice.choices(words, k=16)
        plain[5:5] = [*long, f"({short})"] if dice.random() < 0.2 else []
        said.append(f"The {' '.join(plain)}.")
        size += len(said[-1]) + 1
    return " ".join(said)


def guard(library: Library, *, calls: int = 200, words: int = 300) -> None:
    """Maximise what the gate and the terms must read: half of the papers `local only`, a long log, two long lists."""
    gate = Gate(library.folder)
    ids = [paper.id for paper in library.papers()]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        for n in range(calls):
            gate.audit.append("answered", {"permit": f"{n:016x}", "input_tokens": 900, "output_tokens": 90})
        save_policy(gate.policy().with_papers(ids[len(ids) // 2 :], local_only=True), library.folder, gate.audit)
    (library.folder / "redact.txt").write_text("".join(f"Person Number{n}\n" for n in range(words)))
    rows = "".join(f"term{n},what term {n} means,synonym{n}\n" for n in range(words))
    (library.folder / "glossary.csv").write_text(f"term,definition,synonyms\n{rows}")


@asynccontextmanager
async def asked_elsewhere(library: Library) -> AsyncIterator[tuple[Assistant, Listener]]:
    """An assistant whose larger model is at 127.0.0.2, which must be treated as another machine."""
    async with listening(reply(piece(BETTER) + piece(None, "stop") + DONE), host="127.0.0.2") as there:
        settings = RagSettings(drafter_sentences=0, expert=f"{there.url}#large", expert_context=16384)
        yield (
            Assistant(
                library=library,
                embedder=HashEmbedder(),
                drafter=ScriptedChatModel(*[POOR] * 20, name="small", window=16384),
                settings=settings,
                expert=Expert.open(settings, library=library.folder, gate=Gate.of(library, settings)),
            ),
            there,
        )


async def refined(assistant: Assistant) -> Answer:
    """Ask in mode refine, and consent to sending."""

    async def agree(_payload):
        return "once"

    async with aclosing(assistant.ask(QUESTION, mode="refine", asked_by=AskedBy(agree, "a"))) as events:
        return [event async for event in events][-1].answer
