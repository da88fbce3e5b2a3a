"""Two real models side by side in a browser: their facts, a blind vote that survives a restart, and a phone."""

from __future__ import annotations

import pytest

from conftest import PATIENCE, with_samples

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

NAMES = ("Built-in model", "Built-in model, as it answers in the chat")
QUESTION = "In one sentence: why do plants need light?"


@pytest.fixture(scope="module")
def started(tmp_path_factory, sample_library):
    made = with_samples(tmp_path_factory.mktemp("compare"), sample_library)
    made.settings |= {"SCHOLION_HARDWARE_PRICE": "0", "SCHOLION_WATTS": "30", "SCHOLION_KWH_PRICE": "0.3"}
    made.start()
    yield made
    made.stop()


@pytest.fixture
def page(chromium, started):
    context = chromium.new_context(locale="en-US", viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.faults, page.outside = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith(started.url) or page.outside.append(request.url))
    page.goto(started.url)
    page.wait_for_selector("#chat-input")
    page.outside.clear()  # the chat's websocket
    yield page
    context.close()


def test_two_models_answer_side_by_side_and_a_blind_vote_stays(page, started, shot) -> None:
    expect(page.get_by_role("link", name="Compare models")).to_have_attribute("href", "/compare")
    page.goto(f"{started.url}/compare")
    expect(page.get_by_text("There are no blind votes yet.")).to_be_visible()
    page.get_by_label("First model").select_option("embedded")
    page.get_by_label("Second model").select_option("embedded,adapter=yes")
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_role("button", name="Ask both").click()
    cards = page.locator("article.answer")
    expect(cards).to_have_count(2)
    for card, name in zip(cards.all(), NAMES, strict=True):
        expect(card.get_by_role("heading")).to_have_text(name)
        expect(card).to_contain_text("tokens/s")
        expect(card).to_contain_text("this machine, 127.0.0.1")
        expect(card).to_contain_text("less than $0.0001")
    shot(page, "compare")

    page.get_by_label("With passages of your papers").check()
    page.get_by_label("Blind: show the names after the vote").check()
    page.get_by_label("Question").fill("How many bytes does the key-value cache need per token?")
    page.get_by_role("button", name="Ask both").click()
    expect(cards.first.get_by_role("heading")).to_have_text("Answer A")
    expect(cards.first).not_to_contain_text("tokens/s")
    shot(page, "compare-blind")
    page.get_by_role("button", name="Left").click()
    expect(page.get_by_text("Your vote is kept.")).to_be_visible()
    expect(cards.first).to_contain_text("tokens/s")
    expect(page.get_by_role("row", name=" against ".join(NAMES))).to_be_visible()
    shot(page, "compare-voted")
    page.set_viewport_size({"width": 390, "height": 860})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shot(page, "compare-phone")
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(page.get_by_role("row", name=" against ".join(NAMES))).to_be_visible()
    shot(page, "compare-phone-dark")

    started.stop()
    started.start()
    page.goto(started.url)
    page.wait_for_selector("#chat-input")
    page.goto(f"{started.url}/compare")
    expect(page.get_by_role("row", name=" against ".join(NAMES))).to_be_visible()
    assert page.faults == []
    assert not [url for url in page.outside if "127.0.0.1" not in url]
