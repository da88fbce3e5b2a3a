"""A fake of a running Zotero: it answers as Zotero 7's local API does, with what stands in a Zotero data folder.

Of zotero/zotero: server_localAPI.js for the routes, `Zotero.Item.toJSON` for an item's fields. `refused` makes it
answer as one whose local API is off.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from zotero_library import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINK_MODES = ("imported_file", "imported_url", "linked_file", "linked_url")


class FakeZotero(ThreadingHTTPServer):
    """Serves one data folder, read anew for each request."""

    daemon_threads = True

    def __init__(self, folder: Path, *, refused: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.refused = folder, refused
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request."""

    def reply(self, path: str) -> tuple[int, str]:
        if self.refused:
            return 403, "Local API is not enabled"
        with closing(sqlite3.connect(f"file:{self.folder / 'zotero.sqlite'}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            found = _answer(db, path)
        if isinstance(found, str):
            one, _, name = found.partition("/")
            return 200, (self.folder / "storage" / one / name).as_uri()
        return (404, "Not found") if found is None else (200, json.dumps(found))


class _Handler(BaseHTTPRequestHandler):
    server: FakeZotero

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path))
        status, text = self.server.reply(self.path)
        body = text.encode()
        self.send_response(status)
        self.send_header("Zotero-API-Version", "3")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:  # a fault of the caller's, which `asked` shows
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


def _answer(db: sqlite3.Connection, address: str) -> list[Any] | str | None:
    """Objects, or the key and name of a file; None if there is nothing at this address."""
    path, _, query = address.partition("?")
    if path == "/api/users/0/groups":
        return []
    if path == "/api/users/0/collections":
        rows = [
            dict(row)
            for row in db.execute(
                "SELECT key, collectionName AS name FROM collections "
                "WHERE collectionID NOT IN (SELECT collectionID FROM deletedCollections)"
            )
        ]
        return [{"key": row["key"], "version": 1, "data": row} for row in rows]
    if path == "/api/users/0/items":
        wanted = re.findall(r"itemType=(\w+)", query)
        found = [one for one in _items(db) if not wanted or one["itemType"] in wanted]
        if limit := re.search(r"limit=(\d+)", query):
            found = found[: int(limit[1])]
        return [{"key": one["key"], "version": one["version"], "data": one} for one in found]
    if match := re.fullmatch(r"/api/users/0/items/(\w+)/file/view/url", path):
        return next(
            (f"{one['key']}/{one['filename']}" for one in _items(db) if one["key"] == match[1] and "filename" in one),
            None,
        )
    return None


def _items(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every item that is not in the trash, nor below one that is."""
    gone = {row[0] for row in db.execute("SELECT itemID FROM deletedItems")}
    rows = db.execute(
        "SELECT i.itemID AS id, i.key, i.version, t.typeName AS itemType FROM items i "
        "JOIN itemTypes t ON t.itemTypeID = i.itemTypeID ORDER BY i.itemID"
    )
    made = {row["id"]: {name: row[name] for name in ("key", "version", "itemType")} for row in rows}
    parents = _with_children(db, made)
    for item, one in made.items():
        one |= {"tags": [], "collections": []}
        if one["itemType"] not in {"attachment", "note", "annotation"}:
            one["creators"] = []
        if parents.get(item):
            one["parentItem"] = made[parents[item]]["key"]
    _described(db, made)

    def is_gone(item: int | None) -> bool:
        return item is not None and (item in gone or is_gone(parents.get(item)))

    return [one for item, one in made.items() if not is_gone(item)]


def _with_children(db: sqlite3.Connection, made: dict[int, dict[str, Any]]) -> dict[int, int]:
    """Say of attachments, notes and annotations what they are; returns which item each stands below."""
    parents: dict[int, int] = {}
    for row in db.execute("SELECT * FROM itemAttachments"):
        said = row["path"] or ""
        made[row["itemID"]] |= {"linkMode": LINK_MODES[row["linkMode"]], "contentType": row["contentType"]}
        made[row["itemID"]] |= {"filename": said[8:]} if said.startswith("storage:") else {"path": said}
        parents[row["itemID"]] = row["parentItemID"]
    for row in db.execute("SELECT * FROM itemNotes"):
        made[row["itemID"]]["note"], parents[row["itemID"]] = row["note"], row["parentItemID"]
    for row in db.execute("SELECT * FROM itemAnnotations"):
        made[row["itemID"]]["annotationIsExternal"] = bool(row["isExternal"])
        kind = MARKS[row["type"] - 1]
        parents[row["itemID"]] = row["parentItemID"]
        made[row["itemID"]] |= {
            "annotationType": kind,
            "annotationAuthorName": row["authorName"],
            "annotationComment": row["comment"],
            "annotationSortIndex": row["sortIndex"],
            "annotationPosition": row["position"],
            **({"annotationText": row["text"]} if kind in {"highlight", "underline"} else {}),
        }
    return parents


def _described(db: sqlite3.Connection, made: dict[int, dict[str, Any]]) -> None:
    """Add fields, people, tags and collections."""
    facts = (
        "SELECT itemID, fieldName, value FROM itemData JOIN fields USING (fieldID) JOIN itemDataValues USING (valueID)"
    )
    for item, name, value in db.execute(facts):
        made[item][name] = value
    for row in db.execute(
        "SELECT itemID, creatorType, firstName, lastName FROM itemCreators JOIN creators USING (creatorID) "
        "JOIN creatorTypes USING (creatorTypeID) ORDER BY itemID, orderIndex"
    ):
        whole = {"firstName": row["firstName"], "lastName": row["lastName"]}
        names = whole if row["firstName"] else {"name": row["lastName"]}
        made[row["itemID"]]["creators"].append({"creatorType": row["creatorType"], **names})
    for item, tag in db.execute("SELECT itemID, name FROM itemTags JOIN tags USING (tagID)"):
        made[item]["tags"].append({"tag": tag})
    for item, key in db.execute(
        "SELECT ci.itemID, c.key FROM collectionItems ci JOIN collections c USING (collectionID)"
    ):
        made[item]["collections"].append(key)


@contextmanager
def running(folder: Path, *, refused: bool = False) -> Iterator[FakeZotero]:
    """One at work; its port is `server_port`."""
    server = FakeZotero(folder, refused=refused)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
