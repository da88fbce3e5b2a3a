"""Passwords: hashed with Argon2id, and compared in the same time whether or not there is such an account."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from functools import cache
from typing import Any

from ingest import UserFacingError

SHORTEST, LONGEST = 10, 256
"""Characters of a password."""

_COST: Any = {"iterations": 3, "lanes": 4, "memory_cost": 64 * 1024}
"""The second recommendation of RFC 9106: three passes over 64 MiB."""

_one_at_a_time = threading.Lock()
"""OpenSSL's threads for the lanes are shared: two at once wait for each other for ever (cryptography 50.0)."""


class PasswordError(UserFacingError):
    """A password that cannot be used."""

    status = 400


def hashed(password: str) -> str:
    """The hash to keep, with its salt and cost.

    Raises:
        PasswordError: it is too short or too long.
    """
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(
            f"The password must have {SHORTEST} to {LONGEST} characters.", "Several words make a good one."
        )
    with _one_at_a_time:
        made = Argon2id(salt=secrets.token_bytes(16), length=32, **_COST).derive_phc_encoded(_bytes(password))
    return str(made)


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password of this hash. Without a hash it is not, which takes as long to say."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    with _one_at_a_time:
        try:
            Argon2id.verify_phc_encoded(_bytes(password[:LONGEST]), kept or _nobodys())
        except (InvalidKey, ValueError):
            return False
    return kept is not None and len(password) <= LONGEST


def _bytes(password: str) -> bytes:
    """The same for a letter with an accent, whichever keyboard typed it."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace")


@cache
def _nobodys() -> str:
    """A hash that belongs to no account."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    made = Argon2id(salt=secrets.token_bytes(16), length=32, **_COST).derive_phc_encoded(secrets.token_bytes(32))
    return str(made)
