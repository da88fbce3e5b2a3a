"""What a person waits for in the browser: the first view, and each word while an answer is written.

    python bench/screen.py [--words 500] [--rate 50] [--runs 3] [--lighthouse PROGRAM]

The first view is that of a warm server in a new profile, with packets to other hosts dropped by Chromium. The writing
is that of a fake drafter whose every word is the moment at which it was written, so that the page itself can tell how
late a word is on the screen: the time from writing it to the frame after it stands in the page. `--lighthouse` names
the program of the npm package of that name; its score is for a slowed-down phone unless its own options say otherwise.
These are wall-clock times: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from fakes import ScriptedChatModel  # noqa: E402
from rag.costs.accounting import Usage  # noqa: E402
from rag.models.chat import Completion  # noqa: E402
from served import Served, app_root  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from rag.message import Message

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
QUESTION = "How much memory does a KV cache take for one token?"
WAIT = 120_000

WATCH = """() => {
    window.seen = new Map();
    const look = () => {
        const now = Date.now();
        for (const [word] of document.body.textContent.matchAll(/t1\\d{12}/g))
            if (!window.seen.has(word)) window.seen.set(word, now - Number(word.slice(1)));
    };
    new MutationObserver(() => requestAnimationFrame(look)).observe(
        document.body, { subtree: true, childList: true, characterData: true });
}"""
PAINTS = """() => new Promise(found => {
    new PerformanceObserver(list => {
        const largest = list.getEntries().at(-1).startTime;
        const first = performance.getEntriesByName('first-contentful-paint')[0].startTime;
        const loaded = performance.getEntriesByType('resource');
        found({ first, largest, requests: loaded.length + 1,
                bytes: loaded.reduce((sum, one) => sum + one.encodedBodySize, 0) });
    }).observe({ type: 'largest-contentful-paint', buffered: true });
})"""


class StampingDrafter(ScriptedChatModel):
    """A fake drafter: each word is "t" and the milliseconds since 1970 at which it was written."""

    def __init__(self, words: int, rate: float) -> None:
        super().__init__(name="stamping")
        self._words, self._every = words, 1 / rate

    async def stream(self, messages: Sequence[Message], **_options: Any) -> AsyncGenerator[str | Completion, None]:
        began = time.monotonic()
        for n in range(self._words):
            await asyncio.sleep(max(0.0, began + n * self._every - time.monotonic()))
            yield f" t{time.time_ns() // 1_000_000}"
        yield Completion(
            finish_reason="stop",
            usage=Usage(await self.count_tokens(messages), self._words),
            seconds=time.monotonic() - began,
            first_token_seconds=0.0,
            mean_logprob=-0.5,
            low_logprob=-1.5,
            model=self.name,
        )


class Stamping(Served):
    """The app with that drafter."""

    def command(self) -> list[str]:
        return [__file__, "--serve"]


def serve(arguments: Sequence[str]) -> int:
    from ui import core
    from ui.__main__ import main as ui_main

    core.assistant().drafter = StampingDrafter(int(os.environ["STAMPS"]), float(os.environ["STAMP_RATE"]))
    return ui_main(arguments)


def first_view(browser: Any, url: str) -> dict[str, float]:
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(url)
    page.wait_for_selector("#mode-picker-trigger-answer", timeout=WAIT)
    found = page.evaluate(PAINTS) | {"ready": page.evaluate("performance.now()")}
    page.context.close()
    return found


def lags(browser: Any, url: str) -> list[int]:
    """Milliseconds for each word that came to the screen while the answer was written."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(url)
    page.wait_for_selector("#mode-picker-trigger-answer", timeout=WAIT)
    page.evaluate(WATCH)
    page.fill("#chat-input", QUESTION)
    page.click("#chat-submit:not([disabled])")
    page.wait_for_selector("h6:has-text('stayed on this machine')", timeout=WAIT)
    found = page.evaluate("[...window.seen.values()]")
    page.context.close()
    return found


def lighthouse(program: str, url: str) -> None:
    asked = [program, url, "--only-categories=performance", "--output=json", "--quiet", "--preset=desktop"]
    flags = ["--chrome-flags=--headless=new --no-sandbox --disable-gpu " + ONLY_HERE]
    done = subprocess.run(
        asked + flags, capture_output=True, text=True, check=False, env=os.environ | {"CHROME_PATH": str(CHROMIUM)}
    )
    if done.returncode:
        print(f"Lighthouse ended with {done.returncode}: {done.stderr[-500:]}")
        return
    found = json.loads(done.stdout)
    names = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
    shown = "; ".join(f"{name} {found['audits'][name]['displayValue']}" for name in names)
    print(
        f"Lighthouse {found['lighthouseVersion']}: performance {found['categories']['performance']['score']}; {shown}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--words", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50, help="words a second")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lighthouse", metavar="PROGRAM")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    os.environ |= {"STAMPS": str(options.words), "STAMP_RATE": str(options.rate)}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        server = Stamping(library=Path(name) / "library", root=app_root(Path(name) / "root"))
        server.settings = {"SCHOLION_ANSWERS": "written"}
        server.start(patience=300)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", ONLY_HERE])
        try:
            first_view(browser, server.url)  # warms the server
            for _ in range(options.runs):
                seen = first_view(browser, server.url)
                print(
                    f"first paint {seen['first']:.0f} ms, largest {seen['largest']:.0f} ms, ready to type "
                    f"{seen['ready']:.0f} ms; {seen['requests']:.0f} requests, {seen['bytes'] / 1e6:.2f} MB"
                )
            for _ in range(options.runs):
                found = lags(browser, server.url)
                p50, p95 = np.percentile(found, [50, 95])
                written = f"{len(found)} of {options.words} words seen at {options.rate:.0f} a second"
                print(f"{written}: late by p50 {p50:.0f} ms, p95 {p95:.0f} ms, most {max(found)} ms")
            if options.lighthouse:
                for _ in range(options.runs):
                    lighthouse(options.lighthouse, server.url)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        sys.exit(serve(sys.argv[2:]))
    main()
