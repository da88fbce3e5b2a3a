"""nginx before several processes, as docs/scale.md says: a browser stays with one, unless that one is down."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from websockets.sync.client import connect
from websockets.utils import accept_key

from nginx import MISSING, NGINX, Nginx, for_several, free_port

pytestmark = pytest.mark.skipif(NGINX is None, reason=MISSING)


class Process(ThreadingHTTPServer):
    """Stands for one process of Scholion: it says its name, over HTTP and over a websocket."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, name: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name, self.asked = name, []
        """The method of each request that came."""
        self.dies = False
        """Whether it takes a request and ends without an answer, as if killed."""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Process

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append(self.command)
        self.close_connection = True
        if self.server.dies:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        name = self.server.name.encode()
        if key := self.headers.get("sec-websocket-key"):
            self.send_response(101)
            for header in ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_key(key)}"):
                self.send_header(*header.split(": "))
            self.end_headers()
            self.wfile.write(bytes([0x81, len(name)]) + name)  # one frame of text
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names of http.server

    def log_message(self, *_) -> None:
        pass


def trusting() -> ssl.SSLContext:
    """Takes the certificate that was made for the test."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    made = Nginx(tmp_path_factory.mktemp("nginx"))
    made.to = [free_port(), free_port()]
    try:
        yield made.start(for_several(), to=made.to)
    finally:
        made.stop()


@pytest.fixture
def processes(proxy):
    """Two processes by name, as they are now; a test may kill them and start others."""
    made = {name: Process(name, port) for name, port in zip("12", proxy.to, strict=True)}
    yield made
    for one in made.values():
        one.kill()


@pytest.fixture
def visits(proxy):
    """Makes browsers that have not been here."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            httpx.Client(base_url=f"https://127.0.0.1:{proxy.port}", verify=False, trust_env=False, timeout=60)
        )


def test_a_browser_stays_with_the_process_that_served_it_first(processes, visits) -> None:
    first = [(browser := visits(), browser.get("/").text) for _ in range(4)]
    assert sorted(name for _, name in first) == ["1", "1", "2", "2"], "browsers are spread"
    for browser, name in first:
        assert {browser.get("/library").text for _ in range(5)} == {name}
        assert browser.post("/project/file", content=b"a").text == name
    cookie = visits().get("/").headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Max-Age=43200"} <= set(cookie.split("; "))


def test_a_cookie_that_names_no_process_is_replaced(processes, visits) -> None:
    browser = visits()
    reply = browser.get("/", headers={"cookie": "served_by=evil:80"})
    assert reply.text in processes
    assert reply.cookies["served_by"] == reply.text


@pytest.mark.parametrize("name", "12")
def test_a_websocket_goes_where_the_cookie_says_and_keeps_it(processes, proxy, name) -> None:
    headers = {"cookie": f"served_by={name}"}
    with connect(
        f"wss://127.0.0.1:{proxy.port}/ws/socket.io/", ssl=trusting(), additional_headers=headers, close_timeout=0
    ) as joined:
        assert joined.recv(timeout=30) == name
        assert joined.response.headers["set-cookie"].startswith(f"served_by={name};")


def test_if_its_process_is_down_a_browser_goes_to_the_other_and_stays_there(processes, proxy, visits) -> None:
    browser = visits()
    was = browser.get("/").text
    other = {"1": "2", "2": "1"}[was]
    processes[was].kill()
    assert browser.post("/library/tag", json={}).text == other, "nobody had got it, so even a POST may go there"
    assert {browser.get("/").text for _ in range(3)} == {other}
    processes[was] = Process(was, proxy.to[int(was) - 1])
    assert {browser.get("/").text for _ in range(5)} == {other}
    newcomers = {visits().get("/").text for _ in range(4)}
    assert newcomers == {"1", "2"}, "those who come now are spread over both"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_if_it_dies_in_the_middle_only_what_may_be_repeated_is(processes, visits, method) -> None:
    browser = visits()
    was = browser.get("/").text
    other = {"1": "2", "2": "1"}[was]
    processes[was].dies = True
    reply = browser.request(method, "/library/papers", content=b"" if method == "GET" else b"{}")
    assert processes[was].asked == ["GET", method]
    if method == "GET":
        assert (reply.text, processes[other].asked) == (other, ["GET"])
    else:
        assert (reply.status_code, processes[other].asked) == (502, [])
        assert reply.json()["detail"].startswith("Scholion did not answer.")


def test_a_put_may_come_twice(processes, proxy) -> None:
    """As nginx has it: once if its body came after the headers, else also to the other process."""
    for together in (False, True):
        for one in processes.values():
            one.dies, one.asked = True, []
        with socket.create_connection(("127.0.0.1", proxy.port)) as raw, trusting().wrap_socket(raw) as secure:
            head = b"PUT /feedback HTTP/1.1\r\nHost: a\r\nCookie: served_by=1\r\nContent-Length: 2\r\n\r\n"
            secure.sendall(head + b"{}" if together else head)
            if not together:
                time.sleep(0.2)
                secure.sendall(b"{}")
            assert b"502" in secure.recv(100)
        assert [one.asked for one in processes.values()] == [["PUT"], ["PUT"] if together else []]


def test_if_all_are_down_a_page_gets_a_sentence(proxy, visits) -> None:
    reply = visits().get("/library/papers")
    assert (reply.status_code, reply.json()["detail"][:24]) == (502, "Scholion did not answer.")


def test_the_limits_are_those_of_one_process(processes, proxy) -> None:
    for path, size, wanted in (("/feedback", 18, 413), ("/project/file", 18, 100), ("/library/file/x/0", 202, 413)):
        raw = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=trusting(), timeout=30)
        raw.putrequest("POST", path)
        raw.putheader("Content-Length", str(size * 1024 * 1024))
        raw.putheader("Expect", "100-continue")
        raw.endheaders()  # its body is never sent
        line = raw.sock.recv(100).split(b" ")
        assert int(line[1]) == wanted, path
        raw.close()
