"""The figures are what their sources say: compared with worked examples and with a second implementation."""

from __future__ import annotations

import math
from itertools import pairwise

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG
from sklearn.metrics import brier_score_loss, roc_auc_score

from rag.evaluation.metrics import (
    UNANSWERABLE,
    abstentions,
    answer_f1,
    auroc,
    auroc_estimate,
    brier,
    by_score,
    calibration_error,
    citation_recall_and_precision,
    estimate,
    evidence_f1,
    hit_at,
    marker_validity,
    ndcg_at,
    normalise,
    paired,
    percentiles,
    recall_at,
    reciprocal_rank,
    reliability,
    risk_coverage,
    token_f1,
)

keys = st.sampled_from([f"d{n}" for n in range(25)])
rankings = st.dictionaries(keys, st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]), min_size=1)  # few scores: many ties
judgements = st.dictionaries(keys, st.integers(0, 3), min_size=1)


@settings(max_examples=300)
@given(rankings, judgements)
def test_rankings_are_judged_as_trec_eval_does_with_ties_and_missing_documents(scores, relevant):
    wanted = [nDCG @ 10, nDCG @ 3, RR, R @ 5, R @ 20, Success @ 1, Success @ 5]
    run = [ir_measures.ScoredDoc("q", key, score) for key, score in scores.items()]
    judged = [ir_measures.Qrel("q", key, grade) for key, grade in relevant.items()]
    theirs = {m.measure: m.value for m in ir_measures.iter_calc(wanted, judged, run)}
    ranked = by_score(scores)
    ours = {
        nDCG @ 10: ndcg_at(ranked, relevant, 10),
        nDCG @ 3: ndcg_at(ranked, relevant, 3),
        RR: reciprocal_rank(ranked, relevant),
        R @ 5: recall_at(ranked, relevant, 5),
        R @ 20: recall_at(ranked, relevant, 20),
        Success @ 1: hit_at(ranked, relevant, 1),
        Success @ 5: hit_at(ranked, relevant, 5),
    }
    if any(grade > 0 for grade in relevant.values()):
        assert ours == {measure: pytest.approx(value, abs=1e-6) for measure, value in theirs.items()}
    else:
        assert set(ours.values()) == {None}, "nothing to be found: unknown, not 0"


@given(rankings, judgements)
def test_mrr_is_cut_off_as_in_msmarcos_evaluation(scores, relevant):
    """That one keeps the order of ties in which it is given them: here there are none."""
    ranked = by_score(scores)
    run = [ir_measures.ScoredDoc("q", key, -rank) for rank, key in enumerate(ranked)]
    judged = [ir_measures.Qrel("q", key, grade) for key, grade in relevant.items()]
    (theirs,) = ir_measures.iter_calc([RR @ 5], judged, run)
    assert (reciprocal_rank(ranked, relevant, 5) or 0) == pytest.approx(theirs.value)


def test_ndcg_of_an_example_worked_by_hand():
    relevant = {"a": 3, "b": 2, "c": 1}
    gained = 2 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at(["b", "x", "a"], relevant, 10) == pytest.approx(gained / ideal)
    assert ndcg_at(["b", "b", "b"], relevant, 10) == pytest.approx(2 / ideal), "found three times, gained once"
    assert recall_at(["b", "b", "a"], relevant, 3) == pytest.approx(2 / 3)


@given(rankings, judgements)
def test_more_passages_never_lower_recall(scores, relevant):
    ranked = by_score(scores)
    curve = [recall_at(ranked, relevant, k) or 0 for k in range(1, 26)]
    assert all(a <= b for a, b in pairwise(curve))


# -- answers -----------------------------------------------------------------------------------------------------------


def test_answers_are_normalised_as_squad_does():
    assert normalise("The  Cat, an animal: a-b (A.I.)!") == "cat animal ab ai"
    assert normalise("Theory") == "theory", "an article is a whole word"
    assert normalise("“quoted”") == "“quoted”", "only ASCII punctuation goes"


