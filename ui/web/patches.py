"""Replacements for parts of Chainlit 2.12 that do not do what we need; each has a test."""

from __future__ import annotations

import functools
import re
import secrets
import shutil
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import chainlit.config
import chainlit.server
import chainlit.socket
import jwt
from chainlit.auth import decode_jwt, get_token_from_cookies
from chainlit.chat_context import chat_contexts
from chainlit.config import config
from chainlit.context import init_ws_context
from chainlit.data import get_data_layer
from chainlit.emitter import ChainlitEmitter
from chainlit.session import BaseSession, WebsocketSession, ws_sessions_id
from chainlit.user import User
from fastapi.responses import HTMLResponse
from starlette.requests import HTTPConnection, cookie_parser

from rag.texts import now
from ui.web import names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from fastapi import Request

_OUTSIDE_LINK = re.compile(r"<link[^>]*\bhref=\"https?://[^>]*>")

_OPENING = """<div style="position: fixed; inset: 0; display: grid; place-items: center">
<img id="opening" alt="Scholion" width="200" height="38"></div>
<script>{
  const chosen = localStorage.getItem('vite-ui-theme');
  const theme = ['light', 'dark'].includes(chosen) ? chosen
    : matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.classList.add(theme);
  document.getElementById('opening').src = `/logo?theme=${theme}&`;
}</script>"""

new_key: Callable[[str], str] = lambda _: secrets.token_urlsafe(16)  # noqa: E731 - replaced where there are accounts
"""What tells the logins of a user apart."""

MOST_SOCKETS = 2000
"""Connections remembered; the oldest is forgotten first."""

_came: dict[str, tuple[str, dict[str, Any]]] = {}
"""For each connection the name of its session, and its request."""

_shared_files = chainlit.config.FILES_DIRECTORY
_template = chainlit.server.get_html_template
_ticket = chainlit.server.create_jwt
_connect = chainlit.socket.connect
_message = chainlit.socket.message
_new_session = BaseSession.__init__
_send_step = ChainlitEmitter.send_step
_update_step = ChainlitEmitter.update_step


def apply(*, incoming: Path, edit: Callable[[str, Any], Awaitable[None]]) -> None:
    """Apply all replacements; idempotent.

    Args:
        incoming: the folder for uploads until they are in the library.
        edit: takes an edited message, in the place of Chainlit's own handler.
    """
    incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
    chainlit.config.FILES_DIRECTORY = incoming
    chainlit.server.FILES_DIRECTORY = incoming / str(uuid.uuid4())  # the server deletes it at the end: give it nothing
    with suppress(OSError):  # importing Chainlit creates it in the checkout; another process may be using it
        _shared_files.rmdir()
    ChainlitEmitter.send_step, ChainlitEmitter.update_step = send_step, update_step
    BaseSession.__init__ = named_session
    BaseSession.files_dir = property(files_dir)
    chainlit.server.create_jwt = ticket
    chainlit.server.get_html_template = offline_page
    for event, handler in (
        ("connect", connect),
        ("client_message", message),
        ("edit_message", edit),
        ("stop", stop),
    ):
        chainlit.server.sio.on(event, handler)
    config.ui.default_theme = "system"  # the page supports it, but the validated config file does not


@functools.wraps(_new_session)
def named_session(session: BaseSession, id: str, *more: Any, **options: Any) -> None:  # noqa: A002 - chainlit's name
    """Create a session after checking its name and its chat's name, which both end up in paths and SQL."""
    for name in (id, options.get("thread_id") or id):
        if not names.is_made(name):
            raise names.ForeignNameError(names.UNKNOWN)
    _new_session(session, id, *more, **options)


def files_dir(session: BaseSession) -> Path:
    """The folder of the session's uploads, always inside our own folder."""
    return names.inside(chainlit.config.FILES_DIRECTORY, session.id)


def remove_uploads() -> None:
    """Delete what is left of this process's uploads."""
    for session in list(ws_sessions_id.values()):
        shutil.rmtree(session.files_dir, ignore_errors=True)


def ticket(user: User) -> str:
    """The cookie's content; unlike Chainlit's, it differs for two logins within one second."""
    return str(_ticket(User(user.identifier, user.display_name, {"sign_in": new_key(user.identifier)})))


def is_owner(session_id: str, connection: HTTPConnection) -> bool:
    """Whether the session was opened by this browser."""
    session = WebsocketSession.get_by_id(session_id)
    return session is not None and _same(session.token, connection.cookies)


