"""Signing in, sharing a paper and signing out, in the browsers of two people."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from conftest import PATIENCE, Server
from two_people import SECRET, pdf_about
from ui.people import passwords
from ui.people.store import People

QUICK = str(Path(__file__).parents[1] / "support" / "quick_ui.py")
PASSWORD = "several plain words"


@pytest.fixture
def team(tmp_path):
    """A server with the accounts of Ada, an administrator, and Bob."""
    started = Server(tmp_path)
    people = People(started.library)
    for name in ("Ada", "Bob"):
        people.add(name, password=passwords.hashed(PASSWORD))
    people.close()
    started.settings = {"SCHOLION_PEOPLE": "passwords"}
    started.program = [QUICK]
    started.start()
    yield started
    started.stop()


def signed_in(chromium, team, name: str, **options):
    page = chromium.new_context(locale="en-US", **options).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(team.url)
    page.fill("#email", name)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#mode-picker-trigger-answer")
    return page


def test_two_people_sign_in_and_one_shares_a_paper(chromium, team, shot, tmp_path) -> None:
    phone = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}
    page = chromium.new_context(locale="en-US", **phone).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{team.url}/library")
    expect(page.locator("body")).to_contain_text("Sign in to Scholion")
    shot(page, "people-login")
    page.fill("#email", "Ada")
    page.fill("#password", "wrong wrong")
    page.click("button[type=submit]")
    expect(page.locator("body")).to_contain_text("The name or the password is wrong.")
    page.context.close()

    ada, bob = signed_in(chromium, team, "ada"), signed_in(chromium, team, "Bob", **phone)
    expect(bob.locator("a[href='/settings']")).to_have_count(0)
    expect(ada.locator("a[href='/settings']").first).to_be_visible()
    ada.goto(f"{team.url}/library")
    ada.locator("#files").set_input_files([pdf_about(tmp_path / f"{SECRET}.pdf", SECRET)])
    expect(ada.locator("[data-paper]")).to_contain_text("private")
    bob.goto(f"{team.url}/library")
    expect(bob.locator("#papers")).to_contain_text("No papers yet")
    ada.locator("[data-paper] input").check()
    ada.click("#ticked summary")
    ada.get_by_role("button", name="Share", exact=True).click()
    expect(ada.locator("[data-paper]")).to_contain_text("shared")
    bob.reload()
    expect(bob.locator("[data-paper]")).to_contain_text("shared")
    expect(bob.locator("[data-paper] .acts button")).to_have_count(0)
    shot(bob, "people-library")
    bob.goto(f"{team.url}/settings")
    expect(bob.locator("main")).to_contain_text("Only an administrator may do this.")

    bob.goto(team.url)
    bob.click("#user-nav-button")
    bob.get_by_text("Sign out").click()
    expect(bob.locator("#password")).to_be_visible()
    for one in (ada, bob):
        one.context.close()
