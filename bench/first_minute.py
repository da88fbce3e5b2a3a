"""What a new user does and waits for: from the start to a checked answer about an own PDF, and on to a better model.

    python bench/first_minute.py [--pdf FILE] [--question TEXT]

A new library, the app as `make chat` starts it once everything is installed, a real Chromium. Each line has the seconds
and what the hands do: clicks, a file dropped, a question typed (with Enter). The better model is a stub that poses as
Ollama on loopback. These are wall-clock times: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from engine_stubs import serving  # noqa: E402
from pdfs import column, write_pdf  # noqa: E402
from served import Served, app_root  # noqa: E402
from writing_engine import MODEL, ollama  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ANSWER = ".step[data-step-type=assistant_message] .message-content"
FOOTER = f"{ANSWER} h6:has-text('stayed on this machine')"
FACT = "Garden seeds keep for five years in a dry jar at four degrees."
QUESTION = "How long do garden seeds keep in a dry jar?"
WAIT = 300_000


class Clock:
    """Tells the time since the last line, and what was done."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()

    def tell(self, what: str, hands: str = "") -> None:
        now = time.monotonic()
        print(f"{now - self.last:7.1f} s  {what}{f'  [{hands}]' if hands else ''}", flush=True)
        self.last = now


class Real(Served):
    """The app as it is, with `python -m ui`."""

    def command(self) -> list[str]:
        return ["-m", "ui"]


def opened(browser: Any, url: str) -> Any:
    page = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 860}).new_page()
    page.set_default_timeout(WAIT)
    page.goto(url)
    page.wait_for_selector("#mode-picker-trigger-answer")
    return page


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pdf", type=Path)
    parser.add_argument("--question", default=QUESTION)
    walk(parser.parse_args())


def walk(options: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver, serving(ollama(FACT)) as engine:
        folder = Path(name)
        lines = [FACT, *(f"Line {n} tells how jar {n} was opened, weighed and closed." for n in range(40))]
        pdf = options.pdf or write_pdf(folder / "seeds.pdf", column(72, 720, lines), title="Seeds in Jars")
        server = Real(library=folder / "library", root=app_root(folder / "root"))
        server.settings = {"OLLAMA_HOST": f"127.0.0.1:{engine.server_port}"}
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        clock = Clock()
        try:
            server.start(patience=300)
            clock.tell("the first start, with the four sample papers added")
            page = opened(browser, server.url)
            clock.tell("the page is open and can be typed into")
            page.set_input_files("#upload-button-input", [str(pdf)])
            page.wait_for_selector("#attachments")
            page.fill("#chat-input", options.question)
            page.click("#chat-submit:not([disabled])")
            page.wait_for_selector("text=is in your library")
            clock.tell("the own PDF is in the library", "a file dropped, a question typed")
            page.wait_for_selector(f"{ANSWER} h6:has-text('Searched')")
            clock.tell("its answer is checked")
            print("          " + page.locator(ANSWER).last.inner_text().split("\n")[0][:100])
            page.locator(f"{ANSWER} a[href^='/cite/']").first.click()
            page.frame_locator("#page-of-paper").locator(".mark").first.wait_for()
            clock.tell("the cited words are marked on their page", "one click")
            print(f"{clock.last - clock.began:7.1f} s  from the start to here\n")
            page = opened(browser, server.url)
            page.wait_for_selector("button:has-text('Settings: Ollama runs here')")
            clock.tell("a new chat says that a model runs here")
            with page.context.expect_page() as settings:
                page.click("button:has-text('Settings: Ollama runs here')")
            row = settings.value.locator(f"[data-model$='#{MODEL}']")
            row.wait_for()
            clock.tell("Settings shows it", "one click")
            row.get_by_role("button", name="Use as drafter").click()
            settings.value.locator("#said", has_text="is now the drafter").wait_for()
            clock.tell("it is the drafter", "one click")
            page.bring_to_front()
            page.fill("#chat-input", options.question)
            page.click("#chat-submit:not([disabled])")
            page.locator(f"{ANSWER} h6", has_text=MODEL).last.wait_for()
            clock.tell("it has answered, and the answer is checked", "back to the chat, a question typed")
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
