"""Limit how many requests one browser makes: what exceeds the limit is refused at once, with the seconds to wait."""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from rag.texts import _

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = ("/assets/", "/public/", "/avatars/", "/lab/engine/")
"""How paths begin that are the same for everybody; browsers must not cache anything else."""

SAME_FOR_ALL = ("/favicon", "/logo")
"""The other such paths."""


def is_static(path: str) -> bool:
    """Whether what is at this path is the same for everybody."""
    return path in SAME_FOR_ALL or path.startswith(STATIC)


PER_SECOND = 100.0
"""Requests of one browser in the long run; a page of the reader needs a few, a folder that is uploaded a few dozen."""

AT_ONCE = 600
"""Requests of one browser that may come together, such as the pages of a long paper."""

MOST_BROWSERS = 1000
"""Browsers remembered; the one that was quiet the longest is forgotten first."""

COOKIE = ("access_token", "scholion_")
"""How the cookie begins by which Chainlit knows a browser; `python -m ui` calls it after its port. It may be cut into
pieces called access_token_0, …"""


def _in_cookies(cookies: dict[str, str]) -> str:
    return "".join(cookies[name] for name in sorted(cookies) if name.startswith(COOKIE))


session_in: Callable[[dict[str, str]], str] = _in_cookies
"""What names a browser's session in its cookies; replaced where there are accounts, as strangers invent some there."""


class RateLimit:
    """A token bucket (Turner 1986, "New directions in communications") for each browser; static files are free."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """For each browser the tokens left and when that was."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] != "http" or is_static(scope["path"]) or (wait := self._wait(scope)) == 0:
            await self.app(scope, receive, send)
            return
        told = {"detail": _("Too many requests at once. Wait a moment, then try again.")}
        headers = [(b"content-type", b"application/json"), (b"retry-after", str(math.ceil(wait)).encode())]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    def _wait(self, scope: Scope) -> float:
        """Take a token. Returns 0 if there was one, otherwise the seconds until there is one."""
        key, now = _browser(scope), self._clock()
        left, at = self._left.pop(key, (float(AT_ONCE), now))
        left = min(float(AT_ONCE), left + (now - at) * PER_SECOND)
        wait = 0.0 if left >= 1 else (1 - left) / PER_SECOND
        self._left[key] = (left if wait else left - 1, now)
        if len(self._left) > MOST_BROWSERS:
            self._left.popitem(last=False)
        return wait


def _browser(scope: Scope) -> str:
    """What tells one browser from another: its session, or its address while it has none."""
    sent = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    try:
        cookies = SimpleCookie(sent)
    except CookieError:
        cookies = SimpleCookie()
    session = session_in({name: one.value for name, one in cookies.items()})
    address = (scope.get("client") or ("",))[0]
    return str(hash(session)) if session else f"at {address}"
