"""Who waits for the drafter, in which order, and what they are told."""

from __future__ import annotations

import asyncio

from rag.models.line import Line


async def writes(line: Line, name: str, log: list[str], done: asyncio.Event) -> None:
    with line.join() as turn:
        async for ahead in turn.waiting():
            log.append(f"{name} {ahead}")  # noqa: PERF401 - as it is told
        log.append(f"{name} writes")
        await done.wait()


async def turn_of_the_loop() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_they_come_in_order_and_are_told_each_change() -> None:
    line, log = Line(1), []
    ends = [asyncio.Event() for _ in range(3)]
    tasks = []
    for name, end in zip("abc", ends, strict=True):
        tasks.append(asyncio.create_task(writes(line, name, log, end)))
        await turn_of_the_loop()
    assert log == ["a writes", "b 1", "c 2"]
    ends[0].set()
    await turn_of_the_loop()
    assert log[3:] == ["b writes", "c 1"]
    ends[1].set()
    ends[2].set()
    await asyncio.gather(*tasks)
    assert log[5:] == ["c writes"]


async def test_as_many_write_as_may_at_once() -> None:
    line, log, end = Line(2), [], asyncio.Event()
    tasks = [asyncio.create_task(writes(line, name, log, end)) for name in "abc"]
    await turn_of_the_loop()
    assert log == ["a writes", "b writes", "c 1"]
    end.set()
    await asyncio.gather(*tasks)


async def test_who_stops_while_waiting_or_writing_leaves_the_line() -> None:
    line, log, end = Line(1), [], asyncio.Event()
    tasks = [asyncio.create_task(writes(line, name, log, end)) for name in "abc"]
    await turn_of_the_loop()
    tasks[1].cancel()
    await turn_of_the_loop()
    assert log[-1] == "c 1"
    tasks[0].cancel()
    await turn_of_the_loop()
    assert log[-1] == "c writes"
    end.set()
    await tasks[2]


async def test_nobody_is_forgotten_who_was_just_being_told() -> None:
    line, begun = Line(1), asyncio.Event()

    async def slowly() -> None:
        with line.join() as turn:
            async for _ in turn.waiting():
                await asyncio.sleep(0.05)
            begun.set()

    first = line.join()
    task = asyncio.create_task(slowly())
    await turn_of_the_loop()
    line.leave(first)
    await asyncio.wait_for(begun.wait(), 5)
    await task
