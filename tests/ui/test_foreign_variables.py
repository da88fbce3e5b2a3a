"""The real app, started with the variables of many other programs: they neither stop, redirect nor open it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from trap import Trap

ROOT = __file__.rpartition("/tests/")[0]

PROGRAM = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)

def note(event, arguments):
    if event == "socket.connect":
        log.write(f"connect {arguments[1]}\\n")
    elif event == "socket.getaddrinfo":
        log.write(f"look up {arguments[0]}\\n")
    elif event == "socket.bind":
        log.write(f"bind {arguments[1]}\\n")

sys.addaudithook(note)
import ui.__main__ as launcher
launcher._add_samples = lambda: None
sys.exit(launcher.main(sys.argv[1:]))
"""


def variables(trap: str, folder: str) -> dict[str, str]:
    """What a shell may have set for other programs; whatever is an address leads to the trap."""
    return {
        "DISCORD_BOT_TOKEN": "x",
        "SLACK_BOT_TOKEN": "xoxb-x", "SLACK_SIGNING_SECRET": "x", "SLACK_WEBSOCKET_TOKEN": "xapp-x",
        "TEAMS_APP_ID": "x", "TEAMS_APP_PASSWORD": "x",
        "CHAINLIT_URL": trap, "CHAINLIT_ROOT_PATH": "/elsewhere", "CHAINLIT_PARENT_ROOT_PATH": "/parent",
        "CHAINLIT_HOST": "0.0.0.0", "CHAINLIT_PORT": "1", "CHAINLIT_APP_ROOT": folder, "CHAINLIT_DEBUG": "1",
        "CHAINLIT_AUTH_SECRET": "known-to-others", "CHAINLIT_AUTH_COOKIE_NAME": "theirs",
        "CHAINLIT_AUTH_COOKIE_PATH": "/elsewhere", "CHAINLIT_COOKIE_SAMESITE": "none", "CHAINLIT_CUSTOM_AUTH": "1",
        "CHAINLIT_SSL_CERT": "/nowhere", "CHAINLIT_SSL_KEY": "/nowhere", "CHAINLIT_STATE_COOKIE_LIFETIME": "long",
        "OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": trap, "OPENAI_CUSTOM_HEADERS": "X: y", "OPENAI_LOG": "debug",
        "HTTP_PROXY": trap, "HTTPS_PROXY": trap, "ALL_PROXY": "socks5://127.0.0.1:9", "http_proxy": trap,
        "LITERAL_API_KEY": "x", "LITERAL_API_URL": trap,
        "LANGFUSE_HOST": trap, "LANGFUSE_PUBLIC_KEY": "x", "LANGFUSE_SECRET_KEY": "x",
        "DATABASE_URL": trap.replace("http", "postgresql"),
        "UVICORN_WS_PROTOCOL": "none", "FORWARDED_ALLOW_IPS": "*", "WEB_CONCURRENCY": "4",
        "CHROMA_API_IMPL": "chromadb.api.fastapi.FastAPI", "CHROMA_SERVER_HOST": "127.0.0.1",
        "CHROMA_CLIENT_AUTH_PROVIDER": "antigravity.Nothing", "CHROMA_OTEL_COLLECTION_ENDPOINT": trap,
        "IS_PERSISTENT": "perhaps", "MIGRATIONS": "alembic", "ANONYMIZED_TELEMETRY": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": trap, "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": trap, "HF_TOKEN": "hf_x",
        "SSL_CERT_FILE": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere", "SSLKEYLOGFILE": f"{folder}/keys",
    }  # fmt: skip


@contextmanager
def running(tmp_path, *, theirs: dict[str, str]):
    """The app in a process of its own; yields (port, what it did with sockets)."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = tmp_path / "here"
    here.mkdir()
    (here / ".env").write_text("".join(f"{name}={value}\n" for name, value in theirs.items()))
    log, output = tmp_path / "sockets.log", tmp_path / "output"
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with output.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(log), "--no-browser", "--port", str(port)],
            cwd=here,  # where Chainlit looks for a file .env
            env=clean | theirs | {"SCHOLION_LIBRARY": str(tmp_path / "library"), "PYTHONPATH": ROOT},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 240
        while True:
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < end, output.read_text()
            try:
                if ask(port, "GET", "/healthz")[0] == 200:
                    break
            except OSError:
                time.sleep(0.2)
        yield port, log
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in output.read_text()


def model_of(port: int) -> int:
    """The process id of the app's model, once there is one."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        for line in subprocess.check_output(["ps", "-eo", "pid,ppid,args"], text=True).splitlines()[1:]:
            pid, parent, command = line.split(maxsplit=2)
            if "-m rag.models.local" in command and str(port) in Path(f"/proc/{parent}/cmdline").read_text():
                return int(pid)
        time.sleep(0.2)
    raise AssertionError("no model was started")


def values(*, of: int) -> list[bytes]:
    """What the variables of a process hold."""
    return [line.partition(b"=")[2] for line in Path(f"/proc/{of}/environ").read_bytes().split(b"\0")]


def ask(port: int, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


@pytest.mark.skipif(os.name != "posix", reason="stops the app with a signal")
def test_variables_of_other_programs_neither_stop_redirect_nor_open_the_app(tmp_path) -> None:
    theirs_root = tmp_path / "root"
    theirs_root.mkdir()
    with Trap() as trap, running(tmp_path, theirs=variables(trap.url, str(theirs_root))) as (port, log):
        status, headers, _ = ask(port, "POST", "/auth/header")
        assert status == 200
        name, _, rest = headers["set-cookie"].partition("=")
        assert name == f"scholion_{port}"
        assert "Path=/;" in f"{rest};"
        assert "samesite=lax" in rest.lower()
        status, _, page = ask(port, "GET", "/")
        assert status == 200
        assert b"/elsewhere" not in page
        assert json.loads(ask(port, "GET", "/auth/config")[2])["headerAuth"] is True
        assert ask(port, "POST", "/slack/events")[0] in {404, 405}
        if sys.platform == "linux":  # only there it can be seen when the models have been loaded
            assert b"x" not in values(of=model_of(port))
        did = log.read_text().splitlines()
        assert f"bind ('127.0.0.1', {port})" in did
        elsewhere = {line for line in did if not any(here in line for here in ("127.0.0.1", "'::1'"))}
        assert elsewhere == set()
        assert trap.connections == 0
    assert list(theirs_root.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_the_app_does_not_start_on_an_address_that_others_reach(host) -> None:
    from ui.web import guard

    with pytest.raises(SystemExit, match="this machine only"):
        guard.check_host(host)
    for ours in ("127.0.0.1", "localhost", "::1"):
        guard.check_host(ours)
