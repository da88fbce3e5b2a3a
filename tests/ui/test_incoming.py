"""Where uploads lie until they are in the library: each process has its own place, and nothing stays there."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import signal
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from pdfs import column, write_pdf
from served import Page, Served, app_root, new_id


@pytest.fixture
def two(tmp_path):
    """Two servers of one checkout, each with its own library."""
    root = app_root(tmp_path / "root")
    started = [Served(library=tmp_path / name, root=root).start() for name in ("first", "second")]
    yield started
    for server in started:
        server.stop()


async def test_an_upload_works_after_another_instance_of_the_checkout_has_stopped(two) -> None:
    first, second = two
    page, name = await Page(second.url).sign_in(), new_id()
    await page.connect(name)
    before = (await page.upload(name, b"%PDF-1.7 before")).json()["id"]
    first.stop()
    assert first.process.returncode == 0
    after = await page.upload(name, b"%PDF-1.7 after")
    assert after.status_code == 200, after.text
    for file, content in ((before, b"%PDF-1.7 before"), (after.json()["id"], b"%PDF-1.7 after")):
        got = await page.http.get(f"/project/file/{file}", params={"session_id": name})
        assert got.content == content
    await page.close()


async def test_uploads_lie_in_the_library_and_a_crash_leaves_none_for_long(tmp_path) -> None:
    root = app_root(tmp_path / "root")
    server = Served(library=tmp_path / "library", root=root).start()
    page, name = await Page(server.url).sign_in(), new_id()
    await page.connect(name)
    assert (await page.upload(name)).status_code == 200
    incoming = server.library / "incoming"
    assert [path.suffix for path in (incoming / name).iterdir()] == [".pdf"]
    assert incoming.stat().st_mode & 0o777 == 0o700
    assert not (root / ".files").exists(), "nothing lies in the checkout"
    (incoming / "notes").mkdir()  # somebody's own
    (incoming / "notes" / "a.txt").write_text("kept")
    server.stop(signal.SIGKILL)
    await page.close()
    assert (incoming / name).exists()
    server.start()
    try:
        assert not (incoming / name).exists()
        page = await Page(server.url).sign_in()
        await page.connect(name)
        assert (await page.upload(name)).status_code == 200
    finally:
        server.stop()
        await page.close()
    assert [path.name for path in incoming.iterdir()] == ["notes"], "an orderly end leaves nothing of ours"
    assert (incoming / "notes" / "a.txt").read_text() == "kept"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("incoming")
    started = Served(library=folder / "library", root=app_root(folder / "root")).start()
    yield started
    started.stop()


def _peak(server: Served) -> int:
    """The server's largest resident memory so far, in MB."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) // 1024


def _form(megabytes: int, sent: list[int], name: str = "a.pdf"):
    """A form with one file of so many megabytes, piece by piece; `sent` has what was taken of it."""
    yield (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/pdf\r\n\r\n%PDF-1.7 "
    ).encode()
    for _ in range(megabytes):
        sent.append(1)
        yield b"x" * 1024 * 1024
    yield b"\r\n--b--\r\n"


