"""Keys: in the system's keyring where there is one, else in a file for the owner alone; never told."""

from __future__ import annotations

import logging
import stat
import sys

import pytest

from fakes import FakeKeyring
from ingest import write_atomically
from rag.keys import FILE, Keys

ADDRESS = "https://models.example/v1"
KEY = "sk-very-secret"


@pytest.fixture
def no_keyring(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)


def with_keyring(monkeypatch, **options) -> FakeKeyring:
    ring = FakeKeyring(**options)
    monkeypatch.setitem(sys.modules, "keyring", ring)
    return ring


def test_without_a_keyring_a_key_is_in_a_file_for_its_owner(tmp_path, no_keyring):
    keys = Keys(tmp_path)
    assert keys.put(ADDRESS, KEY) == keys.place() == "file"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert Keys(tmp_path).of(ADDRESS, "file") == KEY
    assert Keys(tmp_path).of("https://other.example/v1", "file") == ""
    keys.forget(ADDRESS)
    assert KEY not in (tmp_path / FILE).read_text()


def test_a_key_goes_into_the_keyring_and_into_no_file(tmp_path, monkeypatch):
    Keys(tmp_path).put(ADDRESS, "an older one")
    ring = with_keyring(monkeypatch)
    keys = Keys(tmp_path)
    assert keys.put(ADDRESS, KEY) == keys.place() == "keyring"
    assert keys.of(ADDRESS, "keyring") == KEY
    assert ADDRESS not in (tmp_path / FILE).read_text(), "the older one is gone"
    assert Keys(tmp_path / "another library").of(ADDRESS, "keyring") == ""
    keys.forget(ADDRESS)
    assert not ring.kept


def test_a_keyring_that_keeps_nothing_is_not_used(tmp_path, monkeypatch):
    with_keyring(monkeypatch, priority=0)
    assert Keys(tmp_path).put(ADDRESS, KEY) == "file"


def test_a_locked_keyring_says_no_key_in_the_log(tmp_path, monkeypatch, caplog):
    with_keyring(monkeypatch, broken=True)
    with caplog.at_level(logging.DEBUG):
        assert Keys(tmp_path).put(ADDRESS, KEY) == "file"
        assert Keys(tmp_path).of(ADDRESS, "keyring") == ""
    assert caplog.records
    assert KEY not in caplog.text


def test_a_damaged_file_has_no_keys_and_takes_new_ones(tmp_path, no_keyring):
    (tmp_path / FILE).write_text("[1")
    assert Keys(tmp_path).of(ADDRESS, "file") == ""
    Keys(tmp_path).put(ADDRESS, KEY)
    assert Keys(tmp_path).of(ADDRESS, "file") == KEY


def test_a_key_that_cannot_be_written_leaves_the_one_before(tmp_path, no_keyring, monkeypatch):
    Keys(tmp_path).put(ADDRESS, KEY)
    writes = []

    def full(path, content):
        writes.append(content)
        if "sk-new" in content:
            raise OSError(28, "No space left on device")
        write_atomically(path, content)

    monkeypatch.setattr("rag.keys.write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        Keys(tmp_path).put(ADDRESS, "sk-new")
    assert Keys(tmp_path).of(ADDRESS, "file") == KEY
