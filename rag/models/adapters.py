"""The adapters of a library: one folder each with weights, recipe, card and curve; at most one is switched on."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingest import write_atomically
from rag.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = "adapters"
WEIGHTS, CARD, RECIPE, CURVE = "adapter.gguf", "card.json", "recipe.toml", "curve.svg"
_ON: Final = "on.json"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


_SHIPPED: Final = Path(__file__).with_name("drafter.gguf")


def shipped_adapter(base: Path) -> Path | None:
    """The adapter that Scholion brings for its embedded drafter, if `base` is that model (docs/reader.md)."""
    try:
        card = json.loads(_SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
        return _SHIPPED if card["base"] == about(base) and _SHIPPED.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):  # then the drafter works as it did before
        return None


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that was kept."""

    name: str
    folder: Path
    card: Mapping[str, Any]
    """What it was made from, how, and how well it answers."""

    @property
    def weights(self) -> Path:
        """The file that llama.cpp loads."""
        return self.folder / WEIGHTS

    def served_with(self, base: Path) -> tuple[Path, ...]:
        """The adapters to load for this one: the shipped one first if it was trained on top of that, then its own."""
        shipped = shipped_adapter(base)
        below = (shipped,) if shipped and self.card.get("below") == digest(shipped) else ()
        return (*below, self.weights)

    def is_for(self, base: Path) -> bool:
        """Whether it was made for this file, by name and size."""
        try:
            return bool(self.card.get("base") == about(base))
        except OSError:
            return False


class Adapters:
    """The adapters in the library's folder, which is read again on each call."""

    def __init__(self, library: Path) -> None:
        self.folder = library / FOLDER

    def all(self) -> list[Adapter]:
        """All complete adapters, by name."""
        found = (self._read(path) for path in sorted(self.folder.glob("*/")) if _NAME.fullmatch(path.name))
        return [adapter for adapter in found if adapter]

    def named(self, name: str) -> Adapter:
        """The adapter with this name.

        Raises:
            AdapterError: there is none.
        """
        adapter = self._read(self.folder / checked(name))
        if adapter is None:
            raise AdapterError(f"There is no adapter “{name}”.", "`python -m rag adapt list` lists the adapters.")
        return adapter

    def on(self) -> Adapter | None:
        """The adapter that is switched on; None if there is none or its files are gone."""
        try:
            name = json.loads((self.folder / _ON).read_text(encoding="utf-8"))["name"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return self._read(self.folder / name) if isinstance(name, str) and _NAME.fullmatch(name) else None

    def on_for(self, base: Path) -> Adapter | None:
        """The adapter that is switched on, if it was made for this file."""
        adapter = self.on()
        return adapter if adapter and adapter.is_for(base) else None

    def switch_on(self, name: str) -> Adapter:
        """Use it from the next start.

        Raises:
            AdapterError: there is none.
        """
        adapter = self.named(name)
        write_atomically(self.folder / _ON, json.dumps({"name": adapter.name}) + "\n")
        return adapter

    def switch_off(self) -> None:
        """Use the model without an adapter."""
        (self.folder / _ON).unlink(missing_ok=True)

    def check_free(self, name: str) -> None:
        """Raise AdapterError if the name is taken."""
        if (self.folder / checked(name)).exists():
            raise AdapterError(
                f"An adapter “{name}” already exists.",
                f"Choose another --name, or remove it with `python -m rag adapt remove {name}`.",
            )

    def new(self, name: str) -> Path:
        """An empty working folder for an adapter; the adapter exists only after `take`.

        Raises:
            AdapterError: the name is taken.
        """
        self.check_free(name)
        making = self.folder / f".{name}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        return making

    def take(self, making: Path, name: str, card: Mapping[str, Any]) -> Adapter:
        """Keep the contents of the working folder under this name."""
        write_atomically(making / CARD, json.dumps(card, indent=1, ensure_ascii=False) + "\n")
        folder = self.folder / checked(name)
        making.rename(folder)
        return Adapter(name, folder, card)

    def remove(self, name: str) -> None:
        """Switch it off and delete it.

        Raises:
            AdapterError: there is none.
        """
        adapter = self.named(name)
        on = self.on()
        if on and on.name == name:
            self.switch_off()
        shutil.rmtree(adapter.folder)

    @staticmethod
    def _read(folder: Path) -> Adapter | None:
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(card, dict) and (folder / WEIGHTS).is_file()
        return Adapter(folder.name, folder, card) if whole else None


def checked(name: str) -> str:
    """The name of an adapter, also used for its folder.

    Raises:
        AdapterError: it contains characters other than letters, digits, `-` and `_`.
    """
    if not _NAME.fullmatch(name):
        raise AdapterError(
            f"“{name}” cannot be an adapter's name.", "Use letters, digits, - and _, at most 40 characters."
        )
    return name


def about(base: Path) -> dict[str, Any]:
    """Identifies a base model: file name and size, or for a folder the total size of its weights."""
    if base.is_dir():
        files = sorted(base.glob("*.safetensors"))
        return {"name": base.name, "bytes": sum(path.stat().st_size for path in files), "files": len(files)}
    return {"name": base.name, "bytes": base.stat().st_size}
