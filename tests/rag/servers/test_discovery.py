"""Model servers on loopback: each is known by what it answers, and nothing beyond loopback is ever asked."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace

import pytest

import engine_stubs as stubs
from engine_stubs import ENGINES, Page, Stub, serving
from rag import __main__ as command
from rag.commands.discover import setting, widening
from rag.errors import ModelTimeoutError
from rag.models import open as opening
from rag.models.local import embedded_drafter
from rag.servers import discovery, loopback
from rag.servers.discovery import PORTS, discover, served
from rag.servers.engines import Engine, ServedModel
from rag.servers.loopback import Address, hear, loopback_address, loopback_client
from sockets import ELSEWHERE, connections


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """These tests are about what is said, on a machine that may be busy with others."""
    monkeypatch.setattr(loopback, "CONNECT_SECONDS", 6.0)
    monkeypatch.setattr(loopback, "REPLY_SECONDS", 6.0)
    monkeypatch.setattr(discovery, "SITE_SECONDS", 60.0)
    monkeypatch.setattr(discovery, "CATALOGUE_SECONDS", 60.0)


async def seen(*running: Stub, **options):
    with ExitStack() as stack:
        ports = [stack.enter_context(serving(stub)).server_port for stub in running]
        return await discover(environment={}, ports=ports, **options)


async def only(stub: Stub, **options) -> Engine:
    (engine,) = await seen(stub, **options)
    return engine


# What each engine says


@pytest.mark.parametrize("stub", ENGINES, ids=lambda stub: stub.name)
async def test_each_engine_is_known_by_its_answers_on_any_port(stub):
    engine = await only(stub)
    assert engine.name == stub.name
    assert engine.models
    assert engine.base_url.endswith("/v1")


async def test_all_of_them_at_once_are_told_apart_in_the_order_of_the_ports():
    found = await seen(*ENGINES)
    assert [engine.name for engine in found] == [stub.name for stub in ENGINES]


async def test_two_engines_on_each_other_s_usual_port_are_told_apart(monkeypatch):
    with serving(stubs.VLLM) as first, serving(stubs.OLLAMA) as second:
        monkeypatch.setattr(discovery, "VARIABLES", {"FOUNDRY_LOCAL_ENDPOINT": 0, "OLLAMA_HOST": first.server_port})
        environment = {
            "OLLAMA_HOST": "127.0.0.1",
            "FOUNDRY_LOCAL_ENDPOINT": f"http://localhost:{second.server_port}/v1",
        }
        found = await discover(environment=environment, ports=())
    assert {engine.base_url.split(":")[2].split("/")[0]: engine.name for engine in found} == {
        str(first.server_port): "vLLM",
        str(second.server_port): "Ollama",
    }


async def test_ollama_tells_the_window_of_a_loaded_model_and_of_one_whose_modelfile_sets_it():
    engine = await only(stubs.OLLAMA)
    assert engine.version == "0.12.11"
    assert engine.models == (
        ServedModel(id="qwen2.5:7b", trained_context=32768, weights_bytes=4683087332),
        ServedModel(id="llama3.2:3b", context_window=4096, trained_context=131072, weights_bytes=4683087332),
        ServedModel(id="qwen2.5-8k:latest", context_window=8192, trained_context=32768, weights_bytes=4683087332),
        ServedModel(id="nomic-embed-text:latest", trained_context=2048, weights_bytes=4683087332, chat=False),
        ServedModel(id="gpt-oss:120b-cloud", weights_bytes=4683087332, relayed_to="ollama.com"),
    )


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "deepseek-v3.1:cloud"])
async def test_a_cloud_model_of_an_old_ollama_that_does_not_say_so_is_known_by_its_name(name):
    pages = stubs.OLLAMA.pages | {"/api/tags": {"models": [{"name": name}]}}
    (model,) = (await only(Stub("Ollama", pages))).models
    assert model.relayed_to == "ollama.com"


async def test_lm_studio_tells_the_window_of_loaded_models_in_both_versions_of_its_interface():
    assert (await only(stubs.LM_STUDIO)).models == (
        ServedModel(id="google/gemma-3-4b", context_window=8192, trained_context=131072),
        ServedModel(id="qwen/qwen3-4b-2507", trained_context=262144),
        ServedModel(id="text-embedding-nomic-embed-text-v1.5", trained_context=2048, chat=False),
    )
    assert (await only(stubs.LM_STUDIO_0)).models == (
        ServedModel(id="meta-llama-3.1-8b-instruct", context_window=4096, trained_context=131072),
    )


async def test_vllm_and_sglang_tell_their_version_and_window():
    engine = await only(stubs.VLLM)
    assert (engine.version, engine.models) == (
        "0.11.0",
        (ServedModel(id="Qwen/Qwen2.5-7B-Instruct", context_window=16384),),
    )
    engine = await only(stubs.SGLANG)
    assert (engine.version, engine.models) == (
        "0.5.9",
        (ServedModel(id="qwen/qwen2.5-0.5b-instruct", context_window=32768),),
    )


async def test_jan_tells_which_models_it_passes_on():
    engine = await only(stubs.JAN)
    assert [model.relayed_to for model in engine.models] == [None, "openai"]


async def test_one_model_can_be_asked_about_before_it_is_used():
    with serving(stubs.OLLAMA) as server:
        base_url = f"http://localhost:{server.server_port}/v1"
        assert (await served(base_url, model="qwen2.5-8k", seconds=60)).context_window == 8192
        assert (await served(base_url, model="gpt-oss:120b-cloud", seconds=60)).relayed_to == "ollama.com"
        assert await served(base_url, model="other", seconds=60) is None
    assert await served(f"http://{ELSEWHERE}/v1", model="qwen2.5:7b", seconds=60) is None


async def test_servers_that_want_a_key_are_found_but_their_models_are_not():
    found = await seen(stubs.LOCKED_LLAMA_CPP, stubs.LOCKED_JAN)
    assert [(engine.name, engine.locked, engine.models) for engine in found] == [
        ("llama.cpp", True, ()),
        ("Jan", True, ()),
    ]


async def test_foundry_local_is_not_made_to_ask_its_online_catalogue_unless_wanted():
    with serving(stubs.FOUNDRY_LOCAL) as server:
        environment = {"FOUNDRY_LOCAL_ENDPOINT": f"http://127.0.0.1:{server.server_port}/v1"}
        (engine,) = await discover(environment=environment, ports=())
        assert (engine.name, engine.models) == ("Foundry Local", ())
        assert "catalogue" in engine.note
        assert "/v1/models" not in [path for path, _ in server.asked]
        (engine,) = await discover(environment=environment, ports=(), catalogues=True)
        assert [model.id for model in engine.models] == ["phi-4-mini-instruct-generic-cpu:5"]


async def test_what_listens_on_both_loopback_addresses_is_one_engine_and_different_ones_are_two():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with serving(stubs.VLLM) as first:
        port = first.server_port
        with serving(stubs.VLLM, port=port, host="::1"):
            (engine,) = await discover(environment={}, ports=[port])
        with serving(stubs.GPT4ALL, port=port, host="::1"):
            both = await discover(environment={}, ports=[port])
    assert engine.base_url == f"http://127.0.0.1:{port}/v1"
    assert [(engine.name, engine.base_url) for engine in both] == [
        ("vLLM", f"http://127.0.0.1:{port}/v1"),
        ("GPT4All", f"http://[::1]:{port}/v1"),
    ]


def test_the_usual_ports_of_all_eight_engines_are_looked_at():
    assert {11434, 1234, 8000, 30000, 8080, 1337, 4891, 5272} <= set(PORTS)


# The real one


@pytest.fixture(scope="module")
def llama_cpp():
    """A real llama.cpp server without a key, in this process."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(embedded_drafter())
    params.model_alias = {"SmolLM2"}
    params.n_ctx, params.n_parallel, params.port = 2048, 2, 0
    params.hostnames, params.ui, params.cache_ram_mib = ["127.0.0.1"], False, 0
    return xllamacpp.Server(params)


