"""Turns: no more than so many, first come, first served."""

from __future__ import annotations

import threading
import time

import pytest

from ingest.turns import Turns


@pytest.mark.parametrize("n", [1, 2])
def test_no_more_than_n_are_at_work_and_everybody_gets_a_turn(n):
    turns, lock, at_work, most, done = Turns(n), threading.Lock(), 0, 0, []

    def work(name):
        nonlocal at_work, most
        for _ in range(20):
            with turns.one():
                with lock:
                    at_work += 1
                    most = max(most, at_work)
                time.sleep(0.0005)
                with lock:
                    at_work -= 1
                    done.append(name)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == n
    assert sorted(done) == sorted(list(range(6)) * 20)


def test_who_comes_back_at_once_does_not_overtake_who_waits():
    turns, order = Turns(1), []
    first = turns.one()
    first.__enter__()

    def work(name):
        with turns.one():
            order.append(name)

    threads = []
    for name in ("a", "b", "c"):
        threads.append(threading.Thread(target=work, args=(name,)))
        threads[-1].start()
        while len(turns._line) < len(threads):
            time.sleep(0.001)
    first.__exit__(None, None, None)
    work("the first again")
    for thread in threads:
        thread.join(30)
    assert order == ["a", "b", "c", "the first again"]


def test_a_turn_ends_with_an_error_too():
    turns = Turns(1)
    with pytest.raises(ValueError, match="no"), turns.one():
        raise ValueError("no")
    with turns.one():
        pass
