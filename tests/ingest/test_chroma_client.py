"""The way to a Chroma server: no variable, file or redirect has a say, and the server itself has none."""

from __future__ import annotations

import json
import logging
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest

from ingest import chroma
from ingest.errors import VectorServerError
from ingest.vectors import ChromaIndex
from trap import Trap

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
ROWS = np.eye(4, dtype=np.float32)
NAMES = ["a:0", "a:1", "b:0", "b:1"]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in (*PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def work(url: str, collection: str = "chunks-client") -> None:
    """Everything that a library asks of its index."""
    index = ChromaIndex(url, collection=collection)
    index.add(NAMES, ROWS)
    assert index.ids() == set(NAMES)
    assert index.search(ROWS[1], 1)[0][0] == "a:1"
    assert [name for name, _ in index.search(ROWS[1], 1, among=["b:0"])] == ["b:0"]
    index.remove(NAMES[:2])
    assert index.count() == 2
    index.drop()
    index.close()


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_in_the_environment_sees_no_vectors(name, server, monkeypatch):
    with Trap() as trap:
        monkeypatch.setenv(name, trap.url)
        work(server.url)
        assert trap.connections == 0


def test_settings_of_chroma_in_the_environment_or_in_a_file_there_change_nothing(server, monkeypatch, tmp_path):
    with Trap() as trap:
        theirs = {
            "CHROMA_SERVER_HOST": "127.0.0.9",
            "CHROMA_SERVER_HTTP_PORT": str(trap.port),
            "CHROMA_CLIENT_AUTH_PROVIDER": "chromadb.auth.token_authn.TokenAuthClientProvider",
            "CHROMA_CLIENT_AUTH_CREDENTIALS": "secret",
            "CHROMA_OTEL_COLLECTION_ENDPOINT": trap.url,
            "CHROMA_OTEL_GRANULARITY": "all",
        }
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in theirs.items()))
        monkeypatch.chdir(tmp_path)
        work(server.url)
        for name, value in theirs.items():
            monkeypatch.setenv(name, value)
        work(server.url)
        index = ChromaIndex(tmp_path / "chroma", collection="chunks-here")
        index.add(NAMES, ROWS)
        index.close()
        assert trap.connections == 0


def test_certificates_that_the_environment_names_are_not_read(server, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "/nowhere/at/all")
    work(server.url)


class Answering:
    """A server that answers every request with the same reply; keeps the heads."""

    def __init__(self, status: int, headers: dict[str, str], replies: dict[str, object]) -> None:
        self.heads: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                outer.heads.append(f"{self.command} {self.path}\n{self.headers}")
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                found = next((reply for part, reply in replies.items() if part in self.path), {})
                body = json.dumps(found).encode()
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def answering(status: int, *, headers=None, replies=None):
    made = Answering(status, headers or {}, replies or {})
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_server_that_sends_us_elsewhere_is_not_followed(status):
    with Trap() as trap, answering(status, headers={"Location": f"{trap.url}/api/v2"}) as there:
        with pytest.raises(VectorServerError, match="redirects to another address"):
            work(there.url)
        assert trap.connections == 0


def test_a_reply_that_is_not_chromas_is_an_error_for_the_user():
    with answering(502) as there, pytest.raises(VectorServerError, match="Chroma server"):
        work(there.url)


MODEL = {
    "id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "name": "chunks-client", "metadata": None, "dimension": 4,
    "tenant": "default_tenant", "database": "default_database", "version": 0, "log_position": 0,
}  # fmt: skip
ORDER = {"type": "known", "name": "sentence_transformer", "config": {"model_name": "evil", "device": "cpu"}}
SPARSE = {"type": "known", "name": "huggingface_sparse", "config": {"model_name": "evil", "device": "cpu"}}


def collection_that_orders(where: str) -> dict:
    vectors = {"vector_index": {"enabled": True, "config": {"embedding_function": ORDER}}}
    sparse = {"sparse_vector_index": {"enabled": True, "config": {"embedding_function": SPARSE, "source_key": "x"}}}
    schema = {"defaults": {"float_list": vectors}, "keys": {"x": {"sparse_vector": sparse}}}
    return MODEL | {
        "configuration_json": {"embedding_function": ORDER} if where == "configuration" else {},
        "schema": schema if where == "schema" else None,
        "serialized_schema": schema if where == "schema" else None,
    }