@pytest.mark.parametrize(
    ("answer", "gold", "f1"),
    [
        ("the labeled features", "labeled features", 1.0),
        ("labeled features, and words", "labeled features", 2 * (2 / 4) * 1 / (2 / 4 + 1)),
        ("BLEU BLEU", "BLEU", 2 * 0.5 / 1.5),  # a word counts as often as it stands there
        ("Yes", "Yes", 1.0),
        ("yes, it does", "Yes", 0.5),
        ("No", "Yes", 0.0),
        (UNANSWERABLE, "unanswerable", 1.0),
        ("", "", 0.0),
        ("the", "a", 0.0),
    ],
)
def test_token_f1_of_examples_worked_by_hand(answer, gold, f1):
    assert token_f1(answer, gold) == pytest.approx(f1)


def test_the_best_annotator_counts():
    assert answer_f1("GRU", ["LSTM, GRU", "GRU", UNANSWERABLE]) == 1.0
    assert answer_f1("GRU", []) is None
    assert evidence_f1(["p1", "p2"], [{"p1"}, {"p3"}]) == pytest.approx(2 / 3)
    assert evidence_f1([], [{"p1"}, set()]) == 1.0, "nothing found where an annotator names nothing"
    assert evidence_f1(["p1"], [set()]) == 0.0
    assert evidence_f1(["p1"], []) is None


@given(st.text("ab cd,.", max_size=30), st.text("ab cd,.", max_size=30))
def test_f1_is_symmetric_and_a_share(ours, theirs):
    assert token_f1(ours, theirs) == token_f1(theirs, ours)
    assert 0 <= token_f1(ours, theirs) <= 1


def test_a_marker_is_valid_if_its_passage_was_shown():
    assert marker_validity([1, 3, 7], shown=[1, 2, 3]) == pytest.approx(2 / 3)
    assert marker_validity([], shown=[1]) is None


def test_abstentions_are_counted_on_both_sides():
    counted = abstentions([(False, True), (False, False), (True, True), (True, False), (True, False), (True, False)])
    assert (counted.right_share, counted.false_share) == (0.5, 0.25)
    assert abstentions([]).right_share is None


# -- how far a figure can be trusted -----------------------------------------------------------------------------------


def test_percentiles_are_interpolated():
    assert percentiles([1, 2, 3, 4], at=(50, 100)) == (2.5, 4.0)
    assert percentiles([]) is None


def test_the_interval_is_that_of_the_textbook_where_each_case_is_its_own_group():
    values = [1.0] * 60 + [0.0] * 40
    found = estimate(values, [str(n) for n in range(100)])
    half = 1.96 * math.sqrt(0.6 * 0.4 / 100)
    assert found.mean == pytest.approx(0.6)
    assert (found.low, found.high) == (pytest.approx(0.6 - half, abs=0.02), pytest.approx(0.6 + half, abs=0.02))


