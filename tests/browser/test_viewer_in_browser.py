"""The viewer in Chromium: opened at a citation, scrolled, searched, copied from, and with the user's notes."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from fake_embedder import HashEmbedder
from ingest import ingest_pdf
from ingest.library import open_library
from ingest.settings import IngestSettings
from marked_pdfs import marked
from pdfs import column, write_pdf
from served import Served, app_root
from waiting import until

PAGES = 40
QUOTE = "Garden seeds of page 20 keep for five years in a dry jar at four degrees."


def lines(number: int) -> list[str]:
    filler = [f"Line {n} of page {number} tells how jar {n * number} was opened and closed." for n in range(30)]
    return [
        "The naïve gar-",
        f"dener reads page {number}.",
        *filler[:12],
        QUOTE.replace("20", str(number)),
        *filler[12:],
        *([f"Figure 1: A jar of page {number}, opened and closed.", ""] if number == 30 else []),
    ]


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    """A server with one paper of 40 pages, and the paper's address."""
    folder = tmp_path_factory.mktemp("viewer")
    path = write_pdf(folder / "seeds.pdf", *(column(72, 720, lines(n)) for n in range(1, PAGES + 1)))
    marked(path, "/Highlight", (70, 549, 420, 562), note="Compare with 2019.", page=20)
    marked(path, "/Text", (450, 700, 470, 720), note="<b>Ask</b> Ann", page=3)
    with open_library(IngestSettings(library=folder / "library")) as library:
        paper_id = ingest_pdf(path, library=library, embedder=HashEmbedder()).paper_id
        library.describe(paper_id, title="Seeds in Jars", authors=("Ann Smith", "Bob Jones"), year=2019)
    served = Served(library=folder / "library", root=app_root(folder / "root")).start()
    yield f"{served.url}/page/{paper_id}"
    served.stop()


@pytest.fixture
def opened(chromium, viewer):
    contexts = []

    def open_at(address: str, *, width: int = 1280, **options):
        context = chromium.new_context(viewport={"width": width, "height": 860}, **options)
        contexts.append(context)
        page = context.new_page()
        page.wrong = []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.request.post(f"{viewer.partition('/page/')[0]}/auth/header")
        page.goto(f"{viewer}/{address}")
        page.wait_for_selector(".sheet img")
        return page

    yield open_at
    for context in contexts:
        context.close()


def is_in_view(page, selector: str) -> bool:
    box, pane = page.locator(selector).first.bounding_box(), page.locator("#pane").bounding_box()
    return bool(
        box
        and pane["x"] <= box["x"]
        and box["x"] + box["width"] <= pane["x"] + pane["width"]
        and pane["y"] <= box["y"]
        and box["y"] + box["height"] <= pane["y"] + pane["height"]
    )


def alive(page) -> int:
    return page.locator(".sheet img").count()


def test_it_opens_at_the_citation_and_one_scrolls_and_jumps_through_all_pages(opened, shot) -> None:
    page = opened("20?" + urlencode({"words": QUOTE, "cited": 20}))
    page.wait_for_selector(".mark")
    assert is_in_view(page, ".mark")
    assert page.locator(".sheet").count() == PAGES
    assert page.locator("#go").input_value() == "20"
    shot(page, "viewer-1280")
    page.mouse.move(600, 500)
    most = 0
    for _ in range(25):
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(20)
        most = max(most, alive(page))
    assert most <= 8
    assert int(page.locator("#go").input_value()) > 25
    page.keyboard.press("Home")
    assert until(lambda: page.locator('[data-page="1"] img').count() == 1)
    assert page.locator("#go").input_value() == "1"
    page.keyboard.press("ArrowRight")
    assert until(lambda: page.locator("#go").input_value() == "2")
    page.keyboard.press("End")
    assert until(lambda: page.locator("#go").input_value() == str(PAGES))
    page.fill("#go", "33")
    page.keyboard.press("Enter")
    assert until(lambda: page.locator('[data-page="33"] .words span').count() > 100)
    assert until(lambda: alive(page) <= 8)
    page.click("#whole")
    sheet, pane = page.locator('[data-page="33"]').bounding_box(), page.locator("#pane").bounding_box()
    assert sheet["height"] <= pane["height"]
    page.keyboard.press("+")
    assert page.locator('[data-page="33"]').bounding_box()["height"] > sheet["height"]
    page.reload()
    page.wait_for_selector(".sheet img")
    kept = page.locator('[data-page="20"]').bounding_box()["width"]
    assert kept == pytest.approx(1.25 * sheet["width"], rel=0.02), "the zoom stays"
    assert page.wrong == []


