"""A Zotero library, read where it lies: items, PDFs, collections, tags and notes. Nothing there is ever written.

Zotero keeps everything in `zotero.sqlite`, and the files it manages in `storage/KEY/`. The tables and fields are those
of Zotero 5 to 7 (zotero/zotero, resource/schema/userdata.sql). The database is opened read-only and immutable, so not
even a lock is set; a change that Zotero is just writing may be missed until the next time. `zotero_api` asks Zotero
itself.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from ingest.annotation import MAX_TEXT, Annotation
from ingest.entry import Entry
from ingest.errors import UserFacingError
from ingest.identifiers import ARXIV_ID, doi_in_field, isbn_in_field, normal_arxiv_id
from ingest.paper import Publication

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ingest.annotation import Kind

DATABASE = "zotero.sqlite"
STORAGE = "storage"

_LINKED_ADDRESS = 3  # linkMode of an attachment that is only an address
_KINDS = {
    "journalArticle": "article-journal",
    "conferencePaper": "paper-conference",
    "bookSection": "chapter",
    "book": "book",
    "thesis": "thesis",
    "report": "report",
}
_ARXIV = re.compile(rf"arxiv[:.\s/]*(?:abs/)?({ARXIV_ID})", re.IGNORECASE)

_ATTACHED = """
    SELECT a.itemID, COALESCE(a.parentItemID, a.itemID), i.key, COALESCE(a.path, ''), a.linkMode
    FROM itemAttachments a JOIN items i ON i.itemID = a.itemID
    WHERE (a.contentType = 'application/pdf' OR LOWER(COALESCE(a.path, '')) LIKE '%.pdf')
        AND a.itemID NOT IN (SELECT itemID FROM deletedItems)
        AND COALESCE(a.parentItemID, 0) NOT IN (SELECT itemID FROM deletedItems)
    ORDER BY a.itemID
"""
_FACTS = """
    SELECT d.itemID, f.fieldName, v.value FROM itemData d
    JOIN fields f ON f.fieldID = d.fieldID JOIN itemDataValues v ON v.valueID = d.valueID
"""
_PEOPLE = """
    SELECT ic.itemID, ct.creatorType, COALESCE(c.firstName, ''), COALESCE(c.lastName, '') FROM itemCreators ic
    JOIN creators c ON c.creatorID = ic.creatorID JOIN creatorTypes ct ON ct.creatorTypeID = ic.creatorTypeID
    ORDER BY ic.itemID, ic.orderIndex
"""
_TAGS = "SELECT it.itemID, t.name FROM itemTags it JOIN tags t ON t.tagID = it.tagID ORDER BY t.name"
_COLLECTIONS = """
    SELECT ci.itemID, c.collectionName FROM collectionItems ci
    JOIN collections c ON c.collectionID = ci.collectionID {only} ORDER BY c.collectionName
"""
_NOT_DELETED = "AND c.collectionID NOT IN (SELECT collectionID FROM deletedCollections)"
_NOTES = """
    SELECT parentItemID, note FROM itemNotes WHERE parentItemID IS NOT NULL
        AND itemID NOT IN (SELECT itemID FROM deletedItems) ORDER BY itemID
"""
_ANNOTATIONS = """
    SELECT parentItemID, type, COALESCE(text, ''), COALESCE(comment, ''), COALESCE(authorName, ''), position
    FROM itemAnnotations WHERE itemID NOT IN (SELECT itemID FROM deletedItems) {only}
    ORDER BY parentItemID, sortIndex, itemID
"""
_NOT_OF_THE_FILE = "AND isExternal = 0"
_KINDS_OF_NOTES: dict[int, str] = {1: "highlight", 2: "note", 5: "underline", 6: "text"}
"""Not those of pictures and of ink."""
_NO_TAG = re.compile(
    r"""<(?!/?[a-z][a-z0-9]*(?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+))*\s*/?>|!--)""", re.IGNORECASE
)
"""A "<" that a person wrote, as in "a<b and c>d"."""
_TYPES = "SELECT i.itemID, i.key, t.typeName FROM items i JOIN itemTypes t ON t.itemTypeID = i.itemTypeID"


class ZoteroError(UserFacingError):
    """A folder that is no Zotero library, or one that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoteroPdf:
    """One PDF of a Zotero library, with what Zotero knows of it."""

    path: Path
    """Where it should lie."""
    entry: Entry
    collections: tuple[str, ...]
    tags: tuple[str, ...]
    notes: tuple[Annotation, ...] = ()
    """Notes beside the paper are on its first page; what was marked in Zotero's reader is on its own."""

    @property
    def is_there(self) -> bool:
        """Whether the file is on this machine; Zotero may have it elsewhere, or not have downloaded it."""
        try:
            return self.path.is_file()
        except OSError:  # its folder is closed to us
            return False


