"""Sign-in with a password or at a provider, and the checks before every callback of Chainlit."""

# mypy: disable-error-code="untyped-decorator"
# Chainlit's decorators have no types that mypy could follow.
from __future__ import annotations

import asyncio
import functools
import os
from typing import TYPE_CHECKING, Any

import chainlit as cl
import chainlit.auth.cookie
import chainlit.server
from chainlit.auth import get_token_from_cookies
from chainlit.config import config
from chainlit.context import init_ws_context
from chainlit.session import WebsocketSession
from fastapi import HTTPException
from starlette.requests import cookie_parser

from ingest import UserFacingError
from rag.inert import inert
from rag.texts import N_, _, number, said
from ui import core
from ui.errors import visible
from ui.people import guard, passwords, rules, who
from ui.people.guesses import Guesses
from ui.people.settings import settings
from ui.people.shares import Shares
from ui.web import patches, rate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from fastapi import FastAPI, Request, Response

    from ui.people.store import Person

CALLBACKS = ("on_chat_start", "on_chat_resume", "on_message", "on_window_message")
"""Chainlit's callbacks that do something for a person."""

EVENTS = ("client_message", "edit_message")
"""Messages of the page's websocket that name a stored step."""

OPEN_EVENTS = ("disconnect", "clear_session", "stop")
"""Messages that only end something."""

WRONG = N_("The name or the password is wrong.")
SIGNED_OUT = N_("You are signed out. Reload the page and sign in.")
TOO_MANY = N_("Too many wrong passwords. Try again in {wait} seconds.")

guesses = Guesses()

_comparing = asyncio.Lock()


def begin(server: FastAPI, folder: Path) -> None:
    """Have accounts from now on: those of the library in this folder.

    Raises:
        SystemExit: nobody has an account, or no provider is set up.
    """
    people = who.begin(folder)
    if not people.all():
        raise SystemExit("There is no account yet. Make the first one: python -m ui people add NAME")
    shares = Shares(core.whole_library)
    core.share(shares)
    shares.take_over()
    patches.new_key = people.sign_in
    rate.session_in = session_in
    if settings().is_encrypted:
        chainlit.auth.cookie._cookie_secure = True  # noqa: SLF001 - Chainlit has no setting for it alone
    if address := settings().address:
        os.environ["CHAINLIT_URL"] = address  # where a provider sends people back to
    if settings().people == "oauth":
        try:
            cl.oauth_callback(with_provider)
        except ValueError:
            raise SystemExit("No provider is set up: set its OAUTH_ variables, see docs/people.md.") from None
    else:
        cl.password_auth_callback(with_password)
        config.code.password_auth_callback = with_password  # Chainlit's wrapper takes an exception for a wrong password
    cl.on_logout(signed_out)
    if server.middleware_stack is None:
        server.add_middleware(guard.PeopleGuard)


def session_in(cookies: dict[str, str]) -> str:
    """The key of a sign-in in a browser's cookies; empty if there is none that we signed."""
    return who.key_in(get_token_from_cookies(cookies)) or ""


def protect(server: FastAPI, code: Any) -> None:
    """Put the check before each callback and each message of the page; to be called when all are there.

    Raises:
        RuntimeError: a route is in no list, so nobody has thought about who may use it.
    """
    if not who.is_on():
        return
    if missing := guard.unlisted(server):
        raise RuntimeError(f"Nothing says who may use {', '.join(missing)}")
    for name in CALLBACKS:
        setattr(code, name, checked(f"chat {name}", getattr(code, name)))
    code.action_callbacks = {name: checked(f"action {name}", act) for name, act in code.action_callbacks.items()}
    handlers = chainlit.server.sio.handlers["/"]
    for name in handlers.keys() - {*EVENTS, *OPEN_EVENTS, "connect"}:
        handlers[name] = signed_in_only(handlers[name])
    handlers["connect"] = known_only(handlers["connect"])
    for name in EVENTS:
        handlers[name] = own_steps_only(name, handlers[name])


