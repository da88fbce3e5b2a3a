"""`python -m rag evaluate`: takes a question set, writes a folder with the results and a report."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings, Library, embedder_from, open_library, write_atomically
from rag.assistant import Assistant
from rag.choices import kept
from rag.commands.options import positive, progress
from rag.errors import QuestionSetError
from rag.evaluation.corpora import load
from rag.evaluation.corpus_library import corpus_library
from rag.evaluation.measures import is_measured
from rag.evaluation.report import Report, as_json, report
from rag.evaluation.report_html import to_html
from rag.evaluation.report_page import to_markdown
from rag.evaluation.run import evaluate, forget_run, read_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ingest import Embedder
    from rag.commands.options import Tell
    from rag.evaluation.cases import QuestionSet, Run


DEPTH = {"own": 10, "qasper": 10, "beir": 100}
"""Passages retrieved unless --k is given; BEIR's metrics need 100."""

ANSWER_SETTINGS = ("drafter_context", "drafter_sentences", "max_output_tokens", "top_k")
"""The settings that determine an answer, besides the model itself."""


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "ask a set of questions and report how well search and answers do"
    parser = commands.add_parser("evaluate", help=text, description=text)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="your own .csv, a folder in BEIR's layout, or a QASPER .json"
    )
    parser.add_argument("--answers", action="store_true", help="also answer the questions, at temperature 0")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="use a sample of N questions, the same ones each time"
    )
    parser.add_argument("--k", type=positive, metavar="N", help="passages to look at (default: 10; for BEIR 100)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (evaluations/NAME)")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="where embedded corpora are kept (DIR/corpus)")
    parser.add_argument("--compare", type=Path, metavar="DIR", help="compare with another run of the same questions")
    parser.add_argument("--fresh", action="store_true", help="start again instead of continuing the run in DIR")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if some questions failed."""
    settings = IngestSettings()
    other = read_run(options.compare) if options.compare else None
    with progress() as tell, _set_up(options, settings, tell) as to_do:
        if options.fresh:
            forget_run(to_do.out)
        done = asyncio.run(_evaluate(options, to_do, tell))
        out = to_do.out
    finished = report(done, other=other)
    _write(finished, out)
    if options.json:
        print(json.dumps(as_json(finished), ensure_ascii=False, indent=1))
    else:
        _print(finished, out)
    return int(bool(finished.errors))


@dataclass(frozen=True, slots=True)
class _ToDo:
    """The questions, the library they are asked in, and the run's folder."""

    questions: QuestionSet
    library: Library
    embedder: Embedder
    out: Path


@contextmanager
def _set_up(options: argparse.Namespace, settings: IngestSettings, tell: Tell) -> Iterator[_ToDo]:
    """The questions and their library: the user's, or one built from the question set's documents."""
    embedder = embedder_from(settings.embedder)
    if options.file.suffix == ".csv":
        with open_library(settings) as library:
            if not library.papers():
                raise QuestionSetError("Your library is empty.", "Add papers with `python -m ingest add PATH`.")
            questions = load(options.file, papers=library.papers())
            yield _ToDo(questions, library, embedder, _folder(options, questions))
    else:
        questions = load(options.file)
        out = _folder(options, questions)
        with corpus_library(questions, options.corpus or out / "corpus", embedder=embedder, tell=tell) as library:
            yield _ToDo(questions, library, embedder, out)


def _folder(options: argparse.Namespace, questions: QuestionSet) -> Path:
    if options.out:
        return Path(options.out)
    name = re.sub(r"[^\w.-]+", "-", questions.name.removesuffix(".csv")).strip("-.") or "questions"
    return Path("evaluations") / (f"{name}-answers" if options.answers else name)


async def _evaluate(options: argparse.Namespace, to_do: _ToDo, tell: Tell) -> Run:
    rag_settings = kept(IngestSettings().library.expanduser()).settings.model_copy(update={"temperature": 0.0})
    assistant = Assistant.open(rag_settings, library=to_do.library) if options.answers else None
    values = rag_settings.model_dump(mode="json")
    answer_settings = {name: values[name] for name in ANSWER_SETTINGS}
    if assistant:
        answer_settings = {"model": assistant.drafter.name, "temperature": 0} | answer_settings
    try:
        return await evaluate(
            to_do.questions,
            library=to_do.library,
            embedder=to_do.embedder,
            out=to_do.out,
            k=options.k or DEPTH[to_do.questions.kind],
            assistant=assistant,
            answer_settings=answer_settings,
            limit=options.limit,
            tell=tell,
        )
    finally:
        if assistant:
            await assistant.close()


def _write(finished: Report, out: Path) -> None:
    write_atomically(out / "report.md", to_markdown(finished))
    write_atomically(out / "report.html", to_html(finished))


def _print(finished: Report, out: Path) -> None:
    """Print the measures, and where the full report is."""
    for measure, found in finished.measures:
        if found is None:
            print(f"{measure.name:21} {'unknown' if is_measured(measure, finished.run.results) else 'not measured'}")
            continue
        low, high = found.low, found.high
        between = "" if low is None or high is None else f"  ({low:.3f} to {high:.3f})"
        print(f"{measure.name:21} {found.mean:.3f}{between}  n={found.n}")
    refused = finished.answer_abstentions or finished.search_abstentions
    if refused.n_unanswerable:
        print(f"{'Correctly abstained':21} {refused.right} of {refused.n_unanswerable}")
        print(f"{'Wrongly abstained':21} {refused.false} of {refused.n_answerable}")
    for row in finished.compared:
        d = row.difference
        p = "" if d.p is None else f", p={d.p:.3g}"
        print(f"{row.measure.name:21} {d.mean:+.3f} against {finished.other.name if finished.other else ''}{p}")
    print(f"\nThe report: {out / 'report.html'}")
