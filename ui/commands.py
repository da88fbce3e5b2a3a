"""The commands of the text field: summarise, compare, glossary, cost. Library and Export have files of their own."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import chainlit as cl
from chainlit.data import get_data_layer

from rag.answer import Answered
from rag.costs.accounting import total
from rag.costs.words import cost_words
from rag.inert import cut, inert, table
from rag.insight.figures import KEY, figures_of, read_figures, unfinished
from rag.retrieval.terms import Terms
from rag.texts import _, counted, ngettext, number
from ui import composer, conversation, core, scope
from ui.exports import table as tables
from ui.operate.metrics import watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Paper
    from rag import Assistant
    from rag.insight.figures import Figures, Written

MOST_SUMMARISED = 5
"""Papers that one command summarises."""
TITLE_CHARS = 100
"""Of a paper in a table."""
MOST_CELLS = 60
"""Of a comparison table."""
MOST_TERMS = 60
"""Terms shown at once."""


async def run(message: cl.Message, text: str) -> bool:
    """Carry out the message's command; False if it has none of these.

    Args:
        message: with the command and the pickers.
        text: what was typed beside the command.
    """
    mode = composer.mode_of(message)
    match message.command:
        case composer.SUMMARISE:
            papers = _papers(scope.of_message(message))
            if len(papers) > MOST_SUMMARISED or not papers:
                await _too_many(papers, MOST_SUMMARISED, _("Summarise"))
            for paper in papers if len(papers) <= MOST_SUMMARISED else ():
                words = f"Summarise this paper: {text}" if text else "Summarise this paper."
                await conversation.ask(words, mode=mode, choice=scope.of_papers([paper]))
        case composer.COMPARE:
            choice = scope.of_message(message)
            if text:
                await _compare(_papers(choice), [line.strip() for line in text.splitlines() if line.strip()])
            else:
                await conversation.ask("Compare these papers.", mode=mode, choice=choice)
        case composer.GLOSSARY:
            await _glossary(_papers(scope.of_message(message)), text)
        case composer.COST:
            await _cost()
        case _:
            return False
    return True


def _papers(choice: scope.Choice) -> list[Paper]:
    if choice.paper_ids is not None:
        return core.library().papers(set(choice.paper_ids))
    return core.library().tagged(choice.tag) if choice.tag is not None else core.library().papers()


async def _too_many(papers: list[Paper], most: int, name: str) -> None:
    if not papers:
        await cl.Message(_("There are no papers to ask. Drop a PDF into the chat, or choose other papers.")).send()
        return
    await cl.Message(
        _(
            "{name} takes up to {papers}, and {n} are selected. "
            "Choose fewer in the Library or by a tag, then use the command again."
        ).format(name=name, papers=counted(most, "paper"), n=number(len(papers)))
    ).send()


async def _compare(papers: list[Paper], questions: list[str]) -> None:
    """A table of papers by questions, which grows cell by cell; Stop keeps what is there."""
    most = max(1, MOST_CELLS // len(questions))
    if len(papers) > most or not papers:
        await _too_many(papers, most, _("With these questions, Compare"))
        return
    rows = [[_("Paper"), *questions], *([_named(paper), *("" for _ in questions)] for paper in papers)]
    spent: list[dict[str, Any]] = []
    message = cl.Message("")
    await message.send()
    try:
        with core.answering() as assistant:
            for row, paper in zip(rows[1:], papers, strict=True):
                for n, question in enumerate(questions, start=1):
                    asking = _("Asking {paper}: {question}").format(
                        paper=inert(paper.short_cite), question=inert(question)
                    )
                    message.content = f"{asking}\n\n{tables.as_markdown(rows)}"
                    await message.update()
                    spent.append(unfinished(stayed=True))
                    row[n], spent[-1] = await _cell(assistant, question, paper)
    finally:
        message.content = tables.as_markdown(rows)
        message.metadata = {"table": rows, "spent": spent}
        await message.update()
        props = {"chat": cl.context.session.thread_id, "message": message.id}
        await cl.CustomElement(name="TableFile", props=props, display="inline").send(for_id=message.id)


def _named(paper: Paper) -> str:
    """The title and, if the authors are known, how a person cites it: two papers of one author and year differ."""
    title = cut(paper.marked_title or paper.file_name, limit=TITLE_CHARS)
    return f"{title} ({paper.short_cite})" if paper.authors else title


async def _cell(assistant: Assistant, question: str, paper: Paper) -> tuple[str, dict[str, Any]]:
    """The cell's text, and what it took."""
    async with aclosing(watched(assistant.ask(question, mode="draft", paper_ids=[paper.id]))) as events:
        async for event in events:
            if isinstance(event, Answered):
                return tables.cell(event.answer), figures_of(event.answer, first_word=None)
    return "", {}


