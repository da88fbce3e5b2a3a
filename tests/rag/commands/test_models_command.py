"""`python -m rag models`: what it lists, what it recommends, and that it downloads nothing unasked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pty
import subprocess
import sys

import pytest

from gguf_files import QWEN, gguf
from hub_server import Hub, serving
from places import ROOT
from rag.__main__ import main
from rag.commands.convert import _setting
from rag.models.chat import Completion, EndpointChatModel
from rag.models.local import LocalServer, embedded_drafter
from rag.models.registry import load
from rag.models.resolve import resolve
from tiny_models import onnx_folder
from waiting import PATIENCE

SMALL = gguf(QWEN) + bytes(300_000)
SIZE = len(SMALL)


@pytest.fixture
def library(tmp_path, monkeypatch):
    path = tmp_path / "library"
    path.mkdir()
    monkeypatch.setenv("SCHOLION_LIBRARY", str(path))
    return path


@pytest.fixture
def run(library, capsys):
    def call(*arguments):
        try:
            code = main(["models", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def hub(monkeypatch):
    with serving(Hub(SMALL)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def entry(library, *, sha256, size=SIZE, file="small.gguf"):
    """A model of the user's own list, on the hub of the test."""
    source = {"kind": "gguf", "repository": "me/models", "file": file, "revision": "a" * 40, "sha256": sha256}
    licence = {"name": "MIT", "commercial": "yes", "terms": "May be sold."}
    row = {"name": "small", "roles": ["draft"], "source": source, "weights_bytes": size, "licence": licence}
    (library / "models.json").write_text(json.dumps({"models": [row]}))


CHECKSUM = hashlib.sha256(SMALL).hexdigest()


def test_the_list_shows_every_model_with_its_memory_licence_and_source(run):
    code, out, err = run()
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert {card.name for card in load().cards} <= rows.keys()
    assert "Qwen Research" in rows["qwen2.5-3b-instruct"]
    assert "to download, 4.7 GB" in rows["qwen2.5-7b-instruct"]
    assert "comes with Scholion" in rows["smollm2-135m-instruct"]


def test_commercial_leaves_out_what_may_not_be_sold_wherever_the_option_stands(run):
    assert "qwen2.5-3b-instruct" in run()[1]
    assert "qwen2.5-3b-instruct" not in run("--commercial")[1]
    before, after = run("--json", "--commercial", "select"), run("select", "--commercial", "--json")
    assert before == after
    assert json.loads(before[1])["reason"]


def test_json_carries_the_whole_card_and_what_it_means_here(run):
    code, out, _ = run("--json", "--context", 4096)
    told = json.loads(out)
    assert code == 0
    assert told["machine"]["cores"] >= 1
    row = next(row for row in told["models"] if row["name"] == "gpt-oss-20b")
    assert row["source"]["sha256"].startswith("be37a636")
    assert row["context"] == 4096
    assert row["fits"] in ("yes", "tight", "no", None)
    assert row["file"] is None
    assert next(row for row in told["models"] if row["name"] == "gpt-5-mini")["memory_bytes"] is None


def test_show_tells_all_of_one_and_a_wrong_name_is_answered_with_near_ones(run):
    code, out, _ = run("show", "phi-4-mini-instruct")
    assert code == 0
    for words in ("131,072 tokens", "MIT", "commercial use  yes", "01999f17c39c"):
        assert words in out
    code, out, err = run("show", "phi-4-mini")
    assert (code, out) == (1, "")
    assert "phi-4-mini-instruct" in err


def test_select_gives_one_name_its_reason_and_the_way_to_it(run):
    code, out, _ = run("select", "--task", "embed")
    assert (code, out) == (0, "all-minilm-l6-v2 comes with Scholion; search was trained and measured with it.\n")
    code, out, _ = run("select", "--task", "draft", "--json")
    row = json.loads(out)["model"]
    assert "draft" in row["roles"]


def test_a_wrong_list_is_said_once_and_the_command_goes_on(run, library):
    (library / "models.json").write_text('{"models": [{"name": "x"}]}')
    code, out, err = run()
    assert code == 0
    assert err.count("\n") == 1
    assert "“x” was ignored" in err
    assert "gpt-oss-20b" in out


def test_a_list_that_somebody_else_wrote_cannot_drive_the_terminal(run, library):
    licence = {"name": "\x1b[2JMIT", "commercial": "yes", "terms": "\x1b]0;x\x07"}
    rows = [{"name": "qwen3-4b", "licence": licence}, {"name": "\x1b[2J"}]
    (library / "models.json").write_text(json.dumps({"models": rows}))
    for command in ((), ("show", "qwen3-4b"), ("pull", "qwen3-4b")):
        _, out, err = run(*command)
        assert "MIT" in out
        assert not {"\x1b", "\x07"} & set(out + err)


def test_nothing_is_downloaded_unasked(run, library, hub):
    entry(library, sha256=CHECKSUM)
    code, out, err = run("pull", "small")
    assert code == 1
    assert "Add --yes" in err
    for words in ("small.gguf of me/models", "from localhost", "0 MB", "MIT. May be sold."):
        assert words in out
    assert hub.asked == []
    assert not (library / "models").exists()


