"""Where a catalogue is kept: in `library.db` beside the papers, or in Postgres; all that the two do differently.

The statements of the catalogue are written once, in the SQL of SQLite. What only one of the two has stands here:
connections, the file's settings, who owns the library, whether anything has changed, and the index of words.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from ingest import folder, schema
from ingest.errors import LibraryMismatchError
from ingest.word_index import WordIndex

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.connection import Connection
    from ingest.kept import Kept
    from ingest.settings import IngestSettings


SMALLEST_CACHE, LARGEST_CACHE = 2000, 64_000
"""kB of `library.db` that a connection keeps in memory, a hundredth of the file: to rank a chunk, its length is read.
At a million chunks, a search for words took 14 ms with 2 MB and 9 with 64."""


class Lock(Protocol):
    """What one process at a time can hold; it ends with the process, however that ends."""

    @property
    def is_locked(self) -> bool:
        """Whether this process holds it."""

    def acquire(self, timeout: float) -> Any:
        """Take it.

        Raises:
            filelock.Timeout: another process held it for all these seconds.
        """

    def release(self, *, force: bool = ...) -> None:
        """Give it up."""


class SharedLock(Lock, Protocol):
    """A lock that several processes of the app can hold together, and with it the papers that each works on."""

    @property
    def is_alone(self) -> bool:
        """Whether no other process can hold it now."""

    def join(self, timeout: float) -> None:
        """Take it alone if nobody has it, else together with others who do.

        Raises:
            filelock.Timeout: a process held it alone for all these seconds.
        """

    def let_others_in(self) -> None:
        """Hold it together with others from now on."""

    def claim(self, paper_id: str) -> bool:
        """Work on a paper, unless a process does, this one too; until `give_back`, or the end of this process."""

    def give_back(self, paper_id: str) -> None:
        """Leave a paper to others."""


class Database(Protocol):
    """A place for the tables of one catalogue."""

    @property
    def owner(self) -> Lock:
        """Whoever holds it may write."""

    @property
    def shared(self) -> SharedLock | None:
        """The same lock, if several processes can hold it; None if only one can."""

    def prepare(self) -> None:
        """Make the folder and the tables, or upgrade them.

        Raises:
            LibraryMismatchError: a newer Scholion has written them, or they do not belong to these papers.
        """

    def connection(self) -> Connection:
        """This thread's connection; `with` it is a transaction."""

    def version(self) -> int | None:
        """A number that is another one after any change, whoever made it; None within a transaction."""

    def version_of_tags(self) -> int | None:
        """The same for the tags alone; None also where the database does not say."""

    def words(self, kept: Kept) -> WordIndex:
        """The index of the words of all chunks."""

    def clear(self) -> None:
        """Leave no bytes of what was removed, as far as that is up to us."""

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""


def of(settings: IngestSettings, place: Path) -> Database:
    """The database that the settings name for the library in this folder."""
    if (address := settings.catalogue_database) is None:
        return FileDatabase(place)
    from ingest.postgres_database import PostgresDatabase  # its driver need not be installed otherwise

    return PostgresDatabase(address, place)


class _Connection(sqlite3.Connection):
    """A connection that allows weak references."""


class FileDatabase:
    """`library.db` in the library's folder."""

    def __init__(self, place: Path) -> None:
        self._folder = place
        self._threads = threading.local()
        self.connections: WeakSet[_Connection] = WeakSet()
        """A thread's connection goes when the thread does."""
        self._listing = threading.Lock()
        """Of the set of connections; nothing else is waited for while it is held."""
        self._watch: sqlite3.Connection | None = None
        self.owner: Lock = folder.lock(place)
        self.shared: SharedLock | None = None

    def prepare(self) -> None:
        """See `Database.prepare`."""
        folder.prepare(self._folder)
        with self.connection() as db:
            db.execute("PRAGMA journal_mode=WAL")
            if not schema.brought_up_to_date(db):
                raise LibraryMismatchError(
                    f"The library {self._folder} was written by a newer version of Scholion.",
                    "Update Scholion and start it again.",
                )

    def connection(self) -> sqlite3.Connection:
        """See `Database.connection`."""
        connection: _Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            self._threads.connection = connection = self._connected()
        return connection

    def version(self) -> int | None:
        """SQLite tells a connection that never writes whether any other one has changed the file."""
        if self.connection().in_transaction:
            return None
        if self._watch is None:
            self._watch = self._connected()
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def version_of_tags(self) -> int | None:
        """Any change of the file may be one of the tags."""
        return self.version()

    def words(self, kept: Kept) -> WordIndex:
        """An FTS5 table."""
        return WordIndex(self.connection, kept, self.version)

    def clear(self) -> None:
        """The log still has the pages as they were."""
        self.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """See `Database.close`."""
        with self._listing:
            connections = list(self.connections)
            self.connections.clear()
        for connection in connections:
            connection.close()
        self._threads = threading.local()
        self._watch = None

    def _connected(self) -> _Connection:
        connection = sqlite3.connect(
            self._folder / "library.db", timeout=30, check_same_thread=False, factory=_Connection
        )
        connection.execute("PRAGMA foreign_keys=ON")
        size = (self._folder / "library.db").stat().st_size
        connection.execute(f"PRAGMA cache_size=-{min(LARGEST_CACHE, max(SMALLEST_CACHE, size // 100_000))}")
        connection.execute("PRAGMA secure_delete=ON")  # a removed paper leaves no text in free pages
        with self._listing:
            self.connections.add(connection)
        return connection
