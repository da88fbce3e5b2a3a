"""The commands of the text field: summarise, compare, glossary, cost. Library and Export have files of their own."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import chainlit as cl
from chainlit.data import get_data_layer

from rag.answer import Answered
from rag.costs.accounting import cost_words, total
from rag.inert import cut, inert, table
from rag.retrieval.terms import Terms
from rag.saved_answer import answer_facts
from rag.words import counted
from ui import composer, conversation, core, scope
from ui.exports import table as tables

if TYPE_CHECKING:
    from ingest import Paper

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
                await _too_many(papers, MOST_SUMMARISED, "Summarise")
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
        await cl.Message("There are no papers to ask. Drop a PDF into the chat, or choose other papers.").send()
        return
    await cl.Message(
        f"{name} takes up to {counted(most, 'paper')}, and {len(papers)} are selected. "
        "Choose fewer in the Library or by a tag, then use the command again."
    ).send()


async def _compare(papers: list[Paper], questions: list[str]) -> None:
    """A table of papers by questions, which grows cell by cell; Stop keeps what is there."""
    most = max(1, MOST_CELLS // len(questions))
    if len(papers) > most or not papers:
        await _too_many(papers, most, "With these questions, Compare")
        return
    rows = [["Paper", *questions], *([_named(paper), *("" for _ in questions)] for paper in papers)]
    spent: list[dict[str, Any]] = []
    message = cl.Message("")
    await message.send()
    try:
        for row, paper in zip(rows[1:], papers, strict=True):
            for n, question in enumerate(questions, start=1):
                message.content = f"Asking {inert(paper.short_cite)}: {inert(question)}\n\n{tables.as_markdown(rows)}"
                await message.update()
                row[n], facts = await _cell(question, paper)
                spent.append(facts)
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


async def _cell(question: str, paper: Paper) -> tuple[str, dict[str, Any]]:
    """The cell's text, and what it cost."""
    with core.answering() as assistant:
        async with aclosing(assistant.ask(question, mode="draft", paper_ids=[paper.id])) as events:
            async for event in events:
                if isinstance(event, Answered):
                    facts = answer_facts(event.answer)
                    return tables.cell(event.answer), {name: facts[name] for name in ("models", "usd", "stayed")}
    return "", {}


async def _glossary(papers: list[Paper], text: str) -> None:
    rows = await cl.make_async(_terms)([paper.id for paper in papers], text.casefold())
    if not rows:
        await cl.Message(
            "No such term in these papers."
            if text
            else "These papers define no abbreviations, and you have no glossary."
        ).send()
        return
    more = f"\n\n{len(rows) - MOST_TERMS} more: type a word after the command to find a term." * (
        len(rows) > MOST_TERMS
    )
    await cl.Message(table([("Term", "Meaning", "From"), *rows[:MOST_TERMS]]) + more).send()


def _terms(paper_ids: list[str], wanted: str) -> list[tuple[str, str, str]]:
    """Term, meaning, where from: the user's glossary first, then what the papers define, the most frequent first."""
    terms = Terms(core.library())
    titles = {paper.id: paper.short_cite for paper in core.library().papers()}
    rows = [(entry.term, entry.definition or "", "your glossary") for entry in terms.glossary.entries()]
    found = [meaning for meanings in terms.index(paper_ids).shorts.values() for meaning in meanings]
    found.sort(key=lambda meaning: (-sum(n for _, n in meaning.papers), meaning.short))
    rows += [(m.short, m.long, ", ".join(titles.get(name, "") for name, _ in m.papers[:3])) for m in found]
    return [row for row in rows if not wanted or any(wanted in cell.casefold() for cell in row[:2])]


async def _cost() -> None:
    """Tokens, time, energy and money of each model in this chat; unknown where a part is unknown."""
    layer = get_data_layer()
    thread: Any = await layer.get_thread(cl.context.session.thread_id) if layer else None
    answers = list[dict[str, Any]]()
    for step in (thread or {}).get("steps") or []:
        metadata = step.get("metadata") or {}
        kept = [metadata.get("facts")] if "answer" in metadata else metadata.get("spent")
        answers += [facts if isinstance(facts, dict) else {} for facts in kept or []]
    if not answers:
        await cl.Message("Nothing was asked in this chat yet, so nothing was spent.").send()
        return
    by_model: dict[str, list[dict[str, Any]]] = {}
    for facts in answers:
        for model in facts.get("models") or []:
            if model.get("name") != "quotation":
                by_model.setdefault(str(model.get("name")), []).append(model)
    rows: list[tuple[str, ...]] = [("Model", "Answers", "Tokens read", "Tokens written", "Seconds", "Energy", "Cost")]
    for name, drafts in by_model.items():
        sums = {
            key: total(draft.get(key) for draft in drafts)
            for key in ("input_tokens", "output_tokens", "seconds", "watt_hours", "usd")
        }
        rows.append(
            (
                name,
                f"{len(drafts):,}",
                _number(sums["input_tokens"]),
                _number(sums["output_tokens"]),
                _number(sums["seconds"]),
                "unknown" if sums["watt_hours"] is None else f"{sums['watt_hours']:.2f} Wh",
                cost_words(sums["usd"]),
            )
        )
    away = sum(facts.get("stayed") is False for facts in answers)
    told = "Nothing left this machine." if not away else f"{counted(away, 'answer')} used a model elsewhere."
    if unknown := sum("stayed" not in facts for facts in answers):
        told = f"Nothing is known of {counted(unknown, 'answer')} of an earlier version. " + told * bool(away)
    whole = cost_words(total(facts.get("usd") for facts in answers))
    shown = f"{table(rows)}\n\n" if by_model else "No language model was used.\n\n"
    await cl.Message(f"{shown}{counted(len(answers), 'answer')} in this chat: {inert(whole)}. {told}").send()


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"
