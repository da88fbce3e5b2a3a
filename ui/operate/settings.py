"""Settings for whoever runs Scholion for others; with none of them nothing is measured and nothing is logged more."""

from __future__ import annotations

from functools import cache

from ingest.app_settings import OperateSettings


@cache
def settings() -> OperateSettings:
    """Those of this process, read once."""
    return OperateSettings()
