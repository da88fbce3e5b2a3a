"""What a server can do is found out by asking it, and never guessed; and whether it read the whole prompt."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

import engine_stubs as stubs
from engine_stubs import Page, Stub, serving
from places import ROOT
from rag.commands.discover import _abilities
from rag.costs.tokens import count_messages, was_cut
from rag.errors import NotAllowedError
from rag.models.local import embedded_drafter
from rag.servers.loopback import Reply
from rag.servers.probe import PROBE_SECONDS, Capabilities, probe_server
from sockets import ELSEWHERE, connections


def stream(*chunks) -> Page:
    return Page("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")


def piece(**more):
    return {"choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": None, **more}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 4}}
LOGPROBS = {"logprobs": {"content": [{"token": "one", "logprob": -0.1}]}}
ERROR = {"error": {"message": "unsupported"}}


def said(text, finish="stop") -> Page:
    return Page({"choices": [{"message": {"content": text}, "finish_reason": finish}]})


async def probed(completes) -> Capabilities:
    with serving(Stub("stub", stubs.VLLM.pages, completes=completes)) as server:
        return await probe_server(f"http://127.0.0.1:{server.server_port}/v1", model="Qwen/Qwen2.5-7B-Instruct")


async def test_a_server_that_can_do_everything():
    def completes(body):
        if not body.get("stream"):
            word = body["response_format"]["json_schema"]["schema"]["properties"]["word"]["enum"][0]
            return said(json.dumps({"word": word}))
        assert body["max_tokens"] <= 4
        return stream(piece(**LOGPROBS), piece(), USAGE | {"timings": {"predicted_n": 4}})

    able = await probed(completes)
    assert able == Capabilities(
        logprobs=True, usage_in_stream=True, json_schema=True, timings=True, context_window=16384
    )


async def test_a_server_that_ignores_what_it_does_not_know():
    able = await probed(lambda body: stream(piece(logprobs=None)) if body.get("stream") else said("The sea is wide."))
    assert (able.logprobs, able.usage_in_stream, able.json_schema, able.timings) == (False, False, False, False)


async def test_a_server_that_refuses_what_it_does_not_know_is_asked_again_without():
    def completes(body):
        if "logprobs" in body or "response_format" in body:
            return Page(ERROR, 400)
        return stream(piece(), USAGE)

    able = await probed(completes)
    assert (able.logprobs, able.usage_in_stream, able.json_schema) == (False, True, False)


@pytest.mark.parametrize(
    "page",
    [
        Page(ERROR, 500),
        Page("<html>hello</html>"),
        Page("data: {\n\ndata: [1]\n\ndata: {}\n\n"),
        Page({"choices": "none"}),
        Page({"choices": [{"message": None}]}),
        Page({"choices": [{"delta": 3, "message": {"content": 7}}]}),
    ],
    ids=repr,
)
async def test_what_cannot_be_found_out_is_unknown(page):
    able = await probed(lambda _body: page)
    assert able == Capabilities(context_window=16384)


async def test_json_that_was_cut_by_the_limit_proves_nothing():
    able = await probed(lambda body: stream(piece()) if body.get("stream") else said('{"wo', "length"))
    assert able.json_schema is None


SCHEMA = {"choices": [{"message": {"content": '{"word": "scholion"}'}, "finish_reason": "stop"}]}


async def test_a_server_that_does_not_answer_in_time_has_not_said_no():
    def completes(_body):
        gone.wait(600)
        return Page(ERROR, 500)

    gone = threading.Event()
    with serving(Stub("stub", stubs.VLLM.pages, completes=completes)) as server:
        model = "Qwen/Qwen2.5-7B-Instruct"
        able = await probe_server(f"http://127.0.0.1:{server.server_port}/v1", model=model, seconds=1)
        gone.set()
    assert (able.logprobs, able.usage_in_stream, able.json_schema, able.timings) == (None, None, None, None)
    assert able.late
    assert _abilities(able).endswith("unknown (it did not answer in time)")


async def test_a_server_that_answered_is_not_called_late():
    assert not (await probed(lambda _body: Page(ERROR, 500))).late


async def test_a_slow_model_gets_the_time_that_sixty_tokens_take_it(monkeypatch):
    """As if loading took 100 s and each token 4 s: 60 tokens need 240, more than the 120 that any reply gets."""
    waits = []

    async def hear(_client, _address, _path, *, body, seconds, **_more):
        waits.append(seconds)
        raw = (
            stream(piece(), piece(), piece(), piece(**LOGPROBS), USAGE).body
            if body.get("stream")
            else json.dumps(SCHEMA)
        )
        return Reply(200, {}, raw, wait=100.0, writing=12.0)

    monkeypatch.setattr("rag.servers.probe.hear", hear)
    with serving(stubs.VLLM) as server:
        able = await probe_server(f"http://127.0.0.1:{server.server_port}/v1", model="Qwen/Qwen2.5-7B-Instruct")
    assert able.json_schema
    assert waits[0] == PROBE_SECONDS
    assert waits[1] > 100 + 2 * 60 * 4, "the load may grow, too"


@pytest.mark.parametrize("chunks", [[piece()], [piece(), piece(**LOGPROBS)]])
async def test_a_stream_that_broke_off_does_not_show_what_a_server_cannot_do(chunks):
    raw = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    able = await probed(lambda _body: Page(raw))
    assert able.usage_in_stream is None
    assert able.timings is None
    assert able.logprobs is (True if len(chunks) == 2 else None)


async def test_a_server_that_closes_each_connection_unannounced_has_not_said_no():
    """As llama.cpp's does after a stream: the next request on that connection meets its end."""

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = next((int(line[15:]) for line in head.splitlines() if line.startswith("content-length:")), 0)
        body = json.loads(await reader.readexactly(size) or "{}")
        page = stream(piece(**LOGPROBS), USAGE | {"timings": {}}) if body.get("stream") else Page(SCHEMA)
        raw = page.raw()[0]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        await reader.read(1)  # the next request on this connection, or its end
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        able = await probe_server(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", model="x")
    assert able.usage_in_stream
    assert able.json_schema


async def test_a_server_beyond_loopback_is_not_tried_out():
    with connections() as made, pytest.raises(NotAllowedError):
        await probe_server(f"http://{ELSEWHERE}/v1", model="x")
    assert made == []


@pytest.mark.timeout(1800)
async def test_a_real_llama_cpp_server_can_do_everything():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(embedded_drafter())
    params.model_alias = {"SmolLM2"}
    params.n_ctx, params.n_parallel, params.port = 1024, 1, 0
    params.hostnames, params.ui, params.cache_ram_mib = ["127.0.0.1"], False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = (
        1  # two that wait for each other crawl beside others
    )
    server = xllamacpp.Server(params)
    able = await probe_server(f"{server.listening_address}/v1", model="SmolLM2", seconds=600)
    assert able == Capabilities(
        logprobs=True, usage_in_stream=True, json_schema=True, timings=True, context_window=1024
    )


# Was the prompt cut?


@pytest.mark.parametrize(
    ("estimated", "reported", "cut"),
    [
        (6000, 4096, True),  # Ollama's usual window
        (6000, 2048, True),
        (6000, 5900, False),
        (6000, 6600, False),
        (6000, 4920, False),  # as wrong as the estimate was on the worst passage
        (400, 210, False),  # too little to tell
        (6000, 0, False),  # the server did not count
    ],
)
def test_a_prompt_counts_as_cut_where_more_is_missing_than_an_estimate_errs(estimated, reported, cut):
    assert was_cut(estimated, reported) is cut


@pytest.mark.parametrize("name", ["README.md", "docs/papers/lora-for-terms.typ", "docs/retrieval.md"])
async def test_a_whole_prompt_does_not_count_as_cut_and_half_of_it_does(real_model, name):
    text = (ROOT / name).read_text(encoding="utf-8")[:6000]
    messages = [{"role": "user", "content": text}]
    reported = await real_model.count_tokens(messages)
    estimated = count_messages(messages, model="unknown").n
    assert not was_cut(estimated, reported)
    assert was_cut(estimated, reported // 2)
