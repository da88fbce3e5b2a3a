"""What a server can do is found out by asking it, and never guessed; and whether it read the whole prompt."""

from __future__ import annotations

import json

import pytest

import engines as stubs
from engines import Page, Stub, serving
from places import ROOT
from rag.errors import NotAllowedError
from rag.local import embedded_model
from rag.probe import Capabilities, probe
from rag.tokens import count_messages, was_cut
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
        return await probe(f"http://127.0.0.1:{server.server_port}/v1", model="Qwen/Qwen2.5-7B-Instruct")


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


async def test_a_server_beyond_loopback_is_not_tried_out():
    with connections() as made, pytest.raises(NotAllowedError):
        await probe(f"http://{ELSEWHERE}/v1", model="x")
    assert made == []


async def test_a_real_llama_cpp_server_can_do_everything():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(embedded_model())
    params.model_alias = {"SmolLM2"}
    params.n_ctx, params.n_parallel, params.port = 1024, 1, 0
    params.hostnames, params.ui, params.cache_ram_mib = ["127.0.0.1"], False, 0
    server = xllamacpp.Server(params)
    able = await probe(f"{server.listening_address}/v1", model="SmolLM2")
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
