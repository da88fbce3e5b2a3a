"""Rating sheets for people: answers without their models' names, what the raters said, and how far they agree."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Final

from rag.comparison.sheets import read_table
from rag.errors import QuestionSetError
from rag.evaluation.metrics import estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rag.comparison.nouns import Comparison
    from rag.evaluation.metrics import Estimate

CRITERIA: Final = ("coherence", "factuality", "brevity")
"""Each from 1 (poor) to 5 (good)."""

MEANING: Final = {
    "coherence": "reads well and hangs together",
    "factuality": "is right, and says nothing that is wrong",
    "brevity": "says what is needed and no more",
}
SCALE: Final = (1, 2, 3, 4, 5)

Ratings = dict[tuple[str, str], int]
"""One rater's: (item, criterion) → value. What was not rated is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One answer to rate."""

    id: str
    """Says nothing about the model."""
    question: str
    question_id: str
    answer: str
    expected: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far raters agree on one criterion."""

    kappa: float | None
    """Cohen's kappa with quadratic weights, over all pairs of raters, each weighted by what both rated; None if nothing
    can be said: too few items, or everybody always gave the same value."""
    n: int
    """Items that at least two rated."""


def items(run: Comparison) -> list[Item]:
    """One answer of each model to each question, in an order that tells nothing."""
    found: dict[str, Item] = {}
    by_id = {question.id: question for question in run.questions}
    for call in run.calls:
        if call.error or call.state != "warm":
            continue
        asked = by_id[call.question]
        key = f"{run.about['began']}\n{call.model}\n{call.question}\n{call.retrieval}"
        name = f"r{sha256(key.encode()).hexdigest()[:10]}"  # a spreadsheet takes 12345678e9 for a number
        found.setdefault(
            name,
            Item(
                id=name,
                question=asked.text,
                question_id=asked.id,
                answer=call.text.strip(),
                expected=" / ".join(asked.golds),
                model=call.model + (", with passages" if call.retrieval else ""),
            ),
        )
    order = {question.id: n for n, question in enumerate(run.questions)}
    return sorted(found.values(), key=lambda item: (order[item.question_id], item.id))


def sheet(rows: Iterable[Item]) -> list[dict[str, str]]:
    """The rows of a sheet to fill; the models are not named."""
    return [
        {
            "item": item.id,
            "question": item.question,
            "answer": item.answer,
            "expected": item.expected,
            **dict.fromkeys(CRITERIA, ""),
            "note": "",
        }
        for item in rows
    ]


def read_sheet(path: Path, known: Iterable[str]) -> Ratings:
    """One person's ratings; empty cells are missing.

    Raises:
        QuestionSetError: a value is not on the scale, or an item is of another run.
    """
    there, found = set(known), Ratings()
    for number, row in enumerate(read_table(path), start=2):
        name = row.get("item", "").removeprefix("'")
        if name not in there:
            raise QuestionSetError(
                f"Line {number} of {path.name} is about an answer of another run.", "Give the run it was made for."
            )
        for criterion in CRITERIA:
            text = row.get(criterion, "")
            if not text:
                continue
            if text not in map(str, SCALE):
                raise QuestionSetError(
                    f"Line {number} of {path.name}: {criterion} is {text!r}.", "Write 1, 2, 3, 4 or 5."
                )
            found[name, criterion] = int(text)
    return found


def means(rows: Sequence[Item], raters: Sequence[Ratings], criterion: str) -> dict[str, Estimate | None]:
    """The mean rating of each model, with an interval that draws questions; None if nobody rated it."""
    found: dict[str, Estimate | None] = {}
    for model in dict.fromkeys(item.model for item in rows):
        values, groups = [], []
        for item in rows:
            given = [rated[item.id, criterion] for rated in raters if (item.id, criterion) in rated]
            if item.model == model and given:
                values.append(sum(given) / len(given))
                groups.append(item.question_id)
        found[model] = estimate(values, groups)
    return found


def agreement(raters: Sequence[Ratings], criterion: str) -> Agreement:
    """How far these raters agree."""
    weighted, weights, rated = 0.0, 0, set[str]()
    for one, other in combinations(raters, 2):
        both = sorted({item for item, what in one if what == criterion and (item, what) in other})
        rated |= set(both)
        kappa = weighted_kappa([one[item, criterion] for item in both], [other[item, criterion] for item in both])
        if kappa is not None:
            weighted, weights = weighted + kappa * len(both), weights + len(both)
    return Agreement(kappa=weighted / weights if weights else None, n=len(rated))


def weighted_kappa(ours: Sequence[int], theirs: Sequence[int]) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968), by scikit-learn; None if it is not defined."""
    if len(ours) < 2 or len(set(ours) | set(theirs)) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = float(cohen_kappa_score(ours, theirs, labels=list(SCALE), weights="quadratic"))
    return None if found != found else found  # noqa: PLR0124 - not a number


def middle(raters: Sequence[Ratings]) -> Ratings:
    """The people's median, rounded half up: one rater to compare a judge model with."""
    keys = {key for rated in raters for key in rated}
    return {key: int(median([rated[key] for rated in raters if key in rated]) + 0.5) for key in keys}


def key_text(rows: Iterable[Item]) -> str:
    """Which item is of which model; to be kept from the raters."""
    return json.dumps({item.id: item.model for item in rows}, ensure_ascii=False, indent=1) + "\n"


def as_ratings(rows: Iterable[Mapping[str, object]]) -> Ratings:
    """A judge's stored rows as ratings; a judgement that failed is missing."""
    return {
        (str(row["item"]), criterion): value
        for row in rows
        for criterion in CRITERIA
        if isinstance(value := row.get(criterion), int)
    }
