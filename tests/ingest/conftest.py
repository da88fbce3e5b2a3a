"""A Chroma server for the tests that want one, started once."""

from __future__ import annotations

import pytest

from chroma_server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.kill()
