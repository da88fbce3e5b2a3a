"""The controls around the composer: answer modes, papers to ask, the Library button, first questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

import chainlit as cl

from rag.answer import Mode
from ui import core, scope

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY, SUMMARISE, COMPARE, GLOSSARY, COST, EXPORT = "Library Summarise Compare Glossary Cost Export".split()
"""The commands; what each does is said in `_COMMANDS`."""

_COMMANDS = (
    (LIBRARY, "library", "Your papers: open, filter, tag, delete"),
    (SUMMARISE, "scroll-text", "Each of the papers chosen below, up to five"),
    (COMPARE, "table", "A table: papers by questions, one question a line; without questions, an overview"),
    (GLOSSARY, "book-a", "Abbreviations and terms of the papers chosen below; type a word to find one"),
    (COST, "coins", "Tokens, time, energy and money spent in this chat"),
    (EXPORT, "download", "This chat as a report, Markdown, JSON or BibTeX"),
)

NONE_SET_UP = " No larger model is set up yet: see docs/modes.md."

_MODES = (
    ("draft", "Draft", "zap", "Only the small models on this machine answer. Fast and private."),
    ("auto", "Auto", "wand-sparkles", "A larger model steps in when the draft is poorly supported."),
    ("refine", "Refine", "sparkles", "A larger model reviews every draft."),
)

_STARTERS = (
    (
        "When does a draft-and-refine cascade save time?",
        "Draft and Refine with a Small and a Large Model",
        "Up to which escalation rate is the cascade quicker than the large model alone?",
    ),
    (
        "How large is a LoRA adapter?",
        "Adapting a Model to the Terms of a Field with LoRA",
        "How large is the file of the rank-16 adapter on all seven matrices if it is stored with 16 bits per weight?",
    ),
    (
        "When does Llama need a separate licence?",
        "Before You Run a Model: Licence, Quantisation and Memory",
        "From how many monthly users on does a company have to ask Meta for its own licence for Llama 3.1?",
    ),
    (
        "How far behind people are models?",
        "Local or Cloud Language Models for a Research Group",
        "By how much did the models tested on QASPER fall short of people when they had to work from the whole paper?",
    ),
)


async def show_controls() -> None:
    """Set the pickers and commands; needed when a chat starts and when it is resumed."""
    await show_pickers()
    await cl.context.emitter.set_commands(
        [{"id": name, "icon": icon, "description": text, "button": name == LIBRARY} for name, icon, text in _COMMANDS]
    )


async def show_pickers() -> None:
    """Set the pickers to this chat's state; sends nothing if the page already shows it."""
    now = cl.user_session.get("answer_mode") or "draft"
    missing = NONE_SET_UP if core.assistant().expert is None else ""
    options = [
        cl.ModeOption(
            id=name, name=label, icon=icon, description=text + (missing if name != "draft" else ""), default=name == now
        )
        for name, label, icon, text in _MODES
    ]
    pickers = [cl.Mode(id="answer", name="Answer mode", options=options), scope.picker()]
    await cl.context.emitter.set_modes(pickers)
    cl.user_session.set("papers_to_ask", _offered(pickers[1]))


async def refresh_pickers() -> None:
    """Update the pickers if the papers to choose from have changed since the page was told, by a tag or a deletion."""
    if cl.user_session.get("papers_to_ask") != _offered(scope.picker()):
        await show_pickers()


def mode_of(message: cl.Message) -> Mode:
    """The answer mode of a message; draft if it names no known mode."""
    chosen = cast("Mapping[str, Any]", message.modes or {}).get("answer")
    mode = cast("Mode", chosen) if chosen in get_args(Mode) else "draft"
    cl.user_session.set("answer_mode", mode)
    return mode


def _offered(picker: cl.Mode) -> list[list[str]]:
    return [[option.id, option.name, option.description or ""] for option in picker.options]


def starters() -> list[cl.Starter]:
    """Questions about the sample papers that are in the library."""
    titles = {paper.title.casefold() for paper in core.library().papers()}
    return [
        cl.Starter(label=label, message=question) for label, about, question in _STARTERS if about.casefold() in titles
    ]