def zotero_pdfs(folder: Path, *, base: Path | None = None) -> list[ZoteroPdf]:
    """Every PDF of the library, those that are missing included, in the order in which they were added.

    Args:
        folder: Zotero's data folder, with `zotero.sqlite`.
        base: the base directory for linked files, if one is set in Zotero.

    Raises:
        ZoteroError: there is no library, or it cannot be read.
    """
    database = folder / DATABASE
    if not database.is_file():
        raise ZoteroError(
            f"There is no Zotero library in {folder}.",
            f"Give Zotero's data folder, which has {DATABASE} (in Zotero: Settings, Advanced, Files and Folders).",
        )
    try:
        address = f"file:{quote(str(database.resolve()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as opened:
            return list(_read(opened, folder, base))
    except sqlite3.Error as error:
        raise ZoteroError(
            f"Zotero's library in {folder} cannot be read ({error}).", "Close Zotero, then try again."
        ) from error


def entry_beside(pdf: Path) -> Entry | None:
    """What Zotero knows of a PDF in its storage (`storage/KEY/file.pdf`); None elsewhere, or if it knows nothing."""
    folder = pdf.parent.parent
    database = folder.parent / DATABASE
    try:
        if folder.name != STORAGE or not database.is_file():
            return None
        state = database.stat()
        entry = _entries(folder.parent, state.st_mtime_ns, state.st_size).get(pdf.absolute())
    except (OSError, ZoteroError):
        return None
    return entry if entry and entry.title else None


@lru_cache(maxsize=4)
def _entries(folder: Path, changed: int, size: int) -> Mapping[Path, Entry]:  # noqa: ARG001 - a changed file is read again
    return {one.path.absolute(): one.entry for one in zotero_pdfs(folder)}


