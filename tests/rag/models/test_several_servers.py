"""Several servers of one model: the least busy is asked, one that dies is left out, and no question waits for it."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from rag.errors import ModelError, ModelUnreachableError, NotAllowedError
from rag.models.chat import Completion, EndpointChatModel, fixed
from rag.models.open import open_model
from rag.models.resolve import addresses
from rag.models.several import LONGEST_SECONDS, OUT_SECONDS, SeveralServers
from rag.privacy.destination import Endpoint
from stub_server import DONE, delta, http, refusal, serving

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WHOLE = http(delta("Par") + delta("is.") + delta(None, "stop") + DONE)
DIES = [http(delta("Par")), "reset"]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def several(*stubs, clock=None) -> SeveralServers:
    models = [
        EndpointChatModel(fixed(Endpoint(url, "stub", "", 4096)), name=f"stub at {url}", timeout=20)
        for url in (stub if isinstance(stub, str) else stub.url for stub in stubs)
    ]
    return SeveralServers(models, name="stub", **({"now": clock} if clock else {}))


async def ask(model) -> str:
    pieces = [piece async for piece in model.stream(QUESTION, max_tokens=12)]
    assert isinstance(pieces[-1], Completion)
    return "".join(pieces[:-1])


async def test_one_that_dies_in_the_middle_says_so_and_the_next_question_goes_to_the_other() -> None:
    clock = Clock()
    async with serving(DIES, WHOLE) as first, serving(WHOLE) as second:
        model = several(first, second, clock=clock)
        answer = model.stream(QUESTION, max_tokens=12)
        assert await anext(answer) == "Par"
        with pytest.raises(ModelError, match="stub at " + first.url):
            await anext(answer)
        for _ in range(3):
            assert await ask(model) == "Paris."
        assert (len(first.requests), len(second.requests)) == (1, 3)
        clock.now += OUT_SECONDS
        assert await ask(model) == "Paris."
        assert (len(first.requests), len(second.requests)) == (2, 3), "it may come back"
        assert await ask(model) == "Paris."
        assert (len(first.requests), len(second.requests)) == (2, 4), "and they take turns"


async def test_one_that_is_not_there_costs_no_question() -> None:
    async with serving(WHOLE) as there:
        model = several("http://127.0.0.1:9/v1", there)
        assert [await ask(model) for _ in range(2)] == ["Paris."] * 2
        assert await model.context_window() == 4096
        assert await model.count_tokens(QUESTION) > 0
        assert await model.is_here()


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "429 Too Many Requests", "503 Busy"])
async def test_one_that_refuses_draws_no_questions(status) -> None:
    async with serving(refusal(status, "No.")) as refuses, serving(WHOLE) as there:
        model = several(refuses, there)
        assert [await ask(model) for _ in range(3)] == ["Paris."] * 3
        assert len(there.requests) == 3
        assert model._servers[0].failures == 1, "it is left out"


async def test_one_that_passes_questions_on_is_left_out_and_the_question_ends() -> None:
    class PassesOn:
        name = "passes on"

        async def stream(self, *args, **kwargs):
            raise NotAllowedError("It does not run here.")
            yield

    async with serving(WHOLE) as there:
        model = several(there)
        model._servers.insert(0, type(model._servers[0])(PassesOn()))
        with pytest.raises(NotAllowedError):
            await ask(model)
        assert await ask(model) == "Paris."


async def test_the_least_busy_is_asked() -> None:
    async with serving([http(delta("Slow")), "hang"]) as first, serving(WHOLE) as second:
        model = several(first, second)
        async with aclosing(model.stream(QUESTION, max_tokens=12)) as slow:
            assert await anext(slow) == "Slow"
            for _ in range(3):
                assert await ask(model) == "Paris."
        assert (len(first.requests), len(second.requests)) == (1, 3)
        assert [server.busy for server in model._servers] == [0, 0], "also after Stop"


async def test_each_failure_leaves_it_out_for_longer_and_all_are_tried_if_none_is_well() -> None:
    clock = Clock()
    model = several("http://127.0.0.1:9/v1", "http://127.0.0.1:19/v1", clock=clock)
    for n in range(9):
        with pytest.raises(ModelUnreachableError):
            await ask(model)
        out = [server.out_until - clock.now for server in model._servers]
        assert out == [min(LONGEST_SECONDS, OUT_SECONDS * 2**n)] * 2


def test_a_setting_with_several_addresses_opens_all_of_them_and_contacts_none(tmp_path) -> None:
    setting = "http://127.0.0.1:9/v1#small, http://127.0.0.1:19/v1#small"
    opened = open_model(setting, library=tmp_path, context=4096, file_context=4096, slots=2, threads=None, timeout=5)
    assert (opened.model.name, opened.places) == ("small", 2)
    assert [server.model.name for server in opened.model._servers] == ["small at 127.0.0.1:9", "small at 127.0.0.1:19"]
    assert addresses("/models/a, b.gguf") == ("/models/a, b.gguf",)
    assert addresses("http://127.0.0.1:9/v1#a") == ("http://127.0.0.1:9/v1#a",)
