"""Models without a terminal: a server that poses as Ollama is found, chosen, tested and asked, and stays chosen."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
from test_browser import ANSWER, FOOTER, say

from engine_stubs import serving
from rag.servers.discovery import PORTS
from writing_engine import MODEL, ollama

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SENTENCE = "In the example with 16-bit numbers one token takes 131,072 bytes, or 128 KiB."
QUESTION = "How many bytes does the KV cache take for one token in the example with 16-bit numbers?"


@pytest.fixture(autouse=True)
def no_real_engine() -> None:
    """A model server that runs on this machine anyway would be offered as well."""
    for port in PORTS:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            pytest.skip(f"something answers at port {port}, where model servers do: stop it for this test")


def test_a_model_found_here_is_chosen_tested_asked_and_kept(open_page, other_server, shot) -> None:
    with serving(ollama(SENTENCE)) as engine:
        other_server.settings |= {"OLLAMA_HOST": f"127.0.0.1:{engine.server_port}"}
        other_server.start()
        page = open_page(server=other_server)
        page.wait_for_selector("button:has-text('Settings: Ollama runs here')")
        shot(page, "settings-offer")
        with page.context.expect_page() as opened:
            page.click("button:has-text('Settings: Ollama runs here')")
        settings = opened.value
        row = settings.locator(f"[data-model$='#{MODEL}']")
        row.get_by_role("button", name="Use as drafter").click()
        drafter = settings.locator("#drafter")
        expect(drafter.locator(".model")).to_have_text(MODEL)
        expect(settings.locator("#said")).to_contain_text(f"{MODEL} is now the drafter")
        drafter.get_by_role("button", name="Test").click()
        expect(drafter.locator("blockquote")).to_have_text(SENTENCE)
        settings.wait_for_timeout(200)
        shot(settings, "settings")

        say(page, QUESTION)
        page.wait_for_selector(FOOTER)
        expect(page.locator(f"{ANSWER} h6").last).to_contain_text(MODEL)
        expect(page.locator(ANSWER).last).to_contain_text("one token takes 131,072 bytes, or 128 KiB")
        shot(page, "settings-answer")

        other_server.stop()
        other_server.start()
        settings.reload()
        expect(drafter.locator(".model")).to_have_text(MODEL)
        drafter.get_by_role("button", name="Use the built-in model").click()
        expect(drafter.locator(".model")).to_contain_text("SmolLM2")
        assert not (other_server.library / "choices.json").read_text().count("drafter")
        assert page.outside == []
