"""Run inside a network namespace that leads nowhere: start, ingest, chat and upload; print what tried to leave.

The only way out is an interface that swallows every packet, as a firewall that drops does. Its counter counts them.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from playwright.sync_api import sync_playwright

from conftest import CHROMIUM, PATIENCE, Server
from pdfs import column, write_pdf

STAY = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def packets() -> int:
    """Packets sent through the only way out, as the kernel counts them in this namespace."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("away0:"))
    return int(line.partition(":")[2].split()[9])


def prove_that_the_counter_counts() -> int:
    """Packets counted when something does leave: without this, a zero would prove nothing."""
    before = packets()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stray:
        stray.sendto(b"hello", ("198.51.100.1", 9))
    time.sleep(0.2)
    return packets() - before


def main() -> None:
    report: dict[str, object] = {"control": prove_that_the_counter_counts()}
    begun = packets()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        report["start_seconds"] = round(server.start(), 1)
        report["after_start_and_ingest"] = packets() - begun
        requests: list[str] = []
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=STAY)
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("request", lambda request: requests.append(request.url))
            page.on("websocket", lambda ws: requests.append(ws.url))
            opened = time.monotonic()
            page.goto(server.url)
            page.wait_for_selector("#mode-picker-trigger-answer")
            report["composer_seconds"] = round(time.monotonic() - opened, 1)
            page.fill("#chat-input", "How is the size of the key-value cache computed?")
            page.click("#chat-submit:not([disabled])")
            page.wait_for_selector("h6:has-text(' tokens'), h6:has-text('stayed on this machine')")
            page.locator(".message-content a[href^='/cite/']").first.click()
            page.frame_locator("#page-of-paper").locator("img").first.wait_for()
            text = [f"Line {n} of a note on keeping seeds dry and cold in closed jars." for n in range(20)]
            page.set_input_files("#upload-button-input", write_pdf(folder / "seeds.pdf", column(72, 720, text)))
            page.wait_for_selector("#attachments")
            page.click("#chat-submit:not([disabled])")
            page.wait_for_selector("text=is in your library")
            browser.close()
        server.stop()
        here = (server.url, server.url.replace("http", "ws", 1), "data:", "blob:")
        report["requests"] = len(requests)
        report["foreign_requests"] = [url for url in requests if not url.startswith(here)]
        report["packets"] = packets() - begun
    print(json.dumps(report))


if __name__ == "__main__":
    main()
