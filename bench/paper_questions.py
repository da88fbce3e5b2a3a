"""Questions written for the reader's training about open papers, as a researcher asks who has not seen the passage.

`paper_questions.jsonl` has the questions, the words of the paper that answer them and the place, not the papers: a
paper is a file of ../shared/data/papers, a document of COVID-QA, a paper of QASPER train, an abstract of PubMedQA or
the paragraphs of a trial in Evidence Inference. COVID-QA's and QASPER's held-out papers are not among them, nor is any
paper of ../shared/data/papers2. What is asked: how something was done, values that belong to one of several groups,
effects, samples, lists, reasons, limits, yes and no; and some have no answer in their paper, although passages come
close. Many questions about medicine and biology come in pairs: the positive control and the negative one, which stand
in the same sentence; these are in `later_questions.jsonl`, with which the installed reader was not trained. `at` is the
passage that answers best and `also` are others that answer, counted as `pieces` cuts the paper.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reader_rows import DATA, Group, Overlap, Range, Row, Source, answered, hard_and_other, in_part, unanswered, windows

from ingest import embedder_from
from ingest.chunk import chunk_paper
from ingest.parse import parse_pdf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

QUESTIONS = Path(__file__).with_suffix(".jsonl")
LATER = QUESTIONS.with_name("later_questions.jsonl")
OTHERS = 3
"""Passages without the answer for each question with one."""
ALSO_SHARE = 0.4
"""How often another passage that answers comes along; its words are not marked."""


def questions(*, later: bool = False) -> list[dict]:
    """The questions of the reader's third run, or with `later` those of its fourth run: these and others."""
    files = (QUESTIONS, LATER) if later else (QUESTIONS,)
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def held(row: Mapping) -> bool:
    """Whether the question is about one of the papers, a tenth, that are not trained on."""
    return in_part(row["paper"], 10)


def of_pdf(name: str) -> list[str]:
    """The passages of a paper as the product cuts it."""
    count = embedder_from(None).count_tokens
    parsed = parse_pdf(DATA / "papers" / f"{name}.pdf")
    return [chunk.text for chunk in chunk_paper(parsed, max_tokens=160, count_tokens=count)]


def places_of(text: str, answers: Sequence[str]) -> list[Range]:
    """Where the answers are in the text; empty if one is missing."""
    starts = [text.find(answer) for answer in answers]
    return [] if min(starts) < 0 else [(at, at + len(a)) for at, a in zip(starts, answers, strict=True)]


def group_of(row: Mapping, pieces: Sequence[str], near: Overlap, random: np.random.Generator) -> Group:
    """The passage that answers, now and then another that does, and some of the paper that do not.

    Raises:
        ValueError: no passage has the answers: the paper is cut in another way than when the question was written.
    """
    question, kind = row["question"], row["kind"]
    if kind == "none":
        others = near.best(question, n=8, without=set())[: OTHERS + 3]
        return [unanswered(question, pieces[int(j)], random) for j in random.permutation(others)[: OTHERS + 1]]
    at = min((j for j, p in enumerate(pieces) if places_of(p, row["answers"])), key=lambda j: abs(j - row["at"]))
    text = pieces[at]
    places = places_of(text, row["answers"])
    if kind in {"yes", "no"}:
        found = [Row(question, text, None, kind, tuple(places), relevant=True)]
    else:
        found = [answered(question, text, places, kind, random, limit=max(900, places[-1][1] - places[0][0]))]
    holding = {at, *row["also"]}
    if len(row["answers"][0]) > 3:
        holding |= {j for j, piece in enumerate(pieces) if all(a.lower() in piece.lower() for a in row["answers"])}
    if row["also"] and random.random() < ALSO_SHARE:
        other = pieces[row["also"][int(random.integers(len(row["also"])))]]
        found.append(Row(question, other[:1100], None, None, None, relevant=True))
    hard = near.best(question, n=10, without=holding)
    others = hard_and_other(hard, range(len(pieces)), holding, OTHERS, random)
    return found + [unanswered(question, pieces[j], random) for j in others]


def cut_papers(whole: Mapping[str, str], cut: Mapping[str, Sequence[str]]) -> Callable[[str], list[str]]:
    """A function that gives a paper's passages.

    Args:
        whole: texts that are still to be cut, by the paper's name ("covidqa/1551").
        cut: passages of the other papers but for the PDFs.
    """

    @cache
    def pieces(paper: str) -> list[str]:
        if paper.startswith("papers/"):
            found = of_pdf(paper.split("/", 1)[1])
        elif paper in whole:
            found = [whole[paper][a:b] for a, b in windows(whole[paper])]
        else:
            found = list(cut[paper])
        return [" ".join(piece.split()) for piece in found]

    return pieces


def written(pieces: Callable[[str], list[str]]) -> list[Source]:
    """The questions that are trained on: those of the third run, and all, about language processing and other things.

    `pieces` gives the passages of a paper.
    """

    @cache
    def near(paper: str) -> Overlap:
        return Overlap(pieces(paper))

    def source(name: str, rows: Sequence[Mapping]) -> Source:
        def group(i: int, random: np.random.Generator) -> Group:
            paper = rows[i]["paper"]
            return group_of(rows[i], pieces(paper), near(paper), random)

        return Source(name, len(rows), group)

    trained = [row for row in questions(later=True) if not held(row)]
    of_language = [row for row in trained if row["paper"].startswith("qasper/")]
    others = [row for row in trained if not row["paper"].startswith("qasper/")]
    third = [row for row in questions() if not held(row)]
    return [source("written", third), source("written_language", of_language), source("written_other", others)]
