"""Tiny question sets in the layouts of BEIR and QASPER."""

from __future__ import annotations

import gzip
import json


def write_beir(folder, *, zipped=False):
    """A tiny corpus in BEIR's layout."""
    documents = [
        {"_id": "d1", "title": "Mice", "text": "Mice eat cheese."},
        {"_id": "d2", "text": "Cats chase mice."},
        {"_id": "d3", "title": "Rates", "text": "Interest rates rose."},
    ]
    queries = [{"_id": "q1", "text": "What do mice eat?"}, {"_id": "q2", "text": "rates"}, {"_id": "q3", "text": "x"}]
    (folder / "qrels").mkdir(parents=True)
    lines = {"corpus.jsonl": documents, "queries.jsonl": queries}
    for name, rows in lines.items():
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data) if zipped else data)
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td3\t1\n")
    (folder / "qrels" / "train.tsv").write_text("q3\td3\t1\n")
    return folder


def answer(**values):
    empty = {"unanswerable": False, "yes_no": None, "free_form_answer": "", "extractive_spans": [], "evidence": []}
    return {"answer": {**empty, "highlighted_evidence": [], **values}}


def question(name, *answers):
    return {"question": f"Question {name}?", "question_id": name, "answers": list(answers)}


def write_qasper(path):
    """A tiny file in QASPER's format."""
    paragraphs = [
        "We use labeled features. They are words.",
        "We train on three corpora.",
        "We train on three corpora.",
    ]
    paper = {
        "title": "A Paper",
        "abstract": "An abstract.",
        "full_text": [
            {"section_name": "Method", "paragraphs": paragraphs[:1]},
            {"section_name": "Data", "paragraphs": [*paragraphs[1:], ""]},
        ],
        "qas": [
            question(
                "q1",
                answer(extractive_spans=["labeled", "features"], evidence=[paragraphs[0]]),
                answer(free_form_answer="words", evidence=["They are words.", "FLOAT SELECTED: Table 1", "Method"]),
            ),
            question("q2", answer(yes_no=False, evidence=[paragraphs[1]])),
            question("q3", answer(unanswerable=True), answer(unanswerable=True)),
            question("q4", answer(unanswerable=True), answer(yes_no=True, evidence=[paragraphs[1]])),
        ],
    }
    path.write_bytes(gzip.compress(json.dumps({"1234.5678": paper}).encode()))
    return path
