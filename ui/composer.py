"""The controls around the composer: answer modes, papers to ask, the Library button, first questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

import chainlit as cl

from rag.answer import Mode
from rag.texts import N_, _
from ui import core, scope
from ui.starters import questions
from ui.texts.languages import NAMES, texts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY, SUMMARISE, COMPARE = N_("Library"), N_("Summarise"), N_("Compare")
GLOSSARY, COST, EXPORT = N_("Glossary"), N_("Cost"), N_("Export")
"""The commands; what each does is said in `_COMMANDS`. The page names and sends them in the reader's language."""

_COMMANDS = (
    (LIBRARY, "library", N_("Your papers: add, find, correct, tag, remove")),
    (SUMMARISE, "scroll-text", N_("Each of the papers this chat searches, up to five")),
    (COMPARE, "table", N_("A table of papers and questions; one question a line, or none for an overview")),
    (GLOSSARY, "book-a", N_("Abbreviations and terms of the papers this chat searches; type a word to find one")),
    (COST, "coins", N_("Tokens, time, energy and money spent in this chat")),
    (EXPORT, "download", N_("This chat as a report, Markdown, JSON or BibTeX")),
)

NONE_SET_UP = N_("No larger model is set up yet: choose one in Settings.")

_MODES = (
    ("draft", N_("Draft"), "zap", N_("Only the small models on this machine answer. Fast and private.")),
    ("auto", N_("Auto"), "wand-sparkles", N_("A larger model steps in when the draft is poorly supported.")),
    ("refine", N_("Refine"), "sparkles", N_("A larger model reviews every draft.")),
)


async def show_controls() -> None:
    """Set the pickers and commands; needed when a chat starts and when it is resumed."""
    await show_pickers()
    await cl.context.emitter.set_commands(
        [
            {"id": _(name), "icon": icon, "description": _(text), "button": name == LIBRARY}
            for name, icon, text in _COMMANDS
        ]
    )


async def show_pickers() -> None:
    """Set the pickers to this chat's state; sends nothing if the page already shows it."""
    pickers = _pickers()
    await cl.context.emitter.set_modes(pickers)
    cl.user_session.set("offered", [_offered(picker) for picker in pickers])


async def refresh_pickers() -> None:
    """Update the pickers if their options have changed since the page was told: a tag, a deletion, a larger model."""
    if cl.user_session.get("offered") != [_offered(picker) for picker in _pickers()]:
        await show_pickers()


def _pickers() -> list[cl.Mode]:
    now = cl.user_session.get("answer_mode") or "draft"
    missing = f" {_(NONE_SET_UP)}" if core.assistant().expert is None else ""
    options = [
        cl.ModeOption(
            id=name,
            name=_(label),
            icon=icon,
            description=_(text) + (missing if name != "draft" else ""),
            default=name == now,
        )
        for name, label, icon, text in _MODES
    ]
    return [cl.Mode(id="answer", name=_("Answer mode"), options=options), scope.picker()]


def command_of(message: cl.Message) -> str | None:
    """The command of a message by its English name; the page sends the name that it shows, in whatever language."""
    names = [name for name, *_ignored in _COMMANDS]
    known = {texts_in(code).text(name): name for code in NAMES for name in names}
    command: str | None = message.command
    return known.get(command or "", command)


def mode_of(message: cl.Message) -> Mode:
    """The answer mode of a message: the chat's if it names none, draft if it names one that is not known."""
    modes = cast("Mapping[str, Any]", message.modes or {})
    chosen = modes.get("answer", cl.user_session.get("answer_mode"))
    mode = cast("Mode", chosen) if chosen in get_args(Mode) else "draft"
    cl.user_session.set("answer_mode", mode)
    return mode


def _offered(picker: cl.Mode) -> list[list[str]]:
    return [[option.id, option.name, option.description or ""] for option in picker.options]


def starters() -> list[cl.Starter]:
    """First questions, about the user's newest papers or about the samples."""
    return [cl.Starter(label=label, message=question) for label, question in questions()]
