"""The question before something leaves, in a real browser: nothing before it, exactly what was shown after it."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from conftest import PATIENCE, ROOT, Server, unfold
from listener import GOOD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

HARD = 'Is ``` 1 < 2 *really* so? :joy: [a](http://evil.example) $x$ π \\ "quoted" \u202e end'


class ConsentServer(Server):
    def start(self, patience: float = PATIENCE / 1000) -> float:
        real = subprocess.Popen

        def instead(command, **more):
            return real([sys.executable, str(Path(__file__).with_name("consent_server.py")), *command[3:]], **more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(subprocess, "Popen", instead)
            return super().start(patience)


@pytest.fixture(scope="module")
def far():
    """A model elsewhere: every body that arrived."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.wfile.write(GOOD)
            self.close_connection = True

        def log_message(self, *_):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
    made.bodies = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def asking(tmp_path_factory, far):
    started = ConsentServer(tmp_path_factory.mktemp("consent"))
    started.settings |= {"SCHOLION_TEST_EXPERT": f"http://127.0.0.2:{far.server_port}/v1"}
    started.start()
    yield started
    started.stop()


def ask(page, text):
    page.fill("#chat-input", text)
    page.click("#chat-submit:not([disabled])")


def button(page, label):
    return page.get_by_role("button", name=label, exact=True)


def test_the_payload_is_shown_whole_and_exactly_that_is_sent(open_page, asking, far, shot):
    page, before = open_page(server=asking), len(far.bodies)
    ask(page, HARD)
    button(page, "Send once").wait_for()
    text = page.locator(".message-content", has_text="May this leave your machine?").inner_text()
    assert "127.0.0.2" in text
    assert "beyond your network" in text
    assert "large-model" in text
    assert "unknown" in text
    assert "Not encrypted" in text
    shot(page, "consent")
    block = page.locator("pre code, pre").filter(has_text='"messages"').first
    unfold(page.get_by_role("button", name=re.compile("what would be sent")), block)
    shown = block.text_content()
    shot(page, "consent-payload")
    assert len(far.bodies) == before, "nothing before consent"
    button(page, "Send once").click()
    page.get_by_text("The larger model says: Paris").wait_for()
    assert far.bodies[before:] == [shown.strip("\n").encode()]
    assert '"model": "large-model"' in shown
    page.get_by_text("You allowed this to be sent once.").wait_for()
    button(page, "Send once").wait_for(state="detached")
    assert page.locator("a[href*='evil']").count() == 0
    assert page.outside == []


def test_for_this_chat_asks_once_and_a_new_page_or_an_old_chat_sends_nothing(open_page, asking, far):
    page, before = open_page(server=asking), len(far.bodies)
    ask(page, "First?")
    button(page, "For this chat").click()
    page.get_by_text("The larger model says: Paris").first.wait_for()
    ask(page, "Second?")
    page.get_by_text("The larger model says: Paris").nth(1).wait_for()
    assert len(far.bodies) == before + 2
    page.goto(f"{asking.url}/thread/{re.search('thread/([0-9a-f-]+)', page.url)[1]}")
    page.get_by_text("You allowed sending to this model").wait_for()
    time.sleep(1)
    assert button(page, "For this chat").count() == button(page, "Send once").count() == 0
    assert len(far.bodies) == before + 2, "a chat that is opened again sends nothing"
    other = open_page(server=asking)
    ask(other, "Third?")
    button(other, "Send once").wait_for()
    assert len(far.bodies) == before + 2, "another chat asks anew"


def test_not_now_and_never_send_nothing(open_page, asking, far, shot):
    page, before = open_page(server=asking), len(far.bodies)
    ask(page, "Sent?")
    button(page, "Not now").click()
    page.get_by_text("Nothing was sent.", exact=True).wait_for()
    shot(page, "consent-not-now")
    ask(page, "And now?")
    button(page, "Never in this chat").click()
    page.get_by_text("Nothing was sent, and nothing will be sent in this chat.").wait_for()
    ask(page, "And now again?")
    page.get_by_text("You chose to keep everything in this chat on this machine.").wait_for()
    assert len(far.bodies) == before


def test_the_server_is_the_real_one_with_one_handler_changed(asking):
    assert urlopen(f"{asking.url}/healthz", timeout=60).status == 200
    assert (ROOT / "tests/browser/consent_server.py").is_file()
