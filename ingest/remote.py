"""Ask the running app, which owns the library, to do what only the owner may: add, remove, correct and tag papers."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ingest.errors import LibraryBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/library"
"""Where the app takes orders; `ui/web/routes.py` answers there."""


def orders(owner: dict[str, Any], order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Send an order to the owner of a library; its answers as they come, one JSON object each.

    Args:
        owner: what the owner says of itself (`Library.owner`): "url" on this machine, and "key".
        order: {"do": "add" | "remove" | "describe" | "follow" | "tag" | "untag", …}.

    Raises:
        LibraryBusyError: the owner does not answer, or does not take the order.
    """
    address = urlsplit(str(owner.get("url")))
    busy = LibraryBusyError(
        f"The library is in use by Scholion at {owner.get('url')}, which does not accept commands.",
        "Add the paper in the chat, or close Scholion first.",
    )
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise busy
    connection = HTTPConnection(
        address.hostname, address.port or 80, timeout=600
    )  # takes no proxy from the environment
    headers = {"Authorization": f"Bearer {owner.get('key')}", "Content-Type": "application/json"}
    try:
        connection.request("POST", PATH, body=json.dumps(order), headers=headers)
        reply = connection.getresponse()
        if reply.status != 200:
            raise busy
        while line := reply.readline():
            yield json.loads(line)
    except (OSError, HTTPException, ValueError) as error:
        raise busy from error
    finally:
        connection.close()
