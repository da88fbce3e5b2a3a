"""What an answer cost: to the cent fraction where the price is known, and unknown, never 0, where it is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from places import ROOT
from rag.costs.accounting import Energy, Usage, total
from rag.costs.energy import MachineCosts, Reading, energy_between, energy_words, estimated, local_cost, read_counters
from rag.costs.prices import estimate, price
from rag.costs.words import cost_words
from rag.models.chat import _usage
from rag.settings import RagSettings

OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com/v1"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is attention? " * 50}]

# Published prices per million tokens: input, cached input, output. Where and from when:
# gpt-4o        openai.com/api/pricing, from 2024-10-02 (input halved to 2.50, cached 1.25)
# gpt-4.1-mini  openai.com/index/gpt-4-1, 2025-04-14
# gpt-5-mini    openai.com/index/introducing-gpt-5-for-developers, 2025-08-07
# claude-haiku-4-5   platform.claude.com/docs, models, Haiku 4.5: from 2025-10-15, and still so in October 2026
# gemini-2.5-flash   ai.google.dev/gemini-api/docs/pricing, from 2025-06-17
PUBLISHED = [
    ("openai", OPENAI, "gpt-4o", "2.50", "1.25", "10.00"),
    ("openai", OPENAI, "gpt-4.1-mini", "0.40", "0.10", "1.60"),
    ("openai", OPENAI, "gpt-5-mini", "0.25", "0.025", "2.00"),
    ("anthropic", ANTHROPIC, "claude-haiku-4-5", "1.00", "0.10", "5.00"),
    ("google", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash", "0.30", "0.03", "2.50"),
]


# Prices


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda row: row[2])
def test_costs_of_five_known_calls_equal_the_published_price(published):
    provider, base_url, model, read, cached, wrote = published
    expected = (Decimal(2000) * Decimal(read) + 1000 * Decimal(cached) + 400 * Decimal(wrote)) / 1_000_000
    usage = Usage(3000, 400, cached_tokens=1000)
    for where in ({"provider": provider}, {"base_url": base_url}):
        cost = price(usage, model=model, **where)
        assert cost.usd == expected
        assert cost.provider == provider
        assert cost.source.startswith("genai-prices ")
    uncached = (Decimal(3000) * Decimal(read) + 400 * Decimal(wrote)) / 1_000_000
    assert price(Usage(3000, 400), model=model, provider=provider).usd == uncached


def test_a_dated_name_has_its_model_s_price_and_a_price_that_changed_has_the_one_of_its_day():
    dated = price(Usage(1000, 10), model="gpt-4o-mini-2024-07-18", base_url=OPENAI)
    assert dated.usd == price(Usage(1000, 10), model="gpt-4o-mini", base_url=OPENAI).usd
    old = price(Usage(10**6, 0), model="deepseek-chat", provider="deepseek", when=datetime(2025, 3, 1, 3, tzinfo=UTC))
    assert old is None or old.usd > 0


@pytest.mark.parametrize(
    ("model", "where"),
    [
        ("gpt-99-ultra", {"base_url": OPENAI}),
        ("gpt-4o", {}),
        ("gpt-4o", {"provider": "nobody"}),
        ("gpt-4o", {"base_url": "http://127.0.0.1:11434/v1"}),
        ("gpt-4o", {"base_url": "http://localhost:1234/v1"}),
        ("gpt-4o", {"base_url": "https://models.example/v1"}),
        ("gpt-4o", {"base_url": "https://api.openai.com.models.example/v1"}),
        ("gpt-4o", {"base_url": "https://api.openai.community/v1"}),
        ("gpt-4o", {"base_url": "https://models.example/https://api.openai.com"}),
        ("gpt-4o", {"base_url": "http://["}),
        ("qwen2.5:7b", {"base_url": OPENAI}),
        ("", {"base_url": OPENAI}),
        ("phi-4-reasoning:free", {"provider": "azure"}),  # in the list, without any price
        ("text-embedding-3-small", {"provider": "openai"}),  # no price for output
    ],
)
def test_what_is_not_in_the_list_is_unknown_and_never_free(model, where):
    assert price(Usage(1000, 10), model=model, **where) is None


def test_without_usage_or_with_numbers_that_cannot_be_the_price_is_unknown():
    assert price(None, model="gpt-4o", base_url=OPENAI) is None
    assert price(Usage(1000, 10, cached_tokens=2000), model="gpt-4o", base_url=OPENAI) is None


def test_an_estimate_before_the_call_is_at_least_what_the_call_then_costs():
    before = estimate(MESSAGES, model="gpt-4o", max_output=300, base_url=OPENAI)
    assert 150 < before.input_tokens < 300
    assert before.output_tokens == 300
    after = price(Usage(round(before.input_tokens * 1.2), 300), model="gpt-4o", base_url=OPENAI)
    assert before.at_most.usd >= after.usd
    other = estimate(MESSAGES, model="claude-haiku-4-5", max_output=300, base_url=ANTHROPIC)
    thirty_percent_more = price(
        Usage(round(other.input_tokens * 1.3), 300), model="claude-haiku-4-5", base_url=ANTHROPIC
    )
    assert other.at_most.usd >= thirty_percent_more.usd
    unknown = estimate(MESSAGES, model="gpt-4o", max_output=300, base_url="https://models.example/v1")
    assert unknown.input_tokens == before.input_tokens
    assert unknown.at_most is None


def test_no_price_comes_from_the_network():
    code = """