async def _glossary(papers: list[Paper], text: str) -> None:
    rows = await cl.make_async(_terms)([paper.id for paper in papers], text.casefold())
    if not rows:
        await cl.Message(
            _("No such term in these papers.")
            if text
            else _("These papers define no abbreviations, and you have no glossary.")
        ).send()
        return
    left = _("{n} more: type a word after the command to find a term.").format(n=number(len(rows) - MOST_TERMS))
    more = f"\n\n{left}" if len(rows) > MOST_TERMS else ""
    await cl.Message(table([(_("Term"), _("Meaning"), _("From")), *rows[:MOST_TERMS]]) + more).send()


def _terms(paper_ids: list[str], wanted: str) -> list[tuple[str, str, str]]:
    """Term, meaning, where from: the user's glossary first, then what the papers define, the most frequent first."""
    terms = Terms(core.library())
    titles = {paper.id: paper.short_cite for paper in core.library().papers()}
    rows = [(entry.term, entry.definition or "", _("your glossary")) for entry in terms.glossary.entries()]
    found = [meaning for meanings in terms.index(paper_ids).shorts.values() for meaning in meanings]
    found.sort(key=lambda meaning: (-sum(n for _, n in meaning.papers), meaning.short))
    rows += [(m.short, m.long, ", ".join(titles.get(name, "") for name, _ in m.papers[:3])) for m in found]
    return [row for row in rows if not wanted or any(wanted in cell.casefold() for cell in row[:2])]


async def _cost() -> None:
    """Tokens, time, energy and money of each model in this chat; unknown where a part is unknown."""
    layer = get_data_layer()
    thread: Any = await layer.get_thread(cl.context.session.thread_id) if layer else None
    answers: list[Figures] = []
    for step in (thread or {}).get("steps") or []:
        metadata = step.get("metadata") or {}
        kept = [metadata.get(KEY)] if "answer" in metadata else metadata.get("spent")
        if "stopped" in metadata:
            kept = [metadata.get(KEY) or unfinished(stayed=False)]
        answers += [read_figures(figures) for figures in kept or []]
    if not answers:
        await cl.Message(_("Nothing was asked in this chat yet, so nothing was spent.")).send()
        return
    by_model: dict[str, list[Written]] = {}
    for figures in answers:
        for part in figures.written:
            by_model.setdefault(part.model, []).append(part)
    rows: list[tuple[str, ...]] = [
        (_("Model"), _("Answers"), _("Tokens read"), _("Tokens written"), _("Seconds"), _("Energy"), _("Cost"))
    ]
    for name, parts in by_model.items():
        energy = total(part.wh for part in parts)
        rows.append(
            (
                name,
                number(len(parts)),
                _number(total(part.input_tokens for part in parts)),
                _number(total(part.output_tokens for part in parts)),
                _number(total(part.seconds for part in parts)),
                _("unknown") if energy is None else f"{number(energy, 2)} Wh",
                cost_words(total(part.usd for part in parts)),
            )
        )
    whole = cost_words(total(figures.spent if figures.stayed is not None else None for figures in answers))
    shown = table(rows) if by_model else _("No language model was used.")
    summed = _("{answers} in this chat: {cost}.").format(answers=counted(len(answers), "answer"), cost=inert(whole))
    await cl.Message(" ".join([f"{shown}\n\n{summed}", *_left(answers)])).send()


def _left(answers: Sequence[Figures]) -> list[str]:
    """Sentences on what left this machine, and on what is not known."""
    told = []
    if old := sum(figures.stayed is None and not figures.lost for figures in answers):
        told.append(_("Nothing is known of {answers} of an earlier version.").format(answers=counted(old, "answer")))
    if away := sum(figures.stayed is False for figures in answers):
        told.append(_("{answers} used a model elsewhere.").format(answers=counted(away, "answer")))
    cut = [figures for figures in answers if figures.lost and figures.stayed is not False]
    if cut:
        unknown = ngettext(
            "{n} answer did not finish, so its cost is unknown.",
            "{n} answers did not finish, so their cost is unknown.",
            len(cut),
        )
        told.append(unknown.format(n=number(len(cut))))
    if maybe := any(figures.stayed is None for figures in cut):
        told.append(_("An answer that did not finish may have used a model elsewhere."))
    return told if old or away or maybe else [*told, _("Nothing left this machine.")]


def _number(value: float | None) -> str:
    return _("unknown") if value is None else number(value)
