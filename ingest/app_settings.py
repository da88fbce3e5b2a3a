"""Settings of the app, for several people and for whoever runs it; here, so that Health can check them too."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.settings import PROJECT


class PeopleSettings(BaseSettings):
    """Settings for several people; each can be set as an environment variable or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="SCHOLION_", env_file=PROJECT / ".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    people: Literal["passwords", "oauth"] | None = Field(
        default=None,
        description="How people sign in: with a name and a password (`passwords`) or at a provider (`oauth`), see "
        "docs/people.md. If unset: one user, without a login, on this machine only.",
    )
    address: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#@]+$",
        description="The address at which browsers reach Scholion, like `https://papers.example.org`. Needs accounts. "
        "If unset: only browsers on this machine reach it.",
    )
    listen: Literal["127.0.0.1", "0.0.0.0"] = Field(  # noqa: S104 - where there are accounts
        default="127.0.0.1",
        description="The address of this machine to listen on. Anything but the default needs accounts and "
        "`SCHOLION_ADDRESS`; behind a reverse proxy on this machine, leave it.",
    )

    @property
    def public_host(self) -> str | None:
        """The host and port of `address`, as a browser sends them; None if there is no address."""
        if not self.address:
            return None
        parts = urlsplit(self.address.lower())
        return parts.netloc.removesuffix(":443" if parts.scheme == "https" else ":80")

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers come over https only."""
        return bool(self.address and self.address.startswith("https:"))

    @model_validator(mode="after")
    def _needs_accounts(self) -> Self:
        if self.people is None and (self.address or self.listen != "127.0.0.1"):
            raise ValueError("other machines reach Scholion only where SCHOLION_PEOPLE is set")
        if self.listen != "127.0.0.1" and not self.address:
            raise ValueError("SCHOLION_LISTEN needs SCHOLION_ADDRESS, the address that browsers use")
        return self


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
