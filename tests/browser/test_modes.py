"""A larger model in the browser: the button under a draft, the modes, and the draft that stays one click away."""

from __future__ import annotations

import pytest
from test_browser import ADAPTER, ANSWER, FOOTER, say

from rag.local import embedded_model

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

CHANGED = "button:has-text('the draft, and what changed')"

LOOKING = f"{ANSWER} >> text=is looking at this draft again"


@pytest.fixture
def with_expert(other_server, tmp_path):
    """A second server of the same weights, under another name, is the larger model: real, but no better."""
    expert = tmp_path / "Larger-135M-Q4_1.gguf"
    expert.symlink_to(embedded_model())
    other_server.settings |= {"SCHOLION_EXPERT": str(expert), "SCHOLION_EXPERT_OUTPUT_TOKENS": "96"}
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
    expect(page.locator(FOOTER).last).to_contain_text("SmolLM2-135M-Instruct Q4_1 → Larger-135M Q4_1")
    page.wait_for_timeout(500)
    page.locator(CHANGED).click()
    expect(page.get_by_text("sentence by sentence")).to_be_visible()
    page.wait_for_timeout(500)
    shot(page, "refined-changes")

    page.click("#mode-picker-trigger-answer")
    page.get_by_text("A larger model rewrites every draft.").click()
    say(page, "How much memory does a KV cache take for one token?")
    page.wait_for_selector(LOOKING)
    shot(page, "refine-looking")
    page.wait_for_selector(f"{FOOTER} >> nth=2")
    expect(page.locator(f"{ANSWER} h6").last).to_contain_text("→")
    page.wait_for_timeout(500)
    shot(page, "refine-mode")

    page.reload()
    page.wait_for_selector(FOOTER)
    expect(page.locator(FOOTER)).to_have_count(3)
    expect(page.locator("button:has-text('Refine this answer')")).to_have_count(1)
    assert page.outside == []
