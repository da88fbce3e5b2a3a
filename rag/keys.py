"""Keys of model servers: in the system's keyring if there is one, else in a file for its owner alone."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from ingest import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

Place = Literal["keyring", "file"]
"""Where a key is kept."""

FILE = "keys.json"
"""In the library's folder; used if there is no keyring."""


class Keyring(Protocol):
    """What is used of the `keyring` package."""

    def get_keyring(self) -> Any:
        """The backend; its `priority` is 0 or less if it keeps nothing."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """A stored secret; None if there is none."""

    def set_password(self, service_name: str, username: str, password: str) -> None:
        """Store a secret."""

    def delete_password(self, service_name: str, username: str) -> None:
        """Remove a secret; raises if there is none."""


class Keys:
    """The keys of one library, by the base address of the server they are for.

    A key is read only to send it to that address. Nothing here logs or prints one.

    Args:
        folder: the library's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._service = f"Scholion {folder}"

    def place(self) -> Place:
        """Where `put` would keep a key."""
        return "keyring" if _keyring() else "file"

    def of(self, base_url: str, place: Place) -> str:
        """The key for an address; empty if there is none, or it cannot be read."""
        if place == "file":
            return self._stored().get(base_url, "")
        try:
            ring = _keyring()
            return str(ring.get_password(self._service, base_url) or "") if ring else ""
        except Exception as error:  # noqa: BLE001 - each system has its own
            log.warning("The system's keyring could not be read (%s)", type(error).__name__)
            return ""

    def put(self, base_url: str, key: str) -> Place:
        """Keep a key, in place of any earlier one; returns where it is kept.

        Raises:
            OSError: it cannot be written; an earlier one stays.
        """
        ring = _keyring()
        try:
            if ring:
                ring.set_password(self._service, base_url, key)
        except Exception as error:  # noqa: BLE001 - locked, or refused by the user
            log.warning("The system's keyring did not take the key (%s)", type(error).__name__)
        else:
            if ring:
                self._forget_in_file(base_url)
                return "keyring"
        self._write(self._stored() | {base_url: key})
        self._forget_in_keyring(base_url)
        return "file"

    def forget(self, base_url: str) -> None:
        """Remove the key for an address from both places."""
        self._forget_in_file(base_url)
        self._forget_in_keyring(base_url)

    def _forget_in_file(self, base_url: str) -> None:
        if base_url in (stored := self._stored()):
            self._write({address: key for address, key in stored.items() if address != base_url})

    def _forget_in_keyring(self, base_url: str) -> None:
        try:
            if ring := _keyring():
                ring.delete_password(self._service, base_url)
        except Exception:  # noqa: BLE001 - keyring raises if there is none
            log.debug("The system's keyring has no key to remove")

    def _stored(self) -> dict[str, str]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return {str(k): v for k, v in rows.items() if isinstance(v, str)} if isinstance(rows, dict) else {}

    def _write(self, rows: dict[str, str]) -> None:
        write_atomically(self._path, json.dumps(rows, indent=1))


def _keyring() -> Keyring | None:
    """The `keyring` package, if it is installed and has a place for secrets on this system; else None."""
    try:
        ring = cast("Keyring", import_module("keyring"))
        return ring if ring.get_keyring().priority > 0 else None  # 0 and below: it would refuse or lose them
    except Exception:  # noqa: BLE001 - a broken backend is none
        return None
