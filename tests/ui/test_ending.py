"""How the process ends: within bounds that add up to less than five seconds, and with what was written kept."""

from __future__ import annotations

import asyncio
import functools
import threading
from unittest.mock import create_autospec

import pytest
from test_handlers import question, script
from test_render import make_answer

from rag.answer import Escalated, Retrieved, TextDelta
from ui import ending
from ui.serving import Serving


def test_the_bounds_add_up_to_less_than_the_five_seconds_that_are_promised() -> None:
    assert sum(ending.BOUNDS.values()) <= ending.LAST_SECONDS
    assert ending.LAST_SECONDS < 5


def test_uvicorn_waits_for_open_connections_within_its_bound(app) -> None:
    import uvicorn

    assert uvicorn.Config(app=None).timeout_graceful_shutdown == ending.BOUNDS["open connections"]


async def shows(chat, words: str) -> None:
    async with asyncio.timeout(120):
        while not any(words in str(data) for _, data in chat.events):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_is_being_written_is_kept_also_for_a_page_that_is_closed(app, chat, assistant) -> None:
    assistant.script = script(TextDelta("It is so", 0), 600.0)
    task = asyncio.create_task(app.on_message(question()))  # not the session's: that ended with its page
    await shows(chat, "It is so")
    await ending.answers_ended()
    assert task.done()
    assert chat.texts[-1].startswith("It is so\n\n*(stopped)*\n\n##### Read, not checked")


async def test_a_draft_that_is_being_looked_at_again_is_kept(app, chat, assistant) -> None:
    answer = make_answer()
    looking = Escalated("Large", "you asked for it")
    assistant.script = [Retrieved(answer.passages), TextDelta("A draft.", 0), looking, 600.0]
    chat.session.current_task = asyncio.create_task(app.on_message(question()))
    await shows(chat, "is reviewing this draft")
    await ending.answers_ended()
    assert chat.texts[-1].startswith("A draft.")
    assert "*(stopped)*\n\n##### Read, not checked" in chat.texts[-1]


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_model_that_does_not_stop_is_killed_and_the_library_is_closed(app, library, monkeypatch, hangs) -> None:
    from ui import core

    monkeypatch.setattr(core, "_stopping", threading.Event())  # the tests after this one are not stopping
    made = create_autospec(Serving, instance=True)
    if hangs:
        made.close.side_effect = asyncio.Event().wait
    for name, value in (("serving", made), ("whole_library", library)):
        opened = functools.cache(lambda value=value: value)
        opened()
        monkeypatch.setattr(core, name, opened)
    library.papers()
    async with asyncio.timeout(120):
        await core.end()
    made.close.assert_awaited_once()
    assert made.kill.called is hangs
    assert not library._database.connections