async def test_a_real_llama_cpp_server_tells_its_model_and_the_window_of_one_slot(llama_cpp):
    (engine,) = await discover(environment={}, ports=(), also=[loopback_address(llama_cpp.listening_address)])
    assert engine.name == "llama.cpp"
    assert "unknown" not in (engine.version or ""), "the wheel's build has no number"
    (model,) = engine.models
    assert replace(model, weights_bytes=None) == ServedModel(id="SmolLM2", context_window=1024, trained_context=8192)
    assert 60_000_000 < model.weights_bytes < 120_000_000
    assert setting(engine, engine.models[0]) == f"SCHOLION_EXPERT={llama_cpp.listening_address}/v1#SmolLM2"


async def test_our_own_server_wants_a_key_and_says_nothing(local_server):
    endpoint = await local_server.connect()
    (engine,) = await discover(environment={}, ports=(), also=[loopback_address(endpoint.base_url)])
    assert (engine.name, engine.locked, engine.models) == ("llama.cpp", True, ())


# What is no engine


DEEP = "[" * 200_000
BOMB = gzip.compress(json.dumps(stubs.openai_list({"id": "x"})).encode() + b" " * 50_000_000)
MANY = stubs.openai_list(*({"id": f"model-{n}", "owned_by": "me" * 50} for n in range(60_000)))


