"""How well the reader reads, on what it was not trained on (docs/reader.md).

    python bench/reader_quality.py [--checkpoint FILE | --weights FILE] [--part squad … time] [--papers 0]

Without `--checkpoint` the installed reader is measured; with it, a checkpoint's weights in fp32, before packing.
squad    one paragraph in twenty of SQuAD dev: F1 of the best span, and with "no answer here" as SQuAD 2 counts it
covid    a fifth of COVID-QA's papers: F1 in the window that contains the answer, and in the paper, from 24 windows
qasper   one paper in eight of QASPER train: evidence hit@5 before and after re-ranking, Answer-F1 by kind
dev      the same for QASPER dev; `--papers 28` is the fixed slice for development (100 questions), 0 all of them
written  the held-out questions of paper_questions.jsonl
later    these and those of later_questions.jsonl
scifact  the claims with an odd id: nDCG@10 before and after re-ranking
time     24 passages of a paper
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reader_cases import READ, Case, cases_of, embedder, passages_of
from reader_data import covid_held, held_squad, scifact_lines
from reader_rows import Range, read, windows
from train_ranker import embedded

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest.embed import embedded_model  # noqa: E402
from rag.evaluation.metrics import UNANSWERABLE, answer_f1, auroc, estimate  # noqa: E402
from rag.quoting.compose import asks_yes_or_no  # noqa: E402
from rag.quoting.extract import Extract, extract  # noqa: E402
from rag.reading.calibration import calibration_of  # noqa: E402
from rag.reading.reader import WEIGHTS as INSTALLED  # noqa: E402
from rag.reading.reader import Encoder, MiniLMReader  # noqa: E402
from rag.retrieval.ranker import ranker_for  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.reading.readings import Reading

SHOWN = 6
"""Passages the answer is made from."""
WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Weights of the hybrid search's log odds relative to the reader's relevance; 0 is the reader alone."""
BLEND = calibration_of().search
LIMITS = (-3.0, -2.0, -1.0, 0.0)
"""Thresholds for the best passage's relevance, below which the reader abstains."""


class FromCheckpoint(MiniLMReader):
    """A reader with a checkpoint's weights, in fp32."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        from train_reader import network_of

        self.__dict__["_network"] = network_of(checkpoint)  # overrides the cached property


def shown(values: Sequence[float], groups: Sequence[str]) -> str:
    found = estimate(values, groups)
    if found is None:
        return "no cases"
    interval = f" ({found.low:.3f} to {found.high:.3f})" if found.low is not None else ""
    return f"{found.mean:.3f}{interval}, n {found.n}"


def best_span(text: str, reading: Reading) -> str:
    return text[reading.spans[0].start : reading.spans[0].end] if reading.spans else ""


def best_sentence(reading: Reading) -> Range:
    best = max(reading.sentences, key=lambda s: s.probability, default=None)
    return (best.start, best.end) if best else (0, 0)


# -- SQuAD -------------------------------------------------------------------------------------------------------------


def squad(reader: MiniLMReader, most: int) -> None:
    rows = [row for row in read("squad_dev_explorer") if held_squad(row)]
    rows.sort(key=lambda row: sha256(row["id"].encode()).hexdigest())
    forced, exact, either, nones, answerable, groups, carried = [], [], [], [], [], [], []
    for row in rows[: most or None]:
        text = row["passages"][0]["text"]
        reading = reader.read(row["question"], [text])[0]
        said = best_span(text, reading)
        has = row["kind"] == "span"
        nones.append(1 - reading.none)
        answerable.append(has)
        groups.append(text)
        if has:
            forced.append(answer_f1(said, row["answers"]))
            exact.append(float(forced[-1] == 1.0))
            carried.append(any(a <= start < b for a, b in [best_sentence(reading)] for _, start, _ in row["spans"]))
            either.append(forced[-1] if reading.none < 0.5 else 0.0)
        else:
            either.append(float(reading.none >= 0.5))
    asked = [g for g, has in zip(groups, answerable, strict=True) if has]
    print(f"squad: F1 {shown(forced, asked)}; all words right {np.mean(exact):.3f}")
    print(f"  likeliest sentence holds the answer {np.mean(carried):.3f}")
    print(f"  with unanswerable ones {shown(either, groups)}; AUROC of none {auroc(nones, answerable):.3f}", flush=True)


# -- questions of one paper --------------------------------------------------------------------------------------------


def extracted(case: Case, order: list[int]) -> Extract | None:
    """The product's answer from these passages."""
    passages = passages_of([case.texts[i] for i in order], case.title, [case.odds[i] for i in order])
    return extract(case.question, passages, [case.readings[i] for i in order], search=BLEND)


