"""First questions: about the user's newest papers, by rule; about the samples only while there are no other papers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag.texts import N_, _
from ui import core, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ingest import Paper

MOST = 4
NEWEST = 12
"""Papers that are looked at for a question."""
SHORT = 42
"""Characters of a title in a label."""

_QUESTIONS: tuple[tuple[str, str, str], ...] = (
    (
        r"result|finding|discussion|evaluation|experiment",
        N_("What does “{title}” find?"),
        "What are the main findings of {}?",
    ),
    (r"method|material|procedure|approach", N_("How was “{title}” done?"), "Which methods are used in {}?"),
    (r"limitation|threats to validity", N_("What limits “{title}”?"), "What are the limitations of {}?"),
    (r"conclusion|concluding", N_("What does “{title}” conclude?"), "What does {} conclude?"),
    ("", N_("What is “{title}” about?"), "What is {} about?"),
    ("", N_("Summarise “{title}”"), "Summarise {}."),
)
"""Of each kind, which is asked once: the heading that must be there, the label, and the question.

The question stays English in every language: the models on this machine read English.
"""


def questions() -> list[tuple[str, str]]:
    """Label and question of at most four starters; no two papers and no two kinds of question are the same."""
    papers = core.library().papers()
    own = [paper for paper in papers if paper.id not in samples.ids()]
    if not own:
        return samples.questions(papers)
    return about(own[: -NEWEST - 1 : -1], sections=_sections)


def about(papers: Sequence[Paper], *, sections: Callable[[Paper], str]) -> list[tuple[str, str]]:
    """Label and question for these papers, the newest first.

    Args:
        papers: the papers; those whose titles are alike, or no titles, are asked about once or not at all.
        sections: the headings of a paper, one on each line.
    """
    found: list[tuple[str, str]] = []
    kinds, said = list(_QUESTIONS), set()
    for paper in papers:
        title = short_title(paper)
        if title is None or title.casefold() in said:
            continue
        said.add(title.casefold())
        headings = sections(paper)
        kind = next((kind for kind in kinds if re.search(kind[0], headings, re.IGNORECASE)), None)
        if kind is None:
            continue
        kinds.remove(kind)
        label, question = kind[1:]
        found.append((_(label).format(title=title), question.format(f"“{_quotable(paper.title)}”")))
        if len(found) == MOST:
            break
    return found + list(_more(papers, found, kinds))


def _more(
    papers: Sequence[Paper], found: Sequence[tuple[str, str]], kinds: Sequence[tuple[str, str, str]]
) -> Iterator[tuple[str, str]]:
    """A second question about the newest paper where there would be only one."""
    if len(found) != 1:
        return
    paper = next(paper for paper in papers if short_title(paper))
    label, question = next(kind for kind in kinds if not kind[0])[1:]
    yield _(label).format(title=short_title(paper)), question.format(f"“{_quotable(paper.title)}”")


def short_title(paper: Paper) -> str | None:
    """The title before its colon, cut after a word; None if the paper has no title that one could read."""
    title = _quotable(paper.title)
    stem = paper.file_name.rsplit(".", 1)[0]
    if len(re.findall(r"[^\W\d_]{2,}", title)) < 2 or title.casefold() == stem.casefold():
        return None
    begin = re.split(r"[:?!]\s|\s[–—-]\s", title)[0].rstrip("?!.")
    title = begin if len(begin.split()) >= 2 else title
    if len(title) <= SHORT:
        return title
    return title[:SHORT].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _quotable(title: str) -> str:
    return " ".join(re.sub(r"[“”\"]", "", title).split())


def _sections(paper: Paper) -> str:
    library = core.library()
    chunks = library.chunks(library.chunk_ids([paper.id])).values()
    return "\n".join({chunk.section for chunk in chunks if chunk.section})
