"""Signals in the middle of answers. Not collected with the others, whose event loops they would disturb:
`test_operate.py` runs it in a process of its own.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest

from ingest import UserFacingError
from ui import ending


@pytest.fixture
async def ended(app, monkeypatch):
    """When the process would have ended: the times at which uvicorn's own handler was called."""
    called: list[float] = []
    monkeypatch.setattr(ending, "_begun", threading.Event())
    monkeypatch.setattr(ending, "_at_once", threading.Event())
    monkeypatch.setattr(ending, "_end_at_last", lambda _: None)
    monkeypatch.setattr(ending, "_stop", set)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: called.append(time.monotonic()))
    yield called
    for number, handler in before.items():
        signal.signal(number, handler)


def until(done, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(done())


async def test_after_sigterm_answers_end_by_themselves_and_no_new_ones_begin(ended, assistant) -> None:
    from ui import core

    ending.watch(cut_off=lambda: None, finish_seconds=60)
    with core.answering():
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert ended == [], "it waits"
        assert core.not_ready() == "stopping"
        with pytest.raises(UserFacingError, match="no new answer begins"), core.answering():
            pass
    assert until(lambda: ended)


async def test_it_waits_no_longer_than_was_said(ended) -> None:
    ending.watch(cut_off=lambda: None, finish_seconds=0.3)
    with ending.underway():
        began = time.monotonic()
        signal.raise_signal(signal.SIGTERM)
        assert until(lambda: ended)
    assert ended[0] - began >= 0.3


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_waiting(ended, second) -> None:
    ending.watch(cut_off=lambda: None, finish_seconds=600)
    with ending.underway():
        signal.raise_signal(signal.SIGTERM)
        assert ended == []
        signal.raise_signal(second)
        assert len(ended) == 1


@pytest.mark.parametrize(("seconds", "number"), [(0, signal.SIGTERM), (600, signal.SIGINT)])
async def test_without_the_setting_and_by_ctrl_c_it_ends_at_once(ended, seconds, number) -> None:
    ending.watch(cut_off=lambda: None, finish_seconds=seconds)
    with ending.underway():
        signal.raise_signal(number)
        assert len(ended) == 1


async def test_where_nobody_waits_for_an_answer_it_ends_at_once(ended) -> None:
    ending.watch(cut_off=lambda: None, finish_seconds=600)
    signal.raise_signal(signal.SIGTERM)
    assert len(ended) == 1
