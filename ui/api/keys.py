"""The keys of other programs: shown once, stored as hashes, each with what it may do."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ingest import UserFacingError, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

Scope = Literal["ask", "add"]
"""ask: read papers and ask; add: also add and remove papers."""

PATH: Final = "/v1"
"""Where the API is."""

FILE: Final = "api-keys.json"
"""In the library's folder, for its owner alone."""

BEGINS: Final = "sch-"
"""Every key begins so, so that one that is published by mistake can be found."""

MAX_NAME = 60
MAX_KEYS = 200


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a key is for. The key itself is nowhere; only its SHA-256, which is enough for 256 random bits."""

    id: str
    name: str
    digest: str
    scopes: tuple[Scope, ...]
    tag: str | None
    """The only papers it reaches are those with this tag; None for all."""
    made: str
    """The day, as YYYY-MM-DD."""

    def may(self, scope: Scope) -> bool:
        """Whether it may do this."""
        return scope in self.scopes


class ApiKeys:
    """The keys of one library. Read again when the file has changed, so that a removed key ends at once.

    Args:
        folder: the library's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()

    def all(self) -> tuple[ApiKey, ...]:
        """Every key, the oldest first."""
        with self._lock:
            return self._current()

    def make(self, name: str, *, scopes: Iterable[Scope] = ("ask",), tag: str | None = None) -> str:
        """Make a key and return it; it cannot be had again.

        Raises:
            UserFacingError: no name, a name that is there, or a scope that there is not.
        """
        name = " ".join(name.split())
        wanted = tuple(scope for scope in get_args(Scope) if scope in {"ask", *scopes})
        if unknown := set(scopes) - set(get_args(Scope)):
            raise UserFacingError(f"There is no scope {', '.join(sorted(unknown))}.", "Scopes are ask and add.")
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise UserFacingError(
                f"A key needs a name of up to {MAX_NAME} characters.", 'Name the program, for example "Open WebUI".'
            )
        with self._lock:
            known = self._current()
            if any(key.name == name for key in known):
                raise UserFacingError(f"There is a key {name} already.", "Remove it, or choose another name.")
            if len(known) >= MAX_KEYS:
                raise UserFacingError(f"There are {MAX_KEYS} keys already.", "Remove some first.")
            secret = BEGINS + secrets.token_urlsafe(32)
            made = ApiKey(
                secrets.token_hex(4), name, _digest(secret), wanted, tag, datetime.now(UTC).date().isoformat()
            )
            self._write((*known, made))
        return secret

    def remove(self, name: str) -> ApiKey:
        """Remove the key with this name or id; whoever has it is refused from now on.

        Raises:
            UserFacingError: there is none.
        """
        with self._lock:
            known = self._current()
            found = next((key for key in known if name in {key.name, key.id}), None)
            if found is None:
                raise UserFacingError(f"There is no key {name}.", "`python -m ui api list` lists them.")
            self._write(tuple(key for key in known if key is not found))
        return found

    def find(self, secret: str) -> ApiKey | None:
        """The key that this is; None if it is none."""
        digest = _digest(secret)
        with self._lock:
            keys = self._current()
        found = [key for key in keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None

    def _current(self) -> tuple[ApiKey, ...]:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._read_at, self._keys = None, ()
            return self._keys
        if (at := (stat.st_mtime_ns, stat.st_ino)) != self._read_at:
            self._keys = _parsed(self._path)
            self._read_at = at
        return self._keys

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        write_atomically(self._path, json.dumps([asdict(key) for key in keys], indent=1).encode())
        self._read_at = None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(path: Path) -> tuple[ApiKey, ...]:
    try:
        return tuple(_key(row) for row in json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserFacingError(
            f"The keys in {path} cannot be read.", "Delete the file and make new keys with `python -m ui api add`."
        ) from error


def _key(row: dict[str, Any]) -> ApiKey:
    tag = row["tag"]
    scopes = tuple(scope for scope in get_args(Scope) if scope in row["scopes"])
    return ApiKey(
        str(row["id"]),
        str(row["name"]),
        str(row["digest"]),
        scopes,
        None if tag is None else str(tag),
        str(row["made"]),
    )
