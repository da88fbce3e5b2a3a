"""Foundry Local: how it is found, what it refuses, and the real one where it is installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from argparse import Namespace
from pathlib import Path

import pytest

import engine_stubs as stubs
from engine_stubs import Page, serving
from rag.commands import discover as command
from rag.commands import foundry as foundry_command
from rag.errors import ModelFileError, ModelUnreachableError
from rag.models.chat import Completion
from rag.models.open import open_model
from rag.privacy.destination import is_here
from rag.servers.discovery import discover, elsewhere, served
from rag.servers.foundry import foundry_local, model_id, own_python
from rag.servers.probe import probe_server
from waiting import PATIENCE, until

LOADED = "smollm2-135m-instruct-int4:1"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def here(url):
    return {"FOUNDRY_LOCAL_ENDPOINT": url}


def opened(setting, folder):
    return open_model(setting, library=folder, context=None, file_context=4096, slots=1, threads=1, timeout=PATIENCE)


async def test_registered_models_are_found_under_their_own_path_and_no_catalogue_is_asked():
    with serving(stubs.FOUNDRY_LOCAL_REGISTERED) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        (engine,) = await discover(environment=here(url), ports=())
        assert (engine.name, engine.base_url, engine.note) == ("Foundry Local", f"{url}/catalogs/local/v1", None)
        assert [model.id for model in engine.models] == [LOADED], "a model that is not loaded is refused by the service"
        assert "/v1/models" not in [path for path, _ in server.asked]
        assert (await served(engine.base_url, model=LOADED, seconds=PATIENCE)).relayed_to is None


async def test_where_none_is_loaded_it_says_so():
    pages = stubs.FOUNDRY_LOCAL_REGISTERED.pages | {"/catalogs/local/models/loaded": []}
    with serving(stubs.Stub("Foundry Local", pages)) as server:
        address = here(f"http://127.0.0.1:{server.server_port}")
        (engine,) = await discover(environment=address, ports=())
        (probed,) = await discover(environment=address, ports=(), catalogues=True)
    assert engine.models == probed.models == ()
    assert engine.note == f"{probed.note} `--probe` asks for those of Microsoft's catalogue."
    assert probed.note == "None of its registered models is loaded."


async def test_where_none_is_loaded_the_catalogue_is_asked_for_if_wanted():
    catalogue = {path: stubs.FOUNDRY_LOCAL.pages[path] for path in ["/v1/models"]}
    pages = stubs.FOUNDRY_LOCAL_REGISTERED.pages | {"/catalogs/local/models/loaded": []} | catalogue
    with serving(stubs.Stub("Foundry Local", pages)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        (engine,) = await discover(environment=here(url), ports=(), catalogues=True)
    assert engine.base_url == f"{url}/v1"
    assert [model.id for model in engine.models] == ["phi-4-mini-instruct-generic-cpu:5"]


async def test_the_probe_asks_below_the_path_of_the_registered_models():
    stub = stubs.FOUNDRY_LOCAL_REGISTERED
    asked, choice = [], {"index": 0, "delta": {"content": "1 2 3"}, "finish_reason": "stop"}

    def completes(body):
        asked.append(body["model"])
        return Page(f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n")

    with serving(stubs.Stub("Foundry Local", stub.pages, prefix=stub.prefix, completes=completes)) as server:
        url = f"http://127.0.0.1:{server.server_port}/catalogs/local/v1"
        able = await probe_server(url, model=LOADED, seconds=PATIENCE)
    assert set(asked) == {LOADED}
    assert able.logprobs is False


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("http://workstation.example:5272", "http://workstation.example:5272/v1"),
        ("https://workstation.example/catalogs/local/v1/", "https://workstation.example/catalogs/local/v1"),
        ("192.0.2.7", "http://192.0.2.7:5272/v1"),
        ("http://[2001:db8::1]:5272", "http://[2001:db8::1]:5272/v1"),
    ],
)
async def test_another_machine_is_named_with_its_setting_and_lies_behind_the_gate(text, base_url, tmp_path):
    assert elsewhere(here(text)) == {"FOUNDRY_LOCAL_ENDPOINT": base_url}
    model = opened(f"{base_url}#phi", tmp_path).model
    assert not await is_here(base_url)
    assert not await model.is_here(), "so each question needs the gate's permit"


@pytest.mark.parametrize(
    "text",
    [
        "", "http://127.0.0.1:5272", "localhost", "https://localhost:5272", "https://[::1]", "ftp://a.example",
        "http://a:b:c",
    ],
)  # fmt: skip
def test_this_machine_and_what_is_no_address_are_not_elsewhere(text):
    assert elsewhere(here(text)) == {}


def test_discover_tells_of_another_machine_without_contacting_it(monkeypatch, capsys):
    monkeypatch.setenv("FOUNDRY_LOCAL_ENDPOINT", "http://workstation.example:5272")
    monkeypatch.setattr(command, "discover", _nothing)
    command.run(_options())
    said = capsys.readouterr().out
    assert "FOUNDRY_LOCAL_ENDPOINT names another machine, which was not contacted." in said
    assert "SCHOLION_EXPERT=http://workstation.example:5272/v1#NAME" in said


async def _nothing(**_):
    return ()


def _options():
    return Namespace(at=[], probe=None, json=False)


def test_ids_are_as_foundry_local_wants_them(tmp_path):
    assert model_id(tmp_path / "SmolLM2-135M Instruct (int4)") == "smollm2-135m-instruct-int4:1"
    assert model_id(tmp_path / "模型") == "model:1"


# What it refuses; no Foundry Local is needed


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "Tiny"
    made.mkdir()
    (made / "genai_config.json").write_text("{}")
    return made


def fails(folders, *, python=sys.executable, port=0):
    with (
        pytest.raises((ModelFileError, ModelUnreachableError)) as caught,
        foundry_local(folders, python=Path(python), port=port),
    ):
        pass
    return str(caught.value)


def test_a_folder_that_holds_no_such_model_is_named(tmp_path):
    assert "it has no genai_config.json" in fails([tmp_path])


def test_two_folders_of_one_name_are_refused(folder, tmp_path):
    other = tmp_path / "other" / "tiny"
    other.mkdir(parents=True)
    (other / "genai_config.json").write_text("{}")
    assert "Two of the folders would both be called tiny:1" in fails([folder, other])


def test_a_taken_port_is_told(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = fails([folder], port=taken.getsockname()[1])
    assert "Another program uses port" in said


def test_a_missing_environment_and_one_without_the_package_are_told(folder, tmp_path):
    assert "Foundry Local is not installed. Run `make foundry`" in fails([folder], python=tmp_path / "no" / "python")
    assert "This Python has no foundry-local-sdk" in fails([folder])


# A child that stands in for it


@pytest.fixture
def run_with(folder, tmp_path, monkeypatch):
    """Run the command with a child that does this after it has read what is wanted."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    before = signal.getsignal(signal.SIGTERM)

    def run(does):
        child = tmp_path / "child.py"
        child.write_text(f"import json, sys\nwanted = json.loads(sys.stdin.readline())\n{does}\n")
        monkeypatch.setattr("rag.servers.foundry._CHILD", child)
        try:
            return foundry_command.run(Namespace(folder=[folder], port=0, python=Path(sys.executable)))
        finally:
            assert not list(place.iterdir()), "the temporary folder has gone"

    yield run
    signal.signal(signal.SIGTERM, before)


