"""The reader's training data: groups of question–passage pairs with their labels.

Read from ../shared/data (its READMEs name sources and licences). A group is one question with a passage that answers it
and others of the same paper that do not. Held out, by a hash or a fixed order: a fifth of COVID-QA's papers, one QASPER
train paper in eight (those that bench/train_ranker.py holds out too), one SQuAD dev paragraph in twenty, and SciFact's
claims with an odd id. QASPER dev is not read here.

Group i of epoch e depends only on the seed, e and i, so training can stop and resume anywhere.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from functools import cache
from typing import TYPE_CHECKING

from paper_questions import cut_papers, questions, written
from reader_rows import (
    DATA,
    WINDOW,
    Group,
    Overlap,
    Range,
    Row,
    Source,
    answered,
    cropped,
    drawn,
    form,
    hard_and_other,
    in_part,
    read,
    unanswered,
    windows,
)

from ingest.sentences import sentence_spans
from rag.evaluation.metrics import token_f1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np


LENGTHS: Range = (300, 900)
"""The shortest and the longest crop of a paragraph of a SQuAD-like set, in characters."""


# -- general questions -------------------------------------------------------------------------------------------------


def paragraphs_with_questions(
    name: str, rows: list[dict], *, other: float = 0.0, near: float = 0.0, lengths: Range = LENGTHS
) -> Source:
    """SQuAD-like sets: mostly the paragraph alone.

    A share `other` of the questions comes with another paragraph of the article too, and a share `near` with two, at
    least one of which shares rare words with the question.
    """
    by_title = defaultdict(dict)
    for row in rows:
        by_title[row["passages"][0]["title"]][row["passages"][0]["text"]] = None
    articles = {title: list(texts) for title, texts in by_title.items()}

    @cache
    def overlap(title: str) -> Overlap:
        return Overlap(articles[title])

    def group(i: int, random: np.random.Generator) -> Group:
        row = rows[i]
        title, text = row["passages"][0]["title"], row["passages"][0]["text"]
        limit = int(random.integers(*lengths))
        if row["kind"] == "unanswerable":
            return [unanswered(row["question"], text, random, limit=limit)]
        common = Counter(tuple(span[1:]) for span in row["spans"]).most_common(1)[0][0]
        answer = text[common[0] : common[1]]
        found = [answered(row["question"], text, [common], form(row["question"], answer), random, limit=limit)]
        if title and near and random.random() < near:
            texts = articles[title]
            holding = {j for j, t in enumerate(texts) if t == text or answer.lower() in t.lower()}
            hard = overlap(title).best(row["question"], n=6, without=holding)
            chosen = hard_and_other(hard, range(len(texts)), holding, 2, random)
            return found + [unanswered(row["question"], texts[j], random, limit=limit) for j in chosen]
        others = [t for t in articles[title] if t != text and answer not in t]
        if title and others and random.random() < other:
            found.append(unanswered(row["question"], others[int(random.integers(len(others)))], random, limit=limit))
        return found

    return Source(name, len(rows), group)


def held_squad(row: dict) -> bool:
    return in_part(row["passages"][0]["text"], 20)


def squad() -> list[Source]:
    dev = [row for row in read("squad_dev_explorer") if not row.get("ambiguous_position") and not held_squad(row)]
    rows = [*dev, *read("squad11_train_part"), *read("squad20_train_part")]
    answerable = [row for row in rows if row["kind"] == "span"]
    shifts = read("squadshifts_new_wiki")
    return [
        paragraphs_with_questions("squad", answerable, other=0.15),
        paragraphs_with_questions("squad_none", [r for r in rows if r["kind"] == "unanswerable"]),
        paragraphs_with_questions("shifts", shifts, other=0.15),
        paragraphs_with_questions("qamr", read("qamr")),
        paragraphs_with_questions("wiki", [*answerable, *shifts], near=0.6),
    ]


def yes_or_no() -> list[Source]:
    boolq = read("boolq_dev")
    pubmed = [row for row in read("pubmedqa") if row["answers"][0] in {"yes", "no"}]

    def group_of(rows: list[dict]) -> Callable[[int, np.random.Generator], Group]:
        def group(i: int, random: np.random.Generator) -> Group:
            question, texts = rows[i]["question"], [p["text"] for p in rows[i]["passages"]]
            text = texts[0] if len(texts) == 1 else " ".join(texts)[-1100:]
            text = text[:1100]
            found = [Row(question, text, None, rows[i]["answers"][0], None, relevant=True)]
            if random.random() < 0.25:
                other = rows[int(random.integers(len(rows)))]["passages"][-1]["text"]
                found.append(unanswered(question, other, random))
            return found

        return group

    return [Source("boolq", len(boolq), group_of(boolq)), Source("pubmedqa", len(pubmed), group_of(pubmed))]


def of_sentences(question: str, right: Sequence[str], wrong: Sequence[str], random: np.random.Generator) -> Row:
    """A passage composed of sentences that answer and sentences that do not."""
    chosen = [*((s, True) for s in right), *((s, False) for s in wrong)]
    text, places = "", []
    for j in random.permutation(len(chosen)):
        sentence, carries = chosen[int(j)]
        text += (" " if text else "") + sentence
        if carries:
            places.append((len(text) - len(sentence), len(text)))
    return Row(question, text, None if places else (), None if places else "none", tuple(places), bool(places))


def sentence_sets() -> list[Source]:
    selqa = read("selqa")
    reqa = [row for row in read("reqa_squad") if row["split"] == "train"]

    def of_selqa(i: int, random: np.random.Generator) -> Group:
        row = selqa[i]
        wrong = [row["negatives"][int(j)] for j in random.permutation(len(row["negatives"]))]
        found = [of_sentences(row["query"], row["positives"][:2], wrong[:3], random)]
        return [*found, of_sentences(row["query"], [], wrong[3:7], random)] if len(wrong) > 3 else found

    def of_reqa(i: int, random: np.random.Generator) -> Group:
        near = [j for j in range(max(0, i - 25), min(len(reqa), i + 25)) if j != i]
        wrong = [reqa[j]["positives"][0] for j in drawn(near, 6, random)]
        wrong = [s for s in dict.fromkeys(wrong) if s not in reqa[i]["positives"]]
        question = reqa[i]["query"]
        return [
            of_sentences(question, reqa[i]["positives"][:1], wrong[:2], random),
            of_sentences(question, [], wrong[2:5], random),
        ]

    return [Source("selqa", len(selqa), of_selqa), Source("reqa", len(reqa), of_reqa)]


# -- papers ------------------------------------------------------------------------------------------------------------


def held_covid(doc_id: str) -> bool:
    return in_part(str(doc_id), 5)


def covid_held() -> list[dict]:
    """The questions about the held-out papers."""
    return [row for row in read("covidqa") if held_covid(row["doc_id"])]


def covid() -> Source:
    rows = [row for row in read("covidqa") if not held_covid(row["doc_id"])]
    texts = {row["doc_id"]: row["text"] for row in read("covidqa_docs")}
    cut = {name: windows(texts[name]) for name in {row["doc_id"] for row in rows}}
    pieces = {name: [texts[name][a:b] for a, b in places] for name, places in cut.items()}

    @cache
    def near(name: str) -> Overlap:
        return Overlap(pieces[name])

    def group(i: int, random: np.random.Generator) -> Group:
        row, name = rows[i], rows[i]["doc_id"]
        text, (start, end) = texts[name], row["doc_span"]
        low, high = max(0, start - 1500), min(len(text), end + 1500)
        answer = text[start:end]
        found = [
            answered(row["question"], text[low:high], [(start - low, end - low)], form(row["question"], answer), random)
        ]
        holding = {
            j for j, (a, b) in enumerate(cut[name]) if (a < end and start < b) or answer.lower() in text[a:b].lower()
        }
        hard = near(name).best(row["question"], n=8, without=holding)
        others = hard_and_other(hard, range(len(cut[name])), holding, 2, random)
        return found + [unanswered(row["question"], pieces[name][j], random) for j in others]

    return Source("covid", len(rows), group)


def trials() -> Source:
    """Evidence inference: the sentence that compares two treatments."""
    rows = read("evidence_inference_v2")
    by_paper = defaultdict(list)
    for i, row in enumerate(rows):
        by_paper[row["pmcid"]].append(i)

    def group(i: int, random: np.random.Generator) -> Group:
        row = rows[i]
        text, span = row["passages"][row["spans"][0][0]]["text"], tuple(row["spans"][0][1:])
        found = [answered(row["question"], text, [span], "explanation", random)]
        answer = text[span[0] : span[1]]
        others = [rows[j]["passages"][0]["text"] for j in by_paper[row["pmcid"]]]
        others = [t for t in others if answer not in t]
        if others and random.random() < 0.5:
            found.append(unanswered(row["question"], others[int(random.integers(len(others)))], random))
        return found

    return Source("trials", len(rows), group)


def clean(text: str) -> str:
    return " ".join(text.split())


def qasper_papers(split: str) -> dict[str, dict]:
    with gzip.open(DATA / "qasper" / f"{split}.json.gz", "rt") as file:
        return json.load(file)


def held_qasper(data: dict[str, dict]) -> set[str]:
    """Every eighth paper with evidence in its text, as in bench/train_ranker.py."""
    with_evidence = []
    for name in sorted(data):
        paragraphs = {clean(p) for section in data[name]["full_text"] for p in section["paragraphs"]} - {""}
        evidence = {clean(e) for qa in data[name]["qas"] for a in qa["answers"] for e in a["answer"]["evidence"]}
        if paragraphs & evidence:
            with_evidence.append(name)
    return set(with_evidence[::8])


def paragraphs_of(paper: dict) -> list[str]:
    found = (clean(p) for section in paper["full_text"] for p in section["paragraphs"])
    return list(dict.fromkeys(p for p in found if p))


def nearest_span(text: str, answer: str, *, at_least: float = 0.5) -> tuple[Range, ...] | None:
    """The words of the text most similar to an answer in other words; None if nothing is similar enough."""
    words = [(m.start(), m.end()) for m in re.finditer(r"\S+", text)]
    wanted, n = set(re.findall(r"\w+", answer.lower())), len(answer.split())
    best, place = at_least, None
    for i, (start, _) in enumerate(words):
        if not set(re.findall(r"\w+", text[start : words[i][1]].lower())) & wanted:
            continue
        for length in {max(1, n // 2), max(1, n - 1), n, n + 2}:
            if i + length <= len(words):
                end = words[i + length - 1][1]
                if (score := token_f1(text[start:end], answer)) > best:
                    best, place = score, (start, end)
    return (place,) if place else None


def nearest_sentences(text: str, answer: str, *, at_least: float = 0.25) -> tuple[Range, ...] | None:
    scored = [(token_f1(text[a:b], answer), (a, b)) for a, b in sentence_spans(text)]
    best = max((score for score, _ in scored), default=0.0)
    return tuple(place for score, place in scored if score >= max(at_least, 0.8 * best)) or None


def qasper_row(question: str, text: str, answer: dict, random: np.random.Generator) -> Row:
    """The row for a paragraph of an annotator's evidence."""
    if answer["yes_no"] is not None:
        return Row(question, text, None, "yes" if answer["yes_no"] else "no", None, relevant=True)
    if answer["extractive_spans"]:
        places = sorted(
            {(at, at + len(s)) for s in map(clean, answer["extractive_spans"]) if (at := text.find(s)) >= 0}
        )
        kind = "list" if len(answer["extractive_spans"]) > 1 else "span"
        if places:
            return answered(question, text, places, kind, random, limit=max(WINDOW, places[-1][1] - places[0][0]))
        return Row(question, text[: 2 * WINDOW], None, kind, None, relevant=True)
    said = clean(answer["free_form_answer"])
    start, end = cropped(text, nearest_sentences(text, said) or (), random)
    text = text[start:end]
    kind = form("how", said) if len(said.split()) > 4 else "span"
    return Row(question, text, nearest_span(text, said), kind, nearest_sentences(text, said), relevant=True)


