"""Settings for whoever runs Scholion for others; with none of them nothing is measured and nothing is logged more."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.settings import PROJECT


class OperateSettings(BaseSettings):
    """Settings of the process; each can be set as an environment variable or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="SCHOLION_", env_file=PROJECT / ".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    metrics: bool = Field(
        default=False,
        description="Whether `/metrics` tells Prometheus, on this machine only, how many requests, answers, tokens and "
        "errors there are and how long they take (docs/operate.md). Numbers only.",
    )
    log: Literal["text", "json"] = Field(
        default="text",
        description="How the log is written: `text` has warnings and errors, `json` also has a line for each request, "
        "all with request ids (docs/operate.md). The line of a request has no names; warnings and errors may name "
        "files and servers.",
    )
    finish_seconds: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="How long answers that are being written may take to end after SIGTERM, while no new ones begin. "
        "If 0, they are stopped at once and what they have is kept.",
    )


@cache
def settings() -> OperateSettings:
    """Those of this process, read once."""
    return OperateSettings()
