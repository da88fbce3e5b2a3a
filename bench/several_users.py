"""The users of `bench/several_apps.py`: each with a page as a browser has it, and a list of what they were told.

A page connects again by itself when its websocket breaks, and then names its chat, so that any process can show what is
stored of it. Who gets an error does what people do: they wait a moment and try again. What was *told* must be there
afterwards: a question after which the server has shown something, an answer that was shown whole, a paper that was said
to be in the library, a tag or a vote whose request was answered.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import socketio

from ingest.files import paper_id
from pdfs import column, write_pdf
from served import Page, new_id, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUESTIONS = (
    "How large is the file of the rank-16 adapter on all seven matrices?",
    "With the strict gate, what percentage of the drafts that are let through is right?",
    "From how many monthly users on does a company have to ask Meta for its own licence?",
    "How many hours of writing do 512 training examples take at five minutes each?",
)
PASSWORD = "correct horse battery"
SHOWN = {"new_message", "update_message", "stream_start", "stream_token"}
"""Events with which the server answers a message; the page shows the question itself before the server has it, and no
runs."""
SOURCES, WHOLE = re.compile(r"passages? from \d"), re.compile("stayed on this machine|not in your papers")
ADDED, REFUSED = re.compile(r"is (already )?in your library"), re.compile("was not added")
ERROR = re.compile(r"'isError': True|'type': 'error'")
BROKE_OFF = re.compile(r"Scholion was interrupted[^*]*")
PATIENCE, AGAIN_SECONDS = 120.0, 2.0
NOTICED_SECONDS = 1.0
"""Within this time after a kill, a page may still send to the process that is gone."""


@dataclass
class Told:
    """What the users were told, and how long it took."""

    asked: dict[str, str] = field(default_factory=dict)
    """For each question, by its name, who asked it."""
    answered: dict[str, str] = field(default_factory=dict)
    """For each answer, by the id of its message, the name of the question."""
    papers: dict[str, tuple[str, str]] = field(default_factory=dict)
    """For each paper the title and who added it."""
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)
    """For each paper the tag and who gave it."""
    shared: set[str] = field(default_factory=set)
    votes: dict[str, int] = field(default_factory=dict)
    """For each answer, by the id of its message."""
    kills: list[tuple[float, str]] = field(default_factory=list)
    """When which process was killed."""
    errors: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """What was tried, what was said of it, and whether it was in flight on the process that was killed."""
    refused: Counter[str] = field(default_factory=Counter)
    """What was said to a page that connected."""
    times: list[tuple[str, float, float]] = field(default_factory=list)
    """What, when it began, and when it was there."""

    def in_flight(self, began: float, process: str) -> bool:
        """Whether what is failing now was with a process when that was killed."""
        now = time.monotonic()
        return any(who == process and began - NOTICED_SECONDS <= when <= now for when, who in self.kills)


class BrokenError(Exception):
    """It failed, which was noted; to be tried again."""


class Socket(socketio.AsyncClient):
    """As patient as the client of the browser when it connects, also again."""

    async def connect(self, *arguments: Any, **options: Any) -> None:
        await super().connect(*arguments, **{**options, "wait_timeout": 20})


class User(Page):
    """A person with a browser."""

    def __init__(self, url: str, name: str, told: Told, *, seed: int) -> None:
        super().__init__(url)
        self.name, self.told, self.chance = name, told, random.Random(seed)
        self.http = httpx.AsyncClient(base_url=url, timeout=PATIENCE, verify=False, trust_env=False)
        self.session, self.thread = new_id(), ""
        self.web: aiohttp.ClientSession | None = None
        self.lost = 0
        """How often the websocket broke."""
        self.connected, self.news = asyncio.Event(), asyncio.Event()
        self.made = 0

    # ---- the page -----------------------------------------------------------------------------------------------

    async def sign_in(self) -> User:
        """With the password."""
        reply = await self.http.post("/login", data={"username": self.name, "password": PASSWORD})
        reply.raise_for_status()
        return self

    @property
    def process(self) -> str:
        """Which process serves this browser."""
        return self.http.cookies.get("served_by") or ""

    async def visit(self) -> None:
        """Open the page as on another day: still signed in, with a new chat, and with any of the processes."""
        await self.leave()
        self.http.cookies.delete("served_by")
        await self.http.get("/")
        self.session, self.thread = new_id(), ""
        self.web = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.socket = Socket(http_session=self.web, ssl_verify=False, reconnection_delay=1)
        self.socket.on("connect", self._opened)
        self.socket.on("disconnect", self._closed)
        self.socket.on("connect_error", self._refused)
        self.socket.on("*", self._heard)
        await self.socket.connect(
            self.url,
            headers=self._headers,
            auth=self._named,
            socketio_path="/ws/socket.io",
            transports=["websocket"],
            retry=True,
        )
        await self.wait_for_page()

    async def leave(self) -> None:
        """Close the page."""
        if self.web:
            await self.socket.shutdown()
            await self.web.close()
        self.connected.clear()

    async def close(self) -> None:
        await self.leave()
        await self.http.aclose()

    async def wait_for_page(self) -> None:
        """Until the page is connected."""
        async with asyncio.timeout(PATIENCE):
            await self.connected.wait()

    def _headers(self) -> dict[str, str]:
        assert self.web
        self.web.cookie_jar.clear()
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())}

    def _named(self) -> dict[str, str]:
        return {
            "sessionId": self.session,
            "clientType": "webapp",
            "threadId": self.thread,
            "userEnv": "{}",
            "chatProfile": "",
        }

    async def _opened(self) -> None:
        assert self.web
        for cookie in self.web.cookie_jar:
            if cookie.key == "served_by" and cookie["domain"]:  # from the reply, not what was sent
                self.http.cookies.delete("served_by")
                self.http.cookies.set("served_by", cookie.value, domain=cookie["domain"])
        await self.socket.emit("connection_successful")
        self.connected.set()

    def _closed(self, *_: Any) -> None:
        self.lost += 1
        self.connected.clear()
        self.news.set()

    def _refused(self, why: Any) -> None:
        self.told.refused[str(why)] += 1

    def _heard(self, event: str, *data: Any) -> None:
        self.heard.append((event, data[0] if data else None))
        if event == "first_interaction":
            self.thread = data[0]["thread_id"]
        self.news.set()

    async def _hear(self, test: Callable[[str, Any], Any], since: int, *, lost: int | None = None) -> Any:
        """The first event after `since` that passes the test; None if none came in time.

        Raises:
            BrokenError: the websocket broke before; not raised if `lost` is None.
        """
        at, end = since, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.news.clear()
            while at < len(self.heard):
                if test(*self.heard[at]):
                    return self.heard[at]
                at += 1
            if lost is not None and self.lost != lost:
                raise BrokenError
            try:
                async with asyncio.timeout(5):
                    await self.news.wait()
            except TimeoutError:
                continue
        return None

    async def _send(self, text: str, files: tuple[str, ...] = ()) -> int:
        """As `send`, once the page is connected: the client of the browser keeps it until then."""
        while True:
            await self.wait_for_page()
            try:
                return await send(self, text, files)
            except socketio.exceptions.SocketIOError:
                await asyncio.sleep(0.1)

    def _failed(self, what: str, said: str, began: float, process: str) -> BrokenError:
        self.told.errors[what, re.sub(r"\d\d+|\*\*.*?\*\*", "…", said), self.told.in_flight(began, process)] += 1
        return BrokenError()

    async def _request(self, what: str, method: str, path: str, **options: Any) -> Any:
        """The reply's JSON.

        Raises:
            BrokenError: there is none.
        """
        began, process = time.monotonic(), self.process
        try:
            reply = await self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._failed(what, f"no sentence: {type(error).__name__}", began, process) from error
        if reply.is_success:
            return reply.json()
        try:
            said = str(reply.json()["detail"])
        except (ValueError, KeyError, TypeError):
            said = f"no sentence: status {reply.status_code}"
        raise self._failed(what, said, began, process)

    async def _until_done(self, what: str, work: Callable[[], Any]) -> Any:
        """Do it again after each failure; notes how long all of it took."""
        began = time.monotonic()
        for _ in range(20):
            await self.wait_for_page()
            try:
                done = await work()
            except BrokenError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.told.times.append((what, began, time.monotonic()))
                return done
        raise AssertionError(f"{self.name} has given up: {what}, {self.told.errors}")

    # ---- what they do -------------------------------------------------------------------------------------------

    async def asks(self, until: float) -> None:
        """A question every 30 s after the answer, and votes on some answers."""
        await asyncio.sleep(self.chance.uniform(0, 30))
        while time.monotonic() < until:
            await self.ask()
            await asyncio.sleep(self.chance.uniform(15, 45))
            if self.chance.random() < 0.2:
                await self.visit()

    async def ask(self) -> None:
        """A question, again until it is answered, and perhaps a vote."""
        began, had = time.monotonic(), []
        asked = self.chance.choice(QUESTIONS)

        async def once() -> str:
            self.made += 1
            name = f"{self.name} {self.made}"
            sent, lost, process = time.monotonic(), self.lost, self.process
            before = await self._send(f"{asked} ({name})")
            try:
                await self._hear(lambda event, data: event in SHOWN and data.get("type") != "run", before, lost=lost)
                self.told.asked[name] = self.name
                seen = await self._hear(lambda _, data: SOURCES.search(str(data)), before, lost=lost)
                if seen and not had:
                    had.append(time.monotonic())
                ended = await self._hear(
                    lambda event, data: event in SHOWN and (WHOLE.search(str(data)) or ERROR.search(str(data))),
                    before,
                    lost=lost,
                )
            except BrokenError as error:
                await self.wait_for_page()
                said = await self._said_after(before)
                raise self._failed("question", said, sent, process) from error
            if ended is None or not WHOLE.search(str(ended[1])):
                said = ended[1]["output"] if ended else "no sentence: no answer in time"
                raise self._failed("question", said, sent, process)
            self.told.answered[ended[1]["id"]] = name
            return str(ended[1]["id"])

        step = await self._until_done("answered", once)
        self.told.times.append(("sources", began, had[0]))
        if self.chance.random() < 0.5:
            await asyncio.sleep(self.chance.uniform(1, 3))
            await self._vote(step)

    async def _said_after(self, since: int) -> str:
        """What the page is told of what broke off, once it is connected again."""
        found = None
        if self.thread:  # else the server had nothing of this chat
            found = await self._hear(lambda event, _: event.startswith("resume_thread"), since)
        told = BROKE_OFF.search(str(found))
        return told[0] if told else "the page's own sentence, while it is not connected"

    async def _vote(self, step: str) -> None:
        value = self.chance.randrange(2)
        for one in (value, 1 - value) if self.chance.random() < 0.3 else (value,):
            body = {"feedback": {"forId": step, "value": one, "threadId": self.thread}, "sessionId": self.session}

            async def once(body: dict[str, Any] = body) -> Any:
                return await self._request("vote", "PUT", "/feedback", json=body)

            await self._until_done("vote", once)
            self.told.votes[step] = one

    async def adds(self, until: float, folder: Path) -> None:
        """A paper every 60 s, each with a tag; every second one is shared first."""
        await asyncio.sleep(self.chance.uniform(0, 60))
        while time.monotonic() < until:
            await self._add(folder)
            await asyncio.sleep(self.chance.uniform(30, 90))
            if self.chance.random() < 0.2:
                await self.visit()

    async def _add(self, folder: Path) -> None:
        self.made += 1
        title = f"Notes {self.made} of {self.name}"
        lines = [f"Line {k} of the notes {self.made} of {self.name}, about soil, seeds and water." for k in range(30)]
        path = write_pdf(folder / f"{self.name}n{self.made}.pdf", column(72, 720, lines), title=title)
        content, paper = path.read_bytes(), paper_id(path)

        async def once() -> None:
            sent, lost, process = time.monotonic(), self.lost, self.process
            stored = await self._request(
                "upload",
                "POST",
                "/project/file",
                params={"session_id": self.session},
                files={"file": (path.name, content, "application/pdf")},
            )
            if self.lost != lost or not self.connected.is_set():
                raise self._failed("upload", await self._said_after(len(self.heard)), sent, process)
            before = await self._send("", (stored["id"],))

            def is_end(_: str, data: Any) -> bool:
                said = str(data)
                named = title in said or path.stem in said
                return bool(named and (ADDED.search(said) or REFUSED.search(said))) or bool(ERROR.search(said))

            try:
                ended = await self._hear(is_end, before, lost=lost)
            except BrokenError as error:
                await self.wait_for_page()
                raise self._failed("upload", await self._said_after(before), sent, process) from error
            if ended is None or not ADDED.search(str(ended[1])):
                said = ended[1]["output"] if ended else "no sentence: not added in time"
                raise self._failed("upload", said, sent, process)

        await self._until_done("added", once)
        self.told.papers[paper] = (title, self.name)
        if self.made % 2:

            async def share() -> Any:
                return await self._request("share", "POST", "/library/share", json={"ids": [paper], "on": True})

            await self._until_done("share", share)
            self.told.shared.add(paper)
        tag = f"tag {self.made} of {self.name}"

        async def give() -> Any:
            return await self._request("tag", "POST", "/library/tag", json={"ids": [paper], "tag": tag})

        await self._until_done("tag", give)
        self.told.tags[paper] = (tag, self.name)
