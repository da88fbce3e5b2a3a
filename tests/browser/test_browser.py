"""What a person does in the browser, with the real model behind it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from conftest import answered_chat, stored_answers, unfold, with_samples
from pdfs import column, write_pdf
from rag.models.local import embedded_drafter
from waiting import until

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ADAPTER = "How large is the file of the rank-16 adapter on all seven matrices if it is stored with 16 bits per weight?"
ANSWER = ".step[data-step-type=assistant_message] .message-content"
READING = ".step[data-step-type=tool] .message-content a[href^='/cite/']"
CHIP = f"{ANSWER} a[href^='/cite/']"
FOOTER = f"{ANSWER} h6:has-text('stayed on this machine')"
SEEDS = "Garden seeds keep for five years in a dry jar at four degrees, as Miller and Stone measured in 1987."


def say(page, text: str) -> None:
    page.fill("#chat-input", text)
    page.click("#chat-submit:not([disabled])")


def attach(page, *paths: Path) -> None:
    page.set_input_files("#upload-button-input", [str(path) for path in paths])
    page.wait_for_selector("#attachments")


@pytest.fixture
def seeds_pdf(tmp_path: Path) -> Path:
    filler = [
        f"Sentence {n} of the report tells how the jars were opened, weighed and closed again." for n in range(30)
    ]
    return write_pdf(
        tmp_path / "seeds.pdf", column(72, 720, ["Keeping Garden Seeds", "", SEEDS, *filler]), title="Seeds"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_paints_and_asks_no_other_host(open_page, shot, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    assert len(page.opened) == 1  # no way round by the login page
    expect(page.locator("#chat-input")).to_be_visible()
    expect(page.locator("#starters button")).to_have_count(4)
    assert page.title() == "Scholion"
    assert page.evaluate("document.documentElement.classList.contains('dark')") is (scheme == "dark")
    page.wait_for_timeout(700)  # the welcome screen fades in
    shot(page, f"welcome-{scheme}")
    assert page.outside == []


WATCH = """([reading, answer]) => {
    window.seen = []
    const look = () => {
        const words = [...document.querySelectorAll(answer)].pop()
        if (words) window.seen.push(words.innerText.length)
        else if (document.querySelector(reading)) window.seen.push('sources')
    }
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true})
}"""
"""Notes in the page itself, at each change of it, what stands there: a test that looks now and then would miss it."""


def test_a_question_shows_its_sources_first_and_then_grows(open_page, shot) -> None:
    page = open_page()
    page.evaluate(WATCH, [READING, ANSWER])
    say(page, ADAPTER)
    page.wait_for_selector(READING)
    shot(page, "reading-light")
    page.wait_for_selector(FOOTER)
    seen = page.evaluate("window.seen")
    assert seen[0] == "sources", "the sources stand before the first word"
    assert len(set(seen) - {"sources"}) >= 2, "words of the papers stand there while the model still writes"
    hrefs = [chip.get_attribute("href") for chip in page.locator(CHIP).all()]
    assert hrefs
    assert all(re.fullmatch(r"/cite/[0-9a-f]{16}/\d+/\d{4}(#source)?", href) for href in hrefs)
    expect(page.locator(FOOTER)).to_contain_text("stayed on this machine")
    expect(page.locator("#stop-button")).to_have_count(0)
    page.wait_for_timeout(400)
    shot(page, "answer-light")

    href = hrefs[0]
    page.locator(CHIP).first.click()
    viewer = page.frame_locator("#page-of-paper")
    expect(viewer.locator("#go")).to_have_value(href.split("/")[3])
    expect(viewer.locator("#of")).to_have_text("/ 4")
    page.wait_for_timeout(1000)
    shot(page, "panel-light")
    assert page.outside == []
    assert page.url.endswith(page.evaluate("window.location.pathname")), "the click did not leave the chat"


def test_the_papers_own_words_are_the_answer_and_the_draft_is_folded_away(open_page, shot) -> None:
    page = open_page(color_scheme="dark")
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    answer = page.locator(ANSWER).last
    expect(answer.locator(FOOTER.removeprefix(ANSWER))).to_contain_text("quoted word for word · draft by SmolLM2")
    quote = answer.locator("blockquote").first
    expect(quote).to_contain_text("page ")
    said = answer.locator(".font-bold").first.inner_text()
    expect(quote.locator(".font-bold").first).to_have_text(said)
    folded = page.locator("button:has-text('what the model wrote')")
    unfold(folded, page.get_by_text("wrote this, which is not part of the answer"))
    page.wait_for_timeout(500)
    shot(page, "quoted-dark")
    page.wait_for_url(re.compile("/thread/"))
    page.reload()
    page.wait_for_selector(f"{ANSWER} blockquote .font-bold")
    assert page.outside == []


@pytest.fixture(scope="module")
def chat(chromium, server) -> str:
    """The address of a chat with one answer."""
    return f"{server.url}/thread/{answered_chat(chromium, server, ADAPTER)}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_click_on_a_citation_shows_its_words_marked_on_the_page(open_page, shot, chat, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(chat)
    page.wait_for_selector(FOOTER)
    link = page.locator(CHIP).first
    number = int(link.get_attribute("href").split("/")[3])
    link.click()
    viewer = page.frame_locator("#page-of-paper")
    expect(viewer.locator(".mark").first).to_be_visible()
    expect(viewer.locator("#said")).to_be_hidden()
    sheet = viewer.locator(f'[data-page="{number}"]')
    page.wait_for_function(
        "number => document.querySelector('#page-of-paper').contentDocument"
        ".querySelector(`[data-page='${number}'] img`)?.naturalWidth > 800",
        arg=number,
    )
    picture, mark = sheet.locator("img").bounding_box(), viewer.locator(".mark").first.bounding_box()
    assert mark["width"] > 20
    assert 4 < mark["height"] < 40
    assert picture["x"] <= mark["x"] <= picture["x"] + picture["width"] - mark["width"]
    assert picture["y"] <= mark["y"] <= picture["y"] + picture["height"]
    dark = "() => document.querySelector('#page-of-paper').contentDocument.documentElement.classList.contains('dark')"
    assert page.evaluate(dark) is (scheme == "dark")
    page.wait_for_timeout(800)
    shot(page, f"marks-{scheme}")

    key, turned = ("ArrowRight", number + 1) if number < 4 else ("ArrowLeft", number - 1)
    viewer.locator("body").press(key)
    expect(viewer.locator("#go")).to_have_value(str(turned))
    viewer.locator("#previous" if turned > number else "#next").click()
    expect(viewer.locator("#go")).to_have_value(str(number))
    expect(viewer.locator(".mark").first).to_be_visible()
    viewer.locator("#fit").click()
    width = sheet.bounding_box()["width"]
    viewer.locator("#larger").click()
    assert sheet.bounding_box()["width"] == pytest.approx(1.25 * width, rel=0.05)
    viewer.locator("#fit").click()
    with page.context.expect_page() as opened:
        viewer.locator("#more summary").click()
        viewer.locator("#alone").click()
    alone = opened.value
    expect(alone.locator(".mark").first).to_be_visible()
    alone.wait_for_timeout(500)
    shot(alone, f"page-alone-{scheme}")
    alone.goto(alone.url.partition("?")[0] + f"?words=Nothing+of+this+stands+on+any+page.&cited={number}")
    expect(alone.locator("#said")).to_have_text("The cited text could not be highlighted on this page.")
    expect(alone.locator(f'[data-page="{number}"] img')).to_be_visible()
    shot(alone, f"page-without-marks-{scheme}")
    assert page.outside == []


DOUBTED = "Stored with 16 bits each, the adapter takes 84.9 MB."
PARTLY = "With 16 bits each the adapter takes less room on disk than the holiday pictures of most researchers."
UNDERLINED = """() => Object.fromEntries([...CSS.highlights].map(
    ([name, ranges]) => [name, [...ranges].sort((a, b) => a.compareBoundaryPoints(0, b)).map(String).join('')]))"""


@pytest.fixture(scope="module")
def scripted_server(tmp_path_factory, sample_library):
    """One whose drafter writes a true sentence, a false one and one that goes too far."""
    folder = tmp_path_factory.mktemp("scripted")
    started = with_samples(folder, sample_library)
    answer = folder / "answer.md"
    answer.write_text(f"Stored with 16 bits each, the adapter takes 83.9 MB [1].\n\n- {DOUBTED}\n- {PARTLY}\n")
    started.program = [str(Path(__file__).with_name("scripted_ui.py"))]
    started.settings |= {"SCRIPTED_ANSWER": str(answer), "SCHOLION_ANSWERS": "written"}
    started.start()
    yield started
    started.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_sentence_in_doubt_is_marked_and_says_why_also_when_the_chat_is_opened_again(
    open_page, shot, scripted_server, scheme: str
) -> None:
    page = open_page(server=scripted_server, color_scheme=scheme)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    for _ in range(2):
        answer = page.locator(ANSWER).last
        page.wait_for_function(f"Object.values(({UNDERLINED})()).every((text) => text)")
        lines = page.evaluate(UNDERLINED)
        assert lines["scholion-unsupported"] == DOUBTED
        assert lines["scholion-weak"].replace(" .", ".") == PARTLY, "the chip of its marker is left out"
        assert f"{DOUBTED} (not supported)" in answer.inner_text().replace("\u2063", ""), "not by a line alone"
        assert "(partially supported)" in answer.inner_text()
        expect(answer.locator("h6").first).to_contain_text(
            "partially supported: a part is missing, or elsewhere in the passages"
        )
        false, partly = answer.locator("li a[href='#unsupported']"), answer.locator("li a[href='#weak']")
        why = page.locator("#scholion-why")
        false.hover()
        expect(why).to_have_text("Number 84.9 is 83.9 in the passage")
        partly.focus()
        expect(why).to_contain_text("he passages mention only part of this")
        expect(partly).to_have_accessible_description(re.compile("only part of this"))
        page.wait_for_timeout(300)
        shot(page, f"doubts-{scheme}")
        page.keyboard.press("Escape")
        expect(why).to_be_hidden()
        false.click()
        expect(why).to_have_text("Number 84.9 is 83.9 in the passage")
        assert len(page.context.pages) == 1, "the mark leads nowhere"
        page.wait_for_url(re.compile("/thread/"))
        page.set_viewport_size({"width": 390, "height": 844})
        page.reload()
        page.wait_for_selector(FOOTER)
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    answer.locator("h6").first.scroll_into_view_if_needed()
    false.click()
    box = why.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    shot(page, f"doubts-phone-{scheme}")
    assert page.outside == []


def test_what_is_not_in_the_papers_is_called_so(open_page, shot) -> None:
    page = open_page(color_scheme="dark")
    say(page, "What is the boiling point of ethanol at normal pressure?")
    page.wait_for_selector(f"{ANSWER} h6")
    shot(page, "abstention-dark")
    text = page.locator(ANSWER).last.inner_text()
    assert "not in your papers" in text.lower()
    assert "tokens" not in text, "no language model was used"


def test_an_attached_paper_is_added_and_asked_alone(open_page, shot, seeds_pdf: Path) -> None:
    page = open_page()
    attach(page, seeds_pdf)
    say(page, "How long do garden seeds keep in a dry jar?")
    page.wait_for_selector("text=is in your library")
    page.wait_for_selector(f"{ANSWER} h6:has-text('Searched')")
    shot(page, "upload-light")
    expect(page.locator(ANSWER).last.locator("a[href$='#source']").first).to_be_visible()

    page.click("#command-Library")
    library = page.frame_locator("#library-panel")
    expect(library.locator("[data-paper]")).to_have_count(5)
    library.locator("#filter").fill("seeds")
    expect(library.locator("[data-paper]")).to_have_count(1)
    shot(page, "library-light")
    library.locator("[aria-label^='Remove ']").click()
    expect(library.locator("#count")).to_contain_text("4 papers")
    page.reload()  # the page is left: the paper is gone
    page.wait_for_selector("#mode-picker-trigger-answer")


def test_a_file_that_is_no_pdf_gets_one_sentence(page, tmp_path: Path) -> None:
    path = tmp_path / "notes.pdf"
    path.write_text("<html>not a PDF at all</html>")
    attach(page, path)
    page.click("#chat-submit:not([disabled])")
    page.wait_for_selector("text=is not a PDF, and only PDFs can be added")


LONG = "Explain in detail what a research group should consider before it runs a language model on its own machine."


@pytest.fixture(scope="module")
def wordy_server(tmp_path_factory, sample_library):
    """One whose drafter, the embedded one without its adapter, writes long, so that there is time to interfere."""
    folder = tmp_path_factory.mktemp("wordy")
    started = with_samples(folder, sample_library)
    drafter = folder / "Wordy-135M-Q4_1.gguf"  # under another name it is as it came
    drafter.symlink_to(embedded_drafter())
    started.settings = {
        "SCHOLION_DRAFTER": str(drafter),
        "SCHOLION_ANSWERS": "written",
        "SCHOLION_DRAFTER_SENTENCES": "0",
        "SCHOLION_TOP_K": "1",
        "SCHOLION_MAX_OUTPUT_TOKENS": "120",
    }
    started.start()
    yield started
    started.stop()


def in_mid_answer(page, server, question: str, how: int) -> int:
    """Ask, and send the drafter's process a signal as soon as the first words stand; returns its id."""
    pid = server.model_pid()
    say(page, question)
    page.wait_for_selector(ANSWER)
    os.kill(pid, how)
    return pid


