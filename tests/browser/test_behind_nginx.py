"""Scholion for a team: behind a real nginx with the configuration of docs/team.md, over TLS, with accounts."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys

import httpx
import pytest
from pypdf import PdfWriter
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conftest import CHROMIUM, PATIENCE, with_samples
from nginx import MISSING, NAME, NGINX, Nginx, documented
from pdfs import column, write_pdf
from places import ROOT

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: `make .venv/.dev`").expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PERSON, PASSWORD = "ada", "correct horse battery"
ANSWER = ".step[data-step-type=assistant_message] .message-content"
SEEDS = "Garden seeds keep for five years in a dry jar at four degrees, as Miller and Stone measured in 1987."


class Proxy(Nginx):
    """nginx in front of one server."""

    server = None

    def put_before(self, server) -> Proxy:
        self.server = server
        self.start(documented(), to=[server.port])
        return self

    def ask(self, method: str, path: str, *, host: str | None = None, **options) -> httpx.Response:
        """A request of its own, without a browser; TLS is for the proxy's name, whatever the Host says."""
        headers = {"host": host or f"{NAME}:{self.port}", **options.pop("headers", {})}
        with httpx.Client(verify=False, trust_env=False, timeout=120) as client:
            return client.request(
                method,
                f"https://127.0.0.1:{self.port}{path}",
                headers=headers,
                extensions={"sni_hostname": NAME},
                **options,
            )


