"""The library as one person sees it. Whoever is given this can find nothing else, whatever they search for.

Each public name of `Library` stands here, narrowed or passed on; a test says so, and what is forgotten fails, because
the parts that it would need are not there. It is a long file for that reason.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from ingest import Library
from ingest.errors import TagError, UnknownPaperError
from ingest.from_zotero import FromZotero
from ingest.ledger import Entry, Ledger
from ingest.metadata import Description
from ingest.tags import clean
from ingest.terminal import all_well_formed
from ingest.vectors import DEEPEST, EXACT
from ui.people.store import NOT_YOURS, NotYoursError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ingest import Chunk, Listed, Page, Paper
    from ingest.annotation import Annotation
    from ingest.embed import Vectors
    from ingest.entry import Beside
    from ingest.ledger import State
    from ingest.paper import ParsedPaper
    from ingest.vectors import VectorIndex
    from ui.people.store import Hold, People, Person


class View(Library):
    """One library, narrowed to the papers that a person may see. It has no connection of its own.

    Args:
        whole: all of it.
        person: whose view it is.
        people: who holds what.
    """

    def __init__(self, whole: Library, person: Person, people: People) -> None:  # it has no part of its own
        self._whole, self._person, self._people = whole, person, people
        self.settings, self.folder, self.one_ingest = whole.settings, whole.folder, whole.one_ingest
        self.ledger = SeenLedger(whole.ledger, person, people)

    # -- which -------------------------------------------------------------------------------------------------------

    def _sees(self, paper_id: str) -> bool:
        return self._people.sees(self._person, paper_id)

    def _narrowed(self, paper_ids: Sequence[str] | None) -> Sequence[str] | None:
        """These papers, or all, without those that are not seen; None where nothing is hidden."""
        if paper_ids is not None:
            return self._people.seen_among(self._person, paper_ids)
        everything = list(self._whole.added_at())
        seen = self._people.seen_among(self._person, everything)
        return None if len(seen) == len(everything) else seen

    def _own(self, paper_id: str) -> Hold | None:
        return self._people.held(paper_id).get(self._person.id)

    def _as_told(self, paper: Paper, held: Mapping[str, Hold] | None = None) -> Paper:
        """The paper with the person's name for its file, and what they corrected."""
        held = self._people.held(paper.id) if held is None else held
        shown, own = self._people.shown_of(self._person, held), held.get(self._person.id)
        facts = _facts(own) if own else {}
        if shown and shown.file:
            facts["file_name"] = shown.file
            if _is_named_after_its_file(paper):  # whose name is another person's
                facts.setdefault("title", shown.file.rsplit(".", 1)[0])
        return replace(paper, **facts) if facts else paper

    def _checked(self, paper_id: str) -> str:
        """The whole id.

        Raises:
            UnknownPaperError: there is no such paper for this person.
        """
        return self.paper(paper_id).id

    # -- reading -----------------------------------------------------------------------------------------------------

    def papers(self, ids: Iterable[str] | None = None) -> list[Paper]:
        """As of `Library`, those that are seen."""
        found, holds = {paper.id: paper for paper in self._whole.papers(ids)}, self._people.holds()
        known = self._whole.added_at()
        order = self._dated({name: known.get(name, "") for name in found})
        return [self._as_told(found[name], holds.get(name, {})) for name in order]

    def _dated(self, known: Mapping[str, str]) -> dict[str, str]:
        """Those of the papers that are seen, in the order in which this person or who shares them added them."""
        found, holds = {}, self._people.holds()
        for name in self._people.seen_among(self._person, known):
            shown = self._people.shown_of(self._person, holds.get(name, {}))
            found[name] = shown.added_at if shown and shown.added_at else known[name]
        return dict(sorted(found.items(), key=lambda one: one[1]))

    def like(self, paper: Paper, *, among: Callable[[str], bool] | None = None) -> Paper | None:
        """As of `Library`, among those that are seen."""
        other = self._whole.like(
            paper, among=self._sees if among is None else lambda one: self._sees(one) and among(one)
        )
        return self._as_told(other) if other else None

    def paper(self, paper_id: str) -> Paper:
        """As of `Library`; one that is not seen is not there."""
        unknown = UnknownPaperError(
            f"This library has no paper with the id {paper_id!r}.", "`python -m ingest list` shows the ids."
        )
        if self._sees(paper_id):
            return self._as_told(self._whole.paper(paper_id))
        if len(paper_id) < 4:
            raise unknown
        begins = [name for name in self._whole.added_at() if name.startswith(paper_id) and self._sees(name)]
        if len(begins) != 1:
            raise unknown
        return self._as_told(self._whole.paper(begins[0]))

    def pages(self, paper_id: str) -> list[Page]:
        """As of `Library`; none of one that is not seen."""
        return self._whole.pages(paper_id) if self._sees(paper_id) else []

    def report(self, paper_id: str) -> dict[str, Any] | None:
        """As of `Library`; None of one that is not seen."""
        return self._whole.report(paper_id) if self._sees(paper_id) else None

    def references(self, paper_id: str) -> list[str]:
        """As of `Library`; none of one that is not seen."""
        return self._whole.references(paper_id) if self._sees(paper_id) else []

    def overview(self) -> list[Listed]:
        """As of `Library`, those that are seen, as the person knows them."""
        found, holds = {one.paper.id: one for one in self._whole.overview()}, self._people.holds()
        order = self._dated({name: one.added_at for name, one in found.items()})
        return [self._listed(found[name], date, holds.get(name, {})) for name, date in order.items()]

    def _listed(self, one: Listed, date: str, held: Mapping[str, Hold]) -> Listed:
        own, is_shared = held.get(self._person.id), any(hold.shared for hold in held.values())
        facts = _facts(own) if own else {}
        return replace(
            one,
            paper=self._as_told(one.paper, held),
            added_at=date,
            tags=_both(one.tags if is_shared else (), own),
            corrected=tuple(dict.fromkeys([*(one.corrected if is_shared else ()), *facts])),
        )

    def annotations(self, paper_id: str) -> tuple[Annotation, ...] | None:
        """As of `Library`; none of one that is not seen."""
        return self._whole.annotations(paper_id) if self._sees(paper_id) else ()

    def keep_annotations(self, paper_id: str, found: Sequence[Annotation]) -> tuple[Annotation, ...]:
        """As of `Library`; nothing of one that is not seen."""
        return self._whole.keep_annotations(paper_id, found) if self._sees(paper_id) else ()

    def from_zotero(self, paper_id: str) -> FromZotero:
        """As of `Library`; nothing of one that is not seen, and no tags, which are not the person's."""
        return FromZotero(notes=self._whole.from_zotero(paper_id).notes) if self._sees(paper_id) else FromZotero()

    def beside(self, paper_id: str) -> Beside:
        """As of `Library`; it describes the file, whoever adds it."""
        return self._whole.beside(paper_id)

    def keep_beside(self, paper_id: str, found: Beside) -> None:
        """As of `Library`."""
        self._whole.keep_beside(paper_id, found)

    def keep_from_zotero(self, paper_id: str, said: FromZotero) -> None:  # noqa: ARG002 - as of `Library`
        """Only whoever runs the command line follows a Zotero library.

        Raises:
            NotYoursError: always.
        """
        raise NotYoursError(NOT_YOURS)

    def added_at(self) -> dict[str, str]:
        """As of `Library`, those that are seen, when this person or who shares them added them."""
        return self._dated(self._whole.added_at())

    def tags(self) -> dict[str, list[str]]:
        """As of `Library`: those of shared papers, and the person's own."""
        everything, holds = self._whole.tags(), self._people.holds()
        order = self._dated(self._whole.added_at())
        given: dict[str, set[str]] = {}
        for tag, names in everything.items():
            given[tag] = {name for name in names if any(hold.shared for hold in holds.get(name, {}).values())}
        for name in order:
            for tag in own.tags if (own := holds.get(name, {}).get(self._person.id)) else ():
                known = next((one for one in given if one.casefold() == tag.casefold()), tag)
                given.setdefault(known, set()).add(name)
        found = {tag: [name for name in order if name in names] for tag, names in given.items()}
        return {tag: found[tag] for tag in sorted(found, key=str.casefold) if found[tag]}

    def tags_of(self, paper_id: str) -> list[str]:
        """As of `Library`: those of a shared paper, and the person's own."""
        if not self._sees(paper_id):
            return []
        own = self._own(paper_id)
        shared = self._whole.tags_of(paper_id) if self._shares_facts(paper_id) else []
        return list(_both(shared, own))

    def tagged(self, tag: str) -> list[Paper]:
        """As of `Library`."""
        ids = set(self.tags()[self._known(tag)])
        return [paper for paper in self.papers() if paper.id in ids]

    def _known(self, tag: str) -> str:
        tags = self.tags()
        for name in tags:
            if name.casefold() == clean(tag).casefold():
                return name
        there = f"The tags are: {', '.join(tags)}." if tags else "Tag a paper in the Library."
        raise TagError(f"No paper has the tag {tag!r}.", there)

    def n_chunks(self, paper_id: str | None = None) -> int:
        """As of `Library`, of what is seen."""
        if paper_id is not None:
            return self._whole.n_chunks(paper_id) if self._sees(paper_id) else 0
        among = self._narrowed(None)
        return self._whole.n_chunks() if among is None else self._whole.n_chunks_of(among)

    def n_chunks_of(self, paper_ids: Sequence[str]) -> int:
        """As of `Library`, of what is seen."""
        among = self._narrowed(paper_ids)
        return self._whole.n_chunks_of(paper_ids if among is None else among)

    def chunk(self, chunk_id: str) -> Chunk | None:
        """As of `Library`, of what is seen."""
        return self.chunks([chunk_id]).get(chunk_id)

    def chunks(self, ids: Iterable[str]) -> dict[str, Chunk]:
        """As of `Library`, of what is seen."""
        found = self._whole.chunks(ids)
        seen = set(self._people.seen_among(self._person, {chunk.paper_id for chunk in found.values()}))
        return {name: chunk for name, chunk in found.items() if chunk.paper_id in seen}

    def chunk_ids(self, paper_ids: Sequence[str] | None = None) -> list[str]:
        """As of `Library`, of what is seen."""
        return self._whole.chunk_ids(self._narrowed(paper_ids))

    def search_words(self, match: str, k: int, *, paper_ids: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """As of `Library`, among what is seen."""
        return self._whole.search_words(match, k, paper_ids=self._narrowed(paper_ids))

    def is_everywhere(self, match: str, *, paper_ids: Sequence[str] | None = None) -> bool:
        """As of `Library`, among what is seen."""
        return self._whole.is_everywhere(match, paper_ids=self._narrowed(paper_ids))

    def highest_score(self, match: str, *, paper_ids: Sequence[str] | None = None) -> float:
        """As of `Library`, among what is seen."""
        return self._whole.highest_score(match, paper_ids=self._narrowed(paper_ids))

    def vectors_of(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """As of `Library`, of what is seen."""
        return self._whole.vectors_of(self.of_seen(ids))

    def of_seen(self, chunk_ids: Iterable[str]) -> list[str]:
        """Those of the ids that are of chunks of papers that are seen."""
        of = {name: name.partition(":")[0] for name in chunk_ids}
        seen = set(self._people.seen_among(self._person, set(of.values())))
        return [name for name, paper in of.items() if paper in seen]

    def pdf_path(self, paper_id: str) -> Path:
        """As of `Library`."""
        return self._whole.pdf_path(self._checked(paper_id))

    @property
    def embedder_name(self) -> str | None:
        """As of `Library`."""
        return self._whole.embedder_name

    @property
    def vectors(self) -> VectorIndex:
        """An index that finds only what is seen."""
        return SeenVectors(self._whole.vectors, self)

    def is_first(self, name: str) -> bool:
        """As of `Library`."""
        return self._whole.is_first(name)

    # -- owning ------------------------------------------------------------------------------------------------------

    def own(
        self, *, url: str | None = None, key: str | None = None, seconds: float = 0.0, with_others: bool = False
    ) -> None:
        """As of `Library`."""
        self._whole.own(url=url, key=key, seconds=seconds, with_others=with_others)

    @property
    def is_alone(self) -> bool:
        """As of `Library`."""
        return self._whole.is_alone

    def claim(self, paper_id: str, *, seconds: float = 0.0) -> bool:
        """As of `Library`."""
        return self._whole.claim(paper_id, seconds=seconds)

    def let_others_in(self) -> None:
        """As of `Library`."""
        self._whole.let_others_in()

    def take_over(self) -> list[str]:
        """As of `Library`."""
        return self._whole.take_over()

    @contextmanager
    def claimed(self, paper: Paper) -> Iterator[None]:
        """As of `Library`."""
        with self._whole.claimed(paper):
            yield

    def give_back(self, paper_id: str) -> None:
        """As of `Library`."""
        self._whole.give_back(paper_id)

    def owner(self) -> dict[str, Any]:
        """As of `Library`."""
        return self._whole.owner()

    def check_embedder(self, embedder: str) -> None:
        """As of `Library`."""
        self._whole.check_embedder(embedder)

    # -- writing: what a person adds they hold before -----------------------------------------------------------------

    def add(self, parsed: ParsedPaper, chunks: Sequence[Chunk], vectors: Vectors, *, embedder: str, pdf: Path) -> None:
        """As of `Library`, unless the account is gone: what nobody holds would have no owner."""
        with self._people.changing:
            before = self._there(parsed.paper.id)
            if self._own(parsed.paper.id) is None and before is None:
                raise UnknownPaperError("This file is not yours any more.", "Sign in and add it again.")
            if before:  # it is read again: what others know of it stays as it is
                parsed = replace(parsed, paper=self._as_before(parsed.paper, before))
            self._whole.add(parsed, chunks, vectors, embedder=embedder, pdf=pdf)

    def _there(self, paper_id: str) -> Paper | None:
        """The paper as the library has it; None if it is not there for this person."""
        return next(iter(self._whole.papers([paper_id])), None) if self._sees(paper_id) else None

    def _as_before(self, paper: Paper, before: Paper) -> Paper:
        """The paper as it was read again, under the library's name for its file; described as before if others have it.

        The description may have come from a bibliography that lay beside the first copy.
        """
        kept = ["file_name"]
        if self._shares_facts(paper.id) or not self._is_alone(paper.id):
            kept += [one.name for one in fields(Description)]
        return replace(paper, **{name: getattr(before, name) for name in kept})

    def kept_path(self, paper_id: str) -> Path:
        """As of `Library`."""
        return self._whole.kept_path(paper_id)

    def quarantine_path(self, paper_id: str) -> Path:
        """As of `Library`."""
        return self._whole.quarantine_path(paper_id)

    def quarantine(self, paper_id: str) -> None:
        """As of `Library`."""
        self._whole.quarantine(paper_id)

    def keep(self, pdf: Path, paper_id: str) -> None:
        """As of `Library`; the person holds it from now on."""
        if self._there(paper_id) is None:  # else it is read again, which makes it nobody's
            self._people.hold(self._person, paper_id, file=pdf.name)
        self._whole.keep(pdf, paper_id)

    def mend_copy(self, pdf: Path, paper_id: str) -> bool:
        """As of `Library`."""
        return self._whole.mend_copy(pdf, paper_id)

    def remove(self, paper_id: str, *, claimed: bool = False) -> Paper:
        """Take the paper from this person, and from the library if nobody else has it; `claimed`: as of `Library`.

        Raises:
            UnknownPaperError: the person does not have it.
        """
        paper = self.paper(paper_id)
        # the claim first, as who adds a paper does
        with nullcontext() if claimed else self._whole.claimed(paper), self._people.changing:
            if self._own(paper.id) is None:
                raise UnknownPaperError("This paper is not yours.", "Who added it can remove it.")
            if self._is_alone(paper.id):
                self._whole.remove(
                    paper.id, claimed=True
                )  # before it has no owner: a crash leaves nothing that is nobody's
            self._people.release(self._person, paper.id)
        return paper

    def _is_alone(self, paper_id: str) -> bool:
        """Whether nobody else has the paper; to be asked with `changing`, so that nobody gets it meanwhile."""
        return not self._people.held(paper_id).keys() - {self._person.id}

    def _for_all(self, paper_id: str) -> bool:
        """Whether what is said of the paper is told to all; else it is this person's alone.

        Raises:
            NotYoursError: somebody else shares it, and the person does not have it.
        """
        if not self._shares_facts(paper_id):
            return False
        if self._people.may_change(self._person, paper_id):
            return True
        if self._own(paper_id) is None:
            raise NotYoursError(NOT_YOURS)
        return False

    def describe(self, paper_id: str, **facts: Any) -> Paper:
        """Correct a shared paper for all, as of `Library`, and a private one for this person alone."""
        before = self.paper(paper_id)
        if "authors" in facts:
            facts.setdefault("families", ())
        for_all, own = self._for_all(before.id), self._own(before.id)
        if for_all:
            self._whole.describe(before.id, **facts)
            if own and own.facts.keys() & facts.keys():  # else the person would not see what they have just told all
                self._people.change(own, facts={n: v for n, v in own.facts.items() if n not in facts})
        elif own:
            told = all_well_formed(facts)
            changed = {name: value for name, value in told.items() if value != getattr(before, name)}
            self._people.change(own, facts={**own.facts, **changed})
        return self.paper(before.id)

    def tag(self, paper_ids: Sequence[str], tag: str) -> str:
        """Tag shared papers for all, as of `Library`, and private ones for this person alone."""
        ids = [self._checked(name) for name in paper_ids]
        name = next((known for known in self.tags() if known.casefold() == clean(tag).casefold()), clean(tag))
        if shared := [one for one in ids if self._for_all(one)]:
            self._whole.tag(shared, name)
        for own in (own for one in ids if one not in shared and (own := self._own(one))):
            self._people.change(own, tags=tuple(dict.fromkeys([*own.tags, name])))
        return name

    def untag(self, paper_ids: Sequence[str], tag: str) -> str:
        """Take a tag from papers, as of `Library`."""
        ids, name = [self._checked(one) for one in paper_ids], self._known(tag)
        shared = [one for one in ids if self._for_all(one)]
        if any(known.casefold() == name.casefold() for one in shared for known in self._whole.tags_of(one)):
            self._whole.untag(shared, name)
        for own in (own for one in ids if (own := self._own(one))):
            self._people.change(own, tags=tuple(one for one in own.tags if one.casefold() != name.casefold()))
        return name

    def discard(self, paper_id: str) -> None:
        """As of `Library`, unless somebody else holds the file."""
        with self._people.changing:
            if self._is_alone(paper_id):
                self._whole.discard(paper_id)
            self._people.release(self._person, paper_id)

    def abandon(self, paper_id: str) -> None:
        """As of `Library`, unless somebody else holds the file."""
        with self._people.changing:
            if self._is_alone(paper_id):
                self._whole.abandon(paper_id)
            self._people.release(self._person, paper_id)

    def mend_index(self) -> list[str]:
        """As of `Library`."""
        return self._whole.mend_index()

    def close(self) -> None:
        """Nothing: the library is not this person's to close."""

    # -- sharing -----------------------------------------------------------------------------------------------------

    def _shares_facts(self, paper_id: str) -> bool:
        """Whether corrections and tags of the paper are everybody's."""
        return self._people.is_shared(paper_id)

    def share(self, paper_ids: Sequence[str], *, on: bool) -> None:
        """Let all see papers that the person added, with their corrections and tags; or no more.

        Raises:
            UnknownPaperError: the person did not add one of them.
        """
        with self._people.changing:
            for hold in [self._own(self._checked(name)) for name in paper_ids]:
                if hold is None:
                    raise UnknownPaperError("This paper is not yours.", "Who added it can share it.")
                others = [one for one in self._people.held(hold.paper).values() if one.person != hold.person]
                if hold.shared == on:
                    continue
                if any(one.shared for one in others):  # what is told to all stays as it is
                    self._people.change(hold, shared=on)
                elif on:
                    self._people.change(hold, shared=True, facts={}, tags=())
                    if facts := _facts(hold):
                        self._whole.describe(hold.paper, **facts)
                    for tag in hold.tags:
                        self._whole.tag([hold.paper], tag)
                else:
                    self._take_back(hold, others)

    def _take_back(self, hold: Hold, others: Sequence[Hold]) -> None:
        """Share a paper no more: its tags go to each who has it, and are the library's no more."""
        tags = self._whole.tags_of(hold.paper)
        for one in (*others, hold):
            self._people.change(one, shared=False, tags=tuple(dict.fromkeys([*one.tags, *tags])))
        for tag in tags:
            self._whole.untag([hold.paper], tag)

    def is_of(self, whole: Library) -> bool:
        """Whether this is a view of that library."""
        return self._whole is whole

    def state_of(self, paper_id: str) -> str:
        """`private`, `shared` by this person, `also shared` by others only, or not held: `another's`."""
        own = self._own(paper_id)
        if own is None:
            return "another's"
        return "shared" if own.shared else "also shared" if self._people.is_shared(paper_id) else "private"

    # -- what stays on this machine ----------------------------------------------------------------------------------

    def told_local(self, paper_ids: Iterable[str]) -> frozenset[str]:
        """Those of the papers that stay on this machine of which the person may know that: shared ones, and their own.

        What another person said of the same private PDF holds for both, but only the one who said it is told.
        """
        seen = self._people.seen_among(self._person, paper_ids)
        return frozenset(name for name in seen if self._shares_facts(name) or ((own := self._own(name)) and own.local))

    def note_local(self, paper_ids: Sequence[str], *, on: bool) -> list[str]:
        """Note what the person says; returns the papers for which that changes the policy.

        Raises:
            NotYoursError: somebody else shares one, and it is theirs to say.
        """
        keepers = {name: self._people.keeper(name) for name in paper_ids}
        if any(keeper and not self._people.may_change(self._person, name) for name, keeper in keepers.items()):
            raise NotYoursError(NOT_YOURS)
        for name, keeper in keepers.items():
            if hold := self._people.held(name).get(keeper or self._person.id):
                self._people.change(hold, local=on)
        if on:
            return list(paper_ids)
        return [name for name in paper_ids if not any(hold.local for hold in self._people.held(name).values())]


class SeenVectors:
    """A vector index that finds only chunks of papers that are seen. Writing goes to the whole library."""

    def __init__(self, whole: VectorIndex, view: View) -> None:
        self._whole, self._view = whole, view

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        """As of the index."""
        self._whole.add(ids, vectors)

    def remove(self, ids: Sequence[str]) -> None:
        """As of the index."""
        self._whole.remove(ids)

    def ids(self) -> set[str]:
        """Those of papers that are seen."""
        return self._whole.ids() & set(self._view.chunk_ids())

    def search(self, query: Vectors, k: int, *, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """The k nearest among what is seen: at first more of all, which is quicker than to name what is seen."""
        if among is not None:
            return self._whole.search(query, k, among=self._view.of_seen(among))
        wide = max(EXACT, 4 * k)
        nearest = self._whole.search(query, wide)
        seen = set(self._view.of_seen(name for name, _ in nearest))
        kept = [one for one in nearest if one[0] in seen]
        if len(kept) >= k or len(nearest) < wide:
            return kept[:k]
        return self._whole.search(query, k, among=self._view.chunk_ids())

    def nearest(self, query: Vectors, depth: int) -> list[tuple[str, float]]:
        """Those that are seen of the nearest of all: of these, more are asked for the smaller the part that is seen.

        Nothing if that would be too many; then whoever asks has to name what they look for.
        """
        wide = depth * self._whole.count() // max(1, self._view.n_chunks())
        if wide > DEEPEST:
            return []
        nearest = self._whole.nearest(query, max(depth, wide))
        seen = set(self._view.of_seen(name for name, _ in nearest))
        return [one for one in nearest if one[0] in seen]

    def count(self) -> int:
        """Of what is seen."""
        return self._view.n_chunks()

    def close(self) -> None:
        """Nothing: the index is the library's."""


class SeenLedger(Ledger):
    """The ledger with the files that a person gave, under their own names."""

    def __init__(self, whole: Ledger, person: Person, people: People) -> None:
        self._whole, self._person, self._people = whole, person, people

    def set(self, paper_id: str, state: State, *, file: str | None = None, reason: str | None = None) -> None:
        """As of `Ledger`."""
        known = self._whole.get(paper_id)
        if known and file:  # who gave it first named it; each person's own name is in what they hold
            reason, file = reason.replace(file, known.file) if reason else None, None
        self._whole.set(paper_id, state, file=file, reason=reason)

    def advance(self, paper_id: str, state: State) -> None:
        """As of `Ledger`."""
        self._whole.advance(paper_id, state)

    def is_finished(self, paper_id: str) -> bool:
        """As of `Ledger`."""
        return self._whole.is_finished(paper_id)

    def forget(self, paper_id: str) -> None:
        """As of `Ledger`."""
        self._whole.forget(paper_id)

    def get(self, paper_id: str) -> Entry | None:
        """As of `Ledger`; None of a file that the person did not give."""
        entry = self._whole.get(paper_id)
        return self._as_told(entry) if entry else None

    def entries(self, *states: State) -> list[Entry]:
        """As of `Ledger`, of the files that the person gave."""
        return [told for entry in self._whole.entries(*states) if (told := self._as_told(entry))]

    def _as_told(self, entry: Entry) -> Entry | None:
        own = self._people.held(entry.paper_id).get(self._person.id)
        if own is None:
            return None
        name = own.file or entry.file
        reason = entry.reason.replace(entry.file, name) if entry.reason else None
        return replace(entry, file=name, reason=reason)


def _is_named_after_its_file(paper: Paper) -> bool:
    """Whether no title was found in the PDF, so that its file's name stands for it."""
    title, file = ("".join(filter(str.isalnum, text.casefold())) for text in (paper.title, paper.file_name))
    return file.removesuffix("pdf") == title.removesuffix("pdf")


def _both(shared: Iterable[str], own: Hold | None) -> tuple[str, ...]:
    """Tags that all see and the person's own, each once, by name."""
    known = {tag.casefold(): tag for tag in (*(own.tags if own else ()), *shared)}
    return tuple(sorted(known.values(), key=str.casefold))


def _facts(hold: Hold) -> dict[str, Any]:
    """What a person corrected, as `Paper` has it; JSON knows no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in hold.facts.items()}
