"""Keep other web pages out: accepted hosts and origins, security headers, limits on request bodies.

Chainlit's websocket accepts every Origin, so without this any page the user visits could query the library.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag.texts import _
from ui.texts.languages import ReaderLanguage
from ui.web.names import NameGuard
from ui.web.rate import RateLimit, is_static

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEGABYTE = 1024 * 1024

BODY_MB = 16
"""Maximum body without a file upload: an order to add a folder of 50,000 papers takes a third of it."""

PRIVATE = (b"cache-control", b"no-store")

ALONE = "/lab"
"""The page that runs a model itself: kept apart from other pages, because only then browsers give it threads, and under
a stricter policy."""

ALONE_POLICY = (
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "worker-src 'self' blob:",  # llama.cpp's threads
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)

POLICY = b"content-security-policy"

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def local_hosts(port: int) -> frozenset[str]:
    """Values of the Host header that mean this server."""
    return frozenset(f"{name}:{port}" for name in LOOPBACK)


def _is_public(host: str) -> bool:
    return host.rpartition(":")[0] not in LOOPBACK


class OriginGuard:
    """Refuses requests and websockets from other pages or under other host names (DNS rebinding)."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] not in {"http", "websocket"} or self._is_ours(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"This address answers only its own pages."})

    def _is_ours(self, scope: Scope) -> bool:
        headers = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
        if headers.get(b"host", "") not in self.hosts:
            return False
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc not in self.hosts:
            return False
        elsewhere = headers.get(b"sec-fetch-site") in {"cross-site", "same-site"}
        return not elsewhere or headers.get(b"sec-fetch-mode") == "navigate"


class SecurityHeaders:
    """Adds headers that forbid the page to contact any other host, whatever a message contains."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app = app
        # Safari does not include websockets in 'self', and an IPv6 address is not a valid source.
        names = [host for host in sorted(hosts) if not host.startswith("[")]
        sockets = " ".join([f"ws://{host}" for host in names] + [f"wss://{host}" for host in names if _is_public(host)])
        policy = (
            "default-src 'self'",
            # inline: Chainlit's index.html; eval: it compiles custom elements in the browser
            "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' {sockets} data: blob:",
            "worker-src 'self' blob:",
            "media-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
        self.headers = [
            (POLICY, "; ".join(policy).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        self.alone = [
            (POLICY, "; ".join(ALONE_POLICY).encode()),
            *((name, value) for name, value in self.headers if name != POLICY),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-embedder-policy", b"require-corp"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                common = self.alone if scope["path"] == ALONE else self.headers
                added = common if is_static(scope["path"]) else [*common, PRIVATE]
                ours = {name for name, _ in added}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in ours]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        await self.app(scope, receive, with_headers)


class _TooLargeError(Exception):
    """The body is larger than allowed."""


class BodyLimit:
    """Refuses bodies that are too large: at once if the length is declared, else as soon as the limit is exceeded."""

    def __init__(self, app: ASGIApp, upload_mb: int) -> None:
        self.app = app
        self.upload_mb = upload_mb

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        megabytes = self.upload_mb if _is_upload(scope["path"]) else BODY_MB
        limit = (megabytes + 1) * MEGABYTE  # plus the form around the file
        told = dict(scope["headers"]).get(b"content-length", b"")
        came, begun, refused = 0, False, False

        async def counted() -> Message:
            nonlocal came, refused
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                refused = True
                raise _TooLargeError
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal begun
            if not refused:  # otherwise the app would report a broken body
                begun = True
                await send(message)

        if told.isdigit() and int(told) > limit:
            await _say_too_large(send, megabytes)
            return
        try:
            await self.app(scope, counted, unless_refused)
        except Exception:
            if not refused:
                raise
        if refused and not begun:
            await _say_too_large(send, megabytes)


def _is_upload(path: str) -> bool:
    return path in {"/project/file", "/v1/papers"} or path.startswith("/library/file/")


async def _say_too_large(send: Send, megabytes: int) -> None:
    text = _("This is larger than {n} MB, the most Scholion accepts at once.").format(n=megabytes)
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": "too_large"}
    await send({"type": "http.response.body", "body": json.dumps({"detail": text, "error": error}).encode()})


def check_host(host: str, *, allowed: str | None = None) -> None:
    """Exit if the server would listen to other machines: `chainlit run --host`, CHAINLIT_HOST.

    Where there are accounts, the address that the settings name is `allowed` too.
    """
    if host not in {*LOOPBACK, "::1", allowed}:
        raise SystemExit(f"Scholion serves this machine only, not {host}. Start it with `make chat`.")


def install(
    app: FastAPI,
    *,
    port: int,
    upload_mb: int,
    is_owner: Callable[[str, HTTPConnection], bool],
    public_host: str | None = None,
) -> None:
    """Put all of these in front of `app`; has no effect after its first request.

    Args:
        app: Chainlit's server.
        port: where it listens.
        upload_mb: the largest file.
        is_owner: whether a session was opened by this browser.
        public_host: what the browsers of other machines call this server; None if they do not reach it.
    """
    if app.middleware_stack is None:
        hosts = local_hosts(port) | ({public_host} if public_host else set())
        app.add_middleware(NameGuard, is_owner=is_owner)
        app.add_middleware(BodyLimit, upload_mb=upload_mb)
        app.add_middleware(RateLimit)
        app.add_middleware(SecurityHeaders, hosts=hosts)
        app.add_middleware(OriginGuard, hosts=hosts)
        app.add_middleware(ReaderLanguage)