def qasper(*, negatives: int = 4) -> Source:
    data = qasper_papers("train")
    held = held_qasper(data)
    questions, texts = [], {}
    for name in sorted(set(data) - held):
        texts[name] = paragraphs_of(data[name])
        if len(texts[name]) > 4:
            questions += [(name, qa) for qa in data[name]["qas"]]

    @cache
    def near(name: str) -> Overlap:
        return Overlap(texts[name])

    def group(i: int, random: np.random.Generator) -> Group:
        name, qa = questions[i]
        question, paragraphs = clean(qa["question"]), texts[name]
        everywhere = {clean(e) for a in qa["answers"] for e in a["answer"]["evidence"]}
        evidence = {
            j for j, p in enumerate(paragraphs) if p in everywhere or any(e in p for e in everywhere if len(e) > 40)
        }
        answer = qa["answers"][int(random.integers(len(qa["answers"])))]["answer"]
        its = {clean(e) for e in answer["evidence"]}
        gold = [j for j in evidence if paragraphs[j] in its]
        if answer["extractive_spans"]:
            spans = [clean(s) for s in answer["extractive_spans"]]
            gold = [j for j in gold if any(s in paragraphs[j] for s in spans)] or gold
        found = []
        if gold and not answer["unanswerable"]:
            found.append(qasper_row(question, paragraphs[drawn(gold, 1, random)[0]], answer, random))
        elif evidence:  # some annotator found evidence, but not the one drawn
            return []
        hard = near(name).best(question, n=12, without=evidence)
        others = hard_and_other(hard, range(len(paragraphs)), evidence, negatives, random)
        return found + [unanswered(question, paragraphs[j], random) for j in others]

    return Source("qasper", len(questions), group)


