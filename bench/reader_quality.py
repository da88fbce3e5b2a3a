"""How well the reader reads, on what it was not trained on (docs/reader.md).

    python bench/reader_quality.py [--checkpoint FILE] [--part squad covid qasper dev scifact time] [--papers 0]

Without `--checkpoint` the installed reader is measured; with it the weights of a checkpoint in fp32, before packing.
squad    one paragraph of twenty of SQuAD dev: F1 of the best span, and with "no answer here" as SQuAD 2 counts it
covid    a fifth of COVID-QA's papers: F1 in the window that holds the answer, and in the paper, from 24 windows
qasper   one paper of eight of QASPER train: evidence hit@5 before and after re-ranking, Answer-F1 by kind
dev      the same for QASPER dev; `--papers 28` is the fixed slice for development (100 questions), 0 all of them
scifact  the claims with an odd id: nDCG@10 before and after re-ranking
time     24 passages of a paper
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import train_ranker
from reader_data import (
    DATA,
    Range,
    clean,
    covid_held,
    held_qasper,
    held_squad,
    paragraphs_of,
    qasper_papers,
    read,
    scifact_lines,
    windows,
)
from train_ranker import Words, embedded

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import embedder_from  # noqa: E402
from ingest.embed import embedded_model  # noqa: E402
from ingest.sentences import sentence_spans  # noqa: E402
from rag.metrics import UNANSWERABLE, answer_f1, auroc, estimate  # noqa: E402
from rag.ranker import ranker_for  # noqa: E402
from rag.reader import Encoder, MiniLMReader  # noqa: E402
from rag.words import content_words  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest import Embedder
    from rag.reading import Reading

train_ranker.DATA = DATA
READ = 24
"""Passages that are read for a question."""
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Of the hybrid search's log odds beside the reader's relevance; 0 is the reader alone."""
LIMITS = (-3.0, -2.0, -1.0, 0.0)
"""Of the best passage's relevance, below which the reader abstains."""


