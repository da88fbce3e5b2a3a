"""Which papers a chat asks: all, those with a tag, or those chosen in the Library; remembered per chat."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import chainlit as cl

from ingest import UserFacingError
from rag.texts import _, counted
from ui import core

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ingest import Paper

ALL, CHOSEN, TAG = "all", "chosen", "tag:"
"""Values of the picker: `all`, `chosen`, or `tag:` and the tag."""

PICKER = "scope"
"""The picker's id, and the key in the session and in messages."""


WAITS_SECONDS = 60.0
"""How long a choice waits for the next chat."""


ONLY = "only"
"""The key in an answer's metadata, and in its button, of the papers that its question alone asked."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The papers to ask, as `Assistant.ask` takes them."""

    paper_ids: Sequence[str] | None = None
    tag: str | None = None
    once: bool = False
    """For one question, whatever the chat asks otherwise."""


def picker() -> cl.Mode:
    """The picker beside the composer, set to the chat's current choice."""
    now = _session()
    papers = {paper.id for paper in core.library().papers()}
    options = [(ALL, _("All papers"), "layers", counted(len(papers), "paper"))]
    options += [(TAG + tag, tag, "tag", counted(len(ids), "paper")) for tag, ids in core.library().tags().items()]
    if chosen := [paper_id for paper_id in _chosen() if paper_id in papers]:
        options.append((CHOSEN, counted(len(chosen), "chosen paper"), "list-checks", _("Chosen in the Library")))
    here = now if now in {option[0] for option in options} else ALL
    return cl.Mode(
        id=PICKER,
        name=_("Papers to search"),
        options=[
            cl.ModeOption(id=name, name=label, icon=icon, description=text, default=name == here)
            for name, label, icon, text in options
        ],
    )


def of_message(message: cl.Message) -> Choice:
    """The picker's value when the message was sent; it becomes the chat's choice.

    Raises:
        UserFacingError: the chosen papers are gone.
    """
    picked = cast("Mapping[str, Any]", message.modes or {}).get(PICKER)
    if isinstance(picked, str):
        cl.user_session.set(PICKER, picked)
    return current()


def current() -> Choice:
    """The chat's current choice.

    Raises:
        UserFacingError: the chosen papers are gone.
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
    """These papers, for one question; the chat's choice is unchanged."""
    return Choice(paper_ids=[paper.id for paper in papers], once=True)


def again(only: Any) -> Choice:
    """The papers that a question alone asked, if it did; else what the chat asks.

    Raises:
        UserFacingError: none of them is in the library any more.
    """
    return of_papers(still_there([str(name) for name in only])) if isinstance(only, list) and only else current()


def still_there(paper_ids: Iterable[str]) -> list[Paper]:
    """Those papers of a question's files that are in the library.

    Raises:
        UserFacingError: none is.
    """
    if papers := core.library().papers(paper_ids):
        return papers
    raise UserFacingError("No file of this question is in your library.", "Attach the files to a new question.")


def choose(paper_ids: Sequence[str]) -> str:
    """Ask these papers from now on, or all if none is given; returns a sentence for the user."""
    there = {paper.id for paper in core.library().papers()}
    ids = [paper_id for paper_id in dict.fromkeys(paper_ids) if paper_id in there]
    cl.user_session.set("chosen", ids)
    cl.user_session.set(PICKER, CHOSEN if ids else ALL)
    return (
        _("Your questions now search {papers}.").format(papers=counted(len(ids), "chosen paper"))
        if ids
        else _("Your questions now search all papers.")
    )


def choose_from(chosen: Mapping[str, Any]) -> str:
    """Take a choice of the Library, {"ids": […]} or {"tag": "…"}; neither means all. Returns a sentence for the user.

    Raises:
        TagError: no paper carries the tag.
    """
    tag, ids = chosen.get("tag"), chosen.get("ids")
    if not isinstance(tag, str) or not tag:
        return choose([str(paper_id) for paper_id in ids] if isinstance(ids, list) else [])
    papers = core.library().tagged(tag)
    name = next(known for known in core.library().tags() if known.casefold() == tag.strip().casefold())
    cl.user_session.set(PICKER, TAG + name)
    return _("Your questions now search {papers} tagged “{tag}”.").format(
        papers=counted(len(papers), "paper"), tag=name
    )


def in_words() -> str:
    """What this chat asks: "all papers", "2 chosen papers", "papers tagged “thesis”"."""
    now = _session()
    if now.startswith(TAG):
        return _("papers tagged “{tag}”").format(tag=now.removeprefix(TAG))
    return counted(len(_chosen()), "chosen paper") if now == CHOSEN else _("all papers")


def asks_all() -> bool:
    """Whether this chat asks all papers."""
    return _session() == ALL


_waiting: dict[str, tuple[float, Mapping[str, Any]]] = {}
"""For each person, when they made the choice, and the choice."""


def for_next_chat(chosen: Mapping[str, Any]) -> None:
    """Keep a choice, as `choose_from` takes it, for the chat that is opened next."""
    _waiting[core.person()] = (time.monotonic(), chosen)


def take_waiting() -> None:
    """Make the choice that waits, if any, this chat's."""
    since, chosen = _waiting.pop(core.person(), (0.0, {}))
    if chosen and time.monotonic() - since < WAITS_SECONDS:
        with suppress(UserFacingError):  # the tag is gone
            choose_from(chosen)


def kept() -> dict[str, Any]:
    """What a message stores so that the choice survives a restart; empty if all papers are asked."""
    now = _session()
    if now.startswith(TAG):
        return {PICKER: {"tag": now.removeprefix(TAG)}}
    return {PICKER: {"papers": _chosen()}} if now == CHOSEN else {}


def remember(kept: Any) -> None:
    """Restore the choice from a stored message."""
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
