"""What a month costs: the worked example of docs/papers/local-or-cloud.pdf to the cent, and break-even."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.__main__ import main as rag
from rag.costs.ownership import Cheaper, Cloud, Local, Use, break_even, mixed_month

USE = Use.daily(360, days=20, input_tokens=6000, output_tokens=400)
LOCAL = Local(
    price=3600, lifetime_months=48, watts=350, idle_watts=60, tariff=0.30, read_speed=500, write_speed=50,
    upkeep_hours=3, wage=45,
)  # fmt: skip
CLOUD = Cloud(input_price=2.00, output_price=8.00, upkeep_hours=1, wage=45)


def test_the_worked_example_to_the_cent():
    assert USE.questions == 7200
    assert CLOUD.question(USE) == pytest.approx(0.0152)
    assert round(CLOUD.month(USE), 2) == 154.44
    assert (LOCAL.seconds(USE), LOCAL.busy_hours(USE)) == (20, 40)
    assert LOCAL.kwh(USE) == pytest.approx(14.0 + 41.4)
    assert round(LOCAL.kwh(USE) * 0.30, 2) == 16.62
    assert round(LOCAL.month(USE), 2) == 226.62
    assert round(LOCAL.fixed(), 2) == 223.14
    assert LOCAL.marginal(USE) == pytest.approx(0.0004833, abs=5e-8)
    assert round(LOCAL.month(USE) - CLOUD.month(USE), 2) == 72.18


def test_break_even_and_what_moves_it():
    assert round(break_even(USE, LOCAL, CLOUD).above) == 12_105
    assert round(break_even(USE, replace(LOCAL, upkeep_hours=2), CLOUD).above) == 9_047
    assert round(break_even(USE, replace(LOCAL, upkeep_hours=1), CLOUD).above) == 5_989
    assert round(break_even(USE, LOCAL, replace(CLOUD, input_price=1, output_price=4)).above) == 25_031
    assert round(break_even(USE, LOCAL, replace(CLOUD, input_price=4, output_price=16)).above) == 5_955


def test_at_both_sides_of_break_even_the_other_one_is_cheaper():
    at = break_even(USE, LOCAL, CLOUD).above
    for questions, local_is_cheaper in ((at - 1, False), (at + 1, True)):
        use = replace(USE, questions=questions)
        assert (LOCAL.month(use) < CLOUD.month(use)) is local_is_cheaper
    use = replace(USE, questions=at)
    assert LOCAL.month(use) == pytest.approx(CLOUD.month(use))


def test_there_may_be_no_break_even():
    assert break_even(USE, LOCAL, replace(CLOUD, input_price=0.01, output_price=0.01)) is None  # always cheaper
    assert break_even(USE, replace(LOCAL, price=0, idle_watts=0, upkeep_hours=0), CLOUD) == Cheaper()  # never dearer


def test_a_machine_with_lower_fixed_costs_and_a_dearer_question_is_cheaper_up_to_break_even():
    own = Local(price=0, watts=300, idle_watts=0, tariff=0.30, read_speed=30, write_speed=0.6)
    use = replace(USE, questions=0)
    fee = Cloud(input_price=0.05, output_price=0.25, fee=20)
    found = break_even(use, own, fee)
    at = 20 / (own.marginal(use) - fee.question(use))
    assert (found.above, found.below) == (0.0, pytest.approx(at))
    for questions, local_is_cheaper in ((0, True), (at - 1, True), (at + 1, False)):
        month = replace(use, questions=questions)
        assert (own.month(month) < fee.month(month)) is local_is_cheaper
    free = replace(own, tariff=0.0)
    gratis = Cloud(input_price=0, output_price=0, fee=20)
    assert break_even(use, free, gratis) == Cheaper()  # a question costs the same: always cheaper
    assert break_even(use, free, replace(gratis, fee=0)) is None


def test_a_machine_that_is_busy_for_longer_than_it_is_on_gives_no_idle_power_back():
    office = replace(LOCAL, on_hours=20)  # and busy for 40
    assert office.kwh(USE) == pytest.approx(40 * 0.35)
    assert office.month(USE) == pytest.approx(3600 / 48 + 3 * 45 + 14 * 0.30)
    assert replace(LOCAL, on_hours=0).wait(USE) is None


def test_the_command_says_up_to_which_number_the_machine_is_cheaper(capsys):
    given = (
        "--questions-per-day 300 --hardware-price 0 --watts 300 --kwh-price 0.3 --read-speed 30 --write-speed 0.6 "
        "--fee 20 --input-price 0.05 --output-price 0.25"
    )
    assert rag(["ownership", *given.split()]) == 0
    said = capsys.readouterr().out
    assert "up to that your machine is cheaper" in said
    assert "One machine answers at most" in said
    with pytest.raises(SystemExit):
        rag(["ownership", "--on-hours", "0"])
    assert "--on-hours: must be above 0" in capsys.readouterr().err


def test_waiting_and_room_for_questions():
    office = replace(LOCAL, on_hours=20 * 8)
    assert office.utilisation(USE) == 0.25
    assert office.wait(USE) == pytest.approx(6.67, abs=0.01)
    assert office.wait(Use.daily(900, days=20, input_tokens=6000, output_tokens=400)) == pytest.approx(33.3, abs=0.05)
    assert office.most_questions(USE) == 28_800
    assert office.wait(replace(USE, questions=28_800)) is None


def test_drafts_here_and_some_refined_elsewhere():
    assert mixed_month(USE, LOCAL, CLOUD, asked=0.0) == pytest.approx(226.62 + 45, abs=0.01)
    assert mixed_month(USE, LOCAL, CLOUD, asked=0.25) == pytest.approx(226.62 + 45 + 1800 * 0.0152, abs=0.01)


def test_what_is_unknown_stays_unknown():
    for name in ("price", "watts", "tariff", "read_speed"):
        local = replace(LOCAL, **{name: None})
        assert local.month(USE) is None
        assert break_even(USE, local, CLOUD) is None
    assert replace(CLOUD, input_price=None).month(USE) is None
    assert mixed_month(USE, LOCAL, replace(CLOUD, output_price=None), asked=0.5) is None


def test_the_command_prints_the_example(capsys):
    given = (
        "--questions-per-day 360 --days 20 --input-tokens 6000 --output-tokens 400 --hardware-price 3600 --months 48 "
        "--watts 350 --idle-watts 60 --kwh-price 0.3 --read-speed 500 --write-speed 50 --upkeep 3 --wage 45 "
        "--input-price 2 --output-price 8 --cloud-upkeep 1"
    )
    assert rag(["ownership", *given.split()]) == 0
    said = capsys.readouterr().out
    for words in ("226.62", "154.44", "12,105", "20.0 s"):
        assert words in said


def test_a_service_is_priced_by_the_dated_list_and_what_is_missing_is_named(capsys, monkeypatch):
    monkeypatch.delenv("SCHOLION_WATTS", raising=False)
    assert rag(["ownership", "--cloud", "gpt-5-mini"]) == 0
    said = capsys.readouterr().out
    assert "genai-prices" in said
    assert "unknown" in said
    assert "--hardware-price" in said
    assert rag(["ownership", "--cloud", "no-such-model"]) == 1