def scifact_lines(name: str) -> list[dict]:
    with gzip.open(DATA / "scifact" / name, "rt") as file:
        return [json.loads(line) for line in file]


def claims() -> Source:
    """SciFact's claims with an even id; the others are for evaluation."""
    corpus = scifact_lines("corpus.jsonl.gz")
    texts, at = (
        [f"{row['title']}. {row['text']}" for row in corpus],
        {row["text"][:100]: j for j, row in enumerate(corpus)},
    )
    rows = [row for row in read("scifact_claim_abstract") if int(row["id"].rsplit("-", 1)[1]) % 2 == 0]
    rows = list({row["query"]: row for row in rows}.values())
    positive = {row["query"]: {at[text[:100]] for text in row["positives"] if text[:100] in at} for row in rows}

    @cache
    def abstracts() -> Overlap:
        return Overlap(texts)

    @cache
    def near(claim: str) -> list[int]:
        return abstracts().best(claim, n=30, without=positive[claim])

    def group(i: int, random: np.random.Generator) -> Group:
        claim = rows[i]["query"]
        if not positive[claim]:
            return []
        right = texts[min(positive[claim])]
        found = [Row(claim, right[:1100], None, None, None, relevant=True)]
        others = drawn(near(claim), 3, random)
        return found + [Row(claim, texts[j][:1100], (), "none", None, relevant=False) for j in others]

    return Source("claims", len(rows), group)


