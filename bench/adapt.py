"""`rag adapt` on COVID-QA: train on about 200 questions, and measure a quarter of the papers before and after.

    python bench/adapt.py [--questions 270] [--out FOLDER]

Writes some of its papers with their questions as a file for `rag evaluate`, and trains an adapter with the user's
command. The reader was trained on four fifths of these papers, so only before and after are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reader_rows import DATA, read, windows  # noqa: E402


def as_qasper(n: int) -> dict:
    """Papers of COVID-QA in QASPER's format with n questions in total, in a fixed order."""
    texts = {row["doc_id"]: row["text"] for row in read("covidqa_docs")}
    asked: dict[str, list[dict]] = {}
    for row in read("covidqa"):
        asked.setdefault(row["doc_id"], []).append(row)
    papers, total = {}, 0
    for name in sorted(asked, key=lambda name: sha256(f"adapt {name}".encode()).digest()):
        text = texts[name]
        cut = windows(text)
        rows = []
        for row in asked[name]:
            start, end = row["doc_span"]
            evidence = [text[a:b] for a, b in cut if a < end and start < b]
            answer = {
                "unanswerable": False,
                "extractive_spans": [text[start:end]],
                "yes_no": None,
                "free_form_answer": "",
                "evidence": evidence,
            }
            rows.append({"question": row["question"], "question_id": row["id"], "answers": [{"answer": answer}]})
        body = [{"section_name": "Text", "paragraphs": [text[a:b] for a, b in cut]}]
        papers[str(name)] = {"title": text[:80].strip(), "abstract": "", "full_text": body, "qas": rows}
        total += len(rows)
        if total >= n:
            break
    return papers


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=270)
    parser.add_argument("--out", type=Path, default=ROOT / "evaluations" / "adapt")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("The data sets are not here: nothing taught")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    questions, recipe = options.out / "covid.json", options.out / "recipe.toml"
    questions.write_text(json.dumps(as_qasper(options.questions)))
    recipe.write_text("held_out = 0.25\n")
    environment = os.environ | {"SCHOLION_LIBRARY": str(options.out / "library")}
    rag = [sys.executable, "-m", "rag"]

    def run(*arguments: str) -> str:
        command = [*rag, *arguments]
        return subprocess.run(command, check=False, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout

    run("adapt", "remove", "covid")
    card = json.loads(run("adapt", "train", str(questions), "--name", "covid", "--config", str(recipe), "--json"))
    for name in ("kept", "learned_from", "held_out", "source", "epochs", "training_seconds", "bytes", "answer_f1"):
        print(f"{name}: {card[name]}")


if __name__ == "__main__":
    main()