@pytest.mark.parametrize(
    "page",
    [
        Page("<html><body>Welcome</body></html>"),
        Page(stubs.openai_list({"id": "x"}), 302, {"Location": f"http://{ELSEWHERE}/v1/models"}),
        Page(stubs.openai_list({"id": "x"}), 307, {"Location": f"http://{ELSEWHERE}/v1/models"}),
        Page(MANY),
        Page('{"data": [{"id": "x"}'),
        Page(DEEP),
        Page(b"\xff\xfe\x00{"),
        Page(BOMB, headers={"Content-Encoding": "gzip"}),
        Page(stubs.openai_list({"id": ["x"]}, {"id": ""}, {"id": "x" * 10_000})),
        Page({"data": {"id": "x"}}),
        Page({"data": ["x", None, 3]}),
        Page(["x"]),
        Page(None),
        Page({"version": 5, "models": 7, "endpoints": None, "modelCachePath": None, "model_path": 1, "data": "x"}),
        Page({"error": "no"}, 401),
        Page("oops", 500),
    ],
    ids=lambda page: repr(page)[:60],
)
async def test_what_is_no_model_server_is_survived_and_not_offered(page):
    found = await seen(Stub("nothing", {}, other=page), stubs.VLLM)
    names = [engine.name for engine in found if engine.models or engine.locked]
    assert names == ["vLLM"]


@asynccontextmanager
async def talking(first: bytes, *, forever: bytes = b""):
    """A server that sends `first` to whoever connects, and then a byte now and then, or nothing."""

    async def speak(_reader, writer):
        try:
            writer.write(first)
            while True:
                writer.write(forever)
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


BAD = {
    "silent": (b"", b""),
    "half a head": (b"HTTP/1.1 200 OK\r\n", b""),
    "drips": (b"HTTP/1.1 200 OK\r\n\r\n{", b" "),
    "floods": (b"HTTP/1.1 200 OK\r\n\r\n", b"[" * 500_000),
    "endless head": (b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n"),
    "ssh": (b"SSH-2.0-OpenSSH_9.6\r\n", b""),
    "binary": (b"\x00\x01\x02\x03", b"\xff"),
}


async def test_servers_that_hang_drip_or_flood_are_left_and_the_others_are_found():
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(talking(first, forever=more)) for first, more in BAD.values()]
        server = stack.enter_context(serving(stubs.OLLAMA))
        async with asyncio.timeout(120):
            found = await discover(environment={}, ports=[*ports, server.server_port])
    assert [engine.name for engine in found] == ["Ollama"], list(zip(ports, BAD, strict=True))


@pytest.mark.parametrize("path", ["/health", "/api/tags", "/api/ps"])
async def test_a_model_is_not_asked_while_its_server_has_not_said_whether_it_passes_it_on(path, monkeypatch, tmp_path):
    monkeypatch.setattr(opening, "SAYING_SECONDS", 2.0)
    slow = replace(stubs.OLLAMA, pages=stubs.OLLAMA.pages | {path: Page(stubs.OLLAMA.pages.get(path), seconds=600)})
    with serving(slow) as server:
        setting = f"http://127.0.0.1:{server.server_port}/v1#qwen2.5:7b"
        asked = opening.open_model(
            setting, library=tmp_path, context=4096, file_context=4096, slots=1, threads=1, timeout=5
        )
        with pytest.raises(ModelTimeoutError, match="did not say in time"):
            await asked.model.context_window()


# Nothing beyond loopback


