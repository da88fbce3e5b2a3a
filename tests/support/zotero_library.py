"""Write a Zotero data folder: the tables of Zotero 6 that hold items, files, people, tags, collections and notes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
CREATE TABLE itemTypes (itemTypeID INTEGER PRIMARY KEY, typeName TEXT);
CREATE TABLE fields (fieldID INTEGER PRIMARY KEY, fieldName TEXT);
CREATE TABLE creatorTypes (creatorTypeID INTEGER PRIMARY KEY, creatorType TEXT);
CREATE TABLE libraries (libraryID INTEGER PRIMARY KEY, type TEXT NOT NULL);
CREATE TABLE items (itemID INTEGER PRIMARY KEY, itemTypeID INT NOT NULL, dateAdded TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    libraryID INT NOT NULL, key TEXT NOT NULL, version INT DEFAULT 0, UNIQUE (libraryID, key));
CREATE TABLE itemDataValues (valueID INTEGER PRIMARY KEY, value UNIQUE);
CREATE TABLE itemData (itemID INT, fieldID INT, valueID INT, PRIMARY KEY (itemID, fieldID));
CREATE TABLE itemNotes (itemID INTEGER PRIMARY KEY, parentItemID INT, note TEXT, title TEXT);
CREATE TABLE itemAttachments (itemID INTEGER PRIMARY KEY, parentItemID INT, linkMode INT, contentType TEXT,
    charsetID INT, path TEXT, syncState INT DEFAULT 0, storageModTime INT, storageHash TEXT);
CREATE TABLE itemAnnotations (itemID INTEGER PRIMARY KEY, parentItemID INT NOT NULL, type INTEGER NOT NULL,
    authorName TEXT, text TEXT, comment TEXT, color TEXT, pageLabel TEXT, sortIndex TEXT NOT NULL,
    position TEXT NOT NULL, isExternal INT NOT NULL);
CREATE TABLE tags (tagID INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE itemTags (itemID INT NOT NULL, tagID INT NOT NULL, type INT NOT NULL, PRIMARY KEY (itemID, tagID));
CREATE TABLE creators (creatorID INTEGER PRIMARY KEY, firstName TEXT, lastName TEXT, fieldMode INT);
CREATE TABLE itemCreators (itemID INT NOT NULL, creatorID INT NOT NULL, creatorTypeID INT NOT NULL DEFAULT 1,
    orderIndex INT NOT NULL DEFAULT 0, PRIMARY KEY (itemID, creatorID, creatorTypeID, orderIndex));
CREATE TABLE collections (collectionID INTEGER PRIMARY KEY, collectionName TEXT NOT NULL, parentCollectionID INT,
    libraryID INT NOT NULL, key TEXT NOT NULL);
CREATE TABLE collectionItems (collectionID INT NOT NULL, itemID INT NOT NULL, orderIndex INT DEFAULT 0);
CREATE TABLE deletedItems (itemID INTEGER PRIMARY KEY, dateDeleted DEFAULT CURRENT_TIMESTAMP NOT NULL);
CREATE TABLE deletedCollections (collectionID INTEGER PRIMARY KEY, dateDeleted DEFAULT CURRENT_TIMESTAMP NOT NULL);
INSERT INTO libraries VALUES (1, 'user');
"""
TYPES = ("attachment", "note", "annotation", "journalArticle", "conferencePaper", "book", "preprint")
MARKS = ("highlight", "note", "image", "ink", "underline", "text")
"""Kinds of annotations, by their number from 1."""