@pytest.mark.parametrize("answer,code", [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_at_a_terminal_it_asks(library, hub, answer, code):
    entry(library, sha256=CHECKSUM)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "rag", "models", "pull", "small"],
        cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip
    os.write(ours, answer.encode())
    out, _ = child.communicate(timeout=PATIENCE)
    os.close(ours)
    os.close(theirs)
    assert child.returncode == code
    assert "Download it? [y/N]" in out
    assert (len(hub.asked) == 1) == (code == 0)
    assert (library / "models" / "small.gguf").exists() == (code == 0)


def test_a_model_is_pulled_once_by_its_revision(run, library, hub):
    entry(library, sha256=CHECKSUM)
    code, out, _ = run("pull", "small", "--yes")
    path = library / "models" / "small.gguf"
    assert code == 0
    assert path.read_bytes() == SMALL
    assert str(path) in out
    assert [asked for asked, _ in hub.asked] == [f"/me/models/resolve/{'a' * 40}/small.gguf"]
    assert run("pull", "small")[0] == 0
    assert len(hub.asked) == 1, "what is here is not fetched again"
    assert json.loads(run("show", "small", "--json")[1])["file"] == str(path)


def test_a_file_that_cannot_be_checked_needs_more_than_a_yes(run, library, hub):
    entry(library, sha256=None)
    code, out, err = run("pull", "small", "--yes")
    assert code == 1
    assert "cannot be checked" in out
    assert "--checksum" in err
    assert hub.asked == []
    assert run("pull", "small", "--yes", "--checksum", "f" * 64)[0] == 1
    assert not (library / "models" / "small.gguf").exists()
    assert run("pull", "small", "--yes", "--checksum", CHECKSUM.upper())[0] == 0
    (library / "models" / "small.gguf").unlink()
    assert run("pull", "small", "--yes", "--unchecked")[0] == 0


def test_a_checksum_that_is_none_is_wrong_usage(run):
    assert run("pull", "qwen3-4b", "--checksum", "abc")[0] == 2


def test_a_failed_download_is_one_sentence(run, library, hub):
    entry(library, sha256="0" * 64)
    code, _, err = run("pull", "small", "--yes")
    assert code == 1
    assert "not the expected file" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "name,words",
    [("smollm2-135m-instruct", "comes with"), ("bge-small-en-v1.5", "hf download"), ("gpt-5-mini", "OPENAI_API_KEY")],
)
def test_what_is_no_file_is_said_with_the_way_to_it(run, name, words):
    code, _, err = run("pull", name, "--yes")
    assert code == 1
    assert words in err


def test_what_is_converted_by_its_name_is_here_and_under_the_licence_in_the_list(run, library):
    entry(library, sha256=CHECKSUM)
    code, _, err = run("convert", "small")
    assert code == 1
    assert "models pull small" in err
    chat = {"tokenizer.ggml.model": "gpt2", "tokenizer.chat_template": "{{ messages }}", "general.license": "other"}
    (library / "models").mkdir()
    (library / "models" / "small.gguf").write_bytes(gguf(QWEN | chat))
    code, _, err = run("convert", "small", "--licence", "apache-2.0")
    assert code == 1
    assert "states the licence MIT, not apache-2.0" in err
    code, _, err = run("convert", "gpt-5-mini")
    assert code == 1
    assert "is a service" in err


@pytest.mark.parametrize("number", ["-1", "21", "many"])
def test_a_number_of_prompts_that_there_are_not_is_wrong_usage(run, number):
    code, _, err = run("convert", "embedded", f"--prompts={number}")
    assert code == 2
    assert "--prompts" in err


def test_a_converted_model_is_named_by_its_path_where_its_name_would_not_do(library, tmp_path):
    inside = onnx_folder(library / "models" / "onnx" / "local" / "Tiny-int4")
    assert _setting(inside, library) == "Tiny-int4"
    elsewhere = onnx_folder(tmp_path / "my onnx" / "local" / "Tiny-int4")
    assert _setting(elsewhere, library) == f"'{elsewhere}'"


async def test_a_pulled_model_answers(run, library, hub):
    """The whole way, with real weights: listed, downloaded through a broken connection, resolved, served, asked."""
    hub.content = embedded_drafter().read_bytes()
    hub.breaks = [40_000_000]
    size, digest = len(hub.content), hashlib.sha256(hub.content).hexdigest()
    entry(library, sha256=digest, size=size, file="deep/er/real.Q4_1.gguf")
    assert (await asyncio.to_thread(run, "pull", "small", "--yes"))[0] == 0
    assert len(hub.asked) == 2
    found = resolve("small", registry=load(library), library=library)
    assert found.path == library / "models" / "real.Q4_1.gguf"
    server = LocalServer(found.path, context=1024, slots=1, threads=None)
    model = EndpointChatModel(server.connect, name=found.name, timeout=PATIENCE)
    try:
        pieces = [piece async for piece in model.stream([{"role": "user", "content": "Say hello."}], max_tokens=8)]
    finally:
        await server.close()
    assert isinstance(pieces[-1], Completion)
    assert len(pieces) > 1
