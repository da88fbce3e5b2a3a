"""Ctrl+C and SIGTERM while somebody waits: the process ends soon, and what the page showed is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_browser import ADAPTER, ANSWER, FOOTER, say
from test_modes import settings_of, there  # noqa: F401 - a fixture

from places import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SOON = 15
"""Seconds: five are promised, by the bounds that tests/ui/test_ending.py adds up; this machine may be busy."""
POOR = "The adapter takes 999 MB and was invented in Paris."


@pytest.fixture
def drafting_poorly(other_server, there, tmp_path):  # noqa: F811 - the fixture
    """A server whose drafts are foreseen, and whose larger model is elsewhere."""
    other_server.settings |= settings_of(there)
    return drafting(other_server, POOR, tmp_path)


def drafting(server, text: str, folder: Path, *, delay: float = 0.0):
    draft = folder / "draft.md"
    draft.write_text(text)
    server.program = [str(Path(__file__).with_name("scripted_ui.py"))]
    server.settings |= {"SCRIPTED_ANSWER": str(draft), "SCRIPTED_DELAY": str(delay), "SCHOLION_ANSWERS": "written"}
    server.settings |= {"SCHOLION_MAX_OUTPUT_TOKENS": "500"}
    server.start()
    return server


def model_of(server) -> int | None:
    """The model's process; None if a very busy machine did not get it loaded in time."""
    try:
        return server.model_pid(patience=20)
    except LookupError:
        return None


def ended(server, how: int, *, model: int | None) -> float:
    """Seconds until the process was gone; its model's process goes with it."""
    began = time.monotonic()
    server.process.send_signal(how)
    server.process.wait(SOON)
    seconds = time.monotonic() - began
    while model and Path(f"/proc/{model}").exists():
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
    model = model_of(drafting_poorly)
    page.click("#mode-picker-trigger-answer")
    page.locator("#mode-picker-popover-answer").get_by_text("Refine", exact=True).click()
    say(page, ADAPTER)
    page.wait_for_selector("text=May this leave your machine?")
    print("ended after", ended(drafting_poorly, how, model=model))
    asked, *rest = kept(drafting_poorly)
    assert asked == ("user_message", ADAPTER)
    texts = [text for _, text in rest]
    assert any(POOR in text and "(stopped)" in text for text in texts), texts
    assert any("Nothing was sent" in text for text in texts), texts


def test_while_consent_is_asked_for_by_the_button(open_page, drafting_poorly) -> None:
    page = open_page(server=drafting_poorly)
    model = model_of(drafting_poorly)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    shown = page.locator(f"{ANSWER} blockquote").inner_text()  # nothing of the draft holds
    page.click("button:has-text('Refine this answer')")  # a request over HTTP, open until it is answered
    page.wait_for_selector("text=May this leave your machine?")
    print("ended after", ended(drafting_poorly, signal.SIGTERM, model=model))
    asked, drafted, *rest = kept(drafting_poorly)
    assert asked == ("user_message", ADAPTER)
    assert "16 bits each" in drafted[1]
    assert "16 bits each" in shown
    assert any("Nothing was sent" in text for _, text in rest), rest


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_while_an_answer_is_written_and_a_model_hangs(open_page, other_server, how, tmp_path) -> None:
    words = [f"word{n}" for n in range(500)]
    server = drafting(other_server, " ".join(words), tmp_path, delay=0.5)  # minutes, however fast the machine
    page = open_page(server=server)
    model = model_of(server)
    say(page, ADAPTER)
    page.get_by_text("word3").wait_for()
    if model:
        with contextlib.suppress(ProcessLookupError):
            os.kill(model, signal.SIGSTOP)
    print("ended after", ended(server, how, model=model))
    (asked, answered) = kept(server)
    assert asked == ("user_message", ADAPTER)
    text, stopped, sources = answered[1].partition("*(stopped)*")
    written = text.split()
    assert written[:4] == words[:4]
    assert written == words[: len(written)]
    assert stopped
    assert "Read, not checked" in sources
