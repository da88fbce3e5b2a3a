"""A server of its own for these tests: own library, own application root, a free port; and a Chromium to drive."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from places import ROOT
from waiting import until

SHOTS = Path(__file__).parent / "shots"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 300_000
"""Milliseconds: the model writes 5 to 45 tokens a second, less when the machine is busy."""


def unfold(step, inside) -> None:
    """Open a folded step; the page loses a click that comes while it draws the step anew."""

    def is_open() -> bool:
        if step.get_attribute("data-state") == "closed":
            step.click()
        return inside.is_visible()

    assert until(is_open), "the step stays folded"


class Server:
    """`python -m ui` as a user starts it."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "library"
        self.root = folder / "root"
        (self.root / ".chainlit").mkdir(parents=True)
        for name in ("public", "chainlit.md", ".chainlit/config.toml"):
            (self.root / name).symlink_to(ROOT / name)
        for path in ROOT.glob("chainlit_*.md"):  # Chainlit follows no link out of the folder for these
            (self.root / path.name).write_bytes(path.read_bytes())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.settings = {"SCHOLION_MAX_OUTPUT_TOKENS": "48", "SCHOLION_TIMEOUT_SECONDS": "280"}
        self.program = ["-m", "ui"]

    def start(self, patience: float = PATIENCE / 1000) -> float:
        """Seconds until the page answers."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "--no-browser", "--port", str(self.port)],
                cwd=ROOT,
                env=os.environ
                | {"SCHOLION_LIBRARY": str(self.library), "CHAINLIT_APP_ROOT": str(self.root)}
                | self.settings,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while time.monotonic() - began < patience:
            assert self.process.poll() is None, self.log.read_text()
            try:
                urlopen(f"{self.url}/healthz", timeout=10).close()
            except OSError:
                time.sleep(0.1)
            else:
                return time.monotonic() - began
        raise TimeoutError(self.log.read_text())

    def model_pid(self, patience: float = 120.0) -> int:
        """The process that runs the drafter; it is started in the background."""
        began = time.monotonic()
        while time.monotonic() - began < patience:
            for line in subprocess.check_output(["ps", "-eo", "pid,ppid,args"], text=True).splitlines()[1:]:
                pid, parent, *args = line.split()
                if self.process and int(parent) == self.process.pid and "rag.models.local" in args:
                    return int(pid)
            time.sleep(0.3)
        raise LookupError("the drafter is not running")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def with_samples(folder: Path, samples: Path) -> Server:
    """One with a library of its own that has the sample papers; it is not started yet."""
    made = Server(folder)
    shutil.copytree(samples, made.library)
    return made


def new_page(chromium, server: Server, **options):
    """Scholion in a fresh profile; `page.outside` has every request to another host, `page.opened` every page load."""
    options = {"locale": "en-US", "viewport": {"width": 1280, "height": 860}} | options
    page = chromium.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE)
    page.outside, page.opened = [], []
    local = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda request: request.url.startswith(local) or page.outside.append(request.url))
    page.on("request", lambda request: request.is_navigation_request() and page.opened.append(request.url))
    page.goto(server.url)
    page.wait_for_selector("#mode-picker-trigger-answer")  # sent by on_chat_start: the socket is up
    return page


def stored_answers(server: Server, *, chat: str = "%") -> list[str]:
    """The ids of the answers that the server has stored whole, of one chat or of all, the oldest first."""
    database = sqlite3.connect(server.library / "chats.db", timeout=60)
    rows = database.execute(
        "select id, metadata from steps where type = 'assistant_message' and threadId like ? order by createdAt",
        (chat,),
    ).fetchall()
    database.close()
    return [step for step, metadata in rows if "question" in json.loads(metadata or "{}")]


def answered_chat(chromium, server: Server, question: str) -> str:
    """The id of a chat with one answer, which is stored."""
    page = new_page(chromium, server)
    page.fill("#chat-input", question)
    page.click("#chat-submit:not([disabled])")
    page.wait_for_selector("h6:has-text('stayed on this machine')")
    page.wait_for_url(re.compile("/thread/"))
    chat = page.url.rpartition("/")[2]
    page.context.close()
    assert until(lambda: stored_answers(server, chat=chat))
    return chat


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium here: `apt-get install chromium` (tests/setup-system.sh)")
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE)  # instead of five seconds
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sample_library(tmp_path_factory):
    """The library that a first start fills with the sample papers, to be copied: they are read and embedded once."""
    first = Server(tmp_path_factory.mktemp("first"))
    first.start()
    first.stop()
    return first.library


@pytest.fixture(scope="session")
def server(tmp_path_factory, sample_library):
    started = with_samples(tmp_path_factory.mktemp("scholion"), sample_library)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def other_server(tmp_path, sample_library):
    """A second one, for tests that stop, kill or fill it."""
    started = with_samples(tmp_path, sample_library)
    yield started
    started.stop()


@pytest.fixture
def open_page(chromium, request):
    """A function that opens Scholion in a fresh profile, as `new_page` does."""
    pages = []

    def opened(*, server=None, **options):
        pages.append(new_page(chromium, server or request.getfixturevalue("server"), **options))
        return pages[-1]

    yield opened
    for page in pages:
        page.context.close()


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def shot():
    """Keep a screenshot under its name, for a person to look at."""
    SHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SHOTS / f"{name}.png")
