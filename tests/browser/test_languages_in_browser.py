"""The interface in German and in Bulgarian: no English words of ours are on the screen, and a choice stays."""

from __future__ import annotations

import re

import pytest
from test_browser import ANSWER, say

import messages
from rag.texts import reading_in
from ui.texts.languages import texts_in

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

QUESTION = "Up to which escalation rate is the cascade quicker than the large model alone?"
UNANSWERED = "Which volcano erupted in Iceland in the year 1783?"

VISIBLE = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.nodeType === 1 ? node : node.parentElement;
    if (!element.checkVisibility() || element.closest('script, style, code, [translate=no]')) continue;
    if (element.closest('blockquote, .words, .snippet')) continue;
    if (node.nodeType === 3) found.push(node.data);
    else for (const name of ['title', 'aria-label', 'placeholder']) found.push(node.getAttribute(name) ?? '');
  }
  return [...new Set(found.map((text) => text.replace(/\\s+/g, ' ').trim()).filter(Boolean))];
}"""
"""Every text and label that is seen, but quotations of papers."""


def english(code: str) -> tuple[set[str], list[re.Pattern[str]]]:
    """The English texts that read otherwise in this language: whole ones, and those with values in them."""
    texts = texts_in(code)
    whole, patterns = set(), []
    for message in messages.messages():
        one = message if isinstance(message, str) else message[0]
        for text in (message,) if isinstance(message, str) else message:
            if texts.text(one) == one:
                continue
            parts = re.split(r"\{\w+\}", text)
            if len(parts) == 1:
                whole.add(text.strip())
            elif sum(map(len, parts)) >= 6:
                named = re.findall(r"\{(\w+)\}", text)
                values = [r"[\d.,\s]+" if name == "n" else ".+?" for name in named] + [""]
                made = "".join(re.escape(part) + value for part, value in zip(parts, values, strict=True))
                patterns.append(re.compile(made))
    return whole, patterns


def left_english(page, code: str) -> list[str]:
    """Names of chats are somebody's questions, also where one is the English of a label of ours."""
    whole, patterns = english(code)
    seen = [text for text in page.evaluate(VISIBLE) if not text.endswith("?")]
    return [text for text in seen if text in whole or any(pattern.fullmatch(text) for pattern in patterns)]


@pytest.mark.parametrize(("code", "locale"), [("de", "de-DE"), ("bg", "bg-BG")])
def test_a_browser_sees_its_language_everywhere_and_a_choice_stays(open_page, server, shot, code, locale) -> None:
    with reading_in(texts_in(code)) as _:
        words = texts_in(code).text
    page = open_page(locale=locale)
    expect(page.locator("#chat-input")).to_have_attribute("placeholder", words("Ask your papers, or drop a PDF here"))
    assert page.evaluate("document.documentElement.lang") == code
    page.wait_for_timeout(1500)
    shot(page, f"language-{code}-start")
    assert left_english(page, code) == []

    say(page, QUESTION)
    page.wait_for_selector(f"{ANSWER} h6:has-text('{words('stayed on this machine')}')")
    expect(page.locator(f"{ANSWER} h5").first).to_have_text(words("Sources"))
    page.wait_for_timeout(1000)
    shot(page, f"language-{code}-answer")
    assert left_english(page, code) == []
    say(page, UNANSWERED)
    expect(page.locator(ANSWER).filter(has_text=words("Not in your papers."))).to_be_visible()
    page.wait_for_timeout(1000)
    shot(page, f"language-{code}-abstention")
    assert left_english(page, code) == []

    page.click(f"[id='command-{words('Library')}']")
    panel = page.frame_locator("#library-panel")
    expect(panel.locator("h1")).to_have_text(words("Library"))
    for address, ready in (
        ("/library", "[data-paper]"), ("/settings", "#part-values .value"), ("/health", "#report section"),
        ("/insight", "#insight section"), ("/compare", "form"),
    ):  # fmt: skip
        page.goto(server.url + address)
        page.wait_for_selector(ready)
        page.wait_for_timeout(500)
        shot(page, f"language-{code}{address.replace('/', '-')}")
        assert left_english(page, code) == [], address

    paper = page.request.get(f"{server.url}/library/papers").json()["papers"][0]["id"]
    page.goto(f"{server.url}/page/{paper}/1")
    page.wait_for_selector(".sheet img")
    page.click("#strip")
    page.wait_for_timeout(500)
    shot(page, f"language-{code}-viewer")
    assert left_english(page, code) == []

    page.goto(f"{server.url}/settings")
    page.select_option("#language", "en")
    expect(page.locator("h1")).to_have_text("Settings")
    expect(page.locator("#language")).to_have_value("en")
    page.reload()
    expect(page.locator("h1")).to_have_text("Settings")
    page.goto(server.url)
    page.wait_for_selector("#mode-picker-trigger-answer")
    expect(page.locator("#chat-input")).to_have_attribute("placeholder", "Ask your papers, or drop a PDF here")


@pytest.mark.parametrize(("code", "locale"), [("de", "de-DE"), ("bg", "bg-BG")])
def test_long_words_fit_on_a_phone(open_page, server, shot, code, locale) -> None:
    page = open_page(locale=locale, viewport={"width": 390, "height": 844})
    page.wait_for_timeout(1500)
    shot(page, f"language-{code}-phone-start")
    for address, ready in (
        ("/library", "[data-paper]"),
        ("/settings", "#part-values .value"),
        ("/health", "#report section"),
        ("/compare", "form"),
    ):
        page.goto(server.url + address)
        page.wait_for_selector(ready)
        page.wait_for_timeout(500)
        shot(page, f"language-{code}-phone{address.replace('/', '-')}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
