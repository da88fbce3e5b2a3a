"""A comparison: every model gets the same prompts, cold and warm, in rotating order; what is done is kept."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ingest import UserFacingError, write_atomically
from rag.comparison.calls import timed
from rag.comparison.nouns import Call, Comparison, Question
from rag.errors import RunError
from rag.evaluation.rows import appending, whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rag.comparison.calls import Terms
    from rag.comparison.nouns import Contender, Prepare

ROWS, ABOUT = "calls.jsonl", "compare.json"


def planned(
    models: Sequence[tuple[str, bool]], questions: Sequence[str], *, retrieval: Sequence[bool], cold: int, repeats: int
) -> Iterator[Call]:
    """The calls of a run, in order.

    First each model's cold calls, with the first question. Then rounds: each asks every question of every model, and
    the order of the models rotates with the round and the question, so that no model is always asked first.

    Args:
        models: each model's name, and whether it can be restarted.
        questions: ids.
        retrieval: with passages, without, or both.
        cold: calls right after a start.
        repeats: rounds.
    """
    for repeat in range(cold):
        for place, (name, restarts) in enumerate(_rotated(models, repeat)):
            if restarts:
                yield Call(
                    model=name, question=questions[0], retrieval=retrieval[0], state="cold", repeat=repeat, place=place
                )
    for repeat in range(repeats):
        for n, question in enumerate(questions):
            for read in retrieval:
                for place, (name, _) in enumerate(_rotated(models, repeat + n)):
                    yield Call(model=name, question=question, retrieval=read, state="warm", repeat=repeat, place=place)


def _rotated(models: Sequence[tuple[str, bool]], by: int) -> list[tuple[str, bool]]:
    at = by % len(models)
    return [*models[at:], *models[:at]]


async def compare(
    contenders: Sequence[Contender],
    questions: Sequence[Question],
    *,
    prepare: Callable[[Question, bool], Prepare],
    terms: Terms,
    retrieval: Sequence[bool],
    cold: int,
    repeats: int,
    settings: Mapping[str, Any],
    out: Path,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> Comparison:
    """Make the calls that have no result yet, and return the whole run. A call that failed is tried again next time.

    Args:
        contenders: the models.
        questions: what they are asked.
        prepare: gives the prompt of a question, with or without passages; its time counts as preparation.
        terms: what holds for all calls.
        retrieval: with passages, without, or both.
        cold: calls right after a start, for models that Scholion starts itself.
        repeats: warm calls of each question.
        settings: what must be the same when the run is continued.
        out: the run's folder.
        tell: called after each call.

    Raises:
        RunError: the folder holds a run with other settings.
    """
    begin(out, settings, questions)
    by_name = {one.name: one for one in contenders}
    by_id = {question.id: question for question in questions}
    order = list(
        planned(
            [(one.name, one.can_be_cold) for one in contenders],
            list(by_id),
            retrieval=retrieval,
            cold=cold,
            repeats=repeats,
        )
    )
    there = {call.key for call in calls_in(out) if call.error is None}
    todo, warm = [call for call in order if call.key not in there], set[str]()
    with appending(out / ROWS) as append:
        for n, call in enumerate(todo, start=1):
            contender = by_name[call.model]
            ask = prepare(by_id[call.question], call.retrieval)
            tell(f"{call.model}, {call.state}", len(order) - len(todo) + n - 1, len(order))
            try:
                if call.state == "cold":
                    await contender.close()
                    warm.discard(contender.name)
                elif contender.name not in warm and await contender.model.is_here():
                    await timed(call, contender, ask, terms)  # not counted: it loads what a first call loads
                done = await timed(call, contender, ask, terms)
                warm.add(contender.name)
            except UserFacingError as error:
                done = Call(
                    model=call.model,
                    question=call.question,
                    retrieval=call.retrieval,
                    state=call.state,
                    repeat=call.repeat,
                    error=str(error),
                )
            await asyncio.to_thread(append, done.as_row())
            tell(f"{call.model}, {call.state}", len(order) - len(todo) + n, len(order))
    return read_comparison(out)


def begin(out: Path, settings: Mapping[str, Any], questions: Sequence[Question]) -> None:
    """Note what the run is, or check that it is the one that is there.

    Raises:
        RunError: the folder holds a run with other settings.
    """
    path = out / ABOUT
    asked = [
        {"id": one.id, "text": one.text, "golds": list(one.golds), "answerable": one.answerable} for one in questions
    ]
    if not path.is_file():
        about = {
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} processor cores",
            "python": platform.python_version(),
        }
        out.mkdir(parents=True, exist_ok=True)
        kept = {"settings": dict(settings), "about": about, "questions": asked}
        write_atomically(path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
        return
    before = read_comparison(out)
    now = json.loads(json.dumps(dict(settings)))
    changed = [name for name in now if before.settings.get(name) != now[name]]
    if [one.id for one in before.questions] != [one.id for one in questions]:
        changed.append("questions")
    if changed:
        raise RunError(
            f"The run in {out} cannot be continued because these have changed: {', '.join(changed)}.",
            "Give another folder with --out, or restart this one with --fresh.",
        )


def calls_in(out: Path) -> list[Call]:
    """The calls of a run, the last of each; none if there is no run."""
    return list({call.key: call for call in map(Call.from_row, whole_lines(out / ROWS))}.values())


def read_comparison(out: Path) -> Comparison:
    """Read a run.

    Raises:
        RunError: there is none.
    """
    try:
        told = json.loads((out / ABOUT).read_text(encoding="utf-8"))
        questions = tuple(Question(**{**row, "golds": tuple(row["golds"])}) for row in told["questions"])
        return Comparison(
            folder=out,
            settings=told["settings"],
            about=told["about"],
            questions=questions,
            calls=tuple(calls_in(out)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{out} has no readable comparison ({type(error).__name__}).",
            "Give the --out folder of an earlier `python -m rag compare`.",
        ) from error


def forget(out: Path) -> None:
    """Delete the run in a folder, so that it starts afresh."""
    for name in (ROWS, ABOUT):
        (out / name).unlink(missing_ok=True)
