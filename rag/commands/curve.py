"""`python -m rag curve`: what `auto` gives at every threshold on your questions; recommend a threshold, and set it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings, UserFacingError, write_atomically
from rag.assistant import Assistant
from rag.choices import kept, load, save
from rag.commands.options import positive, progress
from rag.commands.question_library import question_library
from rag.comparison.blended import First, Given, Oracle, drafted, first_attempt, refined, routed
from rag.comparison.curve_report import blocks, summary
from rag.comparison.plots import STYLE
from rag.comparison.routing import in_digits
from rag.errors import QuestionError, RunError
from rag.evaluation.report_html import page
from rag.evaluation.report_page import markdown
from rag.evaluation.rows import appending, whole_lines
from rag.evaluation.run import code_digest
from rag.expert import AskedBy
from rag.privacy.budget import BudgetLimits
from rag.privacy.consent import in_terminal
from rag.privacy.gate import Gate

if TYPE_CHECKING:
    from ingest import Library
    from rag.evaluation.cases import Case, QuestionSet
    from rag.settings import RagSettings

TITLE = "Draft, auto and refine: quality, calls, time and money"


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "show what `auto` gives at every threshold on questions with known answers, and set the threshold"
    parser = commands.add_parser("curve", help=text, description=text)
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="your own .csv with a column `answer`, or a QASPER .json"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="a sample of N questions, the same ones each time")
    parser.add_argument(
        "--oracle", type=_share, metavar="ACCURACY", help="simulate a larger model that is right this often, like 0.8"
    )
    parser.add_argument("--oracle-seconds", type=float, metavar="S", help="what its answer would take")
    parser.add_argument("--oracle-usd", type=float, metavar="USD", help="what its answer would cost")
    parser.add_argument(
        "--recover", type=_share, default=0.8, metavar="SHARE", help="of the quality gap, for the threshold (0.8)"
    )
    parser.add_argument("--at-most", type=_share, default=1.0, metavar="SHARE", help="of calls, for the threshold (1)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where answers and report are kept (evaluations/curve-NAME)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--set", type=_share, metavar="THRESHOLD", dest="threshold", help="set the threshold of `auto`")
    parser.add_argument("--unset", action="store_true", help="back to the calibrated threshold")
    parser.set_defaults(run=run)


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("must be between 0 and 1")
    return number


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if questions failed or the run was stopped."""
    if options.threshold is not None or options.unset:
        return _set(None if options.unset else options.threshold)
    if options.file is None:
        raise QuestionError("Which questions?", "Give a file with questions and answers, or --set THRESHOLD.")
    settings = IngestSettings()
    chosen = kept(settings.library.expanduser()).settings
    oracle = None
    if options.oracle is not None:
        oracle = Oracle(accuracy=options.oracle, seconds=options.oracle_seconds, usd=options.oracle_usd)
    elif chosen.expert is None:
        raise QuestionError(
            "There is no larger model to compare with.",
            "Set SCHOLION_EXPERT, or simulate one: --oracle 0.8 is right in 80 % of the questions.",
        )
    stopped = False
    with question_library(options, settings, kind="curve") as (questions, library, folder):
        try:
            drafter, larger = asyncio.run(_ask(questions, library, chosen, folder, oracle=oracle))
        except KeyboardInterrupt:
            stopped, (drafter, larger) = True, _names(folder)
    drafts, expert = _given(folder / "drafts.jsonl", drafter), _given(folder / "refined.jsonl", larger)
    cases = routed(questions.cases, drafts, expert=expert, oracle=oracle)
    if not cases:
        raise RunError("No question has both answers yet.", "Run the same command again.")
    told = summary(cases, wanted=options.recover, most=options.at_most)
    about = {
        "questions": questions.name,
        "drafter": json.loads(drafter)[0],
        "larger": f"an oracle that is right in {oracle.accuracy:.0%} of the questions"
        if oracle
        else json.loads(larger)[0],
        "simulated": "no larger model was asked. An oracle stands for it that is right in a stated share of the "
        "questions, with quality 1 if it is right and 0 if not."
        if oracle
        else "",
    }
    parts = list(blocks(cases, about, wanted=options.recover, most=options.at_most))
    write_atomically(folder / "report.json", json.dumps(about | told, ensure_ascii=False, indent=1) + "\n")
    write_atomically(folder / "report.md", markdown(TITLE, parts))
    write_atomically(folder / "report.html", page(TITLE, parts, style=STYLE))
    if options.json:
        print(json.dumps(about | told, ensure_ascii=False, indent=1))
    else:
        _print(told, about)
        print(f"\nThe report: {folder / 'report.html'}")
    if stopped:
        print("Stopped. The same command continues from here.", file=sys.stderr)
    wanted = drafts.keys() if oracle else {row["id"] for row in _rows(folder / "refined.jsonl", larger)}
    return int(stopped or len(wanted) < len(questions.cases))


