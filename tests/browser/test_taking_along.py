"""In a real browser: one click copies, a chat is downloaded, an answer is judged, a question is edited."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from conftest import Server
from waiting import until

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ADAPTER = "How large is the file of the rank-16 adapter on all seven matrices if it is stored with 16 bits per weight?"
ANSWER = ".step[data-step-type=assistant_message] .message-content"
FOOTER = f"{ANSWER} h6:has-text('stayed on this machine')"


def say(page, text: str) -> None:
    page.fill("#chat-input", text)
    page.click("#chat-submit:not([disabled])")


@pytest.fixture(scope="module")
def quick(tmp_path_factory, sample_library):
    """A server whose drafter writes one true sentence at once."""
    folder = tmp_path_factory.mktemp("along")
    answer = folder / "answer.md"
    answer.write_text("Stored with 16 bits each, the adapter takes **83.9 MB** [1].\n", encoding="utf-8")
    started = Server(folder)
    shutil.copytree(sample_library, started.library)
    started.program = [str(Path(__file__).with_name("scripted_ui.py"))]
    started.settings |= {"SCRIPTED_ANSWER": str(answer), "SCHOLION_ANSWERS": "written"}
    started.start()
    yield started
    started.stop()


def test_one_click_copies_and_a_chat_is_exported(open_page, quick, shot) -> None:
    page = open_page(server=quick, permissions=["clipboard-read", "clipboard-write"], accept_downloads=True)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    page.get_by_role("button", name="Copy with references").click()
    expect(page.locator("[data-sonner-toast]").filter(has_text="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Stored with 16 bits each, the adapter takes 83.9 MB [1].")
    assert "\\" not in copied
    assert "/cite/" not in copied
    assert copied.splitlines()[-1].startswith("[1] ")
    assert page.locator(ANSWER).count() == 1, "no box to copy from"

    page.fill("#chat-input", "/Exp")
    expect(page.get_by_text("This chat as a report")).to_be_visible()
    page.press("#chat-input", "Enter")  # it needs no text, so nothing else is to be pressed
    page.wait_for_selector("#export")
    page.select_option("#export-style", "ieee")
    for kind, words in {"json": '"scholion-chat/1"', "html": "[1, p. ", "md": "## References", "bib": "@misc{"}.items():
        with page.expect_download() as download:
            page.click(f"[data-export='{kind}']")
        assert words in Path(download.value.path()).read_text(encoding="utf-8"), kind
        assert download.value.suggested_filename.endswith(f".{kind}")
    shot(page, "export-light")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open to print").click()
    expect(opened.value.locator("h2").last).to_have_text("References")
    opened.value.emulate_media(media="print")
    shot(opened.value, "export-report")
    assert page.outside == []


def test_the_keyboard_leads_from_the_question_to_the_page_and_back(open_page, quick) -> None:
    page = open_page(server=quick)
    page.keyboard.type(ADAPTER)  # the text field has the focus
    page.keyboard.press("Enter")
    page.wait_for_selector(FOOTER)
    assert until(lambda: page.get_attribute("#chat-submit", "aria-label") == "Send"), "it was Stop until now"
    citation = page.locator(f"{ANSWER} a[href^='/cite/']").first
    citation.focus()
    page.keyboard.press("Enter")
    page.frame_locator("#page-of-paper").locator(".mark").first.wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("#side-view-title")).to_have_count(0)
    expect(citation).to_be_focused()


def test_an_answer_is_judged_and_its_question_edited(open_page, quick, shot) -> None:
    page = open_page(server=quick)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    page.wait_for_url(re.compile("/thread/"))
    page.locator(".negative-feedback-off").last.click()
    page.locator("[role=dialog] textarea").fill("too short")
    page.click("#submit-feedback")
    chat = page.url.rsplit("/", 1)[1]

    def exported() -> dict:
        return json.loads(page.request.get(f"{quick.url}/export/chat/{chat}.json").text())

    assert until(lambda: exported()["turns"][-1].get("feedback") == {"value": "bad", "comment": "too short"})
    page.locator(".step[data-step-type=user_message]").last.hover()
    page.locator(".edit-message").last.click()
    page.fill("#edit-chat-input", ADAPTER.replace("How large", "What size"))
    page.locator(".confirm-edit").click()
    expect(page.locator(".step[data-step-type=user_message]").last).to_contain_text("What size")
    assert until(lambda: [turn["role"] for turn in exported()["turns"]] == ["question", "answer"])
    page.wait_for_selector(FOOTER)
    expect(page.locator(ANSWER)).to_have_count(1)
    said = exported()["turns"]
    assert said[0]["text"].startswith("What size")
    assert said[1]["feedback"] is None, "it was about the answer that is gone"
    page.get_by_role("button", name="Ask again", exact=True).last.click()
    expect(page.locator(FOOTER)).to_have_count(2)
    shot(page, "ask-again")
    page.reload()
    expect(page.locator(ANSWER)).to_have_count(2)
    expect(page.get_by_role("button", name="Ask again", exact=True)).to_have_count(2)
    assert page.outside == []
