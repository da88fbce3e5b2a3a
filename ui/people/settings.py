"""Settings for several people; with none of them there is one user, on this machine only."""

from __future__ import annotations

from functools import cache

from pydantic import ValidationError

from ingest import UserFacingError
from ingest.app_settings import PeopleSettings
from ingest.settings import bad_setting


class PeopleSettingsError(UserFacingError):
    """A setting that is not valid, or not without another."""


@cache
def settings() -> PeopleSettings:
    """Those of this process, read once."""
    try:
        return PeopleSettings()
    except ValidationError as error:
        raise PeopleSettingsError(bad_setting(error)) from error


def providers() -> str | None:
    """How the variables begin that tell Chainlit its providers; None where nobody signs in at one."""
    return "OAUTH_" if settings().people == "oauth" else None