class FromCheckpoint(MiniLMReader):
    """A reader with the weights of a checkpoint, in fp32."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        from train_reader import network_of

        self.__dict__["_network"] = network_of(checkpoint)  # in place of the cached property


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


# -- search in one paper -----------------------------------------------------------------------------------------------


@cache
def embedder() -> Embedder:
    return embedder_from(None)


class Paper:
    """The passages of one paper, searched as the product does."""

    def __init__(self, texts: list[str], sections: list[str], vectors: np.ndarray) -> None:
        self.texts, self.sections, self.vectors = texts, sections, vectors

    def ranked(self, question: str, words: Words, low: int) -> tuple[list[int], np.ndarray]:
        """All passages, best first, and their log odds by the hybrid search.

        Args:
            question: what is asked.
            words: the word search over many papers.
            low: the number of this paper's first passage in it.
        """
        shares = words.shares(question, low, low + len(self.texts))
        scores = ranker_for(embedder().name).scores(
            embedder().embed_query(question),
            self.vectors,
            words=[shares.get(low + i, 0.0) for i in range(len(self.texts))],
            texts=self.texts,
            sections=self.sections,
        )
        odds = np.log(np.clip(scores, 1e-6, 1 - 1e-6) / (1 - np.clip(scores, 1e-6, 1 - 1e-6)))
        return np.argsort(-odds, kind="stable").tolist(), odds

    def nearest_sentence(self, question: str, order: list[int]) -> str:
        """The floor: the sentence of the first five passages nearest to the question (`Retriever.sentences`)."""
        found = [
            (rank, self.texts[i][a:b])
            for rank, i in enumerate(order[:5], start=1)
            for a, b in sentence_spans(self.texts[i])
            if b - a >= 25
        ]
        if not found:
            return ""
        cosines = embedder().embed_documents([text for _, text in found]) @ embedder().embed_query(question)
        asked = content_words(question)
        scores = [
            float(cosine) + 0.5 * len(asked & content_words(text)) / max(1, len(asked)) - 0.02 * rank
            for cosine, (rank, text) in zip(cosines, found, strict=True)
        ]
        return found[int(np.argmax(scores))][1]


def blended(odds: np.ndarray, chosen: list[int], readings: list[Reading], weight: float) -> list[int]:
    """The chosen passages sorted by relevance + weight · log odds of the search; the rest of the order is not here."""
    scores = [reading.relevance + weight * float(odds[i]) for i, reading in zip(chosen, readings, strict=True)]
    return [chosen[j] for j in np.argsort(-np.array(scores), kind="stable")]


def answer(texts: list[str], readings: list[Reading]) -> tuple[str, str]:
    """The reader's own answer from its readings, and its kind: a rule to measure with, not yet the product's."""
    best = max(range(len(readings)), key=lambda i: readings[i].relevance)
    votes: dict[str, float] = defaultdict(float)
    for reading in readings:
        if reading.kind != "none":
            votes[reading.kind] += reading.kind_probability * float(np.exp(min(20.0, reading.relevance)))
    kind = max(votes, key=votes.__getitem__) if votes else "span"
    if kind in {"yes", "no"}:
        return kind.capitalize(), kind
    place, top = best, -np.inf
    for i, reading in enumerate(readings):
        if reading.spans and reading.relevance + reading.spans[0].score > top:
            place, top = i, reading.relevance + reading.spans[0].score
    text, reading = texts[place], readings[place]
    if not reading.spans:
        return UNANSWERABLE, "none"
    if kind == "list":
        spans = [s for s in reading.spans if s.score > reading.spans[0].score - 3.0]
        return ", ".join(text[s.start : s.end] for s in sorted(spans, key=lambda s: s.start)), kind
    return best_span(text, reading), kind


# -- COVID-QA ----------------------------------------------------------------------------------------------------------


def covid(reader: MiniLMReader, most: int, folder: Path) -> None:
    texts = {row["doc_id"]: row["text"] for row in read("covidqa_docs")}
    rows = covid_held()
    names = sorted({row["doc_id"] for row in rows})[: most or None]
    gold, found, floor, hits, groups, carried = [], defaultdict(list), [], [], [], []
    for name in names:
        places: list[Range] = windows(texts[name])
        pieces = [texts[name][a:b] for a, b in places]
        paper = Paper(pieces, [""] * len(places), embedded(pieces, folder).numpy())
        words = Words([(text, "") for text in paper.texts])
        for row in (row for row in rows if row["doc_id"] == name):
            start = row["doc_span"][0]
            holding = [i for i, (a, b) in enumerate(places) if a <= start < b]
            order, odds = paper.ranked(row["question"], words, 0)
            chosen = order[:READ]
            readings = reader.read(row["question"], [paper.texts[i] for i in chosen])
            hits.append(bool(set(holding) & set(chosen[:5])))
            said: dict[str, str] = {}
            for weight in WEIGHTS:
                total = [r.relevance + weight * odds[i] for i, r in zip(chosen, readings, strict=True)]
                with_span = [t + r.spans[0].score if r.spans else -np.inf for t, r in zip(total, readings, strict=True)]
                best = int(np.argmax(with_span))
                said[f"relevance + span + {weight} search"] = best_span(paper.texts[chosen[best]], readings[best])
            alone = int(np.argmax([r.spans[0].score if r.spans else -np.inf for r in readings]))
            said["span alone"] = best_span(paper.texts[chosen[alone]], readings[alone])
            for rule, words_said in said.items():
                found[rule].append(answer_f1(words_said, row["answers"]))
            inside = reader.read(row["question"], [paper.texts[i] for i in holding])
            gold.append(answer_f1(best_span(paper.texts[holding[0]], inside[0]), row["answers"]) if inside else 0.0)
            if inside:
                first, last = best_sentence(inside[0])
                carried.append(first <= start - places[holding[0]][0] < last)
            floor.append(answer_f1(paper.nearest_sentence(row["question"], order), row["answers"]))
            groups.append(name)
    print(f"covid: F1 in the right window {shown(gold, groups)}; window among the first five {np.mean(hits):.3f}")
    print(f"  likeliest sentence of that window holds the answer's beginning {np.mean(carried):.3f}")
    print(f"  nearest sentence (the floor) {shown(floor, groups)}")
    for rule, values in found.items():
        print(f"  in the paper, {rule}: {shown(values, groups)}", flush=True)


# -- QASPER ------------------------------------------------------------------------------------------------------------


def gold_answers(qa: dict) -> list[tuple[str, str]]:
    found = []
    for annotation in qa["answers"]:
        a = annotation["answer"]
        if a["unanswerable"]:
            found.append((UNANSWERABLE, "unanswerable"))
        elif a["extractive_spans"]:
            found.append((", ".join(map(clean, a["extractive_spans"])), "extractive"))
        elif a["free_form_answer"]:
            found.append((clean(a["free_form_answer"]), "abstractive"))
        else:
            found.append(("Yes" if a["yes_no"] else "No", "yes/no"))
    return found


def papers_of(data: dict[str, dict], names: list[str], folder: Path) -> tuple[dict[str, tuple[Paper, int]], Words]:
    """Each paper with the number of its first paragraph in the word search over all of them."""
    rows, lows = [], {}
    for name in names:
        sections = {clean(p): clean(s["section_name"] or "") for s in data[name]["full_text"] for p in s["paragraphs"]}
        lows[name] = len(rows), len(rows) + len(paragraphs_of(data[name]))
        rows += [(text, sections[text]) for text in paragraphs_of(data[name])]
    vectors = embedded([text for text, _ in rows], folder).numpy()  # all at once: one file in the cache
    papers = {
        name: (Paper([text for text, _ in rows[a:b]], [section for _, section in rows[a:b]], vectors[a:b]), a)
        for name, (a, b) in lows.items()
        if b > a
    }
    return papers, Words(rows)


def qasper(reader: MiniLMReader, split: str, most: int, folder: Path) -> None:
    data = qasper_papers(split)
    names = sorted(held_qasper(data) if split == "train" else data, key=lambda n: sha256(n.encode()).hexdigest())
    papers, words = papers_of(data, names[: most or None], folder)
    rows: list[dict[str, Any]] = []
    for name, (paper, low) in papers.items():
        at = {text: i for i, text in enumerate(paper.texts)}
        for qa in data[name]["qas"]:
            question, golds = clean(qa["question"]), gold_answers(qa)
            evidence = {at[clean(e)] for a in qa["answers"] for e in a["answer"]["evidence"] if clean(e) in at}
            order, odds = paper.ranked(question, words, low)
            chosen = order[:READ]
            readings = reader.read(question, [paper.texts[i] for i in chosen])
            first = sorted(range(len(chosen)), key=lambda j: -(readings[j].relevance + 0.5 * odds[chosen[j]]))[:5]
            said, of_kind = answer([paper.texts[chosen[j]] for j in first], [readings[j] for j in first])
            kinds, references = [kind for _, kind in golds], [text for text, _ in golds]
            row = {
                "paper": name,
                "question": question,
                "kind": max(sorted(set(kinds)), key=kinds.count),
                "golds": references,
                "said": said,
                "of": of_kind,
                "relevance": max(readings[j].relevance for j in first),
                "none": min(readings[j].none for j in first),
                "f1": answer_f1(said, references),
                "f1_none": answer_f1(UNANSWERABLE, references),
                "floor": answer_f1(paper.nearest_sentence(question, order), references),
            }
            if evidence:
                its = [paper.texts[i] for i in sorted(evidence)]
                row["gold"] = answer_f1(answer(its, reader.read(question, its))[0], references)
                row["search"] = bool(evidence & set(order[:5]))
                for weight in WEIGHTS:
                    ranks = blended(odds, chosen, readings, weight)
                    row[f"reader + {weight} search"] = bool(evidence & set(ranks[:5]))
            rows.append(row)
    report(split, rows)
    (folder / f"qasper-{split}-{len(papers)}.json").write_text(json.dumps(rows, indent=1))


def report(split: str, rows: list[dict[str, Any]]) -> None:
    def line(what: str, name: str, among: list[dict[str, Any]]) -> None:
        print(f"  {what}: {shown([float(row[name]) for row in among], [row['paper'] for row in among])}")

    with_evidence = [row for row in rows if "gold" in row]
    print(f"QASPER {split}, {len({row['paper'] for row in rows})} papers, {len(rows)} questions")
    for rule in ("search", *(f"reader + {weight} search" for weight in WEIGHTS)):
        line(f"evidence hit@5, {rule}", rule, with_evidence)
    line("Answer-F1, nearest sentence (the floor)", "floor", rows)
    line("Answer-F1, gold passages, never abstaining", "gold", with_evidence)
    line("Answer-F1, never abstaining", "f1", rows)
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
    parser.add_argument("--part", nargs="+", default=["squad", "covid", "qasper"])
    parser.add_argument("--papers", type=int, default=0, help="only so many papers (or questions of squad and scifact)")
    parser.add_argument("--cache", type=Path, default=ROOT / "evaluations" / "reader")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    reader = FromCheckpoint(options.checkpoint) if options.checkpoint else MiniLMReader()
    for part in options.part:
        began = time.perf_counter()
        if part == "squad":
            squad(reader, options.papers)
        elif part == "covid":
            covid(reader, options.papers, options.cache)
        elif part in {"qasper", "dev"}:
            qasper(reader, "train" if part == "qasper" else "dev", options.papers, options.cache)
        elif part == "scifact":
            scifact(reader, options.papers, options.cache)
        elif part == "time":
            seconds(reader, options.papers)
        print(f"  {part}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
