"""The library of a running Zotero, asked through its local API; the same as `zotero` reads from the files.

Zotero 7 answers at 127.0.0.1:23119 if "Allow other applications on this computer to communicate with Zotero" is on
(Settings, Advanced). The API is that of zotero.org, version 3, read-only and without pages (zotero/zotero,
chrome/content/zotero/xpcom/server/server_localAPI.js). It sees what Zotero has not yet written to its file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ingest.zotero import STORAGE, ZoteroPdf, described, marked, noted, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.annotation import Annotation

PORT = 23119
SECONDS = 60.0
"""For Zotero to begin a reply, and between two parts of it; a whole library comes as one reply."""
MAX_REPLY = 500_000_000
"""Bytes; no library has as much."""
_LISTED, _TRIED = 100, 20
"""Attachments that are listed, and how many are asked for where they lie, until one says so: files may be missing."""


class Zotero:
    """A running Zotero.

    Args:
        port: where it answers, on this machine.
    """

    def __init__(self, port: int = PORT) -> None:
        self._port = port

    def folder(self) -> Path | None:
        """Its data folder; None if no Zotero runs, if it does not answer programs, or if it has no files."""
        try:
            items = self._get(f"/users/0/items?itemType=attachment&limit={_LISTED}")
            stored = [one["key"] for one in items if str(one["data"].get("linkMode", "")).startswith("imported_")]
            for key in stored[:_TRIED]:
                address = urlsplit(self._text(f"/users/0/items/{key}/file/view/url"))
                path = Path(url2pathname(address.path))
                if address.scheme == "file" and path.parent.name == key and path.parents[1].name == STORAGE:
                    return path.parents[2]
        except (OSError, HTTPException, ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None
        return None

    def pdfs(self, folder: Path, *, base: Path | None = None) -> list[ZoteroPdf] | None:
        """Every PDF, as `zotero_pdfs` tells of them; None if Zotero has stopped answering.

        Args:
            folder: its data folder.
            base: the base directory for linked files, if one is set in Zotero.
        """
        try:
            groups = [f"/groups/{int(group['id'])}" for group in self._get("/users/0/groups")]
            return [pdf for one in ("/users/0", *groups) for pdf in self._library(one, folder, base)]
        except (OSError, HTTPException, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _library(self, prefix: str, folder: Path, base: Path | None) -> Iterator[ZoteroPdf]:
        names = {one["key"]: one["data"]["name"] for one in self._get(f"{prefix}/collections")}
        items = {one["key"]: one["data"] for one in self._get(f"{prefix}/items?sort=dateAdded&direction=asc")}
        notes: dict[str, list[Annotation]] = defaultdict(list)
        for item in sorted(items.values(), key=lambda one: str(one.get("annotationSortIndex", ""))):
            parent = item.get("parentItem", "")
            if item["itemType"] == "note":
                notes[parent] += noted(item["note"])
            elif item["itemType"] == "annotation" and not item.get("annotationIsExternal"):
                kind, position = item["annotationType"], item["annotationPosition"]
                text, comment, author = (
                    str(item.get(f"annotation{name}") or "") for name in ("Text", "Comment", "AuthorName")
                )
                notes[parent] += marked(kind, text, comment, author, position)
        for key, one in items.items():
            path = _path(key, one, folder, base)
            parent = one.get("parentItem") or key
            if path is None or parent not in items:
                continue
            both = (items[parent], one) if parent != key else (one,)
            collections = [
                name
                for which in both
                for name in sorted(names[each] for each in which.get("collections", ()) if each in names)
            ]
            yield ZoteroPdf(
                path=path,
                entry=_entry(parent, items[parent], path),
                collections=tuple(dict.fromkeys(collections)),
                tags=tuple(dict.fromkeys(tag["tag"] for which in both for tag in _sorted(which.get("tags", ())))),
                notes=tuple(dict.fromkeys(note for each in (parent, key) for note in notes[each])),
            )

    def _get(self, path: str) -> list[dict[str, Any]]:
        found = json.loads(self._text(path))
        if not isinstance(found, list):
            raise TypeError("a list was expected")
        return found

    def _text(self, path: str) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)  # takes no proxy from the environment
        try:
            connection.request("GET", f"/api{path}", headers={"Zotero-API-Version": "3"})
            reply = connection.getresponse()
            body = reply.read(MAX_REPLY)
        finally:
            connection.close()
        if reply.status != 200:
            raise HTTPException(reply.status)
        return body.decode()


def _path(key: str, item: dict[str, Any], folder: Path, base: Path | None) -> Path | None:
    """Where the PDF of an attachment lies; None if it is no PDF, or lies where it must not."""
    mode, name = str(item.get("linkMode", "")), str(item.get("filename") or item.get("path") or "")
    if item["itemType"] != "attachment" or mode == "linked_url":
        return None
    if item.get("contentType") != "application/pdf" and not name.lower().endswith(".pdf"):
        return None
    said = str(item.get("path", "")) if mode == "linked_file" else f"storage:{name}"
    return place(said, key, folder, base)


def _entry(key: str, item: dict[str, Any], path: Path) -> Any:
    facts = {name: str(value) for name, value in item.items() if isinstance(value, str | int)}
    people = [
        (
            str(one["creatorType"]),
            str(one.get("firstName", "")).strip(),
            str(one.get("lastName", one.get("name", ""))).strip(),
        )
        for one in item.get("creators", ())
    ]
    return described(key, item["itemType"], facts, people, path)


def _sorted(tags: Any) -> list[dict[str, str]]:
    return sorted(tags, key=lambda tag: str(tag["tag"]))
