"""The search over all chats: which have a message with all the words that are searched for.

The words are kept in memory from the first search on, and read again for chats that have changed. An index on disk
would have to be kept free of deleted words, and a damaged file is easier to repair without one.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from chainlit.types import PageInfo, PaginatedResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from chainlit.types import Pagination, ThreadDict

MOST_WORDS = 12
"""Further words of a search are passed over."""

CHATS = """
SELECT t."id", t."createdAt", t."name", t."userId", t."userIdentifier" FROM threads t WHERE t."userId" = :user
AND (CAST(:judged AS INTEGER) IS NULL
    OR EXISTS (SELECT 1 FROM feedbacks f WHERE f."threadId" = t."id" AND f."value" = :judged))
ORDER BY (SELECT MAX(s."createdAt") FROM steps s WHERE s."threadId" = t."id") DESC NULLS LAST
"""
"""A user's chats, the last used first; `judged` is 1 or 0 for those with an answer marked as good or bad."""

_SAID = """
SELECT "threadId", "output" FROM steps
WHERE "type" IN ('user_message', 'assistant_message') AND (CAST(:chat AS TEXT) IS NULL OR "threadId" = :chat)
"""
_BETWEEN = "\n\0\n"
"""Between two messages of a chat: no word has it."""
_WORD = re.compile(r"[^\W_]+")


class ChatWords:
    """The folded text of each chat's messages."""

    def __init__(self, rows: Callable[[str, dict[str, Any]], Awaitable[Any]]) -> None:
        """Read nothing yet.

        Args:
            rows: runs a query with its parameters; its rows, or anything but a list if it failed.
        """
        self._rows = rows
        self._said: dict[str, str] | None = None
        self._forget = False
        self._changed: set[str] = set()
        self._reading = asyncio.Lock()

    def changed(self, chat: str) -> None:
        """Note that a chat has other messages now."""
        self._changed.add(chat)

    def forget(self) -> None:
        """Read all chats again; another process may have changed any."""
        self._forget = True

    async def having(self, search: str, chats: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the chats in which one message, or the name, has all the words; all of them if there is no word."""
        words = [folded(word) for word in _WORD.findall(search)][:MOST_WORDS]
        if not words:
            return list(chats)
        said = await self._read()
        found = []
        for chat in chats:
            texts = f"{folded(str(chat.get('name') or ''))}{_BETWEEN}{said.get(chat['id'], '')}"
            if all(word in texts for word in words) and any(
                all(word in text for word in words) for text in texts.split(_BETWEEN)
            ):
                found.append(chat)
        return found

    async def _read(self) -> dict[str, str]:
        async with self._reading:  # else a second search would answer before the first has read what changed
            if self._forget:
                self._said, self._forget = None, False
            stale: list[str | None] = [None] if self._said is None else list(self._changed)
            self._changed.clear()
            for chat in stale:
                rows = await self._rows(_SAID, {"chat": chat})
                if not isinstance(rows, list):  # the next search tries again
                    self._changed |= {other for other in stale if other is not None}
                    break
                texts = await asyncio.to_thread(_texts, rows)  # a long history takes seconds
                self._said = {} if self._said is None else self._said
                self._said.pop(str(chat), None)
                self._said |= texts
            return self._said or {}


def _texts(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The folded messages of each chat."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        texts.setdefault(row["threadId"], []).append(folded(row["output"] or ""))
    return {name: _BETWEEN.join(messages) for name, messages in texts.items()}


def page_of(found: list[dict[str, Any]], pagination: Pagination) -> PaginatedResponse[ThreadDict]:
    """The part of a list of chats after the one that the page knows last."""
    ids = [chat["id"] for chat in found]
    start = ids.index(pagination.cursor) + 1 if pagination.cursor in ids else 0
    page = found[start : start + pagination.first]
    threads: list[Any] = [{**chat, "tags": [], "metadata": {}, "steps": [], "elements": []} for chat in page]
    info = PageInfo(
        hasNextPage=len(found) > start + pagination.first,
        startCursor=page[0]["id"] if page else None,
        endCursor=page[-1]["id"] if page else None,
    )
    return PaginatedResponse(pageInfo=info, data=threads)


def folded(text: str) -> str:
    """The text without capitals, accents and Markdown's escapes: "Ärger" is "arger"."""
    plain = text.replace("\\", "").casefold()
    if plain.isascii():
        return plain
    return "".join(letter for letter in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(letter))
