"""axe-core over the views of the chat and over our own pages: no serious or critical finding, in both themes."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


def findings(page) -> list[str]:
    """What axe-core calls serious or critical, each with the first element that it is about."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=RULES).response["violations"]
    grave = [one for one in found if one["impact"] in {"serious", "critical"}]
    return [f"{one['id']} ({len(one['nodes'])}): {one['nodes'][0]['html'][:200]}" for one in grave]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_start_page_has_no_grave_finding(open_page, theme) -> None:
    page = open_page(color_scheme=theme)
    page.evaluate("theme => localStorage.setItem('vite-ui-theme', theme)", theme)
    page.reload()
    page.wait_for_selector("#mode-picker-trigger-answer")
    page.wait_for_selector("#new-chat-button[aria-label]")
    assert findings(page) == []


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "bg-BG"])
def test_on_a_phone_nothing_is_cut_off(open_page, locale) -> None:
    page = open_page(locale=locale, viewport={"width": 390, "height": 844})
    page.locator("[id^=starter-] p").first.evaluate(
        "(line) => { line.textContent = 'A long first question, '.repeat(4); }"
    )
    page.wait_for_selector("#command-button[aria-label]")
    out = """() => [...document.querySelectorAll('#header *, #starters *, #chat-submit')].filter((part) => {
        const { left, right, width } = part.getBoundingClientRect();
        return width && (left < 0 || right > innerWidth);
    }).map((part) => part.outerHTML)"""
    assert page.evaluate(out) == []


def test_buttons_with_an_icon_have_our_names_in_english_too(page) -> None:
    page.wait_for_selector("#upload-button[aria-label='Add PDFs']")
    page.wait_for_selector("#theme-toggle[aria-label='Light or dark']")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_our_own_pages_have_no_grave_finding(open_page, server, theme) -> None:
    page = open_page(color_scheme=theme)
    page.evaluate("theme => localStorage.setItem('vite-ui-theme', theme)", theme)
    papers = page.request.get(f"{server.url}/library/papers").json()["papers"]
    found = {}
    for address, ready in {
        "/library": "[data-paper]",
        f"/page/{papers[0]['id']}/1": "#go",
        "/settings": "h1",
        "/insight": "h1",
        "/health": "h1",
        "/compare": "form",
        "/lab": "form",
    }.items():
        page.goto(f"{server.url}{address}")
        page.wait_for_selector(ready)
        found[address] = findings(page)
    assert not any(found.values()), found
