"""The stored answers of one user, with their figures, read from the chat history without loading any chat."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from rag.insight.figures import read_figures
from rag.insight.summary import Answered, answer_row
from ui.exports.table import guarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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
            question, figures, model, seconds, usage = json.loads(kept)
            if not isinstance(question, str):  # a message that answers nothing
                continue
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
