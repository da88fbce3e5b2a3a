"""What keeps other web pages out: the only accepted hosts and origins, and the headers that keep the page at home.

Chainlit's websocket takes every Origin, so without this any page that the user visits could ask the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def local_hosts(port: int) -> frozenset[str]:
    """The values of a Host header that mean this server."""
    return frozenset(f"{name}:{port}" for name in LOOPBACK)


class OriginGuard:
    """Refuses requests and websockets that come from another page or under another name (DNS rebinding)."""

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
    """Adds the headers that forbid every other host to the page, whatever stands in a message."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app = app
        # Safari does not count them as 'self'; an IPv6 address is no valid source.
        sockets = " ".join(f"ws://{host}" for host in sorted(hosts) if not host.startswith("["))
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
            (b"content-security-policy", "; ".join(policy).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in self.headers}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in ours]
                message = {**message, "headers": [*kept, *self.headers]}
            await send(message)

        await self.app(scope, receive, with_headers)


def check_host(host: str) -> None:
    """End the program where the server would listen to other machines: `chainlit run --host`, CHAINLIT_HOST."""
    if host not in {*LOOPBACK, "::1"}:
        raise SystemExit(f"Scholion answers this machine only, not {host}. Start it with `make chat`.")


def install(app: FastAPI, *, port: int) -> None:
    """Put both in front of `app`; only before its first request, afterwards nothing happens."""
    if app.middleware_stack is None:
        hosts = local_hosts(port)
        app.add_middleware(SecurityHeaders, hosts=hosts)
        app.add_middleware(OriginGuard, hosts=hosts)
