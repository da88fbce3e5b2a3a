"""Settings for several people; with none of them there is one user, on this machine only."""

from __future__ import annotations

from functools import cache
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest import UserFacingError
from ingest.settings import PROJECT, bad_setting


class PeopleSettingsError(UserFacingError):
    """A setting that is not valid, or not without another."""


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


@cache
def settings() -> PeopleSettings:
    """Those of this process, read once."""
    try:
        return PeopleSettings()
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ") if not error.errors()[0]["loc"] else ""
        raise PeopleSettingsError(f"The settings are not valid: {said}." if said else bad_setting(error)) from error


def providers() -> str | None:
    """How the variables begin that tell Chainlit its providers; None where nobody signs in at one."""
    return "OAUTH_" if settings().people == "oauth" else None
