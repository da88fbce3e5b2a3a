"""Who asks: the person of this request or chat, as long as they are signed in."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from chainlit.auth import decode_jwt
from chainlit.context import get_context

from ingest import UserFacingError
from ui.people.store import People

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ui.people.store import Person

SIGN_IN = "sign_in"
"""The name, in Chainlit's cookie, of the key that stands for a sign-in."""

key: ContextVar[str | None] = ContextVar("key", default=None)
"""The key of the request that is answered; what it starts, such as a thread, has it too."""

address: ContextVar[str] = ContextVar("address", default="")
"""Where the request comes from."""

_people: People | None = None


class SignedOutError(UserFacingError):
    """Nobody is signed in."""

    status = 401


def begin(folder: Path) -> People:
    """From now on there are accounts, those of the library in this folder."""
    global _people  # noqa: PLW0603 - one library per process
    _people = People(folder)
    return _people


def end() -> None:
    """There are no accounts any more."""
    global _people  # noqa: PLW0603 - one library per process
    if _people:
        _people.close()
    _people = None


def is_on() -> bool:
    """Whether there are accounts."""
    return _people is not None


def people() -> People:
    """The accounts.

    Raises:
        RuntimeError: there are none; whoever asks must know that.
    """
    if _people is None:
        raise RuntimeError("There are no accounts.")
    return _people


def key_in(token: str | None) -> str | None:
    """The key in Chainlit's cookie; None if it is not one that we signed, or out of date."""
    try:
        kept = decode_jwt(token or "").metadata.get(SIGN_IN)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not ours
        return None
    return kept if isinstance(kept, str) else None


def asking() -> Person | None:
    """Who asks; None if nobody is signed in. Asked again each time: an account may be gone, or its password changed."""
    known = key.get() or _of_chat()
    return people().signed_in(known) if known else None


def current() -> Person:
    """Who asks.

    Raises:
        SignedOutError: nobody is signed in.
    """
    if found := asking():
        return found
    raise SignedOutError("You are signed out.", "Reload the page and sign in.")


@contextmanager
def signed_in_as(known: str | None) -> Iterator[None]:
    """Inside, who has this key asks."""
    before = key.set(known)
    try:
        yield
    finally:
        key.reset(before)


def _of_chat() -> str | None:
    """The key of the chat whose page is served."""
    try:
        session = get_context().session
    except Exception:  # noqa: BLE001 - there is no chat here
        return None
    return key_in(getattr(session, "token", None))
