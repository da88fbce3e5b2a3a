"""A real Scholion server with its own library for a test, and the browser's side of its websocket."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import socketio

from places import ROOT

PATIENCE = 300.0
"""Seconds until something that did not come is called lost."""


def app_root(folder: Path) -> Path:
    """A folder with what Chainlit expects beside `app.py`, as if it were the checkout."""
    (folder / ".chainlit").mkdir(parents=True)
    for name in ("public", "chainlit.md", ".chainlit/config.toml"):
        (folder / name).symlink_to(ROOT / name)
    for path in ROOT.glob("chainlit_*.md"):  # Chainlit follows no link out of the folder for these
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


class Served:
    """One server process with one library; several may share the checkout `root`."""

    def __init__(self, *, library: Path, root: Path) -> None:
        self.library, self.root = library, root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = library.with_name(f"{library.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.program = ROOT / "tests/support/quick_ui.py"
        self.settings: dict[str, str] = {}

    def command(self) -> list[str]:
        """What Python runs."""
        return [str(self.program)]

    def start(self, patience: float = 180.0) -> Served:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command(), "--no-browser", "--port", str(self.port)],
                cwd=ROOT,
                env=os.environ
                | {"SCHOLION_LIBRARY": str(self.library), "CHAINLIT_APP_ROOT": str(self.root)}
                | self.settings,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + patience
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)
        return self

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=30, trust_env=False).json()["name"] == "scholion"
        except (httpx.HTTPError, ValueError):
            return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(60)


class WithDraft(Served):
    """The app with its real models but for the drafter, which writes what stands in a file."""

    def __init__(self, answer: Path, *, delay: float, library: Path, root: Path) -> None:
        super().__init__(library=library, root=root)
        self.program = ROOT / "tests/browser/scripted_ui.py"
        self.settings = {"SCRIPTED_ANSWER": str(answer), "SCRIPTED_DELAY": str(delay)}


class Page:
    """A stand-in for the browser: it signs in, opens a websocket with a session name, and uploads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, timeout=200, trust_env=False)
        self.socket = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[str, Any]] = []
        self.socket.on("*", lambda event, *data: self.heard.append((event, data[0] if data else None)))

    async def sign_in(self) -> Page:
        (await self.http.post("/auth/header")).raise_for_status()
        return self

    async def connect(self, session: Any, **more: Any) -> None:
        """Open the websocket.

        Raises:
            socketio.exceptions.ConnectionError: the server refused it.
        """
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        auth = {"sessionId": session, "clientType": "webapp", "threadId": "", "userEnv": "{}", "chatProfile": ""}
        await self.socket.connect(
            self.url,
            headers={"Cookie": cookies},
            auth=auth | more,
            socketio_path="/ws/socket.io",
            transports=["websocket"],
        )

    async def upload(self, session: Any, content: bytes = b"%PDF-1.7 a file") -> httpx.Response:
        return await self.http.post(
            "/project/file", params={"session_id": session}, files={"file": ("a.pdf", content, "application/pdf")}
        )

    async def clear(self) -> None:
        """Clear the session, as "New chat" does, and disconnect."""
        await self.socket.call("clear_session", timeout=60)
        await self.socket.disconnect()

    async def close(self) -> None:
        await self.socket.disconnect()
        await self.http.aclose()


async def heard(page: Page, wanted: re.Pattern[str], since: int, *, within: float = PATIENCE) -> bool:
    """Wait until an event after the first `since` matches; False if none comes in time."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if any(wanted.search(str(said)) for _, said in page.heard[since:]):
            return True
        await asyncio.sleep(0.02)
    return False


async def send(page: Page, text: str, files: tuple[str, ...] = ()) -> int:
    """Send a message; returns how many events had come before."""
    before = len(page.heard)
    message = {"id": new_id(), "name": "You", "type": "user_message", "output": text, "createdAt": utc_now()}
    await page.socket.emit("client_message", {"message": message, "fileReferences": [{"id": one} for one in files]})
    return before


def utc_now() -> str:
    """The time as the page writes it."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat() + "Z"


def new_id() -> str:
    return str(uuid.uuid4())
