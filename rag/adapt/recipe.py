"""The recipe of an adapter: all hyperparameters of its training, in one readable and editable file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.errors import RecipeError

if TYPE_CHECKING:
    from pathlib import Path

Projection = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ATTENTION: Final[tuple[Projection, ...]] = ("q_proj", "k_proj", "v_proj", "o_proj")


class Recipe(BaseModel):
    """Hyperparameters of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=8, ge=1, le=256, description="rank of the adapter matrices")
    alpha: float = Field(default=16.0, gt=0, description="their product is scaled by alpha / rank")
    targets: tuple[Projection, ...] = Field(
        default=ATTENTION, min_length=1, description="the matrices of each layer that get an adapter"
    )
    rate: float = Field(default=5e-4, gt=0, le=0.1, description="peak learning rate")
    epochs: int = Field(default=3, ge=1, le=100, description="maximum passes over the examples")
    batch: int = Field(default=16, ge=1, description="examples per step")
    warm_up: int = Field(default=10, ge=1, description="warm-up steps; then cosine decay")
    longest: int = Field(default=768, ge=32, description="maximum tokens of an example; longer ones are left out")
    clip: float = Field(default=1.0, gt=0, description="gradient clipping norm")
    patience: int = Field(
        default=1, ge=1, description="stop after this many epochs without gain on the held-out questions"
    )
    held_out: float = Field(default=0.2, gt=0, lt=1, description="share of the papers whose questions are held out")
    seed: int = Field(default=20261129, ge=0, description="random seed")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recipe from a TOML file; missing values get their defaults.

        Raises:
            RecipeError: the file cannot be read, or a value is out of bounds; the message names it.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(
                f"The recipe {path} cannot be read ({error}).", "Use the format that `rag adapt recipe` prints."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise RecipeError(
                f"`{name}` in {path.name} is not valid: {first['msg'].lower()}.",
                "`rag adapt recipe` lists all settings.",
            ) from error

    def as_toml(self) -> str:
        """The recipe as a TOML file with a comment on each line."""
        lines = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            shown = "[" + ", ".join(f'"{item}"' for item in value) + "]" if isinstance(value, tuple) else repr(value)
            lines.append(f"{name} = {shown}  # {field.description}")
        return "\n".join(lines) + "\n"