def test_stop_keeps_the_text_and_the_next_question_works(open_page, shot, wordy_server) -> None:
    page = open_page(server=wordy_server)
    pid = in_mid_answer(page, wordy_server, LONG, signal.SIGSTOP)  # however fast the machine, the answer is not over
    page.wait_for_timeout(400)
    page.click("#stop-button")
    page.wait_for_selector("text=(stopped)")
    expect(page.locator("#stop-button")).to_have_count(0)
    expect(page.locator("text=Task manually stopped")).to_have_count(0)
    shot(page, "stopped-light")
    os.kill(pid, signal.SIGCONT)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)


def test_a_killed_model_is_told_and_the_next_question_works(open_page, shot, wordy_server) -> None:
    page = open_page(server=wordy_server)
    in_mid_answer(page, wordy_server, LONG, signal.SIGKILL)
    page.wait_for_selector("text=Try again")
    shot(page, "model-killed-light")
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)


def test_a_second_chat_shows_its_sources_while_the_model_hangs(open_page, shot, wordy_server) -> None:
    first, second = open_page(server=wordy_server), open_page(server=wordy_server)
    say(first, ADAPTER)
    first.wait_for_selector(READING)
    os.kill(wordy_server.model_pid(), signal.SIGSTOP)  # also while it is being loaded
    began = time.monotonic()
    say(second, ADAPTER)
    second.wait_for_selector(READING)
    print(f"sources after {time.monotonic() - began:.2f} s")
    assert second.locator(FOOTER).count() == 0
    shot(second, "sources-while-the-model-hangs")


