"""What the user chose on the settings page: kept, undone, damaged, and what environment variables say instead."""

from __future__ import annotations

import json
import stat

import pytest

from rag.choices import ASIDE, FILE, Choices, Server, kept, load, save
from rag.keys import Keys
from rag.settings import RagSettings

OLLAMA = "http://127.0.0.1:11434/v1#llama3.2:3b"
CLOUD = "https://models.example/v1#large"


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_without_choices_the_settings_are_as_ever(folder):
    assert kept(folder).settings == RagSettings()
    assert kept(folder).fault is None
    assert not (folder / FILE).exists()


def test_choices_are_kept_for_their_owner_alone_and_undone(folder):
    save(Choices(drafter=OLLAMA, drafter_context=4096, top_k=9, temperature=0.3), folder)
    settings = kept(folder).settings
    assert (settings.drafter, settings.drafter_context, settings.top_k) == (OLLAMA, 4096, 9)
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600

    save(kept(folder).choices.model_copy(update={"drafter": None, "top_k": None}), folder)
    settings = kept(folder).settings
    assert (settings.drafter, settings.top_k, settings.temperature) == (None, 6, 0.3)
    assert settings.drafter_context == RagSettings().drafter_context, "the window was the other drafter's"


def test_an_environment_variable_wins(folder, monkeypatch):
    save(Choices(drafter=OLLAMA, drafter_context=4096, top_k=9), folder)
    monkeypatch.setenv("SCHOLION_DRAFTER", "/models/mine.gguf")
    now = kept(folder)
    assert now.settings.drafter == "/models/mine.gguf"
    assert now.settings.drafter_context == RagSettings().drafter_context
    assert now.settings.top_k == 9
    assert now.fixed - {"drafter_threads"} == {"drafter"}, "tests set the threads"
    assert now.choices.drafter == OLLAMA, "still kept, for when the variable is gone"


@pytest.mark.parametrize("content", ["{", "[1]", "null", '"x"', "[" * 100_000, "\x00"])
def test_a_damaged_file_is_told_and_put_aside(folder, content):
    (folder / FILE).write_text(content)
    now = kept(folder)
    assert now.settings == RagSettings()
    assert "damaged" in now.fault

    save(Choices(top_k=3), folder)
    assert load(folder) == (Choices(top_k=3), None)
    assert (folder / ASIDE).read_text() == content


def test_of_a_file_with_wrong_values_the_right_ones_are_used(folder):
    (folder / FILE).write_text(json.dumps({"top_k": 900, "temperature": "hot", "drafter": OLLAMA, "other": 1}))
    now = kept(folder)
    assert (now.settings.top_k, now.settings.temperature, now.settings.drafter) == (6, 0.0, OLLAMA)
    assert "top_k" in now.fault
    assert "temperature" in now.fault


def test_a_key_goes_only_to_the_address_it_was_given_for(folder, monkeypatch):
    monkeypatch.setenv("SCHOLION_EXPERT_KEY", "sk-of-another-server")
    place = Keys(folder).put("https://models.example/v1", "sk-theirs")
    servers = (Server(setting=CLOUD, key=place), Server(setting="https://other.example/v1#large"))
    save(Choices(expert=CLOUD, servers=servers), folder)
    assert kept(folder).settings.expert_key.get_secret_value() == "sk-theirs"

    save(Choices(expert=servers[1].setting, servers=servers), folder)
    assert kept(folder).settings.expert_key.get_secret_value() == ""

    monkeypatch.setenv("SCHOLION_EXPERT", "https://named.example/v1#x")
    assert kept(folder).settings.expert_key.get_secret_value() == "sk-of-another-server"


def test_a_drafter_here_gets_its_own_key_and_no_other(folder, monkeypatch):
    monkeypatch.setenv("SCHOLION_DRAFTER_KEY", "sk-of-another-server")
    place = Keys(folder).put("http://127.0.0.1:11434/v1", "sk-here")
    save(Choices(drafter=OLLAMA, servers=(Server(setting=OLLAMA, key=place),)), folder)
    assert kept(folder).settings.drafter_key.get_secret_value() == "sk-here"
    save(Choices(drafter="http://127.0.0.1:1234/v1#x"), folder)
    assert kept(folder).settings.drafter_key.get_secret_value() == ""


def test_the_file_of_choices_and_what_is_printed_of_the_settings_have_no_key(folder):
    place = Keys(folder).put("https://models.example/v1", "sk-secret")
    save(Choices(expert=CLOUD, servers=(Server(setting=CLOUD, key=place),)), folder)
    assert "sk-secret" not in (folder / FILE).read_text()
    assert "sk-secret" not in repr(kept(folder))


def test_if_new_choices_cannot_be_written_a_damaged_file_is_not_lost(folder, monkeypatch):
    (folder / FILE).write_text('{"top_k": 900, "temperature": 0.4}')

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rag.choices.write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        save(Choices(top_k=3), folder)
    assert kept(folder).settings.temperature == 0.4


def test_one_wrong_address_does_not_cost_the_others(folder):
    rows = {"servers": [{"setting": CLOUD, "key": "nowhere"}, {"setting": OLLAMA}, 3]}
    (folder / FILE).write_text(json.dumps(rows))
    choices, fault = load(folder)
    assert [server.setting for server in choices.servers] == [OLLAMA]
    assert "servers" in fault
