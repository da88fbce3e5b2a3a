"""Questions with known answers, and the library they are asked in: the user's, or one built from their documents."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest import embedder_from, open_library
from rag.commands.options import progress
from rag.errors import QuestionSetError
from rag.evaluation.corpora import load
from rag.evaluation.corpus_library import corpus_library
from rag.evaluation.run import sampled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ingest import IngestSettings, Library
    from rag.evaluation.cases import QuestionSet


@contextmanager
def question_library(
    options: argparse.Namespace, settings: IngestSettings, *, kind: str = "calibrate"
) -> Iterator[tuple[QuestionSet, Library, Path]]:
    """The questions, the library they are asked in, and the folder for the drafts: `evaluations/KIND-NAME`."""
    if options.file.suffix == ".csv":
        with open_library(settings) as library:
            if not library.papers():
                raise QuestionSetError("Your library is empty.", "Add papers with `python -m ingest add PATH`.")
            questions = _asked(load(options.file, papers=library.papers()), options.limit)
            yield questions, library, _folder(options, questions, kind)
    else:
        questions = _asked(load(options.file), options.limit)
        folder = _folder(options, questions, kind)
        embedder = embedder_from(settings.embedder)
        with progress() as tell, corpus_library(questions, folder / "corpus", embedder=embedder, tell=tell) as library:
            yield questions, library, folder


def _asked(questions: QuestionSet, limit: int | None) -> QuestionSet:
    """The questions with answers (a sample if requested), and only the documents they are asked about."""
    known = [case for case in questions.cases if case.references or case.answerable is False]
    if not known:
        raise QuestionSetError(f"{questions.name} has no answers.", "Fill the column `answer`.")
    cases = sampled(known, limit)
    searched = {paper_id for case in cases for paper_id in case.paper_ids or ()}
    documents = [document for document in questions.documents if document.paper_id in searched or not searched]
    return replace(questions, cases=tuple(cases), documents=tuple(documents))


def _folder(options: argparse.Namespace, questions: QuestionSet, kind: str) -> Path:
    name = re.sub(r"[^\w.-]+", "-", questions.name.removesuffix(".csv")).strip("-.") or "questions"
    given = options.drafts if kind == "calibrate" else options.out
    folder = Path(given or Path("evaluations") / f"{kind}-{name}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
