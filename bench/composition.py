"""Which answers better, by kind of question: the reader's quotation, the drafter's sentence, or either by a rule.

    python bench/composition.py [--part train|dev] [--questions 0] [--adapter FILE] [--also-untaught]
    python bench/composition.py --product [--part train|covid|dev] [--adapter FILE] [--cache FOLDER]

Uses QASPER's held-out train papers, on which rules are chosen, or dev (each use is noted in docs/reader.md). The
drafter reads the reader's four sentences, as in the product, and also the gold passages. Answers are cached in
evaluations/composition, so that a rule can be tried without asking again. With --product, the drafter is only asked
what the product asks it, and questions are refused as in the product.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reader_cases import cases_of, passages_of

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rag.adapt.examples import Taught, right, short_answer  # noqa: E402
from rag.adapt.lora import Example  # noqa: E402
from rag.adapt.teach import answers  # noqa: E402
from rag.evaluation.metrics import UNANSWERABLE, answer_f1, estimate  # noqa: E402
from rag.models.local import embedded_drafter  # noqa: E402
from rag.prompts import sentence_messages  # noqa: E402
from rag.quoting.compose import asks_yes_or_no, says_yes_or_no  # noqa: E402
from rag.quoting.extract import EMBEDDED_SENTENCES, best_sentences, extract  # noqa: E402
from rag.reading.calibration import calibration_of  # noqa: E402
from rag.reading.reader import MiniLMReader  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reader_cases import Case

    from rag.answer import Passage
    from rag.quoting.extract import Extract
    from rag.reading.readings import Reading

SHOWN = 6


def read_as(case: Case, *, gold: bool) -> tuple[list[Passage], list[Reading]]:
    """The passages the answer is made from (the product's or the gold ones), with their readings."""
    if gold:
        return passages_of(case.gold_texts, case.title), case.gold_readings
    order = case.ordered(calibration_of().search)[:SHOWN]
    texts, odds = [case.texts[i] for i in order], [case.odds[i] for i in order]
    return passages_of(texts, case.title, odds), [case.readings[i] for i in order]


def asked_of(case: Case, passages: Sequence[Passage], readings: Sequence[Reading]) -> Taught:
    best = best_sentences(case.question, passages, readings, n=EMBEDDED_SENTENCES)
    sentences = [passage.chunk.text[a:b] for passage, (a, b) in best]
    example = Example(tuple(sentence_messages(case.question, sentences)), "")
    return Taught(example, case.paper, case.question, tuple(case.golds))


def row_of(case: Case, found: Extract | None) -> dict[str, Any]:
    known = calibration_of()
    said = found.said if found else ""
    return {
        "paper": case.paper,
        "question": case.question,
        "golds": case.golds,
        "gold_kind": case.kind,
        "kind": found.kind if found else "none",
        "said": said,
        "reader": answer_f1(said, case.golds),
        "sure": known.weights.probability(found.features) if found else 0.0,
        "there": known.there.probability(found.features) if found else 0.0,
        "none": answer_f1(UNANSWERABLE, case.golds),
        "sentences": [
            " ".join(item.passage.chunk.text[slice(*item.sentence)].split()) for item in (found.items if found else ())
        ],
    }


def written(asked: Sequence[Taught], adapters: Sequence[Path], what: str) -> list[str]:
    def tell(_: str, n: int, of: int) -> None:
        if n % 100 == 0:
            print(f"  {what}: {n} of {of}", file=sys.stderr, flush=True)

    return asyncio.run(answers(embedded_drafter(), adapters, asked, what=what, threads=None, tell=tell))


def measured(part: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    kept = ROOT / "evaluations" / "composition"
    kept.mkdir(parents=True, exist_ok=True)
    options.cache.mkdir(parents=True, exist_ok=True)
    reader = MiniLMReader()
    cases = cases_of(reader, part, options.cache, key=reader.name.partition("@")[2])
    rows = []
    for gold in (False, True):
        its = [case for case in cases if case.gold_texts or not gold][: options.questions or None]
        pairs = [(case, *read_as(case, gold=gold)) for case in its]
        made = [
            row_of(case, extract(case.question, passages, read, search=calibration_of().search))
            for case, passages, read in pairs
        ]
        asked = [asked_of(*pair) for pair in pairs]
        adapters = {"drafter": (options.adapter,), **({"untaught": ()} if options.also_untaught else {})}
        for name, adapter in adapters.items():
            for row, text in zip(made, written(asked, adapter, f"{name}, gold {gold}"), strict=True):
                row |= {f"{name}_text": text, name: right(text, row["golds"]), "gold": gold}
        rows += made
    (kept / f"{part}.json").write_text(json.dumps(rows, indent=1))
    return rows


def by_drafter(row: dict[str, Any]) -> bool:
    """Whether the product shows what a taught drafter wrote (`rag.quoting.compose`)."""
    return asks_yes_or_no(row["question"]) and says_yes_or_no(row["drafter_text"]) is not None


def explained(row: dict[str, Any]) -> bool:
    """Whether the drafter explains where the reader takes the answer for an explanation; shown until 2026-12-01."""
    return row["kind"] == "explanation" and short_answer(row["drafter_text"]) not in {UNANSWERABLE, "Yes", "No"}


def product(options: argparse.Namespace) -> None:
    """Answer-F1 as the product composes and refuses, and never refusing, in all and by kind."""
    options.cache.mkdir(parents=True, exist_ok=True)
    reader, known = MiniLMReader(), calibration_of()
    cases = cases_of(reader, options.part, options.cache, key=reader.name.partition("@")[2])
    pairs = [(case, *read_as(case, gold=False)) for case in cases]
    found = [extract(case.question, passages, read, search=known.search) for case, passages, read in pairs]
    rows = [row_of(case, extracted) for case, extracted in zip(cases, found, strict=True)]
    asks = [asks_yes_or_no(case.question) for case in cases]
    by = [i for i, row in enumerate(rows) if asks[i]]
    texts = dict(zip(by, written([asked_of(*pairs[i]) for i in by], (options.adapter,), "drafter"), strict=True))
    print(f"{options.part}: {len(rows)} questions, {len(by)} of them asked of the drafter")
    for i, row in enumerate(rows):
        row["drafter_text"] = texts.get(i, "")
        row["never"] = right(row["drafter_text"], row["golds"]) if i in texts and by_drafter(row) else row["reader"]
        refused = found[i] is None or row["there"] < (known.floor_yes_no if asks[i] else known.floor)
        row["shown"] = row["none"] if refused else row["never"]
    kept = ROOT / "evaluations" / "composition"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / f"product-{options.part}.json").write_text(json.dumps(rows, indent=1))
    for kind in ("", *sorted({row["gold_kind"] for row in rows})):
        its = [row for row in rows if kind in {"", row["gold_kind"]}]
        print(kind or "all")
        for name in ("reader", "never", "shown"):
            line(
                {"reader": "reader", "never": "composed, never refusing", "shown": "as the product"}[name],
                [row[name] or 0.0 for row in its], [row["paper"] for row in its],
            )  # fmt: skip


def line(what: str, values: Sequence[float], groups: Sequence[str]) -> None:
    found = estimate(values, groups)
    assert found
    few = found.low is None or found.high is None
    print(f"  {what}: {found.mean:.3f}" + ("" if few else f" ({found.low:.3f} to {found.high:.3f})") + f", n {found.n}")


def report(rows: list[dict[str, Any]], *, gold: bool) -> None:
    rows = [row for row in rows if row["gold"] == gold]
    groups = [row["paper"] for row in rows]
    names = [name for name in ("reader", "drafter", "untaught") if name in rows[0]]
    print("with the gold passages" if gold else "with the product's passages")
    for name in names:
        line(f"{name} alone", [row[name] for row in rows], groups)
    for by in ("gold_kind", "kind"):
        for kind in sorted({row[by] for row in rows}):
            its = [row for row in rows if row[by] == kind]
            parts = ", ".join(f"{name} {np.mean([row[name] for row in its]):.3f}" for name in names)
            print(f"    {'asked for' if by == 'gold_kind' else 'the reader takes it for'} {kind} ({len(its)}): {parts}")
    rules = {
        "as the product composes them": by_drafter,
        "… and explanations too": lambda row: by_drafter(row) or explained(row),
        "drafter for explanations": lambda row: row["kind"] == "explanation",
        "drafter for explanations and spans": lambda row: row["kind"] in {"explanation", "span"},
        "drafter for explanations, yes and no": lambda row: row["kind"] in {"explanation", "yes", "no"},
        "drafter where the reader is not sure": lambda row: row["sure"] < calibration_of().check,
    }
    for what, rule in rules.items():
        line(what, [row["drafter" if rule(row) else "reader"] for row in rows], groups)
    best = [max(row["reader"], row["drafter"]) for row in rows]
    line("the better of both (an oracle)", best, groups)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("train", "covid", "dev"), default="train")
    parser.add_argument("--questions", type=int, default=0, help="the first so many; 0: all")
    parser.add_argument("--adapter", type=Path, default=ROOT / "rag" / "models" / "drafter.gguf")
    parser.add_argument("--also-untaught", action="store_true")
    parser.add_argument("--product", action="store_true", help="only what the product asks, refusing as it does")
    parser.add_argument("--cache", type=Path, default=ROOT / "evaluations" / "reader")
    options = parser.parse_args()
    if options.product:
        product(options)
        return
    rows = measured(options.part, options)
    for gold in (False, True):
        report(rows, gold=gold)


if __name__ == "__main__":
    main()
