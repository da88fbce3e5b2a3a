"""The ONNX engine's server, asked over HTTP: what the OpenAI API promises, and what llama.cpp's server adds to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag.errors import ContextTooLongError, ModelFileError, ModelUnreachableError
from rag.models.chat import EndpointChatModel
from rag.models.onnx.child import _AHEAD, _Server
from rag.models.onnx.server import OnnxServer
from rag.models.onnx.writer import Piece, Slot, Wanted
from tiny_models import changed, onnx_folder
from waiting import PATIENCE

QUESTION = [{"role": "user", "content": "Tell a long story about a ship."}]


@pytest.fixture
async def post(onnx_server):
    """Post to the server; the status and the answer."""
    import httpx2

    endpoint = await onnx_server.connect()

    async def send(body, path="/v1/chat/completions"):
        headers = {"Authorization": f"Bearer {endpoint.api_key}"}
        root = endpoint.base_url.removesuffix("/v1")
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            reply = await http.post(root + path, content=data, headers=headers)
        return reply.status_code, reply.json()

    return send


async def test_a_whole_reply_has_text_usage_times_and_log_probabilities(post):
    status, told = await post(
        {"messages": QUESTION, "max_tokens": 9, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    )
    choice = told["choices"][0]
    assert (status, choice["finish_reason"]) == (200, "length")
    assert told["usage"]["completion_tokens"] == told["timings"]["predicted_n"] == 9
    assert told["usage"]["prompt_tokens"] == told["timings"]["prompt_n"] + told["timings"]["cache_n"]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    for token in tokens:
        alternatives = [one["logprob"] for one in token["top_logprobs"]]
        assert len(alternatives) == 3
        assert alternatives == sorted(alternatives, reverse=True)
        assert token["logprob"] == pytest.approx(alternatives[0]), "at temperature 0 the likeliest is taken"


async def test_without_the_wish_there_are_no_log_probabilities(post):
    assert (await post({"messages": QUESTION, "max_tokens": 2}))[1]["choices"][0]["logprobs"] is None


async def test_the_same_seed_draws_the_same_text_and_another_does_not(post):
    async def text(seed):
        body = {"messages": QUESTION, "max_tokens": 20, "temperature": 2.0, "seed": seed}
        return (await post(body))[1]["choices"][0]["message"]["content"]

    assert await text(1) == await text(1) != await text(2)


async def test_a_prompt_that_was_read_before_is_not_read_again_and_the_text_is_the_same(post):
    async def asked(messages, *, cache):
        body = {"messages": messages, "max_tokens": 20, "temperature": 0, "cache_prompt": cache}
        told = (await post(body))[1]
        return told["choices"][0]["message"]["content"], told["timings"]["cache_n"]

    fresh, n = await asked(QUESTION, cache=False)
    assert n == 0
    again, n = await asked(QUESTION, cache=True)
    assert (again, n > 5) == (fresh, True)
    longer = [*QUESTION, {"role": "assistant", "content": fresh}, {"role": "user", "content": "Be brief."}]
    continued, n = await asked(longer, cache=True)
    assert n > 5
    assert continued == (await asked(longer, cache=False))[0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        ([], "must be a JSON object"),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "a content of text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a content of text"),
        ({"messages": QUESTION, "max_tokens": 0}, "max_tokens"),
        ({"messages": QUESTION, "temperature": "hot"}, "temperature"),
        ({"messages": QUESTION, "top_logprobs": 99}, "top_logprobs"),
        ({"messages": QUESTION, "stop": 7}, "stop"),
        (b'{"messages": [{"role": "user", "content": "a"}], "top_k": Infinity}', "top_k"),
        ({"messages": QUESTION, "n": 2}, "must be 1"),
        ({"messages": QUESTION, "tools": [{}]}, "not supported"),
    ],
    ids=str,
)
async def test_what_it_cannot_do_it_says(post, body, said):
    status, told = await post(body)
    assert status == 400
    assert said in told["error"]["message"]


async def test_content_in_parts_is_read_as_its_text(post):
    parts = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Tell a long story "}, {"type": "text", "text": "about a ship."}],
        }
    ]
    prompts = [await post({"messages": messages}, "/apply-template") for messages in (parts, QUESTION)]
    assert prompts[0] == prompts[1]


async def test_it_says_which_execution_provider_is_used(onnx_server, post):
    import httpx2

    endpoint = await onnx_server.connect()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        told = (await http.get(endpoint.base_url.removesuffix("/v1") + "/props", headers=headers)).json()
    assert (told["execution_provider"], told["engine"]) == ("CPU", "onnxruntime-genai")
    assert (await post({"messages": QUESTION, "max_tokens": 1}))[1]["model"].endswith("(ONNX, CPU)")


async def test_a_prompt_that_does_not_fit_is_told_as_with_llama_cpp(onnx_server):
    model = EndpointChatModel(onnx_server.connect, name=onnx_server.name, timeout=PATIENCE)
    with pytest.raises(ContextTooLongError):
        [piece async for piece in model.stream([{"role": "user", "content": "ship " * 3000}], max_tokens=5)]


async def test_as_many_answers_as_slots_are_written_at_once_and_the_next_takes_the_slot_that_knows_most():
    slots = [Slot(number, None) for number in range(2)]
    server = _Server(SimpleNamespace(slots=slots), name="Tiny", key="")
    slots[1].ids = [1, 2, 3]
    first, second = await server._take([1, 2, 3, 4]), await server._take([1, 2, 3, 4])
    assert [first.number, second.number] == [1, 0]
    third = asyncio.create_task(server._take([5]))
    done, _ = await asyncio.wait([third], timeout=0.05)
    assert not done
    await server._give_back(second, done_already())
    assert (await third).number == 0


def done_already() -> asyncio.Future[None]:
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


async def test_who_waits_for_a_slot_gets_it_even_if_the_one_before_has_just_left():
    slot = Slot(0, None)
    server = _Server(SimpleNamespace(slots=[slot]), name="Tiny", key="")
    await server._take([1])
    left, waiting = (asyncio.create_task(server._take([1])) for _ in range(2))
    await asyncio.sleep(0)
    await server._give_back(slot, done_already())
    left.cancel()
    assert await asyncio.wait_for(waiting, PATIENCE) is slot


async def test_a_reader_that_leaves_before_the_last_pieces_frees_its_slot():
    slot, n = Slot(0, None), _AHEAD + 3

    def write(*_, stopped):
        yield from [Piece("a")] * n

    server = _Server(SimpleNamespace(slots=[slot], write=write), name="Tiny", key="")
    pieces = server._pieces([1], Wanted(max_tokens=n))
    await anext(pieces)
    await asyncio.sleep(0.02)  # now the writer waits for its reader, with two pieces left
    await asyncio.wait_for(pieces.aclose(), PATIENCE)
    assert not slot.busy


async def test_a_request_that_is_cancelled_while_it_ends_frees_its_slot():
    """As when writing to a reader fails, and then its connection is lost."""
    slot, going_on = Slot(0, None), threading.Event()

    def write(*_, stopped):
        yield Piece("a")
        going_on.wait(PATIENCE)

    server = _Server(SimpleNamespace(slots=[slot], write=write), name="Tiny", key="")
    pieces = server._pieces([1], Wanted(max_tokens=5))
    await anext(pieces)
    ending = asyncio.create_task(pieces.aclose())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    going_on.set()
    assert await asyncio.wait_for(server._take([1]), PATIENCE) is slot


async def test_a_model_for_another_provider_is_named(tiny_onnx, tmp_path):
    folder = shutil.copytree(tiny_onnx, tmp_path / "Tiny-dml")
    config = json.loads((folder / "genai_config.json").read_text())
    config["model"]["decoder"]["session_options"]["provider_options"] = [{"dml": {}}]
    changed(folder / "genai_config.json", **config)
    server = OnnxServer(folder, context=512, slots=1, threads=1)
    with pytest.raises(ModelFileError, match="converted for DirectML, which is not available here") as caught:
        await server.connect()
    assert "--provider cpu" in caught.value.hint
    assert server.pid is None


async def test_damaged_weights_are_named_and_not_waited_for(tiny_onnx, tmp_path):
    folder = shutil.copytree(tiny_onnx, tmp_path / "Tiny")
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-3000])
    server = OnnxServer(folder, context=512, slots=1, threads=1)
    with pytest.raises(ModelFileError, match="cannot be loaded: a file is damaged") as caught:
        await server.connect()
    assert caught.value.hint
    assert server.pid is None


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        ("Failed to allocate memory for requested buffer of size 9", ModelUnreachableError, "not enough memory"),
        ("Load model from model.onnx failed:Protobuf parsing failed.", ModelFileError, "a file is damaged"),
        ("CUDAExecutionProvider: parsing failed", ModelFileError, "a file is damaged"),
        ("the server did not start (no answer)", ModelUnreachableError, "stopped while starting"),
    ],
)
def test_what_the_engine_says_is_told_for_what_it_is(tmp_path, said, kind, sentence):
    server = OnnxServer(onnx_folder(tmp_path / "Tiny"), context=512, slots=1, threads=1)
    told = server._failure({"error": said}, log=deque())
    assert isinstance(told, kind)
    assert sentence in str(told)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_onnx_runtime_is_told_not_to_report_to_its_makers(onnx_server):
    asyncio.run(onnx_server.connect())
    environment = Path(f"/proc/{onnx_server.pid}/environ").read_bytes().split(b"\0")
    assert b"ORT_DISABLE_TELEMETRY=1" in environment
    opened = {str(link.readlink()) for link in Path(f"/proc/{onnx_server.pid}/fd").iterdir() if link.is_symlink()}
    assert not [path for path in opened if "DeveloperTools" in path], "where what is to be sent is kept"
