"""A model's file comes whole and checked, or not at all; a real HTTP server gives it well and badly."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
from types import SimpleNamespace

import pytest

from hub_server import Hub, serving
from rag.errors import DownloadError
from rag.models import download as module
from rag.models.download import download

CONTENT = b"GGUF" + os.urandom(5_000_000)
SUM = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "models" / "a.gguf"


@pytest.fixture
def hub():
    with serving(Hub(CONTENT)) as running:
        yield running


def partial(target):
    return target.with_name("a.gguf.partial")


def fetch(hub, target, *, sha256=SUM, size=SIZE):
    told = []
    download(f"{hub.url}/a.gguf", target, sha256=sha256, size=size, tell=lambda here, total: told.append((here, total)))
    return told


def failing(hub, target, **how):
    with pytest.raises(DownloadError) as raised:
        fetch(hub, target, **how)
    assert not target.exists(), "what failed may not stand under the file's name"
    return str(raised.value)


def test_a_file_comes_whole_with_progress_that_only_grows(hub, target):
    told = fetch(hub, target)
    assert target.read_bytes() == CONTENT
    assert told == sorted(told)
    assert told[-1] == (SIZE, SIZE)
    assert not partial(target).exists()


def test_a_broken_connection_is_taken_up_where_it_broke(hub, target):
    hub.breaks = [2_500_000, 1_200_000]
    fetch(hub, target)
    assert target.read_bytes() == CONTENT
    begins = [int(wanted[6:-1]) for _, wanted in hub.asked[1:]]
    assert len(begins) == 2
    assert 0 < begins[0] < begins[1], "each request asks for what is still missing"


def test_what_came_stays_for_the_next_call_when_the_connection_breaks_too_often(hub, target):
    hub.breaks = [1_100_000] * module.ATTEMPTS
    words = failing(hub, target)
    assert "broke after 4 MB" in words
    assert "continue from there" in words
    kept = partial(target).read_bytes()
    assert CONTENT.startswith(kept)
    hub.asked.clear()
    fetch(hub, target)
    assert target.read_bytes() == CONTENT
    assert hub.asked == [("/a.gguf", f"bytes={len(kept)}-")]


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub, target):
    hub.ranges, hub.breaks = False, [3_000_000]
    fetch(hub, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_file_is_removed_and_said_to_be_wrong(hub, target):
    hub.content = b"GGUF" + bytes(SIZE - 4)
    words = failing(hub, target)
    assert "not the expected file" in words
    assert not partial(target).exists()


def test_a_part_of_another_file_does_not_end_up_in_this_one(hub, target):
    target.parent.mkdir()
    partial(target).write_bytes(b"GGUF" + bytes(1_000_000))
    assert "not the expected file" in failing(hub, target)
    fetch(hub, target)
    assert target.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(hub, target):
    target.parent.mkdir()
    partial(target).write_bytes(CONTENT + b"more")
    fetch(hub, target, size=None)
    assert target.read_bytes() == CONTENT


def test_a_file_of_another_size_is_refused_before_it_comes(hub, target):
    words = failing(hub, target, size=SIZE + 1_000_000)
    assert f"{SIZE:,} bytes, not {SIZE + 1_000_000:,}" in words
    assert not partial(target).exists()


def test_a_page_in_place_of_the_file_is_told_from_it(hub, target):
    hub.content_type = "text/html; charset=utf-8"
    assert "web page" in failing(hub, target, size=None)
    hub.content_type, hub.content = "application/octet-stream", b"<!doctype html>" + bytes(100)
    assert "did not send a model file" in failing(hub, target, size=None)
    hub.content = b""
    assert "did not send a model file" in failing(hub, target, size=None)
    assert not partial(target).exists()


@pytest.mark.parametrize("status,words", [(404, "(404)"), (401, "licence"), (403, "licence"), (503, "later")])
def test_a_refusal_is_said_in_words(hub, target, status, words):
    hub.status = status
    assert words in failing(hub, target)


def test_nothing_that_answers_is_said_at_once(target):
    with serving(Hub(CONTENT)) as gone:
        pass
    assert "could not be opened" in failing(gone, target)


def test_a_redirect_is_followed(hub, target):
    with serving(Hub(b"", location=f"{hub.url}/elsewhere/a.gguf")) as first:
        fetch(first, target)
    assert target.read_bytes() == CONTENT
    assert hub.asked[0][0] == "/elsewhere/a.gguf"


def test_a_redirect_from_https_to_http_is_not_followed(hub, target, tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    names = ["-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-subj", "/CN=localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         *names, "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    trusted = SimpleNamespace(openssl_cafile=str(tmp_path / "cert"), openssl_capath="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: trusted)  # SSL_CERT_FILE is not read
    with serving(Hub(b"", location=f"{hub.url}/a.gguf"), tls=tls) as secure:
        assert "without https" in failing(secure, target)
    assert hub.asked == []


def test_without_a_checksum_nothing_old_is_continued(hub, target):
    target.parent.mkdir()
    partial(target).write_bytes(b"GGUF" + bytes(1_000_000))
    fetch(hub, target, sha256=None)
    assert target.read_bytes() == CONTENT
    assert hub.asked[0] == ("/a.gguf", None)


def test_a_file_whose_length_nobody_knows_comes_too(hub, target):
    hub.says_length = False
    told = fetch(hub, target, size=None)
    assert target.read_bytes() == CONTENT
    assert told[-1] == (SIZE, None)


def test_a_file_that_does_not_end_where_it_should_is_stopped(hub, target):
    hub.says_length, hub.content = False, CONTENT + bytes(20_000_000)
    assert "more bytes" in failing(hub, target)
    assert partial(target).stat().st_size < SIZE + 3_000_000
    assert "not the expected file" in failing(hub, target, size=None)


def test_a_file_that_ends_too_early_without_saying_so_is_not_taken(hub, target):
    hub.says_length, hub.content = False, CONTENT[:3_000_000]
    assert "after 4 attempts" in failing(hub, target)


def test_a_disk_that_fills_up_under_a_file_of_unknown_length_is_noticed(hub, target, monkeypatch):
    hub.says_length = False
    room = iter([10**12, 10**12, 0])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(room)))
    assert "0 MB free" in failing(hub, target, size=None)


def test_a_full_disk_is_noticed_before_the_first_byte(hub, target, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4_000_000))
    words = failing(hub, target)
    assert "4 MB free; 5 MB are still needed" in words
    assert not partial(target).exists()


def test_a_folder_that_cannot_be_written_is_said(hub, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "could not be written" in failing(hub, tmp_path / "file" / "a.gguf")
