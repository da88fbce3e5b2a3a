"""Questions with their paper's passages in the search's order, and the reader's findings in each.

`cases_of` caches readings in a file named by the reader's weights and the part, so that rules over readings can be
compared without reading again.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import paper_questions
import train_ranker
from reader_data import clean, covid_held, held_qasper, paragraphs_of, passages_asked_about, qasper_papers
from reader_rows import DATA, Range, read, windows
from train_ranker import Words, embedded

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ingest import Chunk, embedder_from  # noqa: E402
from ingest import Paper as Document  # noqa: E402
from ingest.sentences import sentence_spans  # noqa: E402
from rag.answer import Passage  # noqa: E402
from rag.evaluation.metrics import UNANSWERABLE, answer_f1  # noqa: E402
from rag.reading.readings import sigmoid  # noqa: E402
from rag.retrieval.ranker import ranker_for  # noqa: E402
from rag.retrieval.retrieve import READ  # noqa: E402
from rag.words import content_words  # noqa: E402

if TYPE_CHECKING:
    from ingest import Embedder
    from rag.reading.reader import MiniLMReader
    from rag.reading.readings import Reading

train_ranker.DATA = DATA


@cache
def embedder() -> Embedder:
    return embedder_from(None)


class Paper:
    """The passages of one paper, searched as in the product."""

    def __init__(self, texts: list[str], sections: list[str], vectors: np.ndarray) -> None:
        self.texts, self.sections, self.vectors = texts, sections, vectors

    def ranked(self, question: str, words: Words, low: int) -> tuple[list[int], np.ndarray]:
        """All passages, best first, and their log odds by the hybrid search.

        Args:
            question: what is asked.
            words: the word search over many papers.
            low: the index of this paper's first passage in it.
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
        """The baseline: of the first five passages, the sentence nearest to the question (`Retriever.sentences`)."""
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


@dataclass
class Case:
    """One question about one paper."""

    paper: str
    title: str
    question: str
    golds: list[str]
    kind: str
    """Kind of the answer, by most annotators: extractive, abstractive, yes/no, unanswerable."""
    texts: list[str]
    """The first READ passages, best first by the search."""
    odds: list[float]
    """The search's log odds of each passage."""
    readings: list[Reading]
    evidence: set[int]
    """Which of them contain evidence."""
    has_evidence: bool
    """Whether any passage of the paper does."""
    gold_texts: list[str]
    gold_readings: list[Reading]
    """Readings of the passages with evidence, found or not."""
    floor: float
    """Answer F1 of the sentence nearest to the question."""

    def ordered(self, weight: float) -> list[int]:
        """The passages by relevance + weight · log odds of the search."""
        scores = [r.relevance + weight * odds for r, odds in zip(self.readings, self.odds, strict=True)]
        return np.argsort(-np.array(scores), kind="stable").tolist()


def passages_of(texts: list[str], title: str, odds: list[float] | None = None) -> list[Passage]:
    """Texts as passages of one paper, numbered from 1, with the search's log odds if known."""
    paper = Document(id="p", title=title, n_pages=1, file_name="p.pdf")
    return [
        Passage(
            n,
            Chunk(
                id=f"p:{n:04d}", paper_id="p", ordinal=n, text=text, start=0, end=len(text), first_page=1,
                last_page=1, section=None, n_tokens=200,
            ),
            paper, 0.5 if odds is None else sigmoid(odds[n - 1]), ("dense",),
        )
        for n, text in enumerate(texts, start=1)
    ]  # fmt: skip


def case_of(
    reader: MiniLMReader, searched: Paper, words: Words, low: int, *, evidence: set[int], **asked: object
) -> Case:
    """A case with its readings."""
    question, golds = str(asked["question"]), list(asked["golds"])  # type: ignore[call-overload]
    order, odds = searched.ranked(question, words, low)
    chosen = order[:READ]
    texts, gold = [searched.texts[i] for i in chosen], [searched.texts[i] for i in sorted(evidence)]
    return Case(
        **asked,  # type: ignore[arg-type]
        texts=texts,
        odds=[float(odds[i]) for i in chosen],
        readings=reader.read(question, texts),
        evidence={chosen.index(i) for i in evidence if i in chosen},
        has_evidence=bool(evidence),
        gold_texts=gold,
        gold_readings=reader.read(question, gold) if gold else [],
        floor=answer_f1(searched.nearest_sentence(question, order), golds) or 0.0,
    )


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


def qasper_papers_searched(split: str, most: int, folder: Path) -> tuple[dict, dict[str, tuple[Paper, int]], Words]:
    """The data, each paper with the index of its first paragraph in the word search, and that search."""
    data = qasper_papers(split)
    names = sorted(
        held_qasper(data) if split == "train" else data, key=lambda n: hashlib.sha256(n.encode()).hexdigest()
    )
    rows, lows = [], {}
    for name in names[: most or None]:
        sections = {clean(p): clean(s["section_name"] or "") for s in data[name]["full_text"] for p in s["paragraphs"]}
        lows[name] = len(rows), len(rows) + len(paragraphs_of(data[name]))
        rows += [(text, sections[text]) for text in paragraphs_of(data[name])]
    vectors = embedded([text for text, _ in rows], folder).numpy()  # all in one call: one cache file
    papers = {
        name: (Paper([text for text, _ in rows[a:b]], [section for _, section in rows[a:b]], vectors[a:b]), a)
        for name, (a, b) in lows.items()
        if b > a
    }
    return data, papers, Words(rows)


