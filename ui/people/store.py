"""`people.db`: the accounts, who is signed in, which papers each person holds, and their own choices.

A person holds a paper that they added, privately or shared. A paper is seen by those who hold it and, if one of them
shares it, by all. What nobody holds is seen by nobody. The same PDF, added by two people, is held by both: the file
name, corrections and tags of a private paper belong to the hold, so that neither learns of the other.

It is a long file because accounts, holds and choices share one connection and its locks.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ingest import UserFacingError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

FILE = "people.db"

FIRST = "local"
"""The id of the first account: that of the single user, so that the chats of before are theirs, and stay so after."""

SIGNED_IN_SECONDS = 15 * 24 * 3600.0
"""As long as Chainlit's cookie lasts."""

LONGEST_NAME = 80

NOT_YOURS = "This paper was shared by somebody else, so you cannot change it."

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, admin INTEGER NOT NULL,
    password TEXT, login TEXT UNIQUE COLLATE NOCASE, made_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signed_in (
    key TEXT PRIMARY KEY, person TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, until REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
    paper TEXT NOT NULL, person TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, shared INTEGER NOT NULL,
    file TEXT NOT NULL, added_at TEXT NOT NULL, facts TEXT NOT NULL, tags TEXT NOT NULL, local INTEGER NOT NULL,
    PRIMARY KEY (paper, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS choices (
    person TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (person, name)) WITHOUT ROWID;
"""
_KEEP = "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PERSON = "id, name, admin, login"


class PeopleError(UserFacingError):
    """An account that is not there, or cannot be made or removed."""

    status = 400


class NotYoursError(UserFacingError):
    """The person sees it, but may not do this."""

    status = 403


@dataclass(frozen=True, slots=True)
class Person:
    """An account."""

    id: str
    """Chainlit's name for the user, the same for ever; no other account ever gets it again."""
    name: str
    admin: bool
    login: str | None = None
    """`provider:name` of a sign-in at a provider; None for a password."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What one person has of a paper."""

    paper: str
    person: str
    shared: bool
    file: str
    """The person's name for the file; empty if it is the library's."""
    added_at: str
    """ISO 8601, UTC; empty if it is the library's."""
    facts: Mapping[str, Any]
    """What the person corrected while it was private."""
    tags: tuple[str, ...]
    """Tags that the person gave while it was private."""
    local: bool
    """Whether the person said that its text stays on this machine."""


class _Turn:
    """A lock of one thread of one process. Who has it may take it again."""

    def __init__(self, file: Path) -> None:
        self._threads = threading.RLock()
        self._processes = FileLock(file, mode=0o600, thread_local=False)

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            self._processes.acquire()
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._processes.release()
        self._threads.release()


class People:
    """The accounts and holds of one library. Safe for several threads, and for the command beside the running app."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.file.exists():
            os.close(os.open(self.file, os.O_CREAT | os.O_WRONLY, 0o600))  # SQLite gives its log the same mode
        self._lock = threading.RLock()
        self.changing = _Turn(folder / "people.lock")
        """Held while a paper comes to somebody, or goes from the last who has it; may take long, unlike `_lock`."""
        self._db = sqlite3.connect(self.file, timeout=30, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(_SCHEMA)  # constant text
        self._seen: int | None = None
        self._holds: dict[str, dict[str, Hold]] = {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # -- accounts ----------------------------------------------------------------------------------------------------

    def all(self) -> list[Person]:
        """Every account, by name."""
        return self._people("ORDER BY name COLLATE NOCASE")

    def person(self, person_id: str) -> Person | None:
        """The account with this id."""
        return next(iter(self._people("WHERE id = ?", person_id)), None)

    def named(self, name: str) -> Person:
        """The account with this name, in capitals or not.

        Raises:
            PeopleError: there is none.
        """
        if found := self._people("WHERE name = ?", name):
            return found[0]
        raise PeopleError(f"There is no account {name!r}.", "`python -m ui people list` shows the names.")

    def with_login(self, login: str) -> Person | None:
        """The account of somebody who signed in at a provider."""
        return next(iter(self._people("WHERE login = ?", login)), None)

    def with_password(self, name: str) -> tuple[Person | None, str | None]:
        """The account with this name and the hash of its password; None for what there is not."""
        with self._lock:
            row = self._db.execute(f"SELECT {_PERSON}, password FROM people WHERE name = ?", (name,)).fetchone()  # noqa: S608 constant columns
        return (_person(row[:-1]), row[-1]) if row else (None, None)

    def add(self, name: str, *, admin: bool = False, password: str | None = None, login: str | None = None) -> Person:
        """Make an account; the first is an administrator and takes over what the single user had.

        Args:
            name: to sign in with, and to be shown.
            admin: whether it may change settings.
            password: the hash of one.
            login: `provider:name` of a sign-in at a provider.

        Raises:
            PeopleError: the name is not usable or taken.
        """
        name = " ".join(name.split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise PeopleError(f"A name has 1 to {LONGEST_NAME} characters.", "Choose another name.")
        first = not self.all()
        made = Person(FIRST if first else f"person-{secrets.token_hex(8)}", name, first or admin, login)
        try:
            self._write(
                "INSERT INTO people (id, name, admin, password, login, made_at) VALUES (?, ?, ?, ?, ?, ?)",
                (made.id, made.name, made.admin, password, login, _now()),
            )
        except sqlite3.IntegrityError as error:
            raise PeopleError("An account has this name or this sign-in already.", "Choose another.") from error
        return made

    def set_password(self, person: Person, password: str) -> None:
        """Keep the hash of a new password; whoever is signed in with the old one is signed out."""
        with self._lock, self._db as db:
            db.execute("UPDATE people SET password = ? WHERE id = ?", (password, person.id))
            db.execute("DELETE FROM signed_in WHERE person = ?", (person.id,))

    def set_admin(self, person: Person, *, admin: bool) -> None:
        """Make the account an administrator's, or anybody's.

        Raises:
            PeopleError: it is the last administrator.
        """
        with self._lock, self._db as db:
            db.execute("BEGIN IMMEDIATE")  # two who cease at once would both not be the last
            self._check_not_last(person, admin=admin)
            db.execute("UPDATE people SET admin = ? WHERE id = ?", (admin, person.id))

    def remove(self, person: Person, *, papers_to: Person | None = None) -> int:
        """Remove an account, and give what it holds to another; returns how many papers those are.

        Raises:
            PeopleError: it is the last administrator, or it holds private papers and nobody gets them.
        """
        with self.changing, self._lock, self._db as db:
            db.execute("BEGIN IMMEDIATE")  # nobody else writes from here on: what is read is what is passed on
            self._seen = None
            self._check_not_last(person, admin=False)
            if papers_to and papers_to.id == person.id:
                raise PeopleError("The papers cannot go to the account that is removed.", "Name another one.")
            mine = [held[person.id] for held in self._now().values() if person.id in held]
            n_private = sum(not self.is_shared(hold.paper) for hold in mine)
            if n_private and papers_to is None:
                raise PeopleError(
                    f"{person.name} has {n_private} private {'paper' if n_private == 1 else 'papers'}.",
                    "Say who gets them: --papers-to NAME.",
                )
            heir = papers_to or next(one for one in self.all() if one.admin and one.id != person.id)
            for hold in mine:
                theirs = self.held(hold.paper).get(heir.id)
                db.execute(_KEEP, _row(_merged(theirs, hold) if theirs else replace(hold, person=heir.id)))
            db.execute("DELETE FROM people WHERE id = ?", (person.id,))  # and what the account holds
            self._seen = None
        return len(mine)

    def _check_not_last(self, person: Person, *, admin: bool) -> None:
        others = [one for one in self.all() if one.admin and one.id != person.id]
        if not admin and person.admin and not others:
            raise PeopleError(f"{person.name} is the only administrator.", "Make somebody else one first.")

    def _people(self, condition: str, *values: str) -> list[Person]:
        with self._lock:
            rows = self._db.execute(f"SELECT {_PERSON} FROM people {condition}", values).fetchall()  # noqa: S608 conditions are constants of this file
        return [_person(row) for row in rows]

    # -- who is signed in --------------------------------------------------------------------------------------------

    def sign_in(self, person_id: str) -> str:
        """A key that stands for this person until it ends; only its hash is kept."""
        key = secrets.token_urlsafe(32)
        self._write("DELETE FROM signed_in WHERE until < ?", (time.time(),))
        values = (_hash(key), person_id, time.time() + SIGNED_IN_SECONDS)
        self._write("INSERT INTO signed_in VALUES (?, ?, ?)", values)
        return key

    def signed_in(self, key: str) -> Person | None:
        """Who this key stands for; None if it ended, or the account is gone."""
        with self._lock:
            row = self._db.execute(
                "SELECT p.id, p.name, p.admin, p.login FROM signed_in s JOIN people p ON p.id = s.person "
                "WHERE s.key = ? AND s.until >= ?",
                (_hash(key), time.time()),
            ).fetchone()
        return _person(row) if row else None

    def sign_out(self, key: str) -> None:
        """End this key."""
        self._write("DELETE FROM signed_in WHERE key = ?", (_hash(key),))

    # -- papers ------------------------------------------------------------------------------------------------------

    def held(self, paper: str) -> Mapping[str, Hold]:
        """What each person has of a paper."""
        with self._lock:
            return self._now().get(paper, {})  # which is replaced, and never changed

    def sees(self, person: Person, paper: str) -> bool:
        """Whether the person may see the paper."""
        return self.is_seen(person, self.held(paper))

    def holds(self) -> Mapping[str, Mapping[str, Hold]]:
        """What each person has of each paper, read once for many papers; only to be asked by the paper's id."""
        return self._now()

    @staticmethod
    def is_seen(person: Person, held: Mapping[str, Hold]) -> bool:
        """The one rule: it is theirs, or somebody shares it."""
        return person.id in held or any(hold.shared for hold in held.values())

    def seen_among(self, person: Person, papers: Iterable[str]) -> list[str]:
        """Those of the papers that the person may see, in their order."""
        with self._lock:
            now = self._now()
            return [paper for paper in papers if self.is_seen(person, now.get(paper, {}))]

    def shown(self, person: Person, paper: str) -> Hold | None:
        """The hold from which the person is told a file name and a date: their own, else that of who shares it."""
        return self.shown_of(person, self.held(paper))

    @staticmethod
    def shown_of(person: Person, held: Mapping[str, Hold]) -> Hold | None:
        """As `shown`."""
        return held.get(person.id) or next((hold for hold in held.values() if hold.shared), None)

    def is_shared(self, paper: str) -> bool:
        """Whether all may see it."""
        return any(hold.shared for hold in self.held(paper).values())

    def keeper(self, paper: str) -> str | None:
        """The id of who decides what is said of a shared paper to all: of those who share it, who added it first."""
        sharing = [hold for hold in self.held(paper).values() if hold.shared]
        return min(sharing, key=lambda hold: (hold.added_at, hold.person)).person if sharing else None

    def may_change(self, person: Person, paper: str) -> bool:
        """Whether the person may change what all are told of a shared paper."""
        now = self.person(person.id)  # an administrator of a while ago may be none any more
        return now is not None and (now.admin or self.keeper(paper) == now.id)

    def hold(self, person: Person, paper: str, *, file: str = "", shared: bool = False) -> bool:
        """Note that the person has added the paper; True if they did not hold it before."""
        with self.changing, self._lock:  # in this order
            if person.id in self.held(paper):
                return False
            if self.person(person.id) is None:
                raise PeopleError("This account is gone.", "Ask an administrator for another.")
            added_at = _now() if file else ""
            self._put(Hold(paper, person.id, shared, file, added_at, {}, (), local=False))
        return True

    def change(self, hold: Hold, **changes: Any) -> Hold:
        """Keep a changed hold, and return it."""
        with self.changing, self._lock:
            now = self.held(hold.paper).get(hold.person)
            made = replace(now or hold, **changes)
            if now is not None:  # else it has just gone
                self._put(made)
        return made

    def release(self, person: Person, paper: str) -> bool:
        """The person does not have the paper any more; True if nobody has it now."""
        with self._lock:
            self._write("DELETE FROM holds WHERE paper = ? AND person = ?", (paper, person.id))
            held = {one: hold for one, hold in self._now().get(paper, {}).items() if one != person.id}
            if held:
                self._holds[paper] = held
            else:
                self._holds.pop(paper, None)
            return not held

    def papers(self) -> list[str]:
        """What anybody holds."""
        return list(self._now())

    def forget(self, paper: str) -> None:
        """Nobody has the paper any more."""
        with self._lock:
            self._write("DELETE FROM holds WHERE paper = ?", (paper,))
            self._now().pop(paper, None)

    def owner(self) -> Person | None:
        """Who gets what nobody holds: the first account, or another administrator's; None where there are none."""
        everybody = self.all()
        return next((one for one in everybody if one.id == FIRST), None) or next(
            (one for one in everybody if one.admin), None
        )

    def claim(self, papers: Iterable[str], *, shared: bool, local: Container[str] = ()) -> int:
        """Papers that nobody holds become the first administrator's; returns how many those are.

        Args:
            papers: all that are there.
            shared: whether all see them from now on; what lost its owner may have been private.
            local: the papers of which the policy says that their text stays on this machine.
        """
        owner = self.owner()
        if owner is None:
            return 0
        with self.changing, self._lock:
            now = self._now()
            new = [
                Hold(paper, owner.id, shared, "", "", {}, (), local=paper in local)
                for paper in papers
                if not now.get(paper)
            ]
            with self._db as db:  # one transaction, however large the library is
                db.executemany(_KEEP, [_row(hold) for hold in new])
            for hold in new:
                now[hold.paper] = {hold.person: hold}
        return len(new)

    def _put(self, hold: Hold) -> None:
        with self._lock:
            self._write(_KEEP, _row(hold))
            now = self._now()
            now[hold.paper] = {**now.get(hold.paper, {}), hold.person: hold}

    def _now(self) -> dict[str, dict[str, Hold]]:
        """All holds by paper and person, in memory; read again when another process has written."""
        with self._lock:
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if version != self._seen:
                self._seen = version
                held: dict[str, dict[str, Hold]] = {}
                self._holds = held
                for hold in self._read():
                    held.setdefault(hold.paper, {})[hold.person] = hold
            return self._holds

    def _read(self) -> Iterator[Hold]:
        for row in self._db.execute("SELECT paper, person, shared, file, added_at, facts, tags, local FROM holds"):
            paper, person, shared, file, added_at, facts, tags, local = row
            yield Hold(
                *(paper, person, bool(shared), file, added_at),
                facts=json.loads(facts),
                tags=tuple(json.loads(tags)),
                local=bool(local),
            )

    # -- choices -----------------------------------------------------------------------------------------------------

    def choice(self, person: Person, name: str) -> str | None:
        """What the person chose; None if nothing."""
        with self._lock:
            query = "SELECT value FROM choices WHERE person = ? AND name = ?"
            row = self._db.execute(query, (person.id, name)).fetchone()
        return row[0] if row else None

    def choose(self, person: Person, name: str, value: str) -> None:
        """Keep what the person chose."""
        self._write("INSERT OR REPLACE INTO choices VALUES (?, ?, ?)", (person.id, name, value))

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        with self._lock, self._db as db:
            db.execute(statement, values)


def _merged(theirs: Hold, other: Hold) -> Hold:
    """What a person has of a paper after they got another's hold of it too."""
    return replace(
        theirs,
        shared=theirs.shared or other.shared,
        facts={**other.facts, **theirs.facts},
        tags=tuple(dict.fromkeys([*theirs.tags, *other.tags])),
        local=theirs.local or other.local,
    )


def _person(row: Sequence[Any]) -> Person:
    return Person(row[0], row[1], bool(row[2]), row[3])


def _row(hold: Hold) -> tuple[Any, ...]:
    """The hold as the table has it."""
    return (
        *(hold.paper, hold.person, hold.shared, hold.file, hold.added_at),
        *(json.dumps(dict(hold.facts)), json.dumps(hold.tags), hold.local),
    )


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
