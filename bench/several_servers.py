"""Two llama.cpp servers against one: answers in a minute, and what happens when one is killed in mid-answer.

    python bench/several_servers.py [--answers 12] [--tokens 60] [--rounds 3]

The built-in model on servers of one thread and one slot each, so that each is a machine of its own as far as two cores
can play that. Four people ask at once until ANSWERS answers are there, once with one server and once with two, by turns
in each round. Then one of the two is killed with SIGKILL while it writes: the reader of that answer must be told by a
sentence that names it, and each of the next four questions must be answered by the other. The ratio is within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.environment import shut_out  # noqa: E402

shut_out()  # before any library is imported

from rag.errors import ModelError  # noqa: E402
from rag.models.chat import Completion, EndpointChatModel  # noqa: E402
from rag.models.local import LocalServer, embedded_drafter  # noqa: E402
from rag.models.several import SeveralServers  # noqa: E402

PEOPLE = 4
ASKED = "Tell a long story about the {n}th ship that left the harbour that morning."


def messages(n: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": ASKED.format(n=n)}]


async def answer(model: SeveralServers, n: int, tokens: int) -> Completion:
    async with aclosing(model.stream(messages(n), max_tokens=tokens)) as pieces:  # type: ignore[arg-type]
        async for piece in pieces:
            if isinstance(piece, Completion):
                return piece
    raise AssertionError("a stream ends with a Completion")


async def rate(servers: list[EndpointChatModel], answers: int, tokens: int) -> float:
    """Tokens a second of all people together."""
    model, left, written = SeveralServers(servers, name="built-in"), iter(range(answers)), 0

    async def person() -> None:
        nonlocal written
        for n in left:
            written += (await answer(model, n, tokens)).usage.output_tokens

    began = time.perf_counter()
    await asyncio.gather(*(person() for _ in range(PEOPLE)))
    return written / (time.perf_counter() - began)


async def killed(servers: list[LocalServer], models: list[EndpointChatModel], tokens: int) -> None:
    async def gone() -> None:  # a server of the user's is not started again by us
        raise AssertionError

    model = SeveralServers(models, name="built-in")
    told, text = None, ""
    try:
        async with aclosing(model.stream(messages(0), max_tokens=10 * tokens)) as pieces:  # type: ignore[arg-type]
            async for piece in pieces:
                if isinstance(piece, str):
                    text += piece
                    if len(text) > 50 and servers[0].pid:
                        os.kill(servers[0].pid, signal.SIGKILL)
                        servers[0].connect = gone  # type: ignore[method-assign]
    except ModelError as error:
        told = str(error)
    after = [await answer(model, n, tokens) for n in range(1, 5)]
    print(f"killed after {len(text)} characters: {told}")
    print(f"answers of the next 4 questions: {sum(bool(one.usage.output_tokens) for one in after)}")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        servers = [LocalServer(embedded_drafter(), context=2048, slots=1, threads=1) for _ in range(2)]
        for server in servers:
            stack.push_async_callback(server.close)
        models = [
            EndpointChatModel(server.connect, name=f"server {n}", timeout=300.0)
            for n, server in enumerate(servers, start=1)
        ]
        await asyncio.gather(*(server.connect() for server in servers))
        ratios = []
        for number in range(options.rounds):
            one = await rate(models[:1], options.answers, options.tokens)
            two = await rate(models, options.answers, options.tokens)
            ratios.append(two / one)
            print(f"round {number + 1}: one {one:.1f} tokens/s, two {two:.1f}, {two / one:.2f} times")
        print(f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        await killed(servers, models, options.tokens)


if __name__ == "__main__":
    asyncio.run(main())
