"""Fit rag/reading/reader.json, which says what the reader's scores mean, on papers it was not trained on.

    python bench/calibrate_reader.py [--checkpoint FILE | --weights FILE] [--cache FOLDER] [--write] [--plot]

Uses the held-out papers of QASPER train and COVID-QA (`bench/reader_data.py`) to fit: the weight of the search relative
to the reader when passages are ordered; a logistic regression that separates answerable questions from similar ones
asked of another paper in the field, with the probability below which an answer is said not to be in the papers (at most
FALSE of the answerable questions for yes or no are refused, and of the others); and one that separates right answers
(token F1 of at least .5 against any annotator's) from the rest. QASPER dev is not used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from confidence import STYLE
from reader_cases import Case, cases_of
from reader_quality import INSTALLED, SHOWN, WEIGHTS, FromCheckpoint, extracted, said_of, shown

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rag.evaluation.calibrate import RIGHT_AT, Labelled, fit, held_out  # noqa: E402
from rag.evaluation.metrics import answer_f1, auroc_estimate, calibration_error, risk_coverage  # noqa: E402
from rag.evaluation.plots import Curve, Point, curves  # noqa: E402
from rag.quoting.compose import asks_yes_or_no  # noqa: E402
from rag.reading.calibration import CALIBRATION, ReaderCalibration  # noqa: E402
from rag.reading.reader import MiniLMReader  # noqa: E402

FALSE = 0.10
"""The share of answerable questions that may be refused."""
THERE = ("best", "total", "found", "covered")
FEATURES = (
    "relevance", "span", "inner", "margin", "sentence", "search", "yes_no", "words", "asked", "typed", "fits", "kind"
)  # fmt: skip


def hits(cases: list[Case], weight: float) -> float:
    return float(np.mean([bool(case.evidence & set(case.ordered(weight)[:5])) for case in cases if case.has_evidence]))


def plot(scores: list[float], right: list[bool]) -> None:
    """The share right among the surest answers, over the share that is kept."""
    found = risk_coverage(scores, right)
    shares = [round(0.05 * i, 2) for i in range(1, 21)]
    kept = dict.fromkeys(min(found, key=lambda pair, share=share: abs(pair[0] - share)) for share in shares)
    line = Curve("quoted answers", tuple(Point(share, 1 - risk) for share, risk in kept))
    top = next(c for c in (0.4, 0.6, 0.8, 1.0) if c >= max(p.y for p in line.points))
    label = "share of answers kept, the surest first (up: share right among them)"
    ticks = [0.05, *(round(0.1 * i, 1) for i in range(1, 11))]
    drawn = curves([line], x_label=label, top=top, ticks=ticks, legend="top")
    text = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{STYLE}", 1)
    (ROOT / "docs" / "images" / "risk-coverage-reader.svg").write_text(text + "\n", encoding="utf-8")


def main() -> None:  # noqa: C901, PLR0915 - one report
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--weights", type=Path, default=INSTALLED, help="packed weights instead of the installed ones")
    parser.add_argument("--cache", type=Path, default=ROOT / "evaluations" / "reader")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--plot", action="store_true", help="docs/images/risk-coverage-reader.svg")
    options = parser.parse_args()
    reader = FromCheckpoint(options.checkpoint) if options.checkpoint else MiniLMReader(options.weights)
    key = hashlib.sha256((options.checkpoint or options.weights).read_bytes()).hexdigest()[:8]
    qasper, covid, absent = (cases_of(reader, part, options.cache, key=key) for part in ("train", "covid", "absent"))
    best = max(WEIGHTS, key=lambda weight: hits(qasper, weight) + hits(covid, weight))
    print(
        "hit@5 by weight of the search: "
        + ", ".join(f"{w}: {hits(qasper, w):.3f}/{hits(covid, w):.3f}" for w in WEIGHTS)
    )

    rows, values, known, asks = [], [], [], []
    for case in (*qasper, *covid, *absent):
        found = extracted(case, case.ordered(best)[:SHOWN])
        if found and case.kind != "unanswerable":  # a paper may half answer these, so they are left out
            known.append(Labelled(dict(found.features), (), case.kind != "absent", case.paper))
            asks.append(asks_yes_or_no(case.question))
        if case.kind == "absent":
            continue
        f1 = answer_f1(said_of(found), case.golds) or 0.0
        values.append(f1)
        if found:
            rows.append(Labelled(dict(found.features), (), f1 >= RIGHT_AT, case.paper))
    there, told = fit(known, THERE), held_out(known, THERE)
    answerable = [row.right for row in known]
    for false in (FALSE / 2, FALSE):
        floors = {
            form: float(
                np.quantile([p for p, r, a in zip(told, answerable, asks, strict=True) if r and a == form], false)
            )
            for form in (False, True)
        }
        refused = [(p < floors[a], a) for p, right, a in zip(told, answerable, asks, strict=True) if not right]
        print(f"refusing {false:.0%} of {sum(answerable)} answerable, of each form: ", end="")
        print(f"{np.mean([r for r, _ in refused]):.3f} of {len(refused)} absent, ", end="")
        print(f"{np.mean([r for r, a in refused if a]):.3f} of {sum(a for _, a in refused)} for yes or no")
    area = auroc_estimate(told, answerable, [row.group for row in known])
    if area:
        print(f"answerable or absent: AUROC {area.mean:.3f} ({area.low:.3f} to {area.high:.3f})")
    weights = fit(rows, FEATURES)
    own = held_out(rows, FEATURES)
    right = [row.right for row in rows]
    area = auroc_estimate(own, right, [row.group for row in rows])
    print(f"{sum(right)} of {len(rows)} right; F1 {shown(values, [c.paper for c in (*qasper, *covid)])}")
    if area:
        print(
            f"by weights that never saw the paper: AUROC {area.mean:.3f} ({area.low:.3f} to {area.high:.3f}), ", end=""
        )
        print(f"calibration error {calibration_error(own, right):.3f}")
    for name, weight in zip(weights.features, weights.coefficients, strict=True):
        print(f"  {name} {weight:+.2f}")
    known = sorted(zip(own, right, strict=True), reverse=True)
    at = [i for i in range(10, len(known)) if np.mean([r for _, r in known[:i]]) >= RIGHT_AT]
    check = known[max(at) - 1][0] if at else known[0][0]
    print(f"of the answers at or above {check:.3f} half are right: {sum(p >= check for p, _ in known)} of {len(known)}")
    if options.plot:
        plot(own, right)
    if options.write:
        found = ReaderCalibration(
            reader=reader.name,
            data=f"held-back papers of QASPER train ({len(qasper)} questions) and COVID-QA ({len(covid)})",
            date=datetime.now(UTC).date().isoformat(),
            n=len(rows),
            n_right=sum(right),
            search=best,
            there=there,
            floor=round(floors[False], 4),
            floor_yes_no=round(floors[True], 4),
            check=round(check, 4),
            weights=weights,
        )
        CALIBRATION.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
