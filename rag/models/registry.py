"""The models that Scholion knows, from `models.json`: what each needs, may be used for, and where it comes from.

A card says nothing of where a model runs: that is taken from the address that is really asked, never from this list.
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
"""Ours lies beside `app.py`; one of the same name in the library's folder adds to it and changes it."""

Role = Literal["draft", "refine", "embed"]
"""draft: answers first. refine: answers again where the draft is weak. embed: turns text into vectors."""

Commercial = Literal["yes", "no", "conditions"]

_STRICT = ConfigDict(extra="forbid", strict=True)
_Count = Annotated[int, Field(gt=0)]
_Hub = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
_Inside = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*$")]
_File = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*\.gguf$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What decides the size of the KV cache; from the model's published configuration."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    layers: _Count
    kv_heads: _Count
    """Key and value heads of one layer; fewer than query heads where these share them."""
    head_size: _Count
    sliding_window: _Count | None = None
    """Tokens that the layers of `sliding_layers` look back; None: every layer looks at everything."""
    sliding_layers: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What the model may be used for."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    """By SPDX where it is there, else as its authors call it."""
    commercial: Commercial
    terms: str
    """One sentence; the licence itself decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Comes with Scholion, inside a Python package."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    package: Annotated[str, Field(pattern=r"^\w+$")]  # a dot would import the parent package to look inside
    file: _Inside
    kind: Literal["wheel"] = "wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """One GGUF file on a model hub."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    repository: _Hub
    file: _File
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The commit; None: whatever its main branch holds."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """None: not known, so that a download cannot be checked."""
    kind: Literal["gguf"] = "gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A sentence-transformers folder on a model hub."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    repository: _Hub
    kind: Literal["folder"] = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Served by somebody, with an OpenAI-compatible interface."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]
    model: str
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*_(KEY|TOKEN)$")] | None = None
    """The environment variable that holds the key; None: none is sent."""
    kind: Literal["service"] = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReference:
    """Under which names the price list knows the model (`rag/costs/prices.py`)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    provider: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One model. What is not known is None."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    source: Annotated[Wheel | Gguf | Folder | Service, Field(discriminator="kind")]
    family: str | None = None
    parameters: _Count | None = None
    active_parameters: _Count | None = None
    """Of a mixture of experts: those that one token uses; None: all of them."""
    context_window: _Count | None = None
    """Tokens of prompt plus output that it was trained for, without stretching."""
    quantisation: str | None = None
    weights_bytes: _Count | None = None
    """Of a GGUF the exact size of the file."""
    architecture: Architecture | None = None
    vocabulary: _Count | None = None
    """Tokens it knows."""
    thinks: bool | None = None
    """Whether it writes its thoughts before the answer, which takes many times as long."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of those that its authors name, the main ones."""
    licence: Licence | None = None
    price: PriceReference | None = None
    """None: it costs no money per token, or nobody has told."""


@dataclass(frozen=True, slots=True)
class Registry:
    """All cards, and what could not be read."""

    cards: tuple[ModelCard, ...]
    faults: tuple[str, ...] = ()
    """One sentence for each entry of the user's file that is left out."""

    def card(self, name: str) -> ModelCard | None:
        """The card of this name, in whatever case."""
        return next((card for card in self.cards if card.name == name.strip().lower()), None)


def load(folder: Path | None = None) -> Registry:
    """Return our cards with the user's: entries of `folder`/models.json are added, or change one of ours key by key.

    A wrong entry of the user's is left out and named in `faults`; ours stand whatever it says.
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
    """The list of a file's entries; ValueError where it has another form."""
    rows = content.get("models") if isinstance(content, Mapping) and set(content) == {"models"} else None
    if not isinstance(rows, list):
        raise ValueError('it must be {"models": […]}')  # noqa: TRY004 - the file's content is wrong, not the code's
    return rows


def _words(error: ValidationError) -> str:
    """What is wrong with which key, without a full stop."""
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
    """Of each key that our own cards name, the host it belongs to."""
    services = [card.source for card in cards if isinstance(card.source, Service)]
    return {source.key_variable: urlsplit(source.base_url).hostname for source in services if source.key_variable}


def _takes_key(card: ModelCard, hosts: Mapping[str, str | None]) -> bool:
    """Whether it asks for a key of a provider that we know, to be sent somewhere else."""
    if not isinstance(card.source, Service) or card.source.key_variable is None:
        return False
    host = urlsplit(card.source.base_url).hostname
    return hosts.get(card.source.key_variable, host) != host
