"""Ask the running app, which owns the library, to do what only the owner may: add, remove, correct and tag papers."""

from __future__ import annotations

import json
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ingest.errors import LibraryBusyError, UserFacingError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/library"
"""Where the app takes orders; `ui/web/routes.py` answers there."""
MOST = 4_000_000
"""Bytes of one part of an order; `ui/web/guard.py` says how much the app takes at once."""
QUIET = 30.0
"""Seconds after which the app sends an empty line, if it has nothing to say: a long paper can take an hour."""
PATIENCE = 600
"""Seconds without any line after which the app counts as gone."""


def orders(owner: dict[str, Any], order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Send an order to the owner of a library; its answers as they come, one JSON object each.

    Args:
        owner: what the owner says of itself (`Library.owner`): "url" on this machine, and "key".
        order: {"do": "add" | "remove" | "describe" | "follow" | "tag" | "untag", …}.

    Raises:
        LibraryBusyError: the owner does not answer, or does not take the order.
        UserFacingError: the order is larger than it takes at once.
    """
    address = urlsplit(str(owner.get("url")))
    busy = LibraryBusyError(
        f"The library is in use by Scholion at {owner.get('url')}, which does not accept commands.",
        "Add the paper in the chat, or close Scholion first.",
    )
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise busy
    # takes no proxy from the environment
    connection = HTTPConnection(address.hostname, address.port or 80, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {owner.get('key')}", "Content-Type": "application/json"}
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may say no before it has read all
            connection.request("POST", PATH, body=json.dumps(order), headers=headers)
        reply = connection.getresponse()
        if reply.status == 413:
            raise UserFacingError(
                f"This is more than Scholion at {owner.get('url')} takes at once.",
                "Close Scholion, then run the command again.",
            )
        if reply.status != 200:
            raise busy
        while line := reply.readline():
            if line.strip():
                yield json.loads(line)
    except (OSError, HTTPException, ValueError) as error:
        raise busy from error
    finally:
        connection.close()


def orders_in_parts(
    owner: dict[str, Any], order: dict[str, Any], name: str, values: list[Any]
) -> Iterator[dict[str, Any]]:
    """Send an order as often as it takes for its values to go in parts of MOST bytes; the answers of all.

    Args:
        owner: as `orders` takes it.
        order: without the values.
        name: of the values in the order.
        values: each stays whole.

    Raises:
        LibraryBusyError: as `orders` does; then the parts before are done.
        UserFacingError: the same.
    """
    part: list[Any] = []
    size = 0
    for value in values:
        more = len(json.dumps(value))
        if part and size + more > MOST:
            yield from orders(owner, order | {name: part})
            part, size = [], 0
        part.append(value)
        size += more
    if part:
        yield from orders(owner, order | {name: part})