def _print(told: dict[str, Any], about: dict[str, str]) -> None:
    if about["simulated"]:
        print("Simulation: an oracle stands for the larger model.")
    low_high = told["apgr_interval"]
    between = f" ({low_high[0]:.2f} to {low_high[1]:.2f})" if low_high else ""
    print(f"{told['n']} questions: Answer F1 {told['small']:.3f} with draft, {told['large']:.3f} with refine")
    if told["apgr"] is not None:
        print(f"APGR {told['apgr']:.2f}{between}, CPT(50) {_percent(told['cpt50'])}, CPT(80) {_percent(told['cpt80'])}")
    if told["regression_rate"] is not None:
        print(f"Right drafts made wrong by refine: {told['regression_rate']:.0%}")
    if told["recommended"] is not None:
        threshold = in_digits(told["recommended"])
        print(f"Recommended threshold {threshold}: python -m rag curve --set {threshold}")
    else:
        print("No threshold recovers what was asked for.")


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0%}"


def _set(threshold: float | None) -> int:
    """Keep the threshold with the library's other choices."""
    folder = IngestSettings().library.expanduser()
    now = kept(folder)
    if "auto_threshold" in now.fixed:
        raise QuestionError(
            "The threshold is set by SCHOLION_AUTO_THRESHOLD.", "Change or remove it in .env or the environment."
        )
    choices, _ = load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save(choices.model_copy(update={"auto_threshold": threshold}), folder)
    if threshold is None:
        print("`auto` uses the calibrated threshold again, from the next start.")
    else:
        print(f"In `auto`, answers with a confidence below {threshold:g} go to the larger model, from the next start.")
    return 0


async def _ask(
    questions: QuestionSet, library: Library, settings: RagSettings, folder: Path, *, oracle: Oracle | None
) -> tuple[str, str]:
    """Answer every question that has no answer yet; the names under which the answers are stored."""
    settings = settings.model_copy(update={"temperature": 0.0, **({"expert": None} if oracle else {})})
    assistant = Assistant.open(settings, library=library)
    own = IngestSettings().library.expanduser().resolve()
    if assistant.expert and library.folder != own:  # policy, log and budget are the user's, whatever corpus is asked
        assistant.expert.gate = Gate(own, limits=BudgetLimits.of(settings))
    shared = [questions.digest, code_digest(), settings.answers, settings.top_k, settings.max_output_tokens]
    drafter = json.dumps([assistant.drafter.name, *shared])
    larger = json.dumps([assistant.expert.name if assistant.expert else None, drafter])
    write_atomically(folder / "names.json", json.dumps([drafter, larger]) + "\n")
    drafts = {row["id"] for row in _rows(folder / "drafts.jsonl", drafter)}
    better = {row["id"] for row in _rows(folder / "refined.jsonl", larger)}
    by = AskedBy(in_terminal({paper.id: paper.title for paper in library.papers()}), "curve")
    try:
        with (
            appending(folder / "drafts.jsonl") as keep_draft,
            appending(folder / "refined.jsonl") as keep_better,
            progress() as tell,
        ):
            for n, case in enumerate(questions.cases, start=1):
                if case.id not in drafts or (assistant.expert and case.id not in better):
                    first = await _answer(case, assistant)
                    if first and case.id not in drafts:
                        given = drafted(first.shown, sure=first.judged.confidence)
                        keep_draft({"id": case.id, "key": drafter, "given": given.as_row()})
                    if first and assistant.expert and case.id not in better:
                        found = await refined(first.judged, assistant, by) if first.judged.drafts else None
                        if found or not first.judged.drafts:  # else it failed, and is asked again next time
                            keep_better({"id": case.id, "key": larger, "given": found.as_row() if found else None})
                        else:
                            print(f"{case.id}: {assistant.expert.name} gave no answer", file=sys.stderr)
                tell("answering", n, len(questions.cases))
    finally:
        await assistant.close()
    return drafter, larger


async def _answer(case: Case, assistant: Assistant) -> First | None:
    """The answer in mode `draft` and what `auto` judges; None if it failed."""
    try:
        return await first_attempt(case, assistant)
    except UserFacingError as error:
        print(f"{case.id}: {error}", file=sys.stderr)
        return None


def _names(folder: Path) -> tuple[str, str]:
    try:
        drafter, larger = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KeyboardInterrupt from error
    return drafter, larger


def _given(path: Path, key: str) -> dict[str, Given]:
    """The answers under this key, by question; without those that gave none."""
    return {row["id"]: Given(**row["given"]) for row in _rows(path, key) if row["given"]}


def _rows(path: Path, key: str) -> list[dict[str, Any]]:
    return [row for row in whole_lines(path) if row["key"] == key]
