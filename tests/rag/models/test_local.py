"""The model server as a child process: it starts, it is private, it comes back, and it never outlives its parent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import aclosing
from pathlib import Path

import pytest

from rag.errors import ModelFileError, ModelUnreachableError
from rag.models import local
from rag.models.chat import Completion, EndpointChatModel
from rag.models.local import LocalServer, embedded_drafter
from rag.models.onnx.server import OnnxServer
from waiting import PATIENCE, soon, until

posix = pytest.mark.skipif(os.name != "posix", reason="kills with signals")
QUESTION = [{"role": "user", "content": "Tell a long story about a ship."}]


ENGINES = ["llama.cpp", "onnx"]


@pytest.fixture(scope="module", params=ENGINES)
async def own_server(request):
    """One that the tests of this file end in every way; whoever asks next starts it again."""
    if request.param == "onnx":
        server = OnnxServer(request.getfixturevalue("tiny_onnx"), context=4096, slots=1, threads=1)
    else:
        server = LocalServer(embedded_drafter(), context=2048, slots=1, threads=None)
    yield server
    await server.close()


@pytest.fixture(scope="module", params=ENGINES)
def shared_server(request):
    """One that other files' tests use too."""
    return request.getfixturevalue({"llama.cpp": "local_server", "onnx": "onnx_server"}[request.param])


def most_of(server) -> int:
    """Tokens of an answer that takes long: nearly all that fit. The tiny model is fast."""
    return server._options["context"] - 200


def proc(pid: int, file: str) -> bytes:
    """What Linux shows of a process to everybody on the machine; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except FileNotFoundError:
        return b""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # dead; nobody here reaps orphans
    return sys.platform == "linux" and proc(pid, "stat").rpartition(b")")[2].split()[:1] in ([], [b"Z"])


def fetch(url: str, *, body: dict | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json", **(headers or {})})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_the_name_is_the_files_with_the_quantization_set_apart(tmp_path):
    def name(file: str) -> str:
        return LocalServer(tmp_path / file, context=2048, slots=1, threads=None).name

    assert name("SmolLM2-135M-Instruct.Q4_1.gguf") == "SmolLM2-135M-Instruct Q4_1"
    assert name("Phi-4-mini-instruct-Q4_K_M.gguf") == "Phi-4-mini-instruct Q4_K_M"
    assert name("qwen2.5-0.5b-instruct-f16.gguf") == "qwen2.5-0.5b-instruct f16"
    assert name("my model.gguf") == "my model"


def test_one_server_serves_one_event_loop_after_another(shared_server):
    first, pid = asyncio.run(shared_server.connect()), shared_server.pid
    time.sleep(0.3)  # the thread that started the child has ended with its loop
    assert asyncio.run(shared_server.connect()) == first
    assert shared_server.pid == pid


async def test_callers_at_the_same_time_start_one_child_that_neither_prints_nor_loads_torch(own_server, capfd):
    own_server.kill()
    endpoints = await asyncio.gather(*(own_server.connect() for _ in range(5)))
    assert len(set(endpoints)) == 1
    assert capfd.readouterr() == ("", "")
    if sys.platform == "linux":
        maps = proc(own_server.pid, "maps")
        assert (b"onnxruntime_genai" if isinstance(own_server, OnnxServer) else b"xllamacpp") in maps
        assert b"libtorch" not in maps


async def test_no_web_page_and_no_other_program_can_use_it(shared_server):
    endpoint = await shared_server.connect()
    root = endpoint.base_url.removesuffix("/v1")
    body = {"messages": QUESTION, "max_tokens": 1}
    origin = {"Origin": "https://evil.example"}
    for key in ({}, {"Authorization": "Bearer wrong"}):
        for path in ("/v1/chat/completions", "/completion", "/tokenize", "/apply-template"):
            assert fetch(root + path, body=body, headers=origin | key)[0] == 401
        for path in ("/props", "/slots", "/v1/models"):
            assert fetch(root + path, headers=origin | key)[0] == 401
    status, headers, _ = fetch(root + "/health", headers=origin)
    assert status == 200
    assert headers.get("Access-Control-Allow-Origin", "") == ""
    assert endpoint.base_url.startswith("http://127.0.0.1:")


async def test_the_key_stands_on_no_command_line_in_no_environment_and_in_no_repr(shared_server):
    endpoint = await shared_server.connect()
    assert endpoint.api_key not in repr(endpoint)
    if sys.platform == "linux":
        for file in ("cmdline", "environ"):
            shown = proc(shared_server.pid, file)
            assert shown
            assert endpoint.api_key.encode() not in shown


async def test_replies_do_not_carry_the_path_of_the_model(shared_server):
    endpoint = await shared_server.connect()
    key = {"Authorization": f"Bearer {endpoint.api_key}"}
    assert str(shared_server._path.parent).encode() not in fetch(endpoint.base_url + "/models", headers=key)[2]


async def test_the_pipe_that_keeps_the_child_alive_is_not_inherited(shared_server):
    await shared_server.connect()
    assert not os.get_inheritable(shared_server._child.stdin.fileno())


@posix
async def test_killed_in_mid_answer_it_says_so_and_comes_back(own_server):
    model = EndpointChatModel(own_server.connect, name=own_server.name, timeout=PATIENCE)
    pieces = model.stream(QUESTION, max_tokens=most_of(own_server))
    await anext(pieces)
    first = own_server.pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ModelUnreachableError, match=rf"^The connection to {re.escape(own_server.name)} broke\."):
        [piece async for piece in pieces]
    own_server._child.wait(PATIENCE)  # on a loaded machine the kernel takes longer than a test to end it
    after = [piece async for piece in model.stream(QUESTION, max_tokens=5)]
    assert isinstance(after[-1], Completion)
    assert own_server.pid not in (None, first)


@posix
async def test_a_reader_that_leaves_stops_the_model(own_server):
    model = EndpointChatModel(own_server.connect, name=own_server.name, timeout=PATIENCE)
    endpoint, most = await own_server.connect(), most_of(own_server)

    def slot() -> dict:
        key = {"Authorization": f"Bearer {endpoint.api_key}"}
        return json.loads(fetch(endpoint.base_url.removesuffix("/v1") + "/slots", headers=key)[2])[0]

    def busy() -> bool:
        return slot()["is_processing"]

    async def idle_soon() -> bool:
        """Idle, and not because all that was asked for is written."""
        return await asyncio.to_thread(until, lambda: not busy()) and slot()["next_token"][0]["n_decoded"] < most

    async with aclosing(model.stream(QUESTION, max_tokens=most)) as pieces:
        await anext(pieces)
        assert await asyncio.to_thread(busy)
    assert await idle_soon()

    async def read() -> None:
        async for _ in model.stream(QUESTION, max_tokens=most):
            started.set()

    started = asyncio.Event()
    task = asyncio.create_task(read())
    await started.wait()
    assert await asyncio.to_thread(busy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await idle_soon()


PARENT = """
import asyncio, os, sys, time
from rag.models.local import LocalServer, embedded_drafter
server = LocalServer(embedded_drafter(), context=2048, slots=1, threads=None)
asyncio.run(server.connect())
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(3600)  # holds the pipe open
    os._exit(0)
