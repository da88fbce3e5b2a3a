"""The commands of the text field, and the comparison table as a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from contextlib import contextmanager
from dataclasses import replace

import chainlit as cl
import pytest
from test_handlers import question, script
from test_render import make_answer

from rag.answer import QUOTED_ANSWER, Answered, Escalated, TextDelta
from rag.insight.figures import figures_of
from rag.saved_answer import answer_facts
from stored_chats import answered, asked, keep
from waiting import soon


def written(text: str, **values):
    """An answer that a drafter wrote, with the time that it took."""
    answer = make_answer(text, **values)
    answer.trace.add("decode", 3.0)
    return answer


@pytest.mark.parametrize(
    ("text", "shown"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("@x", "'@x"), (" =x", "' =x"), ("\tx", "'\tx"), ("a=b", "a=b")],
)
def test_no_cell_becomes_a_formula(text, shown) -> None:
    from ui.exports.table import as_csv

    (row,) = csv.reader(io.StringIO(as_csv([[text, "b"]]).removeprefix("\ufeff")))
    assert row == [shown, "b"]


def test_a_cell_quotes_the_paper_or_says_what_the_model_wrote_with_its_pages() -> None:
    from ui.exports.table import NOTHING, cell

    answer = make_answer("It is **so** [1].")
    assert cell(answer) == "It is so. (p. 2)"
    quoted = replace(answer, drafts=(replace(answer.drafts[0], model=QUOTED_ANSWER),))
    assert cell(quoted) == "“words of the passage” (p. 2)"
    assert cell(replace(answer, abstained=True)) == NOTHING


async def test_compare_asks_each_paper_each_question_and_the_table_is_downloaded(
    app, chat, assistant, paper, stored, *, owner
) -> None:
    assistant.script = [Answered(written("=It is *so* [1]."))]
    await app.on_message(question("How far?\n\n When? ", command="Compare"))
    asked_for = [(one["question"], one["paper_ids"]) for one in assistant.asked]
    assert asked_for == [("How far?", [paper.id]), ("When?", [paper.id])]
    assert "\\(van der Burg 2021\\) | \\=It is \\*so\\*\\. \\(p\\. 2\\) |" in chat.texts[-1]
    history, mine, theirs = stored
    for _ in range(9):  # the writes that the page waits for no more
        await history.caught_up()
    (step,) = [one for one in (await history.get_thread(mine))["steps"] if "table" in one["metadata"]]
    assert "Asking" not in step["output"]
    assert len(step["metadata"]["spent"]) == 2
    await app.on_message(question("", command="Cost"))
    assert "| SmolLM2\\-135M | 2 | 1\\,624 | 80 |" in chat.texts[-1]
    assert chat.of("element")[-1]["props"] == {"chat": mine, "message": step["id"]}
    reply = await owner.get(f"/export/table/{mine}/{step['id']}.csv")
    rows = list(csv.reader(io.StringIO(reply.text.removeprefix("\ufeff"))))
    assert rows[0] == ["Paper", "How far?", "When?"]
    assert rows[1][1] == "'=It is *so*. (p. 2)"
    for chat_id, name in ((theirs, step["id"]), (mine, str(uuid.uuid4())), (mine, "x")):
        assert (await owner.get(f"/export/table/{chat_id}/{name}.csv")).status_code == 404


async def test_summarise_asks_each_paper_alone_and_says_if_there_are_too_many(app, chat, assistant, paper, monkeypatch):
    assistant.script = script()
    await app.on_message(question("", command="Summarise"))
    assert [(one["question"], one["paper_ids"]) for one in assistant.asked] == [("Summarise this paper.", [paper.id])]
    monkeypatch.setattr("ui.commands.MOST_SUMMARISED", 0)
    await app.on_message(question("", command="Summarise"))
    assert len(assistant.asked) == 1
    assert "Choose fewer" in chat.texts[-1]


async def test_compare_without_questions_is_a_comparison(app, chat, assistant, paper) -> None:
    assistant.script = script()
    await app.on_message(question("", command="Compare"))
    assert assistant.asked[0]["question"] == "Compare these papers."


async def test_the_glossary_is_shown_and_searched(app, chat, assistant, shelf_library, paper) -> None:
    (shelf_library.folder / "glossary.csv").write_text("term,definition\nDune,A heap of *sand*\nPeat,Old moss\n")
    await app.on_message(question("", command="Glossary"))
    assert "| Dune | A heap of \\*sand\\* | your glossary |" in chat.texts[-1]
    await app.on_message(question("moss", command="Glossary"))
    assert "Peat" in chat.texts[-1]
    assert "Dune" not in chat.texts[-1]
    await app.on_message(question("zzz", command="Glossary"))
    assert "No such term" in chat.texts[-1]


async def test_the_cost_of_a_chat_is_the_sum_of_its_models_and_unknown_if_a_part_is(
    app, chat, assistant, stored, paper
):
    history, mine, _ = stored
    await app.on_message(question("", command="Cost"))
    assert "nothing was spent" in chat.texts[-1]
    away = answered(paper)
    large = {"model": "Large", "here": False, "usage": {"input_tokens": None, "output_tokens": 7}, "usd": None}
    away["metadata"]["figures"] = {"stayed": False, "written": [large]}
    await keep(history, mine, asked(), answered(paper), answered(paper), away)
    await app.on_message(question("", command="Cost"))
    text = chat.texts[-1].replace("\\", "")
    assert "| Small <b> | 2 | 16 | 8 |" in text
    assert "| Large | 1 | unknown | 7 | unknown | unknown | unknown cost |" in text
    assert "3 answers in this chat: unknown cost. 1 answer used a model elsewhere." in text
    assert isinstance(cl.context.session.thread_id, str)


async def test_a_draft_that_was_refined_later_costs_once(app, chat, assistant, stored, paper) -> None:
    history, mine, _ = stored
    first = written("It is so [1].")
    draft = replace(first.drafts[0], cost=0.0)
    large = replace(draft, model="Large", refines=draft, locality="remote", cost=0.01)
    forgotten = replace(draft, cost=None)  # as it is read from the stored chat
    refined = make_answer("It is so [1].", drafts=(forgotten, large), shown=1, sent_to="models.example")
    for answer in (replace(first, drafts=(draft,)), refined):
        metadata = {"question": "Is it so?", "answer": answer.text}
        metadata |= {"facts": answer_facts(answer), "figures": figures_of(answer, first_word=None)}
        await keep(history, mine, {"type": "assistant_message", "output": "shown", "metadata": metadata})
    await app.on_message(question("", command="Cost"))
    text = chat.texts[-1].replace("\\", "")
    assert "| SmolLM2-135M | 1 | 812 | 40 |" in text
    assert "| Large | 1 | 812 | 40 |" in text
    assert "2 answers in this chat: $0.01. 1 answer used a model elsewhere." in text


async def test_a_comparison_keeps_its_models_until_it_ends(app, chat, assistant, paper, monkeypatch) -> None:
    from ui import core

    held, answering = [], core.answering

    @contextmanager
    def noted():
        with answering() as one:
            held.append(len(assistant.asked))
            yield one
            held.append(len(assistant.asked))

    monkeypatch.setattr(core, "answering", noted)
    assistant.script = [Answered(written("It is so [1]."))]
    await app.on_message(question("How far?\nWhen?", command="Compare"))
    assert held == [0, 2], "else a change of the drafter would stop it half-way"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([Escalated("Large", "you asked for it")], "may have used a model elsewhere."),
        ([], "its cost is unknown. Nothing left this machine."),
    ],
)
async def test_an_answer_that_was_stopped_is_part_of_the_cost_and_unknown(
    app, chat, assistant, stored, *, paper, events, said
) -> None:
    history, mine, _ = stored
    assistant.script = script(*events, 0.2, TextDelta("Half an ans", 1), 3600.0)
    running = asyncio.create_task(app.on_message(question()))
    assert await soon(lambda: any("Half an ans" in text for text in chat.texts))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await history.caught_up()
    await app.on_message(question("", command="Cost"))
    assert "1 answer in this chat: unknown cost. 1 answer did not finish, so its cost is unknown." in chat.texts[-1]
    assert chat.texts[-1].endswith(said)
    old = {"type": "assistant_message", "output": "Half", "metadata": {"stopped": "Q?"}}
    await keep(history, mine, asked(), answered(paper), old)
    await app.on_message(question("", command="Cost"))
    assert "3 answers in this chat: unknown cost. 2 answers did not finish" in chat.texts[-1]
    assert "Nothing left" not in chat.texts[-1], "of the older one it is not known"


async def test_a_cell_that_was_stopped_is_part_of_the_cost(app, chat, assistant, stored, paper) -> None:
    history, _mine, _ = stored
    assistant.script = [0.1, TextDelta("Half", 0), 3600.0]
    running = asyncio.create_task(app.on_message(question("How far?\nWhen?", command="Compare")))
    assert await soon(lambda: assistant.asked)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for _ in range(9):
        await history.caught_up()
    await app.on_message(question("", command="Cost"))
    assert "1 answer in this chat: unknown cost. 1 answer did not finish" in chat.texts[-1]
