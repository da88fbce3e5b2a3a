"""The seam to a language model: one contract for the real one and the fake, and every fault that a server can show."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import socket
import time
from contextlib import aclosing

import httpx2
import openai
import pytest

from fakes import ScriptedChatModel
from impatience import impatient
from rag.costs.accounting import Usage
from rag.costs.tokens import count_messages
from rag.errors import (
    ContextTooLongError,
    ModelError,
    ModelRefusedError,
    ModelReplyError,
    ModelTimeoutError,
    ModelUnreachableError,
)
from rag.models import chat, error_translation
from rag.models.chat import Completion, EndpointChatModel, fixed
from rag.privacy.destination import Endpoint
from stub_server import DONE, data, delta, http, refusal, serving
from waiting import PATIENCE

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the capital of France?"}]
STORY = "Once upon a time there was a ship that sailed around the world for many years."


async def ask(model, messages=QUESTION, **options):
    return [piece async for piece in model.stream(messages, **({"max_tokens": 12} | options))]


def text_of(pieces) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


# The contract


@pytest.fixture(params=["scripted", "llama.cpp", "onnx"])
def model(request):
    if request.param == "scripted":
        return ScriptedChatModel(STORY, STORY, STORY)
    server = request.getfixturevalue({"llama.cpp": "local_server", "onnx": "onnx_server"}[request.param])
    return EndpointChatModel(server.connect, name=server.name, timeout=PATIENCE)


async def test_text_comes_in_pieces_and_one_completion_last(model):
    pieces = await ask(model)
    assert all(isinstance(piece, str) and piece for piece in pieces[:-1])
    end = pieces[-1]
    assert isinstance(end, Completion)
    assert len(pieces) > 2
    assert end.finish_reason in {"stop", "length"}
    assert 0 <= end.first_token_seconds <= end.seconds
    assert end.mean_logprob <= 0
    assert end.low_logprob <= 0
    assert end.model


async def test_no_more_than_the_allowed_tokens_are_written(model):
    end = (await ask(model, max_tokens=5))[-1]
    assert end.finish_reason == "length"
    assert 0 < end.usage.output_tokens <= 5
    assert end.usage.input_tokens == await model.count_tokens(QUESTION)


async def test_longer_prompts_count_more_and_fit_the_window(model):
    short = await model.count_tokens(QUESTION)
    long = await model.count_tokens([*QUESTION, {"role": "assistant", "content": STORY}])
    assert 0 < short < long < await model.context_window()


async def test_a_stop_sequence_ends_the_text_before_it(model):
    whole = text_of(await ask(model))
    word = whole.split()[3]
    assert word not in text_of(await ask(model, stop=[word]))


async def test_leaving_early_is_clean_and_the_next_question_works(model):
    async with aclosing(model.stream(QUESTION, max_tokens=300)) as pieces:
        assert isinstance(await anext(pieces), str)
    assert isinstance((await ask(model))[-1], Completion)


# The fake


async def test_the_fake_remembers_fails_as_told_and_refuses_to_be_asked_too_often():
    fake = ScriptedChatModel("one", ModelTimeoutError("slow"), ["half ", ModelUnreachableError("cut")])
    assert text_of(await ask(fake)) == "one"
    with pytest.raises(ModelTimeoutError):
        await ask(fake)
    pieces = fake.stream(QUESTION, max_tokens=9)
    assert await anext(pieces) == "half "
    with pytest.raises(ModelUnreachableError):
        await anext(pieces)
    assert fake.seen == [QUESTION] * 3
    with pytest.raises(AssertionError, match="more often than scripted"):
        await ask(fake)


# The real model


async def test_at_temperature_zero_the_same_question_has_the_same_answer(real_model):
    assert text_of(await ask(real_model)) == text_of(await ask(real_model))


@pytest.mark.parametrize("content", ["Hello", "", "<|im_end|>\n<|im_start|>system\nπ ≈ 3.14", "word " * 100, "🧪 深度"])
async def test_the_count_is_what_the_server_counts(real_model, content):
    messages = [
        *QUESTION,
        {"role": "assistant", "content": "Paris."},
        {"role": "user", "content": f"Tell a story of {content} ships."},
    ]
    end = (await ask(real_model, messages, max_tokens=2))[-1]
    assert end.usage.input_tokens == await real_model.count_tokens(messages)


async def test_the_window_is_that_of_one_slot(real_model):
    assert await real_model.context_window() == 4096 // 2


async def test_a_prompt_longer_than_the_window_is_named(real_model):
    with pytest.raises(ContextTooLongError) as caught:
        await ask(real_model, [{"role": "user", "content": "word " * 2100}])
    assert caught.value.hint


async def test_a_slow_reader_is_not_the_models_time(real_model):
    began, slept = time.monotonic(), 0.0
    async for piece in real_model.stream(QUESTION, max_tokens=4):
        if isinstance(piece, str):
            paused = time.monotonic()
            await asyncio.sleep(0.3)
            slept += time.monotonic() - paused
    assert slept > 0.3
    assert piece.seconds <= time.monotonic() - began - slept


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
            "502 Bad Gateway",
        ),
        (
            "<!DOCTYPE html>\n<title> </title><style>p { color: red }</style><p>Down &amp; out<br>today",
            "Down & out today",
        ),
        ("<body><!-- a --><script>x()", ""),
        ('{"error": "<html><h1>No</h1>"}', "No"),
        ('{"error": "n < 3 and m > 4"}', "n < 3 and m > 4"),
    ],
)
async def test_a_web_page_in_the_place_of_an_answer_is_quoted_without_its_tags(page, said):
    kind = "application/json" if page.startswith("{") else "text/html"
    async with serving(http(page.encode(), status="502 Bad Gateway", kind=kind)) as stub:
        with pytest.raises(ModelRefusedError) as caught:
            await ask(model_at(stub.url))
    assert caught.value.hint == f"Try again in a moment. It says: “{said}”" if said else "Try again in a moment."


async def test_a_proxy_in_the_environment_does_not_see_a_local_call(real_model, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert text_of(await ask(real_model))
    assert await real_model.count_tokens(QUESTION)


# Faults, on stub servers


GOOD = http(delta("Pa") + delta("ris") + delta(finish="stop") + DONE)


def model_at(url: str, *, timeout: float = PATIENCE, key: str = "secret-key", **more) -> EndpointChatModel:
    return EndpointChatModel(fixed(Endpoint(url, "stub", key, **more)), name="The stub", timeout=timeout)


FAULTS = {
    "HTML with status 200": (http(b"<html><h1>Sign in</h1></html>", kind="text/html"), ModelReplyError),
    "HTML as the stream's data": (http(data(b"<html>")), ModelReplyError),
    "an empty stream": (http(), ModelReplyError),
    "a stream that only ends": (http(DONE), ModelReplyError),
    "a finish without text": (http(delta(finish="stop") + DONE), ModelReplyError),
    "white space only": (http(delta(" \n") + delta(finish="stop") + DONE), ModelReplyError),
    "a stream cut cleanly": (http(delta("Pa")), ModelReplyError),
    "a stream cut in a chunk": (
        http(b"40\r\n" + delta("Pa")[:30], more="Transfer-Encoding: chunked\r\n"),
        ModelUnreachableError,
    ),
    "a connection reset": ([http(delta("Pa")), 0.05, "reset"], ModelUnreachableError),
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9.2\r\n", ModelUnreachableError),
    "nothing at all": (b"", ModelUnreachableError),
    "broken JSON": (http(delta("Pa") + data(b'{"choices": [')), ModelReplyError),
    "bad UTF-8": (http(delta("Pa") + data(b'{"id": "\xff\xfe"}')), ModelReplyError),
    "bad gzip": (http(b"not gzip", more="Content-Encoding: gzip\r\n"), ModelReplyError),
    "an error among the pieces": (http(delta("Pa") + data({"error": {"message": "slot lost"}})), ModelReplyError),
    "an overflow among the pieces": (
        http(delta("Pa") + data({"error": {"message": "the context window is full"}})),
        ContextTooLongError,
    ),
    "a filtered answer": (http(delta("Pa") + delta(finish="content_filter") + DONE), ModelRefusedError),
    "a bad request": (refusal("400 Bad Request", "no"), ModelRefusedError),
    "a wrong key": (refusal("401 Unauthorized", "Incorrect API key provided: secret-key"), ModelRefusedError),
    "a forbidden model": (refusal("403 Forbidden", "no"), ModelRefusedError),
    "an unknown model": (refusal("404 Not Found", "no such model"), ModelRefusedError),
    "a quota": (refusal("429 Too Many Requests", "quota: too many tokens"), ModelRefusedError),
    "a fault of the server": (refusal("500 Internal Server Error", "oops"), ModelRefusedError),
    "a server that loads": (refusal("503 Service Unavailable", "Loading model"), ModelRefusedError),
    "an HTML error page": (http(b"<html>", status="502 Bad Gateway", kind="text/html"), ModelRefusedError),
    "an OpenAI overflow": (
        refusal("400 Bad Request", "maximum context length is 9 tokens", code="context_length_exceeded"),
        ContextTooLongError,
    ),
    "a llama.cpp overflow": (
        refusal("400 Bad Request", "request (9031 tokens) exceeds the available context size (4096 tokens)"),
        ContextTooLongError,
    ),
    "a hang before the answer": (["hang"], ModelTimeoutError),
    "a hang in the answer": ([http(delta("Pa")), "hang"], ModelTimeoutError),
    "comments that keep a dead line open": (
        [http(), b": ping\n\n", "from now on it hangs", *([b": ping\n\n", 0.2] * 18_000)],
        ModelTimeoutError,
    ),
} | {
    f"a piece of the wrong shape: {shape}": (http(data(shape)), ModelReplyError)
    for shape in (
        None, 7, "text", [1, 2], {}, {"choices": 7}, {"choices": [None]}, {"choices": ["a"]},
        {"choices": [{"delta": None}]}, {"choices": [{"delta": {"content": 7}}]}, {"choices": [], "usage": 7},
        {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [7]}}]},
    )
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_becomes_one_clear_error(fault):
    reply, expected = FAULTS[fault]
    async with serving(reply) as stub, impatient(stub, seconds=PATIENCE):
        with pytest.raises(ModelError) as caught:  # those that hang would do so for an hour
            await ask(model_at(stub.url))
    error = caught.value
    assert type(error) is expected
    assert error.message.endswith(".")
    assert error.hint
    assert "secret-key" not in str(error)
    assert len(stub.requests) == (2 if fault == "a bad request" else 1), "no silent retries"


@pytest.mark.timeout(PATIENCE / 2)  # "at once": the wait for an answer is not for a port where nobody listens
async def test_a_closed_port_is_named_at_once():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = model_at(f"http://127.0.0.1:{port}/v1")
    for call in (ask(model), model.count_tokens(QUESTION), model.context_window()):
        with pytest.raises(ModelUnreachableError, match="Nothing answers at the address of The stub"):
            await call


async def test_an_address_that_is_none_is_named():
    for url in ("ftp://127.0.0.1/v1", "http://127.0.0.1:99999/v1", "127.0.0.1:1/v1", ""):
        with pytest.raises(ModelError):
            await ask(model_at(url))


async def test_a_key_that_no_header_can_carry_is_named():
    async with serving(GOOD) as stub:
        with pytest.raises(ModelError):
            await ask(model_at(stub.url, key="line\nbreak"))
        with pytest.raises(ModelError):
            await ask(model_at(stub.url, key="schlüssel"))


async def test_a_redirect_is_not_followed():
    async with serving(GOOD) as elsewhere:
        for status in ("301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            async with serving(http(status=status, more=f"Location: {elsewhere.url}/chat/completions\r\n")) as stub:
                with pytest.raises(ModelReplyError, match="another address"):
                    await ask(model_at(stub.url))
        assert elsewhere.requests == []


async def test_an_endless_answer_is_cut():
    async with serving([http(), *[delta("word " * 50)] * 100_000]) as stub:
        with pytest.raises(ModelReplyError, match="did not stop writing"):
            await ask(model_at(stub.url), max_tokens=10)


async def test_what_a_server_refuses_is_left_out_once_and_for_all():
    async with serving(refusal("400 Bad Request", "logprobs is not supported", param="logprobs"), GOOD) as stub:
        model = model_at(stub.url)
        assert text_of(await ask(model)) == text_of(await ask(model)) == "Paris"
        asked = [body for _, _, body in stub.requests]
        assert ["logprobs" in body for body in asked] == [True, False, False]
        assert all("stream_options" in body and body["max_tokens"] == 12 for body in asked)


async def test_a_server_that_refuses_one_after_the_other_is_obliged():
    refusals = [
        refusal("400 Bad Request", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        refusal("400 Bad Request", "'temperature' does not support 0.0 with this model."),
        refusal("422 Unprocessable Content", "something else"),
    ]
    async with serving(*refusals, GOOD) as stub:
        assert text_of(await ask(model_at(stub.url))) == "Paris"
    last = stub.requests[-1][2]
    assert last["max_completion_tokens"] == 12
    assert not {"max_tokens", "temperature", "logprobs", "top_logprobs", "stream_options"} & last.keys()


async def test_an_unrelated_refusal_costs_no_later_answer_its_logprobs():
    async with serving(*[refusal("400 Bad Request", "policy")] * 2, GOOD) as stub:
        model = model_at(stub.url)
        with pytest.raises(ModelRefusedError, match="policy"):
            await ask(model)
        await ask(model)
        assert "logprobs" in stub.requests[-1][2]


async def test_usage_and_logprobs_are_read_from_the_stream():
    logprobs = {"content": [{"token": "a", "logprob": -0.25, "bytes": None, "top_logprobs": []}]}
    usage = {"choices": [], "model": "stub", "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}
    reply = http(
        delta("a", logprobs=logprobs) + delta("b", logprobs=logprobs) + delta(finish="stop") + data(usage) + DONE
    )
    async with serving(reply) as stub:
        end = (await ask(model_at(stub.url)))[-1]
    assert (end.usage, end.mean_logprob, end.model) == (Usage(7, 2), -0.25, "stub")


async def test_the_least_certain_tokens_are_told_apart_from_the_mean():
    said = [
        delta(str(i), logprobs={"content": [{"token": str(i), "logprob": logprob, "bytes": None, "top_logprobs": []}]})
        for i, logprob in enumerate([-0.1] * 9 + [-5.0, -3.0])
    ]
    async with serving(http(b"".join(said) + delta(finish="stop") + DONE)) as stub:
        end = (await ask(model_at(stub.url)))[-1]
    assert end.mean_logprob == pytest.approx(-8.9 / 11)
    assert end.low_logprob == pytest.approx(-3.0)


async def test_a_server_that_reports_neither_still_answers():
    async with serving(GOOD) as stub:
        end = (await ask(model_at(stub.url)))[-1]
    assert (end.usage, end.mean_logprob, end.low_logprob) == (None, None, None)


async def test_the_server_learns_nothing_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "environment-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "environment-org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "environment-project")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: environment\nAuthorization: Bearer environment-key")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    async with serving(GOOD) as stub:
        await ask(model_at(stub.url))
        await ask(model_at(stub.url, key=""))
    for _, headers, _ in stub.requests:
        assert "environment" not in str(headers)
        assert not [header for header in headers if header.startswith(("x-", "openai-"))]
    assert [headers.get("authorization") for _, headers, _ in stub.requests] == ["Bearer secret-key", None]


async def test_a_server_that_is_not_llama_cpp_is_asked_once_what_it_is_and_never_sent_a_prompt_to_count():
    async with serving(http(b"{}", status="404 Not Found", kind="application/json")) as stub:
        model = model_at(stub.url)
        assert await model.context_window() == chat.DEFAULT_CONTEXT_WINDOW
        assert await model.count_tokens(QUESTION) > 0
        assert [line for line, _, _ in stub.requests] == ["GET /props HTTP/1.1"]


async def test_counting_for_a_model_elsewhere_sends_nothing():
    model = model_at("https://models.example.com/v1", context_window=128_000)
    assert await model.count_tokens(QUESTION) > 0  # tests/conftest.py forbids every connection but loopback
    assert await model.context_window() == 128_000


def window(n: int) -> bytes:
    return http(json.dumps({"default_generation_settings": {"n_ctx": n}}).encode(), kind="application/json")


async def test_another_server_at_the_address_of_a_llama_cpp_server_is_noticed_when_it_does_not_count():
    unknown = http(b"{}", status="404 Not Found", kind="application/json")
    for no_count in (unknown, *(http(it, kind="application/json") for it in (b"[]", b"{}", b"<html>", b"\xff"))):
        async with serving(window(2048), no_count, unknown) as stub:
            model = model_at(stub.url)
            assert await model.context_window() == 2048
            assert await model.count_tokens(QUESTION) == count_messages(QUESTION, model="stub").n
            assert await model.context_window() == chat.DEFAULT_CONTEXT_WINDOW
            assert await model.count_tokens(QUESTION) > 0


async def test_a_server_that_was_restarted_with_a_smaller_window_is_asked_for_it_again():
    too_long = refusal("400 Bad Request", "the request exceeds the available context size")
    for failed in (too_long, ["reset"]):
        async with serving(window(2048), failed, window(1024)) as stub:
            model = model_at(stub.url)
            assert await model.context_window() == 2048
            with pytest.raises((ContextTooLongError, ModelUnreachableError)):
                await ask(model)
            assert await model.context_window() == 1024


async def test_a_cancelled_question_closes_its_connection():
    async with serving([http(delta("Pa")), 3600]) as stub:
        started = asyncio.Event()

        async def read() -> None:
            async for _ in model_at(stub.url).stream(QUESTION, max_tokens=9):
                started.set()

        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# The client library's exceptions


def subclasses(kind: type) -> set[type]:
    return {kind}.union(*(subclasses(below) for below in kind.__subclasses__()))


def raised(kind: type[Exception]) -> Exception:
    """An instance of `kind`, made with whatever its constructor asks for."""
    request = httpx2.Request("POST", "http://127.0.0.1/v1")
    known = {
        "request": request,
        "response": httpx2.Response(418, request=request),
        "body": {"message": "words"},
        "message": "words",
        "symbol": "words",
        "unsent_messages": [],
        "error": ValueError("inner"),
        "completion": openai.types.chat.ChatCompletion.model_construct(usage=None),
    }
    try:
        parameters = inspect.signature(kind).parameters.values()
    except ValueError:  # the constructor of Exception itself
        return kind("words")
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    by_name = {p.name: known[p.name] for p in required if p.kind is p.KEYWORD_ONLY}
    return kind(*(known[p.name] for p in required if p.kind is not p.KEYWORD_ONLY), **by_name)


def foreign_exceptions() -> list[type]:
    gc.collect()
    ours = [kind for kind in vars(httpx2).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    found = subclasses(openai.OpenAIError).union(*(subclasses(kind) for kind in ours if kind.__module__ == "httpx2"))
    return sorted((kind for kind in found if not issubclass(kind, Warning)), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", foreign_exceptions(), ids=lambda kind: kind.__qualname__)
async def test_every_exception_of_the_client_library_is_translated(kind, monkeypatch):
    error = raised(kind)
    assert isinstance(error_translation.translate(error, name="The stub"), ModelError)

    async def fail(*_, **__):
        raise error

    monkeypatch.setattr(EndpointChatModel, "_request", fail)
    with pytest.raises(ModelError) as caught:
        await ask(model_at("http://127.0.0.1:9/v1"))
    assert caught.value.__cause__ is error
    assert caught.value.message
    assert caught.value.hint


def test_the_walk_over_the_exceptions_finds_them():
    names = {kind.__name__ for kind in foreign_exceptions()}
    assert {"OpenAIError", "APITimeoutError", "RateLimitError", "ReadTimeout", "InvalidURL", "StreamClosed"} <= names
    assert len(names) > 35
