"""Which papers a chat asks: all of them, those of a tag, or those chosen in the Library; kept for the chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import chainlit as cl

from ingest import UserFacingError
from rag.words import counted
from ui import core

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ingest import Paper

ALL, CHOSEN, TAG = "all", "chosen", "tag:"
"""What the picker sends: `all`, `chosen`, or `tag:` and the tag."""

PICKER = "scope"
"""The picker's id, and the name under which the session and the messages keep what was chosen."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The papers to ask, as `Assistant.ask` takes them."""

    paper_ids: Sequence[str] | None = None
    tag: str | None = None


def picker() -> cl.Mode:
    """The picker beside the composer, standing at what the chat asks now."""
    now = _session()
    papers = {paper.id for paper in core.library().papers()}
    options = [(ALL, "All papers", "layers", counted(len(papers), "paper"))]
    options += [(TAG + tag, tag, "tag", counted(len(ids), "paper")) for tag, ids in core.library().tags().items()]
    if chosen := [paper_id for paper_id in _chosen() if paper_id in papers]:
        options.append((CHOSEN, f"{counted(len(chosen), 'chosen paper')}", "list-checks", "Chosen in the Library"))
    here = now if now in {option[0] for option in options} else ALL
    return cl.Mode(
        id=PICKER,
        name="Papers to search",
        options=[
            cl.ModeOption(id=name, name=label, icon=icon, description=text, default=name == here)
            for name, label, icon, text in options
        ],
    )


def of_message(message: cl.Message) -> Choice:
    """What the picker stood at when the message was sent; it stays so for the chat.

    Raises:
        UserFacingError: the papers that were chosen are gone.
    """
    picked = cast("Mapping[str, Any]", message.modes or {}).get(PICKER)
    if isinstance(picked, str):
        cl.user_session.set(PICKER, picked)
    return current()


def current() -> Choice:
    """What the chat asks now.

    Raises:
        UserFacingError: the papers that were chosen are gone.
    """
    now = _session()
    if now.startswith(TAG):
        return Choice(tag=now.removeprefix(TAG))
    if now != CHOSEN:
        return Choice()
    there = {paper.id for paper in core.library().papers()}
    if ids := [paper_id for paper_id in _chosen() if paper_id in there]:
        return Choice(paper_ids=ids)
    raise UserFacingError(
        "The papers you chose are no longer in your library.",
        "Choose other papers in the Library, or search all papers.",
    )


def of_papers(papers: Iterable[Paper]) -> Choice:
    """These papers, for one question; what the chat asks stays."""
    return Choice(paper_ids=[paper.id for paper in papers])


def choose(paper_ids: Sequence[str]) -> str:
    """Ask these papers from now on, or all where none is given; a sentence on what holds now."""
    there = {paper.id for paper in core.library().papers()}
    ids = [paper_id for paper_id in dict.fromkeys(paper_ids) if paper_id in there]
    cl.user_session.set("chosen", ids)
    cl.user_session.set(PICKER, CHOSEN if ids else ALL)
    return (
        f"Your questions now search {counted(len(ids), 'chosen paper')}."
        if ids
        else "Your questions now search all papers."
    )


def kept() -> dict[str, Any]:
    """What a message keeps, so that the chat goes on with it after a restart; empty while all papers are asked."""
    now = _session()
    if now.startswith(TAG):
        return {PICKER: {"tag": now.removeprefix(TAG)}}
    return {PICKER: {"papers": _chosen()}} if now == CHOSEN else {}


def remember(kept: Any) -> None:
    """Take up what a stored message kept."""
    if isinstance(kept, dict) and isinstance(kept.get("tag"), str):
        cl.user_session.set(PICKER, TAG + kept["tag"])
    elif isinstance(kept, dict) and isinstance(kept.get("papers"), list):
        cl.user_session.set("chosen", [str(paper_id) for paper_id in kept["papers"]])
        cl.user_session.set(PICKER, CHOSEN)
    else:
        cl.user_session.set(PICKER, ALL)


def _session() -> str:
    return str(cl.user_session.get(PICKER) or ALL)


def _chosen() -> list[str]:
    return list(cl.user_session.get("chosen") or [])
