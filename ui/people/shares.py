"""What each person has of this process: a view of the library, an assistant that answers from it, removals to undo."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ingest import UserFacingError
from ingest.files import paper_id
from rag.privacy.audit import AuditLog
from rag.privacy.policy import load_policy
from ui import samples
from ui.people import who
from ui.people.view import View
from ui.web.removals import Removals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ingest import Library
    from rag import Assistant
    from ui.people.store import Person


class Shares:
    """Everybody's share of one library; `ui.core` asks it for that of who asks.

    Args:
        whole: all of the library.
    """

    def __init__(self, whole: Callable[[], Library]) -> None:
        self._whole = whole
        self._lock = threading.Lock()
        self._views: dict[str, View] = {}
        self._assistants: dict[str, tuple[Assistant, Assistant]] = {}
        """For each person the assistant in use, and the same over their view."""
        self._removals: dict[str, Removals] = {}

    def person(self) -> str:
        """The id of who asks."""
        return who.current().id

    def library(self, whole: Library) -> Library:
        """The library as who asks sees it."""
        return self._view(whole, who.current())

    def _view(self, whole: Library, person: Person) -> View:
        with self._lock:
            known = self._views.get(person.id)
            if known is None or not known.is_of(whole):
                known = self._views[person.id] = View(whole, person, who.people())
            return known

    def assistant(self, whole: Assistant) -> Assistant:
        """The assistant in use over what who asks sees."""
        person = who.current()
        view = self._view(self._whole(), person)
        with self._lock:
            base, made = self._assistants.get(person.id, (None, None))
            if made is None or base is not whole:
                made = whole.over(view, like=made if made and made.library is view else None)
                self._assistants[person.id] = (whole, made)
            return made

    def removals(self) -> Removals:
        """What who asks has removed and may still bring back."""
        person = who.current()
        with self._lock:
            if person.id not in self._removals:
                view = lambda: self._view(self._whole(), person)  # noqa: E731
                self._removals[person.id] = Removals(view, of_one=True)
            return self._removals[person.id]

    def forget_removals(self) -> None:
        """Keep all papers that wait to be removed."""
        for one in list(self._removals.values()):
            one.forget()

    def bring(self, path: Path, name: str) -> bool:
        """Who asks adds this file under this name; True if they did not see it before. The samples are everybody's."""
        person = who.current()
        try:
            known = paper_id(path)
        except OSError:
            return False  # whoever reads it next says so
        new = not who.people().sees(person, known)
        who.people().hold(person, known, file=name, shared=known in samples.ids())
        self.removals().keep([known])
        return new

    def settle(self, path: Path) -> None:
        """This file was tried: who gave it has no paper of it, unless something of it is there."""
        with suppress(OSError):
            self._drop_empty([paper_id(path)])

    def take_over(self) -> None:
        """At the start: what a crash left is put in order, and what nobody holds gets an owner.

        When accounts are used for the first time, that is the library of the single user, and all see it. Later it is
        what lost its owner, or was added while there were no accounts: it may have been private.
        """
        library, people = self._whole(), who.people()
        if library.is_alone:  # else a paper may be on its way to another process
            self._drop_empty(people.papers())
        people.claim(library.added_at(), shared=library.is_first("people"), local=self._local())

    def _drop_empty(self, paper_ids: Iterable[str]) -> None:
        """Nobody holds those of the papers that are not there, nor on their way: they would get another's later."""
        people, whole = who.people(), self._whole()
        with people.changing:
            ids = list(paper_ids)
            there = {paper.id for paper in whole.papers(ids)}
            for one in ids:
                if one not in there and whole.ledger.get(one) is None:
                    people.forget(one)

    def _local(self) -> frozenset[str]:
        """The papers whose text stays on this machine; none where the policy cannot be read, which Health says."""
        folder = self._whole().folder
        try:
            return load_policy(folder, AuditLog(folder)).local_only
        except UserFacingError:
            return frozenset()

    def came(self, paper_ids: Iterable[str]) -> None:
        """A command has added these papers: they are everybody's, and the first administrator holds them."""
        ids, people = list(paper_ids), who.people()
        people.claim(ids, shared=True, local=self._local())
        if owner := people.owner():
            for hold in (people.held(one).get(owner.id) for one in ids):
                if hold and not hold.shared:
                    people.change(hold, shared=True)
            for one in ids:
                people.hold(owner, one, shared=True)  # whoever else has it
        for removals in list(self._removals.values()):
            removals.keep(ids)

    def went(self, paper_ids: Iterable[str]) -> None:
        """A command has removed these papers."""
        self._drop_empty(paper_ids)
