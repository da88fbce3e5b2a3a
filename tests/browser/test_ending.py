"""Ctrl+C and SIGTERM while somebody waits: the process ends soon, and what the page showed is kept."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_browser import ADAPTER, ANSWER, FOOTER, LONG, in_mid_answer, say
from test_modes import there  # noqa: F401 - a fixture

from places import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SOON = 15
"""Seconds: five are promised, by the bounds that tests/ui/test_ending.py adds up; this machine may be busy."""
POOR = "The adapter takes 999 MB and was invented in Paris."


@pytest.fixture
def drafting_poorly(other_server, there, tmp_path):  # noqa: F811 - the fixture
    """A server whose drafts are foreseen, and whose larger model is elsewhere."""
    draft = tmp_path / "draft.md"
    draft.write_text(POOR)
    other_server.program = [str(Path(__file__).with_name("scripted_ui.py"))]
    other_server.settings |= {"SCRIPTED_ANSWER": str(draft)}
    other_server.start()
    return other_server


def ended(server, how: int) -> float:
    """Seconds until the process was gone."""
    model, began = server.model_pid(), time.monotonic()
    server.process.send_signal(how)
    server.process.wait(SOON)
    seconds = time.monotonic() - began
    while Path(f"/proc/{model}").exists():
        assert time.monotonic() - began < SOON, "the model's process stayed"
        time.sleep(0.1)
    return seconds


def kept(server) -> list[tuple[str, str]]:
    """The messages of the chats that the page would list; checks that the library and the history are whole."""
    environment = os.environ | {"SCHOLION_LIBRARY": str(server.library)}
    verified = subprocess.run(
        [sys.executable, "-m", "ingest", "verify"], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    with sqlite3.connect(server.library / "chats.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute(
            """SELECT s."type", s."output" FROM steps s JOIN threads t ON t."id" = s."threadId"
            WHERE t."userIdentifier" = 'local' AND s."type" LIKE '%message' ORDER BY s."start"
            """
        ).fetchall()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_while_consent_is_asked_for_in_refine_mode(open_page, drafting_poorly, how) -> None:
    page = open_page(server=drafting_poorly)
    page.click("#mode-picker-trigger-answer")
    page.locator("#mode-picker-popover-answer").get_by_text("Refine", exact=True).click()
    say(page, ADAPTER)
    page.wait_for_selector("text=May this leave your machine?")
    print("ended after", ended(drafting_poorly, how))
    asked, *rest = kept(drafting_poorly)
    assert asked == ("user_message", ADAPTER)
    texts = [text for _, text in rest]
    assert any(POOR in text and "(stopped)" in text for text in texts), texts
    assert any("Nothing was sent" in text for text in texts), texts


def test_while_consent_is_asked_for_by_the_button(open_page, drafting_poorly) -> None:
    page = open_page(server=drafting_poorly)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    page.click("button:has-text('Refine this answer')")  # a request over HTTP, open until it is answered
    page.wait_for_selector("text=May this leave your machine?")
    print("ended after", ended(drafting_poorly, signal.SIGTERM))
    asked, drafted, *rest = kept(drafting_poorly)
    assert asked == ("user_message", ADAPTER)
    assert "999 MB" in drafted[1]
    assert any("Nothing was sent" in text for _, text in rest), rest


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_while_an_answer_is_written_and_its_model_hangs(open_page, other_server, how) -> None:
    other_server.settings = {"SCHOLION_DRAFTER_SENTENCES": "0", "SCHOLION_MAX_OUTPUT_TOKENS": "1000"}
    other_server.start()
    page = open_page(server=other_server)
    in_mid_answer(page, other_server, LONG, signal.SIGSTOP)
    page.wait_for_timeout(1000)
    shown = re.findall(r"\w+", page.locator(ANSWER).last.inner_text())
    print("ended after", ended(other_server, how))
    messages = kept(other_server)
    assert {text for kind, text in messages if kind == "user_message"} == {LONG}
    half = shown[: len(shown) // 2]  # the rest may hold a marker, which the page draws in another way
    answers = [re.findall(r"\w+", text) for kind, text in messages if kind == "assistant_message"]
    assert any(words[: len(half)] == half and words[-1] == "stopped" for words in answers if half), (half, answers)
