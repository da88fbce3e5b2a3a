"""Who is answered: a key in the header, its scopes, and how often."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations

from ui.api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ui.api.keys import ApiKey, ApiKeys, Scope

PER_MINUTE = 600
"""Requests of one key in a minute."""
MOST_KEYS = 1000


class Pace:
    """Counts the requests of each key in windows of a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def wait(self, key: str) -> int:
        """Count one request. Returns 0 if it may go on, otherwise the seconds until the next window."""
        now = self._clock()
        window = int(now // 60)
        at, n = self._seen.pop(key, (window, 0))
        n = n + 1 if at == window else 1
        self._seen[key] = (window, n)
        if len(self._seen) > MOST_KEYS:
            self._seen.popitem(last=False)
        return 0 if n <= PER_MINUTE else max(1, int(60 * (window + 1) - now))


def key_for(scope: Scope) -> Callable[[Request], Awaitable[ApiKey]]:
    """A dependency: the request's key, if it may do this."""

    async def checked(request: Request) -> ApiKey:
        said = request.headers.get("authorization", "")
        secret = said[7:] if said[:7].lower() == "bearer " else ""
        keys: ApiKeys = request.app.state.keys
        key = await asyncio.to_thread(keys.find, secret) if secret else None
        if key is None and not await asyncio.to_thread(keys.all):
            raise ApiError(404, "The API is off: `python -m ui api add NAME` makes a key and so switches it on.")
        if key is None:
            raise ApiError(
                401, "This needs a key of Scholion: `python -m ui api add NAME` makes one.", code="invalid_api_key"
            )
        if wait := request.app.state.pace.wait(key.id):
            raise ApiError(429, f"More than {PER_MINUTE} requests in a minute: wait {wait} seconds.", code="rate_limit")
        if not key.may(scope):
            raise ApiError(403, f"This key may not do that: it has no scope {scope}.", code="insufficient_scope")
        return key

    return checked
