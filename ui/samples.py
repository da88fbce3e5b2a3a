"""The sample papers: which of them are in the library, and questions about them to start with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ingest.files import paper_id
from ingest.settings import PROJECT
from rag.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ingest import Paper

FOLDER = PROJECT / "docs" / "papers"

QUESTIONS = (
    (
        N_("When does a draft-and-refine cascade save time?"),
        "Draft and Refine with a Small and a Large Model",
        "Up to which escalation rate is the cascade quicker than the large model alone?",
    ),
    (
        N_("How large is a LoRA adapter?"),
        "Adapting a Model to the Terms of a Field with LoRA",
        "How large is the file of the rank-16 adapter on all seven matrices if it is stored with 16 bits per weight?",
    ),
    (
        N_("When does Llama need a separate licence?"),
        "Before You Run a Model: Licence, Quantisation and Memory",
        "From how many monthly users on does a company have to ask Meta for its own licence for Llama 3.1?",
    ),
    (
        N_("How far behind people are models?"),
        "Local or Cloud Language Models for a Research Group",
        "By how much did the models tested on QASPER fall short of people when they had to work from the whole paper?",
    ),
)
"""Of each: the label, the sample's title, and the question, which stays English: the models here read English."""


def paths() -> list[Path]:
    """The PDFs that come with Scholion; none where only the package is installed."""
    return sorted(FOLDER.glob("*.pdf"))


@cache
def ids() -> frozenset[str]:
    """Their ids, which are made from their bytes."""
    return frozenset(map(paper_id, paths()))


def questions(papers: Iterable[Paper]) -> list[tuple[str, str]]:
    """Label and question for the samples among these papers."""
    titles = {paper.title.casefold() for paper in papers}
    return [(_(label), question) for label, about, question in QUESTIONS if about.casefold() in titles]
