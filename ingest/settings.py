"""Settings of the library: where it is, its embedder, its chunks. Environment variables begin with SCHOLION_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[1]


class IngestSettings(BaseSettings):
    """Settings of the library; each can be set as an environment variable or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="SCHOLION_", env_file=PROJECT / ".env", extra="ignore", frozen=True, env_ignore_empty=True
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
    max_file_mb: int = Field(default=200, ge=1, description="Larger files are refused.")
    ocr_languages: str = Field(
        default="eng",
        pattern=r"^[a-zA-Z_]+(\+[a-zA-Z_]+)*$",
        description="Languages of scanned pages, as Tesseract names them.",
    )


def bad_setting(error: ValidationError) -> str:
    """Which setting is wrong and why, in one sentence."""
    first = error.errors()[0]
    return f"The setting SCHOLION_{'_'.join(map(str, first['loc'])).upper()} is not valid: {first['msg']}."