class ZoteroLibrary:
    """A data folder that is filled item by item."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "storage").mkdir(parents=True)
        self._db = sqlite3.connect(folder / "zotero.sqlite")
        self._db.executescript(SCHEMA)
        self._db.executemany("INSERT INTO itemTypes (typeName) VALUES (?)", [(name,) for name in TYPES])
        self._db.executemany("INSERT INTO creatorTypes (creatorType) VALUES (?)", [("author",), ("editor",)])
        self._made = 0

    def item(
        self,
        kind: str = "journalArticle",
        *,
        people: tuple[tuple[str, str], ...] = (),
        role: str = "author",
        tags: tuple[str, ...] = (),
        collections: tuple[str, ...] = (),
        **facts: Any,
    ) -> int:
        """An item with its facts; returns its itemID."""
        item = self._new(kind)
        for name, value in facts.items():
            field = self._id("fields", "fieldID", "fieldName", name)
            self._add("itemData", item, field, self._id("itemDataValues", "valueID", "value", value))
        for place, (first, last) in enumerate(people):
            made = self._db.execute("INSERT INTO creators (firstName, lastName) VALUES (?, ?)", (first, last)).lastrowid
            self._add("itemCreators", item, made, 1 if role == "author" else 2, place)
        for tag in tags:
            self._add("itemTags", item, self._id("tags", "tagID", "name", tag), 0)
        for name in collections:
            row = self._db.execute("SELECT collectionID FROM collections WHERE collectionName = ?", (name,)).fetchone()
            made = row[0] if row else None
            if made is None:
                made = self._db.execute(
                    "INSERT INTO collections (collectionName, libraryID, key) VALUES (?, 1, ?)", (name, name[:8])
                ).lastrowid
            self._add("collectionItems", made, item, 0)
        return item

    def stored(self, parent: int | None, name: str, content: bytes | None) -> Path:
        """A file that Zotero manages; None for one that is not on this machine."""
        attachment = self._new("attachment")
        key = self._db.execute("SELECT key FROM items WHERE itemID = ?", (attachment,)).fetchone()[0]
        path = self.folder / "storage" / key / name
        if content is not None:
            path.parent.mkdir()
            path.write_bytes(content)
        self._attach(attachment, parent, 0, f"storage:{name}")
        return path

    def linked(self, parent: int, path: str) -> None:
        """A file elsewhere, by its whole path or `attachments:` and a part of one."""
        self._attach(self._new("attachment"), parent, 2, path)

    def note(self, item: int, html: str) -> int:
        """A note beside an item."""
        made = self._new("note")
        self._add("itemNotes", made, item, html, "")
        return made

    def mark(
        self, attachment: int, kind: str, *, page: int, text: str = "", comment: str = "", external: bool = False
    ) -> int:
        """Something that was marked or noted in Zotero's reader, or in the file (`external`), on a page from 1."""
        made = self._new("annotation")
        position = json.dumps({"pageIndex": page - 1, "rects": [[72, 700, 300, 712]]})
        order = f"{page - 1:05}|{made:06}|00000"
        values = (MARKS.index(kind) + 1, "", text, comment, "#ffd400", str(page), order, position, int(external))
        self._add("itemAnnotations", made, attachment, *values)
        return made

    def attachment(self, path: Path) -> int:
        """The itemID of a stored file."""
        row = self._db.execute("SELECT itemID FROM items WHERE key = ?", (path.parent.name,)).fetchone()
        return int(row[0])

    def delete(self, item: int) -> None:
        """Put an item into Zotero's trash."""
        self._db.execute("INSERT INTO deletedItems (itemID) VALUES (?)", (item,))

    def delete_collection(self, name: str) -> None:
        """Put a collection into Zotero's trash; its items stay where they are."""
        self._db.execute(
            "INSERT INTO deletedCollections (collectionID) SELECT collectionID FROM collections "
            "WHERE collectionName = ?",
            (name,),
        )

    def done(self) -> Path:
        """The folder, written."""
        with closing(self._db):
            self._db.commit()
        return self.folder

    def _new(self, kind: str) -> int:
        self._made += 1
        made = self._db.execute(
            "INSERT INTO items (itemTypeID, libraryID, key) VALUES (?, 1, ?)",
            (TYPES.index(kind) + 1, f"K{self._made:07}"),
        ).lastrowid
        assert made
        return made

    def _attach(self, attachment: int, parent: int | None, mode: int, path: str) -> None:
        self._db.execute(
            "INSERT INTO itemAttachments (itemID, parentItemID, linkMode, contentType, path) VALUES (?, ?, ?, ?, ?)",
            (attachment, parent, mode, "application/pdf", path),
        )

    def _id(self, table: str, key: str, column: str, value: Any) -> int:
        self._db.execute(
            f"INSERT INTO {table} ({column}) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {column} = ?)",
            (value, value),
        )
        return int(self._db.execute(f"SELECT {key} FROM {table} WHERE {column} = ?", (value,)).fetchone()[0])

    def _add(self, table: str, *values: Any) -> None:
        self._db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
