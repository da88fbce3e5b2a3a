"""The stored answers of one user, with their figures, read from the chat history without loading any chat."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ingest import postgres
from rag.insight.figures import read_figures
from rag.insight.summary import Answered, answer_row
from ui.exports.table import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ingest.postgres import Address

QUESTION_CHARS = 160

# One call of json_extract reads the metadata once; `+` keeps SQLite from starting at every step of the file.
_ANSWERS = """
    SELECT s."id", t."id", coalesce(t."name", ''), coalesce(s."createdAt", ''),
        json_extract(s."metadata", '$.question', '$.figures', '$.record.draft.model', '$.record.draft.seconds',
            '$.record.draft.usage')
    FROM users u JOIN threads t ON t."userId" = u."id" JOIN steps s ON s."threadId" = t."id"
    WHERE u."identifier" = ? AND (? IS NULL OR t."id" = ?) AND +s."type" = 'assistant_message'
        AND json_valid(s."metadata")
    ORDER BY s."createdAt"
"""
_IN_POSTGRES = """
    SELECT s."id", t."id", coalesce(t."name", ''), coalesce(s."createdAt", ''), s."metadata"
    FROM users u JOIN threads t ON t."userId" = u."id" JOIN steps s ON s."threadId" = t."id"
    WHERE u."identifier" = $1 AND ($2::text IS NULL OR t."id" = $2) AND s."type" = 'assistant_message'
    ORDER BY s."createdAt"
"""
_THERE = "SELECT to_regclass('steps') IS NOT NULL"


def answers_of(file: Path, user: str, *, chat: str | None = None) -> Iterator[Answered]:
    """The answers of a user, oldest first; nothing while there is no chat history.

    Args:
        file: `chats.db`.
        user: the user's name, as they are logged in.
        chat: only this chat.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    if not file.exists():
        return
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
        for step, thread, name, at, kept in db.execute(_ANSWERS, (user, chat, chat)):
            yield from answered(step, thread, name, at, json.loads(kept))


def answers_in(address: Address, user: str, *, chat: str | None = None) -> Iterator[Answered]:
    """The answers of a user, oldest first, as `answers_of`; from a thread without an event loop.

    Raises:
        UserFacingError: the database cannot be read; the text says why.
    """
    for step, thread, name, at, metadata in asyncio.run(_rows(address, user, chat)):
        try:
            kept = json.loads(metadata or "{}")
        except ValueError:
            continue
        if isinstance(kept, dict):
            draft = _part(_part(kept.get("record")).get("draft"))
            record = {name: draft.get(name) for name in ("model", "seconds", "usage")}
            found = (kept.get("question"), kept.get("figures"), *record.values())
            yield from answered(step, thread, name, at, found)


async def _rows(address: Address, user: str, chat: str | None) -> list[Any]:
    try:
        connection = await postgres.connect(address)
        try:
            return list(await connection.fetch(_IN_POSTGRES, user, chat)) if await connection.fetchval(_THERE) else []
        finally:
            await connection.close()
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        raise postgres.in_words(error, address) from None


def answered(step: str, thread: str, name: str, at: str, kept: Sequence[Any]) -> Iterator[Answered]:
    """A stored message as an answer; nothing if it answers nothing.

    Args:
        step: its id.
        thread: the id of its chat.
        name: the chat's name.
        at: when.
        kept: of its metadata the question, the figures, and the draft's model, seconds and usage.
    """
    question, figures, model, seconds, usage = kept
    if isinstance(question, str):
        record = {"model": model, "seconds": seconds, "usage": usage}
        yield Answered(
            id=step,
            chat=thread,
            name=name,
            at=at,
            question=question[:QUESTION_CHARS],
            figures=read_figures(figures, record=record),
        )


def as_csv(answers: Iterable[Answered]) -> str:
    """One row per answer with column names, for a spreadsheet; empty cells were not measured."""
    out = io.StringIO()
    writer = None
    for answer in answers:
        row = answer_row(answer)
        if writer is None:
            writer = csv.DictWriter(out, list(row))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return guarded(value) if isinstance(value, str) else value


def _part(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
