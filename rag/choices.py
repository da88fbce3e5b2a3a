"""What the user chose on the settings page, kept in `choices.json` in the library. Environment variables win."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest import write_atomically
from rag.keys import Keys, Place
from rag.settings import RagSettings

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

FILE = "choices.json"
ASIDE = "choices.damaged.json"
"""Where a file that cannot be read is copied before a new one is written."""

_Model = Annotated[str, Field(min_length=1, max_length=1000)]


class Server(BaseModel):
    """A server that the user typed in."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    setting: _Model
    """Its base address, `#` and the model."""
    key: Place | None = None
    """Where its key is kept; None if it has none."""

    @property
    def base_url(self) -> str:
        """The address without the model; keys are kept under it."""
        return self.setting.partition("#")[0]


class Choices(BaseModel):
    """The user's choices; None for what was not chosen. Names are those of `RagSettings`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    drafter: _Model | None = None
    drafter_context: int | None = Field(default=None, ge=1024, le=1_000_000)
    """What the drafter's server was found to allow."""
    expert: _Model | None = None
    answers: Literal["quoted", "written"] | None = None
    top_k: int | None = Field(default=None, ge=1, le=50)
    temperature: float | None = Field(default=None, ge=0, le=1)
    max_output_tokens: int | None = Field(default=None, ge=16, le=4096)
    answer_floor: float | None = Field(default=None, ge=0, le=1)
    auto_threshold: float | None = Field(default=None, ge=0, le=1)
    budget_day_calls: int | None = Field(default=None, ge=0)
    budget_month_calls: int | None = Field(default=None, ge=0)
    budget_day_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    budget_month_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    servers: tuple[Server, ...] = ()
    """Addresses that the user typed in, whether or not they are in use."""
    offer_declined: bool = False
    """Whether the user does not want to be told about models that run here."""

    def server(self, setting: str | None) -> Server | None:
        """The typed-in server with this setting."""
        return next((server for server in self.servers if server.setting == setting), None)


NOT_SETTINGS = {"servers", "offer_declined"}


@dataclass(frozen=True, slots=True)
class Kept:
    """The choices as they are kept, and what they make of the settings."""

    choices: Choices
    settings: RagSettings
    fixed: AbstractSet[str]
    """Names of the settings given as environment variables or in `.env`; a choice for them has no effect."""
    fault: str | None = None
    """What is wrong with the file, for the user."""


def load(folder: Path) -> tuple[Choices, str | None]:
    """The kept choices, and a sentence if some could not be read; those that can be read are used."""
    path = folder / FILE
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, dict):
            raise TypeError(rows)  # noqa: TRY301
    except FileNotFoundError:
        return Choices(), None
    except (OSError, ValueError, TypeError, RecursionError):
        return Choices(), f"{FILE} in your library is damaged, so nothing chosen here is in use. Choose again."
    wrong: list[str] = []
    while True:
        try:
            choices = Choices.model_validate(rows)
        except ValidationError as error:
            name, *inside = error.errors()[0]["loc"]
            wrong.append(str(name))
            if inside and isinstance(rows[name], list):  # one address of several
                rows[name] = [value for at, value in enumerate(rows[name]) if at != inside[0]]
            else:
                rows = {key: value for key, value in rows.items() if key != name}
        else:
            break
    fault = (
        f"{FILE} in your library has invalid values, which are not used: {', '.join(dict.fromkeys(wrong))}."
        if wrong
        else None
    )
    return choices, fault


def save(choices: Choices, folder: Path) -> None:
    """Keep the choices. A copy of a file that could not be read is made first.

    Raises:
        OSError: they cannot be written; the earlier ones stay.
    """
    path = folder / FILE
    if load(folder)[1] is not None:
        try:
            write_atomically(folder / ASIDE, path.read_bytes())
        except PermissionError:  # may not be read, but may have another name
            path.replace(folder / ASIDE)
    rows = choices.model_dump(mode="json", exclude_defaults=True)
    write_atomically(path, json.dumps(rows, ensure_ascii=False, indent=1))


def kept(folder: Path) -> Kept:
    """The settings of a library: environment variables, else what the user chose, else the defaults."""
    choices, fault = load(folder)
    return settled(choices, folder, fault=fault)


def settled(choices: Choices, folder: Path, *, fault: str | None = None) -> Kept:
    """What these choices make of the settings. A chosen server gets only the key that was kept for its address."""
    told = RagSettings()
    fixed = frozenset(told.model_fields_set)
    values: dict[str, Any] = {
        name: value
        for name, value in choices.model_dump(exclude=NOT_SETTINGS).items()
        if value is not None and name not in fixed
    }
    if "drafter" not in values:  # the window is the chosen drafter's
        values.pop("drafter_context", None)
    for role in {"drafter", "expert"} & values.keys():
        server = choices.server(values[role])
        key = Keys(folder).of(server.base_url, server.key) if server and server.key else ""
        values[f"{role}_key"] = key  # one from the environment is for another address
    return Kept(choices, RagSettings(**values), fixed, fault)
