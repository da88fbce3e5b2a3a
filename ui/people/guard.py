"""The door where there are accounts: who asks, what the request needs, and whose things it names. See `rules`."""

from __future__ import annotations

import ipaddress
import json
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from chainlit.auth import get_token_from_cookies
from chainlit.data import get_data_layer
from starlette.requests import HTTPConnection

from ingest import UserFacingError
from rag.texts import now, said
from ui.people import rules, who
from ui.web import names
from ui.web.pages import translated
from ui.web.rate import is_static

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ui.people.rules import At, Kind

_OWNERS: dict[Kind, str] = {
    "chat": 'SELECT t."userIdentifier" AS owner FROM threads t WHERE t."id" = :id',
    "step": (
        'SELECT t."userIdentifier" AS owner FROM steps x JOIN threads t ON t."id" = x."threadId" WHERE x."id" = :id'
    ),
    "feedback": (
        'SELECT t."userIdentifier" AS owner FROM feedbacks x JOIN steps s ON s."id" = x."forId" '
        'JOIN threads t ON t."id" = s."threadId" WHERE x."id" = :id'
    ),
    "element": (
        'SELECT t."userIdentifier" AS owner FROM elements x JOIN threads t ON t."id" = x."threadId" WHERE x."id" = :id'
    ),
    "upload": 'SELECT u."identifier" AS owner FROM users u WHERE u."id" = :id',
}
"""Whose a thing is: the person's id is Chainlit's identifier of the user."""


async def thing(kind: Kind, name: str) -> rules.Thing:
    """The thing with this name and whose it is; papers are looked up by `rules` itself."""
    if kind == "paper":
        return rules.Thing(kind, name)
    layer: Any = get_data_layer()
    rows = await layer.execute_sql(_OWNERS[kind], {"id": name})
    if not isinstance(rows, list):  # the history cannot be read
        raise rules.NoSuchThingError(rules.GONE)
    owner = rows[0]["owner"] if rows else None
    return rules.Thing(kind, name, "" if rows and owner is None else owner)  # one without an owner is nobody's


class PeopleGuard:
    """Refuses what `rules` does not allow who asks, before any route sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - the ASGI protocol
        if scope["type"] not in {"http", "websocket"} or is_static(scope["path"]):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        who.address.set(str((scope.get("client") or ("",))[0]))
        with who.signed_in_as(who.key_in(get_token_from_cookies(connection.cookies))):
            try:
                receive = await self._checked(connection, receive)
            except UserFacingError as error:
                await _refuse(connection, receive, send, error)
                return
            await self.app(scope, receive, send)

    async def _checked(self, connection: HTTPConnection, receive: Receive) -> Receive:
        """Return what gives the request's body, if the request is allowed."""
        scope = connection.scope
        action, parts = rules.action_of(scope.get("method", "GET"), scope["path"])
        need = rules.NEEDS.get(action)
        if need and need.role == "here" and not is_here(scope):
            raise rules.NoSuchThingError(rules.GONE)
        person = who.asking() if need and need.role in {"person", "admin"} else None
        rules.authorize(person, action)
        if need is None or not need.of:
            return receive
        body: Any = None
        if any(at.place == "body" for at in need.of):
            content = await names.read_body(receive)
            receive = names.body_again(content, receive)
            body = names.json_of(content)
        for at in need.of:
            for name in _names(at, parts, connection, body):
                rules.authorize(person, action, await thing(at.kind, name))
        return receive


def _names(at: At, parts: dict[str, str], connection: HTTPConnection, body: Any) -> list[str]:
    """The names of the things in the request; one that names none is about nothing that is there.

    Raises:
        NoSuchThingError: none is named, and one is needed.
    """
    if at.place == "path":
        said: Any = parts.get(at.name)
    elif at.place == "query":
        found = parse_qs(connection.scope["query_string"].decode("latin-1")).get(at.name, [])
        if len(found) > 1:  # which of them the route would take is not ours to guess
            raise rules.NoSuchThingError(rules.GONE)
        said = found[0] if found else None
    else:
        said = body
        for name in at.name.split("."):
            said = said.get(name) if isinstance(said, dict) else None
    if (said is None or said == "") and at.may_be_new:
        return []
    if not isinstance(said, str) or not said:
        raise rules.NoSuchThingError(rules.GONE)
    if at.kind == "chat" and at.place == "path":
        return [said.partition(".")[0]]  # with the ending of what is exported
    return [said.partition("/")[0]] if at.kind == "upload" else [said]


def is_here(scope: Scope) -> bool:
    """Whether a program on this machine asks; who comes through a proxy is where the proxy says."""
    host = str((scope.get("client") or ("",))[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


async def _refuse(connection: HTTPConnection, receive: Receive, send: Send, error: UserFacingError) -> None:
    scope = connection.scope
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    is_page = scope["method"] == "GET" and "text/html" in connection.headers.get("accept", "")
    headers = [(b"content-type", b"text/html; charset=utf-8" if is_page else b"application/json")]
    status, content = error.status, json.dumps({"detail": said(str(error))})
    if is_page and status == who.SignedOutError.status:
        status, headers = 303, [*headers, (b"location", b"/login")]
    if is_page:
        content = translated(_PAGE).format(language=now().code, said=escape(said(str(error))))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content.encode()})


_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scholion</title><link rel="icon" href="/public/favicon.svg"><link rel="stylesheet" href="/public/page.css">
<script type="module" src="/public/page.js"></script></head>
<body><main class="page"><h1>Not available</h1><p role="alert">{said}</p><p><a href="/">Back to the chat</a></p></main>
</body>
</html>
"""


def needed(routes: Any, prefix: str = "") -> set[str]:
    """The keys of `rules.NEEDS` that these routes need."""
    found: set[str] = set()
    for route in routes:
        path = prefix + str(getattr(route, "path", ""))
        if (router := getattr(route, "original_router", None)) is not None:  # FastAPI hides an included router so
            found |= needed(router.routes, prefix + route.include_context.prefix)
        elif methods := getattr(route, "methods", None):
            found |= {f"{method} {path}" for method in methods}
        else:
            found.add(f"MOUNT {path}")
    return found


def unlisted(app: Any) -> list[str]:
    """Routes of the app about which `rules.NEEDS` says nothing."""
    return sorted(needed(app.router.routes) - rules.NEEDS.keys())