def test_that_it_has_ended_is_told(run_with, capsys):
    with pytest.raises(ModelUnreachableError, match=r"Foundry Local ended\. Start it again"):
        run_with("print(json.dumps({'url': 'http://127.0.0.1:1', 'models': list(wanted['models'])}), flush=True)")
    assert "tiny:1" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_sigterm_while_models_load_leaves_nothing(run_with, tmp_path, capsys):
    loading = tmp_path / "loading"

    def terminate():
        if until(loading.exists):
            os.kill(os.getpid(), signal.SIGTERM)

    terminator = threading.Thread(target=terminate)
    terminator.start()
    assert run_with(f"open({str(loading)!r}, 'w').close(); sys.stdin.read()") == 0
    terminator.join()
    assert "Loaded" not in capsys.readouterr().out


# The real one


@pytest.fixture
def real():
    if not own_python().is_file():
        pytest.skip("Foundry Local is not installed (`make foundry`)")


def test_the_real_one_refuses_a_broken_folder_in_a_sentence(real, folder):
    said = fails([folder], python=own_python())
    assert said.startswith("Foundry Local refused: ")


async def test_the_real_one_is_found_lists_answers_streams_and_unloads(real, request, tmp_path):
    model = request.getfixturevalue("tiny_onnx")  # made only where it is needed
    with foundry_local([model], port=0) as foundry:
        (engine,) = await discover(environment=here(foundry.url), ports=())
        assert (engine.name, engine.base_url) == ("Foundry Local", foundry.base_url)
        assert [one.id for one in engine.models] == list(foundry.models) == [model_id(model)]
        asked = opened(f"{foundry.base_url}#{foundry.models[0]}", tmp_path).model
        assert await asked.is_here()
        pieces = [piece async for piece in asked.stream(QUESTION, max_tokens=12)]
        assert isinstance(pieces[-1], Completion)
        assert "".join(pieces[:-1])
        assert len(pieces) > 2, "it streams"
        assert 0 < pieces[-1].usage.output_tokens <= 12
    assert await discover(environment=here(foundry.url), ports=()) == (), "it has gone with its models"
