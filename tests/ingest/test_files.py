"""Files survive a power loss at any moment, a full disk and other users' eyes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from ingest import write_atomically

STEPS = ["write", "fsync file", "rename", "fsync folder"]


@pytest.fixture
def recorded(monkeypatch):
    """What is asked of the system, in order; `fail` names a step that finds the disk full."""
    done: list[str] = []
    fail: list[str] = []
    sync, rename = os.fsync, Path.replace

    def step(name: str) -> None:
        if name in fail:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(name)

    def fsync(descriptor: int) -> None:
        step("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        step("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return done, fail


def test_bytes_are_on_the_disk_before_they_have_their_name_and_the_name_before_it_returns(tmp_path, recorded):
    done, _ = recorded
    write_atomically(tmp_path / "new" / "note", "grüße")
    assert done == STEPS[1:]
    assert (tmp_path / "new" / "note").read_bytes() == "grüße".encode()


@pytest.mark.parametrize("step", STEPS[1:])
def test_what_fails_on_the_way_leaves_a_whole_file_and_nothing_beside_it(tmp_path, recorded, step):
    _, fail = recorded
    write_atomically(tmp_path / "note", "old")
    fail.append(step)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "note", "new")
    assert (tmp_path / "note").read_text() == ("new" if step == "fsync folder" else "old")
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_file_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "note", b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "note").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "other").write_text("other")
    (tmp_path / "note").symlink_to(tmp_path / "other")
    write_atomically(tmp_path / "note", "mine")
    assert (tmp_path / "other").read_text() == "other"
    assert (tmp_path / "note").read_text() == "mine"
