"""The models that Scholion knows, from `models.json`: their requirements, licences and sources.

A card does not say where a model runs: that always follows from the address actually asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ingest.settings import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

FILE = "models.json"
"""Ours is beside `app.py`; a file of this name in the library's folder adds to it and overrides it."""

Role = Literal["draft", "refine", "embed"]
"""draft: answers first. refine: answers again if the draft is weak. embed: turns text into vectors."""

Commercial = Literal["yes", "no", "conditions"]

_STRICT = ConfigDict(extra="forbid", strict=True)
_Count = Annotated[int, Field(gt=0)]
_Hub = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
_Inside = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*$")]
_File = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*\.gguf$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What determines the size of the KV cache; from the model's published configuration."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    layers: _Count
    kv_heads: _Count
    """KV heads per layer; fewer than query heads if these share them."""
    head_size: _Count
    sliding_window: _Count | None = None
    """Attention window of the `sliding_layers` in tokens; None if every layer has full attention."""
    sliding_layers: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What the model may be used for."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    """SPDX identifier if there is one, else the authors' name for it."""
    commercial: Commercial
    terms: str
    """A one-sentence summary; the licence itself is binding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Included with Scholion in a Python package."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    package: Annotated[str, Field(pattern=r"^\w+$")]  # a dot would import the parent package
    file: _Inside
    kind: Literal["wheel"] = "wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """One GGUF file on a model hub."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    repository: _Hub
    file: _File
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The commit; None for the current main branch."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """None if unknown; a download can then not be verified."""
    kind: Literal["gguf"] = "gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A sentence-transformers folder on a model hub."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    repository: _Hub
    kind: Literal["folder"] = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service with an OpenAI-compatible API."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]
    model: str
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*_(KEY|TOKEN)$")] | None = None
    """The environment variable with the key; None to send no key."""
    kind: Literal["service"] = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReference:
    """The model's names in the price list (`rag/costs/prices.py`)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    provider: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One model; unknown values are None."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    source: Annotated[Wheel | Gguf | Folder | Service, Field(discriminator="kind")]
    family: str | None = None
    parameters: _Count | None = None
    active_parameters: _Count | None = None
    """For a mixture of experts, the parameters used per token; None for all."""
    context_window: _Count | None = None
    """Tokens of prompt plus output it was trained for, without context extension."""
    quantisation: str | None = None
    weights_bytes: _Count | None = None
    """For a GGUF, the exact file size."""
    architecture: Architecture | None = None
    vocabulary: _Count | None = None
    """Vocabulary size in tokens."""
    thinks: bool | None = None
    """Whether it reasons before answering, which takes many times as long."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the main languages named by its authors."""
    licence: Licence | None = None
    price: PriceReference | None = None
    """None if tokens are free, or the price is unknown."""


@dataclass(frozen=True, slots=True)
class Registry:
    """All cards, and what could not be read."""

    cards: tuple[ModelCard, ...]
    faults: tuple[str, ...] = ()
    """One sentence per skipped entry of the user's file."""

    def card(self, name: str) -> ModelCard | None:
        """The card with this name, case-insensitively."""
        return next((card for card in self.cards if card.name == name.strip().lower()), None)


def load(folder: Path | None = None) -> Registry:
    """Our cards plus the user's: entries of `folder`/models.json are added, or override ours key by key.

    Invalid user entries are skipped and listed in `faults`; ours stay valid whatever the file says.
    """
    ours = _entries(json.loads((PROJECT / FILE).read_text(encoding="utf-8")))
    rows = {row["name"]: row for row in ours}
    cards = {name: _CARD.validate_json(json.dumps(row)) for name, row in rows.items()}
    path = folder / FILE if folder else None
    if path is None or not path.exists():
        return Registry(tuple(cards.values()))
    try:
        theirs = _entries(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        return Registry(tuple(cards.values()), (f"{path} was ignored: it cannot be read ({error}).",))
    hosts = _key_hosts(cards.values())
    faults = []
    for number, row in enumerate(theirs, 1):
        name = row.get("name") if isinstance(row, dict) else None
        label = f"{path}, “{name}”" if isinstance(name, str) else f"{path}, entry {number}"
        try:
            known = rows.get(name, {}) if isinstance(name, str) else {}
            card = _CARD.validate_json(json.dumps(known | row if isinstance(row, dict) else row))
        except ValidationError as error:
            faults.append(f"{label} was ignored: {_words(error)}.")
            continue
        if _takes_key(card, hosts):
            faults.append(f"{label} was ignored: it would send another provider's key to its address.")
            continue
        cards[card.name] = card
    return Registry(tuple(cards.values()), tuple(faults))


_CARD = TypeAdapter(ModelCard)


def _entries(content: object) -> list[Any]:
    """The entries of a file; ValueError if its format is wrong."""
    rows = content.get("models") if isinstance(content, Mapping) and set(content) == {"models"} else None
    if not isinstance(rows, list):
        raise ValueError('it must be {"models": […]}')  # noqa: TRY004 - the file's content is wrong, not the code's
    return rows


def _words(error: ValidationError) -> str:
    """Which key is wrong and why, without a full stop."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("wheel", "gguf", "folder", "service"))
    match first["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden" if where == "locality":
            return "the key “locality” is unknown (the address says where a model runs)"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"the key “{where}” is unknown"
        case "missing" | "missing_keyword_only_argument":
            return f"the key “{where}” is missing"
        case _:
            told = first["msg"][:1].lower() + first["msg"][1:]
            return f"“{where}”: {told}" if where else told


def _key_hosts(cards: Iterable[ModelCard]) -> dict[str, str | None]:
    """Key variable → host it belongs to, for all keys named by our own cards."""
    services = [card.source for card in cards if isinstance(card.source, Service)]
    return {source.key_variable: urlsplit(source.base_url).hostname for source in services if source.key_variable}


def _takes_key(card: ModelCard, hosts: Mapping[str, str | None]) -> bool:
    """Whether the card would send the key of a known provider to a different host."""
    if not isinstance(card.source, Service) or card.source.key_variable is None:
        return False
    host = urlsplit(card.source.base_url).hostname
    return hosts.get(card.source.key_variable, host) != host
