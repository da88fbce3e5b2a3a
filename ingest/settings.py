"""Settings of the library: where it is, its embedder, its chunks. Environment variables begin with SCHOLION_."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.postgres import Address, parse

PROJECT = Path(__file__).resolve().parents[1]


class IngestSettings(BaseSettings):
    """Settings of the library; each can be set as an environment variable or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="SCHOLION_",
        env_file=PROJECT / ".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # an address may carry a password
    )

    library: Path = Field(default=PROJECT / "library", description="The folder with papers, index and chats.")
    embedder: str | None = Field(
        default=None,
        description="Folder of a sentence-transformers model, or a known name such as `bge-small-en-v1.5` "
        "(docs/ingest.md) whose weights are on this machine. If unset: the embedded all-MiniLM-L6-v2.",
    )
    chunk_tokens: int = Field(
        default=160, ge=32, le=512, description="Maximum length of a chunk, in tokens of the embedder."
    )
    chroma: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#@]+/?$",
        description="URL of a Chroma server on this machine or on your own network. If unset: Chroma in the library "
        "folder. The server gets numbers and ids, no text.",
    )
    chats: SecretStr | None = Field(
        default=None,
        description="A Postgres database for the chats, like `postgresql://user:password@host/database` "
        "(docs/postgres.md). If it is not on this machine, the chats leave this machine. "
        "If unset: `chats.db` in the library folder.",
    )
    catalogue: SecretStr | None = Field(
        default=None,
        description="A Postgres database on this machine for the catalogue (papers, texts, vectors, tags), like "
        "`postgresql://user:password@127.0.0.1/database` (docs/postgres.md). PDFs stay in the library folder. "
        "If unset: `library.db` there.",
    )
    several: bool = Field(
        default=False,
        description="Several app processes on this machine serve this library (docs/scale.md). "
        "Needs SCHOLION_CATALOGUE, SCHOLION_CHATS and SCHOLION_CHROMA.",
    )
    max_file_mb: int = Field(default=200, ge=1, description="Larger files are refused.")
    ocr_languages: str = Field(
        default="eng",
        pattern=r"^[a-zA-Z_]+(\+[a-zA-Z_]+)*$",
        description="Languages of scanned pages, as Tesseract names them.",
    )

    @field_validator("chats")
    @classmethod
    def _is_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse(value.get_secret_value())
        return value

    @field_validator("catalogue")
    @classmethod
    def _is_address_here(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not parse(value.get_secret_value()).here:
            raise ValueError("the database must be on this machine: a socket or a loopback address")
        return value

    @model_validator(mode="after")
    def _can_be_several(self) -> Self:
        if self.several and not (self.catalogue and self.chats and self.chroma):
            raise ValueError("several processes need SCHOLION_CATALOGUE, SCHOLION_CHATS and SCHOLION_CHROMA")
        return self

    @property
    def catalogue_database(self) -> Address | None:
        """Where the catalogue is, if Postgres keeps it."""
        return parse(self.catalogue.get_secret_value(), setting="SCHOLION_CATALOGUE") if self.catalogue else None

    @property
    def chat_database(self) -> Address | None:
        """Where the chats are, if Postgres keeps them."""
        return parse(self.chats.get_secret_value()) if self.chats else None


def bad_setting(error: ValidationError) -> str:
    """Which setting is wrong and why, in one sentence."""
    first = error.errors()[0]
    said = first["msg"].removeprefix("Value error, ")  # of our own checks
    name = "_".join(map(str, first["loc"])).upper()
    if not name and error.title == "IngestSettings":
        name = "SEVERAL"  # the only one of these that is checked with others
    return f"The setting SCHOLION_{name} is not valid: {said}." if name else f"The settings are not valid: {said}."
