"""Which models this machine could use: those to download, the files that are here, and what each is good for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import ModelFileError
from rag.models.hardware_fit import fits, memory_needed, seconds_to_read, select, served_fits
from rag.models.onnx.folder import converted, read_folder
from rag.models.pulls import arrived
from rag.models.registry import Gguf
from rag.models.resolve import FOLDER, pulled_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rag.models.hardware_fit import Verdict
    from rag.models.machine import Machine
    from rag.models.registry import ModelCard, Registry

_SMALL, _MIDDLE = 1.0e9, 5.0e9
"""Parameters: below the first a model is quick and simple; above the second it is for refining."""

_NAMES = {"de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "ru": "Russian",
          "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "ar": "Arabic", "hi": "Hindi", "th": "Thai"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    """A model of the registry that can be downloaded."""

    card: ModelCard
    source: Gguf
    fits: Verdict
    memory: int | None
    """Bytes it needs here."""
    seconds: float | None
    """Estimated time to read a question's passages here."""
    arrived: int
    """Bytes of an unfinished download."""
    good_for: str
    recommended: bool


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A GGUF file or an ONNX folder in the library's `models` folder."""

    setting: str
    """What names it in the settings: the registry's name, else that of the file or folder."""
    n_bytes: int
    card: ModelCard | None
    fits: Verdict | None
    licence: str | None
    """None if it is unknown."""


def offers(registry: Registry, machine: Machine, library: Path) -> list[Offer]:
    """The models that fit this machine and can be checked after the download, the smallest first."""
    best = {
        choice.card.name
        for task in ("draft", "refine")
        if (choice := select(registry.cards, task=task, machine=machine))
    }
    found = []
    for card in registry.cards:
        path = pulled_path(card, library)
        if not isinstance(card.source, Gguf) or card.source.sha256 is None or not {"draft", "refine"} & set(card.roles):
            continue
        verdict = fits(card, machine)
        begun = arrived(card, library)
        if verdict is None or (verdict == "no" and not begun) or (path and path.exists()):
            continue
        found.append(
            Offer(
                card,
                card.source,
                verdict,
                memory_needed(card, context=8192),
                seconds_to_read(card, machine),
                begun,
                good_for(card),
                card.name in best,
            )
        )
    return sorted(found, key=lambda offer: (offer.card.parameters or 0, offer.card.name))


def on_disk(registry: Registry, machine: Machine, library: Path) -> Iterator[OnDisk]:
    """The GGUF files and ONNX folders in the library's `models` folder."""
    cards = {path: card for card in registry.cards if (path := pulled_path(card, library))}
    for path in sorted((library / FOLDER).absolute().glob("*.gguf")):
        if path.is_file():
            card = cards.get(path)
            verdict = fits(card, machine) if card else None
            licence = card.licence.name if card and card.licence else None
            yield OnDisk(card.name if card else path.name, path.stat().st_size, card, verdict, licence)
    for path in converted(library):
        with suppress(ModelFileError):  # one that is incomplete is not offered
            folder = read_folder(path)
            yield OnDisk(path.name, folder.n_bytes, None, served_fits(folder.n_bytes, machine), folder.licence)


def good_for(card: ModelCard) -> str:
    """One or two sentences on what the model is good for."""
    size = card.parameters or 0
    if card.thinks:
        said = "Thinks before it answers: for refining hard questions, slowly."
    elif size < _SMALL:
        said = "Quick drafts on any laptop."
    elif "draft" in card.roles and size < _MIDDLE:
        said = "Better drafts, in its own words; can also refine."
    else:
        said = "The larger model: refines drafts that are weakly supported."
    known = [name for code, name in _NAMES.items() if code in card.languages]
    if known:
        said += f" Also reads {', '.join(known[:3])}{' and more' if len(known) > 3 else ''}."
    return said
