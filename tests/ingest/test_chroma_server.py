"""A Chroma server, the package's own, over a real connection."""

from __future__ import annotations

import numpy as np
import pytest

from chroma_server import Server
from fake_embedder import HashEmbedder
from ingest import IngestSettings, ingest_pdf, open_library
from ingest.errors import UserFacingError, VectorServerError
from ingest.repair import rebuild, verify
from ingest.vectors import SERVER_BATCH, ChromaIndex
from places import SAMPLES
from rag.retrieval.retrieve import Retriever

ONE, TWO = SAMPLES / "lora-for-terms.pdf", SAMPLES / "before-you-run.pdf"


@pytest.fixture
def settings(tmp_path, server):
    return IngestSettings(library=tmp_path / "library", chroma=server.url)


def search(library, question, **scope):
    fake = HashEmbedder()
    return Retriever(library, fake).search(question, fake.embed_query(question), k=4, **scope).passages


def test_what_is_added_is_found_and_what_is_removed_is_gone(settings):
    with open_library(settings) as library:
        one, two = (ingest_pdf(path, library=library, embedder=HashEmbedder()).paper_id for path in (ONE, TWO))
        assert {p.paper.id for p in search(library, "low rank matrices", paper_ids=[one])} == {one}
        assert search(library, "low rank matrices")[0].paper.id == one
        assert verify(library) == []
        library.remove(one)
        assert {name.partition(":")[0] for name in library.vectors.ids()} == {two}
        assert not (library.folder / "chroma").exists(), "nothing of Chroma is in the library's folder"
    with open_library(settings) as library:
        assert library.vectors.ids() == set(library.chunk_ids())
        assert verify(library) == []


def test_two_libraries_share_a_server_without_seeing_each_other(settings, tmp_path, server):
    other = IngestSettings(library=tmp_path / "other", chroma=server.url)
    with open_library(settings) as a, open_library(other) as b:
        one = ingest_pdf(ONE, library=a, embedder=HashEmbedder()).paper_id
        two = ingest_pdf(TWO, library=b, embedder=HashEmbedder()).paper_id
        assert {name.partition(":")[0] for name in a.vectors.ids()} == {one}
        assert {name.partition(":")[0] for name in b.vectors.ids()} == {two}
        assert verify(a) == verify(b) == []


def test_a_collection_that_the_server_lost_is_filled_again_without_embedding(settings):
    with open_library(settings) as library:
        ingest_pdf(ONE, library=library, embedder=HashEmbedder())
        expected = library.vectors.ids()
        library.vectors.remove(sorted(expected)[:3])
        assert [problem.what for problem in verify(library)] == ["3 chunks were not in the vector index"]
        library.vectors.drop()
        with pytest.raises(VectorServerError, match="no longer knows this library"):
            search(library, "low rank matrices")
    with open_library(settings) as library:
        assert library.vectors.ids() == expected


def test_another_embedder_swaps_the_collection_on_the_server(settings):
    with open_library(settings) as library:
        ingest_pdf(ONE, library=library, embedder=HashEmbedder())
        old, other = library.vectors.name, HashEmbedder(dimension=64)
        rebuild(library, other)
        assert library.vectors.name != old
        assert library.vectors.search(other.embed_query("low rank"), 3)
        assert verify(library) == []


def test_a_second_process_searches_on_the_server_and_does_not_write(settings):
    with open_library(settings) as owner:
        ingest_pdf(ONE, library=owner, embedder=HashEmbedder())
        with open_library(settings) as reader:
            assert isinstance(reader.vectors, ChromaIndex)
            assert [p.chunk.id for p in search(reader, "low rank")] == [p.chunk.id for p in search(owner, "low rank")]


def test_more_than_one_batch_goes_to_the_server(server):
    index = ChromaIndex(server.url, collection="chunks-batches")
    n = 2 * SERVER_BATCH + 1
    rows = np.random.default_rng(1).normal(size=(n, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"a:{i:04d}" for i in range(n)]
    index.add(names, rows)
    assert index.count() == n
    assert index.ids() == set(names)
    index.remove(names[1:])
    assert index.ids() == {"a:0000"}
    index.drop()
    index.close()


def test_a_server_that_is_down_is_named_with_the_way_to_start_it(tmp_path):
    server = Server(tmp_path / "server")
    settings = IngestSettings(library=tmp_path / "library", chroma=server.url)
    with open_library(settings) as library:
        one = ingest_pdf(ONE, library=library, embedder=HashEmbedder()).paper_id
        server.kill()
        with pytest.raises(VectorServerError, match=f"{server.url} does not respond") as caught:
            search(library, "low rank matrices")
        assert f"chroma run --path FOLDER --port {server.port}" in caught.value.hint
        report = ingest_pdf(TWO, library=library, embedder=HashEmbedder())
        assert (report.status, "does not respond" in report.error) == ("failed", True)
        assert [paper.id for paper in library.papers()] == [one]
        with pytest.raises(VectorServerError):
            library.remove(one)
    with open_library(settings) as library, pytest.raises(VectorServerError, match="does not respond"):
        _ = library.vectors
    server.start()
    with open_library(settings) as library:
        library.own()
        assert one not in {paper.id for paper in library.papers()}, "the removal that had begun is completed"
        assert library.vectors.ids() == set(library.chunk_ids())
        assert {problem.repaired for problem in verify(library)} <= {True}
        assert verify(library) == []
    server.kill()


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_a_server_on_the_open_internet_is_refused_before_anything_is_sent(address, monkeypatch):
    entries = [(2, 1, 6, "", ("127.0.0.1", 8000)), (2, 1, 6, "", (address, 8000))]
    monkeypatch.setattr("ingest.chroma.socket.getaddrinfo", lambda *_, **__: entries)
    url = "https://chroma.example:8000"
    with pytest.raises(VectorServerError, match="public internet"):
        ChromaIndex(url, collection="chunks-test")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://user@host:1", "http://host:1/path"])
def test_what_is_no_address_of_a_server_is_refused_as_a_setting(url, tmp_path):
    with pytest.raises(ValueError, match="chroma"):
        IngestSettings(library=tmp_path, chroma=url)


def test_the_error_is_one_for_the_user():
    assert issubclass(VectorServerError, UserFacingError)
    assert VectorServerError.status == 503