def product_says(case: Case) -> str:
    """The answer as the product gives it, with its ranking and its refusals."""
    known = calibration_of()
    found = extracted(case, case.ordered(known.search)[:SHOWN])
    floor = known.floor_yes_no if asks_yes_or_no(case.question) else known.floor
    refused = found is None or known.there.probability(found.features) < floor
    return UNANSWERABLE if refused else said_of(found)


def said_of(found: Extract | None) -> str:
    return found.said if found else ""


def covid(cases: list[Case]) -> None:
    groups = [case.paper for case in cases]
    gold = []
    for case in cases:
        found = extract(case.question, passages_of(case.gold_texts, ""), case.gold_readings)
        gold.append(answer_f1(said_of(found), case.golds))
    print(f"covid: F1 in the right window {shown(gold, groups)}", end="; ")
    print(f"window among the first five by search {np.mean([bool(c.evidence & set(range(5))) for c in cases]):.3f}")
    print(f"  nearest sentence (the floor) {shown([case.floor for case in cases], groups)}")
    for weight in WEIGHTS:
        orders = [case.ordered(weight)[:SHOWN] for case in cases]
        hits = np.mean([bool(case.evidence & set(order[:5])) for case, order in zip(cases, orders, strict=True)])
        values = [answer_f1(said_of(extracted(c, o)), c.golds) for c, o in zip(cases, orders, strict=True)]
        print(f"  in the paper, reader + {weight} search: {shown(values, groups)}; hit@5 {hits:.3f}", flush=True)
    product = [product_says(case) for case in cases]
    values = [answer_f1(said, case.golds) for said, case in zip(product, cases, strict=True)]
    print(f"  in the paper, as the product answers: {shown(values, groups)}; refused {product.count(UNANSWERABLE)}")


def qasper(cases: list[Case], split: str, folder: Path) -> None:
    rows: list[dict[str, Any]] = []
    for case in cases:
        found = extracted(case, case.ordered(BLEND)[:SHOWN])
        row = {
            "paper": case.paper,
            "question": case.question,
            "kind": case.kind,
            "golds": case.golds,
            "said": said_of(found),
            "of": found.kind if found else "none",
            "relevance": found.features["best"] if found else -99.0,
            "f1": answer_f1(said_of(found), case.golds),
            "product": answer_f1(product_says(case), case.golds),
            "f1_none": answer_f1(UNANSWERABLE, case.golds),
            "floor": case.floor,
        }
        if case.has_evidence:
            best = extract(case.question, passages_of(case.gold_texts, case.title), case.gold_readings)
            row["gold"] = answer_f1(said_of(best), case.golds)
            row["search"] = bool(case.evidence & set(range(5)))
            for weight in WEIGHTS:
                row[f"reader + {weight} search"] = bool(case.evidence & set(case.ordered(weight)[:5]))
        rows.append(row)
    report(split, rows)
    (folder / f"qasper-{split}.json").write_text(json.dumps(rows, indent=1))


def report(split: str, rows: list[dict[str, Any]]) -> None:
    def line(what: str, name: str, among: list[dict[str, Any]]) -> None:
        print(f"  {what}: {shown([float(row[name]) for row in among], [row['paper'] for row in among])}")

    with_evidence = [row for row in rows if "gold" in row]
    print(f"{split}, {len({row['paper'] for row in rows})} papers, {len(rows)} questions")
    for rule in ("search", *(f"reader + {weight} search" for weight in WEIGHTS)):
        line(f"evidence hit@5, {rule}", rule, with_evidence)
    line("Answer-F1, nearest sentence (the floor)", "floor", rows)
    line("Answer-F1, gold passages, never abstaining", "gold", with_evidence)
    line("Answer-F1, never abstaining", "f1", rows)
    line("Answer-F1, as the product answers and refuses", "product", rows)
    for limit in LIMITS:
        for row in rows:
            row[f"at {limit}"] = row["f1_none"] if row["relevance"] < limit else row["f1"]
        line(f"Answer-F1, abstaining below relevance {limit}", f"at {limit}", rows)
    for kind in sorted({row["kind"] for row in rows}):
        its = [row for row in rows if row["kind"] == kind]
        parts = (f"{np.mean([row[name] for row in its]):.3f} {name}" for name in ("f1", *(f"at {x}" for x in LIMITS)))
        print(f"    {kind} ({len(its)}): {', '.join(parts)}")
    for name, said in (("yes/no", {"yes", "no"}), ("unanswerable", {"none"})):
        its = [row for row in rows if row["kind"] == name]
        print(f"    {name}: kind recognised for {sum(row['of'] in said for row in its)} of {len(its)}")
    can = [row["kind"] != "unanswerable" for row in rows]
    print(f"  AUROC of relevance for answerable: {auroc([row['relevance'] for row in rows], can):.3f}", flush=True)


