"""Every request: its number, its time, and a line in the log. Addresses appear as patterns, without anybody's names."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ui.operate import metrics
from ui.operate.settings import settings
from ui.people import rules
from ui.web.rate import is_static

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("scholion.requests")

HEADER: Final = b"x-request-id"
_GIVEN = re.compile(r"[A-Za-z0-9-]{8,64}")
"""A number that a proxy gave, so that its log and ours fit together."""

number: ContextVar[str] = ContextVar("request", default="")
"""The number of the request that is being answered; empty if there is none."""


class Requests:
    """Numbers, times and counts what comes in; the outermost layer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] == "websocket":
            metrics.pages.add()
            try:
                await self.app(scope, receive, send)
            finally:
                metrics.pages.add(n=-1)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")
        this = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        token, began, status = number.set(this), time.perf_counter(), 500

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (HEADER, this.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, numbered)
        finally:
            seconds = time.perf_counter() - began
            route = _route(scope)
            metrics.requests.add(route, str(status))
            metrics.request_seconds.observe(seconds)
            if settings().log == "json":
                facts = {"route": route, "status": status, "seconds": seconds}
                log.info("%s %s", route, status, extra={"facts": facts})
            number.reset(token)


def _route(scope: Scope) -> str:
    """The pattern of the address: what is in no list is one of all others."""
    if is_static(scope["path"]):
        return "static"
    action, _ = rules.action_of(scope["method"], scope["path"])
    return action if action in rules.NEEDS and "full_path" not in action else "other"


class AsJson(logging.Formatter):
    """A line of the log as one JSON object: time, level, logger, request, message; and of an error where it was."""

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102 - as its parent's
        row: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request": number.get() or None,
            "message": record.getMessage(),
        }
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            row |= {name: round(value, 4) if isinstance(value, float) else value for name, value in facts.items()}
        if record.exc_info:
            row["error"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False)


def begin() -> None:
    """Write the log as the settings say; call it once uvicorn has set up its own."""
    if settings().log != "json":
        return
    handler = logging.StreamHandler()
    handler.setFormatter(AsJson())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in ("chainlit", "scholion", "uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # whole addresses
    log.setLevel(logging.INFO)
