"""An ONNX folder is found, named and described; a broken one is refused in words."""

from __future__ import annotations

import json

import pytest

from rag.errors import AdapterError, ModelFileError
from rag.health import model_checks
from rag.models.machine import this_machine
from rag.models.offers import on_disk
from rag.models.onnx import server
from rag.models.onnx.folder import PLACE, converted, read_folder
from rag.models.onnx.server import OnnxServer
from rag.models.open import open_model
from rag.models.registry import load
from rag.models.resolve import ModelFile, resolve
from tiny_models import changed, onnx_folder, tiny_folder


@pytest.fixture
def folder(tmp_path):
    return onnx_folder(tmp_path / PLACE / "local" / "Tiny-int4")


def test_a_folder_is_named_by_its_path_or_in_the_library_by_its_name(folder, tmp_path):
    for setting in (str(folder), "Tiny-int4"):
        found = resolve(setting, registry=load(tmp_path), library=tmp_path)
        assert isinstance(found, ModelFile)
        assert (found.path, found.name, found.context_window) == (folder, "Tiny int4", 2048)


def test_the_name_says_engine_and_provider(folder, tmp_path):
    made = OnnxServer(folder, context=2048, slots=1, threads=None)
    assert made.name == "Tiny int4 (ONNX, CPU)"
    on_card = onnx_folder(tmp_path / "other", name="Tiny", provider="dml")
    assert OnnxServer(on_card, context=2048, slots=1, threads=None).name == "Tiny int4 (ONNX, DirectML)"


def test_the_setting_opens_this_engine_without_the_embedded_drafters_adapter(folder, tmp_path):
    opened = open_model("Tiny-int4", library=tmp_path, context=None, file_context=8192, slots=1, threads=1, timeout=5.0)
    assert isinstance(opened.server, OnnxServer)
    assert opened.model.name == "Tiny int4 (ONNX, CPU)"
    assert opened.plain is None
    assert not opened.taught
    assert opened.server._options["context"] == 2048, "not more than the model was trained for"


def test_unfinished_and_incomplete_folders_are_not_offered(folder, tmp_path):
    onnx_folder(tmp_path / PLACE / "local" / ".Tiny-int8.making")
    (onnx_folder(tmp_path / PLACE / "local" / "Cut-int4") / "model.onnx").unlink()
    assert [path.name for path in converted(tmp_path)] == ["Cut-int4", "Tiny-int4"]
    offered = [(file.setting, file.licence) for file in on_disk(load(tmp_path), this_machine(), tmp_path)]
    assert offered == [("Tiny-int4", "apache-2.0")]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: (path / "genai_config.json").unlink(), "is not an ONNX folder"),
        (lambda path: (path / "genai_config.json").write_text("{"), r"genai_config\.json in Tiny-int4 is damaged"),
        (lambda path: (path / "genai_config.json").write_text('{"model": 7}'), "is damaged"),
        (lambda path: (path / "model.onnx").unlink(), r"is incomplete: model\.onnx is missing"),
        (lambda path: (path / "tokenizer.json").unlink(), r"is incomplete: tokenizer\.json is missing"),
        (lambda path: (path / "card.json").write_text("[]"), r"card\.json in Tiny-int4 is damaged"),
    ],
)
def test_a_broken_folder_is_named(folder, spoil, sentence):
    spoil(folder)
    with pytest.raises(ModelFileError, match=sentence) as caught:
        read_folder(folder)
    assert caught.value.hint


def test_phi_3_is_read_only_as_far_as_it_counts_positions_in_one_way(folder):
    config = json.loads((folder / "genai_config.json").read_text())
    changed(folder / "genai_config.json", model=config["model"] | {"type": "phi3", "context_length": 131_072})
    assert read_folder(folder).context_window == 4096


def test_a_hugging_face_folder_as_a_setting_is_told_to_be_converted(tmp_path):
    path = tiny_folder(tmp_path / "Tiny")
    with pytest.raises(ModelFileError, match="has to be converted first") as caught:
        resolve(str(path), registry=load(tmp_path), library=tmp_path)
    assert f"models convert {path}" in caught.value.hint


async def test_without_the_engine_the_setting_says_how_to_get_it(folder, monkeypatch):
    monkeypatch.setattr(server, "missing", lambda *_: ["onnxruntime_genai"])
    made = OnnxServer(folder, context=2048, slots=1, threads=None)
    with pytest.raises(ModelFileError, match="needs onnxruntime-genai, which is not installed") as caught:
        await made.connect()
    assert "make onnx" in caught.value.hint


def test_the_doctor_tells_provider_and_a_missing_engine(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(model_checks, "missing", lambda *_: [])
    line = model_checks.drafter_line(str(folder), tmp_path)
    assert line.state == "ok"
    assert line.said.endswith("made for CPU.")
    monkeypatch.setattr(model_checks, "missing", lambda *_: ["onnxruntime_genai"])
    line = model_checks.drafter_line(str(folder), tmp_path)
    assert (line.state, line.facts["engine"]) == ("problem", False)


def test_an_adapter_cannot_be_trained_for_it(folder, tmp_path):
    from rag.commands.adapt import _base
    from rag.settings import RagSettings

    with pytest.raises(AdapterError, match="is an ONNX model"):
        _base(RagSettings(drafter=str(folder)), tmp_path)
