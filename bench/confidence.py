"""How well the confidence separates right drafts from wrong ones on QASPER dev, calibrated on train.

    python bench/drafts.py --cache FOLDER --split train --papers 240 [--limit N]
    python bench/drafts.py --cache FOLDER --split dev [--limit N]
    python bench/confidence.py --cache FOLDER [--write] [--plots]

`--write` fits rag/verify/confidence.json on train; without it the shipped file is measured. A draft is "right" if its
token F1 is at least 0.5 against any annotator's answer, and always wrong if no annotator could answer. Questions on
which the floor abstained have no draft and are counted separately. Intervals resample whole papers. The F1 of a
sentence depends on its length, so a second label that does not is shown: at least half of the words of an annotator's
answer are in the draft. `--plots` draws docs/images/reliability.svg and docs/images/risk-coverage.svg.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from drafts import DATA, ROOT, passages_of, read_drafts

from rag.answer import Draft
from rag.costs.accounting import Usage
from rag.evaluation.calibrate import FEATURES, WITH_LOGPROBS, Labelled, calibrated, fit, held_out, is_right, save
from rag.evaluation.metrics import (
    UNANSWERABLE,
    auroc_estimate,
    brier,
    calibration_error,
    normalise,
    reliability,
    risk_coverage,
)
from rag.evaluation.plots import Curve, Point, curves
from rag.verify.calibration import shipped
from rag.verify.citations import cite
from rag.verify.confidence import score, signals, vetoes, wants_expert

TENTHS = [round(0.1 * i, 1) for i in range(1, 11)]
STYLE = (
    "<style>svg{background:#fff;font:12px system-ui,sans-serif;fill:#444}.grid{stroke:#ddd}.axis{stroke:#888}"
    ".line{fill:none;stroke-width:2}.s0{stroke:#2563eb}.s1{stroke:#d97706}.s2{stroke:#059669}.s3{stroke:#9333ea}.dot{fill:#fff;"
    "stroke-width:1.5}.band{stroke:none;fill:#2563eb;opacity:.12}.middle{text-anchor:middle}"
    ".end{text-anchor:end}</style>"
)


@dataclass(frozen=True, slots=True)
class Known:
    """A draft as the product sees it, and its labels."""

    draft: Draft
    question: str
    sentences: tuple
    passages: tuple
    corrections: tuple
    right: bool
    contains: bool
    paper: str
    labelled: Labelled

    @property
    def asked(self):
        return {"question": self.question, "sentences": self.sentences, "passages": self.passages}


def draft_of(row):
    """The draft in a line of `bench/drafts.py`; recomputes the percentile, which older lines lack."""
    kept, logprobs = row["draft"], [logprob for _, logprob in row["tokens"]]
    whole = kept["mean_logprob"] is not None and logprobs
    return Draft(
        text=kept["text"],
        model=kept["model"],
        usage=Usage(**kept["usage"]) if kept["usage"] else None,
        seconds=kept["seconds"],
        first_token_seconds=kept["first_token_seconds"],
        finish_reason=kept["finish_reason"],
        mean_logprob=kept["mean_logprob"],
        low_logprob=float(np.percentile(logprobs, 10)) if whole else None,
    )


def known_of(row):
    """A line of `bench/drafts.py`, judged as in the product."""
    draft, passages = draft_of(row), passages_of(row)
    cited = cite(draft.text, passages, page_text=lambda _paper, _page: "")
    asked = {"question": row["question"], "sentences": cited.sentences, "passages": passages}
    found = tuple(veto.code for veto in vetoes(draft, **asked, corrections=cited.corrections))
    right = is_right(draft.text, row["golds"])
    return Known(
        draft=draft,
        question=row["question"],
        sentences=cited.sentences,
        passages=passages,
        corrections=cited.corrections,
        right=right,
        contains=contains(draft.text, row["golds"]),
        paper=row["paper_id"],
        labelled=Labelled(signals(draft, **asked), found, right, row["paper_id"]),
    )


def contains(text, golds):
    """Whether the draft contains half of the words of an answer, whatever its length."""
    said = set(normalise(text).split())
    answers = [normalise(gold).split() for gold in golds if gold != UNANSWERABLE]
    return any(words and sum(word in said for word in words) >= 0.5 * len(words) for words in answers)


def read_known(path):
    return [known_of(row) for row in read_drafts(path) if row["draft"]]


def number(value, low=None, high=None):
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def area(scores, right, papers):
    found = auroc_estimate(scores, right, papers)
    return "unknown" if found is None else number(found.mean, found.low, found.high)


def single(name, known, *, sign=1.0):
    """The scores of one signal alone; unknown values are set to the lowest known one."""
    values = [k.labelled.signals[name] for k in known]
    least = min(v for v in values if v is not None)
    return [sign * (least if value is None else value) for value in values]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--plots", action="store_true")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("QASPER is not here: nothing measured")
        return
    train, dev = read_known(options.cache / "train.jsonl"), read_known(options.cache / "dev.jsonl")
    if options.write:
        n_papers = len({k.paper for k in train})
        data = f"QASPER train, {len(train)} drafts for questions to {n_papers} papers"
        today = datetime.now(UTC).date().isoformat()
        model = train[0].draft.model
        save(
            calibrated([k.labelled for k in train], model=model, data=data, date=today),
            ROOT / "rag/verify/confidence.json",
        )
        shipped.cache_clear()
    table(train, dev, read_drafts(options.cache / "dev.jsonl"))
    if options.plots:
        draw(dev)


def table(train, dev, rows):
    calibration = shipped()
    right, papers = [k.right for k in dev], [k.paper for k in dev]
    print(f"{calibration.model}, calibrated on {calibration.data} ({calibration.n_right} of {calibration.n} right)")
    for name, weights in (("with", calibration.with_logprobs), ("without", calibration.without_logprobs)):
        pairs = zip(weights.features, weights.coefficients, strict=True)
        print(f"  {name} log-probabilities: " + ", ".join(f"{f} {c:+.2f}" for f, c in pairs))
    abstained = [row for row in rows if row["abstained"]]
    print(
        f"dev: {len(rows)} questions, {len(abstained)} abstained from "
        f"({sum(row['answerable'] is False for row in abstained)} of them unanswerable), {len(dev)} drafts of "
        f"{len(set(papers))} papers, {sum(right)} right, {sum(k.contains for k in dev)} contain the answer\n"
    )
    said = [score(k.draft, **k.asked, corrections=k.corrections, calibration=calibration) for k in dev]
    scores = {
        "confidence": [c.score for c in said],
        "without its vetoes": [calibration.with_logprobs.probability(c.signals) for c in said],
        "without log-probabilities": [calibration.without_logprobs.probability(c.signals) for c in said],
        "length alone": single("log_words", dev),
        "shortness alone": single("log_words", dev, sign=-1.0),
        "mean log-probability alone": single("mean_logprob", dev),
        "its 10th percentile alone": single("low_logprob", dev),
        "best retrieval score alone": single("top_score", dev),
        "share of supported sentences alone": single("supported", dev),
        "how far passages carry it alone": single("carried", dev),
        "new words that were read alone": single("new_words_read", dev),
        "names and numbers that were read alone": single("specific", dev),
        "not a plain echo (veto) alone": [float("echo" not in c.vetoes) for c in said],
    }
    print("| score | AUROC, right | AUROC, contains the answer |\n|---|---|---|")
    for name, values in scores.items():
        print(f"| {name} | {area(values, right, papers)} | {area(values, [k.contains for k in dev], papers)} |")
    own = held_out([k.labelled for k in train], WITH_LOGPROBS)
    print(f"\ntrain, by weights that never saw the paper: AUROC {area(own, *labels(train))}")
    logit(train)
    values = scores["confidence"]
    print(f"Brier {brier(values, right):.4f} (always the share: {np.mean(right) * (1 - np.mean(right)):.4f}), "
          f"ECE over ten bins {calibration_error(values, right):.4f}")  # fmt: skip
    print("\n| said | came | drafts |\n|---|---|---|")
    for mean, share, n in reliability(values, right, bins=5):
        print(f"| {mean:.3f} | {share:.3f} | {n} |")
    print("\n| veto | drafts | right |\n|---|---|---|")
    codes = sorted({code for c in said for code in c.vetoes})
    for code in codes:
        hit = [k.right for k, c in zip(dev, said, strict=True) if code in c.vetoes]
        print(f"| {code} | {len(hit)} | {sum(hit)} |")
    hit = [k.right for k, c in zip(dev, said, strict=True) if c.vetoes]
    print(f"| any | {len(hit)} | {sum(hit)} |")
    handed = [wants_expert(c, calibration=calibration) for c in said]
    kept = [r for r, h in zip(right, handed, strict=True) if not h]
    print(f"\nthreshold {calibration.threshold:.4f}: {calibration.threshold_reason}")
    share = f"{np.mean(kept):.3f}" if kept else "unknown"
    print(
        f"auto hands on {np.mean(handed):.3f} of the drafts; right among the kept: {share} ({sum(kept)} of {len(kept)})"
    )
    print(f"right among those handed on: {sum(right) - sum(kept)} of {sum(handed)}")


def labels(known):
    return [k.right for k in known], [k.paper for k in known]


def logit(train):
    """The signs of the weights when each fifth of the papers is left out; a signal whose sign changes is not used."""
    rows = [k.labelled for k in train]
    names = sorted({row.group for row in rows})
    for features in (WITH_LOGPROBS, FEATURES):
        signs = []
        for n in range(5):
            weights = fit([row for row in rows if names.index(row.group) % 5 != n], features)
            signs.append(weights.coefficients)
        low, high = np.min(signs, axis=0), np.max(signs, axis=0)
        told = ", ".join(f"{f} {a:+.2f} to {b:+.2f}" for f, a, b in zip(features, low, high, strict=True))
        print(f"weights with a fifth of the papers left out: {told}")


def draw(dev):
    calibration = shipped()
    right = [k.right for k in dev]
    values = [score(k.draft, **k.asked, corrections=k.corrections, calibration=calibration).score for k in dev]
    rng = np.random.default_rng(0)
    names, index = np.unique([k.paper for k in dev], return_inverse=True)
    members = [np.flatnonzero(index == n) for n in range(len(names))]
    parts = np.array_split(np.argsort(values, kind="stable"), 6)
    points = []
    for part in parts:
        chosen = set(part.tolist())
        draws = []
        for _ in range(1000):
            drawn = [i for n in rng.integers(len(names), size=len(names)) for i in members[n] if i in chosen]
            if drawn:
                draws.append(np.mean([right[i] for i in drawn]))
        low, high = np.percentile(draws, (2.5, 97.5))
        said, came = np.mean([values[i] for i in part]), np.mean([right[i] for i in part])
        points.append(Point(float(said), float(came), float(low), float(high)))
    top = max(p.x for p in points)
    ceiling = next(c for c in (0.1, 0.2, 0.4, 0.6, 1.0) if c >= max(p.high for p in points) or c == 1.0)
    even = Curve("as said", (Point(0.0, 0.0), Point(top, top)))
    ticks = [round(top * i / 5, 3) for i in range(6)]
    drawn = [Curve("right among them", tuple(points)), even]
    write("reliability", curves(drawn, x_label="confidence", top=ceiling, ticks=ticks, legend="top"))
    lines = {
        "confidence": values,
        "mean log-probability": single("mean_logprob", dev),
        "best retrieval score": single("top_score", dev),
        "length": single("log_words", dev),
    }
    drawn = []
    for name, scores in lines.items():
        found = risk_coverage(scores, right)
        at = [min(found, key=lambda pair, share=share: abs(pair[0] - share)) for share in np.arange(0.05, 1.01, 0.05)]
        drawn.append(Curve(name, tuple(Point(share, 1 - risk) for share, risk in dict.fromkeys(at))))
    most = max(p.y for line in drawn for p in line.points)
    ceiling = next(c for c in (0.1, 0.2, 0.4, 0.6, 1.0) if c >= most)
    label = "share of drafts kept, the surest first (up: share right among them)"
    write("risk-coverage", curves(drawn, x_label=label, top=ceiling, ticks=[0.05, *TENTHS], legend="top"))


def write(name, svg):
    text = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{STYLE}", 1)
    (ROOT / "docs" / "images" / f"{name}.svg").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
