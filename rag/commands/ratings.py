"""`python -m rag ratings`: a sheet for people who rate the answers of a comparison, what they said, a judge model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest import IngestSettings, open_library, write_atomically
from rag.choices import kept
from rag.commands.options import progress
from rag.comparison.calls import Terms
from rag.comparison.contenders import opened, parsed
from rag.comparison.judge import judged
from rag.comparison.ratings import CRITERIA, agreement, as_ratings, items, key_text, means, middle, read_sheet, sheet
from rag.comparison.run import read_comparison
from rag.comparison.sheets import as_csv
from rag.costs.energy import MachineCosts
from rag.errors import QuestionError
from rag.evaluation.rows import appending, whole_lines
from rag.privacy.consent import in_terminal
from rag.privacy.gate import Gate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rag.comparison.ratings import Item, Ratings

SHEET, KEY, JUDGED = "ratings.csv", "ratings-key.json", "judged.jsonl"
JUDGE_TOKENS = 400
"""Enough for a judge that thinks before it answers."""


def add_to(commands: Any) -> None:
    """Add the command to an argument parser's commands."""
    text = "have people or a judge model rate the answers of a comparison, and say how far they agree"
    parser = commands.add_parser("ratings", help=text, description=text)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a `python -m rag compare`")
    parser.add_argument(
        "sheets", type=Path, nargs="*", metavar="SHEET.csv", help="filled sheets, one for each rater; none: write one"
    )
    parser.add_argument("--judge", metavar="MODEL", help="also have this model rate them, as `compare` names models")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; 0, or 1 if a judgement is missing."""
    rows = items(read_comparison(options.folder))
    if not rows:
        raise QuestionError(f"{options.folder} has no answers to rate.", "Run `python -m rag compare` again.")
    if not options.sheets and not options.judge:
        write_atomically(options.folder / SHEET, as_csv(sheet(rows)))
        write_atomically(options.folder / KEY, key_text(rows))
        print(f"{len(rows)} answers to rate from 1 to 5: {options.folder / SHEET}")
        print(f"Give each rater a copy, but not {KEY}, which names the models.")
        print(f"Then: python -m rag ratings {options.folder} SHEET.csv …")
        return 0
    raters = [read_sheet(path, (item.id for item in rows)) for path in options.sheets]
    judge, missing = None, 0
    if options.judge:
        judge = as_ratings(asyncio.run(_judge(options, rows)))
        missing = len(rows) * len(CRITERIA) - len(judge)
    told = _told(rows, raters, judge)
    if options.json:
        print(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        _print(told, missing=missing, of=len(rows) * len(CRITERIA) if options.judge else 0)
    return int(missing > 0)


def _told(rows: Sequence[Item], raters: Sequence[Ratings], judge: Ratings | None) -> dict[str, Any]:
    told: dict[str, Any] = {"answers": len(rows), "raters": len(raters), "criteria": {}}
    for criterion in CRITERIA:
        row: dict[str, Any] = {"people": _means(rows, raters, criterion)}
        among = agreement(raters, criterion)
        row["agreement"] = {"kappa": among.kappa, "n": among.n}
        if judge is not None:
            row["judge"] = _means(rows, [judge], criterion)
            with_people = agreement([middle(raters), judge], criterion)
            row["judge_agreement"] = {"kappa": with_people.kappa, "n": with_people.n}
        told["criteria"][criterion] = row
    return told


def _means(rows: Sequence[Item], raters: Sequence[Ratings], criterion: str) -> dict[str, Any]:
    return {
        model: None if found is None else {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}
        for model, found in means(rows, raters, criterion).items()
    }


async def _judge(options: argparse.Namespace, rows: Sequence[Item]) -> list[dict[str, Any]]:
    """The judge's rows, of which those that are there already are not asked again."""
    folder = IngestSettings().library.expanduser()
    chosen, asked = kept(folder), parsed([options.judge])[0]
    judge = await opened(asked, chosen, library=folder)
    path = options.folder / JUDGED
    there = {row["item"]: row for row in whole_lines(path) if row["judge"] == asked.setting and not row["error"]}
    try:
        with open_library(IngestSettings()) as library, appending(path) as append, progress() as tell:
            terms = Terms(
                max_tokens=JUDGE_TOKENS,
                machine=MachineCosts.from_settings(chosen.settings),
                gate=Gate.of(library, chosen.settings),
                consent=in_terminal({}),
            )
            for n, item in enumerate(rows, start=1):
                if item.id not in there:
                    there[item.id] = {"judge": asked.setting, **await judged(item, judge, terms)}
                    append(there[item.id])
                tell("judging", n, len(rows))
    finally:
        await judge.close()
    return [there[item.id] for item in rows]


def _print(told: dict[str, Any], *, missing: int, of: int) -> None:
    for criterion, row in told["criteria"].items():
        print(criterion.capitalize())
        for who in ("people", "judge"):
            for model, found in row.get(who, {}).items():
                if found is None:
                    if who == "people" and not told["raters"]:
                        continue
                    print(f"  {who:7} {model:40} not rated")
                    continue
                between = "" if found["low"] is None else f" ({found['low']:.2f} to {found['high']:.2f})"
                print(f"  {who:7} {model:40} {found['mean']:.2f}{between}, n={found['n']}")
        for name, what in (("agreement", "the raters agree"), ("judge_agreement", "the judge agrees with the raters")):
            if name in row and told["raters"] > (name == "agreement"):
                kappa = row[name]["kappa"]
                said = "cannot be computed" if kappa is None else f"{kappa:.2f}"
                print(f"  {what}: weighted kappa {said}, n={row[name]['n']}")
    if missing:
        print(f"\n{missing} of {of} judgements are missing: the judge failed or gave no number. They count nowhere.")
