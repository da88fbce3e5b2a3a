"""The Library beside the chat and as a page of its own, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from conftest import Server
from pdfs import column, write_pdf

QUICK = str(Path(__file__).parents[1] / "support" / "quick_ui.py")


def small_pdf(path: Path, about: str) -> Path:
    lines = [f"Line {n} tells more about {about} and how they were measured." for n in range(12)]
    return write_pdf(path, column(72, 720, [f"Notes on {about}", "", *lines]), title=f"Notes on {about}")


@pytest.fixture
def quick_server(tmp_path):
    """One without a model and with an empty library."""
    started = Server(tmp_path)
    started.program = [QUICK]
    started.start()
    yield started
    started.stop()


def test_files_are_added_found_corrected_tagged_removed_and_brought_back(
    quick_server, open_page, shot, tmp_path
) -> None:
    page = open_page(server=quick_server)
    page.click("#command-Library")
    library = page.frame_locator("#library-panel")
    expect(library.locator("#papers")).to_contain_text("No papers yet")
    fake = tmp_path / "sign-in.pdf"
    fake.write_text("<html>Sign in to read this article.</html>")
    files = [small_pdf(tmp_path / "a.pdf", "anti-diabetic herbs"), small_pdf(tmp_path / "b.pdf", "clocks"), fake]
    library.locator("#files").set_input_files(files)
    expect(library.locator("#job strong")).to_have_text("2 papers added, 1 refused.")
    expect(library.locator("#job li").first).to_contain_text("not a PDF")
    expect(library.locator("[data-paper]")).to_have_count(2)
    assert page.locator(".step").count() == 0, "no message was posted"
    assert page.url.rstrip("/") == quick_server.url
    library.locator("#job button").click()

    library.locator("#filter").fill("antidiabetic")
    expect(library.locator("[data-paper]")).to_have_count(1)
    library.locator(".title").focus()
    page.keyboard.press("e")
    library.locator(".edit [name=title]").fill("Herbs against diabetes")
    library.locator(".edit [name=year]").fill("20")
    page.keyboard.press("Enter")
    expect(library.locator("#error")).to_contain_text("The year must have four digits.")
    library.locator(".edit [name=year]").fill("2014")
    page.keyboard.press("Enter")
    library.locator("#filter").fill("herbs 2014")
    expect(library.locator("[data-paper]")).to_contain_text("You corrected the title and year.")

    library.locator(".title").focus()
    page.keyboard.press("Space")
    library.locator("#ticked input").fill("thesis")
    page.keyboard.press("Enter")
    expect(library.locator("[data-paper] .tag")).to_contain_text("thesis")
    library.locator("button:text-is('Ask only these')").click()
    expect(library.locator("#scope")).to_contain_text("Questions in this chat search 1 chosen paper.")
    expect(page.locator("#mode-picker-trigger-scope")).to_contain_text("1 chosen paper")
    shot(page, "library-panel-light")

    library.locator(".title").focus()
    page.keyboard.press("Delete")
    expect(library.locator("[data-paper]")).to_have_count(0)
    library.locator("#undo button").click()
    expect(library.locator("[data-paper]")).to_have_count(1)
    library.locator(".title").click()
    expect(library.locator("#go")).to_be_visible()
    library.locator("#back").click()
    expect(library.locator("[data-paper]")).to_have_count(2)
    library.locator("[aria-label='Remove Herbs against diabetes']").click()
    quick_server.stop(how=9)  # a crash before the time is up
    quick_server.start()
    page.goto(f"{quick_server.url}/library")
    expect(page.locator("[data-paper]")).to_have_count(2)
    assert not page.outside


def test_on_a_phone_nothing_is_wider_than_the_page_and_a_choice_starts_a_chat(quick_server, open_page, shot, tmp_path):
    page = open_page(server=quick_server)
    page.goto(f"{quick_server.url}/library")
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator("#files").set_input_files([small_pdf(tmp_path / "a.pdf", "clocks")])
    expect(page.locator("[data-paper]")).to_have_count(1)
    page.locator("[data-paper] input[type=checkbox]").check()
    page.locator("[aria-label^='Edit ']").click()
    page.locator(".edit [name=doi]").fill("10.1/half")
    page.locator("#files").set_input_files([small_pdf(tmp_path / "b.pdf", "seeds")])
    expect(page.locator("[data-paper]")).to_have_count(2)
    expect(page.locator(".edit [name=doi]")).to_have_value("10.1/half")  # the list was drawn again around it
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "library-phone")
    page.locator("button:text-is('Ask only these')").click()
    expect(page.locator("#mode-picker-trigger-scope")).to_contain_text("1 chosen paper")
