"""Check the names a client sends for sessions, chats, messages and files: only names we made, and no path escapes.

Chainlit builds `files/<session's name>` from the websocket handshake, creates files there and deletes the whole tree
when the session ends; it also inserts a chat's name into SQL. So names are checked twice: on entry, that they have the
only form ever generated; and at each use as a path, that it stays in its folder.
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
"""The exact form of `str(uuid.uuid4())`, which Chainlit's server and page use for all names."""

_IN_PATH = re.compile(r"/project/(?:thread|share|file)/([^/]*)(?:/element/([^/]*))?")
_IN_QUERY = ("session_id", "ask_parent_id")
_IN_BODY = frozenset(
    "sessionId session_id threadId parentId forId elementId feedbackId id cursor userId".split()
)  # fmt: skip
_PARTS = ("feedback", "element", "action", "pagination", "filter", "message")
"""Parts of a body that contain names; the payload of an action or element is checked by its callback."""

_WITH_BODY = ("/project/", "/feedback", "/set-session-cookie", "/mcp")
_SESSION = ("sessionId", "session_id")

INCOMING = "incoming"
"""Subfolder of the library where uploads wait until they are added; one process owns a library."""

LONGEST_PATH = 4000
"""Maximum characters of a URL path; our longest paths, those of attached files, are far shorter."""

UNKNOWN = "There is no such session, chat or file."


class ForeignNameError(ValueError):
    """A name that we did not make, or a path that leaves its folder."""


def is_made(name: object) -> bool:
    """Whether it has exactly the form of the names Chainlit generates."""
    return isinstance(name, str) and _MADE.fullmatch(name) is not None


def inside(folder: Path, name: object) -> Path:
    """The path of that name directly inside the folder, with links resolved.

    Raises:
        ForeignNameError: the name is not one of ours, or the path is a link to elsewhere.
    """
    if not is_made(name):
        raise ForeignNameError(UNKNOWN)
    folder = folder.resolve()
    path = (folder / str(name)).resolve()
    if path.parent != folder:
        raise ForeignNameError(UNKNOWN)
    return path


def remove_leftovers(folder: Path) -> None:
    """Delete uploads left by a crash; only paths of the form that `inside` returns."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if is_made(entry.name) and not entry.is_symlink() and entry.is_dir():
            shutil.rmtree(inside(folder, entry.name), ignore_errors=True)


def check(body: object) -> None:
    """Check that every name in a message or request body is ours; None and empty strings do not count as names.

    Raises:
        ForeignNameError: a name is not ours.
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
    """Refuses requests with names that are not ours, or with a session opened by another browser."""

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
            # a file upload is not JSON; its route reads it in pieces
            if path.startswith(_WITH_BODY) and scope["method"] != "GET" and path != "/project/file":
                body = await read_body(receive)
                receive = body_again(body, receive)
                said += list(_names_in(json_of(body)))
            _check_each(said)
            if path != "/set-session-cookie":  # it names a session that does not exist yet
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
    """The path must be plausible, and where a route takes names, each must be ours."""
    if len(path) > LONGEST_PATH or not path.isprintable():
        raise ForeignNameError(UNKNOWN)
    if match := _IN_PATH.fullmatch(path):
        for name in match.groups():
            if name not in {None, "share"} and not is_made(name):
                raise ForeignNameError(UNKNOWN)


def _in_query(query: bytes) -> list[tuple[str, object]]:
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return [(key, name) for key, name in asked if key in _IN_QUERY]


def json_of(body: bytes) -> object:
    """What the body says as JSON; None if it says nothing."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None  # let the route handle it


async def read_body(receive: Receive) -> bytes:
    """The whole body; `BodyLimit` comes first and bounds it."""
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


def body_again(body: bytes, rest: Receive) -> Receive:
    """A `receive` that repeats the body and then continues with the rest."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await rest()

    return receive
