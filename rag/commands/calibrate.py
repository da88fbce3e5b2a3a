"""`python -m rag calibrate`: write drafts for questions with known answers, and calibrate confidence on them."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings, UserFacingError
from rag.assistant import Assistant
from rag.choices import kept
from rag.commands.options import positive, progress
from rag.commands.question_library import question_library
from rag.errors import CalibrationError
from rag.evaluation.calibrate import WITH_LOGPROBS, Labelled, calibrated, held_out, is_right, save, too_few
from rag.evaluation.metrics import auroc_estimate
from rag.evaluation.rows import appending, whole_lines
from rag.evaluation.run import code_digest
from rag.settings import RagSettings
from rag.verify.calibration import FILE
from rag.verify.citations import cite, without_markers
from rag.verify.confidence import signals, vetoes

if TYPE_CHECKING:
    import argparse

    from ingest import Library
    from rag.answer import Answer
    from rag.evaluation.cases import Case, QuestionSet


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "calibrate confidence in the drafter's answers on questions with known answers"
    parser = commands.add_parser("calibrate", help=text, description=text)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="your own .csv with a column `answer`, or a QASPER .json"
    )
    parser.add_argument("--model", metavar="MODEL", help="the drafter (SCHOLION_DRAFTER)")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="use a sample of N questions, the same ones each time"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where to write (LIBRARY/{FILE})")
    parser.add_argument("--drafts", type=Path, metavar="DIR", help="where drafts are kept (evaluations/calibrate-NAME)")
    parser.add_argument("--force", action="store_true", help="write it even if there are too few drafts")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if there is too little data."""
    settings = IngestSettings()
    rag_settings = (
        kept(settings.library.expanduser()).settings if options.model is None else RagSettings(drafter=options.model)
    )
    with question_library(options, settings) as (questions, library, folder):
        rows, model = asyncio.run(_drafts(questions, library, rag_settings, folder))
    missing = too_few(rows)
    if missing and not (options.force and rows):
        raise CalibrationError(missing, "Add questions with answers; use --force to write it anyway.")
    found = calibrated(rows, model=model, data=questions.name, date=datetime.now(UTC).date().isoformat())
    out = options.out or settings.library.expanduser() / FILE
    save(found, out)
    area = auroc_estimate(held_out(rows, WITH_LOGPROBS), [row.right for row in rows], [row.group for row in rows])
    print(f"{model}: {found.n_right} of {found.n} drafts right ({found.label})")
    if area and area.low is not None:
        print(f"AUROC {area.mean:.3f} ({area.low:.3f} to {area.high:.3f}), scored by weights that never saw the paper")
    print(f"Threshold {found.threshold:.3f}. {found.threshold_reason}")
    if missing:
        print(f"Too few to rely on: {missing}")
    print(f"\nWritten to {out}")
    return 0


async def _drafts(
    questions: QuestionSet, library: Library, settings: RagSettings, folder: Path
) -> tuple[list[Labelled], str]:
    """A labelled draft for each question with an answer, read from the folder if it is there; and the model's name."""
    assistant = Assistant.open(settings.model_copy(update={"answers": "written"}), library=library)
    key = [assistant.drafter.name, questions.digest, code_digest()]
    path = folder / "drafts.jsonl"
    there = {row["id"]: row for row in whole_lines(path) if row["key"] == key}
    try:
        with appending(path) as append, progress() as tell:
            for n, case in enumerate(questions.cases, start=1):
                if case.id not in there:
                    there[case.id] = {"id": case.id, "key": key} | await _one(case, assistant)
                    append(there[case.id])
                tell("drafting", n, len(questions.cases))
    finally:
        await assistant.close()
    rows = [there[case.id] for case in questions.cases]
    made = [Labelled.from_row(row["draft"]) for row in rows if row["draft"]]
    models = {row["model"] for row in rows if row["draft"]}
    return made, next(iter(models), assistant.drafter.name)


async def _one(case: Case, assistant: Assistant) -> dict[str, Any]:
    """One line: the labelled draft, or none if the assistant abstained or failed."""
    try:
        answer = await assistant.answer(case.question, paper_ids=case.paper_ids)
    except UserFacingError as error:
        print(f"{case.id}: {error}", file=sys.stderr)
        return {"draft": None, "model": None}
    if answer.abstained or not answer.drafts:
        return {"draft": None, "model": None}
    return {"draft": labelled(answer, case).as_row(), "model": answer.drafts[0].model}


def labelled(answer: Answer, case: Case) -> Labelled:
    """The signals of an answer's first draft, even if it is not shown, and whether it is right."""
    draft = answer.drafts[0]
    cited = cite(draft.text, answer.passages, page_text=lambda *_: "", question=case.question)
    return Labelled(
        signals=signals(draft, question=case.question, sentences=cited.sentences, passages=answer.passages),
        vetoes=tuple(
            veto.code
            for veto in vetoes(
                draft,
                question=case.question,
                sentences=cited.sentences,
                passages=answer.passages,
                corrections=cited.corrections,
            )
        ),
        right=is_right(without_markers(draft.text), [reference.text for reference in case.references]),
        group=case.group,
    )
