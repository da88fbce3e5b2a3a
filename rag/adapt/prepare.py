"""Write a model with an untrained adapter as one file, as the starting point of a course or a notebook."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingest import write_atomically
from rag.adapt.lora import FAMILIES, lora_config, without_noise
from rag.errors import AdapterError

if TYPE_CHECKING:
    from rag.adapt.recipe import Recipe

BYTES: Final = 2
"""Bytes per parameter when loading and writing (bf16)."""
SECONDS_PER_GB: Final = 6.0
"""Rough guess of the time to read, prepare and write on an SSD; shown as a guess."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What preparing a model takes."""

    parameters: int | None
    """None if unknown before loading."""
    here: bool

    @property
    def memory(self) -> int | None:
        """Memory in bytes."""
        return None if self.parameters is None else self.parameters * BYTES

    @property
    def seconds(self) -> float | None:
        """A rough guess."""
        return None if self.memory is None else self.memory / 1e9 * SECONDS_PER_GB


def needs(model: str) -> Needs:
    """What it takes to prepare a local folder, or a Hugging Face model, whose size can only be read off its name."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return Needs(_parameters(folder), here=True)
    size = re.search(r"(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", model, re.IGNORECASE)
    unit = {"b": 1e9, "m": 1e6}
    return Needs(int(float(size[1]) * unit[size[2].lower()] * 1.04) if size else None, here=False)


def _parameters(folder: Path) -> int | None:
    """Number of parameters in a folder's safetensors files, from their headers."""
    total = 0
    for path in folder.glob("*.safetensors"):
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        except (OSError, ValueError, MemoryError):
            return None
        for name, tensor in header.items():
            if name != "__metadata__":
                n = 1
                for side in tensor["shape"]:
                    n *= side
                total += n
    return total or None


def prepare(model: str, recipe: Recipe, out: Path) -> dict[str, Any]:
    """Load the model in bf16, add an untrained adapter, and write the state dict with `torch.save`.

    A model that is not a local folder is downloaded from the Hugging Face hub: ask the user first.

    Returns:
        What was written: family, parameters and how many of them belong to the adapter; also saved as `out` + ".json".

    Raises:
        AdapterError: there is no such model, or its family is unknown.
    """
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    without_noise()
    folder = Path(model).expanduser()
    place = str(folder) if folder.is_dir() else model
    try:
        family = AutoConfig.from_pretrained(place, local_files_only=folder.is_dir()).model_type
        if family not in FAMILIES:
            raise AdapterError(
                f"{model} belongs to the {family} family, which cannot be prepared here.",
                f"Choose a model of {', '.join(FAMILIES)}.",
            )
        torch.manual_seed(recipe.seed)
        network = AutoModelForCausalLM.from_pretrained(
            place, local_files_only=folder.is_dir(), dtype=torch.bfloat16, low_cpu_mem_usage=True
        )
    except (OSError, ValueError) as error:
        raise AdapterError(
            f"{model} cannot be loaded ({type(error).__name__}).",
            "Give a folder with its config.json and *.safetensors, or its exact name on the Hugging Face hub.",
        ) from error
    prepared = get_peft_model(network, lora_config(recipe))
    part = out.with_name(f".{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.save(prepared.state_dict(), part)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    told = {
        "model": model,
        "family": family,
        "parameters": sum(p.numel() for p in prepared.parameters()),
        "of_the_adapter": sum(p.numel() for p in prepared.parameters() if p.requires_grad),
        "recipe": recipe.model_dump(mode="json"),
        "bytes": out.stat().st_size,
    }
    write_atomically(out.with_name(f"{out.name}.json"), json.dumps(told, indent=1) + "\n")
    return told


def default_out(model: str) -> Path:
    """Like `mistral_with_lora.pt`, using the model family in the name."""
    name = Path(model).name.lower()
    family = next((family for family in FAMILIES if name.startswith(family.rstrip("23"))), None)
    return Path(f"{family or re.split(r'[^a-z0-9]', name)[0] or 'model'}_with_lora.pt")
