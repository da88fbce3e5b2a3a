"""What cannot be converted gets one clear sentence each, before anything is written."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from gguf import GGUFWriter

from gguf_files import QWEN, gguf
from ingest import UserFacingError
from rag.__main__ import main
from rag.commands import convert
from rag.errors import ConversionError, ModelFileError
from rag.models.local import embedded_drafter
from rag.models.machine import Machine
from rag.models.onnx import convert as converting
from rag.models.onnx.convert import plan
from rag.models.onnx.source import read_source
from tiny_models import changed, onnx_folder, tiny_folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("models") / "Tiny-Instruct")


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to be spoilt."""
    return shutil.copytree(whole, tmp_path / "Tiny-Instruct")


def without_weights(path):
    (path / "model.safetensors").unlink()


def with_pickled_weights(path):
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


def cut_short(path):
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5000])


def not_safetensors(path):
    (path / "model.safetensors").write_bytes(b"<html>not found</html>" * 100)


def shard_missing(path):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    (path / "model.safetensors").rename(path / "model-00001-of-00002.safetensors")


def without_template(path):
    (path / "chat_template.jinja").unlink(missing_ok=True)
    changed(path / "tokenizer_config.json", chat_template=None)


FOLDERS = {
    "another family": (lambda p: changed(p / "config.json", model_type="gpt2"), "family gpt2, which cannot be"),
    "no config": (lambda p: (p / "config.json").unlink(), "not a model's folder: config.json is missing"),
    "a broken config": (lambda p: (p / "config.json").write_text('{"model_ty'), r"config\.json in .* is damaged"),
    "quantised already": (
        lambda p: changed(p / "config.json", quantization_config={"quant_method": "awq", "bits": 4}),
        "is quantised already",
    ),
    "no weights": (without_weights, "has no weights"),
    "weights that can run code": (with_pickled_weights, "can run code when it is opened"),
    "the end of the weights is missing": (cut_short, r"model\.safetensors is damaged: its end is missing"),
    "something else for weights": (not_safetensors, r"model\.safetensors is damaged: its header cannot be read"),
    "a part is missing": (shard_missing, "is incomplete: model-00002-of-00002.safetensors is missing"),
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "has no tokenizer"),
    "a broken tokenizer": (lambda p: (p / "tokenizer.json").write_text("[1, 2"), r"tokenizer\.json in .* is damaged"),
    "no chat template": (without_template, "has no chat template"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_folder_that_cannot_be_converted_is_refused_in_one_sentence(folder, tmp_path, capsys, monkeypatch, fault):
    spoil, sentence = FOLDERS[fault]
    spoil(folder)
    with pytest.raises(ModelFileError, match=sentence) as caught:
        read_source(folder)
    assert caught.value.message.endswith(".")
    assert caught.value.hint
    monkeypatch.setenv("SCHOLION_LIBRARY", str(tmp_path / "library"))
    assert main(["models", "convert", str(folder)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "library" / "models").exists()


LLAMA = {key.replace("qwen2", "llama"): value for key, value in QWEN.items()} | {"general.architecture": "llama"}


CHAT = LLAMA | {"tokenizer.ggml.model": "gpt2", "tokenizer.chat_template": "{{ messages }}"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gguf(CHAT | {"llama.rope.scaling.type": "yarn"}), "scales its positions, which would be lost"),
        (gguf(CHAT | {"llama.rope.scaling.factor": 4}), "scales its positions"),
        (gguf(CHAT | {"llama.rope.dimension_count": 64}), "scales its positions"),
        (b"PK\x03\x04 no model", "is not a GGUF file"),
        (b"GGUF", "header of .* is damaged"),
        (gguf(QWEN | {"general.architecture": "mamba"}), "family mamba, which cannot be converted"),
        (gguf({key: value for key, value in LLAMA.items() if "tokenizer" not in key}), "has no tokenizer"),
        (gguf(LLAMA | {"tokenizer.ggml.model": "gpt2"}), "has no chat template"),
        ("all but its end", "is damaged: its weights cannot be read"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_converted_is_refused_in_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "model.gguf"
    path.write_bytes(embedded_drafter().read_bytes()[:-1_000_000] if isinstance(content, str) else content)
    with pytest.raises(ModelFileError, match=sentence) as caught:
        read_source(path)
    assert caught.value.hint


def test_a_file_with_factors_for_its_positions_is_refused(tmp_path):
    path = tmp_path / "model.gguf"
    made = GGUFWriter(path, "llama")
    made.add_token_list(["a", "b"])
    made.add_tokenizer_model("gpt2")
    made.add_chat_template("{{ messages }}")
    made.add_tensor("rope_freqs.weight", np.ones(64, dtype=np.float32))
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()
    with pytest.raises(ModelFileError, match="scales its positions"):
        read_source(path)


@pytest.mark.parametrize(
    ("values", "licence"),
    [
        ({"general.license": "other", "general.license.name": "llama3.2"}, "llama3.2"),
        ({"general.license": "other"}, None),
        ({"general.license": "mit", "llama.rope.scaling.type": "none", "llama.rope.dimension_count": 128}, "mit"),
    ],
)
def test_the_licence_of_a_file_is_its_name(tmp_path, values, licence):
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(CHAT | values))
    assert read_source(path).licence == licence


def test_what_is_not_there_and_what_is_in_onnx_already_are_told_apart(tmp_path):
    with pytest.raises(ModelFileError, match="There is no model at"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(ModelFileError, match="is in ONNX already"):
        read_source(onnx_folder(tmp_path / "Tiny-int4"))


def test_the_embedded_drafter_is_read_without_its_weights():
    found = read_source(embedded_drafter())
    assert (found.name, found.family, found.licence, found.tied) == (
        "SmolLM2-135M-Instruct", "llama", "apache-2.0", True,
    )  # fmt: skip
    assert found.parameters == 134_515_008
    assert found.embedding == 49_152 * 576


def test_a_licence_is_needed_and_must_be_the_one_that_the_source_states(tmp_path, whole):
    unstated = shutil.copytree(whole, tmp_path / "unstated")
    (unstated / "README.md").unlink()
    source = read_source(unstated)
    with pytest.raises(ConversionError, match="is not stated") as caught:
        plan(source, library=tmp_path)
    assert "--licence" in caught.value.hint
    with pytest.raises(ConversionError, match="not the name of a licence"):
        plan(source, library=tmp_path, licence="yes, I do!")
    assert plan(source, library=tmp_path, licence="mit").licence == "mit"
    with pytest.raises(ConversionError, match=r"states the licence apache-2\.0, not mit"):
        plan(read_source(whole), library=tmp_path, licence="mit")
    assert plan(read_source(whole), library=tmp_path, licence="Apache-2.0").licence == "apache-2.0"


def test_a_licence_with_a_name_of_its_own_is_read(folder):
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: llama3.2\n---\nA model.\n")
    assert read_source(folder).licence == "llama3.2"


def test_without_room_on_the_disk_nothing_is_begun_and_a_lack_of_memory_is_told(tmp_path, whole, monkeypatch):
    source = read_source(whole)
    with monkeypatch.context() as full:
        full.setattr(converting.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(ConversionError, match=r"needs 1\d MB on the disk, and 0 MB is free"):
            plan(source, library=tmp_path)
    small = Machine(ram_total=10**9, ram_available=10**8, cores=2)
    monkeypatch.setattr(convert, "this_machine", lambda: small)
    assert "more memory than is free" in convert._before(plan(source, library=tmp_path)), "an estimate only warns"


def test_a_folder_that_is_taken_or_closed_or_the_source_itself_is_refused(tmp_path, whole, monkeypatch):
    source = read_source(whole)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    with pytest.raises(ConversionError, match="already exists"):
        plan(source, library=tmp_path, to=taken)
    assert (taken / "thesis.txt").read_text() == "mine"
    with pytest.raises(ConversionError, match="is inside the model"):
        plan(source, library=tmp_path, to=whole / "onnx")
    monkeypatch.setattr(converting.os, "access", lambda *_: False)
    with pytest.raises(ConversionError, match="cannot be created: no permission"):
        plan(source, library=tmp_path)


def test_a_precision_that_a_provider_cannot_do_is_refused(tmp_path, whole):
    for precision, provider in (("fp16", "cpu"), ("int8", "dml"), ("fp32", "webgpu")):
        with pytest.raises(ConversionError, match=f"{precision} is not possible for") as caught:
            plan(read_source(whole), library=tmp_path, precision=precision, provider=provider)
        assert "int4" in caught.value.hint


def test_without_the_packages_it_says_how_to_get_them(tmp_path, whole, monkeypatch):
    made = plan(read_source(whole), library=tmp_path)
    monkeypatch.setattr(converting, "missing", lambda *_: ["onnxruntime_genai"])
    with pytest.raises(UserFacingError, match="not installed: onnxruntime_genai") as caught:
        converting.convert(made)
    assert "make onnx" in caught.value.hint
    assert not (tmp_path / "models").exists()


def test_the_estimates_are_of_the_right_size():
    source = read_source(embedded_drafter())
    found = {precision: converting._size(source, precision) for precision in ("int4", "int8", "fp32")}
    measured = {"int4": 90e6, "int8": 270e6, "fp32": 544e6}
    for precision, size in measured.items():
        assert found[precision] == pytest.approx(size, rel=0.1), precision
