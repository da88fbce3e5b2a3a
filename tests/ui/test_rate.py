"""The limit on requests, in virtual time."""

from __future__ import annotations

import pytest

from ui.web import rate
from ui.web.rate import AT_ONCE, MOST_BROWSERS, PER_SECOND, RateLimit


class Requests:
    """Sends requests to the limit and keeps their statuses; `now` is the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limit = RateLimit(self._app, clock=lambda: self.now)
        self.headers: list[tuple[bytes, bytes]] = []
        self.cookie = "access_token"

    async def _app(self, scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def __call__(self, n: int = 1, *, session: str | None = None, path: str = "/library") -> list[int]:
        statuses: list[int] = []

        async def send(message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                self.headers = message["headers"]

        cookies = [(b"cookie", f"{self.cookie}={session}".encode())] if session else []
        scope = {"type": "http", "path": path, "headers": cookies, "client": ("127.0.0.1", 5)}
        for _ in range(n):
            await self.limit(scope, None, send)
        return statuses


@pytest.fixture
def requests() -> Requests:
    return Requests()


async def test_a_thousand_requests_in_a_second_are_answered_up_to_the_limit_and_refused_beyond_it(requests) -> None:
    statuses = await requests(1000)
    assert statuses == [200] * AT_ONCE + [429] * (1000 - AT_ONCE)
    assert (b"retry-after", b"1") in requests.headers


async def test_after_a_second_as_many_are_answered_as_fit_into_one(requests) -> None:
    await requests(AT_ONCE + 1)
    requests.now += 1.0
    assert (await requests(int(PER_SECOND) + 1)).count(200) == int(PER_SECOND)


@pytest.mark.parametrize("cookie", ["access_token", "access_token_0", "scholion_8421"])
async def test_one_browser_takes_nothing_from_another(requests, cookie) -> None:
    requests.cookie = cookie
    await requests(AT_ONCE + 1, session="one")
    assert await requests(session="two") == [200]
    assert await requests(session="one") == [429]


async def test_static_files_are_free(requests) -> None:
    await requests(AT_ONCE + 1)
    assert await requests(path="/public/page.css") == [200]


async def test_memory_is_bounded(requests) -> None:
    for n in range(MOST_BROWSERS + 50):
        await requests(session=f"s{n}")
    assert len(requests.limit._left) == MOST_BROWSERS


async def test_a_broken_cookie_is_no_session(requests) -> None:
    scope = {"headers": [(b"cookie", b"a\x00b=;;; \xff")], "client": None}
    assert rate._browser(scope) == "at "


async def test_what_only_begins_like_a_picture_is_counted(requests) -> None:
    assert (await requests(AT_ONCE + 1, path="/logout"))[-1] == 429
    assert (await requests(2, path="/logo", session="two")) == [200, 200]
    assert (await requests(AT_ONCE + 1, path="/logo", session="two"))[-1] == 200
