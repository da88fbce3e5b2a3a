"""Export an answer: its text with numbered references, and the cited papers as BibTeX."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import chainlit as cl

from ingest import UserFacingError
from ingest.bibliography import write_bibtex
from ingest.references import References, styles
from rag.render import fenced, with_references
from rag.sentence_marks import marks_in_words
from rag.texts import _
from ui import core
from ui.errors import sentence
from ui.exports.plain import plain
from ui.exports.report import cited_in_style
from ui.people.own_choices import choose_style, chosen_style

if TYPE_CHECKING:
    from ingest import Paper
    from rag.answer import Answer

COPY, BIBTEX, STYLE = "copy_answer", "cited_bibtex", "reference_style"
"""The names of the actions."""

_COPIED = "copied"
"""The key in the session of the text that the browser was asked to copy."""


def kept(answer: Answer) -> dict[str, Any]:
    """What a message stores of its citations: marker, paper and page of each; empty if there are none.

    If sentences are doubtful, it also stores the text that says so, for copying.
    """
    cited = [[citation.marker, citation.passage.paper.id, citation.page] for citation in answer.citations]
    if not cited:
        return {}
    doubted = marks_in_words(answer.text, answer.sentences)
    return {"cited": cited} | ({"doubted": doubted} if doubted != answer.text else {})


def pages_cited(metadata: dict[str, Any]) -> list[tuple[str, int]]:
    """The paper and the page of each citation of a message, in their order."""
    rows = metadata.get("cited")
    rows = rows if isinstance(rows, list) else []
    return [
        (str(row[1]), row[2]) for row in rows if isinstance(row, list) and len(row) == 3 and isinstance(row[2], int)
    ]


def actions(metadata: dict[str, Any]) -> list[cl.Action]:
    """The buttons under an answer, from its message's metadata; none if nothing is cited."""
    cited = metadata.get("cited")
    if not cited:
        return []
    payload = {"answer": metadata.get("doubted") or metadata.get("answer", ""), "cited": cited}
    return [
        cl.Action(name=COPY, label=_("Copy with references"), icon="copy", payload=payload),
        cl.Action(name=BIBTEX, label="BibTeX", icon="quote", payload={"cited": cited}),
    ]


async def act(name: str, payload: Any) -> None:
    """Put an answer with its references on the clipboard, or show its papers as BibTeX. The browser sends the payload.

    Raises:
        UserFacingError: none of the cited papers is in the library any more.
    """
    payload = payload if isinstance(payload, dict) else {}
    cited = _cited(payload.get("cited"))
    if name == BIBTEX:
        papers = {paper.id: paper for _marker, paper, _page in cited}
        await cl.Message(fenced(write_bibtex(list(papers.values())).strip(), language="bibtex")).send()
        return
    text = await cl.make_async(_referenced)(plain(str(payload.get("answer", ""))), cited)
    cl.user_session.set(_COPIED, text)
    await cl.context.emitter.send_window_message({"type": "scholion:copy", "text": text})


async def copied(message: Any) -> None:
    """Say that the text is on the clipboard; if the browser refused it, show the text to be copied by hand.

    `public/copy.js` posts the message, but any script of the page could: the text is the one that the server sent.
    """
    text = cl.user_session.get(_COPIED)
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(text, str) or kind not in {"scholion:copied", "scholion:not-copied"}:
        return
    cl.user_session.set(_COPIED, None)
    if kind == "scholion:copied":
        await cl.context.emitter.send_toast(_("Copied: the answer with its references."), "success")
    else:
        await cl.Message(f"{_('Your browser did not allow copying. Copy the text here:')}\n\n{fenced(text)}").send()


def _referenced(text: str, cited: list[tuple[int, Paper, int]]) -> str:
    """The text with its references: in the style that the user chose, else numbered with their pages."""
    style = chosen_style(core.library().folder)
    if style is None:
        return with_references(text, cited)
    used = [int(number) for number in re.findall(r"\[(\d{1,3})\]", text)]
    where = {marker: (paper, page) for marker, paper, page in reversed(cited)}
    papers = {where[marker][0].id: where[marker][0] for marker in used if marker in where}
    references = References(list(papers.values()), style)
    entries = "\n".join(entry for _number, entry in references.entries())
    return "\n\n".join(part for part in (cited_in_style(text, where, references), entries) if part)


def choices() -> dict[str, Any]:
    """The styles to choose from and the chosen one, for the page."""
    folder = core.library().folder
    now = chosen_style(folder)
    offered = styles(folder)
    if now and now.name not in {style.name for style in offered}:
        offered.append(now)
    return {"styles": [[style.name, style.title] for style in offered], "style": now.name if now else ""}


async def choose(payload: Any) -> dict[str, Any]:
    """Choose a style for references, if the payload names one; returns the choices, and what went wrong."""
    name = payload.get("style") if isinstance(payload, dict) else None
    try:
        if isinstance(name, str):
            await cl.make_async(choose_style)(name, core.library().folder)
        return dict(await cl.make_async(choices)())
    except Exception as error:  # noqa: BLE001 - the page shows it
        return {"error": sentence(error), **choices()}


async def show() -> None:
    """Send the links with which this chat can be taken along."""
    props = {"chat": cl.context.session.thread_id, **await cl.make_async(choices)()}
    await cl.Message("", elements=[cl.CustomElement(name="Export", props=props, display="inline")]).send()


def _cited(rows: Any) -> list[tuple[int, Paper, int]]:
    there = {paper.id: paper for paper in core.library().papers()}
    found = [
        (marker, there[paper_id], page)
        for marker, paper_id, page in (row for row in rows if isinstance(row, list) and len(row) == 3)
        if isinstance(marker, int) and isinstance(page, int) and isinstance(paper_id, str) and paper_id in there
    ] if isinstance(rows, list) else []  # fmt: skip
    if not found:
        raise UserFacingError("The cited papers are no longer in your library.", "Add them again, then ask again.")
    return found
