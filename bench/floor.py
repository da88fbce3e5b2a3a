"""When is a question not in the papers? The floor, chosen on QASPER train and measured on QASPER dev.

    python bench/floor.py [--cache FOLDER] [--questions 200]

For libraries of 1 to 281 papers: `answerable` questions have their paper in the library; `removed` questions are about
papers that were taken out, so that only other papers in the field are left; `other field` are SciFact's claims
(medicine) asked of the same papers (language processing). For dev it shows how many of each the product's floor
abstains on, and the best that any cosine floor could do at one false abstention in ten. `fitted` are the cosines that
one in twenty answerable questions of *train* falls below; FLOOR_AT_ONE and FLOOR_PER_TENFOLD were read off them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from train_ranker import DATA, qasper, scifact

from rag.retrieval.retrieve import floor

SIZES = (1, 3, 10, 30, 100, 280)


def nearest(split: str, cache: Path | None, n: int) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """By library size: the best cosines of answerable, removed and other-field questions, and the number of chunks."""
    cases = qasper(split, cache, 300)
    groups = sorted({case.group for case in cases})
    passages = {case.group: case.passages.numpy() for case in cases}
    claims = [case.question.numpy() for case in scifact(cache)]
    rng = np.random.default_rng(7)
    chosen = [cases[i] for i in rng.permutation(len(cases))[: 2 * n]]
    found = {}
    for size in SIZES:
        best: tuple[list[float], list[float], list[float]] = ([], [], [])
        chunks = []
        for i, case in enumerate(chosen):
            others = [groups[j] for j in rng.permutation(len(groups)) if groups[j] != case.group]
            there = i % 2 == 0
            papers = [case.group, *others[: size - 1]] if there else others[:size]
            rows = np.concatenate([passages[p] for p in papers])
            chunks.append(len(rows))
            best[0 if there else 1].append(float((rows @ case.question.numpy()).max()))
            if there:
                best[2].append(float((rows @ claims[i % len(claims)]).max()))
        found[size] = (*map(np.array, best), float(np.mean(chunks)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    if not DATA.is_dir():
        print("QASPER and SciFact are not here: nothing measured")
        return
    print("fitted on train: ", end="")
    sizes, cosines = [], []
    for size, (answerable, _, _, chunks) in nearest("train", options.cache, options.questions).items():
        sizes.append(np.log10(chunks))
        cosines.append(np.quantile(answerable, 0.05))
        print(f"{size} papers {chunks:.0f} chunks {cosines[-1]:.3f};", end=" ")
    slope, start = np.polyfit(sizes, cosines, 1)
    print(f"\nline: {start:.3f} + {slope:.3f} for each ten times as many chunks\n")
    print("| papers | chunks | floor | falsely abstained | paper removed: abstained | other field: abstained "
          "| best at one false in ten: removed | other field |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for size, (answerable, removed, other, chunks) in nearest("dev", options.cache, options.questions).items():
        low, tenth = floor(round(chunks)), np.quantile(answerable, 0.10)
        cells = [(x < low).mean() for x in (answerable, removed, other)] + [
            (x < tenth).mean() for x in (removed, other)
        ]
        print(
            f"| {size} | {chunks:.0f} | {low:.2f} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |", flush=True
        )


if __name__ == "__main__":
    main()
