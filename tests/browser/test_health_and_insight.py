"""The pages `/health` and `/insight` in a browser, on a wide screen and on a phone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from served import Served, app_root
from ui.chats.salvage import schema

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 860}
NASTY = "<img src=x onerror=\"document.title='broken'\"> How long do seeds keep?"
STAGES = {"search": 0.5, "reading": 0.5, "first word": 0.5, "draft": 2.0, "check": 0.05, "refinement": 3.0}
FIGURES = {
    "seconds": 6.55, "first_word": 1.5, "stages": STAGES, "confidence": 0.7, "stayed": False, "larger_shown": True,
    "written": [
        {"model": "small", "here": True, "larger": False, "seconds": 2.5, "first_seconds": 0.5, "usd": 0.001,
         "usage": {"input_tokens": 100, "output_tokens": 60}, "wh": None, "measured": None},
        {"model": "large", "here": False, "larger": True, "seconds": 3.0, "first_seconds": 1.0, "usd": 0.01,
         "usage": {"input_tokens": 900, "output_tokens": 30}, "wh": None, "measured": None},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A server without models, whose library has one chat: an answer with figures, and one from before."""
    folder = tmp_path_factory.mktemp("health")
    library = folder / "library"
    library.mkdir()
    with closing(sqlite3.connect(library / "chats.db")) as db, db:
        db.executescript(schema())
        db.execute("INSERT INTO users VALUES ('u', 'local', '{}', '')")
        db.execute('INSERT INTO threads ("id", "name", "userId") VALUES (?, ?, ?)', ("c", NASTY, "u"))
        for n, figures in enumerate(({"figures": FIGURES}, {})):
            told = json.dumps({"question": NASTY, "answer": "A.", **figures})
            db.execute(
                'INSERT INTO steps ("id", "name", "type", "threadId", "streaming", "metadata", "createdAt") '
                "VALUES (?, 'x', 'assistant_message', 'c', 0, ?, '2026-11-01T10:00:00Z')",
                (str(n), told),
            )
    started = Served(library=library, root=app_root(folder / "root")).start()
    yield started
    started.stop()


@pytest.fixture
def opened(chromium, quick):
    """A page that has opened the chat, so that it is logged in; it keeps errors and requests to other hosts."""
    context = chromium.new_context(locale="en-US", viewport=WIDE)
    page = context.new_page()
    page.outside = []
    page.goto(quick.url)
    page.wait_for_selector("#chat-input")
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith(quick.url) or page.outside.append(request.url))
    yield page
    context.close()


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_insight_draws_the_figures_and_says_them_in_words(opened, quick, shot) -> None:
    link = opened.get_by_role("link", name="Insight")
    expect(link).to_have_attribute("href", "/insight")
    opened.goto(f"{quick.url}/insight")
    average = opened.locator("figure", has_text="An average answer")
    said = "search 0.50 s, reading 0.50 s, first word 0.50 s, draft 2.0 s, check 0.05 s, refinement 3.0 s"
    expect(average.locator("svg").first).to_have_attribute("aria-label", f"An average answer: {said}")
    expect(average.locator("text", has_text="refinement 3.0 s")).to_be_visible()
    expect(average).to_contain_text("check 0.05 s")  # too narrow, so below the bar
    widths = [float(rect.get_attribute("width")) for rect in average.locator("svg[role=img] rect").all()]
    assert widths[5] == pytest.approx(6 * widths[0], rel=0.1)
    expect(opened.locator("body")).to_contain_text("Measured for 1 of 2 answers.")
    expect(opened.locator("figure", has_text="Larger model: large")).to_contain_text("writes 15 tokens/s")
    expect(opened.locator(".figures")).to_contain_text("$0.0110")
    opened.get_by_text("The same as a table").first.click()
    expect(opened.get_by_role("cell", name="writing the draft")).to_be_visible()
    opened.get_by_text("Show 2 answers").click()
    expect(opened.locator(".answers")).to_contain_text(
        "confidence 70% · 15 tokens/s · money $0.0110 · energy not measured"
    )
    expect(opened.locator(".answers")).to_contain_text("times not measured")
    shot(opened, "insight")
    opened.set_viewport_size(PHONE)
    expect(average).to_contain_text("search 0.50 s")
    assert fits(opened)
    shot(opened, "insight-phone")
    with opened.expect_download() as download:
        opened.get_by_text("Download as CSV").click()
    assert download.value.path().read_text().count("\n") == 3
    assert "broken" not in opened.title()
    assert (opened.faults, opened.outside) == ([], [])


def test_health_says_what_is_there_and_a_bundle_can_be_taken(opened, quick, shot) -> None:
    expect(opened.get_by_role("link", name="Health")).to_have_attribute("href", "/health")
    opened.goto(f"{quick.url}/health")
    expect(opened.locator(".line", has_text="SmolLM2")).to_contain_text("as shipped")
    expect(opened.locator(".line", has_text="Port")).to_contain_text(quick.url)
    expect(opened.locator("#said")).to_contain_text("problem")
    shot(opened, "health")
    with opened.expect_download() as download:
        opened.get_by_text("Download the bundle").click()
    assert download.value.path().read_bytes().startswith(b"PK")
    (quick.library / "chats.db").rename(quick.library / "chats.away")
    (quick.library / "chats.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    opened.get_by_text("Check again").click()
    expect(opened.locator("section").first).to_contain_text("chats.db is damaged.")
    expect(opened.locator("#said")).to_contain_text("see what to do below")
    opened.set_viewport_size(PHONE)
    assert fits(opened)
    shot(opened, "health-phone")
    assert (opened.faults, opened.outside) == ([], [])
