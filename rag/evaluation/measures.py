"""The measures of each case of a run: search, answers, citations, sentences and abstentions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rag.evaluation.cases import JUDGE
from rag.evaluation.metrics import (
    UNANSWERABLE,
    answer_f1,
    evidence_f1,
    hit_at,
    marker_validity,
    ndcg_at,
    recall_at,
    reciprocal_rank,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rag.evaluation.cases import AnswerResult, Attribution, Result, Run

EVIDENCE_AT = 3
"""Evidence F1 of the search uses this many passages: QASPER's questions have 1 to 3 paragraphs of evidence."""

FOUND = {"own": "a correct page", "qasper": "a paragraph of the evidence", "beir": "a relevant document"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that is measured for each case."""

    name: str
    part: Literal["search", "answers"]
    meaning: str
    of: Callable[[Result], float | None]
    """None if it is not known for this case."""
    unit: Literal["share", "s"] = "share"
    """Higher is better for a share, unless its meaning says otherwise; lower is better for seconds."""
    since: Callable[[Result], bool] = lambda _: True
    """Whether this result's run measured it at all; runs by earlier versions may not have."""


def measures(run: Run) -> list[Measure]:
    """The measures for this kind of run, in the order of the report."""
    k, what = run.settings["k"], FOUND[run.about["kind"]]
    ks = sorted({n for n in (1, 5, 10) if n <= k} | {k})
    found = [
        Measure(
            name=f"Hit@{n}",
            part="search",
            meaning=f"Questions with {what} among the first {n}." if n > 1 else f"Questions whose first is {what}.",
            of=lambda r, n=n: hit_at(r.ranked, r.relevant, n),  # type: ignore[misc]
        )
        for n in ks
    ]
    found += [
        Measure(
            name=f"Recall@{n}",
            part="search",
            meaning=f"Share of everything that should be found that is among the first {n}.",
            of=lambda r, n=n: recall_at(r.ranked, r.relevant, n),  # type: ignore[misc]
        )
        for n in ks
        if n > 1
    ]
    cut = min(k, 10)
    found += [
        Measure(
            name=f"nDCG@{cut}",
            part="search",
            meaning="Recall weighted by rank; 1 is a perfect order.",
            of=lambda r: ndcg_at(r.ranked, r.relevant, cut),
        ),
        Measure(
            name=f"MRR@{cut}",
            part="search",
            meaning="1 / the rank of the first correct one, on average.",
            of=lambda r: reciprocal_rank(r.ranked, r.relevant, cut),
        ),
    ]
    if any(result.evidence is not None for result in run.results):
        found.append(
            Measure(
                name=f"Evidence-F1@{EVIDENCE_AT}",
                part="search",
                meaning=f"The first {EVIDENCE_AT} passages against the annotators' paragraphs (QASPER).",
                of=lambda r: None if r.evidence is None else evidence_f1(r.ranked[:EVIDENCE_AT], map(set, r.evidence)),
            )
        )
    if run.settings["answers"] is not None:
        found += _answer_measures(run)
    return [*found, Measure(name="Seconds", part="answers" if run.settings["answers"] else "search",
                           meaning="Average time per question.", of=seconds_of, unit="s")]  # fmt: skip


def is_measured(measure: Measure, results: Iterable[Result]) -> bool:
    """Whether the run measured this at all. If it did, missing values are unknown; if not, they are not measured."""
    return any(measure.since(result) for result in results)


def _answer_measures(run: Run) -> list[Measure]:
    found = [
        _measure("Answer F1", "Words shared with the expected answer; best over annotators (QASPER).", answer_f1_of)
    ]
    if run.about["kind"] != "beir":
        found.append(
            _of_answer(
                "Right source cited",
                f"Answers that cite {FOUND[run.about['kind']]}, of those that could.",
                lambda a, r: hit_at(a.cited, r.relevant, len(a.cited)),
            )
        )
    if any(result.evidence is not None for result in run.results):
        found.append(
            _of_answer(
                "Evidence-F1",
                "The cited paragraphs against the annotators' (QASPER).",
                lambda a, r: evidence_f1(a.cited, map(set, r.evidence)) if r.evidence else None,
            )
        )
    return [*found, *_citation_measures(), *_sentence_measures(), *_abstention_measures()]


def _citation_measures() -> list[Measure]:
    return [
        _of_answer(
            "Valid markers",
            "Markers that the model wrote and that name a passage it was shown.",
            lambda a, _: marker_validity(a.markers, a.shown),
        ),
        _counted(
            "Valid citations",
            "Markers of the answer as it is shown, after the check, that name a passage which the model was shown.",
            lambda c, _: _share(c.n_valid, c.n_markers),
        ),
        _counted(
            "Citation recall",
            f"Sentences that their citations support (ALCE's definition; judge: {JUDGE}).",
            lambda c, _: c.citation_recall,
        ),
        _counted(
            "Citation precision",
            "Citations that a supported sentence needs (ALCE's definition; same judge).",
            lambda c, _: c.citation_precision,
        ),
        _counted(
            "Exact quotes",
            "Citations whose quote is word for word in the paper.",
            lambda c, a: _share(c.n_exact, a.n_citations),
        ),
        _counted(
            "Right page",
            "Citations whose quote is word for word on the cited page.",
            lambda c, a: _share(c.n_right_page, a.n_citations),
        ),
        _of_answer(
            "Verified quotes",
            "Citations that the answer marks as verbatim.",
            lambda a, _: _share(a.n_verified, a.n_citations),
        ),
        _counted(
            "Verbatim quotations",
            "Text the model put in quotation marks that is word for word in a passage.",
            lambda c, _: _share(c.n_verbatim, c.n_quotations),
        ),
    ]


def _sentence_measures() -> list[Measure]:
    return [
        _of_answer(
            "Cited sentences",
            "Sentences of an answer that have a citation after the check.",
            lambda a, _: _share(a.n_cited_sentences, a.n_sentences),
        ),
        _counted(
            "Supported sentences",
            "Sentences whose words, numbers and names are in a passage, of those that could be judged.",
            lambda c, _: _share(c.n_supported, c.n_judged),
        ),
        _counted(
            "Weak sentences",
            "Sentences that a passage supports only in part (lower is better).",
            lambda c, _: _share(c.n_weak, c.n_judged),
        ),
        _counted(
            "Unsupported sentences",
            "Sentences that no passage supports (lower is better).",
            lambda c, _: _share(c.n_judged - c.n_supported - c.n_weak, c.n_judged),
        ),
    ]


def _abstention_measures() -> list[Measure]:
    return [
        _measure(
            "Abstention recall",
            "Unanswerable questions on which it abstained.",
            lambda r: float(r.answer.abstained) if r.answer and r.answerable is False else None,
        ),
        _measure(
            "Abstention precision",
            "Abstentions that were on unanswerable questions.",
            lambda r: float(not r.answerable) if r.answer and r.answer.abstained and r.answerable is not None else None,
        ),
    ]


def _measure(name: str, meaning: str, of: Callable[[Result], float | None]) -> Measure:
    return Measure(name=name, part="answers", meaning=meaning, of=of)


def _of_answer(name: str, meaning: str, of: Callable[[AnswerResult, Result], float | None]) -> Measure:
    """A measure over the cases that were answered."""
    return _measure(name, meaning, lambda r: of(r.answer, r) if r.answer else None)


def _counted(name: str, meaning: str, of: Callable[[Attribution, AnswerResult], float | None]) -> Measure:
    """A measure over `Attribution`, which earlier runs do not have."""
    return Measure(
        name=name,
        part="answers",
        meaning=meaning,
        of=lambda r: of(r.answer.attribution, r.answer) if r.answer and r.answer.attribution else None,
        since=lambda r: r.answer is not None and r.answer.attribution is not None,
    )


def answer_f1_of(result: Result) -> float | None:
    """Answer F1 of a case; None if it was not answered or nothing is expected."""
    if result.answer is None:
        return None
    return answer_f1(UNANSWERABLE if result.answer.abstained else result.answer.text, result.golds)


def _share(some: int, of: int) -> float | None:
    return some / of if of else None


def seconds_of(result: Result) -> float | None:
    """Seconds for a case; for the search alone if it was not answered."""
    return result.answer.seconds if result.answer else sum(result.stages.values())
