"""One real model server for all tests of the assistant."""

from __future__ import annotations

import asyncio

import pytest

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from places import SAMPLES
from rag.models import local
from rag.models.chat import EndpointChatModel
from rag.models.local import LocalServer, embedded_drafter
from waiting import PATIENCE

local.START_SECONDS = PATIENCE  # a model that loads in a second took over a minute beside twenty other programs


@pytest.fixture(scope="session")
def local_server():
    server = LocalServer(
        embedded_drafter(), context=4096, slots=2, threads=1
    )  # two threads that wait for each other crawl beside others
    yield server
    asyncio.run(server.close())


@pytest.fixture
def real_model(local_server):
    return EndpointChatModel(local_server.connect, name=local_server.name, timeout=PATIENCE)


@pytest.fixture
def hash_embedder():
    return HashEmbedder()


@pytest.fixture
def two_papers(library, hash_embedder):
    """A library with two of the sample papers."""
    for name in ("before-you-run", "lora-for-terms"):
        ingest_pdf(SAMPLES / f"{name}.pdf", library=library, embedder=hash_embedder)
    return library