def test_cases_of_one_paper_are_drawn_together():
    values = [float(n % 2) for n in range(20) for _ in range(10)]  # all ten questions of a paper fare alike
    alone = estimate(values, [str(n) for n in range(200)])
    together = estimate(values, [str(n // 10) for n in range(200)])
    assert together.n_groups == 20
    assert together.high - together.low == pytest.approx(math.sqrt(10) * (alone.high - alone.low), rel=0.15)


def test_one_group_has_a_mean_and_no_interval_and_no_case_has_neither():
    assert estimate([1.0, 0.0], ["a", "a"]).low is None
    assert estimate([], []) is None
    assert paired([], [], []) is None


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    random, held = np.random.default_rng(1), 0
    for _ in range(100):
        papers = random.normal(0.5, 0.2, 40)
        values = [float(v) for paper in papers for v in paper + random.normal(0, 0.1, 3)]
        found = estimate(values, [str(n // 3) for n in range(120)])
        held += found.low <= 0.5 <= found.high
    assert 87 <= held <= 100


def test_two_runs_are_compared_case_by_case():
    groups = [str(n) for n in range(50)]
    theirs = [0.1 * (n % 10) for n in range(50)]
    better = paired([t + 0.05 for t in theirs], theirs, groups)
    assert better.mean == pytest.approx(0.05)
    assert better.p < 0.001
    assert (better.higher, better.lower, better.same) == (50, 0, 0)
    same = paired(theirs, theirs, groups)
    assert (same.mean, same.p, same.same) == (0, 1.0, 50)
    mixed = paired([t + (0.1 if n % 2 else -0.1) for n, t in enumerate(theirs)], theirs, groups)
    assert mixed.p > 0.5
    assert mixed.low < 0 < mixed.high


# -- citations, by ALCE's definitions ----------------------------------------------------------------------------------


def alce(cited, carries):
    """`carries`: for each sentence the sets of markers that carry it."""
    return citation_recall_and_precision(
        cited, lambda sentence, markers: any(set(needed) <= set(markers) for needed in carries[sentence])
    )


def test_citations_that_carry_their_sentences_have_full_recall_and_precision():
    assert alce([[1], [2, 3]], [[{1}], [{2, 3}]]) == (1.0, 1.0)


def test_a_sentence_without_a_citation_or_with_a_wrong_one_is_not_carried():
    recall, precision = alce([[1], [], [2]], [[{1}], [{1}], [{3}]])
    assert recall == pytest.approx(1 / 3)
    assert precision == pytest.approx(1 / 2), "one of two citations stands behind a sentence that is carried"


def test_a_citation_is_irrelevant_only_if_it_does_not_carry_alone_and_the_others_do_without():
    assert alce([[1, 9]], [[{1}]]) == (1.0, 0.5)
    assert alce([[1, 2]], [[{1}, {2}]]) == (1.0, 1.0), "each carries it alone"
    assert alce([[1, 2]], [[{1, 2}]]) == (1.0, 1.0), "each is needed"


def test_an_answer_without_citations_has_precision_zero_and_one_without_sentences_has_none():
    assert alce([[], []], [[], []]) == (0.0, 0.0)
    assert alce([], []) is None


# -- scores that say how likely an answer is right ---------------------------------------------------------------------

scored = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.booleans()), min_size=2)


@given(scored)
def test_the_area_under_the_curve_is_that_of_scikit_learn_ties_included(cases):
    scores, right = [s for s, _ in cases], [r for _, r in cases]
    if len(set(right)) < 2:
        assert auroc(scores, right) is None
    else:
        assert auroc(scores, right) == pytest.approx(roc_auc_score(right, scores))
    assert brier(scores, right) == pytest.approx(brier_score_loss(right, scores, labels=[False, True]))


def test_the_interval_of_an_area_draws_papers_and_holds_the_area():
    random = np.random.default_rng(5)
    right = (random.random(300) < 0.3).tolist()
    scores = [random.normal(1.0 if r else 0.0) for r in right]
    alone = auroc_estimate(scores, right, [str(i) for i in range(300)])
    assert alone.low < auroc(scores, right) < alone.high
    doubled = auroc_estimate(scores * 2, right * 2, [str(i % 300) for i in range(600)])
    assert doubled.high - doubled.low == pytest.approx(alone.high - alone.low, rel=0.15), "copies are no evidence"


def test_one_paper_or_one_outcome_gives_no_interval():
    assert auroc_estimate([0.1, 0.9], [False, True], ["a", "a"]).low is None
    assert auroc_estimate([0.1, 0.9], [True, True], ["a", "b"]) is None


def test_a_calibrated_score_has_no_calibration_error_and_an_overconfident_one_has():
    right = [i % 4 == 0 for i in range(400)]
    assert calibration_error([0.25] * 400, right) == pytest.approx(0.0)
    assert calibration_error([0.75] * 400, right) == pytest.approx(0.5)
    assert calibration_error([], []) is None


def test_reliability_has_bins_of_about_the_same_size_in_rising_order():
    found = reliability([i / 100 for i in range(100)], [i >= 50 for i in range(100)], bins=7)
    assert [n for _, _, n in found] == [15, 15, 14, 14, 14, 14, 14]
    assert all(a[0] < b[0] for a, b in pairwise(found))
    assert (found[0][1], found[-1][1]) == (0.0, 1.0)


def test_risk_grows_with_coverage_as_worked_out_by_hand():
    assert risk_coverage([0.9, 0.8, 0.8, 0.1], [True, False, True, False]) == [
        (0.25, 0.0),
        (0.75, pytest.approx(1 / 3)),
        (1.0, 0.5),
    ]
