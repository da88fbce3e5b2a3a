"""What each person has of this process: a view of the library, an assistant that answers from it, removals to undo."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ingest.files import paper_id
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
                self._removals[person.id] = Removals(lambda: self._view(self._whole(), person))
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

    def came(self, paper_ids: Iterable[str]) -> None:
        """A command has added these papers: they are everybody's, and the first administrator holds them."""
        who.people().claim(paper_ids)

    def went(self, paper_ids: Iterable[str]) -> None:
        """A command has removed these papers."""
        for one in paper_ids:
            who.people().forget(one)
