"""This machine's resources for a model: memory, CPU cores, graphics memory. None if unknown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Sizes in bytes, and cores."""

    ram_total: int | None
    ram_available: int | None
    """Memory a new process can use without swapping others out, within the container's limit."""
    cores: int
    """Cores this process may use."""
    gpu: str | None = None
    """The NVIDIA card with the most free memory; None if there is none, or nvidia-ml-py is not installed."""
    vram_total: int | None = None
    """Memory of that card."""
    vram_free: int | None = None


def this_machine() -> Machine:
    """Query the system; NVML if nvidia-ml-py is installed."""
    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    limit, used = _container()
    if limit is not None:
        total, available = min(total, limit), min(max(0, limit - (used or 0)), available)
    gpu, vram_total, vram_free = _graphics()
    return Machine(
        ram_total=total,
        ram_available=available,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        gpu=gpu,
        vram_total=vram_total,
        vram_free=vram_free,
    )


def in_words(n_bytes: int | None) -> str:
    """A human-readable size in powers of ten: "4.7 GB", "98 MB", "unknown"."""
    if n_bytes is None:
        return "unknown"
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 0.9995e9 else f"{n_bytes / 1e6:.0f} MB"


def _container() -> tuple[int | None, int | None]:
    """The memory limit of this control group and its usage; None if there is no limit."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None, None
    return (int(limit), used) if limit.isdigit() else (None, None)


def _graphics() -> tuple[str | None, int | None, int | None]:
    """Name, total and free memory of the NVIDIA card with the most free memory."""
    try:
        import pynvml  # from nvidia-ml-py; the package named pynvml is a different, outdated one
    except ImportError:
        return None, None, None
    try:
        pynvml.nvmlInit()
        try:
            cards = []
            for index in range(pynvml.nvmlDeviceGetCount()):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                name = pynvml.nvmlDeviceGetName(handle)
                cards.append(
                    (int(memory.free), int(memory.total), name.decode() if isinstance(name, bytes) else str(name))
                )
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:  # no driver or no card
        return None, None, None
    if not cards:
        return None, None, None
    free, total, name = max(cards)
    return name, total, free
