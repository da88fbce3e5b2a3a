"""A stub of a model's server that writes one text at a pace which a test may change, and notices whoever leaves.

python tests/support/paced_engine.py PACE TEXT    # as a process of its own; prints its setting
"""

from __future__ import annotations

import json
import select
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from stub_server import DONE, data, delta

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "paced"


class PacedEngine(ThreadingHTTPServer):
    """Its `setting` names it as the drafter."""

    daemon_threads = True

    def __init__(self, text: str, *, pace: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text, self.pace = text, pace
        self.setting = f"http://127.0.0.1:{self.server_port}/v1#{MODEL}"
        self.writing = 0
        """Answers that it has begun to write."""
        self.left = 0
        """Readers that left before the end."""


class _Handler(BaseHTTPRequestHandler):
    server: PacedEngine

    def do_GET(self) -> None:
        self._reply(json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if not self.path.endswith("/chat/completions"):
            self._reply(b"{}", status=404)
            return
        self.server.writing += 1
        words = self.server.text.split()
        try:
            self._head("text/event-stream")
            for word in words:
                self.wfile.write(delta(f"{word} "))
                if select.select([self.connection], [], [], self.server.pace)[0]:  # it is closed at the other end
                    raise ConnectionResetError
            used = {"prompt_tokens": 20, "completion_tokens": len(words), "total_tokens": 20 + len(words)}
            self.wfile.write(delta("", "stop") + data({"id": "1", "choices": [], "model": MODEL, "usage": used}) + DONE)
        except ConnectionError:
            self.server.left += 1

    def _reply(self, body: bytes, *, status: int = 200) -> None:
        self._head("application/json", status=status)
        self.wfile.write(body)

    def _head(self, kind: str, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def paced(text: str, *, pace: float = 0.0) -> Iterator[PacedEngine]:
    """A running one."""
    engine = PacedEngine(text, pace=pace)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    try:
        yield engine
    finally:
        engine.shutdown()
        engine.server_close()


if __name__ == "__main__":
    pace, words = sys.argv[1:]
    with paced(words, pace=float(pace)) as running:
        print(running.setting, flush=True)
        sys.stdin.read()  # until whoever started it ends
