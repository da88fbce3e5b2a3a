"""Postgres databases that `SCHOLION_CHATS` and `SCHOLION_CATALOGUE` name: addresses, connections, errors in words.

The address may carry a password, so it is never printed, logged or shown: `Address.words` is what people see. No
variable of Postgres's own (PGHOST and so on) is used; a password may also be in `~/.pgpass`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ingest.errors import CatalogueDatabaseError, ChatDatabaseError, UserFacingError
from ingest.trouble import causes, disk_full

SCHEMES = ("postgresql", "postgres")
PORT = 5432
CONNECT_SECONDS = 5.0
"""Longest wait for a connection, sign-in included."""
COMMAND_SECONDS = 60.0
"""Longest wait for one statement."""
LOCK_SECONDS = 5.0
"""How long one attempt waits for another program that locks a table."""

DRIVER = "asyncpg"

UNSET = "Correct SCHOLION_CHATS, or unset it to keep the chats in the library folder."
CREATE = "Create it (docs/postgres.md)."
START = "Start it and try again."

_REFUSED = ("The chats are in Postgres at {words}, which refuses this user or password.", UNSET)
_SAID = {
    "28000": _REFUSED,
    "28P01": _REFUSED,
    "3D000": ("The chats are in Postgres at {words}, which has no such database.", f"{CREATE} {UNSET}"),
    "42501": (
        "The chats are in Postgres at {words}, where this user may not do what is needed.",
        "Make it the database's owner.",
    ),
}
"""By the server's code, what is wrong and what to do."""
_CATALOGUE_SAID = {
    "53300": (
        "The catalogue is in Postgres at {words}, which has no free connection.",
        "Close other programs that use it, or raise its max_connections, and try again.",
    ),
    "3F000": (
        "The catalogue is in Postgres at {words}, where the schema in search_path does not exist.",
        "Create it there, or correct SCHOLION_CATALOGUE.",
    ),
}
_BUSY = ("55P03", "40P01", "40001")
_PASSING = ("08", "25006", "28", "53", "57")
"""Beginnings of codes of errors that end when somebody fixes the cause: no connection, full disk, shutting down."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is. The address itself is in no `repr`."""

    url: str = field(repr=False)
    host: str
    """A name or number, or the folder of a Unix socket."""
    port: int
    database: str
    setting: str = "SCHOLION_CHATS"
    """The one that names it."""

    @property
    def words(self) -> str:
        """The address for people: no user name and no password."""
        at = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return f"{at}, database {self.database}"

    @property
    def here(self) -> bool:
        """Whether it is a socket or a loopback address; a tunnel to another machine looks the same."""
        if self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name, which may lead elsewhere tomorrow
            return False

    @property
    def sentence(self) -> str:
        """Where the chats are, for the user."""
        if self.here:
            return f"Your chats are kept in Postgres on this machine ({self.words})."
        return f"Your chats leave this machine: they are kept in Postgres at {self.words}."


def parse(url: str, *, setting: str = "SCHOLION_CHATS") -> Address:
    """The address in a setting.

    Raises:
        ValueError: it is none; the text says why and does not repeat it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the host or port of the database cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise ValueError("it must begin with postgresql://")
    told = parse_qs(parts.query)
    host = unquote(parts.hostname or "") or (told.get("host") or [""])[0]
    database = unquote(parts.path.removeprefix("/"))
    if not host or "," in host:
        raise ValueError("it must name one host, like postgresql://user:password@host/database")
    if not database or "/" in database or not all(text.isprintable() for text in (host, database)):
        raise ValueError("it must name the database, like postgresql://user:password@host/database")
    if (said := told.get("port")) and said[0].isdecimal():
        port = port or int(said[0])
    return Address(url=url, host=host, port=port or PORT, database=database, setting=setting)


async def connect(address: Address, *, seconds: float | None = None, **settings: str) -> Any:
    """A connection, encrypted if the database is elsewhere and the address does not say otherwise.

    Args:
        address: where the database is.
        seconds: longest wait for one statement, instead of `COMMAND_SECONDS`.
        settings: Postgres's, for this connection.

    Raises:
        ChatDatabaseError: the driver is not installed.
        Exception: it cannot be opened; `in_words` says why.
    """
    try:
        import asyncpg
    except ImportError as error:
        raise _missing(address) from error
    options: dict[str, Any] = {}
    query = parse_qs(urlsplit(address.url).query)
    if not address.here and not {"sslmode", "ssl"} & query.keys():
        options["ssl"] = "require"
    return await asyncpg.connect(
        address.url,
        timeout=CONNECT_SECONDS,
        command_timeout=seconds or COMMAND_SECONDS,
        server_settings={"application_name": "scholion", "lock_timeout": f"{LOCK_SECONDS * 1000:.0f}"} | settings,
        **options,
    )


def _missing(address: Address) -> UserFacingError:
    if address.setting == "SCHOLION_CATALOGUE":
        return CatalogueDatabaseError(
            f"SCHOLION_CATALOGUE needs the package {DRIVER}, which is not installed.",
            f"Install it with `.venv/bin/python -m pip install {DRIVER}`, or unset SCHOLION_CATALOGUE.",
        )
    return ChatDatabaseError(
        f"SCHOLION_CHATS needs the package {DRIVER}, which is not installed.",
        f"Install it with `.venv/bin/python -m pip install {DRIVER}`, or unset SCHOLION_CHATS.",
    )


def code_of(error: BaseException) -> str | None:
    """Postgres's five letters for an error or its cause; None if it did not come from the server."""
    return next((code for cause in causes(error) if (code := getattr(cause, "sqlstate", None))), None)