def passages_asked_about() -> Callable[[str], list[str]]:
    """A function that gives the passages of a paper that our own questions are about."""
    data = qasper_papers("train")
    asked = {tuple(row["paper"].split("/", 1)) for row in questions(later=True)}
    if {n for c, n in asked if c == "qasper"} & held_qasper(data) or any(
        held_covid(n) for c, n in asked if c == "covidqa"
    ):
        raise ValueError("our own questions are about papers that are held out")
    documents = {f"covidqa/{row['doc_id']}": row["text"] for row in read("covidqa_docs")}
    cut = {f"qasper/{n}": paragraphs_of(data[n]) for c, n in asked if c == "qasper"}
    cut |= {row["id"].replace("-", "/", 1): [p["text"] for p in row["passages"]] for row in read("pubmedqa")}
    return cut_papers(documents, {**cut, **passages_of_trials()})


def passages_of_trials() -> dict[str, list[str]]:
    """The paragraphs of each trial in Evidence Inference, without repetitions, in the order of the rows."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in read("evidence_inference_v2"):
        found[f"trials/{row['pmcid']}"].update((" ".join(p["text"].split()), None) for p in row["passages"])
    return {paper: list(passages) for paper, passages in found.items()}


def sources() -> dict[str, Source]:
    every = [
        *squad(),
        *yes_or_no(),
        *sentence_sets(),
        covid(),
        trials(),
        qasper(),
        claims(),
        *written(passages_asked_about()),
    ]
    return {source.name: source for source in every}