# -- SciFact -----------------------------------------------------------------------------------------------------------


def scifact(reader: MiniLMReader, most: int, folder: Path) -> None:
    import torch
    from train_ranker import scifact as cases_of

    texts = [f"{row['title']}. {row['text']}" for row in scifact_lines("corpus.jsonl.gz")]
    queries = {row["_id"]: row["text"] for row in scifact_lines("queries.jsonl.gz")}
    ranker, values, groups = ranker_for(embedder().name), defaultdict(list), []
    cases = [case for case in cases_of(folder) if int(case.group) % 2]
    at = {hash(row.numpy().tobytes()): i for i, row in enumerate(embedded(texts, folder))}
    for case in cases[: most or None]:
        mapped = torch.from_numpy(ranker.mapped(case.question.numpy()))
        sums = (case.passages @ mapped + case.rest @ torch.from_numpy(ranker.weights[1:])).numpy()
        odds = ranker.slope * sums + ranker.offset
        order = np.argsort(-odds, kind="stable").tolist()
        names = [at[hash(row.numpy().tobytes())] for row in case.passages]
        readings = reader.read(queries[case.group], [texts[names[i]] for i in order[:READ]])
        n = len(case.relevant) + case.missed
        ideal = sum(1 / np.log2(i + 2) for i in range(min(10, n)))
        for rule, ranks in {
            "search": order,
            **{f"reader + {w} search": blended(odds, order[:READ], readings, w) for w in WEIGHTS},
        }.items():
            values[rule].append(sum(1 / np.log2(i + 2) for i, j in enumerate(ranks[:10]) if j in case.relevant) / ideal)
        groups.append(case.group)
    for rule, gains in values.items():
        print(f"SciFact odd, nDCG@10, {rule}: {shown(gains, groups)}", flush=True)


def blended(odds: np.ndarray, chosen: list[int], readings: list[Reading], weight: float) -> list[int]:
    """The chosen passages sorted by relevance + weight · log odds of the search, without the others."""
    scores = [reading.relevance + weight * float(odds[i]) for i, reading in zip(chosen, readings, strict=True)]
    return [chosen[j] for j in np.argsort(-np.array(scores), kind="stable")]


# -- time --------------------------------------------------------------------------------------------------------------


def seconds(reader: MiniLMReader, most: int) -> None:
    texts = {row["doc_id"]: row["text"] for row in read("covidqa_docs")}
    walls, busy, lengths = [], [], []
    for row in covid_held()[: most or 40]:
        text = texts[row["doc_id"]]
        passages = [text[a:b] for a, b in windows(text)][:READ]
        lengths += [len(encoding.ids) for encoding in Encoder(embedded_model()).pairs(row["question"], passages)]
        wall, cpu = time.perf_counter(), time.process_time()
        reader.read(row["question"], passages)
        walls.append(time.perf_counter() - wall)
        busy.append(time.process_time() - cpu)
    print(
        f"time: {READ} passages, pairs of {np.mean(lengths):.0f} pieces: p50 {np.median(walls) * 1000:.0f} ms", end=""
    )
    print(f", {np.median(busy) * 1000:.0f} ms of a processor", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--weights", type=Path, default=INSTALLED, help="packed weights instead of the installed ones")
    parser.add_argument("--part", nargs="+", default=["squad", "covid", "qasper"])
    parser.add_argument("--papers", type=int, default=0, help="only so many papers (or questions of squad and scifact)")
    parser.add_argument("--cache", type=Path, default=ROOT / "evaluations" / "reader")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    reader = FromCheckpoint(options.checkpoint) if options.checkpoint else MiniLMReader(options.weights)
    key = hashlib.sha256((options.checkpoint or options.weights).read_bytes()).hexdigest()[:8]
    for part in options.part:
        began = time.perf_counter()
        if part == "squad":
            squad(reader, options.papers)
        elif part == "covid":
            covid(cases_of(reader, "covid", options.cache, most=options.papers, key=key))
        elif part in {"qasper", "dev", "written", "later"}:
            split = "train" if part == "qasper" else part
            qasper(cases_of(reader, split, options.cache, most=options.papers, key=key), split, options.cache)
        elif part == "scifact":
            scifact(reader, options.papers, options.cache)
        elif part == "time":
            seconds(reader, options.papers)
        print(f"  {part}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