import sys
tried = []
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        tried.append(arguments)
        raise OSError
sys.addaudithook(refuse)
from rag.costs.accounting import Usage
from rag.costs import prices
assert "genai_prices" not in sys.modules
assert prices.price(Usage(1000, 10), model="gpt-4o", base_url="https://api.openai.com/v1").usd
import threading
print(tried, threading.active_count())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] 1"


# Usage, sums and words


def test_cached_and_thought_tokens_are_kept_where_a_server_tells_them():
    told = SimpleNamespace(
        prompt_tokens=39,
        completion_tokens=25,
        prompt_tokens_details=SimpleNamespace(cached_tokens=24),
        completion_tokens_details=SimpleNamespace(reasoning_tokens=7),
    )
    assert _usage(told) == Usage(39, 25, cached_tokens=24, reasoning_tokens=7)
    told = SimpleNamespace(
        prompt_tokens=39, completion_tokens=25, prompt_tokens_details=None, completion_tokens_details=None
    )
    assert _usage(told) == Usage(39, 25)


def test_a_total_with_an_unknown_part_is_unknown():
    assert total([0.1, 0.2]) == pytest.approx(0.3)
    assert total([0.1, None]) is None
    assert total([]) == 0


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (None, "unknown cost"),
        (0, "free"),
        (0.00002, "less than $0.0001"),
        (0.0041, "$0.0041"),
        (0.01349, "$0.013"),
        (0.5, "$0.50"),
        (0.996, "$1.00"),
        (12.345, "$12.35"),
        (Decimal("0.0041"), "$0.0041"),
    ],
)
def test_cost_in_words(usd, words):
    assert cost_words(usd) == words


# Energy