def _read(database: sqlite3.Connection, folder: Path, base: Path | None) -> Iterator[ZoteroPdf]:
    facts: dict[int, dict[str, str]] = defaultdict(dict)
    for item, name, value in database.execute(_FACTS):
        facts[item][name] = str(value)
    people: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    for item, role, first, last in database.execute(_PEOPLE):
        people[item].append((role, str(first).strip(), str(last).strip()))
    not_deleted = _NOT_DELETED if _columns(database, "deletedCollections") else ""
    tags, collections = _names(database, _TAGS), _names(database, _COLLECTIONS.format(only=not_deleted))
    notes = _notes(database)
    types = {item: (str(key), str(kind)) for item, key, kind in database.execute(_TYPES)}
    for attachment, item, key, said, mode in database.execute(_ATTACHED):
        path = place(str(said), str(key), folder, base) if mode != _LINKED_ADDRESS else None
        if path is None or item not in types:
            continue
        yield ZoteroPdf(
            path=path,
            entry=described(*types[item], facts[item], people[item], path),
            collections=tuple(dict.fromkeys(collections[item] + collections[attachment])),
            tags=tuple(dict.fromkeys(tags[item] + tags[attachment])),
            notes=tuple(dict.fromkeys(notes[item] + notes[attachment])),
        )


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    """The names of its columns; none if this version of Zotero has no such table."""
    return {str(name) for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _names(database: sqlite3.Connection, query: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for item, name in database.execute(query):
        found[item].append(str(name))
    return found


def _notes(database: sqlite3.Connection) -> dict[int, list[Annotation]]:
    """Of items and of attachments."""
    found: dict[int, list[Annotation]] = defaultdict(list)
    for item, html in database.execute(_NOTES):
        found[item] += noted(str(html or ""))
    if columns := _columns(database, "itemAnnotations"):  # from Zotero 6 on
        query = _ANNOTATIONS.format(only=_NOT_OF_THE_FILE if "isExternal" in columns else "")
        for attachment, kind, text, comment, author, position in database.execute(query):
            found[attachment] += marked(_KINDS_OF_NOTES.get(kind, ""), text, comment, author, str(position))
    return found


def noted(html: str) -> Iterable[Annotation]:
    """A note that stands beside the paper; none if it has no words."""
    text = _Plain.of(html)
    return [Annotation(page=1, kind="note", note=text)] if text else []


def marked(kind: str, text: str, comment: str, author: str, position: str) -> Iterable[Annotation]:
    """What was marked or noted on a page; none if it is a picture or ink, or its page is unknown.

    Args:
        kind: as Zotero's API names it.
        text: the marked words.
        comment: what was written.
        author: where somebody else wrote it.
        position: JSON with the page, from 0.
    """
    known: dict[str, Kind] = {"highlight": "highlight", "underline": "underline", "note": "note", "text": "text"}
    try:
        page = json.loads(position)["pageIndex"]
    except (ValueError, TypeError, KeyError):
        return []
    quote, note = " ".join(str(text).split())[:MAX_TEXT], _Plain.of(comment)
    if kind not in known or type(page) is not int or page < 0 or not (quote or note):
        return []
    return [Annotation(page=page + 1, kind=known[kind], quote=quote, note=note, author=author)]


class _Plain(HTMLParser):
    """The text of a note, whose paragraphs and lines are lines."""

    _HIDDEN = frozenset({"script", "style"})
    _LINES = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._is_hidden = False

    @classmethod
    def of(cls, html: str) -> str:
        """At most MAX_TEXT characters, without empty lines."""
        made = cls()
        made.feed(_NO_TAG.sub("&lt;", html[: 20 * MAX_TEXT]))
        made.close()
        lines = (" ".join(line.split()) for line in "".join(made._parts).split("\n"))
        return "\n".join(filter(None, lines))[:MAX_TEXT]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - of the parser
        self._is_hidden = tag in self._HIDDEN
        if tag in self._LINES:
            self._parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._is_hidden = False
        if tag in self._LINES:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._is_hidden:
            self._parts.append(data)


def place(said: str, key: str, folder: Path, base: Path | None) -> Path | None:
    """Where an attachment lies; None if it lies outside of what its form allows, or its base is unknown."""
    if said.startswith("storage:"):
        name = said.removeprefix("storage:")
        return (
            folder / STORAGE / key / name if name == PurePosixPath(name).name and name not in {"", ".", ".."} else None
        )
    if said.startswith("attachments:"):
        relative = PurePosixPath(said.removeprefix("attachments:"))
        return base / relative if base and not relative.is_absolute() and ".." not in relative.parts else None
    return Path(said) if said.startswith("/") else None


def described(key: str, kind: str, facts: Mapping[str, str], people: list[tuple[str, str, str]], path: Path) -> Entry:
    """What is known of an item.

    Args:
        key: of the item.
        kind: its type.
        facts: its fields, by Zotero's names.
        people: role, given name and family name of each.
        path: of its PDF.
    """
    if kind == "attachment":  # without an item above it; its title is only the file's name
        return Entry(key=key, files=(str(path),))
    writers = [person for person in people if person[0] == "author"] or [p for p in people if p[0] == "editor"]
    elsewhere = " ".join(facts.get(name, "") for name in ("archiveID", "extra", "url", "DOI", "publicationTitle"))
    arxiv = _ARXIV.search(elsewhere)
    year = re.search(r"\b(1[5-9]|20)\d\d\b", facts.get("date", ""))
    container = next((facts[n] for n in ("publicationTitle", "proceedingsTitle", "bookTitle") if facts.get(n)), None)
    publication = Publication(
        kind=_KINDS.get(kind),
        container=container,
        volume=facts.get("volume"),
        issue=facts.get("issue"),
        pages=re.sub(r"\s*[-–—]+\s*", "-", facts.get("pages", "")) or None,
        publisher=facts.get("publisher") or facts.get("university") or facts.get("institution"),
    )
    return Entry(
        key=key,
        title=" ".join(re.sub(r"</?(?:i|b|sub|sup|span)\b[^>]*>", "", facts.get("title", "")).split()),
        authors=tuple(" ".join(filter(None, (first, last))) for _, first, last in writers),
        families=tuple(last for _, _, last in writers),
        year=int(year[0]) if year else None,
        doi=doi_in_field(facts.get("DOI", "")),
        arxiv_id=normal_arxiv_id(arxiv[1]) if arxiv else None,
        isbn=isbn_in_field(facts.get("ISBN", "")),
        abstract=facts.get("abstractNote") or None,
        files=(str(path),),
        publication=publication if publication != Publication() else None,
    )