def test_a_killed_server_leaves_no_model_behind_and_has_lost_no_stored_message(open_page, other_server) -> None:
    other_server.start()
    page = open_page(server=other_server)
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    page.wait_for_url(re.compile("/thread/"))
    text = page.locator(ANSWER).last.inner_text()
    assert until(lambda: stored_answers(other_server))
    pid = other_server.model_pid()
    other_server.stop(signal.SIGKILL)
    assert until(lambda: not Path(f"/proc/{pid}").exists()), f"the drafter {pid} outlives the app"
    other_server.start()
    page.reload()  # the login is still good: its key is kept in the library folder
    page.wait_for_selector(FOOTER)
    expect(page.locator(ANSWER).last).to_have_text(text, use_inner_text=True)


def test_a_chat_is_there_after_a_reload(open_page, shot) -> None:
    page = open_page()
    say(page, ADAPTER)
    page.wait_for_selector(FOOTER)
    text = page.locator(ANSWER).last.inner_text()
    page.wait_for_url(re.compile("/thread/"))
    page.reload()
    page.wait_for_selector(FOOTER)
    expect(page.locator(ANSWER).last).to_have_text(text, use_inner_text=True)
    expect(page.locator(".step[data-step-type=user_message]")).to_contain_text("rank-16 adapter")
    page.wait_for_selector("#mode-picker-trigger-answer")
    page.wait_for_timeout(300)
    shot(page, "reloaded-light")
    page.locator(CHIP).first.click()
    expect(page.frame_locator("#page-of-paper").locator(".mark").first).to_be_visible()


