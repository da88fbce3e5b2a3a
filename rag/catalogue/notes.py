"""What the user marked and noted in the PDFs: "What did I mark on X?", answered from the records with page and quote.

A note is text of a file that somebody may have sent: it is shown between quotation marks, and no model reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.annotations import annotations_of
from ingest.errors import UserFacingError
from ingest.verbatim import stands_in
from rag.answer import Citation, Passage
from rag.catalogue import words
from rag.catalogue.asked import Reply
from rag.retrieval.forms import MARKS, NAMED, fold
from rag.words import STOP_WORDS, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Chunk, Library, Paper
    from ingest.annotation import Annotation
    from rag.catalogue.asked import Asked

MOST = 60
"""Notes that are listed; where there are more, their number is said."""

MOST_READ = 60
"""Papers of an older version whose notes are read for one question."""

NOTE_CHARS = 300
"""Of a note and of a quote; the viewer has the rest."""

_DONE = {
    "highlight": "highlighted", "underline": "underlined", "strikeout": "struck out", "squiggly": "underlined",
    "note": "note", "text": "written on the page",
}  # fmt: skip


_HEAD = re.compile(r"\d+ highlight(?: or note|s and notes)\b")
"""How a reply with notes begins; see `_listed`."""


@dataclass(frozen=True, slots=True)
class _Found:
    paper: Paper
    notes: tuple[Annotation, ...]


def notes_reply(asked: Asked, about: str | None, topic: str | None) -> Reply | None:
    """What is marked and noted in the papers that the question means; None where it means something else.

    Args:
        asked: the question.
        about: its words for a paper, as `note_questions` reads them; None for all that are asked.
        topic: its words for what the notes are to be about; None for all notes.
    """
    papers = asked.papers
    if topic and NAMED in topic:
        return None
    if about:
        found = asked.subject(about)
        if isinstance(found, Reply):
            return found
        if found is None:
            topic = about if topic is None else topic
        else:
            papers = found
    if not papers:
        return asked.empty()
    told, unread = _read(asked.library, papers)
    later = (
        f"\n\nThe notes in {counted(unread, 'paper')} were not read yet, because an older version added "
        f"{'it' if unread == 1 else 'them'}. Ask again to go on."
        if unread
        else ""
    )
    said = asked.said(topic).strip(f"{MARKS} ") if topic else ""
    on = f" about “{words.flat(said)}”" if said else ""
    fitting = _about(told, said) if said else told
    if not fitting:
        return Reply(f"{_none(asked, papers, told, on)}{later}")
    reply = _listed(asked, papers, fitting, on)
    return Reply(f"{reply.text}{later}", reply.passages, reply.citations)


def tells_notes(reply: str) -> bool:
    """Whether an earlier reply of a chat has the words of notes, which no model is to read."""
    return bool(_HEAD.match(reply))


def _read(library: Library, papers: Sequence[Paper]) -> tuple[list[_Found], int]:
    """The papers that have notes, and how many papers were not looked at."""
    found, read, unread = [], 0, 0
    for paper in papers:
        notes = library.annotations(paper.id)
        if notes is None and read == MOST_READ:
            unread += 1
            continue
        if notes is None:
            try:
                notes = annotations_of(library.pdf_path(paper.id))
            except UserFacingError:  # it may be readable another time
                continue
            read += 1
            notes = library.keep_annotations(paper.id, notes)
        if notes:
            found.append(_Found(paper, notes))
    return found, unread


def _about(told: Sequence[_Found], said: str) -> list[_Found]:
    """The notes that have all words of the topic, singular or plural, in what is marked or in what is noted."""
    sought = [word for word in re.findall(r"\w+", fold(said)) if word not in STOP_WORDS] or [fold(said)]
    stems = [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in sought]
    patterns = [re.compile(rf"(?<!\w){re.escape(stem)}") for stem in stems]
    fitting = []
    for found in told:
        notes = [n for n in found.notes if all(p.search(fold(f"{n.quote} {n.note}")) for p in patterns)]
        if notes:
            fitting.append(_Found(found.paper, tuple(notes)))
    return fitting


def _none(asked: Asked, papers: Sequence[Paper], told: Sequence[_Found], about: str) -> str:
    where = words.quoted(papers[0]) if len(papers) == 1 else f"any of {asked.of(papers)}"
    if about and told:
        n = sum(len(found.notes) for found in told)
        have = f"None of your {n} highlights and notes in" if n > 1 else "Your one highlight or note in"
        seen = words.quoted(papers[0]) if len(papers) == 1 else asked.of(papers)
        return f"{have} {seen} {'has' if n > 1 else 'does not have'} the words{about.removeprefix(' about')}."
    return (
        f"There are no highlights or notes in {where}. Scholion reads those that a PDF has when you add it, and those "
        "in Zotero: save them in your PDF program and add the file again, or run `python -m ingest zotero`."
    )


def _listed(asked: Asked, papers: Sequence[Paper], fitting: Sequence[_Found], about: str) -> Reply:
    passages, citations = list[Passage](), list[Citation]()
    total, left = sum(len(found.notes) for found in fitting), MOST
    blocks = []
    for n, found in enumerate(fitting, start=1):
        shown = found.notes[:left]
        left -= len(shown)
        if not shown:
            break
        cited = _Cited(asked.library, found.paper)
        lines = []
        for note in shown:
            marker = ""
            if chunk := cited.chunk(note):
                passages.append(Passage(len(passages) + 1, chunk, found.paper, 1.0, ("words",)))
                citations.append(
                    Citation(
                        marker=len(passages), passage=passages[-1], page=note.page, quote=note.quote, verified=True
                    )
                )
                marker = f" [{len(passages)}]"
            lines.append(f"- {_line(found.paper, note)}{marker}")
        head = f"{n}. {words.entry(found.paper)}:\n" if len(fitting) > 1 else ""
        blocks.append(head + "\n".join(lines))
    of = f"in {words.quoted(fitting[0].paper)}" if len(fitting) == 1 else f"in {len(fitting)} of {asked.of(papers)}"
    more = f"\n\n… and {total - MOST} more. Open the paper to see all of them." if total > MOST else ""
    head = f"{total} highlight{' or note' if total == 1 else 's and notes'}{about} {of}:"
    return Reply(f"{head}\n\n" + "\n\n".join(blocks) + more, tuple(passages), tuple(citations))


def _line(paper: Paper, note: Annotation) -> str:
    """One note on one line: where, the marked words, what was noted."""
    parts = [f"page {paper.page_name(note.page)}, {_DONE[note.kind]}"]
    if note.quote:
        parts.append(f"“{_cut(note.quote)}”")
    if note.note:
        parts.append(f"Note: “{_cut(note.note)}”" if note.quote else f"“{_cut(note.note)}”")
    return f"{parts[0]}: {' '.join(parts[1:])}" if len(parts) > 1 else parts[0]


def _cut(text: str) -> str:
    flat = words.flat(text).replace("“", "‘").replace("”", "’")
    return flat if len(flat) <= NOTE_CHARS else flat[:NOTE_CHARS].rsplit(" ", 1)[0] + " …"


class _Cited:
    """Finds the passage in which marked words stand."""

    def __init__(self, library: Library, paper: Paper) -> None:
        self._library, self._paper = library, paper
        self._pages: dict[int, str] | None = None
        self._chunks: list[Chunk] = []

    def chunk(self, note: Annotation) -> Chunk | None:
        """One that has the words, else one of their page; None where they are not in the page's stored text."""
        if not note.quote:
            return None
        if self._pages is None:
            self._pages = {page.number: page.text for page in self._library.pages(self._paper.id)}
            chunks = self._library.chunks(self._library.chunk_ids([self._paper.id]))
            self._chunks = sorted(chunks.values(), key=lambda chunk: chunk.ordinal)
        if not stands_in(note.quote, self._pages.get(note.page, "")):
            return None
        there = [chunk for chunk in self._chunks if chunk.first_page <= note.page <= chunk.last_page]
        return next((chunk for chunk in there if stands_in(note.quote, chunk.text)), there[0] if there else None)