def checked(action: str, callback: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The callback, for those who may use it; others are told why not."""

    @visible
    async def refused() -> None:
        rules.authorize(who.asking(), action)

    @functools.wraps(callback)
    async def wrapped(*args: Any, **named: Any) -> Any:
        try:
            rules.authorize(who.asking(), action)
        except UserFacingError:
            return await refused()
        return await callback(*args, **named)

    return wrapped


def known_only(connect: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
    """The handler of a new connection, for who is signed in: a websocket that is open may ask for several."""

    async def wrapped(sid: str, environ: dict[str, Any], auth: Any) -> bool:
        cookies = cookie_parser(environ.get("HTTP_COOKIE", ""))
        known = who.key_in(get_token_from_cookies(cookies))
        if known is None or who.people().signed_in(known) is None:
            raise ConnectionRefusedError(_(SIGNED_OUT))
        return await connect(sid, environ, auth)

    return wrapped


def signed_in_only(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The handler of a message of the page, for who is still signed in; others are told that they are not."""

    async def wrapped(sid: str, *more: Any) -> Any:
        if not await patches.give_back(sid):
            return None
        session = WebsocketSession.require(sid)
        with who.signed_in_as(who.key_in(session.token)):
            if who.asking() is None:
                return await _say(session, _(SIGNED_OUT))
            return await handler(sid, *more)

    return wrapped


async def _say(session: WebsocketSession, what: str) -> None:
    """Show a sentence in the chat, and let the page stop waiting."""
    init_ws_context(session)
    try:
        await cl.ErrorMessage(content=inert(what)).send()
    finally:
        await cl.context.emitter.task_end()


def own_steps_only(name: str, handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The handler of a message, unless it names a step that is stored in another's chat."""

    async def wrapped(sid: str, payload: Any) -> None:
        message = payload.get("message") if isinstance(payload, dict) else None
        step = message.get("id") if isinstance(message, dict) else None
        if not await patches.give_back(sid):
            return
        session = WebsocketSession.require(sid)
        with who.signed_in_as(who.key_in(session.token)):
            try:
                person = who.asking()
                rules.authorize(person, f"chat {name}")
                if step:
                    rules.authorize(person, f"chat {name}", await guard.thing("step", str(step)))
            except UserFacingError as error:
                await _say(session, said(str(error)))
                return
            await handler(sid, payload)

    return wrapped


async def with_password(name: str, password: str) -> cl.User:
    """Chainlit's callback for a name and a password.

    Raises:
        HTTPException: they are wrong, or there were too many wrong ones before.
    """
    address = who.address.get()
    if wait := guesses.take(name, address):
        raise HTTPException(429, _(TOO_MANY).format(wait=number(wait)), headers={"retry-after": str(wait)})
    person, kept = who.people().with_password(name)
    async with _comparing:  # who waits takes no thread
        fits = await asyncio.to_thread(passwords.fits, password, kept)
    if not fits or person is None or who.people().with_password(name) != (person, kept):  # changed meanwhile
        raise HTTPException(401, _(WRONG))
    guesses.give_back(name, address)
    return _user(person)


async def with_provider(
    provider: str, token: str, raw: dict[str, Any], user: cl.User, id_token: str | None = None
) -> cl.User | None:
    """Chainlit's callback for a sign-in at a provider; only those who have an account come in."""
    del token, raw, id_token
    person = who.people().with_login(f"{provider}:{user.identifier}")
    return _user(person) if person else None


async def signed_out(request: Request, response: Response) -> dict[str, bool]:
    """Chainlit's callback: the cookie's key ends, wherever a copy of it may be."""
    del response
    if key := who.key_in(get_token_from_cookies(request.cookies)):
        who.people().sign_out(key)
    return {"success": True}


def _user(person: Person) -> cl.User:
    if before := who.key.get():  # the browser gets another in its place
        who.people().sign_out(before)
    return cl.User(identifier=person.id, display_name=person.name)