def test_words_are_found_selected_and_copied_with_their_citation(opened, shot) -> None:
    page = opened("1", permissions=["clipboard-read", "clipboard-write"])
    page.keyboard.press("/")
    page.keyboard.type("NAIVE gardener reads page 12")
    assert until(lambda: page.locator("#hit").inner_text() == "1 / 1")
    assert until(lambda: page.locator(".found.now").count() == 2), "both halves of the broken word"
    assert is_in_view(page, ".found.now")
    shot(page, "viewer-search")
    page.fill("#sought", "garden seeds")
    assert until(lambda: page.locator("#hit").inner_text() == f"12 / {PAGES}")
    page.keyboard.press("Enter")
    assert until(lambda: page.locator("#hit").inner_text() == f"13 / {PAGES}")
    assert until(lambda: page.locator("#go").input_value() == "13")
    page.keyboard.press("Escape")
    assert until(lambda: page.locator(".found").count() == 0)

    page.fill("#go", "5")
    page.keyboard.press("Enter")
    words = page.locator('[data-page="5"] .words span')
    assert until(lambda: words.count() > 100)
    assert until(lambda: page.locator("#go").input_value() == "5")
    first, last = words.nth(0).bounding_box(), words.nth(6).bounding_box()
    page.mouse.move(first["x"] + 1, first["y"] + first["height"] / 2)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] - 1, last["y"] + last["height"] / 2, steps=8)
    page.mouse.up()
    page.wait_for_selector("#copy-cited")
    shot(page, "viewer-selection")
    page.click("#copy-cited")
    read = "navigator.clipboard.readText()"
    cited = "“The naïve gardener reads page 5.” (Smith and Jones 2019, p. 5)"
    assert until(lambda: page.evaluate(read) == cited), page.evaluate(read)
    page.click("#copy")
    assert until(lambda: page.evaluate(read) == "The naïve gar-\ndener reads page 5."), page.evaluate(read)
    assert page.wrong == []


def test_in_the_narrow_panel_the_quote_is_whole_and_the_notes_are_listed(opened, shot) -> None:
    other = QUOTE.replace("20", "31")
    query = [("words", QUOTE), ("cited", "20"), ("place", f"20:0000:{QUOTE}"), ("place", f"31:0001:{other}")]
    page = opened("20?" + urlencode(query), width=400)
    page.wait_for_selector(".mark:not(.other)")
    assert is_in_view(page, ".mark:not(.other)")
    assert page.locator(".mark").first.bounding_box()["height"] > 9, "readable"
    assert page.locator("#cited-at").inner_text() == "Cited 1 / 2"
    shot(page, "viewer-narrow")
    page.click("#cited-after")
    assert until(lambda: page.locator("#go").input_value() == "31")
    assert until(lambda: page.locator('[data-page="31"] .mark:not(.other)').count() == 1)
    assert is_in_view(page, '[data-page="31"] .mark')

    page.click("#strip")
    page.wait_for_selector(".small img")
    page.click("#tab-notes")
    notes = page.locator("#notes .entry")
    assert until(lambda: notes.count() == 2)
    assert "<b>Ask</b> Ann" in notes.nth(0).inner_text(), "its text is no HTML"
    assert f"“{QUOTE}”" in notes.nth(1).inner_text()
    assert "Compare with 2019." in notes.nth(1).inner_text()
    shot(page, "viewer-notes")
    notes.nth(0).click()
    assert until(lambda: page.locator('[data-page="3"] .pin').count() == 1)
    assert page.locator("#side").is_hidden(), "it made room for the page"
    page.click('[data-page="3"] .pin')
    assert until(lambda: page.locator('#notes [aria-current="true"]').count() == 1)
    assert page.wrong == []


def test_figures_and_tables_are_listed_and_one_goes_to_them(opened, shot) -> None:
    page = opened("1")
    page.click("#strip")
    page.get_by_role("tab", name="Figures (1)").click()
    row = page.locator("#figures .entry")
    assert "Figure 1 · p. 30" in row.inner_text()
    assert "A jar of page 30" in row.inner_text()
    row.click()
    assert until(lambda: page.locator("#go").input_value() == "30")
    page.wait_for_selector('[data-page="30"] img')
    shot(page, "viewer-figures")
    assert page.wrong == []
