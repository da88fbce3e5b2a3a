"""A comparison table: papers by questions, each cell the answer with its pages; as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from rag.inert import cut, table
from rag.render import is_quoted
from rag.texts import N_, _
from ui.exports.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.answer import Answer

CELL_CHARS = 300
"""Of an answer, in the chat; the CSV has it whole."""

NOTHING = N_("not in this paper")
"""The cell of a question that a paper does not answer."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(answer: Answer) -> str:
    """One paper's answer to one question: in quotation marks if the words are the paper's, with their pages."""
    if answer.abstained:
        return _(NOTHING)
    pages = list(dict.fromkeys(c.passage.paper.page_label(c.page) or str(c.page) for c in answer.citations))
    where = f" ({_('p. {page}').format(page=', '.join(pages))})" if pages else ""
    if is_quoted(answer) and answer.citations:
        found = list(dict.fromkeys(" ".join(c.quote.split()) for c in answer.citations))
        quotes = [quote for quote in found if not any(quote in other for other in found if other != quote)]
        return " … ".join(_("“{quote}”").format(quote=quote) for quote in quotes) + where
    text = plain(answer.text)
    for marker in {c.marker for c in answer.citations}:
        text = text.replace(f" [{marker}]", "").replace(f"[{marker}]", "")
    return " ".join(text.split()) + where


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """The rows, head first, as a Markdown table with short cells in which nothing is Markdown."""
    return table([[cut(text, limit=CELL_CHARS) for text in row] for row in rows])


def as_csv(rows: Sequence[Sequence[Any]]) -> str:
    """The rows as CSV for a spreadsheet; a cell that would be a formula gets an apostrophe before it."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerows([[guarded(str(text)) for text in row] for row in rows])
    return "\ufeff" + file.getvalue()  # by this mark, Excel knows that it is UTF-8


def guarded(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA[:4]) else text
