"""The controls around the composer: answer modes, papers to ask, the Library button, first questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

import chainlit as cl

from rag.answer import Mode
from ui import core, scope
from ui.starters import questions

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY, SUMMARISE, COMPARE, GLOSSARY, COST, EXPORT = "Library Summarise Compare Glossary Cost Export".split()
"""The commands; what each does is said in `_COMMANDS`."""

_COMMANDS = (
    (LIBRARY, "library", "Your papers: add, find, correct, tag, remove"),
    (SUMMARISE, "scroll-text", "Each of the papers chosen below, up to five"),
    (COMPARE, "table", "A table: papers by questions, one question a line; without questions, an overview"),
    (GLOSSARY, "book-a", "Abbreviations and terms of the papers chosen below; type a word to find one"),
    (COST, "coins", "Tokens, time, energy and money spent in this chat"),
    (EXPORT, "download", "This chat as a report, Markdown, JSON or BibTeX"),
)

NONE_SET_UP = " No larger model is set up yet: choose one in Settings."

_MODES = (
    ("draft", "Draft", "zap", "Only the small models on this machine answer. Fast and private."),
    ("auto", "Auto", "wand-sparkles", "A larger model steps in when the draft is poorly supported."),
    ("refine", "Refine", "sparkles", "A larger model reviews every draft."),
)


async def show_controls() -> None:
    """Set the pickers and commands; needed when a chat starts and when it is resumed."""
    await show_pickers()
    await cl.context.emitter.set_commands(
        [{"id": name, "icon": icon, "description": text, "button": name == LIBRARY} for name, icon, text in _COMMANDS]
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
    missing = NONE_SET_UP if core.assistant().expert is None else ""
    options = [
        cl.ModeOption(
            id=name, name=label, icon=icon, description=text + (missing if name != "draft" else ""), default=name == now
        )
        for name, label, icon, text in _MODES
    ]
    return [cl.Mode(id="answer", name="Answer mode", options=options), scope.picker()]


def mode_of(message: cl.Message) -> Mode:
    """The answer mode of a message; draft if it names no known mode."""
    chosen = cast("Mapping[str, Any]", message.modes or {}).get("answer")
    mode = cast("Mode", chosen) if chosen in get_args(Mode) else "draft"
    cl.user_session.set("answer_mode", mode)
    return mode


def _offered(picker: cl.Mode) -> list[list[str]]:
    return [[option.id, option.name, option.description or ""] for option in picker.options]


def starters() -> list[cl.Starter]:
    """First questions, about the user's newest papers or about the samples."""
    return [cl.Starter(label=label, message=question) for label, question in questions()]