def counters(folder, **joules: int):
    for name, microjoules in joules.items():
        zone = folder / ("intel-rapl:" + {"package": "0", "dram": "0:2", "core": "0:0", "psys": "1"}[name])
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "name").write_text({"package": "package-0"}.get(name, name) + "\n")
        (zone / "energy_uj").write_text(f"{microjoules}\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
    return folder


@pytest.fixture(autouse=True)
def no_graphics_card(monkeypatch):
    monkeypatch.setattr("rag.costs.energy._nvml_library", lambda: None)


def test_processor_counters_are_added_without_their_parts_and_wrap_around(tmp_path):
    before = read_counters(counters(tmp_path, package=262_143_000_000, dram=5_000_000, core=1, psys=7))
    after = read_counters(counters(tmp_path, package=35_671_150, dram=6_000_000, core=9_000_000, psys=9_000_000_000))
    used = energy_between(before, after, machine=MachineCosts())
    assert used.measured == "counter"
    assert used.wh == pytest.approx((36.0 + 1.0) / 3600)
    assert "idle power" in used.source


def test_what_the_machine_draws_at_rest_is_taken_off_where_it_is_set():
    before, after = (Reading(at, {"processor:0": joules}, {}) for at, joules in ((10.0, 0.0), (20.0, 500.0)))
    used = energy_between(before, after, machine=MachineCosts(idle_watts=20))
    assert used.wh == pytest.approx(300 / 3600)
    assert energy_between(before, after, machine=MachineCosts(idle_watts=100)) == Energy(None, "none")


def test_a_graphics_card_alone_does_not_stand_for_the_machine():
    before, after = (Reading(at, {"graphics card:0": joules}, {}) for at, joules in ((0.0, 1000.0), (10.0, 1100.0)))
    alone = energy_between(before, after, machine=MachineCosts(idle_watts=60, kwh_price=0.3, hardware_price=0))
    assert (alone.measured, alone.wh) == ("counter", pytest.approx(100 / 3600))
    assert energy_words([alone]) == "0.028 Wh (measured for the graphics card only)"
    whole = energy_between(before, after, machine=MachineCosts(watts=120, idle_watts=60))
    assert (whole.measured, whole.wh) == ("estimated", pytest.approx(600 / 3600))
    both = (replace(one, joules=one.joules | {"processor:0": one.seconds * 90}) for one in (before, after))
    used = energy_between(*both, machine=MachineCosts(watts=120, idle_watts=60))
    assert (used.wh, energy_words([used])) == (pytest.approx(400 / 3600), "0.11 Wh (measured for the whole machine)")


def test_watts_below_the_idle_power_say_nothing():
    assert estimated(10, machine=MachineCosts(watts=50, idle_watts=60)) == Energy(None, "none")


def test_without_counters_the_settings_watts_make_an_estimate_and_without_them_nothing_is_known(tmp_path):
    empty = read_counters(tmp_path / "none")
    assert empty.joules == {}
    later = Reading(empty.seconds + 12, {}, {})
    used = energy_between(empty, later, machine=MachineCosts(watts=36, idle_watts=6))
    assert (used.measured, used.wh) == ("estimated", pytest.approx(0.1))
    assert energy_between(empty, later, machine=MachineCosts()) == Energy(None, "none")


def test_counters_that_cannot_be_read_are_none(tmp_path):
    counters(tmp_path, package=1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    (tmp_path / "intel-rapl:0" / "energy_uj").mkdir()  # as unreadable as to anyone but root
    assert read_counters(tmp_path).joules == {}


def test_the_cost_of_a_local_answer_is_its_energy_and_its_share_of_the_hardware():
    # A card of $1,800 for three years, 350 W, $0.30 a kWh, 60 tokens/s, busy 5 % of the time: a million tokens.
    machine = MachineCosts(watts=350, kwh_price=0.30, hardware_price=1800, utilisation=0.05)
    seconds = 1e6 / 60
    cost = local_cost(estimated(seconds, machine=machine), seconds, machine=machine)
    assert cost.energy_usd == pytest.approx(0.486, abs=0.001)
    assert cost.hardware_usd == pytest.approx(6.34, abs=0.01)
    assert cost.usd == cost.energy_usd + cost.hardware_usd
    always = MachineCosts(watts=350, kwh_price=0.30, hardware_price=1800, utilisation=1)
    assert local_cost(Energy(0.1, "counter"), seconds, machine=always).hardware_usd == pytest.approx(0.317, abs=0.001)


def test_a_local_answer_with_an_unknown_part_has_an_unknown_cost():
    energy = Energy(0.1, "counter")
    assert local_cost(energy, 5, machine=MachineCosts(kwh_price=0.3)).usd is None
    assert local_cost(energy, 5, machine=MachineCosts(kwh_price=0.3, hardware_price=0)).usd == pytest.approx(0.00003)
    assert local_cost(energy, 5, machine=MachineCosts(kwh_price=0.3, hardware_price=900)).usd is None
    assert local_cost(energy, 5, machine=MachineCosts(hardware_price=0)).usd is None
    assert local_cost(Energy(None, "none"), 5, machine=MachineCosts(kwh_price=0.3, hardware_price=0)).usd is None


@pytest.mark.parametrize(
    ("energies", "words"),
    [
        ([], "unknown energy"),
        ([Energy(0.0213, "estimated")], "about 0.021 Wh (estimate)"),
        ([Energy(0.02, "counter"), Energy(0.01, "estimated")], "about 0.03 Wh (estimate)"),
        ([Energy(0.02, "counter"), Energy(None, "none")], "unknown energy"),
        ([Energy(0.5, "counter")], "0.5 Wh (measured for the whole machine)"),
        ([Energy(1234.5, "counter")], "1,234 Wh (measured for the whole machine)"),
    ],
)
def test_energy_in_words_says_how_it_is_known(energies, words):
    assert energy_words(energies) == words


def test_the_machine_is_what_the_settings_say(monkeypatch):
    assert MachineCosts.from_settings(RagSettings(_env_file=None)) == MachineCosts()
    monkeypatch.setenv("SCHOLION_WATTS", "65")
    monkeypatch.setenv("SCHOLION_UTILISATION", "0.05")
    assert MachineCosts.from_settings(RagSettings(_env_file=None)) == MachineCosts(watts=65, utilisation=0.05)


def fake_nvml() -> SimpleNamespace:
    """A fake of NVIDIA's library with two cards, of which the second has no counter (before Volta)."""

    def fill(pointer, value: int, status: int = 0) -> int:
        pointer._obj.value = value
        return status

    return SimpleNamespace(
        nvmlDeviceGetCount_v2=lambda count: fill(count, 2),
        nvmlDeviceGetHandleByIndex_v2=lambda index, device: fill(device, 100 + index),
        nvmlDeviceGetTotalEnergyConsumption=lambda device, used: fill(used, 7_200_000, 0 if device.value == 100 else 3),
    )


def test_graphics_cards_with_a_counter_count_in_millijoules(monkeypatch, tmp_path):
    monkeypatch.setattr("rag.costs.energy._nvml_library", fake_nvml)
    assert read_counters(tmp_path).joules == {"graphics card:0": 7200.0}
