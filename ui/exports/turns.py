"""The nouns of a chat that is taken along: Cited, Cost, Turn, Chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest import Paper


@dataclass(frozen=True, slots=True)
class Cited:
    """One citation of an answer: a marker of its text, the page, the words."""

    marker: int
    paper_id: str
    page: int
    quote: str | None
    verbatim: bool | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one answer took; None for what is unknown."""

    usd: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, or an answer, or anything else that was said."""

    id: str
    role: str
    """"question", "answer" or "note"."""
    at: str | None
    text: str
    """A question as it was typed; an answer with its markers [1]; a note as text."""
    cited: tuple[Cited, ...] = ()
    facts: Mapping[str, Any] | None = None
    """Of `rag.saved_answer.answer_facts`; None of answers that an older version stored."""
    feedback: Mapping[str, Any] | None = None
    table: tuple[tuple[str, ...], ...] = ()
    """Of a note that compares papers: rows of whole cells, the head first. The text has them cut."""
    costs: tuple[Cost, ...] = ()
    """Of an answer, of one that was stopped, and of each cell of a table."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A whole chat."""

    id: str
    name: str
    created_at: str | None
    turns: tuple[Turn, ...]
    papers: dict[str, Paper]
    """Those that are cited and still in the library, by id, in the order of their first citation."""

    @property
    def costs(self) -> list[Cost]:
        """Of all answers."""
        return [cost for turn in self.turns for cost in turn.costs]
