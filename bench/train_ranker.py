"""Train rag/retrieval/ranker.npz: the weights of the passage score, and the low-rank map from questions to passages.

    python bench/train_ranker.py [--cache FOLDER] [--rank 16] [--papers 888] [--baselines] [--write]

Trained on QASPER train (search within a paper over raw paragraphs) and on the SciFact claims with an even id. One
QASPER train paper in eight is held out to choose settings. Measured on QASPER dev and on the SciFact claims with an odd
id, which are never trained on. The loss is the cross-entropy of the softmax over all paragraphs of the paper (SciFact:
the union of the 100 best of both searches) against a uniform distribution over the evidence. The logistic curve is
fitted on the held-out `cut` (Platt 1999). `--baselines` prints the results of the searches and their plain fusions on
the same cases. Embedding all paragraphs takes 10 to 20 minutes; `--cache` keeps the result.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import embedder_from  # noqa: E402
from rag.retrieval.ranker import FEATURES, features  # noqa: E402
from rag.retrieval.retrieve import match_expression  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = ROOT.parent / "shared" / "data"


@dataclass
class Case:
    """One question with its candidates."""

    group: str
    question: torch.Tensor
    passages: torch.Tensor
    rest: torch.Tensor
    """Shape (n, 5): all features except the first."""
    relevant: set[int]
    """Indices of relevant candidates."""
    missed: int = 0
    """Number of relevant passages that are not candidates."""


class Words:
    """BM25 over a corpus, computed as in the library."""

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        self.db, self.n, self.known = sqlite3.connect(":memory:"), len(rows), {}
        self.db.execute(
            "CREATE VIRTUAL TABLE w USING fts5(text, section, tokenize='porter unicode61 remove_diacritics 2')"
        )
        self.db.execute("INSERT INTO w(w, rank) VALUES ('rank', 'bm25(1.0, 2.0)')")
        self.db.executemany(
            "INSERT INTO w(rowid, text, section) VALUES (?, ?, ?)", ((i, *r) for i, r in enumerate(rows))
        )

    def shares(self, question: str, low: int, high: int, k: int = -1) -> dict[int, float]:
        """Rows with low ≤ row < high, with their share of the best possible score."""
        match = match_expression(question)
        best = 0.0
        for word in match.split(" OR "):
            if word not in self.known:
                self.known[word] = self.db.execute("SELECT count(*) FROM w WHERE w MATCH ?", (word,)).fetchone()[0]
            n = self.known[word]
            best += max(1e-6, math.log((self.n - n + 0.5) / (n + 0.5))) * 2.2
        query = "SELECT rowid, -rank FROM w WHERE w MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rank LIMIT ?"
        return {row: score / best for row, score in self.db.execute(query, (match, low, high - 1, k))}


def embedded(texts: list[str], cache: Path | None) -> torch.Tensor:
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    path = cache / f"{key}.npy" if cache else None
    if path and path.exists():
        return torch.tensor(np.load(path))
    vectors = embedder_from(None).embed_documents(texts)
    if path:
        np.save(path, vectors)
    return torch.tensor(vectors)


def qasper(split: str, cache: Path | None, papers: int) -> list[Case]:
    with gzip.open(DATA / "qasper" / f"{split}.json.gz", "rt") as file:
        data = json.load(file)
    rows: list[tuple[str, str]] = []
    asked: list[tuple[str, str, int, int, set[int]]] = []
    for paper in sorted(data)[:papers]:
        low, at = len(rows), {}
        for section in data[paper]["full_text"]:
            name = " ".join((section["section_name"] or "").split())
            for text in filter(None, (" ".join(p.split()) for p in section["paragraphs"])):
                at.setdefault(text, len(rows) - low)
                rows.append((text, name))
        for qa in data[paper]["qas"]:
            evidence = {" ".join(e.split()) for a in qa["answers"] for e in a["answer"]["evidence"]}
            if relevant := {at[e] for e in evidence if e in at}:
                asked.append((paper, qa["question"], low, len(rows), relevant))
    passages, questions = embedded([r[0] for r in rows], cache), embedded([a[1] for a in asked], cache)
    words, cases = Words(rows), []
    for (paper, question, low, high, relevant), vector in zip(asked, questions, strict=True):
        shares = words.shares(question, low, high)
        rest = torch.tensor([features(shares.get(i, 0.0), *rows[i]) for i in range(low, high)])
        cases.append(Case(paper, vector, passages[low:high], rest, relevant))
    return cases


def scifact(cache: Path | None, n: int = 100) -> list[Case]:
    def lines(name: str) -> list[dict[str, str]]:
        with gzip.open(DATA / "scifact" / name, "rt") as file:
            return [json.loads(line) for line in file]

    corpus, queries = lines("corpus.jsonl.gz"), {q["_id"]: q["text"] for q in lines("queries.jsonl.gz")}
    relevant: dict[str, set[int]] = {}
    at = {row["_id"]: i for i, row in enumerate(corpus)}
    for line in (DATA / "scifact" / "qrels" / "train.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score):
            relevant.setdefault(query, set()).add(at[document])
    ids = sorted(relevant, key=int)
    texts = [f"{row['title']}. {row['text']}" for row in corpus]
    passages, questions = embedded(texts, cache), embedded([queries[i] for i in ids], cache)
    words, cases = Words([(text, "") for text in texts]), []
    for name, vector in zip(ids, questions, strict=True):
        shares = words.shares(queries[name], 0, len(texts), 200)
        near = torch.topk(passages @ vector, n).indices.tolist()
        candidates = list(dict.fromkeys([*list(shares)[:n], *near]))
        rest = torch.tensor([features(shares.get(i, 0.0), texts[i], None) for i in candidates])
        there = {j for j, i in enumerate(candidates) if i in relevant[name]}
        missed = len(relevant[name]) - len(there)
        cases.append(Case(name, vector, passages[candidates], rest, there, missed))
    return cases


class Model(torch.nn.Module):
    def __init__(self, rank: int, dimension: int, scale: torch.Tensor) -> None:
        super().__init__()
        self.scale, self.rank = scale, rank
        self.weights = torch.nn.Parameter(torch.zeros(len(FEATURES)))
        self.down = torch.nn.Parameter(torch.randn(rank, dimension) * 0.05)
        self.up = torch.nn.Parameter(torch.randn(rank, dimension) * 0.05)

    def forward(self, case: Case) -> torch.Tensor:
        likeness = (case.passages @ case.question)[:, None]
        sums = (torch.cat([likeness, case.rest], 1) / self.scale) @ self.weights
        return sums + 10 * ((case.passages @ self.up.T) @ (self.down @ case.question)) if self.rank else sums


def train(cases: list[Case], *, rank: int, decay: float, epochs: int, rate: float = 2e-3, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    rows = torch.cat([torch.cat([(c.passages @ c.question)[:, None], c.rest], 1) for c in cases])
    model = Model(rank, cases[0].question.shape[0], rows.std(0) + 1e-6)
    groups = [{"params": [model.weights], "lr": 0.02, "weight_decay": 0.0}]
    groups.append({"params": [model.down, model.up], "lr": rate, "weight_decay": decay})
    optimiser = torch.optim.AdamW(groups)
    for _ in range(epochs):
        for step, j in enumerate(order.permutation(len(cases)), start=1):
            case = cases[j]
            if not case.relevant:
                continue
            gains = torch.log_softmax(model(case), 0)[list(case.relevant)]
            (-gains.mean() / 16).backward()
            if step % 16 == 0:
                optimiser.step()
                optimiser.zero_grad()
    return model.eval()


Scorer: TypeAlias = "Callable[[Case], torch.Tensor]"


def likeness(case: Case) -> torch.Tensor:
    return case.passages @ case.question


def words(case: Case) -> torch.Tensor:
    return case.rest[:, 0]


def by_ranks(k: int) -> Scorer:
    """Reciprocal rank fusion (Cormack et al. 2009); passages without a common word have no lexical rank."""

    def score(case: Case) -> torch.Tensor:
        dense = torch.argsort(torch.argsort(-likeness(case), stable=True))
        lexical = torch.argsort(torch.argsort(-words(case), stable=True))
        return 1 / (k + 1 + dense) + torch.where(words(case) > 0, 1 / (k + 1 + lexical), 0.0)

    return score


def by_scaled_sum(weight: float) -> Scorer:
    """Min-max scaled scores."""

    def score(case: Case) -> torch.Tensor:
        dense, lexical = likeness(case), words(case)
        width = (dense.max() - dense.min()).clamp(min=1e-9)
        return weight * (dense - dense.min()) / width + (1 - weight) * lexical / lexical.max().clamp(min=1e-9)

    return score


def by_absolute_sum(weight: float) -> Scorer:
    return lambda case: weight * likeness(case) + (1 - weight) * words(case)


def by_feedback(n: int, share: float) -> Scorer:
    """Pseudo-relevance feedback: move the question towards the mean of the n best passages, and fuse again."""

    def score(case: Case) -> torch.Tensor:
        fused = by_absolute_sum(0.45)
        best = torch.topk(fused(case), min(n, len(case.passages))).indices
        moved = torch.nn.functional.normalize(case.question + share * case.passages[best].mean(0), dim=0)
        return 0.45 * case.passages @ moved + 0.55 * words(case)

    return score


BASELINES: dict[str, Scorer] = {
    "dense": likeness,
    "lexical": words,
    "reciprocal ranks, k 10": by_ranks(10),
    "reciprocal ranks, k 60": by_ranks(60),
    "scaled sum, .45 dense": by_scaled_sum(0.45),
    "absolute sum, .35 dense": by_absolute_sum(0.35),
    "absolute sum, .45 dense": by_absolute_sum(0.45),
    "absolute sum, .55 dense": by_absolute_sum(0.55),
    "feedback from 3, share .3": by_feedback(3, 0.3),
    "feedback from 10, share .3": by_feedback(10, 0.3),
}


@torch.no_grad()
def in_paper(model: Scorer, cases: list[Case]) -> str:
    hits, recalls, ranks = [], [], []
    for case in cases:
        order = torch.argsort(-model(case), stable=True).tolist()
        hits.append(bool(case.relevant & set(order[:5])))
        recalls.append(len(case.relevant & set(order[:10])) / len(case.relevant))
        ranks.append(max(1 / (i + 1) for i, j in enumerate(order) if j in case.relevant))
    return f"hit@5 {np.mean(hits):.3f}, recall@10 {np.mean(recalls):.3f}, MRR {np.mean(ranks):.3f}"


@torch.no_grad()
def over_all(model: Scorer, cases: list[Case]) -> str:
    gains, recalls = [], []
    for case in cases:
        order = torch.argsort(-model(case), stable=True).tolist()
        n = len(case.relevant) + case.missed
        ideal = sum(1 / math.log2(i + 2) for i in range(min(10, n)))
        gains.append(sum(1 / math.log2(i + 2) for i, j in enumerate(order[:10]) if j in case.relevant) / ideal)
        recalls.append(len(case.relevant & set(order[:100])) / n)
    return f"nDCG@10 {np.mean(gains):.4f}, recall@100 {np.mean(recalls):.4f}"


@torch.no_grad()
def curve(model: Scorer, cases: list[Case]) -> tuple[float, float]:
    """Slope and offset of P(evidence | sum) if half of all passages were evidence, by Newton's method (Platt 1999)."""
    x = torch.cat([model(case) for case in cases]).double()
    y = torch.cat([torch.tensor([float(i in c.relevant) for i in range(len(c.rest))]) for c in cases]).double()
    design, beta = torch.stack([x, torch.ones_like(x)], 1), torch.zeros(2, dtype=torch.double)
    for _ in range(30):
        p = torch.sigmoid(design @ beta)
        beta += torch.linalg.solve(design.T @ (design * (p * (1 - p))[:, None]), design.T @ (y - p))
    return float(beta[0]), float(beta[1] + torch.log((1 - y).sum() / y.sum()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--papers", type=int, default=888)
    parser.add_argument("--rank", type=int, nargs="+", default=[16])
    parser.add_argument("--decay", type=float, nargs="+", default=[0.3])
    parser.add_argument("--epochs", type=int, nargs="+", default=[3])
    parser.add_argument("--baselines", action="store_true")
    parser.add_argument("--write", action="store_true", help="write rag/retrieval/ranker.npz with the last setting")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("QASPER and SciFact are not here: nothing trained")
        return
    if options.cache:
        options.cache.mkdir(exist_ok=True, parents=True)
    questions, dev = qasper("train", options.cache, options.papers), qasper("dev", options.cache, 888)
    torch.set_num_threads(2)
    papers = sorted({case.group for case in questions})
    cut = set(papers[::8])
    held, kept = [c for c in questions if c.group in cut], [c for c in questions if c.group not in cut]
    claims = scifact(options.cache)
    even, odd = [c for c in claims if int(c.group) % 2 == 0], [c for c in claims if int(c.group) % 2]
    print(f"QASPER train {len(kept)} + {len(held)} held back, dev {len(dev)}; SciFact {len(even)} even, {len(odd)} odd")
    if options.baselines:
        for name, scorer in BASELINES.items():
            print(f"{name}\n  QASPER dev: {in_paper(scorer, dev)}\n  SciFact odd: {over_all(scorer, odd)}", flush=True)
    for rank in options.rank:
        for decay in options.decay if rank else [0.0]:
            for epochs in options.epochs:
                model = train(kept + even, rank=rank, decay=decay, epochs=epochs)
                print(f"rank {rank}, weight decay {decay}, {epochs} epochs", flush=True)
                print(f"  held back: {in_paper(model, held)}\n  QASPER dev: {in_paper(model, dev)}")
                print(f"  SciFact odd: {over_all(model, odd)}", flush=True)
    if options.write:
        slope, offset = curve(model, held)
        weights = (model.weights / model.scale).detach().numpy()
        np.savez(
            ROOT / "rag/retrieval/ranker.npz",
            embedder=np.array(embedder_from(None).name),
            weights=weights,
            down=(10 * model.down).detach().numpy().astype(np.float16),
            up=model.up.detach().numpy().astype(np.float16),
            slope=slope,
            offset=offset,
        )
        print("weights", dict(zip(FEATURES, weights.round(3).tolist(), strict=True)), "curve", slope, offset)


if __name__ == "__main__":
    main()
