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
from rag.models.onnx.server import OnnxServer
from waiting import PATIENCE

local.START_SECONDS = PATIENCE  # a model that loads in a second took over a minute beside twenty other programs


@pytest.fixture(scope="session")
def local_server():
    server = LocalServer(
        embedded_drafter(), context=4096, slots=2, threads=1
    )  # two threads that wait for each other crawl beside others
    yield server
    asyncio.run(server.close())


@pytest.fixture(scope="session")
def onnx_server(tiny_onnx):
    """The same with the ONNX engine, and a tiny model."""
    server = OnnxServer(tiny_onnx, context=4096, slots=2, threads=1)
    yield server
    asyncio.run(server.close())


@pytest.fixture
def real_model(local_server):
    return EndpointChatModel(local_server.connect, name=local_server.name, timeout=PATIENCE)


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory):
    """A tiny random model, converted to ONNX in full precision. Its layers make it slow enough to be interrupted."""
    for package in ("onnxruntime_genai", "onnx", "onnx_ir"):
        pytest.importorskip(package, reason="the ONNX engine is not installed (`make onnx`)")
    from rag.models.onnx.build import build
    from tiny_models import tiny_folder

    folder = tmp_path_factory.mktemp("onnx")
    source, target = tiny_folder(folder / "source", layers=40), folder / "Tiny-fp32"
    target.mkdir()
    build({"source": source, "to": target, "precision": "fp32", "provider": "cpu", "prompts": 0}, lambda _: None)
    return target


@pytest.fixture
def hash_embedder():
    return HashEmbedder()


@pytest.fixture
def two_papers(library, hash_embedder):
    """A library with two of the sample papers."""
    for name in ("before-you-run", "lora-for-terms"):
        ingest_pdf(SAMPLES / f"{name}.pdf", library=library, embedder=hash_embedder)
    return library
