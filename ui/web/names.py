"""The names that a client sends for sessions, chats, messages and files: only those that we made, and no path leaves.

Chainlit builds `files/<session's name>` from what the client says in the websocket's handshake, makes files there and
removes the whole tree when the session ends; it writes a chat's name into SQL text. So both are asked here: the door,
whether a name is of the only form that is ever made, and each place of use, whether the path stays in its folder.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""`str(uuid.uuid4())`, which Chainlit's server and its page give to everything, and no other way to write one."""

_IN_PATH = re.compile(r"/project/(?:thread|share|file)/([^/]*)(?:/element/([^/]*))?")
_IN_QUERY = ("session_id", "ask_parent_id")
_IN_BODY = frozenset(
    "sessionId session_id threadId parentId forId elementId feedbackId id cursor userId".split()
)  # fmt: skip
_PARTS = ("feedback", "element", "action", "pagination", "filter", "message")
"""The parts of a body with names of their own; what an action or an element carries is the callback's to check."""

_WITH_BODY = ("/project/", "/feedback", "/set-session-cookie", "/mcp")
_SESSION = ("sessionId", "session_id")

INCOMING = "incoming"
"""The folder of the library in which uploads lie until they are added: one process owns a library."""

LONGEST_PATH = 4000
"""Characters of an address's path; the longest of ours are those of attached files, well below it."""

UNKNOWN = "There is no such session, chat or file."


class ForeignNameError(ValueError):
    """A name that nobody here made, or a path that leaves its folder."""


def is_made(name: object) -> bool:
    """Whether it is a name as Chainlit makes them, letter for letter."""
    return isinstance(name, str) and _MADE.fullmatch(name) is not None


def inside(folder: Path, name: object) -> Path:
    """The place of that name directly below the folder, with every link followed.

    Raises:
        ForeignNameError: the name is not one of ours, or the place is a link to elsewhere.
    """
    if not is_made(name):
        raise ForeignNameError(UNKNOWN)
    folder = folder.resolve()
    path = (folder / str(name)).resolve()
    if path.parent != folder:
        raise ForeignNameError(UNKNOWN)
    return path


def remove_leftovers(folder: Path) -> None:
    """Remove what a crash left of uploads; only places of the form that `inside` gives."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if is_made(entry.name) and not entry.is_symlink() and entry.is_dir():
            shutil.rmtree(inside(folder, entry.name), ignore_errors=True)


def check(body: object) -> None:
    """Raise unless every name in a message or a request's body is ours; nothing, or an empty text, is no name.

    Raises:
        ForeignNameError: one is not.
    """
    _check_each(_names_in(body))


def _names_in(body: object) -> Iterator[tuple[str, object]]:
    if not isinstance(body, dict):
        return
    for part in (body, *(body.get(name) for name in _PARTS)):
        if isinstance(part, dict):
            yield from ((key, part[key]) for key in _IN_BODY & part.keys())
    references = body.get("fileReferences")
    for reference in references if isinstance(references, list) else ():
        yield "id", reference.get("id") if isinstance(reference, dict) else reference


class NameGuard:
    """Refuses a request that names anything by a name that is not ours, or a session that another browser opened."""

    def __init__(self, app: ASGIApp, is_owner: Callable[[str, HTTPConnection], bool]) -> None:
        self.app = app
        self.is_owner = is_owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        try:
            _check_path(path)
            said = _in_query(scope["query_string"])
            # a file's upload is no JSON: it is left to the route, which reads it in pieces
            if path.startswith(_WITH_BODY) and scope["method"] != "GET" and path != "/project/file":
                body = await _read(receive)
                receive = _again(body, receive)
                said += list(_names_in(_object(body)))
            _check_each(said)
            if path != "/set-session-cookie":  # it names a session that is about to be opened
                self._check_owner(said, HTTPConnection(scope))
        except ForeignNameError as error:
            await send(
                {"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": json.dumps({"detail": str(error)}).encode()})
        else:
            await self.app(scope, receive, send)

    def _check_owner(self, said: Iterable[tuple[str, object]], connection: HTTPConnection) -> None:
        for key, name in said:
            if key in _SESSION and not self.is_owner(str(name), connection):
                raise ForeignNameError(UNKNOWN)


def _check_each(said: Iterable[tuple[str, object]]) -> None:
    for key, name in said:
        if not is_made(name) and (name or key in _SESSION):
            raise ForeignNameError(UNKNOWN)


def _check_path(path: str) -> None:
    """No file has such a name; and where a route takes names, each is ours."""
    if len(path) > LONGEST_PATH or not path.isprintable():
        raise ForeignNameError(UNKNOWN)
    if match := _IN_PATH.fullmatch(path):
        for name in match.groups():
            if name not in {None, "share"} and not is_made(name):
                raise ForeignNameError(UNKNOWN)


def _in_query(query: bytes) -> list[tuple[str, object]]:
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return [(key, name) for key, name in asked if key in _IN_QUERY]


def _object(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None  # the route says what it thinks of it


async def _read(receive: Receive) -> bytes:
    """The whole body; `BodyLimit` stands before and bounds it."""
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def _again(body: bytes, rest: Receive) -> Receive:
    """What gives the body once more, and then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await rest()

    return receive
