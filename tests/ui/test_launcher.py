"""`python -m ui`: ports, the secret, and a second start."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from ui import __main__ as launcher
from waiting import PATIENCE


@pytest.fixture
def health():
    """A loopback server whose `/healthz` says what the test wants; yields (port, say)."""
    said: dict[str, object] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, said.update
    server.shutdown()
    server.server_close()


def test_a_port_taken_by_another_program_is_passed_over(tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        port, running = launcher._choose_port(first, library=tmp_path)
    assert port > first
    assert not running


def test_scholion_with_this_library_is_recognised(tmp_path, health) -> None:
    port, say = health
    say({"name": "scholion", "library": str(tmp_path)})
    assert launcher._choose_port(port, library=tmp_path) == (port, True)
    assert launcher._choose_port(port, library=tmp_path / "other")[1] is False
    assert launcher._choose_port(port, library=tmp_path / "other")[0] > port


def test_a_second_start_says_so_and_ends_well(tmp_path, health) -> None:
    port, say = health
    say({"name": "scholion", "library": str(tmp_path.resolve())})
    done = subprocess.run(
        [sys.executable, "-m", "ui", "--port", str(port)],
        env=os.environ | {"SCHOLION_LIBRARY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"running already: http://127.0.0.1:{port}" in done.stdout


def test_the_launcher_imports_neither_chainlit_nor_torch() -> None:
    code = "import sys, ui.__main__; print([m for m in ('torch', 'chainlit', 'chromadb') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