@pytest.mark.parametrize("where", ["configuration", "schema"])
def test_a_server_cannot_have_us_build_an_embedding_function(where, monkeypatch):
    """Chroma builds what the server's reply names, with the server's options: that is how code is run on a client."""
    from chromadb.utils import embedding_functions

    built = []
    for known in (
        embedding_functions.known_embedding_functions,
        embedding_functions.sparse_known_embedding_functions,
    ):
        for made in set(known.values()):
            monkeypatch.setattr(made, "build_from_config", staticmethod(built.append))
    replies = {
        "auth/identity": {"user_id": "", "tenant": "default_tenant", "databases": ["default_database"]},
        "pre-flight-checks": {"max_batch_size": 1000},
        "/upsert": {},
        "/query": {"ids": [[]], "distances": [[]], "include": []},
        "/get": {"ids": [], "include": []},
        "/delete": {},
        "/collections": collection_that_orders(where),
        "databases/default_database": {"id": MODEL["id"], "name": "default_database", "tenant": "default_tenant"},
        "tenants/default_tenant": {"name": "default_tenant"},
    }
    with answering(200, replies=replies) as there:
        index = ChromaIndex(there.url, collection="chunks-client")
        index.add(NAMES, ROWS)
        index.search(ROWS[1], 1)
        index.ids()
        index.remove(NAMES)
        index.filled()
        assert any("/upsert" in head for head in there.heads)
        assert any(head.startswith("PUT ") for head in there.heads)
    assert built == []


def test_no_passwords_are_sent_from_a_password_file(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(netrc.read_text())
    with answering(404) as there:
        with pytest.raises(VectorServerError):
            work(there.url)
        assert there.heads
        assert not [head for head in there.heads if "authorization" in head.lower() or "secret" in head]


@pytest.fixture
def names(monkeypatch):
    """Numbers of chroma.example, which may be changed; and how often it was looked up."""
    real, numbers, asked = socket.getaddrinfo, ["127.0.0.1"], []

    def look_up(host, port, *arguments, **options):
        if host != "chroma.example":
            return real(host, port, *arguments, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return numbers, asked


def test_the_address_that_was_judged_is_the_one_that_is_used(names):
    """A name that leads elsewhere when it is looked up again leads nowhere new."""
    numbers, asked = names
    with answering(200) as there, httpx.Client(transport=chroma.PinnedTransport()) as client:
        url = there.url.replace("127.0.0.1", "chroma.example")
        client.get(url)
        numbers[:] = ["8.8.8.8"]
        client.post(url, content=b"more", headers={"Connection": "close"})
        client.get(url)
        assert len(asked) == 1
        assert len(there.heads) == 3
        assert all("chroma.example" in head for head in there.heads), "the server is asked under its name"


def test_a_server_that_moved_within_the_network_is_found_again_and_judged_again(server, names):
    numbers, _ = names
    index = ChromaIndex(f"http://chroma.example:{server.port}", collection="chunks-moves")
    index.add(NAMES, ROWS)
    transport = index._client._server._session._transport
    transport._numbers = ["127.0.0.3"]  # where nothing listens any more
    assert index.count() == 4
    assert transport._numbers == ["127.0.0.1"]
    transport._numbers, numbers[:] = ["127.0.0.3"], ["8.8.8.8"]
    with pytest.raises(VectorServerError, match="public internet"):
        index.count()


def test_a_server_on_another_machine_is_told_of(monkeypatch, caplog, names):
    numbers, _ = names
    numbers[:] = ["127.0.0.1", "192.168.7.7"]
    monkeypatch.setattr(chroma.chromadb, "HttpClient", lambda **_: None)
    with caplog.at_level(logging.WARNING):
        chroma.server("http://chroma.example:8000")
    assert "not on this machine" in caplog.text
    assert "docs/scale.md" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        chroma.server("http://127.0.0.1:8000")
    assert caplog.text == ""
