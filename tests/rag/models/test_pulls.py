"""Downloads in the background, from a real hub on loopback."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from hub_server import Hub, serving
from rag.errors import DownloadError
from rag.models import download as module
from rag.models.machine import Machine
from rag.models.offers import good_for, offers, on_disk
from rag.models.pulls import Pull, Pulls, arrived
from rag.models.registry import Folder, Gguf, load
from rag.models.resolve import pulled_path
from waiting import PATIENCE

CONTENT = b"GGUF" + os.urandom(3_000_000)
ROOMY = Machine(ram_total=64 * 10**9, ram_available=60 * 10**9, cores=8)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with serving(Hub(CONTENT)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def card():
    found = load().card("smollm2-360m-instruct")
    source = replace(found.source, sha256=hashlib.sha256(CONTENT).hexdigest())
    return replace(found, source=source, weights_bytes=len(CONTENT))


def test_a_model_is_downloaded_and_checked(hub, card, tmp_path):
    pull = Pulls(tmp_path).start(card, host="localhost", proxy=None)
    pull.wait(PATIENCE)
    assert (pull.state, pull.here, pull.said) == ("done", len(CONTENT), "")
    assert pulled_path(card, tmp_path).read_bytes() == CONTENT


def test_a_stopped_download_is_continued_where_it_ended(hub, card, tmp_path):
    pull = Pull(card, card.source, pulled_path(card, tmp_path), proxy=None)
    pull.stop()
    pull.start()
    pull.wait(PATIENCE)
    assert pull.state == "stopped"
    assert 0 < (here := arrived(card, tmp_path)) < len(CONTENT)
    assert not pulled_path(card, tmp_path).exists()

    again = Pulls(tmp_path).start(card, host="localhost", proxy=None)
    again.wait(PATIENCE)
    assert again.state == "done"
    assert hub.asked[-1][1] == f"bytes={here}-"
    assert pulled_path(card, tmp_path).read_bytes() == CONTENT


def test_another_file_than_expected_is_not_kept(hub, card, tmp_path):
    wrong = replace(card, source=replace(card.source, sha256="0" * 64))
    pull = Pulls(tmp_path).start(wrong, host="localhost", proxy=None)
    pull.wait(PATIENCE)
    assert pull.state == "failed"
    assert "not the expected file" in pull.said
    assert not pulled_path(card, tmp_path).exists()


def test_a_broken_connection_says_so_without_speaking_of_a_command(hub, card, tmp_path):
    hub.breaks = [1000] * module.ATTEMPTS
    pull = Pulls(tmp_path).start(card, host="localhost", proxy=None)
    pull.wait(PATIENCE)
    assert pull.state == "failed"
    assert "command" not in pull.said


def test_it_is_loaded_only_from_the_host_that_was_agreed_to_and_only_if_it_can_be_checked(hub, card, tmp_path):
    pulls = Pulls(tmp_path)
    with pytest.raises(DownloadError, match="would come from localhost"):
        pulls.start(card, host="huggingface.co", proxy=None)
    for source in (replace(card.source, sha256=None), Folder(repository="a/b")):
        with pytest.raises(DownloadError, match="cannot be downloaded here"):
            pulls.start(replace(card, source=source), host="localhost", proxy=None)
    assert hub.asked == []


def test_only_models_that_fit_are_offered_the_smallest_first(tmp_path):
    registry = load()
    found = offers(registry, ROOMY, tmp_path)
    assert [offer.card.parameters for offer in found] == sorted(offer.card.parameters for offer in found)
    assert all(isinstance(offer.card.source, Gguf) for offer in found)
    assert any(offer.recommended for offer in found)
    small = Machine(ram_total=2 * 10**9, ram_available=2 * 10**9, cores=2)
    assert {offer.card.name for offer in offers(registry, small, tmp_path)} < {offer.card.name for offer in found}
    assert offers(registry, replace(small, ram_available=None), tmp_path) == []


def test_a_file_that_is_here_is_listed_and_not_offered(tmp_path):
    registry = load()
    card = registry.card("smollm2-360m-instruct")
    (tmp_path / "models").mkdir()
    pulled_path(card, tmp_path).write_bytes(b"GGUF")
    (tmp_path / "models" / "mine.gguf").write_bytes(b"GGUF")
    assert card.name not in [offer.card.name for offer in offers(registry, ROOMY, tmp_path)]
    assert [(file.setting, file.fits) for file in on_disk(registry, ROOMY, tmp_path)] == [
        (card.name, "yes"),
        ("mine.gguf", None),
    ]


def test_every_model_that_can_be_offered_has_a_word_on_what_it_is_good_for():
    said = {card.name: good_for(card) for card in load().cards}
    assert said["smollm2-360m-instruct"] == "Quick drafts on any laptop."
    assert said["qwen3-4b"].startswith("Thinks before it answers")
    assert said["qwen2.5-7b-instruct"].startswith("The larger model")


def test_two_clicks_at_once_are_one_download(hub, card, tmp_path, monkeypatch):
    both = threading.Barrier(2)

    class Meeting(Pull):
        def __init__(self, *given, **options):
            with suppress(threading.BrokenBarrierError):
                both.wait(0.05)  # for the other click, which a lock keeps out
            super().__init__(*given, **options)

    monkeypatch.setattr("rag.models.pulls.Pull", Meeting)
    pulls = Pulls(tmp_path)
    with ThreadPoolExecutor(2) as clicks:
        one, other = clicks.map(lambda _: pulls.start(card, host="localhost", proxy=None), range(2))
    one.wait(PATIENCE)
    other.wait(PATIENCE)
    assert one is other or one.state == other.state == "done"
    assert len(hub.asked) == 1