@pytest.fixture(scope="module")
def team(tmp_path_factory, sample_library):
    """A server with one account, and nginx in front of it."""
    if NGINX is None:
        pytest.skip(MISSING)
    proxy = Proxy(tmp_path_factory.mktemp("nginx"))
    server = with_samples(tmp_path_factory.mktemp("team"), sample_library)
    server.settings |= {"SCHOLION_PEOPLE": "passwords", "SCHOLION_ADDRESS": proxy.url}
    made = subprocess.run(
        [sys.executable, "-m", "ui", "people", "add", PERSON],
        cwd=ROOT,
        env=os.environ | {"SCHOLION_LIBRARY": str(server.library)},
        input=f"{PASSWORD}\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    try:
        server.start()
        yield proxy.put_before(server)
    finally:
        proxy.stop()
        server.stop()


@pytest.fixture(scope="module")
def browser(chromium):
    """A Chromium that finds the proxy under its name."""
    options = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    made = chromium.browser_type.launch(executable_path=CHROMIUM, args=options)
    yield made
    made.close()


@pytest.fixture
def page(team, browser):
    """Signed in, and the websocket is up."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 860}, ignore_https_errors=True)
    made = context.new_page()
    made.set_default_timeout(PATIENCE)
    made.outside, made.sockets = [], []
    local = (team.url, team.url.replace("https", "wss"), "data:", "blob:")
    made.on("request", lambda request: request.url.startswith(local) or made.outside.append(request.url))
    made.on("websocket", lambda opened: made.sockets.append(opened.url))
    made.goto(team.url)
    made.fill("#email", PERSON)
    made.fill("#password", PASSWORD)
    made.click("button[type=submit]")
    made.wait_for_selector("#mode-picker-trigger-answer")
    yield made
    context.close()


def test_through_nginx_a_pdf_is_added_asked_about_and_shown_at_its_source(page, team, tmp_path, shot) -> None:
    assert page.sockets
    assert all(url.startswith(team.url.replace("https", "wss")) for url in page.sockets)
    cookies = [cookie for cookie in page.context.cookies() if cookie["name"].startswith("scholion_")]
    assert cookies
    assert all(cookie["secure"] and cookie["httpOnly"] for cookie in cookies)

    filler = [f"Sentence {n} of the report tells how the jars were opened, weighed and closed." for n in range(30)]
    path = write_pdf(
        tmp_path / "seeds.pdf", column(72, 720, ["Keeping Garden Seeds", "", SEEDS, *filler]), title="Seeds"
    )
    noisy = PdfWriter(clone_from=path)
    noisy.add_attachment("noise.bin", os.urandom(18_000_000))  # larger than anything but a PDF may be
    noisy.write(path)
    page.set_input_files("#upload-button-input", str(path))
    page.wait_for_selector("#attachments")
    page.fill("#chat-input", "How long do garden seeds keep in a dry jar?")
    page.click("#chat-submit:not([disabled])")
    page.wait_for_selector(f"{ANSWER} h6:has-text('stayed on this machine')")
    expect(page.locator(ANSWER).last).to_contain_text("five years")
    shot(page, "behind-nginx")

    page.locator(f"{ANSWER} a[href^='/cite/']").first.click()
    expect(page.frame_locator("#page-of-paper").locator(".mark").first).to_be_visible()
    shot(page, "behind-nginx-source")
    address = page.locator("#page-of-paper").get_attribute("src")
    alone = page.context.new_page()
    alone.set_default_timeout(PATIENCE)
    alone.goto(team.url + address)
    alone.wait_for_function("[...document.images].some((image) => image.naturalWidth > 800)")
    expect(alone.locator(".mark").first).to_be_visible()
    alone.close()

    page.goto(f"{team.url}/library")
    expect(page.locator("[data-paper]")).to_have_count(5)
    assert page.outside == []


def test_through_nginx_only_our_own_pages_are_answered(team) -> None:
    ours = f"{NAME}:{team.port}"
    assert team.ask("GET", "/login").status_code == 200
    assert team.ask("POST", "/login", headers={"origin": team.url}, data={}).status_code != 403
    for headers in (
        {"host": "evil.example"},
        {"host": f"{NAME}"},
        {"host": f"{ours}.evil.example"},
        {"origin": "https://evil.example"},
        {"origin": f"https://{NAME}.evil.example:{team.port}"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
    ):
        reply = team.ask("GET", "/login", host=headers.pop("host", None), headers=headers)
        assert reply.status_code == 403, headers
        assert reply.text == "This address answers only its own pages."


def test_through_nginx_a_websocket_of_another_page_is_refused(team) -> None:
    signed_in = team.ask("POST", "/login", data={"username": PERSON, "password": PASSWORD})
    cookies = "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())
    assert cookies
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def opened(origin: str):
        with socket.create_connection(("127.0.0.1", team.port)) as raw:
            address = f"wss://{NAME}:{team.port}/ws/socket.io/?EIO=4&transport=websocket"
            options = {"ssl": trusting, "server_hostname": NAME, "additional_headers": {"cookie": cookies}}
            with connect(address, sock=raw, origin=origin, **options) as joined:
                return joined.recv(timeout=60)

    assert "sid" in opened(team.url)
    with pytest.raises(InvalidStatus, match="403"):
        opened("https://evil.example")


def test_through_nginx_what_is_private_asks_for_a_sign_in_and_what_is_too_large_is_said(team) -> None:
    assert team.ask("GET", "/papers/0123456789abcdef.pdf").status_code == 401
    assert team.ask("GET", "/insight/figures.json").status_code == 401
    large = b"x" * (18 * 1024 * 1024)
    reply = team.ask("POST", "/feedback", content=large, headers={"content-type": "application/json"})
    assert (reply.status_code, "16 MB" in reply.json()["detail"]) == (413, True)
    policy = team.ask("GET", "/login").headers["content-security-policy"]
    assert f"wss://{NAME}:{team.port}" in policy
    assert team.ask("GET", "/login").headers["strict-transport-security"] == "max-age=31536000"


def test_plain_http_is_sent_to_the_encrypted_address(team) -> None:
    reply = httpx.get(
        f"http://127.0.0.1:{team.plain}/library?x=1", headers={"host": "evil.example"}, trust_env=False, timeout=60
    )
    assert (reply.status_code, reply.headers["location"]) == (301, f"{team.url}/library?x=1")


def test_a_restarted_scholion_is_reached_again_and_whoever_was_signed_in_still_is(team, page) -> None:
    team.server.stop()
    assert team.ask("GET", "/login").status_code == 502
    team.server.start()
    page.goto(team.url)
    page.wait_for_selector("#mode-picker-trigger-answer")
