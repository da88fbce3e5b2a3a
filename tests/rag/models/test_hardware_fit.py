"""What fits a machine and a use: memory by its formula, and recommendations that keep to memory, time and licence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.models.hardware_fit import SPARE, fits, may_use, memory_needed, seconds_to_read, select, served_fits
from rag.models.machine import Machine
from rag.models.registry import Gguf, Service, Wheel, load

GB = 10**9
CARDS = load().cards


def card(name):
    return load().card(name)


def machine(ram=16 * GB, cores=4, vram=None):
    return Machine(
        ram_total=ram, ram_available=ram, cores=cores, gpu="a card" if vram else None, vram_total=vram, vram_free=vram
    )


@pytest.mark.parametrize(
    "name,per_token",  # KiB, by the public configurations
    [("smollm2-135m-instruct", 22.5), ("phi-4-mini-instruct", 128), ("mistral-7b-instruct-v0.3", 128)],
)
def test_a_token_takes_as_much_of_the_cache_as_the_configuration_says(name, per_token):
    grown = memory_needed(card(name), context=8192) - memory_needed(card(name), context=4096)
    assert grown == per_token * 1024 * 4096


def test_a_sliding_window_stops_growing_at_the_window():
    oss = card("gpt-oss-20b")
    grown = memory_needed(oss, context=16384) - memory_needed(oss, context=8192)
    assert grown == 24 * 1024 * 8192, "half of the 48 KiB: twelve of the 24 layers look back 128 tokens"
    everything = replace(oss, architecture=replace(oss.architecture, sliding_window=None, sliding_layers=0))
    assert memory_needed(everything, context=8192) > memory_needed(oss, context=8192)
    assert memory_needed(everything, context=100) == memory_needed(oss, context=100)


def test_slots_take_a_cache_each_and_a_context_beyond_the_models_own_takes_nothing():
    small = card("smollm2-135m-instruct")
    assert memory_needed(small, context=4096, slots=2) == memory_needed(small, context=8192)
    assert memory_needed(small, context=100_000) == memory_needed(small, context=8192)


def test_what_is_not_known_is_not_counted():
    qwen = card("qwen2.5-7b-instruct")
    for unknown in (replace(qwen, architecture=None), replace(qwen, weights_bytes=None), card("gpt-5-mini")):
        assert memory_needed(unknown, context=8192) is None
        assert fits(unknown, machine()) is None
    assert fits(qwen, Machine(ram_total=None, ram_available=None, cores=4)) is None
    assert fits(qwen, machine(), on="vram") is None


def test_the_verdict_turns_where_memory_runs_out():
    qwen = card("qwen2.5-7b-instruct")
    needed = memory_needed(qwen, context=8192)
    assert fits(qwen, machine(round(needed / (1 - SPARE)) + 1)) == "yes"
    assert fits(qwen, machine(round(needed / (1 - SPARE)) - 1)) == "tight"
    assert fits(qwen, machine(needed)) == "tight"
    assert fits(qwen, machine(needed - 1)) == "no"
    assert fits(qwen, machine(GB, vram=24 * GB), on="vram") == "yes"


def test_an_unknown_licence_allows_no_commercial_use():
    assert may_use(card("qwen2.5-3b-instruct"), commercial=False)
    assert not may_use(card("qwen2.5-3b-instruct"), commercial=True)
    assert may_use(card("llama-3.1-8b-instruct"), commercial=True)
    assert not may_use(replace(card("qwen2.5-7b-instruct"), licence=None), commercial=True)


@pytest.mark.parametrize("task", ["chat", "draft", "refine"])
@pytest.mark.parametrize("commercial", [False, True])
@pytest.mark.parametrize("there", [machine(2 * GB, 2), machine(8 * GB), machine(16 * GB, 8), machine(64 * GB, 32)])
def test_what_is_recommended_fits_may_be_used_and_runs_here(task, commercial, there):
    choice = select(CARDS, task=task, machine=there, commercial=commercial)
    best = choice.card
    assert fits(best, there) == "yes"
    assert may_use(best, commercial=commercial)
    assert not isinstance(best.source, Service)
    assert (
        {"draft", "refine"} & set(best.roles)
        if task == "chat"
        else task in best.roles or isinstance(best.source, Wheel)
    )
    assert task == "refine" or not best.thinks
    assert best.name in choice.reason
    if isinstance(best.source, Gguf):
        limit = {"draft": 8, "chat": 30, "refine": 120}[task]
        assert seconds_to_read(best, there) <= limit


def test_a_larger_machine_gets_no_smaller_model():
    for task in ("chat", "draft", "refine"):
        sizes = [
            select(CARDS, task=task, machine=machine(ram * GB, cores)).card.parameters
            for ram, cores in ((1, 2), (8, 4), (16, 8), (64, 32))
            if select(CARDS, task=task, machine=machine(ram * GB, cores))
        ]
        assert sizes == sorted(sizes)
        assert len(set(sizes)) > 1


def test_commercial_use_changes_what_is_recommended():
    only = [card("qwen2.5-3b-instruct"), card("qwen2.5-1.5b-instruct")]
    there = machine(16 * GB, 16)
    assert select(only, task="draft", machine=there).card.name == "qwen2.5-3b-instruct"
    assert select(only, task="draft", machine=there, commercial=True).card.name == "qwen2.5-1.5b-instruct"


def test_conditions_of_a_licence_are_told():
    choice = select([card("llama-3.1-8b-instruct")], task="refine", machine=machine(16 * GB, 16))
    assert "Built with Llama" in choice.reason


def test_a_graphics_card_is_told_of_where_only_it_is_large_enough():
    there = machine(4 * GB, 4, vram=24 * GB)
    choice = select(CARDS, task="refine", machine=there)
    assert choice.card.name == "gpt-oss-20b"
    assert "your own server" in choice.reason


def test_where_nothing_is_known_of_the_machine_the_embedded_models_are_left():
    there = Machine(ram_total=None, ram_available=None, cores=1)
    assert isinstance(select(CARDS, task="draft", machine=there).card.source, Wheel)
    assert select(CARDS, task="embed", machine=there).card.name == "all-minilm-l6-v2"
    assert select([], task="embed", machine=there) is None
    assert select([card("gpt-5-mini")], task="refine", machine=machine()) is None
    assert select(CARDS, task="refine", machine=machine(1 * GB)) is None


def test_a_model_of_another_program_is_judged_by_its_weights_and_the_roomier_memory():
    assert served_fits(4 * GB, machine(ram=16 * GB)) == "yes"
    assert served_fits(4 * GB, machine(ram=5 * GB)) == "tight"
    assert served_fits(4 * GB, machine(ram=4 * GB)) == "no"
    assert served_fits(4 * GB, machine(ram=4 * GB, vram=16 * GB)) == "yes"
    assert served_fits(None, machine()) is None
    assert served_fits(GB, replace(machine(), ram_available=None)) is None
