"""What the lab's page loads, by hash: llama.cpp for the browser, and the built-in model with its adapter."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rag.models.adapters import Adapters, shipped_adapter
from rag.models.local import embedded_drafter
from ui.people import who

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE: Final = Path(__file__).with_name("engine")
OFFLINE: Final = Path(__file__).resolve().parents[2] / "public" / "lab" / "offline.js"
LICENCES: Final = ("LICENCE", "LLAMA-CPP")
TYPES: Final = {"wllama.js": "text/javascript", "wllama.wasm": "application/wasm"}


class DamagedFileError(ValueError):
    """A file of ours is not what its lock says."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file for the page."""

    path: Path
    bytes: int
    sha256: str

    def as_row(self) -> dict[str, Any]:
        """For the page. The path stays here."""
        return {
            "name": self.path.name,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "url": f"/lab/weights/{self.sha256}",
        }


@cache
def lock() -> dict[str, Any]:
    """Which package the engine is from, and the hashes of its files."""
    found: dict[str, Any] = json.loads((ENGINE / "lock.json").read_text(encoding="utf-8"))
    return found


def address(name: str) -> str:
    """Where the page gets a file of the engine; another version has another address, so browsers may keep it."""
    return f"/lab/engine/{lock()['files'][name]['sha256'][:16]}/{name}"


@lru_cache(maxsize=2)
def engine_file(name: str) -> bytes:
    """A file of the engine, unpacked and compared with the lock.

    Raises:
        DamagedFileError: it is another file than the locked one.
    """
    content = lzma.decompress((ENGINE / f"{name}.xz").read_bytes())
    if sha256(content).hexdigest() != lock()["files"][name]["sha256"]:
        raise DamagedFileError(f"{name} is damaged")
    return content


def licences() -> str:
    """The licences of the engine."""
    return "\n\n".join((ENGINE / name).read_text(encoding="utf-8") for name in LICENCES)


def adapters(library: Path) -> tuple[Path, ...]:
    """The adapters with which the built-in model answers in the chat; none if it has none.

    One of the library may be trained on private papers, so where there are accounts it is not given away.
    """
    base = embedded_drafter()
    if on := Adapters(library).on_for(base):
        return () if who.is_on() else on.served_with(base)
    shipped = shipped_adapter(base)
    return (shipped,) if shipped else ()


def weights(library: Path) -> Iterator[Weights]:
    """The built-in model, then its adapters."""
    for path in (embedded_drafter(), *adapters(library)):
        about = path.stat()
        yield Weights(path, about.st_size, _digest(path, about.st_size, about.st_mtime_ns))


@lru_cache(maxsize=8)
def _digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - a file that changed is read again
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
