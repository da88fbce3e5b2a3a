"""What is found out about this machine is what the system says, and what it does not say is unknown."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag.models import machine as module
from rag.models.machine import in_words, this_machine

GB = 10**9
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No NVML and no container; files that a test may write in their place."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(module, "_CGROUP", tmp_path)
    return tmp_path


def test_memory_is_told_on_every_system_and_a_card_where_something_tells_it(alone):
    found = this_machine()
    assert 0 < found.ram_available <= found.ram_total
    assert found.cores >= 1
    assert (found.gpu, found.vram_total, found.vram_free) == (None, None, None)


@linux
def test_memory_is_what_linux_says(alone):
    first = Path("/proc/meminfo").read_text().splitlines()[0].split()
    assert (first[0], int(first[1]) * 1024) == ("MemTotal:", this_machine().ram_total)


def test_the_limit_of_a_container_counts(alone):
    (alone / "memory.max").write_text("500000000\n")
    (alone / "memory.current").write_text("200000000\n")
    assert (this_machine().ram_total, this_machine().ram_available) == (500_000_000, 300_000_000)
    (alone / "memory.current").write_text("900000000\n")
    assert this_machine().ram_available == 0


def test_a_container_without_a_limit_has_the_machines_memory(alone):
    (alone / "memory.max").write_text("max\n")
    (alone / "memory.current").write_text("200000000\n")
    assert this_machine().ram_total > 500_000_000


class NvmlError(Exception):
    """What every NVML call may raise."""


def fake_nvml(*, n_cards=2, broken=False):
    """A fake pynvml with two cards, of which the second has more free memory; or with an error in place of them."""
    calls = []

    def start():
        calls.append("init")
        if broken:
            raise NvmlError("driver not loaded")

    return SimpleNamespace(
        NVMLError=NvmlError,
        calls=calls,
        nvmlInit=start,
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetCount=lambda: n_cards,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda card: SimpleNamespace(total=24 * GB, free=(3 * GB, 20 * GB)[card]),
        nvmlDeviceGetName=lambda card: (b"old bindings give bytes", "NVIDIA A")[card],
    )


@pytest.mark.parametrize(
    "how,found",
    [
        ({}, ("NVIDIA A", 24 * GB, 20 * GB)),
        ({"n_cards": 1}, ("old bindings give bytes", 24 * GB, 3 * GB)),
        ({"n_cards": 0}, (None, None, None)),
        ({"broken": True}, (None, None, None)),
    ],
)
def test_the_card_with_the_most_free_memory_is_told(alone, monkeypatch, how, found):
    nvml = fake_nvml(**how)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    here = this_machine()
    assert (here.gpu, here.vram_total, here.vram_free) == found
    assert nvml.calls == (["init"] if how.get("broken") else ["init", "shutdown"])


@pytest.mark.parametrize(
    "n_bytes,words",
    [
        (None, "unknown"),
        (98_362_432, "98 MB"),
        (999_400_000, "999 MB"),
        (999_600_000, "1.0 GB"),
        (4_683_074_240, "4.7 GB"),
    ],
)
def test_sizes_are_told_in_words(n_bytes, words):
    assert in_words(n_bytes) == words