def test_the_websocket_of_another_page_is_refused(chromium, server, open_page) -> None:
    socket = f"{server.url.replace('http', 'ws')}/ws/socket.io/?EIO=4&transport=websocket"
    connect = """(address) => new Promise((done) => {
        const socket = new WebSocket(address)
        socket.onopen = () => done('open')
        socket.onerror = () => done('refused')
    })"""
    assert open_page().evaluate(connect, socket) == "open"
    context = chromium.new_context()
    other = context.new_page()
    other.route(
        "http://evil.example/", lambda route: route.fulfill(body="<p>another page</p>", content_type="text/html")
    )
    other.goto("http://evil.example/")
    assert other.evaluate(connect, socket) == "refused"
    assert (
        other.evaluate(
            "fetch(arguments[0]).then(() => 'read', () => 'refused')".replace("arguments[0]", repr(server.url))
        )
        == "refused"
    )
    context.close()


def test_a_tag_is_given_and_asked_and_a_follow_up_says_what_was_searched_for(open_page, shot) -> None:
    page = open_page()
    say(page, "How large is a LoRA adapter?")
    page.wait_for_selector(FOOTER)
    expect(page.locator(ANSWER).last).to_contain_text("Searched all 4 papers")
    expect(page.locator("#stop-button")).to_have_count(0)
    page.click("#command-Library")
    library = page.frame_locator("#library-panel")
    for title in ("LoRA", "Draft and Refine"):
        library.locator(f"input[type=checkbox][aria-label*='{title}']").check()
    expect(library.locator("#ticked")).to_contain_text("2 papers ticked")
    library.locator("#ticked input").fill("thesis")
    library.locator("button:text-is('Add tag')").click()
    expect(library.locator("[data-paper] .tag")).to_have_count(2)
    shot(page, "library-tags-light")

    page.click("#mode-picker-trigger-scope")
    page.wait_for_selector("#mode-picker-popover-scope")
    page.wait_for_timeout(300)
    shot(page, "scope-picker-light")
    page.locator("#mode-picker-popover-scope >> text=thesis").click()
    expect(page.locator("#mode-picker-trigger-scope")).to_contain_text("thesis")
    say(page, "Why is it so small?")
    page.wait_for_selector(f"{ANSWER} h6:has-text('Searched for')")
    expect(page.locator(ANSWER).last).to_contain_text("Searched for: Why is it so small (LoRA adapter")
    expect(page.locator(ANSWER).last).to_contain_text("Searched 2 papers tagged “thesis”")
    page.wait_for_timeout(400)
    shot(page, "follow-up-light")

    library.locator("input[type=checkbox][aria-label*='Draft and Refine']").uncheck()
    library.locator("button:text-is('Ask only these')").click()
    expect(library.locator("#scope")).to_contain_text("Questions in this chat search 1 chosen paper.")
    expect(page.locator("#mode-picker-trigger-scope")).to_contain_text("1 chosen paper")
    say(page, "Summarise this paper.")
    page.wait_for_selector(f"{ANSWER} h6:has-text('answered as a summary')")
    shot(page, "summary-light")
    page.wait_for_url(re.compile("/thread/"))
    page.reload()
    page.wait_for_selector(f"{ANSWER} h6:has-text('answered as a summary')")
    expect(page.locator("#mode-picker-trigger-scope")).to_contain_text("1 chosen paper")
    page.click("#command-Library")
    for title in ("LoRA", "Draft and Refine"):  # the server is shared with other tests
        library.locator(f"[aria-label^='Remove the tag thesis'][aria-label*='{title}']").click()
    expect(library.locator("[data-paper] .tag")).to_have_count(0)
    page.wait_for_timeout(300)
