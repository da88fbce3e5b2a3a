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

from places import ROOT
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
    assert f"already running: http://127.0.0.1:{port}" in done.stdout


def test_the_address_of_the_instance_that_serves_the_library_is_told_whatever_port_was_asked_for(
    tmp_path, health, monkeypatch, capsys
) -> None:
    from ingest import IngestSettings, open_library
    from ui import core

    port, say = health
    settings = IngestSettings(library=tmp_path / "library")
    with open_library(settings) as owner, open_library(settings) as ours:
        owner.own(url=f"http://127.0.0.1:{port}", key="k")
        say({"name": "scholion", "library": str(owner.folder)})
        monkeypatch.setattr(core, "settings", lambda: settings)
        monkeypatch.setattr(core, "library", lambda: ours)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            other = free.getsockname()[1]
        assert launcher.main(["--no-browser", "--port", str(other)]) == 0
        assert f"already running: http://127.0.0.1:{port}\n" in capsys.readouterr().out
        say({"library": "another"})  # that port is another library's now, and the owner has not come up yet
        monkeypatch.setattr(launcher, "STARTING_SECONDS", 0.5)
        assert launcher.main(["--no-browser", "--port", str(other)]) == 1
        assert f"is already starting at http://127.0.0.1:{port}" in capsys.readouterr().err


def test_an_instance_that_is_still_starting_is_waited_for(tmp_path, health, monkeypatch, capsys) -> None:
    from ingest import IngestSettings, open_library
    from ui import core

    port, say = health
    settings = IngestSettings(library=tmp_path / "library")
    with open_library(settings) as owner, open_library(settings) as ours:
        owner.own(url=f"http://127.0.0.1:{port}", key="k")
        monkeypatch.setattr(core, "settings", lambda: settings)
        monkeypatch.setattr(core, "library", lambda: ours)
        answers = threading.Timer(1.0, say, [{"name": "scholion", "library": str(owner.folder)}])
        answers.start()
        assert launcher.main(["--no-browser", "--port", "18471"]) == 0
        answers.join()
    told = capsys.readouterr()
    assert f"already starting at http://127.0.0.1:{port}" in told.out
    assert f"already running: http://127.0.0.1:{port}" in told.out
    assert not told.err


def test_chainlit_is_not_imported_before_its_variables_are_ours() -> None:
    """It reads the name of its cookie and its `.env` when it is imported."""
    code = "import sys; import ui.web.names; from ui import __main__, core, start; sys.exit('chainlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_an_instance_of_another_library_at_our_port_is_not_announced_as_ours(tmp_path, health, capsys) -> None:
    port, say = health
    say({"name": "scholion", "library": "another"})
    told = threading.Event()
    thread = threading.Thread(
        target=launcher._announce,
        args=(f"http://127.0.0.1:{port}", tmp_path, told, None),
        daemon=True,
    )
    thread.start()
    assert not told.wait(1)
    assert capsys.readouterr().out == ""
    say({"library": str(tmp_path)})
    assert told.wait(PATIENCE)
    thread.join(PATIENCE)
    assert f"Scholion is at http://127.0.0.1:{port}" in capsys.readouterr().out


def test_a_port_that_was_taken_meanwhile_is_a_sentence(tmp_path, monkeypatch, capsys) -> None:
    import chainlit.cli

    from ingest import IngestSettings, open_library
    from ui import core

    settings = IngestSettings(library=tmp_path / "library")
    with open_library(settings) as library:
        monkeypatch.setattr(core, "settings", lambda: settings)
        monkeypatch.setattr(core, "library", lambda: library)
        monkeypatch.setattr(launcher, "_add_samples", lambda: None)
        monkeypatch.setattr(launcher, "_announce", lambda *_, **__: None)
        monkeypatch.setattr(launcher, "_quiet", lambda: None)
        monkeypatch.setattr(os, "environ", dict(os.environ))
        monkeypatch.setattr(chainlit.cli, "run_chainlit", lambda _: sys.exit(1))  # as uvicorn ends then
        assert launcher.main(["--no-browser", "--port", "18461"]) == 1
    assert "has just taken port" in capsys.readouterr().err


def test_the_launcher_imports_neither_chainlit_nor_torch() -> None:
    code = "import sys, ui.__main__; print([m for m in ('torch', 'chainlit', 'chromadb') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
