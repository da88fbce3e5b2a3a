"""What a setting that names a model stands for: a name, a file or an address, and a clear word where it is none."""

from __future__ import annotations

import json
import shutil

import pytest

from gguf_files import QWEN, gguf
from rag.errors import ModelFileError, UnknownModelError
from rag.models.local import embedded_drafter
from rag.models.registry import load
from rag.models.resolve import KEY_VARIABLE, ModelFile, ModelServer, resolve


@pytest.fixture
def meaning(tmp_path):
    def call(setting):
        return resolve(setting, registry=load(tmp_path), library=tmp_path)

    return call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "files" / "my-model.Q4_0.gguf"
    path.parent.mkdir()
    path.write_bytes(gguf(QWEN))
    return path


def test_the_embedded_model_has_a_name_like_the_others(meaning):
    found = meaning("SmolLM2-135M-Instruct")
    assert (found.path, found.name, found.context_window) == (embedded_drafter(), "smollm2-135m-instruct", 8192)


def test_a_model_that_is_not_here_yet_is_named_with_the_command_that_gets_it(meaning):
    with pytest.raises(ModelFileError) as raised:
        meaning("qwen2.5-7b-instruct")
    assert "4.7 GB" in raised.value.message
    assert "`python -m rag models pull qwen2.5-7b-instruct`" in raised.value.hint


def test_a_model_that_was_pulled_is_its_file(meaning, tmp_path):
    path = tmp_path / "models" / "Qwen2.5-7B-Instruct-Q4_K_M.gguf"
    path.parent.mkdir()
    path.with_name(path.name + ".partial").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match="not on this machine yet"):
        meaning("qwen2.5-7b-instruct")
    path.write_bytes(gguf(QWEN))
    found = meaning("qwen2.5-7b-instruct")
    assert (found.path, found.context_window) == (path, 32768)
    assert found.card.licence.commercial == "yes"


def test_any_file_works_by_its_path(meaning, file, monkeypatch):
    whole = ModelFile(path=file, name="my-model.Q4_0", context_window=32768, card=None)
    assert meaning(str(file)) == whole
    monkeypatch.chdir(file.parent)
    assert meaning("my-model.Q4_0.gguf") == whole
    assert meaning("./my-model.Q4_0.gguf").path.samefile(file)
    monkeypatch.setenv("HOME", str(file.parent))
    assert meaning("~/my-model.Q4_0.gguf") == whole


def test_a_file_in_the_librarys_folder_works_by_its_name(meaning, file, tmp_path):
    (tmp_path / "models").mkdir()
    shutil.copy(file, tmp_path / "models" / "other.gguf")
    assert meaning("other.gguf").path == tmp_path / "models" / "other.gguf"


def test_a_path_to_a_file_that_the_list_knows_finds_its_card(meaning, tmp_path):
    copy = tmp_path / embedded_drafter().name
    copy.symlink_to(embedded_drafter())
    assert meaning(str(copy)).card.name == "smollm2-135m-instruct"


@pytest.mark.parametrize(
    "setting,words", [("/none/x.gguf", "cannot be read"), ("none.gguf", "cannot be read"), ("./", "cannot be read")]
)
def test_a_path_that_leads_nowhere_is_said(meaning, setting, words):
    with pytest.raises(ModelFileError, match=words):
        meaning(setting)


def test_a_file_of_another_kind_is_said(meaning, tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelFileError, match="not a GGUF"):
        meaning(str(tmp_path / "weights.gguf"))


@pytest.mark.parametrize(
    "setting,base_url,model",
    [
        ("http://localhost:11434/v1", "http://localhost:11434/v1", None),
        ("http://localhost:11434/v1/#qwen2.5:7b", "http://localhost:11434/v1", "qwen2.5:7b"),
        ("http://localhost:11434", "http://localhost:11434/v1", None),
        ("http://localhost:11434/", "http://localhost:11434/v1", None),
        ("HTTP://[::1]:8000/api/v1#org/model", "http://[::1]:8000/api/v1", "org/model"),
    ],
)  # fmt: skip
def test_any_server_works_by_its_address(meaning, setting, base_url, model):
    assert meaning(setting) == ModelServer(
        base_url=base_url, model=model, context_window=None, key_variable=KEY_VARIABLE, card=None
    )


def test_a_known_provider_by_its_address_keeps_its_own_key(meaning):
    found = meaning("https://api.openai.com/v1#gpt-5-mini")
    assert (found.key_variable, found.context_window, found.card.name) == ("OPENAI_API_KEY", 400_000, "gpt-5-mini")
    other = meaning("https://api.openai.com/v1#new-model")
    assert (other.key_variable, other.context_window, other.card) == ("OPENAI_API_KEY", None, None)
    for near in ("http://api.openai.com/v1", "https://api.openai.com.example.org/v1", "https://api.openai.com:444/v1"):
        assert meaning(near).key_variable == KEY_VARIABLE


def test_a_service_of_the_list_is_its_server(meaning):
    found = meaning("claude-haiku-4-5")
    assert isinstance(found, ModelServer)
    assert (found.model, found.context_window, found.key_variable) == ("claude-haiku-4-5", 200_000, "ANTHROPIC_API_KEY")


def test_a_service_of_the_users_own_list_is_found(meaning, tmp_path):
    source = {"kind": "service", "base_url": "http://gpu-box:8000/v1/", "model": "m"}
    (tmp_path / "models.json").write_text(
        json.dumps({"models": [{"name": "ours", "roles": ["refine"], "source": source}]})
    )
    found = meaning("ours")
    assert (found.base_url, found.model, found.key_variable) == ("http://gpu-box:8000/v1", "m", None)


@pytest.mark.parametrize(
    "setting", ["http://", "http://me:secret@host/v1", "http://host:port/v1", "http://host/v1?key=1", "http://[x/v1"]
)
def test_an_address_that_is_none_or_carries_a_secret_is_refused_without_repeating_it(meaning, setting):
    with pytest.raises(UnknownModelError) as raised:
        meaning(setting)
    assert "secret" not in str(raised.value)
    assert KEY_VARIABLE in raised.value.hint


def test_a_name_of_ours_that_a_list_points_elsewhere_is_that_address_and_no_file(meaning, tmp_path):
    """So what is asked for permission is the address; the name lends it nothing."""
    source = {"kind": "service", "base_url": "https://example.org/v1", "model": "m"}
    row = {"name": "smollm2-135m-instruct", "source": source}
    (tmp_path / "models.json").write_text(json.dumps({"models": [row]}))
    found = meaning("smollm2-135m-instruct")
    assert isinstance(found, ModelServer)
    assert found.base_url == "https://example.org/v1"


@pytest.mark.parametrize("setting", ["", "x" * 1000, "a\0b", "~nobody-of-this-name/x"])
def test_a_name_that_cannot_be_one_is_unknown(meaning, setting):
    with pytest.raises(UnknownModelError):
        meaning(setting)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_ones(meaning, tmp_path):
    (tmp_path / "models.json").write_text("{")
    with pytest.raises(UnknownModelError) as raised:
        meaning("qwen2.5-7b")
    assert "qwen2.5-7b-instruct" in raised.value.hint
    assert "cannot be read" in raised.value.hint, "the name may stand in the list that could not be read"


def test_an_embedder_cannot_answer(meaning):
    with pytest.raises(UnknownModelError, match="cannot answer"):
        meaning("bge-small-en-v1.5")
