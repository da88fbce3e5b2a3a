"""Checks of this machine: memory, disk, processor, graphics, Python packages and Scholion's port."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rag.health.report import Check, Line
from rag.models.machine import in_words, this_machine
from rag.servers.loopback import hear, loopback_address, loopback_client
from rag.words import counted

if TYPE_CHECKING:
    from rag.models.machine import Machine

GROUP: Final = "This machine"
PORT: Final = 8421
"""Where `python -m ui` begins to look for a free port."""
NEEDED_BYTES, COMFORTABLE_BYTES = 700e6, 1.5e9
"""Of memory: the embedder, the reader and the drafter take about 1 GB together."""
LEAST_DISK, LITTLE_DISK = 200e6, 2e9
PACKAGES: Final = (
    "chainlit",
    "chromadb",
    "openai",
    "pypdf",
    "pypdfium2",
    "sentence_transformers",
    "torch",
    "xllamacpp",
)
INSTALL: Final = "Run `make chat`, which installs what is missing; on Windows repeat the commands in README.md."
_FEATURES: Final = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 bf16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
}
_SERVED_SECONDS = 2.0


def checks(folder: Path, *, owner: dict[str, Any], running: bool) -> list[Check]:
    """The checks of this machine.

    Args:
        folder: the library's folder, which may not exist.
        owner: what the owner of the library wrote of itself; may be empty.
        running: whether this process is the app, whose models may be loaded already.
    """
    return [
        Check("memory", GROUP, "Memory", lambda: memory(this_machine(), running=running)),
        Check("disk", GROUP, "Disk", lambda: disk(folder)),
        Check("processor", GROUP, "Processor", lambda: processor(Path("/proc/cpuinfo"))),
        Check("packages", GROUP, "Packages", packages),
        Check("port", GROUP, "Port", lambda: port(owner, folder)),
    ]


def memory(machine: Machine, *, running: bool) -> Line:
    """Whether the models fit; and the graphics card, if one is known."""
    free, total = machine.ram_available, machine.ram_total
    graphics = f" {machine.gpu} has {in_words(machine.vram_free)} free." if machine.gpu else ""
    facts = {
        "total_mb": _mb(total),
        "free_mb": _mb(free),
        "vram_mb": _mb(machine.vram_total),
        "vram_free_mb": _mb(machine.vram_free),
    }
    said = f"{in_words(free)} of {in_words(total)} are free." + graphics
    if free is None:
        return Line(about="Memory", state="note", said="The free memory is not known." + graphics, facts=facts)
    if free >= COMFORTABLE_BYTES:
        return Line(about="Memory", state="ok", said=said, facts=facts)
    tight = free < NEEDED_BYTES and not running
    todo = "Close other programs: the models that come with Scholion need about 1 GB."
    return Line(about="Memory", state="problem" if tight else "note", said=said, todo=todo, facts=facts)


def disk(folder: Path) -> Line:
    """The free space where the library is."""
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))
    usage = shutil.disk_usage(there)
    facts = {"free_mb": _mb(usage.free), "total_mb": _mb(usage.total)}
    said = f"{in_words(usage.free)} of {in_words(usage.total)} are free where your library is."
    if usage.free >= LITTLE_DISK:
        return Line(about="Disk", state="ok", said=said, facts=facts)
    todo = "Free some space, or move the library folder to another disk and set SCHOLION_LIBRARY to it."
    return Line(about="Disk", state="problem" if usage.free < LEAST_DISK else "note", said=said, todo=todo, facts=facts)


def processor(cpuinfo: Path) -> Line:
    """Cores, and the features that make models quick; not known on systems without /proc/cpuinfo."""
    cores = this_machine().cores
    words = counted(cores, "core")
    facts: dict[str, bool | float | str | None] = {"cores": cores, "machine": platform.machine()}
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        arm = platform.machine().lower() in {"arm64", "aarch64"}
        known = "NEON" if arm else "not known on this system"
        return Line(about="Processor", state="ok", said=f"{words}; features: {known}.", facts=facts)
    flags = next(
        (set(line.split(":")[1].split()) for line in lines if line.lower().startswith(("flags", "features"))), set()
    )
    found = [name for flag, name in _FEATURES.items() if flag in flags]
    facts |= {name: name in found for name in _FEATURES.values()}
    said = f"{words}; {', '.join(found) or 'none of the features that models use'}."
    if "avx2" in flags or "asimd" in flags:
        return Line(about="Processor", state="ok", said=said, facts=facts)
    todo = "Answers take several times as long without AVX2. If this is a virtual machine, let it pass the feature on."
    return Line(about="Processor", state="note", said=said, todo=todo, facts=facts)


def packages() -> Line:
    """Python, and the packages that Scholion cannot do without."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    version = ".".join(map(str, sys.version_info[:3]))
    facts = {"python": version, "missing": ", ".join(missing)}
    if missing:
        said = f"Python {version}; not installed: {', '.join(missing)}."
        return Line(about="Packages", state="problem", said=said, todo=INSTALL, facts=facts)
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        todo = "Use Python 3.11, 3.12 or 3.13: remove the folder .venv and run `make chat` with one of them."
        return Line(
            about="Packages", state="problem", said=f"Python {version} is not supported.", todo=todo, facts=facts
        )
    said = f"Python {version}; all {len(PACKAGES)} main packages are installed."
    return Line(about="Packages", state="ok", said=said, facts=facts)


def port(owner: dict[str, Any], folder: Path) -> Line:
    """Whether Scholion runs with this library, and if not, whether its port is free."""
    address = loopback_address(str(owner.get("url") or ""), port=PORT) if owner.get("url") else None
    if address and asyncio.run(_serves(address.url, folder)):
        facts = {"running": True, "port": address.port}
        return Line(about="Port", state="ok", said=f"Scholion runs with this library at {address.url}.", facts=facts)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            said = f"Port {PORT} is used by another program or another library; Scholion takes the next free one."
            return Line(about="Port", state="note", said=said, facts={"running": False, "port_free": False})
    said = f"Port {PORT} is free; Scholion is not running with this library."
    return Line(about="Port", state="ok", said=said, facts={"running": False, "port_free": True})


async def _serves(url: str, folder: Path) -> bool:
    address = loopback_address(url)
    if address is None:
        return False
    try:
        async with loopback_client() as client:
            reply = await hear(client, address, "/healthz", seconds=_SERVED_SECONDS)
    except TimeoutError:
        return False
    told = reply.json() if reply and reply.ok else None
    return bool(told == {"name": "scholion", "library": str(folder)})


def _mb(n_bytes: float | None) -> int | None:
    return None if n_bytes is None else round(n_bytes / 1e6)
