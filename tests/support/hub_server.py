"""A model hub on loopback: a real HTTP server for one file, well-behaved or not."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Hub:
    """What it serves, and the requests it got."""

    content: bytes
    breaks: list[int] = field(default_factory=list)
    """After how many bytes of the body to break the connection, one per request; then no more."""
    ranges: bool = True
    """Whether it honours Range."""
    status: int = 200
    content_type: str = "application/octet-stream"
    location: str | None = None
    """Redirect to this address."""
    says_length: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""
    url: str = ""


@contextmanager
def serving(hub: Hub, *, tls: ssl.SSLContext | None = None) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            hub.asked.append((self.path, wanted))
            self.close_connection = True
            if hub.location:
                self.send_response(302)
                self.send_header("Location", hub.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            begin, status, total = 0, hub.status, len(hub.content)
            found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
            if found and hub.ranges and status == 200:
                begin, status = int(found[1]), 206
                if begin >= total:
                    begin, status = total, 416
            self.send_response(status)
            self.send_header("Content-Type", hub.content_type)
            self.send_header("Connection", "close")
            if hub.says_length:
                self.send_header("Content-Length", str(total - begin))
            if status == 206:
                self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
            self.end_headers()
            body = hub.content[begin:]
            with suppress(OSError):  # the client has disconnected
                if hub.breaks:
                    self.wfile.write(body[: hub.breaks.pop(0)])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    hub.url = f"http{'s' if tls else ''}://localhost:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