async def connect(sid: str, environ: dict[str, Any], auth: Any) -> bool:
    """Accept a page if its names for session and chat are ours, and the session does not belong to another browser."""
    try:
        names.check(auth if isinstance(auth, dict) and "sessionId" in auth else {"sessionId": None})
    except names.ForeignNameError as error:
        raise ConnectionRefusedError(str(error)) from None
    session = WebsocketSession.get_by_id(auth["sessionId"])
    if session and not _same(session.token, cookie_parser(environ.get("HTTP_COOKIE", ""))):
        raise ConnectionRefusedError(names.UNKNOWN)
    accepted = bool(await _connect(sid, environ, auth))
    _came[sid] = (auth["sessionId"], environ)
    while len(_came) > MOST_SOCKETS:
        del _came[next(iter(_came))]
    return accepted


async def message(sid: str, payload: Any) -> None:
    """Accept a message if every name in it is ours."""
    names.check(payload)
    if await give_back(sid):
        await _message(sid, payload)


async def give_back(sid: str) -> bool:
    """Let a page have its session that an older try of it to connect took, because that was answered later.

    Otherwise Chainlit ignores all that comes from the page. If the session is gone, the page is loaded again, and this
    is False.
    """
    if WebsocketSession.get(sid) is not None:
        return True
    known, environ = _came.get(sid, ("", {}))
    session = WebsocketSession.get_by_id(known)
    sio = chainlit.server.sio
    if session is None or not _same(session.token, cookie_parser(environ.get("HTTP_COOKIE", ""))):
        await sio.emit("reload", {}, to=sid)
        return False
    chainlit.socket.restore_existing_session(
        sid,
        known,
        lambda event, data: sio.emit(event, data, to=sid),
        lambda event, data, timeout: sio.call(event, data, timeout=timeout, to=sid),
        environ,
        session.user,
    )
    return True


async def send_step(emitter: ChainlitEmitter, step: dict[str, Any]) -> None:
    """Show a message once it is stored; Chainlit stores it at the same time, and a crash in between would lose it."""
    try:
        await _stored(step)
    finally:  # who is stopped meanwhile has shown it all the same
        await _send_step(emitter, step)


async def update_step(emitter: ChainlitEmitter, step: dict[str, Any]) -> None:
    """As `send_step`."""
    try:
        await _stored(step)
    finally:
        await _update_step(emitter, step)


async def _stored(step: dict[str, Any]) -> None:
    caught_up = getattr(get_data_layer(), "caught_up", None)
    begins = step.get("type") == "tool" and not step.get("end")  # that papers are being read, say
    if caught_up and step.get("type") != "run" and not begins:  # the page does not show runs
        await caught_up()


def _same(token: str | None, cookies: Mapping[str, str]) -> bool:
    shown = get_token_from_cookies(cookies)
    return bool(token and shown) and secrets.compare_digest(str(token).encode(), str(shown).encode())


def offline_page(root_path: str) -> str:
    """Chainlit's page without links to Google Fonts and a CDN, which leave the page blank behind a firewall.

    Until its 4.6 MB of script run it shows our name, in the theme that the script will choose.
    """
    page = _OUTSIDE_LINK.sub("", _template(root_path))
    page = page.replace('<html lang="en">', f'<html lang="{now().code}">', 1)
    return page.replace('<div id="root"></div>', f'<div id="root">{_OPENING}</div>', 1)


async def first_page(request: Request) -> HTMLResponse:
    """Chainlit's page, with the login of the only user in the same reply.

    Without it the page finds out that it has none, goes to the login page and comes back: its script runs three times.
    """
    page = HTMLResponse(chainlit.server.get_html_template(""))
    if config.code.header_auth_callback and not _is_valid(get_token_from_cookies(request.cookies)):
        login = await chainlit.server.header_auth(request)
        page.raw_headers += [(name, value) for name, value in login.raw_headers if name == b"set-cookie"]
    return page


def _is_valid(token: str | None) -> bool:
    try:
        return bool(token and decode_jwt(token))
    except jwt.InvalidTokenError:
        return False


def forget_closed_chats() -> None:
    """Drop the messages of closed sessions, which Chainlit would keep forever."""
    for session_id in chat_contexts.keys() - ws_sessions_id.keys():
        del chat_contexts[session_id]


async def stop(sid: str) -> None:
    """Cancel the current task, without Chainlit's extra message "Task manually stopped."."""
    session = WebsocketSession.get(sid)
    if session is None:
        return
    init_ws_context(session)
    if session.current_task:
        session.current_task.cancel()
    if config.code.on_stop:
        await config.code.on_stop()