def _post_in_pieces(server: Served, page: Page, path: str, pieces) -> tuple[int, dict[str, str]]:
    """Send a body of unknown length until it is taken or the server has had enough; its answer."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    cookies = "; ".join(f"{name}={value}" for name, value in page.http.cookies.items())
    connection.putrequest("POST", path)
    for header, value in {
        "Cookie": cookies,
        "Content-Type": "multipart/form-data; boundary=b",
        "Transfer-Encoding": "chunked",
    }.items():
        connection.putheader(header, value)
    connection.endheaders()
    try:
        for piece in pieces:
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
    except OSError:
        pass  # it does not listen any more, and has said why
    try:
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, HTTPException):
        return 0, {}  # the answer was lost with the connection
    finally:
        connection.close()


async def test_an_upload_is_never_whole_in_memory(server) -> None:
    page, name, sent = await Page(server.url).sign_in(), new_id(), []
    await page.connect(name)
    before = _peak(server)
    status, said = await asyncio.to_thread(
        _post_in_pieces, server, page, f"/project/file?session_id={name}", _form(150, sent)
    )
    assert status == 200, said
    assert _peak(server) - before < 60, "MB of memory for 150 MB of file"
    assert (server.library / "incoming" / name / f"{said['id']}.pdf").stat().st_size == 150 * 1024 * 1024 + 9
    await page.close()


@pytest.mark.parametrize("address", ["/project/file?session_id={}", "/library", "/project/action", "/auth/header"])
async def test_more_than_may_come_is_neither_read_nor_kept(server, address) -> None:
    page, name, sent = await Page(server.url).sign_in(), new_id(), []
    await page.connect(name)
    before = _peak(server)
    path = address.format(name)
    status, said = await asyncio.to_thread(_post_in_pieces, server, page, path, _form(600, sent))
    if address != "/auth/header":  # whose answer needs no body: the rest is thrown away as it comes
        assert status in {0, 413}
        assert len(sent) < 300, "MB were taken of 600"
    assert status != 413 or said["detail"].startswith("This is larger than ")
    assert _peak(server) - before < 60
    assert not (server.library / "incoming" / name).exists()
    assert server.answers()
    await page.close()


async def test_a_length_beyond_the_limit_is_refused_before_the_body_is_sent(server) -> None:
    page, name = await Page(server.url).sign_in(), new_id()
    await page.connect(name)
    for path, limit in ((f"/project/file?session_id={name}", 200), ("/library", 16)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
            line.sendall(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 600000000\r\n\r\n".encode()
            )
            answer = b"".join(iter(lambda: line.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert f"This is larger than {limit} MB, the most Scholion accepts at once.".encode() in answer
    await page.close()


@pytest.mark.parametrize(
    "file",
    [("a.txt", b"%PDF-", "application/pdf"), ("a.pdf", b"%PDF-", "text/html"), ("../../a.html", b"x", "text/html")],
    ids=str,
)
async def test_only_pdfs_are_taken(server, file) -> None:
    page, name = await Page(server.url).sign_in(), new_id()
    await page.connect(name)
    answer = await page.http.post("/project/file", params={"session_id": name}, files={"file": file})
    assert (answer.status_code, answer.json()["detail"]) == (400, "File type not allowed.")
    await page.close()


async def test_the_library_is_free_as_soon_as_the_client_of_an_order_has_left(
    app, shelf_library, assistant, tmp_path
) -> None:
    from chainlit.server import app as server

    from ui import core

    assistant.embedder = HashEmbedder()
    lines = [f"Sentence {n} tells how the jars were opened, weighed and closed again." for n in range(20)]
    paths = [write_pdf(tmp_path / f"{n}.pdf", column(72, 720, [f"Paper {n}.", *lines])) for n in range(8)]
    body = json.dumps({"do": "add", "paths": [str(path) for path in paths]}).encode()
    messages, first_row, rows = [{"type": "http.request", "body": body}], asyncio.Event(), []

    async def receive():
        if messages:
            return messages.pop()
        await first_row.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        rows.extend(message.get("body", b"").splitlines())
        if rows:
            first_row.set()

    headers = {
        "host": "localhost:8000",
        "authorization": f"Bearer {core.order_key()}",
        "content-type": "application/json",
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/library",
        "raw_path": b"/library",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    gc.disable()
    try:
        await server(scope, receive, send)
        assert json.loads(rows[0])["status"] == "added"
        assert len(rows) < len(paths)
        assert shelf_library.one_ingest.acquire(timeout=30), "another may add papers now"
        shelf_library.one_ingest.release()
    finally:
        gc.enable()
    report = ingest_pdf(paths[-1], library=shelf_library, embedder=HashEmbedder())
    assert report.status == "added"
