"""What every test shares: no network beyond loopback, no settings from outside, a library of its own."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from places import SHARED
from postgres_server import MISSING, MISSING_DRIVER, PostgresServer, programs

for name in [name for name in os.environ if name.startswith("SCHOLION_")]:
    del os.environ[name]
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime loads
os.environ["SCHOLION_DRAFTER_THREADS"] = "1"  # two that wait for each other crawl beside the other parts' tests


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: Python code in the tests' own process cannot connect to another machine."""
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple):
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
                raise AssertionError(f"a test tried to connect to {host}")
    elif event == "socket.getaddrinfo" and arguments[0] not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"):
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
        if host not in ("localhost", "127.0.0.1", "::1") and not host.startswith("127."):
            raise AssertionError(f"a test tried to look up {host}")


sys.addaudithook(_only_loopback)

# How long an example takes says how busy the machine is.
hypothesis_settings.register_profile("scholion", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("scholion")


@pytest.fixture(autouse=True, scope="session")
def _samples_are_parsed_once():
    """In this process; what tests start in others parses as ever."""
    from parsed_once import ParserOfSamples

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ingest.pipeline.Parser", ParserOfSamples)
        yield


@pytest.fixture(autouse=True)
def _umask():
    """A command that a test runs in this process closes its files to others, for that test only."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def settings(tmp_path: Path):
    from ingest import IngestSettings

    return IngestSettings(library=tmp_path / "library")


@pytest.fixture
def library(settings):
    from ingest import open_library

    with open_library(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def embedder():
    """The real one, loaded once."""
    from ingest import embedder_from

    return embedder_from(None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the development data is not here: {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def postgres_server():
    """A real Postgres server for this session; skips where there is none."""
    pytest.importorskip("asyncpg", reason=MISSING_DRIVER)
    if programs() is None:
        pytest.skip(MISSING)
    made = PostgresServer()
    try:
        yield made.start()
    finally:
        made.close()
