"""A model is converted, checked against its source and described; what breaks on the way leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest

from base_once import cut
from places import ROOT
from rag.__main__ import main
from rag.errors import ConversionError
from rag.models.local import embedded_drafter
from rag.models.onnx import convert as converting
from rag.models.onnx.convert import checksum_faults, convert, plan
from rag.models.onnx.source import FAMILIES, read_source
from tiny_models import tiny_folder
from waiting import PATIENCE

for package in ("onnxruntime_genai", "onnx", "onnx_ir"):
    pytest.importorskip(package, reason="the ONNX engine is not installed (`make onnx`)")


def left(library):
    """Every file below the library, but for the notes of what was asked."""
    return sorted(path.name for path in library.rglob("*") if path.is_file())


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_writes_in_onnx_what_it_writes_in_pytorch(tmp_path, family):
    from rag.models.onnx.build import build

    (target := tmp_path / "onnx").mkdir()
    source = tiny_folder(tmp_path / "source", family)
    told = build({"source": source, "to": target, "precision": "fp32", "provider": "cpu", "prompts": 2}, lambda _: None)
    check = told["check"]
    assert (check["same_prompts"], check["same_texts"]) == (2, 2)
    assert check["logit_difference"] < 1e-3
    assert check["divergence"] < 1e-6


def test_a_gguf_file_writes_in_onnx_what_it_writes_in_pytorch(tmp_path):
    from rag.models.onnx.build import WORK, build

    (target := tmp_path / "onnx").mkdir()
    source = cut(embedded_drafter(), 2, tmp_path / "Short.gguf", words=1000)
    told = build({"source": source, "to": target, "precision": "fp32", "provider": "cpu", "prompts": 1}, lambda _: None)
    assert told["check"]["same_prompts"] == 1
    assert told["check"]["divergence"] < 1e-4
    assert not (target / WORK).exists()


def test_one_command_converts_checks_and_describes(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    source = tiny_folder(tmp_path / "Tiny-Instruct")
    (source / "LICENSE.txt").write_text("Do what is right.")
    assert main(["models", "convert", str(source), "--precision", "int8", "--prompts", "2"]) == 0
    said = capsys.readouterr().out
    assert "licence apache-2.0" in said
    assert "same tokens from the prompt     2 of 2" in said
    assert "SCHOLION_DRAFTER=Tiny-Instruct-int8" in said
    assert "runs as Tiny-Instruct int8 (ONNX, CPU)" in said
    folder = tmp_path / "library" / "models" / "onnx" / "local" / "Tiny-Instruct-int8"
    expected = {"genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "chat_template.jinja"}
    assert {path.name for path in folder.iterdir()} >= expected | {"card.json", "README.md", "LICENSE.txt"}
    foundry = json.loads((folder / "inference_model.json").read_text())
    assert foundry["Name"] == "Tiny-Instruct-int8"
    assert "{Content}" in foundry["PromptTemplate"]["prompt"]
    card = json.loads((folder / "card.json").read_text())
    assert (card["licence"], card["precision"], card["family"]) == ("apache-2.0", "int8", "llama")
    assert card["source"][0]["file"] == "model.safetensors"
    assert "license: apache-2.0" in (folder / "README.md").read_text()
    assert str(tmp_path) not in json.dumps(card) + (folder / "README.md").read_text(), "no path of this machine"
    assert checksum_faults(folder) == []
    (folder / "model.onnx").write_bytes(b"changed")
    assert checksum_faults(folder) == ["model.onnx"]
    assert not list(folder.parent.glob(".*"))
    assert main(["models", "convert", str(source), "--precision", "int8"]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert "Tiny-Instruct-int8  Tiny-Instruct int8" in capsys.readouterr().out


@pytest.fixture
def made(tmp_path):
    return plan(read_source(tiny_folder(tmp_path / "Tiny")), library=tmp_path / "library", prompts=1)


@pytest.mark.skipif(os.name != "posix", reason="kills with signals")
def test_a_conversion_that_is_killed_leaves_nothing(made, tmp_path):
    def kill(step):
        if step == "building":
            [child.kill() for child in psutil.Process().children() if "rag.models.onnx.build" in child.cmdline()]

    with pytest.raises(ConversionError, match="There was not enough memory"):
        convert(made, kill)
    assert left(tmp_path / "library") == []


def test_a_conversion_that_is_interrupted_leaves_nothing_not_even_a_process(made, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(made, interrupt)
    assert left(tmp_path / "library") == []
    assert not [child for child in psutil.Process().children() if "rag.models.onnx.build" in child.cmdline()]


def test_the_child_ends_when_its_standard_input_does(made, tmp_path):
    child = [sys.executable, "-m", "rag.models.onnx.build"]
    asked = {"source": str(made.source.path), "to": str(tmp_path), "precision": "fp32", "provider": "cpu", "prompts": 0}
    line = json.dumps(asked | {"parent": os.getpid()}).encode() + b"\n"
    done = subprocess.run(child, check=False, input=line, capture_output=True, cwd=ROOT, timeout=PATIENCE)
    assert done.returncode == 1
    assert b"done" not in done.stdout


def test_a_result_that_is_not_like_its_source_is_not_kept(made, tmp_path, monkeypatch):
    check = {"prompts": 1, "same_prompts": 0, "same_texts": 0, "logit_difference": 0.0, "divergence": 0.0}
    monkeypatch.setattr(converting, "_in_child", lambda *_: {"versions": {}, "prompt": "", "check": check})
    with pytest.raises(ConversionError, match="was not kept: its tokenizer or chat template"):
        convert(made)
    assert left(tmp_path / "library") == []


def test_two_conversions_to_one_folder_do_not_disturb_each_other(made, tmp_path, monkeypatch):
    def in_child(_, making, __):
        (making / "model.onnx").write_bytes(b"half")
        with pytest.raises(ConversionError, match="is being converted already"):
            convert(made)
        assert left(tmp_path / "library") == [f".{made.target.name}.lock", "model.onnx"]
        return {}["stop"]

    monkeypatch.setattr(converting, "_in_child", in_child)
    for _ in range(2):
        with pytest.raises(KeyError):
            convert(made)
        assert left(tmp_path / "library") == []


@pytest.mark.parametrize(
    ("last", "code", "said", "sentence"),
    [
        ({}, -9, "", "not enough memory"),
        ({}, -6, "what(): std::bad_alloc", "not enough memory"),
        (
            {"error": "[enforce fail] DefaultCPUAllocator: can't allocate", "kind": "RuntimeError"},
            0,
            "",
            "not enough mem",
        ),
        ({"error": "no such key", "kind": "KeyError"}, 0, "allocator", "could not be converted"),
    ],
)
def test_a_lack_of_memory_is_told(made, last, code, said, sentence):
    assert sentence in str(converting._failure(made, last, code=code, said=said))


def test_what_is_left_of_a_conversion_that_was_killed_with_its_parent_is_removed(made, tmp_path, monkeypatch):
    old = made.target.with_name(f".{made.target.name}.making")
    old.mkdir(parents=True)
    (old / "model.onnx").write_bytes(b"half")
    seen = []
    monkeypatch.setattr(converting, "_in_child", lambda _made, making, _tell: seen.append(left(making)) or {}["stop"])
    with pytest.raises(KeyError):
        convert(made)
    assert seen == [[]]
    assert left(tmp_path / "library") == []
