"""The plan on paper: each figure it starts from is in the page it names, and its lines go through those figures."""

from __future__ import annotations

import sys

import pytest

from places import ROOT

sys.path.insert(0, str(ROOT / "docs"))

import plan


@pytest.mark.parametrize("name", plan.MEASURED)
def test_each_measured_figure_is_in_the_page_that_is_named(name):
    one = plan.MEASURED[name]
    assert one.words in (ROOT / one.page).read_text(encoding="utf-8")
    assert f"{one.value:,g}" in one.words or f"{one.value:,}" in one.words


def test_the_page_shows_what_the_script_computes():
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert f"<!-- plan -->\n{plan.table()}\n<!-- end plan -->" in text


def test_at_the_sizes_that_were_measured_the_lines_give_what_was_measured():
    for chunks, name in ((plan.FEWER_CHUNKS, "100k"), (plan.TRIED_CHUNKS, "1M")):
        at = plan.Plan("as measured", round(chunks * plan.known("papers") / plan.known("chunks")), 1)
        assert plan.search_ms(chunks) == pytest.approx(plan.known(f"search ms, {name}"))
        assert at.app_gb == pytest.approx(plan.known(f"app MB, {name}") / 1e3, rel=1e-3)
    assert plan.Plan("the sample", 40, 1).ingest_core_hours * 3_600 == pytest.approx(2 * 298 / 11.38)


def test_what_gives_way_first_follows_from_the_assumptions(monkeypatch):
    assert plan.Plan(*plan.SIZES[0]).first_to_break == "nothing"
    one = plan.Plan(*plan.SIZES[2])
    monkeypatch.setitem(plan.ASSUMED, "search budget ms", plan.Assumed(20, ""))
    assert one.first_to_break.startswith("search")
    monkeypatch.setitem(plan.ASSUMED, "open share", plan.Assumed(100, ""))
    assert one.first_to_break.startswith("open pages")


@pytest.mark.parametrize("what", ["chunks", "disk_gb", "memory_gb", "cores", "dollars", "owner_days"])
def test_a_larger_step_never_takes_less(what):
    values = [getattr(plan.Plan(*size), what) for size in plan.SIZES]
    assert values == sorted(values)