def is_busy(error: BaseException) -> bool:
    """Whether another program locks what is needed."""
    return code_of(error) in _BUSY


def may_pass(error: BaseException) -> bool:
    """Whether it may work later: no connection, a full disk, a lock, a server that is starting."""
    if (code := code_of(error)) is not None:
        return code.startswith(_PASSING) or code in _BUSY
    return any(isinstance(cause, OSError) for cause in causes(error)) or getattr(error, "connection_invalidated", False)


def in_words(error: Exception, address: Address) -> UserFacingError:
    """What is wrong with the database, in one sentence without the address's password, and what to do."""
    if isinstance(error, UserFacingError):
        return error
    code = code_of(error)
    if code in _SAID:
        said, todo = _SAID[code]
    elif code is None and "SSL" in str(error):
        said = "The chats are in Postgres at {words}, which offers no encrypted connection."
        todo = "Set up TLS there, or add ?sslmode=disable to SCHOLION_CHATS if others may read along."
    elif isinstance(error, ValueError):  # an option that the driver does not know; its text may repeat the address
        said, todo = "The chats are in Postgres at {words}, and an option of that address is not valid.", UNSET
    elif code is not None and not code.startswith(_PASSING):
        said, todo = "The chats are in Postgres at {words}, which reports error {code}.", UNSET
    else:
        said, todo = "The chats are in Postgres at {words}, which does not answer.", f"{START} {UNSET}"
    return ChatDatabaseError(said.format(words=address.words, code=code), todo)


def busy(address: Address) -> CatalogueDatabaseError:
    """What to say where others keep the catalogue locked."""
    return CatalogueDatabaseError(f"The catalogue is in Postgres at {address.words}, which is busy.", "Try again.")


def not_stored(address: Address) -> CatalogueDatabaseError:
    """What to say where the server has undone a transaction instead of storing it."""
    return CatalogueDatabaseError(
        f"The catalogue is in Postgres at {address.words}, which did not store the last change.", "Try again."
    )


def catalogue_in_words(error: Exception, address: Address) -> UserFacingError:
    """The same for the database with the catalogue."""
    code = code_of(error)
    if isinstance(error, UserFacingError):
        return error
    if code == "53100":
        return disk_full()
    if code in _BUSY or code == "57014":
        return busy(address)
    if code in _CATALOGUE_SAID:
        said, todo = _CATALOGUE_SAID[code]
    elif code in _SAID:
        said = "The catalogue is in Postgres at {words}, which refuses what is asked (code {code})."
        todo = "Correct SCHOLION_CATALOGUE: see docs/postgres.md for what it needs."
    elif code is None and isinstance(error, ValueError):  # its text may repeat the address
        said = "The catalogue is in Postgres at {words}, and an option of that address is not valid."
        todo = "Correct SCHOLION_CATALOGUE: see docs/postgres.md for what it needs."
    elif code is None and isinstance(error, TimeoutError):
        said = "The catalogue is in Postgres at {words}, which took too long."
        todo = "See what else that server is doing, and try again."
    elif code is None or code.startswith(("08", "57P")):
        said, todo = "The catalogue is in Postgres at {words}, which does not answer.", START
    else:
        said, todo = "The catalogue is in Postgres at {words}, which reports error {code}.", "See the server's log."
    return CatalogueDatabaseError(said.format(words=address.words, code=code), todo)