async def test_nothing_is_contacted_beyond_loopback(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{ELSEWHERE}:3128")
    environment = {"OLLAMA_HOST": f"http://{ELSEWHERE}:11434", "FOUNDRY_LOCAL_ENDPOINT": "http://models.example:5272"}
    with connections() as made, serving(stubs.VLLM) as trap, serving(stubs.OLLAMA) as ollama, ExitStack() as more:
        # To another machine the tests' own guard would not let it go; a trap that is not on the list shows it too.
        targets = (f"http://{ELSEWHERE}:8080/v1/models", f"http://127.0.0.1:{trap.server_port}/v1/models")
        away = [Stub("away", {}, other=Page("", 302, {"Location": target})) for target in targets]
        ports = [*PORTS, ollama.server_port, *(more.enter_context(serving(stub)).server_port for stub in away)]
        found = await discover(environment=environment, ports=ports)
    assert f"http://127.0.0.1:{ollama.server_port}/v1" in [engine.base_url for engine in found]
    hosts = {address[0] for address in made}
    assert {"127.0.0.1"} <= hosts <= {"127.0.0.1", "::1"}
    assert {address[1] for address in made} == set(ports)
    assert trap.asked == []
    assert not any("authorization" in {name.lower() for name in headers} for _, headers in ollama.asked)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:11434", Address("127.0.0.1", 11434)),
        ("127.0.0.1", Address("127.0.0.1", 5)),
        ("localhost", Address("127.0.0.1", 5)),
        ("http://localhost:5273/v1", Address("127.0.0.1", 5273)),
        ("0.0.0.0:8080", Address("127.0.0.1", 8080)),
        (":8080", Address("127.0.0.1", 8080)),
        ("[::1]:8080", Address("::1", 8080)),
        ("::1", Address("::1", 5)),
        ("[::]:8080", Address("::1", 8080)),
        (ELSEWHERE, None),
        ("192.168.1.5:11434", None),
        ("https://127.0.0.1", None),
        ("http://models.example", None),
        ("http://127.0.0.1.models.example", None),
        ("http://127.0.0.1@models.example", None),
        ("http://localhost.models.example", None),
        ("[::ffff:203.0.113.9]:80", None),
        ("127.1", None),
        ("0x7f000001", None),
        ("2130706433", None),
        ("127.0.0.1:99999", None),
        ("http://[", None),
        ("[fe80::1%lo]:80", None),
    ],
)
def test_only_numeric_loopback_addresses_and_localhost_are_taken(text, address):
    assert loopback_address(text, port=5) == address


async def test_asking_another_machine_is_refused_before_a_socket_is_made():
    with connections() as made:
        async with loopback_client() as client:
            with pytest.raises(ValueError, match=ELSEWHERE):
                await hear(client, Address(ELSEWHERE, 80), "/")
    assert made == []


# The command


def run(capsys, *arguments: str) -> str:
    assert command.main(["discover", *arguments]) == 0
    return capsys.readouterr().out


@pytest.fixture
def no_usual_ports(monkeypatch):
    monkeypatch.setattr("rag.commands.discover.discover", lambda **how: discover(environment={}, ports=(), **how))


def test_the_command_prints_the_setting_of_what_stays_on_this_machine_and_of_nothing_else(capsys, no_usual_ports):
    with serving(stubs.OLLAMA) as server:
        out = run(capsys, "--at", f"127.0.0.1:{server.server_port}")
    base = f"http://127.0.0.1:{server.server_port}/v1"
    assert f"Ollama 0.12.11 at {base}" in out
    assert [line.strip() for line in out.splitlines() if "SCHOLION_EXPERT" in line] == [
        f"SCHOLION_EXPERT={base}#{name}" for name in ("qwen2.5:7b", "llama3.2:3b", "qwen2.5-8k:latest")
    ]
    assert "4,096 tokens of the 131,072" in out
    assert "passes questions on to ollama.com" in out
    assert "embedding model" in out


def test_the_command_as_json(capsys, no_usual_ports):
    with serving(stubs.VLLM) as server:
        (row,) = json.loads(run(capsys, "--json", "--at", f"http://localhost:{server.server_port}"))
    assert row["name"] == "vLLM"
    assert row["models"][0]["setting"] == f"SCHOLION_EXPERT={row['base_url']}#Qwen/Qwen2.5-7B-Instruct"


def test_nothing_found_is_an_answer(capsys, no_usual_ports):
    assert "No model server answers" in run(capsys)


def test_an_address_elsewhere_is_refused_by_the_command(capsys, no_usual_ports):
    assert command.main(["discover", "--at", f"http://{ELSEWHERE}:8080"]) == 1
    assert "was not contacted" in capsys.readouterr().err


def test_a_model_s_name_cannot_write_to_the_terminal(capsys, no_usual_ports):
    pages = {"/v1/models": stubs.openai_list({"id": "evil\x1b]0;owned\x07\x1b[2J"})}
    with serving(Stub("evil", pages)) as server:
        assert "\x1b" not in run(capsys, "--at", f"127.0.0.1:{server.server_port}")


def test_the_way_to_a_larger_window_is_told_only_where_ollama_would_cut():
    engine = Engine(name="Ollama", base_url="http://127.0.0.1:11434/v1")
    told = widening(engine, ServedModel(id="qwen2.5:7b", context_window=4096, trained_context=32768))
    assert "OLLAMA_CONTEXT_LENGTH=8192" in told
    assert "FROM qwen2.5:7b" in told
    assert "PARAMETER num_ctx 8192" in told
    assert "does not say" in widening(engine, ServedModel(id="qwen2.5:7b"))
    assert widening(engine, ServedModel(id="qwen2.5:7b", context_window=8192)) is None
    assert widening(engine, ServedModel(id="tiny", context_window=2048, trained_context=2048)) is None
    assert widening(Engine(name="vLLM", base_url=""), ServedModel(id="x", context_window=512)) is None
