"""RouteLLM's figures, against examples worked by hand and against its own formula."""

from __future__ import annotations

import numpy as np
import pytest

from rag.comparison.routing import (
    Case,
    Point,
    apgr,
    cpt,
    curve,
    gain_first,
    in_digits,
    interval,
    longest_first,
    random_routing,
    recommended,
    recovered,
    regression_rate,
    spent,
    workshop_rule,
)


def cases(*rows):
    return [
        Case(group=str(n), score=score, small=small, large=large, characters=characters)
        for n, (score, small, large, characters) in enumerate(rows)
    ]


FOUR = cases((0.1, 0, 1, 700), (0.3, 0, 1, 100), (0.6, 1, 1, 650), (0.9, 1, 0, 50))
"""Small: 2 of 4 right. Large: 3 of 4. By hand: 0 asked .5, one .75, two 1.0, three 1.0, all .75."""


def test_the_curve_is_the_one_worked_by_hand():
    assert [(p.share, p.quality) for p in curve(FOUR)] == [(0, 0.5), (0.25, 0.75), (0.5, 1.0), (0.75, 1.0), (1.0, 0.75)]
    assert [p.threshold for p in curve(FOUR)] == [0.1, 0.3, 0.6, 0.9, None]


def test_apgr_and_cpt_are_those_worked_by_hand():
    points = curve(FOUR)
    # AUC: .25 * (.625 + .875 + 1.0 + .875) = .84375; (.84375 - .5) / .25 = 1.375: better than the large model alone
    assert apgr(points) == pytest.approx(1.375)
    # PGR is 0, 1, 2, 2, 1: half of the gap is recovered at half of the first quarter
    assert cpt(points, 0.5) == pytest.approx(0.125)
    assert cpt(points, 0.8) == pytest.approx(0.2)
    assert recovered(0.75, points) == 1.0


def test_they_agree_with_routellms_own_formula():
    random = np.random.default_rng(1)
    made = cases(
        *((random.random(), float(random.random() < 0.4), float(random.random() < 0.8), 1) for _ in range(200))
    )
    points = curve(made)
    share, quality = np.array([p.share for p in points]), np.array([p.quality for p in points])
    weak, strong = quality[0], quality[-1]
    auc = np.trapezoid(quality, share)
    weak_auc, strong_auc = weak * 1.0, strong * 1.0
    assert apgr(points) == pytest.approx((auc - weak_auc) / (strong_auc - weak_auc))
    # by the paper's text: the mean of PGR at ten shares of calls is about the same
    ten = [(np.interp(x, share, quality) - weak) / (strong - weak) for x in np.arange(1, 11) / 10]
    assert apgr(points) == pytest.approx(np.mean(ten), abs=0.06)
    for wanted in (0.2, 0.5, 0.8):
        x = cpt(points, wanted)
        assert (np.interp(x, share, quality) - weak) / (strong - weak) == pytest.approx(wanted, abs=1e-9)


def test_random_routing_has_an_apgr_of_one_half():
    line = random_routing(curve(FOUR))
    assert apgr(line) == pytest.approx(0.5)
    assert cpt(line, 0.8) == pytest.approx(0.8)


def test_a_router_that_knows_both_is_the_bound_and_length_has_an_order_of_its_own():
    best = curve(FOUR, gain_first)
    assert all(a.quality >= np.interp(a.share, [p.share for p in curve(FOUR)], [p.quality for p in curve(FOUR)])
               for a in best)  # fmt: skip
    assert [p.quality for p in curve(FOUR, longest_first)] == [0.5, 0.75, 0.75, 1.0, 0.75]
    assert workshop_rule(FOUR) == Point(0.5, 0.75)  # 700 and 650 characters


def test_equal_scores_go_together():
    assert [p.share for p in curve(cases((0.5, 0, 1, 1), (0.5, 1, 0, 1), (0.7, 0, 1, 1)))] == [0, 2 / 3, 1]


def test_the_regression_rate_counts_right_drafts_made_wrong():
    assert regression_rate(FOUR) == 0.5  # of two right drafts, one
    assert regression_rate(FOUR, below=0.9) == 0.0  # the one that was harmed stays
    assert regression_rate(FOUR, below=0.3) is None  # no right draft was sent


def test_equally_good_models_have_no_figures():
    same = curve(cases((0.1, 1, 1, 1), (0.2, 0, 0, 1)))
    assert (apgr(same), cpt(same, 0.5), recovered(0.5, same)) == (None, None, None)
    assert recommended(same, wanted=0.8) is None


def test_models_that_differ_only_by_rounding_are_equally_good():
    made = cases((0.3, 1, 0.1, 1), (0.2, 0.2, 0.2, 1), (0.1, 0.1, 1, 1))  # the same three values, added in two orders
    points = curve(made)
    assert points[0].quality != points[-1].quality
    assert (apgr(points), cpt(points, 0.5), recovered(0.5, points)) == (None, None, None)
    low, high = interval(made, lambda some: apgr(curve(some))) or (0.0, 0.0)
    assert max(abs(low), abs(high)) < 100


def test_the_recommended_threshold_is_the_first_that_recovers_enough():
    assert recommended(curve(FOUR), wanted=0.8).threshold == 0.3
    assert recommended(curve(FOUR), wanted=1.5).threshold == 0.6
    assert recommended(curve(FOUR), wanted=1.5, most=0.3) is None
    worse = curve(cases((0.1, 1, 0, 1), (0.2, 1, 1, 1)))  # here the large model is the worse one
    assert recommended(worse, wanted=1.0).share == 0.5


def test_a_threshold_is_written_so_that_what_it_was_chosen_for_is_below_it():
    for threshold, written in (
        (0.3, "0.300"),
        (0.57, "0.570"),
        (0.5550001, "0.556"),
        (0.1234, "0.124"),
        (1.0, "1.000"),
    ):
        assert in_digits(threshold) == written
        assert float(written) >= threshold


def test_the_wasted_draft_is_paid_for():
    made = [
        Case(group="a", score=s, small=0, large=1, small_seconds=1, more_seconds=9, small_usd=0.0, more_usd=0.004)
        for s in (0.1, 0.9)
    ]
    assert spent(made, 0.5, money=False) == pytest.approx((10 + 1) / 2)
    assert spent(made, None, money=True) == pytest.approx(0.004)
    assert spent(FOUR, None, money=True) is None
    free = [Case(group="a", score=0.9, small=0, large=1, small_seconds=1)]
    assert spent(free, 0.5, money=False) == 1  # what was not asked costs nothing, known or not
    assert spent(free, None, money=False) is None


def test_the_interval_draws_whole_papers():
    random = np.random.default_rng(2)
    made = cases(
        *((random.random(), float(random.random() < 0.4), float(random.random() < 0.9), 1) for _ in range(120))
    )
    low, high = interval(made, lambda some: apgr(curve(some)))
    assert low < apgr(curve(made)) < high
    assert interval(FOUR[:1], lambda some: apgr(curve(some))) is None
