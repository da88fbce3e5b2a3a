"""Open WebUI as a client of the API: a real one, from its package, in an environment of its own, in a real browser.

Only the drafter is a stub, so that its words and its pace are known. OPEN_WEBUI names the program
(docs/open-webui.md says how to install it). It starts with the settings of that page, which keep it from other hosts:
without them, 0.12.4 asks huggingface.co for an embedding model when it starts, and api.github.com for a newer version
when its page opens.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from conftest import PATIENCE, with_samples
from paced_engine import paced
from places import ROOT
from ui.api.keys import ApiKeys
from waiting import until

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

PROGRAM = shutil.which(os.environ.get("OPEN_WEBUI", ""))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROGRAM is None, reason="OPEN_WEBUI names no program `open-webui` (docs/open-webui.md)"),
]

ADAPTER = "How large is the rank-16 adapter on all seven matrices?"
DRAFT = "The adapter's file takes 83.9 MB [1]."
CITED = "83.9 MB"
ADVISED = dict(
    setting.split("=", 1)
    for line in re.findall(r"^ *export (.+)$", (ROOT / "docs/open-webui.md").read_text(encoding="utf-8"), re.MULTILINE)
    for setting in line.split()
)
HOOK = """
import json, os, sys

def heard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["CONTACTED"], "a") as file:
            file.write(json.dumps(str(arguments[0 if event == "socket.getaddrinfo" else 1])) + "\\n")

sys.addaudithook(heard)
"""
"""A sitecustomize: Python tells of each address that Open WebUI looks up or connects to."""


class OpenWebUI:
    """One that has nothing yet but our address and a key."""

    def __init__(self, folder: Path, *, api: str, key: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log, self._contacted = folder / "open-webui.log", folder / "contacted"
        (folder / "hook").mkdir()
        (folder / "hook" / "sitecustomize.py").write_text(HOOK)
        named = {
            "DATA_DIR": str(folder / "data"),
            "WEBUI_AUTH": "false",
            "WEBUI_SECRET_KEY": "for this test",
            "OPENAI_API_BASE_URL": api,
            "OPENAI_API_KEY": key,
            "PYTHONPATH": str(folder / "hook"),
            "CONTACTED": str(self._contacted),
        }
        inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=folder,
                env=inherited | ADVISED | named,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/health", trust_env=False, timeout=10).is_success
        except httpx.HTTPError:
            return False

    def contacted(self) -> list[str]:
        """Every address and name, once."""
        return sorted({json.loads(line) for line in self._contacted.read_text().splitlines()})

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def drafter():
    with paced(DRAFT, pace=0.05) as engine:
        yield engine


@pytest.fixture(scope="module")
def scholion(tmp_path_factory, sample_library, drafter):
    made = with_samples(tmp_path_factory.mktemp("scholion"), sample_library)
    made.settings |= {"SCHOLION_DRAFTER": drafter.setting, "SCHOLION_ANSWERS": "written"}
    yield made
    made.stop()


@pytest.fixture(scope="module")
def open_webui(tmp_path_factory, scholion):
    key = ApiKeys(scholion.library).make("Open WebUI")
    made = OpenWebUI(tmp_path_factory.mktemp("open-webui"), api=f"{scholion.url}/v1", key=key)
    scholion.start()
    try:
        assert until(made.is_ready), made.log.read_text()
        yield made
    finally:
        made.stop()


@pytest.fixture
def page(chromium, open_webui, scholion):
    context = chromium.new_context(locale="en-US", viewport={"width": 900, "height": 420})
    made = context.new_page()
    made.set_default_timeout(PATIENCE)
    made.outside, made.heard = [], []
    here = tuple(f"{scheme}://127.0.0.1:{open_webui.port}" for scheme in ("http", "ws"))
    made.on(
        "request", lambda request: request.url.startswith((*here, "data:", "blob:")) or made.outside.append(request.url)
    )
    made.on("websocket", lambda ws: ws.on("framereceived", lambda said: made.heard.append(str(said))))
    news = made.get_by_role("button", name="Okay, Let's Go!")
    made.add_locator_handler(news, lambda button: button.click())
    made.goto(open_webui.url)
    yield made
    context.close()


def ask(page, text: str) -> None:
    page.locator("#chat-input").click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def choose(page, model: str) -> None:
    page.click("#model-selector-model-button")
    page.locator(f"[data-value='{model}']").click()


def test_a_question_is_answered_with_links_to_the_pages_and_nothing_is_sent_elsewhere(
    page, open_webui, drafter, shot
) -> None:
    drafter.pace = 0.05
    choose(page, "scholion-draft")
    ask(page, ADAPTER)
    link = page.locator("a:has-text('[1]')")
    expect(link).to_have_count(1)
    expect(page.get_by_text(CITED)).to_be_visible()
    pieces = [said for said in page.heard if "response.output_text.delta" in said]
    assert len(pieces) >= 5, "it came as a stream"
    page.wait_for_timeout(500)
    shot(page, "open-webui")
    with page.context.expect_page() as opened:
        link.click()
    source = opened.value
    source.set_default_timeout(PATIENCE)
    expect(source.locator(".mark").first).to_be_visible()
    source.wait_for_function("document.querySelector('.sheet:has(.mark) img[src]')?.complete")
    assert source.evaluate("document.querySelector('.sheet:has(.mark) img').naturalWidth") > 400
    shot(source, "open-webui-source")
    assert page.outside == []
    contacted = open_webui.contacted()
    assert contacted
    assert not [to for to in contacted if "127.0.0.1" not in to and to != "localhost"]


def test_stop_ends_the_answer_in_scholion_too(page, drafter, shot) -> None:
    drafter.pace = 30.0
    writing, left = drafter.writing, drafter.left
    choose(page, "scholion-auto")
    ask(page, "How many hours of writing do 512 training examples take at five minutes each?")
    assert until(lambda: drafter.writing > writing)
    page.wait_for_timeout(500)
    assert drafter.left == left
    pressed = time.monotonic()
    page.get_by_role("button", name="Stop", exact=True).click()
    assert until(lambda: drafter.left > left)
    print(f"the drafter was left {time.monotonic() - pressed:.2f} s after Stop")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    shot(page, "open-webui-stopped")
    drafter.pace = 0.0
    ask(page, ADAPTER)
    expect(page.locator("a:has-text('[1]')")).to_have_count(1)
    assert page.outside == []