print(server.pid, flush=True)
time.sleep(3600)
"""


@posix
@pytest.mark.parametrize("how", ["alone", "fork"])
def test_a_parent_killed_outright_leaves_no_server(how):
    if how == "fork" and sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()
        parent.wait()
        assert until(lambda: gone(pid))
    finally:
        os.killpg(parent.pid, signal.SIGKILL) if how == "fork" else None
        parent.stdout.close()


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the child notices when the model is loaded")
def test_a_parent_killed_while_the_model_loads_leaves_no_server():
    early = PARENT.replace(
        "asyncio.run(server.connect())",
        """
import threading
threading.Thread(target=server._start, kwargs={"gone": None}, daemon=True).start()
while not server.pid:
    time.sleep(0.01)
time.sleep(0.5)""",
    )
    parent = subprocess.Popen([sys.executable, "-c", early], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: gone(pid))


@posix
async def test_the_end_of_its_standard_input_alone_ends_the_child(own_server):
    await own_server.connect()
    child = own_server._child
    child.stdin.close()
    assert await asyncio.to_thread(child.wait, PATIENCE) == 0


async def test_close_and_kill_end_the_child_and_it_can_be_started_again(own_server):
    idle = type(own_server)(own_server._path, context=2048, slots=1, threads=None)
    await idle.close()  # before any start
    idle.kill()
    await own_server.connect()
    first = own_server.pid
    await own_server.close()
    assert own_server.pid is None
    assert until(lambda: gone(first))
    await own_server.connect()
    second = own_server.pid
    own_server.kill()
    assert await soon(lambda: gone(second))


async def test_a_frozen_child_can_be_killed_while_close_waits_for_it(own_server, monkeypatch):
    monkeypatch.setattr(local, "STOP_SECONDS", 600.0)
    await own_server.connect()
    pid = own_server.pid
    os.kill(pid, signal.SIGSTOP)
    closing = asyncio.create_task(own_server.close())
    assert await soon(lambda: own_server._child is None or own_server._child.stdin.closed)
    own_server.kill()
    assert await soon(lambda: gone(pid))
    await closing
    assert own_server.pid is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"%PDF-1.7 not a model", "is not a GGUF file"),
        (b"", "is not a GGUF file"),
        (b"GGUF", "is damaged"),
        ("1 MB of it", "is damaged"),
        ("all but its end", "is damaged"),
    ],
    ids=str,
)
async def test_a_file_that_is_no_model_is_named_and_not_waited_for(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(local, "START_SECONDS", 3600.0)
    path = tmp_path / "model.gguf"
    if isinstance(content, str):
        whole = embedded_drafter().read_bytes()
        content = whole[:1_000_000] if content.startswith("1 MB") else whole[:-1_000_000]
    if content is not None:
        path.write_bytes(content)
    server = LocalServer(path, context=2048, slots=1, threads=None)
    with pytest.raises(ModelFileError, match=message) as caught:
        await server.connect()
    assert caught.value.hint
    assert server.pid is None


async def test_a_start_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(local, "START_SECONDS", 0.05)
    server = LocalServer(embedded_drafter(), context=2048, slots=1, threads=None)
    with pytest.raises(ModelUnreachableError, match="did not load within"):
        await server.connect()
    assert server.pid is None


@posix
async def test_a_child_that_dies_at_the_start_is_reported_once(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    server = LocalServer(embedded_drafter(), context=2048, slots=1, threads=None)
    with pytest.raises(ModelUnreachableError, match="stopped while starting"):
        await server.connect()


def test_a_missing_embedded_model_is_explained(monkeypatch):
    monkeypatch.setattr(local, "EMBEDDED_MODEL", "no_such_package/model.gguf")
    with pytest.raises(ModelFileError, match=r"model\.gguf is not installed"):
        embedded_drafter()
