"""A larger model in the browser: the button under a draft, the modes, and the draft that stays one click away."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from test_browser import ADAPTER, ANSWER, FOOTER, say

from conftest import PATIENCE, unfold, with_samples
from listener import listening
from rag.models.local import embedded_drafter

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

CHANGED = "button:has-text('the draft and what changed')"

LOOKING = f"{ANSWER} >> text=is reviewing this draft"


@pytest.fixture
def with_expert(other_server, tmp_path):
    """A second server of the same weights, under another name, is the larger model: real, but no better."""
    expert = tmp_path / "Larger-135M-Q4_1.gguf"
    expert.symlink_to(embedded_drafter())
    other_server.settings |= {"SCHOLION_EXPERT": str(expert), "SCHOLION_EXPERT_OUTPUT_TOKENS": "48"}
    other_server.settings |= {"SCHOLION_ANSWERS": "written"}
    other_server.start()
    return other_server


def test_the_button_and_the_modes_ask_the_larger_model(open_page, with_expert, shot) -> None:
    page = open_page(server=with_expert)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    button = page.locator("button:has-text('Refine this answer')")
    expect(button).to_have_count(1)
    shot(page, "refine-button")
    button.click()
    page.wait_for_selector(CHANGED)
    expect(page.locator(FOOTER)).to_have_count(2)
    expect(page.locator(FOOTER).last).to_contain_text("Larger-135M Q4_1")  # its text, or the quotation
    page.wait_for_timeout(500)
    unfold(page.locator(CHANGED), page.get_by_text("sentence by sentence"))
    page.wait_for_timeout(500)
    shot(page, "refined-changes")

    page.click("#mode-picker-trigger-answer")
    page.get_by_text("A larger model reviews every draft.").click()
    say(page, "How much memory does a KV cache take for one token?")
    page.wait_for_selector(LOOKING)
    shot(page, "refine-looking")
    page.wait_for_selector(f"{FOOTER} >> nth=2")
    expect(page.locator(f"{ANSWER} h6").last).to_contain_text("Larger-135M Q4_1")
    page.wait_for_timeout(500)
    shot(page, "refine-mode")

    page.reload()
    page.wait_for_selector(FOOTER)
    expect(page.locator(FOOTER)).to_have_count(3)
    expect(page.locator("button:has-text('Refine this answer')")).to_have_count(1)
    assert page.outside == []


def own_address() -> str | None:
    """An address of this machine that is not loopback, to stand for a machine elsewhere; None where it has none."""
    if not (hostname := shutil.which("hostname")):
        return None
    found = subprocess.run([hostname, "-I"], capture_output=True, text=True, check=False).stdout.split()
    return next((address for address in found if "." in address and not address.startswith("127.")), None)


class Elsewhere:
    """A model's server on another thread, which keeps what arrives."""

    def __init__(self, host: str) -> None:
        self._loop = asyncio.new_event_loop()
        self.listener, ready = None, threading.Event()

        async def run() -> None:
            async with listening(host=host) as self.listener:
                ready.set()
                await asyncio.Event().wait()

        threading.Thread(target=self._loop.run_until_complete, args=(run(),), daemon=True).start()
        assert ready.wait(60)


def settings_of(made: Elsewhere) -> dict[str, str]:
    """With these, a server asks it as the larger model."""
    return {"SCHOLION_EXPERT": f"{made.listener.url}#large", "SCHOLION_EXPERT_CONTEXT": "8192"}


@pytest.fixture(scope="module")
def there():
    """A larger model elsewhere."""
    host = own_address()
    if host is None:
        pytest.skip("this machine has no address beside loopback")
    return Elsewhere(host)


@pytest.fixture(scope="module")
def poor_server(tmp_path_factory, sample_library, there):
    """One whose drafts are poor, so that Auto is in doubt, and whose larger model is elsewhere."""
    folder = tmp_path_factory.mktemp("poor")
    started = with_samples(folder, sample_library)
    draft = folder / "draft.md"
    draft.write_text("The adapter takes 999 MB and was invented in Paris.")
    started.program = [str(Path(__file__).with_name("scripted_ui.py"))]
    started.settings |= {"SCRIPTED_ANSWER": str(draft), "SCHOLION_ANSWERS": "written"} | settings_of(there)
    started.start()
    yield started
    started.stop()


def shown_payload(page) -> bytes:
    """The bytes that the question for consent shows."""
    block = page.locator("pre code, pre").filter(has_text='"messages"').last
    unfold(page.locator("button:has-text('exactly what would be sent')").last, block)
    return block.text_content().strip("\n").encode()


def test_a_model_elsewhere_gets_what_was_shown_and_nothing_before(open_page, poor_server, there, shot) -> None:
    page, connections, bodies = open_page(server=poor_server), there.listener.connections, len(there.listener.bodies)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    page.click("button:has-text('Refine this answer')")
    page.wait_for_selector("text=May this leave your machine?")
    assert there.listener.connections == connections
    shown = shown_payload(page)
    shot(page, "consent-to-refine")
    page.click("button:has-text('Send once')")
    page.wait_for_selector(CHANGED)
    assert there.listener.bodies[bodies:] == [shown]
    expect(page.locator(f"{ANSWER} h6").last).to_contain_text("sent to large")
    page.wait_for_timeout(500)
    shot(page, "sent-elsewhere")

    page.locator("button:has-text('Refine this answer')").last.click()
    page.wait_for_selector("button:has-text('Not now')")
    page.wait_for_timeout(500)  # Chainlit's page takes the press only a moment after it shows the button
    page.click("button:has-text('Not now')")
    page.wait_for_selector("text=The draft is kept")
    assert there.listener.bodies[bodies:] == [shown]
    assert page.outside == []


@pytest.mark.parametrize("mode", ["Auto", "Refine"])
def test_a_question_in_a_mode_that_would_send_asks_first(open_page, poor_server, there, shot, *, mode) -> None:
    page, connections, bodies = open_page(server=poor_server), there.listener.connections, len(there.listener.bodies)
    page.click("#mode-picker-trigger-answer")
    page.locator("#mode-picker-popover-answer").get_by_text(mode, exact=True).click()
    expect(page.locator("#mode-picker-trigger-answer")).to_contain_text(mode)
    say(page, ADAPTER)
    page.wait_for_selector("text=May this leave your machine?")
    assert there.listener.connections == connections
    page.wait_for_timeout(500)
    shot(page, f"consent-in-{mode.lower()}-mode")
    shown = shown_payload(page)
    page.click("button:has-text('Send once')")
    page.wait_for_selector(f"{ANSWER} h6:has-text('sent to large')")
    assert there.listener.bodies[bodies:] == [shown]

    say(page, "How much memory does a KV cache take for one token?")
    page.wait_for_selector("button:has-text('Not now')")
    page.wait_for_timeout(500)  # Chainlit's page takes the press only a moment after it shows the button
    page.click("button:has-text('Not now')")
    page.wait_for_selector("text=Nothing was sent", timeout=PATIENCE / 5)  # before the question ends by itself
    page.wait_for_selector("text=The draft is kept")
    assert there.listener.bodies[bodies:] == [shown]
    assert there.listener.connections == connections + 1
    assert page.outside == []