def qasper_cases(reader: MiniLMReader, split: str, most: int, folder: Path) -> list[Case]:
    data, papers, words = qasper_papers_searched(split, most, folder)
    cases = []
    for name, (paper, low) in papers.items():
        at = {text: i for i, text in enumerate(paper.texts)}
        for qa in data[name]["qas"]:
            golds = gold_answers(qa)
            kinds = [kind for _, kind in golds]
            cases.append(
                case_of(
                    reader, paper, words, low,
                    evidence={at[clean(e)] for x in qa["answers"] for e in x["answer"]["evidence"] if clean(e) in at},
                    paper=name,
                    title=clean(data[name]["title"]),
                    question=clean(qa["question"]),
                    golds=[text for text, _ in golds],
                    kind=max(sorted(set(kinds)), key=kinds.count),
                )
            )  # fmt: skip
    return cases


def covid_searched(text: str, folder: Path) -> tuple[list[Range], Paper, Words]:
    places: list[Range] = windows(text)
    pieces = [text[a:b] for a, b in places]
    return places, Paper(pieces, [""] * len(places), embedded(pieces, folder).numpy()), Words([(p, "") for p in pieces])


def absent_cases(reader: MiniLMReader, folder: Path) -> list[Case]:
    """Questions asked of another paper in the same field: two per QASPER paper, six per paper of COVID-QA."""
    data, papers, words = qasper_papers_searched("train", 0, folder)
    cases, names = [], list(papers)
    for k, name in enumerate(names):
        other = names[(k + 7) % len(names)]
        for qa in data[name]["qas"][:2]:
            asked = {"title": clean(data[other]["title"]), "question": clean(qa["question"])}
            cases.append(absent(reader, *papers[other], words, paper=name, **asked))
    texts = {row["doc_id"]: row["text"] for row in read("covidqa_docs")}
    rows = covid_held()
    ids = sorted({row["doc_id"] for row in rows})
    for k, name in enumerate(ids):
        _, paper, of_paper = covid_searched(texts[ids[(k + 5) % len(ids)]], folder)
        cases += [
            absent(reader, paper, 0, of_paper, paper=str(name), title="", question=row["question"])
            for row in [row for row in rows if row["doc_id"] == name][:6]
        ]
    return cases


def absent(reader: MiniLMReader, paper_: Paper, low: int, words: Words, **asked: str) -> Case:
    return case_of(reader, paper_, words, low, evidence=set(), golds=[UNANSWERABLE], kind="absent", **asked)


def covid_cases(reader: MiniLMReader, most: int, folder: Path) -> list[Case]:
    texts = {row["doc_id"]: row["text"] for row in read("covidqa_docs")}
    rows, cases = covid_held(), []
    for name in sorted({row["doc_id"] for row in rows})[: most or None]:
        places, paper, words = covid_searched(texts[name], folder)
        for row in (row for row in rows if row["doc_id"] == name):
            start = row["doc_span"][0]
            cases.append(
                case_of(
                    reader, paper, words, 0,
                    evidence={i for i, (a, b) in enumerate(places) if a <= start < b},
                    paper=str(name),
                    title="",
                    question=row["question"],
                    golds=row["answers"],
                    kind="extractive",
                )
            )  # fmt: skip
    return cases


def written_cases(reader: MiniLMReader, most: int, folder: Path, *, later: bool) -> list[Case]:
    """The held-out questions of paper_questions.jsonl, with `later` also of later_questions.jsonl."""
    pieces, cases = passages_asked_about(), []
    rows = [row for row in paper_questions.questions(later=later) if paper_questions.held(row)]
    names = sorted({row["paper"] for row in rows}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    for name in names[: most or None]:
        texts = pieces(name)
        searched = Paper(texts, [""] * len(texts), embedded(texts, folder).numpy()), Words([(t, "") for t in texts]), 0
        for row in (row for row in rows if row["paper"] == name):
            short = {"yes": "Yes", "no": "No", "none": UNANSWERABLE}.get(row["kind"])
            kind = {"yes": "yes/no", "no": "yes/no", "none": "unanswerable", "explanation": "explanation"}
            cases.append(
                case_of(
                    reader, *searched,
                    evidence={row["at"], *row["also"]} if row["kind"] != "none" else set(),
                    paper=name,
                    title="",
                    question=row["question"],
                    golds=[short or ", ".join(row["answers"])],
                    kind=kind.get(row["kind"], "extractive"),
                )
            )  # fmt: skip
    return cases


def cases_of(reader: MiniLMReader, part: str, folder: Path, *, most: int = 0, key: str) -> list[Case]:
    """The cases of a part, which are read unless a file in the folder has them.

    Args:
        reader: whose readings.
        part: "covid", "train" (held-out QASPER train), "written" or "later" (our own held-out questions), "dev" or
            "absent".
        folder: where the cases are kept.
        most: papers, 0 for all.
        key: names the reader's weights.
    """
    path = folder / f"cases-{part}-{most}-{key}.pkl"
    if path.is_file():
        return pickle.loads(path.read_bytes())
    if part == "absent":
        found = absent_cases(reader, folder)
    elif part in {"written", "later"}:
        found = written_cases(reader, most, folder, later=part == "later")
    else:
        found = covid_cases(reader, most, folder) if part == "covid" else qasper_cases(reader, part, most, folder)
    path.write_bytes(pickle.dumps(found))
    return found
